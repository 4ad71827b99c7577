//! Percent-encoding of URIs (RFC 3986, 2.1).

/// Encodes a path, except slashes and unreserved characters, and passes it on in pieces.
pub(crate) fn encode(path: &str, mut push: impl FnMut(&str)) {
    const HEX: &str = "0123456789ABCDEF";
    let digit = |value: u8| &HEX[usize::from(value)..][..1];
    for piece in path.split_inclusive(|c: char| !is_plain(c)) {
        let plain = piece.trim_end_matches(|c| !is_plain(c));
        push(plain);
        for byte in piece[plain.len()..].bytes() {
            push("%");
            push(digit(byte >> 4));
            push(digit(byte & 15));
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '_' | '~')
}

/// Decodes bytes one by one; `None` for a malformed sequence.
pub(crate) fn decode(encoded: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut bytes = encoded.iter();
    std::iter::from_fn(move || {
        Some(match bytes.next()? {
            b'%' => hex(bytes.next()).zip(hex(bytes.next())).map(|(high, low)| high << 4 | low),
            byte => Some(*byte),
        })
    })
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    char::from(*digit?).to_digit(16).map(|value| value as u8)
}
