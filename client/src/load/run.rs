//! Runs a load: starts the threads, sets their clock, gathers what they measured.

use std::sync::atomic::AtomicBool;

use super::{LoadReport, LoadSpec, Progress, SpecError};

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The load cannot be run as asked.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The system refused something a thread needs.
    #[error("cannot {what}: {source}")]
    System {
        /// What was refused.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Puts the load on the server and measures it; returns when the window has ended, or soon (within
/// 100 ms) after `stop` was set, with what was measured until then.
///
/// # Errors
/// What [`LoadSpec::check`] finds, and a thread, selector or timer that the system refuses. A
/// server that cannot be reached is not an error: the report counts it.
pub fn run(
    spec: &LoadSpec,
    _stop: &AtomicBool,
    _progress: Option<&Progress>,
) -> Result<LoadReport, RunError> {
    spec.check()?;
    Err(RunError::System {
        what: "start the threads",
        source: std::io::ErrorKind::Unsupported.into(),
    })
}
