//! Detection of a connection's wire by its first bytes.

use super::Wire;
use super::framed::{ERROR, MAX_TEXT_BYTES, TEXT};
use super::telnet::IAC;
use crate::Limits;

/// Detector of the wire. It reads each byte of the first line once.
#[derive(Debug, Default)]
pub(crate) struct Sniffer {
    scanned: u32,
}

impl Sniffer {
    /// The wire, once the bytes show it; at the `end` of the stream they always do.
    ///
    /// A first byte of a framed message or a telnet command decides. Otherwise the first line must
    /// be complete: `GET name` and `GET /name HTTP/1.1` begin alike.
    pub(crate) fn sniff(&mut self, input: &[u8], limits: &Limits, end: bool) -> Option<Wire> {
        match *input.first()? {
            TEXT..=ERROR => return Some(Wire::Framed),
            IAC => return Some(Wire::Text),
            _ => {}
        }
        let longest = limits.request_line_bytes.max(MAX_TEXT_BYTES) + 2;
        let seen = &input[..input.len().min(longest)];
        let scanned = self.scanned as usize;
        match seen[scanned..].iter().position(|&byte| byte == b'\n') {
            Some(at) => Some(from_line(&seen[..scanned + at])),
            None if seen.len() == longest => Some(from_beginning(seen)),
            None if end => Some(from_line(seen)),
            None => {
                self.scanned = u32::try_from(seen.len()).unwrap_or(u32::MAX);
                None
            }
        }
    }
}

/// The more likely wire of an incomplete line; it decides only the form of an error.
pub(crate) fn from_beginning(input: &[u8]) -> Wire {
    let method = input.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if method > 0 && input[method..].starts_with(b" /") { Wire::Http } else { Wire::Text }
}

/// Returns true if an incomplete line begins like an http request.
pub(crate) fn begins_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 5] = [b"GET /", b"HEAD /", b"POST /", b"PUT /", b"OPTIONS "];
    METHODS.iter().any(|method| line.starts_with(method))
}

/// Returns true if no http request begins like this: a method is capital letters, then a space.
pub(crate) fn cannot_become_http(line: &[u8]) -> bool {
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    line.get(method).is_some_and(|&byte| method == 0 || byte != b' ')
}

fn from_line(line: &[u8]) -> Wire {
    if names_http(line) { Wire::Http } else { Wire::Text }
}

/// Returns true if a line ends with ` HTTP/` and a version.
pub(crate) fn names_http(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.last_chunk::<9>().is_some_and(|[end @ .., major, dot, minor]| {
        end == b" HTTP/" && major.is_ascii_digit() && *dot == b'.' && minor.is_ascii_digit()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_wire_however_they_arrive() {
        let long_text = "x".repeat(9000);
        let long_http = format!("GET /{long_text}");
        for (input, wire) in [
            (&b"\x01\x00\x01a"[..], Some(Wire::Framed)),
            (b"\x08", Some(Wire::Framed)),
            (b"\xff\xfb\x01", Some(Wire::Text)),
            (b"GET /a HTTP/1.1\r\n", Some(Wire::Http)),
            (b"GET /a HTTP/2.0\n", Some(Wire::Http)),
            (b"GET /a HTTP/1.1 \r\n", Some(Wire::Text)),
            (b"GET a\r\n", Some(Wire::Text)),
            (b"\n", Some(Wire::Text)),
            (b"\x00\n", Some(Wire::Text)),
            (b"GET /a HTTP/1.1", None),
            (b"", None),
            (long_text.as_bytes(), Some(Wire::Text)),
            (long_http.as_bytes(), Some(Wire::Http)),
        ] {
            let limits = Limits::default();
            assert_eq!(Sniffer::default().sniff(input, &limits, false), wire);
            let mut sniffer = Sniffer::default();
            let split = (1..=input.len()).find_map(|n| sniffer.sniff(&input[..n], &limits, false));
            assert_eq!(split, wire);
        }
    }

    #[test]
    fn the_end_of_the_stream_ends_the_line() {
        let limits = Limits::default();
        assert_eq!(Sniffer::default().sniff(b"a.txt", &limits, true), Some(Wire::Text));
        assert_eq!(Sniffer::default().sniff(b"GET / HTTP/1.1", &limits, true), Some(Wire::Http));
    }
}
