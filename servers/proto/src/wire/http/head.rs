//! Where a request's head ends, found line by line as the bytes arrive.

use crate::Limits;
use crate::refusal::Refusal;

/// How far a head was looked at. Offsets count from its first byte.
#[derive(Debug, Default)]
pub(super) struct Scan {
    scanned: u32,
    line_start: u32,
    /// Where the header section begins; 0 while the request line is not whole.
    headers_start: u32,
}

impl Scan {
    /// Whether no byte of the head was looked at.
    pub(super) fn is_at_start(&self) -> bool {
        self.scanned == 0
    }

    /// The length of the head with its final empty line, once it is whole.
    ///
    /// # Errors
    /// A line or the whole section is longer than allowed. That is noticed at the very byte that
    /// is too much, however the bytes arrive.
    pub(super) fn head_end(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        loop {
            let (scanned, start) = (self.scanned as usize, self.line_start as usize);
            let newline = input[scanned..].iter().position(|&byte| byte == b'\n');
            let line_end = newline.map_or(input.len(), |at| scanned + at);
            let line = &input[start..line_end];
            // One byte more than the limit may be the carriage return.
            if self.headers_start == 0 {
                if line.len() > limits.request_line_bytes + 1 {
                    return Err(Refusal::TargetTooLong);
                }
            } else if line.len() > limits.header_bytes + 1
                || line_end - self.headers_start as usize > limits.headers_bytes
            {
                return Err(Refusal::HeadersTooLarge);
            }
            if newline.is_none() {
                self.scanned = offset(input.len());
                return Ok(None);
            }
            if self.headers_start > 0 && matches!(line, b"" | b"\r") {
                return Ok(Some(line_end + 1));
            }
            self.scanned = offset(line_end + 1);
            self.line_start = self.scanned;
            if self.headers_start == 0 {
                self.headers_start = self.scanned;
            }
        }
    }
}

/// Heads are bounded by their limits; one that large is refused long before.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// How many bytes of empty lines precede a request line; a server ignores them (RFC 9112, 2.2).
pub(super) fn empty_lines(input: &[u8]) -> usize {
    let mut len = 0;
    loop {
        match &input[len..] {
            [b'\r', b'\n', ..] => len += 2,
            [b'\n', ..] => len += 1,
            _ => return len,
        }
    }
}
