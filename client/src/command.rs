//! The subcommands, and what they have in common.

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use fileserver_proto::Wire;

pub(crate) mod chat;
pub(crate) mod console;
pub(crate) mod get;
mod input;
pub(crate) mod knock;
mod link;
pub(crate) mod load;
mod memory;
mod meter;
pub(crate) mod say;
mod screen;
pub(crate) mod send;
mod talk;
mod transcript;

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

/// A wire that carries requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WireArg {
    /// Typed, length-prefixed messages
    Framed,
    /// HTTP/1.1
    Http,
    /// Plain lines, as typed into telnet
    Text,
}

impl From<WireArg> for Wire {
    fn from(wire: WireArg) -> Self {
        match wire {
            WireArg::Framed => Self::Framed,
            WireArg::Http => Self::Http,
            WireArg::Text => Self::Text,
        }
    }
}

/// The wire of a transfer by hand: resuming takes http, and framed is the default otherwise.
fn transfer_wire(wire: Option<WireArg>, resume: bool) -> Result<Wire, Failure> {
    match (wire, resume) {
        (Some(wire @ (WireArg::Framed | WireArg::Text)), true) => {
            Err(Failure::Usage(anyhow::anyhow!(
                "--resume speaks http: leave --wire {} out, or --resume",
                Wire::from(wire).name()
            )))
        }
        (Some(WireArg::Text), false) => Ok(Wire::Text),
        (Some(WireArg::Http), _) | (None, true) => Ok(Wire::Http),
        (Some(WireArg::Framed) | None, false) => Ok(Wire::Framed),
    }
}

/// Writes to standard output; a closed one ends the command quietly.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same for bytes that need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedOutput),
        Err(error) => {
            Err(anyhow::Error::new(error).context("cannot write to standard output").into())
        }
        Ok(()) => Ok(()),
    }
}

/// What a transfer that goes on begins with.
fn resuming(name: &str, done: u64, total: u64) -> String {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    format!("{name}: resuming at {percent} % ({} of {})\n", bytes(done), bytes(total))
}

/// A word as it can be pasted into a shell: harmless characters as they are, others quoted.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_harmless = |c: char| c.is_alphanumeric() || "-._/:=@%+,[]".contains(c);
    if !word.is_empty() && word.chars().all(is_harmless) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Bytes as a person reads them.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}
