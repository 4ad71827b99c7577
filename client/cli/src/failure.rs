//! Failures of a command and their exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command failed, and with which exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It ran, and something failed: 1.
    Failed(anyhow::Error),
    /// It could not begin as asked: 2.
    Usage(anyhow::Error),
    /// The reader of standard output has gone: nobody is left to be told anything.
    ClosedOutput,
    /// Ctrl-C: 130.
    Interrupted,
}

/// Exit code of a run that Ctrl-C ended: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

impl Failure {
    /// Tells the user in one line and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let _ = io::stderr().write_all(self.line().as_bytes());
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::ClosedOutput => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }

    /// The line that tells the user; empty where there is nobody to tell, or nothing new.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Failed(error) | Self::Usage(error) => format!("client: {error:#}\n"),
            Self::ClosedOutput | Self::Interrupted => String::new(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
