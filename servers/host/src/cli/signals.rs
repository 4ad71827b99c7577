//! Signals: the first asks for a drain, the second for an end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::Shutdown;

/// How long a strategy that was told to end at once may take to return.
const PATIENCE: Duration = Duration::from_secs(1);

/// Has SIGTERM and SIGINT trigger the shutdown; should a strategy be stuck even so, a while after
/// the second the process exits with `exit_code`.
///
/// # Errors
/// The handlers or the thread that waits for them cannot be had.
pub(super) fn watch(shutdown: &Shutdown, exit_code: u8) -> io::Result<()> {
    survive_size_limit()?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shutdown = shutdown.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            shutdown.trigger();
            if shutdown.is_urgent() {
                std::thread::sleep(PATIENCE);
                std::process::exit(i32::from(exit_code));
            }
        }
    })?;
    Ok(())
}

/// By default a file beyond the process's size limit ends it; handled, it is a full disk.
///
/// # Errors
/// The handler cannot be had.
pub(super) fn survive_size_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
