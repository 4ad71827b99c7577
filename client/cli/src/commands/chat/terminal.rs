//! Chat on a terminal: a line editor, with messages of others above it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use program::exit::{FAILED, INTERRUPTED};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use super::prefix;
use crate::failure::Failure;
use crate::interrupt::POLL_LIMIT;
use crate::net::address::Address;
use crate::net::link::is_temporary;
use crate::terminal::print;
use crate::terminal::screen::sanitized;

/// Longest line that is shown in one piece.
const LINE_BYTES: usize = 8 << 10;

/// Runs until the user leaves or the server closes the connection.
pub(super) fn run(
    stream: &TcpStream,
    server: &Address,
    name: Option<&str>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let before = tcgetattr(std::io::stdin()).context("cannot read the terminal's settings")?;
    let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())
        .context("cannot use this terminal")?;
    let printer = editor.create_external_printer().context("cannot use this terminal")?;
    let mut incoming = stream.try_clone().context("cannot read and write at once")?;
    print(&format!("connected to {server}; Ctrl-D ends the chat\n"))?;
    let leaving = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let why = print_incoming(&mut incoming, printer, stop);
            // The end that this program causes when the user leaves is not reported.
            if !leaving.load(Ordering::SeqCst) {
                // Only the end of the process ends the wait for a key.
                leave(why, &before);
            }
        });
        let sent = send_lines(&mut editor, stream, name);
        leaving.store(true, Ordering::SeqCst);
        // Data that arrive after the user leaves are discarded.
        let code = match sent {
            Ok(()) => 0,
            Err(Failure::Interrupted) => INTERRUPTED,
            Err(failure) => {
                eprint!("{}", failure.line());
                FAILED
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
        exit(i32::from(code));
    })
}

/// Sends lines until the end of input.
fn send_lines(
    editor: &mut Editor<(), MemHistory>,
    mut stream: &TcpStream,
    name: Option<&str>,
) -> Result<(), Failure> {
    let prefix = name.map(prefix).unwrap_or_default();
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
        // A failure affects only the history.
        let _ = editor.add_history_entry(line.as_str());
        stream
            .write_all(format!("{prefix}{line}\r\n").as_bytes())
            .map_err(|error| anyhow!("the connection failed: {error}; try again"))?;
    }
}

/// End of the connection.
enum End {
    Closed,
    Broken(std::io::Error),
    Stopped,
}

/// Prints received lines until the end of the connection.
fn print_incoming(
    stream: &mut TcpStream,
    mut printer: impl ExternalPrinter,
    stop: &AtomicBool,
) -> End {
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

/// Prints a line without control characters.
fn show(printer: &mut impl ExternalPrinter, line: &mut Vec<u8>) {
    if !line.is_empty() {
        // A closed terminal ends the program by a signal.
        let _ = printer.print(sanitized(line.strip_suffix(b"\r").unwrap_or(line)) + "\n");
        line.clear();
    }
}

/// Restores the terminal and ends the program.
fn leave(why: End, before: &Termios) -> ! {
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
    let code = match why {
        End::Closed => {
            eprintln!("\rclient: the server closed the connection");
            0
        }
        End::Broken(error) => {
            eprintln!("\rclient: the connection failed: {error}; try again");
            1
        }
        End::Stopped => INTERRUPTED,
    };
    exit(i32::from(code))
}
