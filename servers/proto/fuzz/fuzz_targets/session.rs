//! Arbitrary bytes from a peer, in arbitrary pieces. The session does not panic, keeps its contract
//! with the driver, ends, and gives the same result as if all bytes had arrived at once.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::case::Case;

fuzz_target!(|data: &[u8]| {
    if let Some(case) = Case::of(data) {
        case.outcome();
    }
});
