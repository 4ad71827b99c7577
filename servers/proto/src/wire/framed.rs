//! The framed wire: typed, length-prefixed messages, all numbers big-endian.
//!
//! | type | what follows | meaning |
//! | --- | --- | --- |
//! | [`TEXT`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | to the server: the name of the next upload; from it: `OK` or `SAVED <name>` |
//! | [`DATA1`] … [`DATA8`] | size in 1, 2, 3, 4 or 8 bytes, then the bytes | a file's content |
//! | [`GET`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | asks for a file |
//! | [`ERROR`] | length u16 ≤ [`MAX_TEXT_BYTES`], UTF-8 | from the server: why not |

/// A short string: an upload's name, or the server's answer to an upload.
pub const TEXT: u8 = 0x01;
/// Content whose size is told in 1 byte.
pub const DATA1: u8 = 0x02;
/// Content whose size is told in 2 bytes.
pub const DATA2: u8 = 0x03;
/// Content whose size is told in 3 bytes.
pub const DATA3: u8 = 0x04;
/// Content whose size is told in 4 bytes.
pub const DATA4: u8 = 0x05;
/// Content whose size is told in 8 bytes.
pub const DATA8: u8 = 0x06;
/// A request for a file.
pub const GET: u8 = 0x07;
/// A refusal, server to client.
pub const ERROR: u8 = 0x08;

/// Longest content of a [`TEXT`], [`GET`] or [`ERROR`] message, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// The answer to an accepted upload name.
pub const OK: &str = "OK";
/// What precedes the stored name in the answer to an upload.
pub const SAVED: &str = "SAVED ";

/// How many bytes tell the size in a data message of this type; `None` for any other type.
pub const fn size_width(message_type: u8) -> Option<usize> {
    match message_type {
        DATA1 => Some(1),
        DATA2 => Some(2),
        DATA3 => Some(3),
        DATA4 => Some(4),
        DATA8 => Some(8),
        _ => None,
    }
}

/// The data type with the shortest size field that can tell `len`.
pub const fn data_type(len: u64) -> u8 {
    match len {
        0..=0xff => DATA1,
        0x100..=0xffff => DATA2,
        0x1_0000..=0xff_ffff => DATA3,
        0x100_0000..=0xffff_ffff => DATA4,
        _ => DATA8,
    }
}
