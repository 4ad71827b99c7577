//! Search for the end of a request's head, line by line as the bytes arrive.

use crate::Limits;
use crate::refusal::Refusal;

/// Position of the search. Offsets count from the head's first byte.
#[derive(Debug, Default)]
pub(super) struct Scan {
    scanned: u32,
    line_start: u32,
    /// Start of the header section; 0 while the request line is incomplete.
    headers_start: u32,
}

impl Scan {
    /// Returns true if no byte was searched.
    pub(super) fn is_at_start(&self) -> bool {
        self.scanned == 0
    }

    /// Length of the head with its final empty line; `None` while it is incomplete.
    ///
    /// # Errors
    /// A line or the section is longer than allowed, which is detected at its first excess byte, in
    /// whatever pieces the bytes arrive.
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

/// Converts an offset; limits refuse larger heads long before.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Number of bytes of empty lines before a request line, which a server ignores (RFC 9112, 2.2).
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
