//! The `server` program: a file server in the concurrency architecture of your choice.

use std::process::ExitCode;

use clap::Parser;
use fileserver::cli::{ServerArgs, run};

/// Serves a folder of files over one port to curl, telnet and the bundled client alike
///
/// The strategy decides who waits for what, and on which thread; the protocol is always the same.
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
  server --strategy prefork --workers 100         processes, a hundred at most
  server --root /srv/files --listen 0.0.0.0:8800  another folder, to the whole network
  server --durability full --on-conflict error    safest uploads
  server --service date                           tell the time on 127.0.0.1:6015
  server --service transform --transform upper    answer in capital letters

  curl -T picture.png http://127.0.0.1:8800/      upload
  curl -O http://127.0.0.1:8800/picture.png       download
  telnet 127.0.0.1 8800                           then type a file's name
  telnet 127.0.0.1 6015                           then type: what time is it?

Exit codes: 0 drained after SIGTERM or SIGINT, 1 serving failed or the drain ran out of time and
broke connections, 2 could not start, 130 ended by a second signal.";

fn main() -> ExitCode {
    run(&Cli::parse().server)
}
