//! The `Range` field: a part of a file (RFC 9110, 14).

use std::ops::Range;

/// Part of a file that a `Range` field selects.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// The whole file: the field is malformed, in another unit, or has several ranges, which a
    /// server may answer by the whole.
    Whole,
    /// A range of at least one byte.
    Part(Range<u64>),
    /// The range lies outside the file.
    Unsatisfiable,
}

/// Decodes a `Range` field for a file of `len` bytes.
pub(super) fn select(value: &[u8], len: u64) -> Ranged {
    let Some((first, last)) = single(value) else { return Ranged::Whole };
    match (first, last) {
        (Some(first), Some(last)) if first > last => Ranged::Whole,
        (Some(first), _) if first >= len => Ranged::Unsatisfiable,
        (Some(first), last) => {
            Ranged::Part(first..last.map_or(len, |last| last.saturating_add(1).min(len)))
        }
        (None, Some(0)) => Ranged::Unsatisfiable,
        // A range of an empty file cannot be expressed.
        (None, Some(_)) if len == 0 => Ranged::Whole,
        (None, Some(suffix)) => Ranged::Part(len.saturating_sub(suffix)..len),
        (None, None) => Ranged::Whole,
    }
}

/// The only range of a set; `None` if there are several.
fn single(value: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    let mut ranges = set.split(',').map(str::trim_ascii).filter(|range| !range.is_empty());
    let (first, last) = ranges.next()?.split_once('-')?;
    (unit.eq_ignore_ascii_case("bytes") && ranges.next().is_none())
        .then_some((position(first)?, position(last)?))
}

/// Optional position; one beyond all files counts as the largest.
fn position(digits: &str) -> Option<Option<u64>> {
    match digits {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_cut_to_the_file() {
        for (value, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=3-", 3..10),
            ("bytes=3-3", 3..4),
            ("bytes=3-99", 3..10),
            ("bytes=-4", 6..10),
            ("bytes=-99", 0..10),
            ("BYTES=0-0", 0..1),
            ("bytes= 2-4 ,", 2..5),
            ("bytes=9-18446744073709551615", 9..10),
            ("bytes=0-99999999999999999999999", 0..10),
            ("bytes=-99999999999999999999999", 0..10),
        ] {
            assert_eq!(select(value.as_bytes(), 10), Ranged::Part(part), "{value}");
        }
    }

    #[test]
    fn what_lies_beyond_the_file_is_unsatisfiable() {
        for value in ["bytes=10-", "bytes=10-10", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(select(value.as_bytes(), 10), Ranged::Unsatisfiable, "{value}");
        }
        for value in ["bytes=0-", "bytes=0-0", "bytes=-0"] {
            assert_eq!(select(value.as_bytes(), 0), Ranged::Unsatisfiable, "{value}");
        }
        assert_eq!(select(b"bytes=-1", 0), Ranged::Whole);
    }

    #[test]
    fn what_is_malformed_or_multiple_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=1",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=--1",
            "bytes=1--2",
            "bytes =1-2",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=0-1-2",
            "bytes=1 - 2",
        ] {
            assert_eq!(select(value.as_bytes(), 10), Ranged::Whole, "{value}");
        }
    }
}
