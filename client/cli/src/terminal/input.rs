//! Lines of standard input.

use std::io::{self, Read, StdinLock};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};

use crate::failure::Failure;
use crate::interrupt::POLL_LIMIT;

/// Standard input by lines; Ctrl-C ends the wait for a line.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    stdin: StdinLock<'static>,
    unread: Vec<u8>,
    has_ended: bool,
    stop: &'a AtomicBool,
}

impl<'a> Input<'a> {
    /// Input of which nothing is read yet.
    pub(crate) fn new(stop: &'a AtomicBool) -> Self {
        Self { stdin: io::stdin().lock(), unread: Vec::new(), has_ended: false, stop }
    }

    /// Reads the next line without its end; `None` after the last.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(Some(line));
            }
            if self.has_ended {
                let rest = std::mem::take(&mut self.unread);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.wait()?;
            // Larger than the buffer of standard input, so that no bytes stay in that buffer, where
            // `poll` does not see them.
            let mut buffer = [0; 16 << 10];
            match self.stdin.read(&mut buffer) {
                Ok(0) => self.has_ended = true,
                Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error)
                        .context("cannot read standard input")
                        .into());
                }
            }
        }
    }

    fn wait(&self) -> Result<(), Failure> {
        let mut fds = [PollFd::from_borrowed_fd(self.stdin.as_fd(), PollFlags::IN)];
        loop {
            let ready = poll(&mut fds, Some(&POLL_LIMIT));
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(anyhow::Error::new(error).into()),
            }
        }
    }
}
