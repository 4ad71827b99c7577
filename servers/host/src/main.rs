//! The `server` program: a file server with a choice of concurrency strategies.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use fileserver::cli::{ServerArgs, run};
use program::{Document, ExitCodes, Program, Variable};

/// Serves a folder of files over one port to curl, telnet and the bundled client alike
///
/// The strategy is the concurrency model: one thread, a thread per connection, an event loop, and
/// so on. The protocol is the same for all.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = EXAMPLES)]
#[command(override_usage = "server [OPTIONS]\n       server <COMMAND>")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    document: Option<Document>,
}

const PROGRAM: Program = Program {
    name: "server",
    exit_codes: ExitCodes {
        done: "stopped after SIGTERM or SIGINT",
        failed: "serving failed, or connections were still open at the end of the drain timeout",
        unusable: "could not start",
        interrupted: "ended by a second signal",
    },
    // Not at the arguments themselves: `bench serve` has them too, and is configured by `bench` alone.
    variables: &[
        Variable { name: "FILESERVER_STRATEGY", argument: "strategy" },
        Variable { name: "FILESERVER_LISTEN", argument: "listen" },
        Variable { name: "FILESERVER_ROOT", argument: "root" },
    ],
    other_variables: &[],
};

const EXAMPLES: &str = "\
Examples:
  server                                          serve ./shared-files on 127.0.0.1:8800
  server --strategy threaded --listen 9000        a thread per connection, on port 9000
  server --strategy thread-pool --workers 8       eight workers
  server --strategy prefork --workers 100         at most 100 processes
  server --root /srv/files --listen 0.0.0.0:8800  another folder, on all network addresses
  server --durability full --on-conflict error    uploads survive a power cut; a taken name fails
  server --service date                           answer with the time on 127.0.0.1:6015
  server --service transform --transform upper    answer in capital letters

  curl -T picture.png http://127.0.0.1:8800/      upload
  curl -O http://127.0.0.1:8800/picture.png       download
  telnet 127.0.0.1 8800                           then type the name of a file
  telnet 127.0.0.1 6015                           then type: what time is it?";

fn main() -> ExitCode {
    let matches = PROGRAM.matches(Cli::command(), &program::words());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.document {
        Some(document) => PROGRAM.document(&document, Cli::command()),
        None => run(&cli.server),
    }
}
