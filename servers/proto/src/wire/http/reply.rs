//! Replies of the http wire.

use std::fmt::Write as _;
use std::ops::Range;

use super::conditions::{ETag, Selection};
use super::listing::{self, Format};
use super::{RequestInfo, date, media, tus};
use crate::exchange::Reply;
use crate::refusal::Refusal;
use crate::{
    Buffer, Entry, FileDescription, FileInfo, FileName, NameError, Now, StoreError, percent,
};

/// Interim reply that asks a waiting peer for its body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Part of every head between status and date.
const COMMON: &[u8] = b"\r\nServer: threads-vs-selectors\r\nX-Content-Type-Options: nosniff\r\n\
      Cross-Origin-Resource-Policy: same-origin\r\nDate: ";

/// Properties that a reply depends on, besides its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) request: RequestInfo,
    pub(super) connection: Connection,
    pub(super) now: Now,
}

/// The `Connection` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Absent: the connection stays open, the default of HTTP/1.1.
    Unsaid,
    /// `keep-alive`, for a peer with HTTP/1.0.
    KeepAlive,
    Close,
}

/// Writes a head and, unless the method is HEAD, the content.
pub(super) fn write(output: &mut Buffer, reply: &Reply<'_>, context: Context) {
    match reply {
        Reply::Listing { entries, server_name } => {
            write_listing(output, entries, server_name, context);
        }
        Reply::Answer(answer) => {
            begin(output, "200 OK", context);
            push_field(output, "Content-Type", "text/plain; charset=utf-8");
            push_field(output, "Cache-Control", "no-store");
            end(output, Some(answer.len() as u64), context);
            if !context.request.is_head {
                answer.write(output);
            }
        }
        Reply::Posted => {
            begin(output, "204 No Content", context);
            end(output, None, context);
        }
        Reply::Mail(_) => unreachable!("http has no way to bring what was not asked for"),
        Reply::Worked => {
            begin(output, "200 OK", context);
            push_field(output, "Cache-Control", "no-store");
            write_text(output, &["worked\n"], context);
        }
        Reply::Status(status) => {
            begin(output, "200 OK", context);
            push_field(output, "Content-Type", "application/json");
            push_field(output, "Cache-Control", "no-store");
            end(output, Some(status.len() as u64), context);
            if !context.request.is_head {
                output.push(status.as_bytes());
            }
        }
        Reply::Options { .. } if context.request.resource.is_service() => {
            begin(output, "204 No Content", context);
            push_field(output, "Allow", context.request.resource.methods());
            end(output, None, context);
        }
        Reply::Options { upload_bytes } => {
            begin(output, "204 No Content", context);
            push_field(output, "Allow", context.request.resource.methods());
            if !context.request.is_tus {
                push_field(output, "Tus-Resumable", tus::VERSION);
            }
            push_field(output, "Tus-Version", tus::VERSION);
            push_field(output, "Tus-Extension", tus::EXTENSIONS);
            push_number(output, "Tus-Max-Size", *upload_bytes);
            end(output, None, context);
        }
        Reply::Stored(stored) => {
            match stored.replaced {
                true => begin(output, "200 OK", context),
                false => {
                    begin(output, "201 Created", context);
                    push_path(output, "Location", &stored.name);
                }
            }
            write_text(output, &[stored.name.as_str(), "\n"], context);
        }
        Reply::FormStored { names } => {
            begin(output, "303 See Other", context);
            push_field(output, "Location", "/");
            write_text(output, &[names], context);
        }
        Reply::PartialCreated(id) => {
            begin(output, "201 Created", context);
            write!(output, "\r\nLocation: /{}{:032x}", tus::FOLDER, id.0)
                .expect("a buffer takes whatever is written");
            end(output, Some(0), context);
        }
        Reply::Partial(info) if context.request.is_head => {
            begin(output, "200 OK", context);
            push_number(output, "Upload-Offset", info.offset);
            push_number(output, "Upload-Length", info.len);
            push_field(output, "Cache-Control", "no-store");
            end(output, Some(0), context);
        }
        Reply::Partial(info) => {
            begin(output, "204 No Content", context);
            push_number(output, "Upload-Offset", info.offset);
            end(output, None, context);
        }
        Reply::PartialStored { stored, len } => {
            begin(output, "204 No Content", context);
            push_number(output, "Upload-Offset", *len);
            push_path(output, "Content-Location", &stored.name);
            end(output, None, context);
        }
        Reply::Refused { refusal, stored, .. } => write_refusal(output, *refusal, stored, context),
        Reply::NameAccepted => unreachable!("http announces nothing"),
    }
}

/// Writes the head of a file's content, or a reply in its place.
pub(super) fn write_file(
    output: &mut Buffer,
    name: &FileName,
    file: &FileDescription,
    selection: &Selection,
    context: Context,
) {
    let info = &file.info();
    let part = match selection {
        Selection::Whole => {
            begin(output, "200 OK", context);
            // A time in the future must not be sent (RFC 9110, 8.8.2.1), and will pass.
            if is_past(info, context.now) {
                output.push(file.fields());
            } else {
                push_file_fields(output, name, info, None, context.now.unix_s);
            }
            return end(output, None, context);
        }
        Selection::Part(part) => part,
        Selection::NotModified => {
            begin(output, "304 Not Modified", context);
            push_etag(output, info);
            return end(output, None, context);
        }
        Selection::PreconditionFailed => {
            begin(output, "412 Precondition Failed", context);
            return write_text(output, &["the file does not meet the condition\n"], context);
        }
        Selection::Unsatisfiable => {
            begin(output, "416 Range Not Satisfiable", context);
            output.push(b"\r\nContent-Range: bytes */");
            output.push_decimal(info.len);
            return write_text(output, &["the range is outside the file\n"], context);
        }
    };
    begin(output, "206 Partial Content", context);
    push_file_fields(output, name, info, Some(part), context.now.unix_s);
    end(output, None, context);
}

/// Header fields of a reply with a whole file, provided that its time is in the past.
pub(crate) fn file_fields(name: &FileName, info: &FileInfo) -> Box<[u8]> {
    let mut output = Buffer::default();
    push_file_fields(&mut output, name, info, None, u64::MAX);
    output.filled().into()
}

fn is_past(info: &FileInfo, now: Now) -> bool {
    u64::try_from(info.modified.unix_s).is_ok_and(|modified| modified <= now.unix_s)
}

/// Writes the fields about a file, or a part of it, up to the length of the content.
fn push_file_fields(
    output: &mut Buffer,
    name: &FileName,
    info: &FileInfo,
    part: Option<&Range<u64>>,
    now_s: u64,
) {
    push_etag(output, info);
    // Times before 1970 cannot be expressed; future ones must not be sent (RFC 9110, 8.8.2.1).
    if let Ok(modified) = u64::try_from(info.modified.unix_s) {
        output.push(b"\r\nLast-Modified: ");
        output.push(&date::format(modified.min(now_s)));
    }
    if let Some(part) = part {
        output.push(b"\r\nContent-Range: bytes ");
        output.push_decimal(part.start);
        output.push(b"-");
        output.push_decimal(part.end - 1);
        output.push(b"/");
        output.push_decimal(info.len);
    }
    let content_type = media::content_type(name);
    output.push(b"\r\nAccept-Ranges: bytes\r\nContent-Type: ");
    output.push(content_type.as_bytes());
    // Scripts in an uploaded file must not run with this server's rights.
    if media::is_active(content_type) {
        push_field(output, "Content-Security-Policy", "sandbox");
    }
    push_number(output, "Content-Length", part.map_or(info.len, |part| part.end - part.start));
}

fn write_listing(output: &mut Buffer, entries: &[Entry], server_name: &str, context: Context) {
    let format = context.request.format;
    let mut content = Buffer::default();
    listing::write(&mut content, format, entries, server_name);
    begin(output, "200 OK", context);
    push_field(output, "Content-Type", format.media_type());
    push_field(output, "Cache-Control", "no-cache");
    push_field(output, "Vary", "Accept");
    if format == Format::Html {
        push_field(output, "Content-Security-Policy", listing::PAGE_POLICY);
    }
    end(output, Some(content.len() as u64), context);
    if !context.request.is_head {
        output.push(content.filled());
    }
}

fn write_refusal(output: &mut Buffer, refusal: Refusal, stored: &str, context: Context) {
    begin(output, status(refusal), context);
    if let Some((name, value)) = remedy(refusal, context) {
        push_field(output, name, value);
    }
    let reason = refusal.to_string();
    let before = if stored.is_empty() { "" } else { "stored before the error:\n" };
    write_text(output, &[&reason, "\n", before, stored], context);
}

/// Field that names an acceptable alternative.
#[expect(clippy::wildcard_enum_match_arm, reason = "few refusals have such a field")]
fn remedy(refusal: Refusal, context: Context) -> Option<(&'static str, &'static str)> {
    match refusal {
        Refusal::MethodNotAllowed => Some(("Allow", context.request.resource.methods())),
        Refusal::TusVersion => Some(("Tus-Version", tus::VERSION)),
        Refusal::CodingUnsupported => Some(("Accept-Encoding", "identity")),
        Refusal::NotAForm => Some(("Accept-Post", "multipart/form-data")),
        Refusal::NotAPiece => Some(("Accept-Patch", tus::MEDIA_TYPE)),
        _ => None,
    }
}

fn write_text(output: &mut Buffer, parts: &[&str], context: Context) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    push_field(output, "Content-Type", "text/plain; charset=utf-8");
    end(output, Some(len as u64), context);
    if !context.request.is_head {
        for part in parts {
            output.push(part.as_bytes());
        }
    }
}

fn begin(output: &mut Buffer, status: &str, context: Context) {
    output.push(b"HTTP/1.1 ");
    output.push(status.as_bytes());
    output.push(COMMON);
    output.push(&date::cached(context.now.unix_s));
    if context.request.is_tus {
        push_field(output, "Tus-Resumable", tus::VERSION);
    }
}

/// Ends a head; without a length if the status excludes content.
fn end(output: &mut Buffer, len: Option<u64>, context: Context) {
    if let Some(len) = len {
        output.push(b"\r\nContent-Length: ");
        output.push_decimal(len);
    }
    output.push(match context.connection {
        Connection::Unsaid => b"\r\n\r\n",
        Connection::KeepAlive => b"\r\nConnection: keep-alive\r\n\r\n",
        Connection::Close => b"\r\nConnection: close\r\n\r\n",
    });
}

fn push_name(output: &mut Buffer, name: &str) {
    output.push(b"\r\n");
    output.push(name.as_bytes());
    output.push(b": ");
}

fn push_field(output: &mut Buffer, name: &str, value: &str) {
    push_name(output, name);
    output.push(value.as_bytes());
}

fn push_number(output: &mut Buffer, name: &str, value: u64) {
    push_name(output, name);
    output.push_decimal(value);
}

fn push_path(output: &mut Buffer, name: &str, file: &FileName) {
    push_name(output, name);
    output.push(b"/");
    percent::encode(file.as_str(), |piece| output.push(piece.as_bytes()));
}

fn push_etag(output: &mut Buffer, info: &FileInfo) {
    output.push(b"\r\nETag: ");
    ETag::of(info).push(output);
}

pub(super) fn status(refusal: Refusal) -> &'static str {
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
        | Refusal::Incomplete
        | Refusal::UnexpectedMessage
        | Refusal::UnknownMessage
        | Refusal::TextTooLong
        | Refusal::TextOnly
        | Refusal::TextOrDataOnly
        | Refusal::TextNotUtf8
        | Refusal::LineTooLong => "400 Bad Request",
        Refusal::Store(StoreError::NotAFile | StoreError::Denied) | Refusal::CrossOrigin => {
            "403 Forbidden"
        }
        Refusal::Store(StoreError::NotFound) | Refusal::NotServedHere => "404 Not Found",
        Refusal::MethodNotAllowed => "405 Method Not Allowed",
        Refusal::TimedOut => "408 Request Timeout",
        Refusal::Store(StoreError::NoFolder | StoreError::NameTaken) | Refusal::OffsetMismatch => {
            "409 Conflict"
        }
        Refusal::LengthRequired => "411 Length Required",
        Refusal::TusVersion => "412 Precondition Failed",
        Refusal::TooLarge => "413 Content Too Large",
        Refusal::TargetTooLong
        | Refusal::Name(NameError::TooLong)
        | Refusal::Store(StoreError::NameTooLong) => "414 URI Too Long",
        Refusal::CodingUnsupported | Refusal::NotAForm | Refusal::NotAPiece => {
            "415 Unsupported Media Type"
        }
        Refusal::ExpectationUnknown => "417 Expectation Failed",
        Refusal::HostUnknown => "421 Misdirected Request",
        Refusal::Store(StoreError::Busy) => "423 Locked",
        Refusal::HeadersTooLarge => "431 Request Header Fields Too Large",
        Refusal::Store(StoreError::Failed) => "500 Internal Server Error",
        Refusal::MethodUnknown | Refusal::TransferCodingUnknown | Refusal::ConditionalUpload => {
            "501 Not Implemented"
        }
        Refusal::Store(StoreError::Overloaded) | Refusal::ReadsTooSlowly => {
            "503 Service Unavailable"
        }
        Refusal::VersionNotSupported => "505 HTTP Version Not Supported",
        Refusal::Store(StoreError::Full) => "507 Insufficient Storage",
    }
}
