//! Which part of a file a `Range` field asks for (RFC 9110, 14).

use std::ops::Range;

/// What a `Range` field means for a file of a certain length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// Nothing: it is malformed, in another unit, or wants several pieces, which a server may
    /// answer by the whole.
    Whole,
    /// These bytes; at least one.
    Part(Range<u64>),
    /// Nothing that it asks for is there.
    Unsatisfiable,
}

/// Reads the value of a `Range` field.
pub(super) fn select(value: &[u8], len: u64) -> Ranged {
    let Some((first, last)) = single(value) else { return Ranged::Whole };
    match (first, last) {
        (Some(first), Some(last)) if first > last => Ranged::Whole,
        (Some(first), _) if first >= len => Ranged::Unsatisfiable,
        (Some(first), last) => {
            Ranged::Part(first..last.map_or(len, |last| last.saturating_add(1).min(len)))
        }
        (None, Some(0)) => Ranged::Unsatisfiable,
        // The whole of an empty file is no range that could be told.
        (None, Some(_)) if len == 0 => Ranged::Whole,
        (None, Some(suffix)) => Ranged::Part(len.saturating_sub(suffix)..len),
        (None, None) => Ranged::Whole,
    }
}

/// The one range of a set, where it is just one.
fn single(value: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    let mut ranges = set.split(',').map(str::trim_ascii).filter(|range| !range.is_empty());
    let (first, last) = ranges.next()?.split_once('-')?;
    (unit.eq_ignore_ascii_case("bytes") && ranges.next().is_none())
        .then_some((position(first)?, position(last)?))
}

/// An optional position; one beyond all files counts as the largest.
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
