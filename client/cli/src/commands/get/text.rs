//! Download over the text wire.

use anyhow::anyhow;
use fileserver_proto::FileName;

use super::output::Output;
use crate::failure::{Failure, refused};
use crate::net::link::{Link, ReplyPart};
use crate::terminal::meter::Meter;

/// Beginning of a refusal.
const ERROR: &[u8] = b"ERROR ";
/// Upper bound of a refusal: a name of at most 4096 bytes and a few words.
const REFUSAL_BYTES: usize = 8 << 10;

/// Fetches a file and returns its length. The wire announces no length, and a refusal differs from
/// a file only by being one short line that begins with `ERROR `.
pub(super) fn fetch(
    name: &FileName,
    link: &mut Link<'_>,
    output: &mut Output,
) -> Result<u64, Failure> {
    link.send(name.as_str().as_bytes())?;
    // Closing the direction ends the line, also for servers that would include an end of line in
    // the name.
    link.finish_sending();
    let mut front = Vec::new();
    let mut has_ended = false;
    while !has_ended && ERROR.starts_with(&front[..front.len().min(ERROR.len())]) {
        if front.len() > REFUSAL_BYTES {
            break;
        }
        match link.next_part()? {
            ReplyPart::Body(range) => front.extend_from_slice(link.bytes(range)),
            ReplyPart::Head(_) => {}
            ReplyPart::End => has_ended = true,
        }
    }
    if has_ended && let Some(reason) = refusal(&front) {
        return Err(Failure::Failed(anyhow!("{}", refused(name.as_str(), reason))));
    }
    output.begin(0, None)?;
    let mut meter = Meter::new(name.as_str(), None, 0, output.is_stdout());
    output.write(&front)?;
    meter.advance(front.len() as u64);
    let rest = if has_ended { 0 } else { output.receive(link, Some(&mut meter))? };
    meter.finish();
    Ok(front.len() as u64 + rest)
}

/// Reason of the refusal, if the whole reply is such a line.
fn refusal(reply: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(reply.strip_prefix(ERROR)?).ok()?;
    let line = line.strip_suffix('\n')?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.contains(char::is_control)).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_and_nothing_else() {
        assert_eq!(refusal(b"ERROR no such file: a\r\n"), Some("no such file: a"));
        for file in [&b"ERROR a\nb\n"[..], b"ERROR a", b"ERRORS\n", b"", b"ERROR \xff\n"] {
            assert_eq!(refusal(file), None);
        }
    }
}
