//! Subcommands and the options that they share.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use fileserver_proto::Wire;

use crate::failure::Failure;

pub(crate) mod chat;
pub(crate) mod console;
pub(crate) mod get;
pub(crate) mod knock;
pub(crate) mod load;
pub(crate) mod say;
pub(crate) mod send;

/// Protocol of a connection.
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

/// Duration with a unit.
fn parse_time(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write a number with a unit: 500ms, 20s, 2m")
}

/// Whole number of at least 0.
fn parse_whole<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|error: ParseIntError| {
        if *error.kind() == IntErrorKind::PosOverflow {
            "too large: choose a smaller number"
        } else {
            "not a whole number: write it in digits, for example 8"
        }
    })
}

/// Wire of a transfer: http if it is resumable or the server is given by a URL, framed by default.
fn transfer_wire(wire: Option<WireArg>, resume: bool, is_url: bool) -> Result<Wire, Failure> {
    match (wire, resume) {
        (Some(wire @ (WireArg::Framed | WireArg::Text)), true) => {
            Err(Failure::Usage(anyhow::anyhow!(
                "--resume needs http: remove --wire {} or --resume",
                Wire::from(wire).name()
            )))
        }
        (Some(wire @ (WireArg::Framed | WireArg::Text)), false) if is_url => {
            let wire = Wire::from(wire).name();
            Err(Failure::Usage(anyhow::anyhow!(
                "a URL is requested over http: use HOST and PORT with --wire {wire}"
            )))
        }
        (Some(WireArg::Text), false) => Ok(Wire::Text),
        (Some(WireArg::Http), _) | (None, true) => Ok(Wire::Http),
        (None, false) if is_url => Ok(Wire::Http),
        (Some(WireArg::Framed) | None, false) => Ok(Wire::Framed),
    }
}
