//! Handling of Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use program::exit::INTERRUPTED;
use rustix::event::Timespec;

/// Longest wait before the interrupt flag is read again. A signal that arrives just before a call
/// of `poll` does not end it.
pub(crate) const POLL_LIMIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Returns a flag that the first Ctrl-C or SIGTERM sets; the second ends the program at once.
pub(crate) fn stop_on_interrupt() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let code = i32::from(INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
