//! Sizes in bytes with units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of bytes, at least 1, written as `1KiB`, `64KiB`, `1MiB` or `1500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

/// Refusal of a text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a size: write for example 512, 1KiB, 64KiB, 1MiB (and more than zero)")]
pub struct SizeError(String);

/// Units of 1,024, largest first, in which sizes are written.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl ByteSize {
    /// Size of a number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Text with a space before the unit, for reports.
    pub fn spaced(self) -> String {
        let (number, unit) = self.split();
        format!("{number} {unit}")
    }

    fn split(self) -> (u64, &'static str) {
        UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .map_or((self.0, "B"), |(unit, factor)| (self.0 / factor, unit))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.split();
        write!(f, "{number}{unit}")
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bytes = text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64());
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| SizeError(text.to_owned()))
    }
}

impl TryFrom<String> for ByteSize {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("1", 1), ("1KiB", 1024), ("64 KiB", 65536), ("1.5MiB", 3 << 19), ("2MB", 2_000_000)]
        {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["", "0", "0KiB", "KiB", "-1", "1XB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [1, 1000, 1024, 1500, 65536, 1 << 20, 3 << 30] {
            let size = ByteSize::new(bytes);
            assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }
}
