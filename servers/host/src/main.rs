//! The `server` program: a file server with a choice of concurrency strategies.

use std::process::ExitCode;

use clap::Parser;
use fileserver::cli::{ServerArgs, run};

/// Serves a folder of files over one port to curl, telnet and the bundled client alike
///
/// The strategy is the concurrency model: one thread, a thread per connection, an event loop, and
/// so on. The protocol is the same for all.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
}

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
  telnet 127.0.0.1 6015                           then type: what time is it?

Exit codes: 0 stopped after SIGTERM or SIGINT; 1 serving failed, or connections were still open at
the end of the drain timeout; 2 could not start; 130 ended by a second signal.";

fn main() -> ExitCode {
    run(&Cli::parse().server)
}
