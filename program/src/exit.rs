//! Exit codes.

/// Exit code of a command that ran and failed, in part or as a whole.
pub const FAILED: u8 = 1;
/// Exit code of wrong usage, and of a set-up that failed.
pub const UNUSABLE: u8 = 2;
/// Exit code of a command that a signal ended: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Meanings of the exit codes of a program.
#[derive(Debug, Clone, Copy)]
pub struct ExitCodes {
    /// Meaning of 0.
    pub done: &'static str,
    /// Meaning of [`FAILED`].
    pub failed: &'static str,
    /// Meaning of [`UNUSABLE`].
    pub unusable: &'static str,
    /// Meaning of [`INTERRUPTED`].
    pub interrupted: &'static str,
}

impl ExitCodes {
    /// Codes and their meanings, in ascending order.
    pub(crate) fn all(&self) -> [(u8, &'static str); 4] {
        [
            (0, self.done),
            (FAILED, self.failed),
            (UNUSABLE, self.unusable),
            (INTERRUPTED, self.interrupted),
        ]
    }
}
