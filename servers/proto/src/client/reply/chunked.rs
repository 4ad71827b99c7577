//! The chunked transfer coding of replies (RFC 9112, 7.1).

use super::{ReplyError, take};

/// Longest chunk extension or trailer section, in bytes.
const MAX_EXTRA_BYTES: usize = 16 << 10;

/// Reader of a chunked body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of the current chunk: its size so far, then the bytes still to come.
    left: u64,
    extra_bytes: usize,
}

/// Meaning of received bytes of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk<'i> {
    NeedMore,
    Body(&'i [u8]),
    End,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Size,
    MoreSize,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line of the trailer section.
    Trailer,
    TrailerLine,
    LastLf,
}

impl Chunks {
    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Chunk<'i>, ReplyError> {
        loop {
            if self.state == State::Data {
                let piece = take(input, self.left);
                self.left -= piece.len() as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(if piece.is_empty() { Chunk::NeedMore } else { Chunk::Body(piece) });
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Chunk::NeedMore) };
            *input = rest;
            if self.step(byte)? {
                return Ok(Chunk::End);
            }
        }
    }

    /// Decodes one byte outside the data; true after the last one.
    fn step(&mut self, byte: u8) -> Result<bool, ReplyError> {
        self.state = match (self.state, byte) {
            (State::Size | State::MoreSize, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                if self.left >> 60 != 0 {
                    return Err(ReplyError::Malformed("a chunk size out of range"));
                }
                self.left = self.left << 4 | digit;
                State::MoreSize
            }
            (State::MoreSize | State::Extension, b'\r') => State::SizeLf,
            (State::MoreSize, b';' | b' ' | b'\t') => State::Extension,
            (State::Extension, _) if byte != b'\n' => {
                self.count_extra()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left > 0 => State::Data,
            (State::SizeLf, b'\n') => State::Trailer,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailer, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => return Ok(true),
            (State::TrailerLine, b'\n') => State::Trailer,
            (State::Trailer | State::TrailerLine, _) => {
                self.count_extra()?;
                State::TrailerLine
            }
            _ => return Err(ReplyError::Malformed("a bad chunk")),
        };
        Ok(false)
    }

    fn count_extra(&mut self) -> Result<(), ReplyError> {
        self.extra_bytes += 1;
        if self.extra_bytes > MAX_EXTRA_BYTES {
            return Err(ReplyError::Malformed("chunk extensions or trailers are too long"));
        }
        Ok(())
    }
}
