//! Heavy requests: `/.work?cpu=20ms` keeps a processor busy, `/.work?block=20ms` blocks a thread.

use super::target;
use crate::Work;
use crate::refusal::Refusal;

/// Path of heavy requests.
const PATH: &str = ".work";
/// Longest work of one request.
const MOST_US: u32 = 1_000_000;
const MALFORMED: Refusal =
    Refusal::Malformed("write /.work?cpu=TIME or /.work?block=TIME, for example 20ms, at most 1s");

/// Returns true if a target denotes work.
pub(super) fn is_requested(target: &str) -> bool {
    target::path(target) == Ok(PATH)
}

/// Decodes the work in a target.
pub(super) fn read(target: &str) -> Result<Work, Refusal> {
    let (_, query) = target.split_once('?').ok_or(MALFORMED)?;
    let work = match query.split_once('=') {
        Some(("cpu", time)) => microseconds(time).map(|us| Work::Compute { us }),
        Some(("block", time)) => microseconds(time).map(|us| Work::Block { us }),
        _ => None,
    };
    work.ok_or(MALFORMED)
}

fn microseconds(time: &str) -> Option<u32> {
    let digits = time.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit_us = match &time[digits.len()..] {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        _ => return None,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let us = digits.parse::<u32>().ok().filter(|_| is_number)?.checked_mul(unit_us)?;
    (us <= MOST_US).then_some(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_a_kind_and_a_bounded_time() {
        for (target, work) in [
            ("/.work?cpu=20ms", Work::Compute { us: 20_000 }),
            ("/.work?block=1s", Work::Block { us: 1_000_000 }),
            ("http://host/.work?cpu=0us", Work::Compute { us: 0 }),
        ] {
            assert!(is_requested(target));
            assert_eq!(read(target), Ok(work), "{target}");
        }
        for query in ["", "?", "?cpu", "?cpu=", "?cpu=20", "?cpu=2s", "?gpu=1ms", "?cpu=+1ms"] {
            assert_eq!(read(&format!("/.work{query}")), Err(MALFORMED), "{query}");
        }
        assert_eq!(read("/.work?cpu=99999999999s"), Err(MALFORMED));
        assert!(!is_requested("/work?cpu=1ms") && !is_requested("/.work/a"));
    }
}
