//! Requests of the framed wire.

use crate::FileName;
use crate::wire::framed::{GET, MAX_TEXT_BYTES, TEXT, data_type, size_width};

/// Appends a request for a file.
pub fn get(name: &FileName, out: &mut Vec<u8>) {
    short(GET, name.as_str(), out);
}

/// Appends the name of the upload that follows; the server answers `OK` or an error.
pub fn announce(name: &FileName, out: &mut Vec<u8>) {
    short(TEXT, name.as_str(), out);
}

/// Appends a text message for a lab service.
///
/// # Panics
/// The text has more than [`MAX_TEXT_BYTES`].
pub fn text(text: &str, out: &mut Vec<u8>) {
    assert!(text.len() <= MAX_TEXT_BYTES, "{} bytes are too many for a text", text.len());
    short(TEXT, text, out);
}

/// Appends the head of an upload of `len` bytes; the content follows. The server answers `SAVED
/// <name>` or an error.
pub fn data(len: u64, out: &mut Vec<u8>) {
    data_as(data_type(len), len, out);
}

/// Appends the head of an upload as a message of the given data type.
///
/// # Panics
/// The type is no data type, or its size field cannot hold `len` (see [`most_data`]).
pub fn data_as(message_type: u8, len: u64, out: &mut Vec<u8>) {
    let most = most_data(message_type).expect("a type of data");
    assert!(len <= most, "type {message_type} cannot tell {len} bytes");
    let width = size_width(message_type).expect("types of data carry a size");
    out.push(message_type);
    out.extend_from_slice(&len.to_be_bytes()[8 - width..]);
}

/// Largest content of a data message of the given type, in bytes; `None` for any other type.
pub fn most_data(message_type: u8) -> Option<u64> {
    size_width(message_type).map(|width| u64::MAX >> (64 - 8 * width))
}

fn short(message_type: u8, text: &str, out: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).expect("a name or text has at most 4096 bytes");
    out.push(message_type);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_takes_the_narrowest_field_that_can_tell_it() {
        for (len, bytes) in [
            (0, &[0x02, 0][..]),
            (255, &[0x02, 255]),
            (256, &[0x03, 1, 0]),
            (65_536, &[0x04, 1, 0, 0]),
            (1 << 24, &[0x05, 1, 0, 0, 0]),
            (1 << 32, &[0x06, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            data(len, &mut out);
            assert_eq!(out, bytes, "{len}");
        }
    }

    #[test]
    fn a_chosen_type_may_be_wider_than_needed_but_never_too_narrow() {
        let mut out = Vec::new();
        data_as(0x05, 3, &mut out);
        assert_eq!(out, [0x05, 0, 0, 0, 3]);
        for (message_type, most) in
            [(0x01, None), (0x02, Some(255)), (0x04, Some(0xff_ffff)), (0x06, Some(u64::MAX))]
        {
            assert_eq!(most_data(message_type), most);
        }
    }

    #[test]
    fn a_name_follows_its_length() {
        let name = FileName::new("a.b").unwrap();
        let mut out = Vec::new();
        get(&name, &mut out);
        announce(&name, &mut out);
        assert_eq!(out, b"\x07\x00\x03a.b\x01\x00\x03a.b");
    }
}
