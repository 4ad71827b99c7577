//! Replies of the http wire.

use super::date;
use crate::exchange::{Refusal, Reply};
use crate::{Buffer, Entry, FileInfo, FileName, NameError, Now, StoreError};

/// What tells a waiting peer to send its body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What follows the status in every head, up to the date.
const COMMON: &[u8] =
    b"\r\nServer: threads-vs-selectors\r\nX-Content-Type-Options: nosniff\r\nDate: ";

/// What the head says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Nothing: it goes on, as HTTP/1.1 does by itself.
    Unsaid,
    /// It goes on although the peer speaks HTTP/1.0.
    KeepAlive,
    Close,
}

/// Writes a head and, where `content` is wanted, whatever content is not a file's.
pub(super) fn write(
    output: &mut Buffer,
    reply: &Reply<'_>,
    connection: Connection,
    content: bool,
    now: Now,
) {
    match reply {
        Reply::File { name, info } => write_file_head(output, name, *info, connection, now),
        Reply::Listing { entries } => write_listing(output, entries, connection, content, now),
        Reply::Stored { name } => {
            let body = [name.as_str(), "\n"];
            begin(output, "201 Created", now);
            output.push(b"\r\nLocation: /");
            push_encoded(output, name);
            write_text(output, &body, connection, content);
        }
        Reply::Refused { refusal, .. } => {
            let reason = refusal.to_string();
            begin(output, status(*refusal), now);
            if *refusal == Refusal::MethodNotAllowed {
                output.push(b"\r\nAllow: GET, HEAD, PUT");
            }
            write_text(output, &[&reason, "\n"], connection, content);
        }
        Reply::Announced => unreachable!("http announces nothing"),
    }
}

fn write_file_head(
    output: &mut Buffer,
    name: &FileName,
    info: FileInfo,
    connection: Connection,
    now: Now,
) {
    begin(output, "200 OK", now);
    // A time before 1970 can't be said; one to come must not be (RFC 9110, 8.8.2.1).
    if let Ok(modified) = u64::try_from(info.modified.unix_s) {
        output.push(b"\r\nLast-Modified: ");
        output.push(&date::format(modified.min(now.unix_s)));
    }
    output.push(b"\r\nContent-Type: ");
    output.push(content_type(name).as_bytes());
    end(output, info.len, connection);
}

fn write_listing(
    output: &mut Buffer,
    entries: &[Entry],
    connection: Connection,
    content: bool,
    now: Now,
) {
    let len: usize = entries.iter().map(|entry| entry.name.as_str().len() + 1).sum();
    begin(output, "200 OK", now);
    output.push(b"\r\nContent-Type: text/plain; charset=utf-8");
    end(output, len as u64, connection);
    if content {
        for entry in entries {
            output.push(entry.name.as_str().as_bytes());
            output.push(b"\n");
        }
    }
}

fn write_text(output: &mut Buffer, parts: &[&str], connection: Connection, content: bool) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    output.push(b"\r\nContent-Type: text/plain; charset=utf-8");
    end(output, len as u64, connection);
    if content {
        for part in parts {
            output.push(part.as_bytes());
        }
    }
}

fn begin(output: &mut Buffer, status: &str, now: Now) {
    output.push(b"HTTP/1.1 ");
    output.push(status.as_bytes());
    output.push(COMMON);
    output.push(&date::cached(now.unix_s));
}

fn end(output: &mut Buffer, len: u64, connection: Connection) {
    output.push(b"\r\nContent-Length: ");
    output.push_decimal(len);
    output.push(match connection {
        Connection::Unsaid => b"\r\n\r\n",
        Connection::KeepAlive => b"\r\nConnection: keep-alive\r\n\r\n",
        Connection::Close => b"\r\nConnection: close\r\n\r\n",
    });
}

fn status(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed(_)
        | Refusal::Store(StoreError::DigestMismatch)
        | Refusal::Name(
            NameError::Empty
            | NameError::NotUtf8
            | NameError::Absolute
            | NameError::BadComponent
            | NameError::BadCharacter,
        )
        | Refusal::UnexpectedMessage
        | Refusal::UnknownMessage
        | Refusal::TextTooLong
        | Refusal::LineTooLong => "400 Bad Request",
        Refusal::Store(StoreError::NotAFile | StoreError::Denied) => "403 Forbidden",
        Refusal::Store(StoreError::NotFound) => "404 Not Found",
        Refusal::MethodNotAllowed => "405 Method Not Allowed",
        Refusal::TimedOut => "408 Request Timeout",
        Refusal::Store(StoreError::NoFolder | StoreError::NameTaken) => "409 Conflict",
        Refusal::Store(StoreError::Busy) => "423 Locked",
        Refusal::LengthRequired => "411 Length Required",
        Refusal::TooLarge => "413 Content Too Large",
        Refusal::TargetTooLong
        | Refusal::Name(NameError::TooLong)
        | Refusal::Store(StoreError::NameTooLong) => "414 URI Too Long",
        Refusal::ExpectationUnknown => "417 Expectation Failed",
        Refusal::HeadersTooLarge => "431 Request Header Fields Too Large",
        Refusal::Store(StoreError::Failed) => "500 Internal Server Error",
        Refusal::MethodUnknown | Refusal::TransferCodingUnknown => "501 Not Implemented",
        Refusal::Store(StoreError::Overloaded) => "503 Service Unavailable",
        Refusal::VersionNotSupported => "505 HTTP Version Not Supported",
        Refusal::Store(StoreError::Full) => "507 Insufficient Storage",
    }
}

/// The media type that a name's extension stands for.
fn content_type(name: &FileName) -> &'static str {
    const TYPES: [(&str, &str); 11] = [
        ("txt", "text/plain; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("svg", "image/svg+xml"),
        ("pdf", "application/pdf"),
    ];
    let (_, last) = name.split();
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Percent-encodes a name but for its slashes and what never needs it (RFC 3986, 2.3).
fn push_encoded(output: &mut Buffer, name: &FileName) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in name.as_str().bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => output.push(&[byte]),
            byte if byte.is_ascii_alphanumeric() => output.push(&[byte]),
            byte => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                output.push(&[b'%', high, low]);
            }
        }
    }
}
