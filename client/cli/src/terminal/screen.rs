//! Standard output for what a server says: on a terminal without what would do more than show.

use std::io::{self, IsTerminal};

use crate::failure::Failure;
use crate::terminal::print_bytes;

/// Prints what comes, piece by piece.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Elsewhere every byte is passed on as it came.
    is_terminal: bool,
    /// The beginning of a character, or of a line's end, whose rest is yet to come.
    held: Vec<u8>,
}

impl Screen {
    /// Standard output.
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

    /// Prints what was held back: nothing more comes.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.held);
        print_bytes(sanitized(&rest).as_bytes())
    }

    /// What can be shown of all that has come, and was not shown before.
    fn sanitized_piece(&mut self, piece: &[u8]) -> String {
        self.held.extend_from_slice(piece);
        let whole = whole_bytes(&self.held);
        let text = sanitized(&self.held[..whole]);
        self.held.drain(..whole);
        text
    }
}

/// As text in which nothing moves the cursor but tabs and the ends of lines.
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

/// How much of it does not depend on what comes next.
fn whole_bytes(bytes: &[u8]) -> usize {
    if bytes.last() == Some(&b'\r') {
        return bytes.len() - 1;
    }
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    // A character's beginning is at the end, and only there may it be completed.
    let is_begun = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if is_begun { bytes.len() - last.len() } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_move_the_cursor() {
        assert_eq!(sanitized(b"caf\xc3\xa9\tau lait\r\n"), "café\tau lait\n");
        assert_eq!(sanitized(b"\x1b[2Jgone\x07\r"), "\u{fffd}[2Jgone\u{fffd}\u{fffd}");
        assert_eq!(sanitized(b"\xc2\x9b1m\xff"), "\u{fffd}1m\u{fffd}");
    }

    #[test]
    fn pieces_show_what_the_whole_does() {
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
