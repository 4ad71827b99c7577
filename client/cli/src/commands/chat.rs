//! `client chat`: sends and receives lines at the same time.

mod terminal;

use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicBool;

use clap::Args as ClapArgs;

use crate::failure::Failure;
use crate::net::address::ServerArgs;
use crate::net::line_session::LineSession;
use crate::net::link::connect;

/// Chat with all clients of the same server
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client chat [OPTIONS] <SERVER>",
    after_help = "Examples:
  client chat localhost 9002
  client chat localhost 9002 --name anna

Messages of others appear above the line being typed. Ctrl-D ends the chat. Without a terminal, the
lines of standard input are sent, and all messages are printed until the server closes the connection."
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Name at the beginning of every line
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let server = args.server.address()?;
    let stream = connect(&server)?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return terminal::run(&stream, &server, args.name.as_deref(), stop);
    }
    let stdin = Box::new(io::stdin().lock());
    let prefix = args.name.as_deref().map(prefix).unwrap_or_default();
    LineSession::new(stream, Vec::new(), Some(stdin), false).with_prefix(prefix).run(stop)
}

fn prefix(name: &str) -> String {
    format!("{name}: ")
}
