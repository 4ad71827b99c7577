//! Fixtures that the tests of several packages share: served folders, servers, a scripted server.
//!
//! A failure of a fixture is a failure of its test, so everything here panics instead of returning
//! errors.

pub mod busy_core;
pub mod command_line;
mod folder;
pub mod mock;
mod process;
mod thread;

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

pub use program::environment::isolate;

pub use folder::{Folder, content, names};
pub use process::{ServerProcess, server_program};
pub use thread::{ServerThread, server_options};

/// Longest wait for an event that must happen. A test reaches it only if something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Reports a test as skipped because the system lacks io_uring or another requirement. The line
/// bypasses the test harness, which hides the output of passing tests.
///
/// # Panics
/// `REQUIRE_URING` is set in the environment: there, a skipped test is a failed one.
pub fn skip(test: &str, reason: impl Display) {
    skip_unless("REQUIRE_URING", test, reason);
}

/// As [`skip`], for a requirement with a variable of its own.
///
/// # Panics
/// `variable` is set in the environment: there, a skipped test is a failed one.
pub fn skip_unless(variable: &str, test: &str, reason: impl Display) {
    assert!(std::env::var_os(variable).is_none(), "{test} cannot run: {reason}");
    let _ = writeln!(std::io::stderr(), "{test} skipped: {reason}");
}

/// Waits until a condition holds; `what` names it in the failure.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
