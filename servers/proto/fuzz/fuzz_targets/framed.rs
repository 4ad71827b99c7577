//! Arbitrary bytes from a peer of the framed wire. The checks are those of `session`.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::case::Case;

fuzz_target!(|data: &[u8]| {
    if let Some(case) = Case::of_kinds(data, b"f") {
        case.outcome();
    }
});
