//! Conditions and ranges of GET and HEAD (RFC 9110, 13 and 14).

use std::ops::Range;

use super::date;
use super::fields::Fields;
use super::range::{self, Ranged};
use crate::{Buffer, FileInfo, Now};

/// Conditions and range of one request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Vec<u8>>,
    if_unmodified_since: Option<i64>,
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<i64>,
    range: Option<Vec<u8>>,
    if_range: Option<Vec<u8>>,
}

/// Part of a file to answer with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// The whole file.
    Whole,
    /// A range of bytes.
    Part(Range<u64>),
    /// The peer has the file already.
    NotModified,
    /// The file does not meet the peer's condition.
    PreconditionFailed,
    /// The range lies outside the file.
    Unsatisfiable,
}

impl Conditions {
    /// Copies the fields. Malformed dates, and repeated fields that must be single, are ignored, as
    /// the RFC requires.
    pub(super) fn read(fields: &Fields<'_>, is_head: bool) -> Self {
        let date = |name| fields.single(name).and_then(date::parse);
        let owned = |name| fields.single(name).map(<[u8]>::to_vec);
        Self {
            if_match: fields.list("if-match"),
            if_unmodified_since: date("if-unmodified-since"),
            if_none_match: fields.list("if-none-match"),
            if_modified_since: date("if-modified-since"),
            // Ranges are defined for GET alone.
            range: if is_head { None } else { owned("range") },
            if_range: owned("if-range"),
        }
    }

    /// Evaluates the conditions in the order of RFC 9110, 13.2.2.
    pub(super) fn select(&self, info: &FileInfo, now: Now) -> Selection {
        let tag = ETag::of(info);
        let modified_s = info.modified.unix_s;
        let unmodified = match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) => lists(tags, tag, Comparison::Strong),
            (None, Some(since)) => modified_s <= since,
            (None, None) => true,
        };
        if !unmodified {
            return Selection::PreconditionFailed;
        }
        let has_it = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => lists(tags, tag, Comparison::Weak),
            (None, Some(since)) => modified_s <= since,
            (None, None) => false,
        };
        if has_it {
            return Selection::NotModified;
        }
        match &self.range {
            Some(range) if self.range_still_fits(info, tag, now) => {
                match range::select(range, info.len) {
                    Ranged::Whole => Selection::Whole,
                    Ranged::Part(part) => Selection::Part(part),
                    Ranged::Unsatisfiable => Selection::Unsatisfiable,
                }
            }
            _ => Selection::Whole,
        }
    }

    fn range_still_fits(&self, info: &FileInfo, tag: ETag, now: Now) -> bool {
        let Some(validator) = &self.if_range else { return true };
        if validator.ends_with(b"\"") {
            return tag.is(validator);
        }
        // A date of the current second may stand for two contents.
        let is_strong = u64::try_from(info.modified.unix_s).is_ok_and(|at| at < now.unix_s);
        is_strong && date::parse(validator) == Some(info.modified.unix_s)
    }
}

/// Strong entity tag: time of the last change in nanoseconds, length, and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ETag {
    modified_ns: u64,
    len: u64,
    inode: u64,
}

impl ETag {
    pub(super) fn of(info: &FileInfo) -> Self {
        // Overflow is harmless: only whole tags are compared.
        let seconds = info.modified.unix_s as u64;
        let modified_ns =
            seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::from(info.modified.nanos));
        Self { modified_ns, len: info.len, inode: info.inode }
    }

    /// Appends the tag with its quotes.
    pub(super) fn push(self, output: &mut Buffer) {
        output.push(b"\"");
        output.push_hex(self.modified_ns);
        output.push(b"-");
        output.push_hex(self.len);
        output.push(b"-");
        output.push_hex(self.inode);
        output.push(b"\"");
    }

    /// Returns true if a quoted tag has exactly this spelling.
    fn is(self, quoted: &[u8]) -> bool {
        let mut own = Buffer::default();
        self.push(&mut own);
        own.filled() == quoted
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Returns true if a list of entity tags contains this one; `*` matches any.
fn lists(list: &[u8], tag: ETag, comparison: Comparison) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        // A tag may contain a comma, but no quote.
        let Some(opaque) = quoted.strip_prefix(b"\"") else { return false };
        let Some(end) = opaque.iter().position(|&byte| byte == b'"') else { return false };
        if tag.is(&quoted[..end + 2]) && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = &quoted[end + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Modified;

    const INFO: FileInfo =
        FileInfo { len: 10, modified: Modified { unix_s: 784_111_777, nanos: 5 }, inode: 7 };

    fn text(tag: ETag) -> String {
        let mut output = Buffer::default();
        tag.push(&mut output);
        String::from_utf8(output.filled().to_vec()).unwrap()
    }

    fn select(conditions: &Conditions) -> Selection {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made up")]
        let instant = std::time::Instant::now();
        conditions.select(&INFO, Now { instant, unix_s: 784_111_778 })
    }

    #[test]
    fn tags_are_found_in_lists() {
        let tag = ETag::of(&INFO);
        let quoted = text(tag);
        for (list, strong, weak) in [
            (quoted.clone(), true, true),
            (format!("W/{quoted}"), false, true),
            (format!("\"a,b\", {quoted}"), true, true),
            (format!("\"x\"{quoted}"), true, true),
            (format!(",, \"x\" ,\t{quoted},"), true, true),
            (" * ".to_owned(), true, true),
            ("\"x\"".to_owned(), false, false),
            (quoted.trim_matches('"').to_owned(), false, false),
            (format!("\"x\", *, {quoted}"), false, false),
            (format!("w/{quoted}"), false, false),
            (quoted.to_uppercase(), false, false),
            (String::new(), false, false),
            ("\"".to_owned(), false, false),
        ] {
            assert_eq!(lists(list.as_bytes(), tag, Comparison::Strong), strong, "{list}");
            assert_eq!(lists(list.as_bytes(), tag, Comparison::Weak), weak, "{list}");
        }
    }

    #[test]
    fn conditions_have_an_order() {
        let tag = Some(text(ETag::of(&INFO)).into_bytes());
        let other = Some(b"\"x\"".to_vec());
        let at = 784_111_777;
        let range = Some(b"bytes=1-2".to_vec());
        let none = Conditions::default;
        for (conditions, selection) in [
            (none(), Selection::Whole),
            (Conditions { if_match: other.clone(), ..none() }, Selection::PreconditionFailed),
            (
                Conditions { if_match: tag.clone(), if_unmodified_since: Some(0), ..none() },
                Selection::Whole,
            ),
            (
                Conditions { if_unmodified_since: Some(at - 1), ..none() },
                Selection::PreconditionFailed,
            ),
            (Conditions { if_unmodified_since: Some(at), ..none() }, Selection::Whole),
            (
                Conditions { if_match: other.clone(), if_none_match: tag.clone(), ..none() },
                Selection::PreconditionFailed,
            ),
            (Conditions { if_none_match: tag.clone(), ..none() }, Selection::NotModified),
            (
                Conditions { if_none_match: other.clone(), if_modified_since: Some(at), ..none() },
                Selection::Whole,
            ),
            (Conditions { if_modified_since: Some(at), ..none() }, Selection::NotModified),
            (Conditions { if_modified_since: Some(at - 1), ..none() }, Selection::Whole),
            (Conditions { range: range.clone(), ..none() }, Selection::Part(1..3)),
            (
                Conditions { range: range.clone(), if_none_match: tag.clone(), ..none() },
                Selection::NotModified,
            ),
            (Conditions { range: range.clone(), if_range: tag, ..none() }, Selection::Part(1..3)),
            (Conditions { range: range.clone(), if_range: other, ..none() }, Selection::Whole),
            (
                Conditions {
                    range: range.clone(),
                    if_range: Some(b"Sun, 06 Nov 1994 08:49:37 GMT".to_vec()),
                    ..none()
                },
                Selection::Part(1..3),
            ),
            (
                Conditions {
                    range,
                    if_range: Some(b"Sun, 06 Nov 1994 08:49:38 GMT".to_vec()),
                    ..none()
                },
                Selection::Whole,
            ),
        ] {
            assert_eq!(select(&conditions), selection, "{conditions:?}");
        }
    }
}
