//! Exit codes, standard output and signals of the program.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use procfs::process::Process;
pub(super) use program::exit::{FAILED, INTERRUPTED, UNUSABLE};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Effect of a second Ctrl-C or SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// The process ends at once.
    Ends,
    /// None: there is something to restore first.
    IsIgnored,
}

/// Flag that the first Ctrl-C, SIGTERM or SIGHUP sets. A SIGHUP that the caller ignores, as nohup does,
/// stays ignored.
pub(super) fn stop_on_signals(second: Second) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    // The order matters: the first signal must not find its own mark.
    let end_if_stopped = |signal| {
        let code = i32::from(INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))
    };
    for signal in [SIGINT, SIGTERM] {
        let ends = match second {
            Second::Ends => end_if_stopped(signal).map(drop),
            Second::IsIgnored => Ok(()),
        };
        ends.and_then(|()| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals; is a sandbox in the way?")?;
    }
    if !is_ignored(SIGHUP) {
        // A terminal that closes can send it twice.
        signal_hook::flag::register(SIGHUP, Arc::clone(&stop))
            .context("cannot handle signals; is a sandbox in the way?")?;
    }
    Ok(stop)
}

fn is_ignored(signal: i32) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & (1 << (signal - 1)) != 0)
}

/// Writes to standard output. A closed pipe (`| head -1`) is not a failure.
pub(super) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a warning.
pub(super) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}
