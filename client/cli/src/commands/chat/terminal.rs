//! Chatting on a terminal: a line editor below, what others say above it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use super::{Args, prefix};
use crate::failure::{Failure, INTERRUPTED};
use crate::interrupt::POLL_LIMIT;
use crate::net::link::is_temporary;
use crate::terminal::print;
use crate::terminal::screen::sanitized;

/// A line of others is shown in parts where it is longer.
const LINE_BYTES: usize = 8 << 10;

/// Runs until the person leaves or the server closes the connection.
pub(super) fn run(stream: &TcpStream, args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let before = tcgetattr(std::io::stdin()).context("cannot read the terminal's settings")?;
    let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())
        .context("cannot use this terminal")?;
    let printer = editor.create_external_printer().context("cannot use this terminal")?;
    let mut heard = stream.try_clone().context("cannot read and write at once")?;
    print(&format!("connected to {}:{}, Ctrl-D leaves\n", args.host, args.port))?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let why = listen(&mut heard, printer, stop);
            // Nothing can end the wait for a key but the end of the process.
            leave(why, &before);
        });
        let said = say(&mut editor, stream, args);
        // What the other side still sends is of no interest to someone who leaves.
        let code = match said {
            Ok(()) => 0,
            Err(Failure::Interrupted) => INTERRUPTED,
            Err(failure) => {
                eprint!("{}", failure.line());
                1
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
        exit(i32::from(code));
    })
}

/// Sends line after line until there are no more.
fn say(
    editor: &mut Editor<(), MemHistory>,
    mut stream: &TcpStream,
    args: &Args,
) -> Result<(), Failure> {
    let prefix = args.name.as_deref().map(prefix).unwrap_or_default();
    let prompt = if prefix.is_empty() { "> " } else { prefix.as_str() };
    loop {
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Interrupted) => return Err(Failure::Interrupted),
            Err(ReadlineError::Signal(_)) => continue,
            Err(error) => {
                return Err(anyhow::Error::new(error).context("cannot read a line").into());
            }
        };
        if line.is_empty() {
            continue;
        }
        // Only what was said before is out of reach then.
        let _ = editor.add_history_entry(line.as_str());
        stream
            .write_all(format!("{prefix}{line}\r\n").as_bytes())
            .map_err(|error| anyhow!("the connection broke: {error}; try again"))?;
    }
}

/// Why the conversation ended, from the other side.
enum End {
    Closed,
    Broken(std::io::Error),
    Stopped,
}

/// Shows what comes until nothing more will.
fn listen(stream: &mut TcpStream, mut printer: impl ExternalPrinter, stop: &AtomicBool) -> End {
    let mut line = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let ready = {
            let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
            poll(&mut fds, Some(&POLL_LIMIT))
        };
        if stop.load(Ordering::Relaxed) {
            return End::Stopped;
        }
        if !matches!(ready, Ok(1..)) {
            continue;
        }
        let read = match stream.read(&mut buffer) {
            Ok(0) => {
                show(&mut printer, &mut line);
                return End::Closed;
            }
            Ok(read) => read,
            Err(error) if is_temporary(&error) => continue,
            Err(error) => return End::Broken(error),
        };
        for &byte in &buffer[..read] {
            if byte == b'\n' || line.len() == LINE_BYTES {
                show(&mut printer, &mut line);
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
    }
}

/// Shows a line, without what would do more to a terminal than show.
fn show(printer: &mut impl ExternalPrinter, line: &mut Vec<u8>) {
    if !line.is_empty() {
        // A terminal that is gone ends the program by its signal.
        let _ = printer.print(sanitized(line.strip_suffix(b"\r").unwrap_or(line)) + "\n");
        line.clear();
    }
}

/// Puts the terminal back as it was and ends the program.
fn leave(why: End, before: &Termios) -> ! {
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
    let code = match why {
        End::Closed => {
            eprintln!("\rclient: the server closed the connection");
            0
        }
        End::Broken(error) => {
            eprintln!("\rclient: the connection broke: {error}; try again");
            1
        }
        End::Stopped => INTERRUPTED,
    };
    exit(i32::from(code))
}
