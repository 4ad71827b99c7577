//! `client say`: lines in, replies out, as telnet does.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use clap::Args as ClapArgs;
use rustix::event::{PollFd, PollFlags, poll};

use super::link::{SLICE, connect, is_temporary};
use super::{Failure, print_bytes};

/// Say lines to a server and print what it answers
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client say localhost 8800 meme.txt
  client say localhost 8800 'first line' 'second line'
  client say localhost 8800 < lines.txt

Without a LINE it says what it reads from standard input, line by line. It ends when the server
closes the connection; after the last line the server is told that none will follow.")]
pub(crate) struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    port: u16,
    /// What to say; standard input otherwise
    #[arg(value_name = "LINE")]
    lines: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let mut stream = connect(&args.host, args.port)?;
    stream.set_nonblocking(true).map_err(anyhow::Error::new)?;
    let mut input = io::stdin().lock();
    let mut to_say: Vec<u8> =
        args.lines.iter().flat_map(|line| [line, "\r\n"].concat().into_bytes()).collect();
    let mut has_more = args.lines.is_empty();
    let mut is_open = true;
    let mut buffer = vec![0; 64 << 10];
    loop {
        if to_say.is_empty() && !has_more && is_open {
            // Fails only where the connection has gone, which reading tells.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            is_open = false;
        }
        let writable = if to_say.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let listening =
            if has_more && to_say.is_empty() { PollFlags::IN } else { PollFlags::empty() };
        let (socket_ready, input_ready) = {
            let mut fds = [
                PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN | writable),
                PollFd::from_borrowed_fd(input.as_fd(), listening),
            ];
            // A descriptor that nothing is wanted of would still tell that it was hung up.
            let count = if listening.is_empty() { 1 } else { 2 };
            let ready = poll(&mut fds[..count], Some(&SLICE));
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(anyhow::Error::new(error).into()),
                Ok(_) => (fds[0].revents(), count == 2 && !fds[1].revents().is_empty()),
            }
        };
        if socket_ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(received) => print_bytes(&buffer[..received])?,
                Err(error) if is_temporary(&error) => {}
                // The server has closed while lines were still being said to it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => {
                    return Err(anyhow!("the connection broke: {error}; try again").into());
                }
            }
        }
        if socket_ready.contains(PollFlags::OUT) && !to_say.is_empty() {
            match stream.write(&to_say) {
                Ok(sent) => drop(to_say.drain(..sent)),
                Err(error) if is_temporary(&error) => {}
                // It does not listen any more; what it still says is read to the end.
                Err(_) => (to_say, has_more) = (Vec::new(), false),
            }
        }
        if input_ready {
            let read = input.read(&mut buffer).unwrap_or(0);
            to_say.extend_from_slice(&buffer[..read]);
            has_more = read > 0;
        }
    }
}
