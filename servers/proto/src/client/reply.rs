//! Incremental reading of replies.

mod head;

use crate::Wire;
use crate::wire::body::{Chunked, Part};
use crate::wire::framed::{DATA1, DATA8, ERROR, MAX_TEXT_BYTES, TEXT, size_width};
use head::HttpHead;

/// Longest head of an http reply, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Reader of the replies of one connection, in pieces of any size, one reply after the other.
///
/// Pass received bytes to [`next`](Self::next) until it returns [`ReplyEvent::NeedMore`], and
/// report the end of the connection by [`close`](Self::close).
#[derive(Debug)]
pub struct ReplyReader {
    wire: Wire,
    state: State,
    /// First part of an incomplete head; usually empty, as most heads arrive in one piece.
    head: Vec<u8>,
    text: Vec<u8>,
    /// The last http head, if the reader keeps heads.
    kept: Option<Vec<u8>>,
    /// The next reply answers a HEAD.
    is_head_only: bool,
    /// On the text wire, every line is a reply.
    by_lines: bool,
    known: KnownHead,
}

/// The last simple http head. Replies on one connection mostly begin alike, so the next one is
/// recognised by comparing bytes.
#[derive(Debug, Default)]
struct KnownHead {
    bytes: Vec<u8>,
    /// Meaning of the head: without a location, and with the body's length.
    head: Option<ReplyHead>,
}

impl KnownHead {
    const MAX_BYTES: usize = 512;

    /// The head at the front of the input, if it is the known one.
    #[inline]
    fn recognise(&self, input: &[u8]) -> Option<ReplyHead> {
        let head = self.head?;
        input.starts_with(&self.bytes).then_some(head)
    }

    fn remember(&mut self, bytes: &[u8], head: ReplyHead) {
        self.head = None;
        if bytes.len() <= Self::MAX_BYTES {
            self.bytes.clear();
            self.bytes.extend_from_slice(bytes);
            self.head = Some(head);
        }
    }
}

/// Meaning of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplyEvent<'i> {
    /// The input is used up, and the reply is incomplete.
    NeedMore,
    /// A reply begins.
    Head(ReplyHead),
    /// A piece of the body: a part of the input.
    Body(&'i [u8]),
    /// The reply is complete. The rest of the input belongs to the next one.
    End,
}

/// Beginning of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// Kind of reply.
    pub kind: ReplyKind,
    /// Length of the body, if declared beforehand.
    pub body_bytes: Option<u64>,
    /// The connection can be used again after this reply.
    pub keep_alive: bool,
}

/// Kind of reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// Status code of http.
    Status(u16),
    /// File on the framed wire; line on the text wire.
    Data,
    /// Short [`text`](ReplyReader::text) on the framed wire that answers an upload.
    Text,
    /// Refusal on the framed wire; [`text`](ReplyReader::text) has the reason.
    Error,
}

impl ReplyKind {
    /// Returns true if the request was granted.
    pub fn is_success(self) -> bool {
        match self {
            Self::Status(status) => (200..300).contains(&status),
            Self::Data | Self::Text => true,
            Self::Error => false,
        }
    }
}

/// Reason why a reply cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The bytes are not a reply.
    #[error("malformed reply: {0}")]
    Malformed(&'static str),
    /// The connection ended before the reply began.
    #[error("the server closed the connection without a reply")]
    NoReply,
    /// The connection ended within the reply.
    #[error("the server closed the connection in the middle of a reply")]
    Truncated,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// At the beginning of a reply, or within its head.
    Head,
    Counted(u64),
    Chunked(Chunked),
    UntilClose,
    /// At the beginning of a reply of this length without a head.
    Headless(u64),
    /// At the beginning of a line that is a reply.
    LineStart,
    /// Within a line that is a reply.
    Line,
    /// The last byte was returned, the end not yet.
    Ended,
}

impl ReplyReader {
    /// Creates a reader for a connection that speaks `wire`. On the text wire, everything received
    /// is one body that ends with the connection.
    pub fn new(wire: Wire) -> Self {
        let mut reader = Self {
            wire,
            state: State::Head,
            head: Vec::new(),
            text: Vec::new(),
            kept: None,
            is_head_only: false,
            by_lines: false,
            known: KnownHead::default(),
        };
        reader.reset();
        reader
    }

    /// Creates a reader that keeps the fields of http replies for [`field`](Self::field).
    pub fn keeping_fields(wire: Wire) -> Self {
        Self { kept: Some(Vec::new()), ..Self::new(wire) }
    }

    /// Creates a reader for the text wire on which every line is a reply: a success of unknown
    /// length whose body is the line with its end.
    pub fn of_lines() -> Self {
        let mut reader = Self { by_lines: true, ..Self::new(Wire::Text) };
        reader.reset();
        reader
    }

    /// Declares that the next reply answers an http HEAD: it consists of its head, whatever length
    /// that declares.
    pub fn expect_head_only(&mut self) {
        self.is_head_only = true;
    }

    /// Declares that the next reply, on the text wire, has this length: a success whose body is all
    /// of it.
    pub fn expect_bytes(&mut self, len: u64) {
        debug_assert_eq!(self.wire, Wire::Text, "other wires have heads");
        self.state = State::Headless(len);
    }

    /// Prepares the reader for a new connection.
    pub fn reset(&mut self) {
        self.state = match self.wire {
            Wire::Framed | Wire::Http => State::Head,
            Wire::Text if self.by_lines => State::LineStart,
            Wire::Text => State::UntilClose,
        };
        self.head.clear();
        self.is_head_only = false;
    }

    /// Decodes the next event, and removes its bytes from the front of `input`.
    ///
    /// # Errors
    /// The bytes are not a reply; the connection is unusable.
    #[inline]
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<ReplyEvent<'i>, ReplyError> {
        match &mut self.state {
            State::Head => {}
            State::Counted(left) => {
                let piece = take(input, *left);
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.state = State::Ended;
                }
                return Ok(if piece.is_empty() {
                    ReplyEvent::NeedMore
                } else {
                    ReplyEvent::Body(piece)
                });
            }
            State::Chunked(chunked) => {
                let (framing, part) = chunked.next(input);
                *input = &input[framing..];
                return match part {
                    Part::Content(len) => {
                        chunked.consumed(len);
                        Ok(ReplyEvent::Body(take(input, len as u64)))
                    }
                    Part::Incomplete => Ok(ReplyEvent::NeedMore),
                    Part::End => {
                        self.state = State::Head;
                        Ok(ReplyEvent::End)
                    }
                    Part::Malformed(_) => Err(ReplyError::Malformed("malformed chunk")),
                };
            }
            State::UntilClose => {
                let piece = std::mem::take(input);
                return Ok(if piece.is_empty() {
                    ReplyEvent::NeedMore
                } else {
                    ReplyEvent::Body(piece)
                });
            }
            State::Headless(_) if input.is_empty() => return Ok(ReplyEvent::NeedMore),
            State::Headless(len) => {
                let len = *len;
                self.state = counted(len);
                let (kind, body_bytes) = (ReplyKind::Data, Some(len));
                return Ok(ReplyEvent::Head(ReplyHead { kind, body_bytes, keep_alive: true }));
            }
            State::LineStart if input.is_empty() => return Ok(ReplyEvent::NeedMore),
            State::LineStart => {
                self.state = State::Line;
                let kind = ReplyKind::Data;
                let head = ReplyHead { kind, body_bytes: None, keep_alive: true };
                return Ok(ReplyEvent::Head(head));
            }
            State::Line if input.is_empty() => return Ok(ReplyEvent::NeedMore),
            State::Line => {
                let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
                if end.is_some() {
                    self.state = State::Ended;
                }
                return Ok(ReplyEvent::Body(take(input, end.unwrap_or(input.len()) as u64)));
            }
            State::Ended => {
                self.state = if self.by_lines { State::LineStart } else { State::Head };
                return Ok(ReplyEvent::End);
            }
        }
        self.next_head(input)
    }

    /// Ends the stream: the peer has closed the connection.
    ///
    /// # Errors
    /// The end cuts off a reply, or no reply has begun.
    pub fn close(&mut self) -> Result<(), ReplyError> {
        match self.state {
            State::UntilClose | State::Ended => Ok(()),
            State::Head if self.head.is_empty() => Err(ReplyError::NoReply),
            State::LineStart | State::Headless(_) => Err(ReplyError::NoReply),
            State::Line | State::Head | State::Counted(_) | State::Chunked(_) => {
                Err(ReplyError::Truncated)
            }
        }
    }

    /// Text of the latest reply: the content of a framed TEXT or ERROR, or the `Location` of an
    /// http reply. Empty for other replies. Invalid UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// Bytes of the latest reply's [`text`](Self::text).
    pub fn text_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Value of a field of the latest http reply; `None` if the field is missing or not text, or if
    /// the reader does not [keep fields](Self::keeping_fields).
    pub fn field(&self, name: &str) -> Option<&str> {
        self.kept.as_ref()?.split(|&byte| byte == b'\n').find_map(|line| {
            let (field, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim_ascii())
        })
    }

    fn next_head<'i>(&mut self, input: &mut &'i [u8]) -> Result<ReplyEvent<'i>, ReplyError> {
        loop {
            if input.is_empty() {
                return Ok(ReplyEvent::NeedMore);
            }
            let before = self.head.len();
            if before == 0
                && let Some(head) = self.known.recognise(input)
            {
                self.text.clear();
                *input = &input[self.known.bytes.len()..];
                let is_head_only = std::mem::take(&mut self.is_head_only);
                self.state = counted(if is_head_only { 0 } else { head.body_bytes.unwrap_or(0) });
                return Ok(ReplyEvent::Head(head));
            }
            if before > 0 {
                self.head.extend_from_slice(input);
            }
            let bytes = if before > 0 { &self.head } else { *input };
            let Some((used, parsed)) = parse(self.wire, bytes, &mut self.text)? else {
                if before == 0 {
                    self.head.extend_from_slice(input);
                }
                if self.head.len() > MAX_HEAD_BYTES {
                    return Err(ReplyError::Malformed("the head is too long"));
                }
                *input = &[];
                return Ok(ReplyEvent::NeedMore);
            };
            if let Some(kept) = &mut self.kept {
                kept.clear();
                kept.extend_from_slice(&bytes[..used]);
            } else if let Some((head, State::Counted(_) | State::Ended)) = &parsed
                && self.wire == Wire::Http
                && self.text.is_empty()
            {
                self.known.remember(&bytes[..used], *head);
            }
            // The bytes added last contain the end of a head that was incomplete before.
            *input = &input[used - before..];
            self.head.clear();
            if let Some((head, state)) = parsed {
                let is_head_only = std::mem::take(&mut self.is_head_only);
                self.state = if is_head_only { State::Ended } else { state };
                return Ok(ReplyEvent::Head(head));
            }
        }
    }
}

/// Length of a head in bytes, and its meaning (`None` for an interim reply).
type Parsed = (usize, Option<(ReplyHead, State)>);

fn parse(wire: Wire, bytes: &[u8], text: &mut Vec<u8>) -> Result<Option<Parsed>, ReplyError> {
    match wire {
        Wire::Framed => parse_framed(bytes, text),
        Wire::Http => {
            let Some((used, head)) = HttpHead::parse(bytes)? else { return Ok(None) };
            if head.is_interim() {
                return Ok(Some((used, None)));
            }
            text.clear();
            text.extend_from_slice(head.location);
            let state = match (head.has_no_body(), head.chunked, head.content_length) {
                (true, ..) | (_, false, Some(0)) => State::Ended,
                (_, true, _) => State::Chunked(Chunked::new(u64::MAX)),
                (_, false, Some(len)) => State::Counted(len),
                (_, false, None) => State::UntilClose,
            };
            let body_bytes = if head.has_no_body() { Some(0) } else { head.content_length };
            let keep_alive = head.keep_alive && state != State::UntilClose;
            let kind = ReplyKind::Status(head.status);
            Ok(Some((used, Some((ReplyHead { kind, body_bytes, keep_alive }, state)))))
        }
        Wire::Text => Err(ReplyError::Malformed("the text wire has no heads")),
    }
}

fn parse_framed(bytes: &[u8], text: &mut Vec<u8>) -> Result<Option<Parsed>, ReplyError> {
    let Some((&message_type, rest)) = bytes.split_first() else { return Ok(None) };
    match message_type {
        TEXT | ERROR => {
            let Some((len, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let len = usize::from(u16::from_be_bytes(*len));
            if len > MAX_TEXT_BYTES {
                return Err(ReplyError::Malformed("a text of more than 4096 bytes"));
            }
            let Some(said) = rest.get(..len) else { return Ok(None) };
            text.clear();
            text.extend_from_slice(said);
            let kind = if message_type == TEXT { ReplyKind::Text } else { ReplyKind::Error };
            let head = ReplyHead { kind, body_bytes: Some(0), keep_alive: true };
            Ok(Some((3 + len, Some((head, State::Ended)))))
        }
        DATA1..=DATA8 => {
            let width = size_width(message_type).expect("every data type has a size field");
            let Some(size) = rest.get(..width) else { return Ok(None) };
            let len = size.iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
            text.clear();
            let kind = ReplyKind::Data;
            let head = ReplyHead { kind, body_bytes: Some(len), keep_alive: true };
            Ok(Some((1 + width, Some((head, counted(len))))))
        }
        _ => Err(ReplyError::Malformed("an unknown framed message type")),
    }
}

/// State at the start of a body of this length.
fn counted(len: u64) -> State {
    if len == 0 { State::Ended } else { State::Counted(len) }
}

/// Removes up to `len` bytes from the front of the input.
fn take<'i>(input: &mut &'i [u8], len: u64) -> &'i [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
    let (piece, rest) = input.split_at(len);
    *input = rest;
    piece
}

#[cfg(test)]
mod tests;
