//! Fixtures that the tests of several packages share: served folders, servers, a scripted server.
//!
//! A failure of a fixture is a failure of its test, so everything here panics instead of returning
//! errors.

mod folder;
pub mod mock;
mod process;
mod thread;

use std::time::{Duration, Instant};

pub use folder::{Folder, content, names};
pub use process::{ServerProcess, server_program};
pub use thread::{ServerThread, server_options};

/// Longest wait for an event that must happen. A test reaches it only if something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds; `what` names it in the failure.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
