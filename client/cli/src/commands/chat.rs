//! `client chat`: sends and receives lines at the same time.

mod terminal;

use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicBool;

use clap::Args as ClapArgs;

use crate::failure::Failure;
use crate::net::line_session::LineSession;
use crate::net::link::connect;

/// Chat with all clients of the same server
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client chat localhost 8800
  client chat localhost 8800 --name anna

Messages of others appear above the line being typed. Ctrl-D leaves. Without a terminal, the lines
of standard input are sent, and all messages are printed until the server closes the connection.")]
pub(crate) struct Args {
    /// Name or address of the server
    host: String,
    /// Port of the server
    port: u16,
    /// Name at the beginning of every line
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let stream = connect(&args.host, args.port)?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return terminal::run(&stream, args, stop);
    }
    let stdin = Box::new(io::stdin().lock());
    let prefix = args.name.as_deref().map(prefix).unwrap_or_default();
    LineSession::new(stream, Vec::new(), Some(stdin), false).with_prefix(prefix).run(stop)
}

fn prefix(name: &str) -> String {
    format!("{name}: ")
}
