//! `client knock`: connects each time Enter is pressed and prints the result.

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args as ClapArgs;
use rustix::event::{PollFd, PollFlags, poll};

use crate::failure::Failure;
use crate::interrupt::POLL_LIMIT;
use crate::net::address::{Address, ServerArgs};
use crate::net::link::{connect, is_temporary};
use crate::terminal::input::Input;
use crate::terminal::print;

/// Time for the server to close the connection.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Longest part of the server's data that is shown.
const RECEIVED_BYTES: usize = 512;

/// Connect to a server each time you press Enter, and print the result
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client knock <SERVER>",
    after_help = "Example:
  client knock localhost 9000

For servers that close each connection at once, such as `server --service greet-close`.
Ctrl-D (end of input) ends the command."
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let server = args.server.address()?;
    let mut input = Input::new(stop);
    let (mut number, mut failed) = (0, 0);
    print(&format!("Press Enter to connect to {server}; Ctrl-D ends.\n"))?;
    while input.line()?.is_some() {
        number += 1;
        let status = match knock(&server, stop) {
            Ok(status) => status,
            Err(Failure::Failed(error)) => {
                failed += 1;
                format!("{error:#}")
            }
            Err(failure) => return Err(failure),
        };
        print(&format!("{number}: {status}\n"))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Failed(anyhow!("{failed} of {number} connections failed, see above"))),
    }
}

/// Makes one connection and waits for its end.
fn knock(server: &Address, stop: &AtomicBool) -> Result<String, Failure> {
    let mut stream = connect(server)?;
    let begun = Instant::now();
    stream.set_nonblocking(true).map_err(anyhow::Error::new)?;
    let mut received = Vec::new();
    // After an immediate close, the addresses may no longer be available.
    let text = |address: std::io::Result<std::net::SocketAddr>| {
        address.map_or_else(|_| "an unknown address".to_owned(), |address| address.to_string())
    };
    let (local, peer) = (text(stream.local_addr()), text(stream.peer_addr()));
    let has_closed = await_close(&mut stream, begun, stop, &mut received)?;
    let mut status = format!("connected from {local} to {peer}, ");
    let received = String::from_utf8_lossy(&received);
    let received = received.trim_end();
    if !received.is_empty() {
        status += &format!("received {received:?}, ");
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    status += &match has_closed {
        true => format!("closed by the server after {ms:.1} ms"),
        false => format!("still open after {} s, closed by the client", CLOSE_TIME.as_secs()),
    };
    Ok(status)
}

fn await_close(
    stream: &mut TcpStream,
    begun: Instant,
    stop: &AtomicBool,
    received: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let mut buffer = [0; 4096];
    while begun.elapsed() < CLOSE_TIME {
        let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
        let ready = poll(&mut fds, Some(&POLL_LIMIT));
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        if !matches!(ready, Ok(1..)) {
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(read) => {
                let room = RECEIVED_BYTES.saturating_sub(received.len());
                received.extend(buffer[..read].iter().take(room));
            }
            Err(error) if is_temporary(&error) => {}
            // A reset is a close as well.
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}
