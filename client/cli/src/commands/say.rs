//! `client say`: sends lines and prints replies.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::anyhow;
use clap::Args as ClapArgs;

use crate::failure::{Failure, OrRemedy};
use crate::net::address::split_front;
use crate::net::line_session::{LineSession, LineSource};
use crate::net::link::connect;

/// Send lines to a server and print its replies
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client say [OPTIONS] <SERVER> [LINE]...",
    after_help = "Examples:
  client say localhost 8800 meme.txt
  client say localhost 6015 'what time is it?'
  client say localhost 65432 'first line' 'second line'
  client say localhost 65432 --file lines.txt
  client say localhost 65432 < lines.txt

Without LINE or --file, the lines of standard input are sent. The client waits up to 250 ms for each
reply before it sends the next line; later replies are printed too. After the last line it stops
sending, and it ends when the server closes the connection. A file server takes one name per
connection; an echo (server --service echo) takes any number of lines."
)]
pub(crate) struct Args {
    /// Server (HOST PORT, HOST:PORT or http://HOST:PORT), then lines to send
    #[arg(value_name = "SERVER [LINE]…", required = true, num_args = 1..)]
    operands: Vec<String>,
    /// Send the lines of this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Send all lines at once, without waiting for replies
    #[arg(long)]
    no_wait: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let (server, lines) = split_front(&args.operands)?;
    let server = server.without_file()?;
    if let (Some(file), Some(line)) = (&args.file, lines.first()) {
        return Err(Failure::Usage(anyhow!(
            "both --file {} and the line {line:?} are given: remove one of them",
            file.display()
        )));
    }
    let more: Option<Box<dyn LineSource>> = match &args.file {
        Some(path) => {
            let failed = format_args!("cannot read {}", path.display());
            let file = File::open(path).or_remedy(failed, "check the path and permissions")?;
            Some(Box::new(file))
        }
        None if lines.is_empty() => Some(Box::new(io::stdin().lock())),
        None => None,
    };
    let lines = lines.iter().flat_map(|line| [line, "\r\n"].concat().into_bytes()).collect();
    let stream = connect(&server)?;
    LineSession::new(stream, lines, more, !args.no_wait).run(stop)
}
