//! Failures of a command and their exit codes.

use std::fmt::Display;
use std::process::ExitCode;

use program::exit::{FAILED, INTERRUPTED, UNUSABLE};
use program::message::print_labelled;

/// Failure of a command, by exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An operation failed: 1.
    Failed(anyhow::Error),
    /// Arguments or environment do not allow the command: 2.
    Usage(anyhow::Error),
    /// The reader of standard output has closed it: 0.
    ClosedOutput,
    /// Ctrl-C or SIGTERM: 130.
    Interrupted,
}

impl Failure {
    /// Prints the failure as one line and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        if let Self::Failed(error) | Self::Usage(error) = &self {
            print_labelled("client", format_args!("{error:#}"));
        }
        match self {
            Self::Failed(_) => ExitCode::from(FAILED),
            Self::Usage(_) => ExitCode::from(UNUSABLE),
            Self::ClosedOutput => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }

    /// Line for standard error; empty if the failure needs none.
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

/// Message about a refused file; the name is left out if the reason contains it.
pub(crate) fn refused(name: &str, reason: &str) -> String {
    if reason.split([':', ';']).any(|part| part.trim() == name) {
        return format!("the server refused the request: {reason}");
    }
    format!("the server refused {name}: {reason}")
}

/// Extension of results by the failed operation and a remedy.
pub(crate) trait OrRemedy<T> {
    /// Turns an error into `FAILED: ERROR; REMEDY`.
    fn or_remedy(self, failed: impl Display, remedy: &str) -> anyhow::Result<T>;
}

impl<T, E: Display> OrRemedy<T> for Result<T, E> {
    fn or_remedy(self, failed: impl Display, remedy: &str) -> anyhow::Result<T> {
        self.map_err(|error| anyhow::anyhow!("{failed}: {error:#}; {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_reason_is_not_repeated() {
        let named = refused("nope", "no such file: nope; check the name");
        assert_eq!(named, "the server refused the request: no such file: nope; check the name");
        assert_eq!(refused("a", "status 507"), "the server refused a: status 507");
    }
}
