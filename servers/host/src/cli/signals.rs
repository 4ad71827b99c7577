//! Signals: the first begins a drain, the second ends the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::Shutdown;

/// Time for a strategy to return after the second signal.
const RETURN_TIME: Duration = Duration::from_secs(1);

/// Has SIGTERM and SIGINT trigger the shutdown. If the strategy has not returned a second after the
/// second signal, the process exits with `exit_code`.
///
/// # Errors
/// The handlers cannot be installed, or their thread cannot be created.
pub(super) fn watch(shutdown: &Shutdown, exit_code: u8) -> io::Result<()> {
    survive_size_limit()?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shutdown = shutdown.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            shutdown.trigger();
            if shutdown.is_urgent() {
                std::thread::sleep(RETURN_TIME);
                std::process::exit(i32::from(exit_code));
            }
        }
    })?;
    Ok(())
}

/// Handles SIGXFSZ, whose default ends the process: a file beyond the size limit is then a write
/// error, as on a full disk.
///
/// # Errors
/// The handler cannot be installed.
pub(super) fn survive_size_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
