//! Resumable uploads by the protocol tus 1.0.0.

use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use fileserver_proto::Digest;
use fileserver_proto::client::{ReplyKind, http, tus};
use sha2::{Digest as _, Sha256};

use super::{Server, Upload, refusal};
use crate::failure::Failure;
use crate::net::link::Link;
use crate::net::resume_state::ResumeState;
use crate::terminal::meter::Meter;
use crate::terminal::units::bytes;
use crate::terminal::{quoted, resuming};

/// Interval between checks of a locked upload.
const RETRY: Duration = Duration::from_millis(200);
/// Lowest disk read rate of a server that verifies an upload in time.
const SLOWEST_READ_BYTES_PER_S: u64 = 50_000_000;

/// Sends the missing part of a file; returns the connection if it is reusable. `command` resumes
/// the upload after a failure.
pub(super) fn send<'a>(
    upload: &mut Upload,
    server: &Server<'a>,
    spare: Option<Link<'a>>,
    command: &str,
) -> Result<Option<Link<'a>>, Failure> {
    let saved = SavedUpload::of(upload, server)?;
    let done = Transfer { upload, server, saved: &saved }.run(spare);
    if saved.state.load().is_none() {
        return done;
    }
    done.map_err(|failure| match failure {
        Failure::Failed(error) => Failure::Failed(anyhow!("{error:#}; to resume: {command}")),
        Failure::Interrupted => {
            eprintln!("client: interrupted; to resume: {command}");
            Failure::Interrupted
        }
        Failure::Usage(_) | Failure::ClosedOutput => failure,
    })
}

/// Saved state of an upload: its path on the server and the version of the file.
#[derive(Debug)]
struct SavedUpload {
    state: ResumeState,
    version: String,
}

impl SavedUpload {
    fn of(upload: &Upload, server: &Server<'_>) -> Result<Self, Failure> {
        let path = upload.path.canonicalize();
        let path = path.with_context(|| format!("cannot find {}", upload.path.display()))?;
        let state = ResumeState::of("uploads", &server.authority(), upload.name.as_str(), &path)?;
        let since_1970 = upload.modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { state, version: format!("{} {} ", upload.len, since_1970.as_nanos()) })
    }

    fn save(&self, target: &str) -> Result<(), Failure> {
        self.state.save(&format!("{}{target}", self.version))
    }
}

struct Transfer<'t, 'a> {
    upload: &'t mut Upload,
    server: &'t Server<'a>,
    saved: &'t SavedUpload,
}

impl<'a> Transfer<'_, 'a> {
    fn run(mut self, spare: Option<Link<'a>>) -> Result<Option<Link<'a>>, Failure> {
        let shown = self.upload.path.display().to_string();
        let len = self.upload.len;
        let mut link = self.server.link(spare)?;
        let (target, offset) = match self.find(&mut link)? {
            Some(found) => found,
            None => (self.create(&mut link)?, 0),
        };
        let mut hash = Sha256::new();
        if offset > 0 {
            self.server.transcript.print(&resuming(&shown, offset, len))?;
            self.hash_front(offset, &mut hash)?;
            // The connection may have timed out meanwhile.
            link = self.server.open()?;
        }

        let mut meter = Meter::with_transcript(&shown, len, offset, self.server.transcript);
        // The last block is sent separately, with the hash of the whole file, which is complete
        // only then.
        let last_len = (len - offset).min(self.upload.block_bytes as u64);
        let last_offset = len - last_len;
        if last_offset > offset {
            let range = offset..last_offset;
            self.append(&mut link, &target, range, &mut hash, &mut meter)?;
        }
        let mut blocks = self.upload.blocks(last_len);
        let last = blocks.next()?.unwrap_or_default();
        hash.update(last);
        let digest = Digest(hash.finalize().into());
        let mut request = Vec::new();
        let authority = self.server.authority();
        tus::append(&target, &authority, last_offset, last_len, Some(&digest), &mut request);
        let all_sent = link.send(&request)? && link.send(last)?;
        meter.advance(last_len);
        // The server reads the whole file again before it replies.
        let reading = Duration::from_secs(len / SLOWEST_READ_BYTES_PER_S);
        link.set_timeout(self.server.timeout + reading);
        let head = link.read_head()?;
        link.set_timeout(self.server.timeout);
        meter.finish();
        if !head.kind.is_success() || !all_sent {
            // The whole file has arrived and does not match its hash.
            if head.kind == ReplyKind::Status(400) {
                self.saved.state.clear();
            }
            return Err(refusal(&mut link, head, &self.upload.path));
        }
        self.saved.state.clear();
        let stored = link.field("content-location").and_then(http::name);
        let stored = stored.unwrap_or_else(|| self.upload.name.to_string());
        link.skip_rest()?;
        self.server.transcript.print(&format!("saved as {stored} ({})\n", bytes(len)))?;
        Ok(head.keep_alive.then_some(link))
    }

    /// Sends a part from the current position that does not complete the upload.
    fn append(
        &mut self,
        link: &mut Link<'a>,
        target: &str,
        range: Range<u64>,
        hash: &mut Sha256,
        meter: &mut Meter<'_>,
    ) -> Result<(), Failure> {
        let len = range.end - range.start;
        let mut request = Vec::new();
        tus::append(target, &self.server.authority(), range.start, len, None, &mut request);
        let mut all_sent = link.send(&request)?;
        let mut blocks = self.upload.blocks(len);
        while all_sent && let Some(block) = blocks.next()? {
            hash.update(block);
            all_sent = link.send(block)?;
            meter.advance(block.len() as u64);
        }
        let head = link.read_head()?;
        if !head.kind.is_success() || !all_sent {
            return Err(refusal(link, head, &self.upload.path));
        }
        self.renew(link, head.keep_alive)
    }

    /// Path and received length of the earlier upload, if it can be resumed.
    fn find(&self, link: &mut Link<'a>) -> Result<Option<(String, u64)>, Failure> {
        let Some(line) = self.saved.state.load() else { return Ok(None) };
        let shown = self.upload.path.display();
        let Some(target) = line.strip_prefix(&self.saved.version) else {
            self.server.transcript.print(&format!(
                "{shown}: changed since the interrupted transfer, starting again\n"
            ))?;
            return Ok(None);
        };
        let begun = Instant::now();
        loop {
            let mut request = Vec::new();
            tus::inspect(target, &self.server.authority(), &mut request);
            link.expect_head_only();
            link.send(&request)?;
            let head = link.read_head()?;
            let number = |name| link.field(name).and_then(|value| value.parse::<u64>().ok());
            let (offset, len) = (number("upload-offset"), number("upload-length"));
            match (head.kind, offset) {
                (ReplyKind::Status(200..300), Some(offset))
                    if offset <= self.upload.len
                        && len.is_none_or(|len| len == self.upload.len) =>
                {
                    self.renew(link, head.keep_alive)?;
                    return Ok(Some((target.to_owned(), offset)));
                }
                // The earlier connection is still open, or its end was not noticed yet.
                (ReplyKind::Status(423), _) if begun.elapsed() < self.server.timeout => {
                    self.renew(link, head.keep_alive)?;
                    if self.server.stop.load(Ordering::Relaxed) {
                        return Err(Failure::Interrupted);
                    }
                    std::thread::sleep(RETRY);
                }
                (ReplyKind::Status(200..300 | 404 | 410), _) => {
                    self.server.transcript.print(&format!(
                        "{shown}: the server has no part of it any more, starting again\n"
                    ))?;
                    self.saved.state.clear();
                    self.renew(link, head.keep_alive)?;
                    return Ok(None);
                }
                _ => return Err(refusal(link, head, &self.upload.path)),
            }
        }
    }

    /// Begins an upload and saves its path.
    fn create(&self, link: &mut Link<'a>) -> Result<String, Failure> {
        let authority = self.server.authority();
        let mut request = Vec::new();
        tus::create(&self.upload.name, self.upload.len, &authority, &mut request);
        link.send(&request)?;
        let head = link.read_head()?;
        let is_tus = link.field("tus-resumable").is_some();
        let target = link.field("location").and_then(path_of_location).map(str::to_owned);
        match (head.kind, target) {
            (ReplyKind::Status(201), Some(target)) if is_tus => {
                self.saved.save(&target)?;
                self.renew(link, head.keep_alive)?;
                Ok(target)
            }
            (ReplyKind::Status(status), _)
                if is_tus || matches!(status, 413 | 500 | 502..=504 | 507) =>
            {
                Err(refusal(link, head, &self.upload.path))
            }
            (kind, _) => {
                let status = match kind {
                    ReplyKind::Status(status) => format!(" (status {status})"),
                    ReplyKind::Data | ReplyKind::Text | ReplyKind::Error => String::new(),
                };
                Err(Failure::Failed(anyhow!(
                    "{authority} does not accept resumable uploads{status}: use --wire http \
                     without --resume"
                )))
            }
        }
    }

    /// Hashes the part of the file that the server already has.
    fn hash_front(&mut self, len: u64, hash: &mut Sha256) -> Result<(), Failure> {
        self.upload.file.seek(SeekFrom::Start(0)).map_err(anyhow::Error::new)?;
        let mut blocks = self.upload.blocks(len);
        while let Some(block) = blocks.next()? {
            if self.server.stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            hash.update(block);
        }
        Ok(())
    }

    /// Reads the reply to its end and prepares the connection for the next request.
    fn renew(&self, link: &mut Link<'a>, keep_alive: bool) -> Result<(), Failure> {
        match keep_alive {
            true => link.skip_rest()?,
            false => *link = self.server.open()?,
        }
        Ok(())
    }
}

/// Path of an upload; a server can send it as a URL.
fn path_of_location(location: &str) -> Option<&str> {
    let path = match location.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => location,
    };
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    is_path.then_some(path)
}

/// Command line for a shell.
pub(super) fn command_line<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut line = String::from("client send");
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_url() {
        for (location, path) in [
            ("/.tus/ab", Some("/.tus/ab")),
            ("http://h:1/files/ab?x", Some("/files/ab?x")),
            ("http://h", None),
            ("ab", None),
            ("/a b", None),
            ("", None),
        ] {
            assert_eq!(path_of_location(location), path, "{location}");
        }
    }

    #[test]
    fn a_command_is_quoted_for_a_shell() {
        assert_eq!(
            command_line(["a.png", "b c", "d'e", "--as", "ö"]),
            r"client send a.png 'b c' 'd'\''e' --as ö"
        );
    }
}
