//! `client chat`: sends and receives at once.

mod terminal;

use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicBool;

use clap::Args as ClapArgs;

use crate::failure::Failure;
use crate::net::line_session::LineSession;
use crate::net::link::connect;

/// Chat with everyone who is connected to the same server
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client chat localhost 8800
  client chat localhost 8800 --name anna

What others say appears above the line that is being typed. Ctrl-D leaves. Without a terminal it
sends the lines of standard input and prints what comes until the server closes the connection.")]
pub(crate) struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    port: u16,
    /// Begin every line with this name
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
