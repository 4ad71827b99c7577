//! Exit codes, standard output and signals of the program.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Exit code of a run with a failed trial, and of a broken limit.
pub(super) const FAILED: u8 = 1;
/// Exit code of wrong usage, and of a run that could not be set up.
pub(super) const UNUSABLE: u8 = 2;
/// Exit code after Ctrl-C or SIGTERM.
pub(super) const INTERRUPTED: u8 = 130;

/// Flag that the first Ctrl-C or SIGTERM sets; the second one ends the process at once.
pub(super) fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals; is a sandbox in the way?")?;
    }
    Ok(stop)
}

/// Writes to standard output. A closed pipe (`| head -1`) is not a failure.
pub(super) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
