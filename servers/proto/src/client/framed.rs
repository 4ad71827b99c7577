//! Requests of the framed wire.

use crate::FileName;
use crate::wire::framed::{GET, TEXT, data_type, size_width};

/// Appends a request for a file.
pub fn get(name: &FileName, out: &mut Vec<u8>) {
    text(GET, name, out);
}

/// Appends the name of the upload that follows; the server answers `OK` or an error.
pub fn announce(name: &FileName, out: &mut Vec<u8>) {
    text(TEXT, name, out);
}

/// Appends the head of an upload of `len` bytes; the bytes themselves follow. The server answers
/// `SAVED <name>` or an error.
pub fn data(len: u64, out: &mut Vec<u8>) {
    let message_type = data_type(len);
    out.push(message_type);
    let width = size_width(message_type).expect("data_type gives types that carry a size");
    out.extend_from_slice(&len.to_be_bytes()[8 - width..]);
}

fn text(message_type: u8, name: &FileName, out: &mut Vec<u8>) {
    let len = u16::try_from(name.as_str().len()).expect("a FileName has at most 4096 bytes");
    out.push(message_type);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name.as_str().as_bytes());
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
    fn a_name_follows_its_length() {
        let name = FileName::new("a.b").unwrap();
        let mut out = Vec::new();
        get(&name, &mut out);
        announce(&name, &mut out);
        assert_eq!(out, b"\x07\x00\x03a.b\x01\x00\x03a.b");
    }
}
