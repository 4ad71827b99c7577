//! Standard output for server data, without control characters on a terminal.

use std::io::{self, IsTerminal};

use crate::failure::Failure;
use crate::terminal::print_bytes;

/// Prints data of a server piece by piece.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Elsewhere, bytes are printed unchanged.
    is_terminal: bool,
    /// Beginning of a character or of an end of line whose rest has not arrived.
    held: Vec<u8>,
}

impl Screen {
    /// Screen on standard output.
    pub(crate) fn stdout() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), held: Vec::new() }
    }

    /// Prints the next piece.
    pub(crate) fn show(&mut self, piece: &[u8]) -> Result<(), Failure> {
        if !self.is_terminal {
            return print_bytes(piece);
        }
        let text = self.sanitized_piece(piece);
        print_bytes(text.as_bytes())
    }

    /// Prints the held bytes at the end of the data.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.held);
        print_bytes(sanitized(&rest).as_bytes())
    }

    /// Printable text of the held bytes and this piece.
    fn sanitized_piece(&mut self, piece: &[u8]) -> String {
        self.held.extend_from_slice(piece);
        let whole = whole_bytes(&self.held);
        let text = sanitized(&self.held[..whole]);
        self.held.drain(..whole);
        text
    }
}

/// Text in which only tabs and ends of lines move the cursor.
pub(crate) fn sanitized(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            c => shown.push(c),
        }
    }
    shown
}

/// Length of the prefix that does not depend on following bytes.
fn whole_bytes(bytes: &[u8]) -> usize {
    if bytes.last() == Some(&b'\r') {
        return bytes.len() - 1;
    }
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    // Only a character at the end can be completed by following bytes.
    let is_begun = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if is_begun { bytes.len() - last.len() } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_data_cannot_move_the_cursor() {
        assert_eq!(sanitized(b"caf\xc3\xa9\tau lait\r\n"), "café\tau lait\n");
        assert_eq!(sanitized(b"\x1b[2Jgone\x07\r"), "\u{fffd}[2Jgone\u{fffd}\u{fffd}");
        assert_eq!(sanitized(b"\xc2\x9b1m\xff"), "\u{fffd}1m\u{fffd}");
    }

    #[test]
    fn pieces_print_the_same_text_as_the_whole() {
        let whole = "grüße €\r\n\u{1f600}\u{1b}[1m\r\n".as_bytes();
        for len in 1..whole.len() {
            let mut screen = Screen { is_terminal: true, held: Vec::new() };
            let pieces = whole.chunks(len).map(|piece| screen.sanitized_piece(piece));
            assert_eq!(pieces.collect::<String>(), sanitized(whole), "{len}");
            assert!(screen.held.is_empty());
        }
        let mut screen = Screen { is_terminal: true, held: Vec::new() };
        assert_eq!(screen.sanitized_piece(b"a\xff\xffb\xc3"), "a\u{fffd}\u{fffd}b");
        assert_eq!(screen.held, b"\xc3", "it may become a character");
    }
}
