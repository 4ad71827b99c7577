//! The framed wire: typed, length-prefixed messages. All numbers are big-endian.
//!
//! | type | content | meaning |
//! | --- | --- | --- |
//! | [`TEXT`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | to the server: name of the next upload; from it: `OK` or `SAVED <name>` |
//! | [`DATA1`] … [`DATA8`] | size in 1, 2, 3, 4 or 8 bytes, then the bytes | a file's content |
//! | [`GET`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | request for a file |
//! | [`ERROR`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | from the server: reason of a refusal |

use super::body::Body;
use crate::exchange::{Decoded, Persist, Reply, Request, Sink};
use crate::refusal::Refusal;
use crate::{Buffer, FileInfo, FileName, NameError};

/// Message type: a short string, as an upload's name or its answer.
pub const TEXT: u8 = 0x01;
/// Message type: content with a size of 1 byte.
pub const DATA1: u8 = 0x02;
/// Message type: content with a size of 2 bytes.
pub const DATA2: u8 = 0x03;
/// Message type: content with a size of 3 bytes.
pub const DATA3: u8 = 0x04;
/// Message type: content with a size of 4 bytes.
pub const DATA4: u8 = 0x05;
/// Message type: content with a size of 8 bytes.
pub const DATA8: u8 = 0x06;
/// Message type: a request for a file.
pub const GET: u8 = 0x07;
/// Message type: a refusal, from the server to the client.
pub const ERROR: u8 = 0x08;

/// Longest content of a [`TEXT`], [`GET`] or [`ERROR`] message, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Answer to an accepted upload name.
pub const OK: &str = "OK";
/// Beginning of the answer to an upload, followed by the stored name.
pub const SAVED: &str = "SAVED ";

/// Width of the size field in bytes for a data message type; `None` for any other type.
pub const fn size_width(message_type: u8) -> Option<usize> {
    match message_type {
        DATA1 => Some(1),
        DATA2 => Some(2),
        DATA3 => Some(3),
        DATA4 => Some(4),
        DATA8 => Some(8),
        _ => None,
    }
}

/// Data type with the shortest size field that can hold `len`.
pub const fn data_type(len: u64) -> u8 {
    match len {
        0..=0xff => DATA1,
        0x100..=0xffff => DATA2,
        0x1_0000..=0xff_ffff => DATA3,
        0x100_0000..=0xffff_ffff => DATA4,
        _ => DATA8,
    }
}

/// Longest name of an upload in bytes: `SAVED ` and the longest `_copyN` must still fit.
const MAX_UPLOAD_NAME_BYTES: usize = MAX_TEXT_BYTES - SAVED.len() - "_copy4294967295".len();

/// Server's half of the framed wire.
#[derive(Debug, Default)]
pub(crate) struct Framed {
    /// The session's name is that of the next upload.
    pub(crate) has_upload_name: bool,
}

impl Framed {
    pub(crate) fn decode(&mut self, input: &mut Buffer, name: &mut FileName) -> Decoded {
        let bytes = input.filled();
        let Some(&message_type) = bytes.first() else { return Decoded::Incomplete };
        match (message_type, size_width(message_type)) {
            (_, Some(width)) => {
                let Some(field) = bytes.get(1..=width) else { return Decoded::Incomplete };
                let left = field.iter().fold(0, |size, &byte| size << 8 | u64::from(byte));
                input.consume(1 + width);
                if !std::mem::take(&mut self.has_upload_name) {
                    name.clear();
                }
                accepted(Request::Upload {
                    sink: Sink::File,
                    body: Body::Sized { left },
                    expects_continue: false,
                    digest: None,
                })
            }
            (TEXT | GET | ERROR, None) => {
                let Some(&[high, low]) = bytes.get(1..3) else { return Decoded::Incomplete };
                let len = usize::from(u16::from_be_bytes([high, low]));
                if message_type == ERROR || len > MAX_TEXT_BYTES {
                    input.consume(3);
                    self.has_upload_name = false;
                    let refusal = match message_type {
                        ERROR => Refusal::UnexpectedMessage,
                        _ => Refusal::TextTooLong,
                    };
                    return refused(refusal, Body::Sized { left: len as u64 }, Persist::Keep);
                }
                let Some(text) = bytes.get(3..3 + len) else { return Decoded::Incomplete };
                let assigned = name.assign(text);
                input.consume(3 + len);
                self.has_upload_name = false;
                match (assigned, message_type) {
                    (Err(error), _) => refused(Refusal::Name(error), Body::EMPTY, Persist::Keep),
                    (Ok(()), GET) => accepted(Request::Download),
                    (Ok(()), _) if len > MAX_UPLOAD_NAME_BYTES => {
                        refused(Refusal::Name(NameError::TooLong), Body::EMPTY, Persist::Keep)
                    }
                    (Ok(()), _) => {
                        self.has_upload_name = true;
                        accepted(Request::NameUpload)
                    }
                }
            }
            // The end of such a message is unknown.
            (_, None) => refused(Refusal::UnknownMessage, Body::EMPTY, Persist::Close),
        }
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>) {
        match reply {
            Reply::Answer(answer) => push_message(output, TEXT, |output| answer.write(output)),
            Reply::Mail(message) => push_message(output, TEXT, |output| output.push(message)),
            // An answer would look like another member's message.
            Reply::Posted => {}
            Reply::NameAccepted => push_message(output, TEXT, |output| output.push(OK.as_bytes())),
            Reply::Stored(stored) => push_message(output, TEXT, |output| {
                output.push(SAVED.as_bytes());
                output.push(stored.name.as_str().as_bytes());
            }),
            Reply::Refused { refusal, name, .. } => push_message(output, ERROR, |output| {
                super::push_refusal(output, *refusal, name);
            }),
            Reply::Listing { .. }
            | Reply::Options { .. }
            | Reply::FormStored { .. }
            | Reply::PartialCreated(_)
            | Reply::Partial(_)
            | Reply::PartialStored { .. }
            | Reply::Worked
            | Reply::Status(_) => unreachable!("no framed message asks for this"),
        }
    }

    /// Appends the head of a file's content.
    pub(crate) fn file(&self, output: &mut Buffer, info: &FileInfo) {
        let message_type = data_type(info.len);
        let width = size_width(message_type).unwrap_or(8);
        output.push(&[message_type]);
        output.push(&info.len.to_be_bytes()[8 - width..]);
    }
}

/// Decodes a message to a lab service: a [`TEXT`], or data to store where the service does.
pub(crate) fn decode_message(input: &mut Buffer, stores_data: bool) -> Decoded {
    let bytes = input.filled();
    let Some(&message_type) = bytes.first() else { return Decoded::Incomplete };
    let width = match (message_type, size_width(message_type)) {
        (_, Some(width)) => width,
        (TEXT | GET | ERROR, None) => 2,
        (_, None) => return refused(Refusal::UnknownMessage, Body::EMPTY, Persist::Close),
    };
    let Some(field) = bytes.get(1..=width) else { return Decoded::Incomplete };
    let left = field.iter().fold(0, |size, &byte| size << 8 | u64::from(byte));
    input.consume(1 + width);
    let body = Body::Sized { left };
    match message_type {
        TEXT if left > MAX_TEXT_BYTES as u64 => refused(Refusal::TextTooLong, body, Persist::Keep),
        TEXT => accepted(Request::Upload {
            sink: Sink::Message { held: 0 },
            body,
            expects_continue: false,
            digest: None,
        }),
        DATA1..=DATA8 if stores_data => accepted(Request::Upload {
            sink: Sink::File,
            body,
            expects_continue: false,
            digest: None,
        }),
        _ if stores_data => refused(Refusal::TextOrDataOnly, body, Persist::Keep),
        _ => refused(Refusal::TextOnly, body, Persist::Keep),
    }
}

/// Appends a message with a text, which is cut to the longest allowed.
fn push_message(output: &mut Buffer, message_type: u8, write: impl FnOnce(&mut Buffer)) {
    let mut text = Buffer::default();
    write(&mut text);
    let text = &text.filled()[..text.len().min(MAX_TEXT_BYTES)];
    let whole = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
    output.push(&[message_type]);
    output.push(&(whole as u16).to_be_bytes());
    output.push(&text[..whole]);
}

fn accepted(request: Request) -> Decoded {
    Decoded::Request { request, persist: Persist::Keep }
}

fn refused(refusal: Refusal, body: Body, persist: Persist) -> Decoded {
    Decoded::Refused { refusal, body, persist }
}
