//! Messages between a process of `prefork` and its parent.
//!
//! A pair of connected sockets with message boundaries. It needs no shared memory, and the end of
//! either process ends the stream.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};

use crate::server::report::ServeReport;

/// Longest message: a line for the operator with every byte of a lab service's message escaped.
const MESSAGE_BYTES: usize = 32 << 10;

const BUSY: &str = "busy";
const DRAIN: &str = "drain";
const END: &str = "end";
const RETIRE: &str = "retire";
/// Request for the status.
const STATUS_WANTED: &str = "status?";
/// Prefix of the status.
const STATUS: &str = "status ";
/// Prefix of lines for the access log.
const LOG: &str = "log ";
/// Prefix of a line for the operator.
const SHOW: &str = "show ";

/// One side of the link.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

/// Message of a process to its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The process has accepted a connection.
    Busy,
    /// The process waits for a connection; its counts so far.
    Idle(ServeReport),
    /// A line for the operator.
    Shown(String),
    /// Lines for the access log.
    Logged(String),
    /// The process wants to know the status of the whole server.
    StatusWanted,
    /// The process has ended.
    Gone,
}

/// Command of the parent to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Finish the request in progress and end.
    Drain,
    /// End at once.
    End,
    /// End when there is no connection.
    Retire,
    /// The status that was asked for.
    Status(String),
}

/// Parent's side, and the side that becomes a process's standard output.
pub(super) fn pair() -> io::Result<(Link, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Link(ours), theirs))
}

impl Link {
    /// Other side of a [`pair`], in another process.
    ///
    /// # Errors
    /// The descriptor is no such socket.
    pub(super) fn inherited(socket: OwnedFd) -> io::Result<Self> {
        if rustix::net::sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            return Err(Errno::PROTOTYPE.into());
        }
        Ok(Self(socket))
    }

    /// Next message of the process, if any.
    pub(super) fn receive_message(&self) -> Option<Message> {
        let mut message = [0; MESSAGE_BYTES];
        match self.receive(&mut message, RecvFlags::DONTWAIT) {
            Ok("") => Some(Message::Gone),
            Ok(BUSY) => Some(Message::Busy),
            Ok(STATUS_WANTED) => Some(Message::StatusWanted),
            Ok(text) if text.starts_with(LOG) => {
                Some(Message::Logged(text[LOG.len()..].to_owned()))
            }
            Ok(text) if text.starts_with(SHOW) => {
                Some(Message::Shown(text[SHOW.len()..].to_owned()))
            }
            Ok(report) => match report.parse() {
                Ok(report) => Some(Message::Idle(report)),
                Err(error) => {
                    tracing::error!("a process sent an unknown message: {error}");
                    Some(Message::Gone)
                }
            },
            Err(Errno::AGAIN) => None,
            // The process ended without reading a command. The error is reported once, before its
            // last messages.
            Err(Errno::CONNRESET) => self.receive_message(),
            Err(_) => Some(Message::Gone),
        }
    }

    /// Sends a message to the parent. The end needs none.
    pub(super) fn send_message(&self, message: Message) {
        match message {
            Message::Busy => self.send(BUSY, SendFlags::empty()),
            Message::Idle(report) => self.send(&report.to_string(), SendFlags::empty()),
            Message::Shown(line) => self.send(&format!("{SHOW}{line}"), SendFlags::empty()),
            Message::Logged(lines) => self.send(&format!("{LOG}{lines}"), SendFlags::empty()),
            Message::StatusWanted => self.send(STATUS_WANTED, SendFlags::empty()),
            Message::Gone => {}
        }
    }

    /// Sends a command to a process; one that does not receive it has ended, or will soon.
    pub(super) fn send_command(&self, command: Command) {
        let text = match command {
            Command::Drain => DRAIN,
            Command::End => END,
            Command::Retire => RETIRE,
            Command::Status(status) => &format!("{STATUS}{status}"),
        };
        self.send(text, SendFlags::DONTWAIT);
    }

    /// Waits for the parent's next command; `None` when the parent has ended.
    pub(super) fn wait_for_command(&self) -> Option<Command> {
        let mut message = [0; MESSAGE_BYTES];
        match self.receive(&mut message, RecvFlags::empty()) {
            Ok(DRAIN) => Some(Command::Drain),
            Ok(END) => Some(Command::End),
            Ok(RETIRE) => Some(Command::Retire),
            Ok(text) => Some(Command::Status(text.strip_prefix(STATUS)?.to_owned())),
            Err(_) => None,
        }
    }

    fn send(&self, text: &str, flags: SendFlags) {
        // Fails only if the other side is gone, which the next receive reports.
        let _ = rustix::io::retry_on_intr(|| {
            rustix::net::send(&self.0, text.as_bytes(), flags | SendFlags::NOSIGNAL)
        });
    }

    fn receive<'m>(
        &self,
        message: &'m mut [u8; MESSAGE_BYTES],
        flags: RecvFlags,
    ) -> Result<&'m str, Errno> {
        let (len, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.0, &mut message[..], flags))?;
        std::str::from_utf8(&message[..len]).map_err(|_| Errno::ILSEQ)
    }
}

/// Output of a process for the operator, shown by the parent.
pub(crate) struct Screen(Link);

impl Link {
    pub(super) fn screen(&self) -> io::Result<Screen> {
        Ok(Screen(Self(self.0.try_clone()?)))
    }
}

impl io::Write for Screen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.send_message(Message::Shown(String::from_utf8_lossy(line).into_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Access log of a process, written by the parent.
pub(crate) struct LogScreen(Link);

impl Link {
    /// Another descriptor of this side.
    pub(super) fn another(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    pub(super) fn log_screen(&self) -> io::Result<LogScreen> {
        Ok(LogScreen(Self(self.0.try_clone()?)))
    }
}

impl io::Write for LogScreen {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        const MOST: usize = MESSAGE_BYTES / 4;
        let part = &lines[..lines.len().min(MOST)];
        // Whole lines, each of which is shorter.
        let end = part.iter().rposition(|&byte| byte == b'\n').map_or(part.len(), |at| at + 1);
        let text = String::from_utf8_lossy(&part[..end]).into_owned();
        self.0.send_message(Message::Logged(text));
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_one_by_one_and_the_end_is_heard() {
        let (parent, theirs) = pair().unwrap();
        let child = Link::inherited(theirs).unwrap();
        assert_eq!(parent.receive_message(), None);
        let report = ServeReport { requests: u64::MAX, ..ServeReport::default() };
        child.send_message(Message::Busy);
        child.send_message(Message::Shown("a line\n".to_owned()));
        child.send_message(Message::Idle(report));
        assert_eq!(parent.receive_message(), Some(Message::Busy));
        assert_eq!(parent.receive_message(), Some(Message::Shown("a line\n".to_owned())));
        assert_eq!(parent.receive_message(), Some(Message::Idle(report)));
        parent.send_command(Command::Drain);
        parent.send_command(Command::End);
        parent.send_command(Command::Retire);
        assert_eq!(child.wait_for_command(), Some(Command::Drain));
        assert_eq!(child.wait_for_command(), Some(Command::End));
        assert_eq!(child.wait_for_command(), Some(Command::Retire));
        drop(child);
        assert_eq!(parent.receive_message(), Some(Message::Gone));
        let (parent, theirs) = pair().unwrap();
        drop(parent);
        assert_eq!(Link::inherited(theirs).unwrap().wait_for_command(), None);
    }

    #[test]
    fn the_last_words_of_one_that_ended_before_it_read_its_orders_are_heard() {
        let (parent, theirs) = pair().unwrap();
        let child = Link::inherited(theirs).unwrap();
        let report = ServeReport { requests: 1, ..ServeReport::default() };
        child.send_message(Message::Busy);
        child.send_message(Message::Idle(report));
        parent.send_command(Command::Drain);
        drop(child);
        assert_eq!(parent.receive_message(), Some(Message::Busy));
        assert_eq!(parent.receive_message(), Some(Message::Idle(report)));
        assert_eq!(parent.receive_message(), Some(Message::Gone));
    }
}
