//! Access log: a line per request.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use fileserver_proto::{Record, Wire};
use jiff::Timestamp;

use crate::output::LineQueue;

/// Time that lines may wait for others, so that a write has many of them.
const DELAY: Duration = Duration::from_millis(100);

/// Format of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccessLogFormat {
    /// Common log format, as of Apache and nginx
    #[default]
    Common,
    /// A JSON object per line
    Json,
}

/// Log with a line per request, written by a thread of its own.
#[derive(Debug)]
pub struct AccessLog {
    lines: LineQueue,
    format: AccessLogFormat,
}

impl AccessLog {
    /// Log appended to this file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn append_to(path: &Path, format: AccessLogFormat) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let file = LogFile { file: open(&path)?, path };
        Ok(Self::on(file, format))
    }

    /// Log on another output.
    pub fn on(output: impl Write + Send + 'static, format: AccessLogFormat) -> Self {
        Self { lines: LineQueue::on(output, DELAY), format }
    }

    /// Appends complete lines of another process.
    pub(crate) fn write_lines(&self, text: &str) {
        self.lines.write_line(|lines| lines.extend_from_slice(text.as_bytes()));
    }

    /// Appends a line. `broken` if the connection ended before the request did.
    pub(crate) fn write(&self, peer: Option<SocketAddr>, record: &Record, is_broken: bool) {
        let time = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        self.lines.write_line(|lines| {
            // A vector takes whatever is written.
            let _ = match self.format {
                AccessLogFormat::Common => write_common(lines, time, peer, record),
                AccessLogFormat::Json => write_json(lines, time, peer, record, is_broken),
            };
        });
    }

    /// Waits until all lines are written, but no longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        self.lines.flush(at_most);
    }
}

fn write_common(
    lines: &mut Vec<u8>,
    time: Timestamp,
    peer: Option<SocketAddr>,
    record: &Record,
) -> io::Result<()> {
    match peer {
        Some(peer) => write!(lines, "{}", peer.ip())?,
        None => lines.push(b'-'),
    }
    write!(lines, " - - [{}] \"", time.strftime("%d/%b/%Y:%H:%M:%S +0000"))?;
    // As Apache does: nothing in a line ends it, or moves the cursor of a terminal.
    for &byte in &record.line {
        match byte {
            b'"' | b'\\' => lines.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => lines.push(byte),
            _ => write!(lines, "\\x{byte:02x}")?,
        }
    }
    writeln!(lines, "\" {} {}", record.status, record.sent)
}

fn write_json(
    lines: &mut Vec<u8>,
    time: Timestamp,
    peer: Option<SocketAddr>,
    record: &Record,
    is_broken: bool,
) -> io::Result<()> {
    write!(lines, "{{\"time\":\"{time:.3}\",")?;
    if let Some(peer) = peer {
        write!(lines, "\"address\":\"{}\",\"port\":{},", peer.ip(), peer.port())?;
    }
    if let Some(wire) = record.wire {
        let wire = match wire {
            Wire::Framed => "framed",
            Wire::Http => "http",
            Wire::Text => "text",
        };
        write!(lines, "\"wire\":\"{wire}\",")?;
    }
    let mut request = String::new();
    for char in String::from_utf8_lossy(&record.line).chars() {
        match char {
            '"' | '\\' => request.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(request, "\\u{:04x}", u32::from(char));
            }
            char => request.push(char),
        }
    }
    writeln!(
        lines,
        "\"request\":\"{request}\",\"status\":{},\"sent\":{},\"received\":{},\"duration_us\":{},\
         \"complete\":{}}}",
        record.status,
        record.sent,
        record.received,
        record.duration.as_micros(),
        !is_broken,
    )
}

/// File that is opened anew once its name denotes another file: whoever rotates logs only renames
/// it.
struct LogFile {
    file: File,
    path: PathBuf,
}

impl LogFile {
    fn is_current(&self) -> bool {
        let id = |about: std::fs::Metadata| (about.dev(), about.ino());
        let named = std::fs::metadata(&self.path).map(id).ok();
        named.is_some() && named == self.file.metadata().map(id).ok()
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_current() {
            match open(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => tracing::error!(
                    "cannot open access log {:?} anew, appending to the old file: {error}",
                    self.path
                ),
            }
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Requests of one connection for the log.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) accepted: Instant,
}

impl Watched {
    /// Reports a request.
    pub(crate) fn request(&self, record: &Record, is_broken: bool) {
        if let Some(log) = &self.log {
            log.write(self.peer, record, is_broken);
        }
        tracing::trace!(
            "{}: {} {}, {} bytes sent, {} received, {} us{}",
            Peer(self.peer),
            record.line.escape_ascii(),
            record.status,
            record.sent,
            record.received,
            record.duration.as_micros(),
            if is_broken { ", broken off" } else { "" },
        );
    }
}

/// Address of a peer that may be gone.
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(peer) => write!(f, "{peer}"),
            None => f.write_str("(gone)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_request_forges_a_line() {
        let record = Record {
            wire: Some(Wire::Http),
            line: b"GET /\"\x1b[2J\r\xff\\ HTTP/1.1".to_vec(),
            status: 404,
            sent: 13,
            ..Record::default()
        };
        let peer = "192.0.2.1:4711".parse().ok();
        let mut lines = Vec::new();
        write_common(&mut lines, Timestamp::UNIX_EPOCH, peer, &record).unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \
             \"GET /\\\"\\x1b[2J\\x0d\\xff\\\\ HTTP/1.1\" 404 13\n"
        );
        let mut lines = Vec::new();
        write_json(&mut lines, Timestamp::UNIX_EPOCH, peer, &record, true).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!(json["request"], "GET /\"\x1b[2J\r\u{fffd}\\ HTTP/1.1");
        assert_eq!((json["status"].as_u64(), json["complete"].as_bool()), (Some(404), Some(false)));
        assert_eq!(
            (json["address"].as_str(), json["port"].as_u64()),
            (Some("192.0.2.1"), Some(4711))
        );
    }
}
