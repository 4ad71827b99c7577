//! `client say`: lines in, replies out.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args as ClapArgs;

use crate::failure::Failure;
use crate::net::line_session::{LineSession, LineSource};
use crate::net::link::connect;

/// Say lines to a server and print what it answers
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client say localhost 8800 meme.txt
  client say localhost 6015 'what time is it?'
  client say localhost 8800 'first line' 'second line'
  client say localhost 8800 --file lines.txt
  client say localhost 8800 < lines.txt

Without a LINE or --file it says what it reads from standard input, line by line. A line waits
until the one before it was answered, for 250 ms at most. It ends when the server closes the
connection; after the last line the server is told that none will follow.")]
pub(crate) struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    port: u16,
    /// What to say
    #[arg(value_name = "LINE")]
    lines: Vec<String>,
    /// Say the lines of this file
    #[arg(long, value_name = "FILE", conflicts_with = "lines")]
    file: Option<PathBuf>,
    /// Wait for no answer: say everything at once
    #[arg(long)]
    no_wait: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let more: Option<Box<dyn LineSource>> = match &args.file {
        Some(path) => {
            let file = File::open(path).with_context(|| {
                format!("cannot read {}: check the path and permissions", path.display())
            })?;
            Some(Box::new(file))
        }
        None if args.lines.is_empty() => Some(Box::new(io::stdin().lock())),
        None => None,
    };
    let lines = args.lines.iter().flat_map(|line| [line, "\r\n"].concat().into_bytes()).collect();
    let stream = connect(&args.host, args.port)?;
    LineSession::new(stream, lines, more, !args.no_wait).run(stop)
}
