//! Arbitrary bytes from a server, in arbitrary pieces, to the reader of replies that the load
//! generator and the client use. The reader does not panic, comes to an end, and gives the same
//! replies as if all bytes had arrived at once.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::replies::Replies;

fuzz_target!(|data: &[u8]| {
    if let Some(replies) = Replies::of(data) {
        replies.trace();
    }
});
