//! Lines to a server and its replies, as with telnet.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::interrupt::POLL_LIMIT;
use crate::net::link::is_temporary;
use crate::terminal::screen::Screen;

/// Longest wait for a reply before the next line is sent.
pub(crate) const REPLY_TIME: Duration = Duration::from_millis(250);

/// Larger than the buffer of standard input, so that no bytes stay in that buffer, where `poll`
/// does not see them.
const BUFFER_BYTES: usize = 64 << 10;

/// Exchange of lines over one connection.
pub(crate) struct LineSession<'a> {
    stream: TcpStream,
    /// Lines read and not yet started.
    unsent: Vec<u8>,
    /// Bytes being sent.
    to_send: Vec<u8>,
    source: Option<Box<dyn LineSource + 'a>>,
    /// True if each line waits for the reply to the previous one.
    waits_for_replies: bool,
    /// End of the wait for a reply.
    reply_due: Option<Instant>,
    /// Prefix of every line.
    prefix: String,
}

/// Source of lines: standard input or a file.
pub(crate) trait LineSource: Read + AsFd {}

impl<Source: Read + AsFd> LineSource for Source {}

impl<'a> LineSession<'a> {
    /// Session that sends `lines`, then those of `source`.
    pub(crate) fn new(
        stream: TcpStream,
        lines: Vec<u8>,
        source: Option<Box<dyn LineSource + 'a>>,
        waits_for_replies: bool,
    ) -> Self {
        Self {
            stream,
            unsent: lines,
            to_send: Vec::new(),
            source,
            waits_for_replies,
            reply_due: None,
            prefix: String::new(),
        }
    }

    /// Adds a prefix to every line.
    pub(crate) fn with_prefix(self, prefix: String) -> Self {
        Self { prefix, ..self }
    }

    /// Sends all lines and prints the replies until the server closes the connection. After the
    /// last line it closes its own direction.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        self.stream.set_nonblocking(true).map_err(anyhow::Error::new)?;
        let mut is_open = true;
        let mut screen = Screen::stdout();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            self.next_line();
            if is_open && self.is_all_sent() {
                // Fails only if the connection is gone, which the next read reports.
                let _ = self.stream.shutdown(Shutdown::Write);
                is_open = false;
            }
            let (socket, input_ready) = self.wait()?;
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            if socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                match self.stream.read(&mut buffer) {
                    Ok(0) => return screen.finish(),
                    Ok(received) => {
                        screen.show(&buffer[..received])?;
                        self.received(&buffer[..received]);
                    }
                    Err(error) if is_temporary(&error) => {}
                    // The server closed while lines were still being sent.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        return screen.finish();
                    }
                    Err(error) => {
                        return Err(anyhow!("the connection failed: {error}; try again").into());
                    }
                }
            }
            if socket.contains(PollFlags::OUT) {
                self.send();
            }
            if input_ready && let Some(source) = &mut self.source {
                let read = source.read(&mut buffer).unwrap_or(0);
                self.unsent.extend_from_slice(&buffer[..read]);
                if read == 0 {
                    self.source = None;
                }
            }
        }
    }

    fn is_all_sent(&self) -> bool {
        self.to_send.is_empty() && self.unsent.is_empty() && self.source.is_none()
    }

    /// Starts the next line, or all lines, if allowed now.
    fn next_line(&mut self) {
        if !self.to_send.is_empty() {
            return;
        }
        if self.reply_due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        self.reply_due = None;
        let is_end = |byte: &u8| *byte == b'\n';
        let end = match self.waits_for_replies {
            true => self.unsent.iter().position(is_end),
            false => self.unsent.iter().rposition(is_end),
        };
        let end = match end {
            Some(at) => at + 1,
            // A line without an end must not accumulate here.
            None if self.source.is_none() || self.unsent.len() > BUFFER_BYTES => self.unsent.len(),
            None => return,
        };
        for line in self.unsent[..end].split_inclusive(is_end) {
            self.to_send.extend_from_slice(self.prefix.as_bytes());
            self.to_send.extend_from_slice(line);
        }
        self.unsent.drain(..end);
    }

    fn wait(&mut self) -> Result<(PollFlags, bool), Failure> {
        let mut interest = PollFlags::IN;
        if !self.to_send.is_empty() {
            interest |= PollFlags::OUT;
        }
        let mut fds = vec![PollFd::from_borrowed_fd(self.stream.as_fd(), interest)];
        // A descriptor without requested events would still report a hang-up.
        let wants_more = !self.unsent.contains(&b'\n') && self.to_send.is_empty();
        if let Some(source) = self.source.as_ref().filter(|_| wants_more) {
            fds.push(PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, Some(&self.poll_timeout())) {
            Err(rustix::io::Errno::INTR) => Ok((PollFlags::empty(), false)),
            Err(error) => Err(anyhow::Error::new(error).into()),
            Ok(_) => {
                Ok((fds[0].revents(), fds.get(1).is_some_and(|input| !input.revents().is_empty())))
            }
        }
    }

    /// Time until the next line may be sent without a reply to the last.
    fn poll_timeout(&self) -> Timespec {
        let Some(due) = self.reply_due else { return POLL_LIMIT };
        let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(left).map_or(POLL_LIMIT, |left| left.min(POLL_LIMIT))
    }

    fn send(&mut self) {
        match self.stream.write(&self.to_send) {
            Ok(sent) => {
                self.to_send.drain(..sent);
                if self.to_send.is_empty() && self.waits_for_replies {
                    self.reply_due = Some(Instant::now() + REPLY_TIME);
                }
            }
            Err(error) if is_temporary(&error) => {}
            // The server reads no more; the rest of its output is read to the end.
            Err(_) => (self.to_send, self.unsent, self.source) = (Vec::new(), Vec::new(), None),
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        if self.reply_due.is_some() {
            let is_whole = bytes.ends_with(b"\n");
            self.reply_due = (!is_whole).then(|| Instant::now() + REPLY_TIME);
        }
    }
}
