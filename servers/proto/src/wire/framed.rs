//! The framed wire: typed, length-prefixed messages, all numbers big-endian.
//!
//! | type | what follows | meaning |
//! | --- | --- | --- |
//! | [`TEXT`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | to the server: the name of the next upload; from it: `OK` or `SAVED <name>` |
//! | [`DATA1`] … [`DATA8`] | size in 1, 2, 3, 4 or 8 bytes, then the bytes | a file's content |
//! | [`GET`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | asks for a file |
//! | [`ERROR`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | from the server: why not |

use super::body::Body;
use crate::exchange::{Decoded, Persist, Reply, Request, Sink};
use crate::refusal::Refusal;
use crate::{Buffer, FileInfo, FileName, NameError};

/// A short string: an upload's name, or the server's answer to an upload.
pub const TEXT: u8 = 0x01;
/// Content whose size is told in 1 byte.
pub const DATA1: u8 = 0x02;
/// Content whose size is told in 2 bytes.
pub const DATA2: u8 = 0x03;
/// Content whose size is told in 3 bytes.
pub const DATA3: u8 = 0x04;
/// Content whose size is told in 4 bytes.
pub const DATA4: u8 = 0x05;
/// Content whose size is told in 8 bytes.
pub const DATA8: u8 = 0x06;
/// A request for a file.
pub const GET: u8 = 0x07;
/// A refusal, server to client.
pub const ERROR: u8 = 0x08;

/// Longest content of a [`TEXT`], [`GET`] or [`ERROR`] message, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// The answer to an accepted upload name.
pub const OK: &str = "OK";
/// What precedes the stored name in the answer to an upload.
pub const SAVED: &str = "SAVED ";

/// How many bytes tell the size in a data message of this type; `None` for any other type.
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

/// The data type with the shortest size field that can tell `len`.
pub const fn data_type(len: u64) -> u8 {
    match len {
        0..=0xff => DATA1,
        0x100..=0xffff => DATA2,
        0x1_0000..=0xff_ffff => DATA3,
        0x100_0000..=0xffff_ffff => DATA4,
        _ => DATA8,
    }
}

/// Longest name that can be announced, in bytes: `SAVED ` and the longest `_copyN` must still fit.
const MAX_UPLOAD_NAME_BYTES: usize = MAX_TEXT_BYTES - SAVED.len() - "_copy4294967295".len();

/// The server's half of the wire.
#[derive(Debug, Default)]
pub(crate) struct Framed {
    /// The session's name is that of the next upload.
    pub(crate) announced: bool,
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
                if !std::mem::take(&mut self.announced) {
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
                    self.announced = false;
                    let refusal = match message_type {
                        ERROR => Refusal::UnexpectedMessage,
                        _ => Refusal::TextTooLong,
                    };
                    return refused(refusal, Body::Sized { left: len as u64 }, Persist::Keep);
                }
                let Some(text) = bytes.get(3..3 + len) else { return Decoded::Incomplete };
                let assigned = name.assign(text);
                input.consume(3 + len);
                self.announced = false;
                match (assigned, message_type) {
                    (Err(error), _) => refused(Refusal::Name(error), Body::EMPTY, Persist::Keep),
                    (Ok(()), GET) => accepted(Request::Download),
                    (Ok(()), _) if len > MAX_UPLOAD_NAME_BYTES => {
                        refused(Refusal::Name(NameError::TooLong), Body::EMPTY, Persist::Keep)
                    }
                    (Ok(()), _) => {
                        self.announced = true;
                        accepted(Request::Announce)
                    }
                }
            }
            // Nothing tells where such a message ends.
            (_, None) => refused(Refusal::UnknownMessage, Body::EMPTY, Persist::Close),
        }
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>) {
        match reply {
            Reply::Answer(answer) => push_message(output, TEXT, |output| answer.write(output)),
            Reply::Mail(message) => push_message(output, TEXT, |output| output.push(message)),
            // Its answer could not be told from another member's message.
            Reply::Posted => {}
            Reply::Announced => push_message(output, TEXT, |output| output.push(OK.as_bytes())),
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
            | Reply::Worked => unreachable!("no framed message asks for this"),
        }
    }

    /// Appends what precedes a file's content.
    pub(crate) fn file(&self, output: &mut Buffer, info: &FileInfo) {
        let message_type = data_type(info.len);
        let width = size_width(message_type).unwrap_or(8);
        output.push(&[message_type]);
        output.push(&info.len.to_be_bytes()[8 - width..]);
    }
}

/// The wire where a service takes messages: they come as [`TEXT`].
pub(crate) fn decode_message(input: &mut Buffer) -> Decoded {
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
        _ => refused(Refusal::TextOnly, body, Persist::Keep),
    }
}

/// Appends a message of text, cut where it is too long for its wire.
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
