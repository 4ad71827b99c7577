//! The subcommands, and what they have in common.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

use clap::ValueEnum;
use fileserver_proto::Wire;

pub(crate) mod load;

/// Why a command failed, and with which exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It ran, and something failed: 1.
    Failed(anyhow::Error),
    /// It could not begin as asked: 2.
    Usage(anyhow::Error),
    /// The reader of standard output has gone: nobody is left to be told anything.
    ClosedOutput,
}

impl Failure {
    /// Tells the user in one line and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Failed(error) => (error, 1),
            Self::Usage(error) => (error, 2),
            Self::ClosedOutput => return ExitCode::SUCCESS,
        };
        let _ = writeln!(io::stderr(), "client: {error:#}");
        ExitCode::from(code)
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
}

impl From<WireArg> for Wire {
    fn from(wire: WireArg) -> Self {
        match wire {
            WireArg::Framed => Self::Framed,
            WireArg::Http => Self::Http,
        }
    }
}

/// Writes to standard output; a closed one ends the command quietly.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedOutput),
        Err(error) => {
            Err(anyhow::Error::new(error).context("cannot write to standard output").into())
        }
        Ok(()) => Ok(()),
    }
}

/// Every address of a host.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<SocketAddr> =
        (bare, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!(
            "unknown host {host:?}: check the spelling, or give an IP address"
        )));
    }
    Ok(addresses)
}
