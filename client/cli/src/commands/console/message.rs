//! Messages of the console: composing, sending, reading the reply.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, anyhow, ensure};
use fileserver_proto::FileName;
use fileserver_proto::client::{ReplyKind, framed};
use fileserver_proto::wire::framed::{GET, MAX_TEXT_BYTES, OK, data_type};

use crate::commands::get::Output;
use crate::failure::Failure;
use crate::net::link::Link;
use crate::terminal::meter::Meter;
use crate::terminal::print;
use crate::terminal::units::bytes;

const BLOCK_BYTES: usize = 256 << 10;
/// Smallest size with a progress display.
const METERED_BYTES: u64 = 4 << 20;

/// Message that is ready to be sent.
#[derive(Debug)]
pub(super) enum Draft {
    Text(String),
    Random {
        message_type: u8,
        len: u64,
    },
    File {
        message_type: u8,
        file: File,
        len: u64,
        path: String,
    },
    /// A name, followed by the content if the server accepts the name.
    Named {
        name: String,
        file: File,
        len: u64,
        path: String,
    },
    Get(String),
}

impl Draft {
    /// Number of data bytes.
    pub(super) fn data_bytes(&self) -> u64 {
        match self {
            Self::Text(_) | Self::Get(_) => 0,
            Self::Random { len, .. } | Self::File { len, .. } | Self::Named { len, .. } => *len,
        }
    }

    /// Sends the message and prints the reply; returns whether the connection is reusable.
    pub(super) fn send(self, link: &mut Link<'_>) -> Result<bool, Failure> {
        match self {
            Self::Text(text) => {
                let mut message = Vec::new();
                framed::text(&text, &mut message);
                link.send(&message)?;
                print_reply(link)
            }
            Self::Random { message_type, len } => {
                let mut random = fastrand::Rng::new();
                let fill = |block: &mut [u8]| {
                    random.fill(block);
                    Ok(())
                };
                send_data(link, message_type, len, "random bytes", fill)
            }
            Self::File { message_type, file, len, path } => {
                send_data(link, message_type, len, &path, reading(file, &path))
            }
            Self::Named { name, file, len, path } => {
                let mut message = Vec::new();
                framed::text(&name, &mut message);
                link.send(&message)?;
                let (may_stay, agrees) = reply_of(link)?;
                if !agrees {
                    return Ok(may_stay);
                }
                send_data(link, data_type(len), len, &path, reading(file, &path))
            }
            Self::Get(name) => {
                // Checked before the request, since a reply that has begun must be read to its end.
                let own = name.rsplit('/').next().unwrap_or_default();
                if !own.is_empty() && std::path::Path::new(own).symlink_metadata().is_ok() {
                    return print(&format!(
                        "{own} exists in this folder: move or delete it first\n"
                    ))
                    .map(|()| true);
                }
                let mut message = Vec::new();
                // Unchecked, so that the server's refusal of invalid names can be seen.
                framed::text(&name, &mut message);
                message[0] = GET;
                link.send(&message)?;
                fetch(link, &name)
            }
        }
    }
}

fn reading<'p>(
    mut file: File,
    path: &'p str,
) -> impl FnMut(&mut [u8]) -> Result<(), Failure> + use<'p> {
    move |block| {
        let read = file.read_exact(block);
        Ok(read
            .with_context(|| format!("{path} became shorter during the transfer: send it again"))?)
    }
}

/// Sends data in blocks, each filled just before it is sent.
fn send_data(
    link: &mut Link<'_>,
    message_type: u8,
    len: u64,
    what: &str,
    mut fill: impl FnMut(&mut [u8]) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let mut head = Vec::new();
    framed::data_as(message_type, len, &mut head);
    let mut is_accepted = link.send(&head)?;
    let mut meter = (len >= METERED_BYTES).then(|| Meter::new(what, Some(len), 0, false));
    let mut block = vec![0; BLOCK_BYTES];
    let mut left = len;
    while left > 0 && is_accepted {
        let want = left.min(BLOCK_BYTES as u64) as usize;
        fill(&mut block[..want])?;
        is_accepted = link.send(&block[..want])?;
        left -= want as u64;
        if let Some(meter) = &mut meter {
            meter.advance(want as u64);
        }
    }
    if let Some(meter) = meter {
        meter.finish();
    }
    if is_accepted {
        print(&format!("sent type {message_type}, {len} bytes\n"))?;
    }
    // After an early reply the rest of the data is unsent, so the connection is not reusable.
    Ok(print_reply(link)? && is_accepted)
}

fn print_reply(link: &mut Link<'_>) -> Result<bool, Failure> {
    reply_of(link).map(|(may_stay, _)| may_stay)
}

/// Prints the reply; returns whether the connection is reusable and whether the reply was `OK`.
fn reply_of(link: &mut Link<'_>) -> Result<(bool, bool), Failure> {
    let head = link.read_head()?;
    let text = link.text();
    let shown = text.replace(char::is_control, " ");
    match head.kind {
        ReplyKind::Text => print(&format!("server: {shown}\n"))?,
        ReplyKind::Error => print(&format!("server refused: {shown}\n"))?,
        kind @ (ReplyKind::Data | ReplyKind::Status(_)) => {
            return Err(Failure::Failed(anyhow!("the server answered with {kind:?}")));
        }
    }
    link.skip_rest()?;
    Ok((head.keep_alive, head.kind == ReplyKind::Text && text == OK))
}

fn fetch(link: &mut Link<'_>, name: &str) -> Result<bool, Failure> {
    let head = link.read_head()?;
    if head.kind != ReplyKind::Data {
        let shown = link.text().replace(char::is_control, " ");
        print(&format!("server refused: {shown}\n"))?;
        link.skip_rest()?;
        return Ok(head.keep_alive);
    }
    let len = head.body_bytes.unwrap_or(0);
    print(&format!("server: {} of data\n", bytes(len)))?;
    let name = FileName::new(name).context("the server accepted an invalid name")?;
    let mut output = Output::new(None, false, &name)?;
    output.begin(0, None)?;
    output.receive(link, None)?;
    output.publish(len)?;
    Ok(head.keep_alive)
}

/// Opens a regular file; returns it with its length.
pub(super) fn open(path: &str) -> anyhow::Result<(File, u64)> {
    let file = File::open(path).with_context(|| format!("cannot read {path:?}"))?;
    let about = file.metadata().with_context(|| format!("cannot read {path:?}"))?;
    ensure!(about.is_file(), "{path:?} is not a regular file");
    Ok((file, about.len()))
}

/// Truncates a text to the longest allowed, at a character boundary; returns the number of bytes
/// removed, if any.
pub(super) fn truncate(text: &mut String) -> Option<usize> {
    let before = text.len();
    let keep = text.floor_char_boundary(MAX_TEXT_BYTES);
    text.truncate(keep);
    (keep < before).then_some(before - keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_truncated_between_characters() {
        let mut text = "a".repeat(4095) + "öb";
        assert_eq!(truncate(&mut text), Some(3));
        assert_eq!(text.len(), 4095);
        assert_eq!(truncate(&mut text), None);
    }
}
