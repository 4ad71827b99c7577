//! Framing of a body: the place of its content in the input, and its end.

use crate::Buffer;
use crate::refusal::Refusal;

/// Longest chunk-size line and longest trailer section, in bytes.
const CHUNK_LINE_BYTES: u32 = 1024;
const TRAILER_BYTES: u32 = 8 << 10;

/// Rest of a body. It counts bytes and never holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Body of a declared length.
    Sized { left: u64 },
    /// Chunks of HTTP's `chunked` transfer coding.
    Chunked(Chunked),
}

/// Next part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Length of the content at the start of the input.
    Content(usize),
    /// More input is needed.
    Incomplete,
    /// The body is complete, and its last byte consumed.
    End,
    /// The body breaks the grammar or a limit; its end cannot be found.
    Malformed(Refusal),
}

impl Body {
    /// Empty body, or the end of one.
    pub(crate) const EMPTY: Self = Self::Sized { left: 0 };

    /// Creates a chunked body of at most `limit` bytes of content.
    pub(crate) fn chunked(limit: u64) -> Self {
        Self::Chunked(Chunked::new(limit))
    }

    /// Number of bytes left; `None` if it is unknown.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Sized { left } => Some(*left),
            Self::Chunked(_) => None,
        }
    }

    /// Limits the further content of a chunked body to `limit` bytes.
    pub(crate) fn limit(&mut self, limit: u64) {
        if let Self::Chunked(chunked) = self {
            chunked.limit = chunked.limit.min(limit);
        }
    }

    /// Uncounts the last `len` bytes of content, which are still in the input and to be skipped
    /// like the rest.
    pub(crate) fn put_back(&mut self, len: usize) {
        if let Self::Sized { left } = self {
            *left += len as u64;
        }
    }

    /// Counts content that never was in the input.
    pub(crate) fn transferred(&mut self, bytes: u64) {
        if let Self::Sized { left } = self {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Finds the next content, removing the framing before it. The first `held` bytes of the input
    /// are earlier content, not yet consumed; the found content adjoins them.
    pub(crate) fn next(&mut self, input: &mut Buffer, held: usize) -> Part {
        let part = match self {
            Self::Sized { left: 0 } => Part::End,
            Self::Sized { left } => content(*left, input.len() - held),
            Self::Chunked(chunked) => {
                let (framing, part) = chunked.next(&input.filled()[held..]);
                if framing > 0 {
                    input.remove(held, framing);
                }
                part
            }
        };
        if part == Part::End {
            *self = Self::EMPTY;
        }
        part
    }

    /// Counts content that was consumed from the input.
    pub(crate) fn consumed(&mut self, len: usize) {
        match self {
            Self::Sized { left } => *left -= len as u64,
            Self::Chunked(chunked) => chunked.consumed(len),
        }
    }
}

fn content(left: u64, available: usize) -> Part {
    match usize::try_from(left).unwrap_or(usize::MAX).min(available) {
        0 => Part::Incomplete,
        len => Part::Content(len),
    }
}

/// Position in HTTP's `chunked` transfer coding (RFC 9112, 7.1). The framing is consumed as it
/// arrives, so no byte is read twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunked {
    phase: Phase,
    /// Rest of the current chunk's content.
    left: u64,
    /// Most content of all further chunks.
    limit: u64,
    /// Length of the current size line, or of the trailer section.
    line_bytes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Size {
        digits: u8,
    },
    SizeSpace,
    /// After a semicolon: the name of an extension must follow.
    ExtensionStart,
    Extension,
    /// In a quoted value of an extension.
    Quoted,
    QuotedPair,
    SizeLf,
    Content,
    ContentLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    FinalLf,
}

impl Chunked {
    /// Creates a body of at most `limit` bytes of content.
    pub(crate) fn new(limit: u64) -> Self {
        Self { phase: Phase::Size { digits: 0 }, left: 0, limit, line_bytes: 0 }
    }

    /// Decodes the framing at the start of `bytes`. Returns its length, and the part behind it.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> (usize, Part) {
        let mut framing = 0;
        while self.phase != Phase::Content || self.left == 0 {
            let Some(&byte) = bytes.get(framing) else { return (framing, Part::Incomplete) };
            framing += 1;
            match self.step(byte) {
                Ok(Some(end)) => return (framing, end),
                Ok(None) => {}
                Err(refusal) => return (framing, Part::Malformed(refusal)),
            }
        }
        (framing, content(self.left, bytes.len() - framing))
    }

    /// Counts content that was consumed.
    pub(crate) fn consumed(&mut self, len: usize) {
        self.left -= len as u64;
    }

    /// Decodes one byte of framing.
    fn step(&mut self, byte: u8) -> Result<Option<Part>, Refusal> {
        const MALFORMED: Refusal = Refusal::Malformed("malformed chunk");
        self.line_bytes += 1;
        self.phase = match (self.phase, byte) {
            (
                Phase::Size { .. }
                | Phase::SizeSpace
                | Phase::ExtensionStart
                | Phase::Extension
                | Phase::Quoted
                | Phase::QuotedPair,
                _,
            ) if self.line_bytes > CHUNK_LINE_BYTES => {
                return Err(Refusal::Malformed("chunk-size line too long"));
            }
            (Phase::TrailerStart | Phase::Trailer, _) if self.line_bytes > TRAILER_BYTES => {
                return Err(Refusal::HeadersTooLarge);
            }
            (Phase::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = self.left.checked_mul(16).and_then(|size| size.checked_add(digit));
                self.left = size.ok_or(Refusal::Malformed("chunk size overflows"))?;
                Phase::Size { digits: digits.saturating_add(1) }
            }
            (Phase::Size { digits: 0 }, _) => return Err(MALFORMED),
            (Phase::Size { .. } | Phase::SizeSpace | Phase::Extension, b'\r') => Phase::SizeLf,
            (Phase::Size { .. } | Phase::SizeSpace, b' ' | b'\t') => Phase::SizeSpace,
            (Phase::Size { .. } | Phase::SizeSpace | Phase::Extension, b';') => {
                Phase::ExtensionStart
            }
            (Phase::ExtensionStart, b' ' | b'\t') => Phase::ExtensionStart,
            (Phase::ExtensionStart, byte) if is_token_byte(byte) => Phase::Extension,
            (Phase::Extension, b'"') => Phase::Quoted,
            (Phase::Extension, b'=' | b' ' | b'\t') => Phase::Extension,
            (Phase::Extension, byte) if is_token_byte(byte) => Phase::Extension,
            (Phase::Quoted, b'"') => Phase::Extension,
            (Phase::Quoted, b'\\') => Phase::QuotedPair,
            (Phase::Quoted | Phase::QuotedPair, b'\t' | b' '..=b'~' | 0x80..) => Phase::Quoted,
            (Phase::Trailer, b'\t' | b' '..=b'~' | 0x80..) => Phase::Trailer,
            (Phase::SizeLf, b'\n') if self.left == 0 => {
                self.line_bytes = 0;
                Phase::TrailerStart
            }
            (Phase::SizeLf, b'\n') => {
                self.limit = self.limit.checked_sub(self.left).ok_or(Refusal::TooLarge)?;
                Phase::Content
            }
            // Only reached after the chunk's content.
            (Phase::Content, b'\r') => Phase::ContentLf,
            (Phase::ContentLf, b'\n') => {
                self.line_bytes = 0;
                Phase::Size { digits: 0 }
            }
            (Phase::TrailerStart, b'\r') => Phase::FinalLf,
            (Phase::TrailerStart, b'!'..=b'~') => Phase::Trailer,
            (Phase::Trailer, b'\r') => Phase::TrailerLf,
            (Phase::TrailerLf, b'\n') => Phase::TrailerStart,
            (Phase::FinalLf, b'\n') => return Ok(Some(Part::End)),
            _ => return Err(MALFORMED),
        };
        Ok(None)
    }
}

/// Returns true if a byte may be part of a token (RFC 9110, 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `step` and gathers the content.
    fn read(bytes: &[u8], step: usize, limit: u64) -> (Vec<u8>, Part, usize) {
        let mut body = Body::chunked(limit);
        let mut input = Buffer::default();
        let mut content = Vec::new();
        let mut pieces = bytes.chunks(step);
        loop {
            match body.next(&mut input, 0) {
                Part::Content(len) => {
                    content.extend_from_slice(&input.filled()[..len]);
                    input.consume(len);
                    body.consumed(len);
                }
                Part::Incomplete => match pieces.next() {
                    Some(piece) => input.push(piece),
                    None => return (content, Part::Incomplete, 0),
                },
                part @ (Part::End | Part::Malformed(_)) => {
                    return (content, part, input.len() + pieces.map(<[u8]>::len).sum::<usize>());
                }
            }
        }
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let bytes = b"5\r\nhello\r\nA; name=\"v;\\\"\" ; b = c;d\r\n0123456789\r\n0 ;last\r\n\
            X-Sum: 1\r\nY: 2\r\n\r\nrest";
        for step in 1..=bytes.len() {
            let read = read(bytes, step, 15);
            assert_eq!(read, (b"hello0123456789".to_vec(), Part::End, 4), "in steps of {step}");
        }
    }

    #[test]
    fn faulty_chunks_are_refused_however_they_arrive() {
        let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000));
        let long_trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(9000));
        for bytes in [
            "\r\n\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            " 5\r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello\r\n",
            "5 5\r\nhello\r\n",
            "5;a\nhello\r\n",
            "5;\0\r\nhello\r\n",
            "5;\r\nhello\r\n",
            "5; \r\nhello\r\n",
            "5;;a\r\nhello\r\n",
            "5;a;\r\nhello\r\n",
            "5;=a\r\nhello\r\n",
            "5;a=\"b\r\nhello\r\n",
            "5;a=\"b\\\r\nhello\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n",
            "10000000000000000\r\n",
            "10\r\n0123456789abcdef\r\n1\r\na\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\n\n",
            &long_extension,
            &long_trailer,
        ] {
            for step in [1, 2, 7, bytes.len()] {
                let (_, part, _) = read(bytes.as_bytes(), step, 16);
                assert!(
                    matches!(part, Part::Malformed(_)),
                    "{bytes:?} in steps of {step}: {part:?}"
                );
            }
        }
    }
}
