//! Telling another server what was fetched.

use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;
use fileserver_proto::Wire;

use crate::failure::Failure;
use crate::net::link::{Link, ReplyPart};
use crate::terminal::screen::sanitized;

/// As much of the answer as is shown.
const ANSWER_BYTES: usize = 8 << 10;

/// A server that is told by HOST:PORT.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    host: String,
    port: u16,
}

impl FromStr for Authority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) =
            text.rsplit_once(':').ok_or("give HOST:PORT, such as localhost:65432")?;
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A connection that waits for its one message.
#[derive(Debug)]
pub(super) struct Notification<'a> {
    link: Link<'a>,
    to: &'a Authority,
    timeout: Duration,
    stop: &'a AtomicBool,
}

impl<'a> Notification<'a> {
    /// Connects.
    pub(super) fn open(
        to: &'a Authority,
        timeout: Duration,
        stop: &'a AtomicBool,
    ) -> Result<Self, Failure> {
        let link = Link::open(&to.host, to.port, Wire::Text, timeout, stop)?;
        Ok(Self { link, to, timeout, stop })
    }

    /// Tells it, and returns the answer with an end of line.
    pub(super) fn send(mut self, message: &str) -> Result<String, Failure> {
        if self.link.is_unusable() {
            // It took longer to fetch the file than the server keeps an idle connection.
            self = Self::open(self.to, self.timeout, self.stop)?;
        }
        self.link.send(message.as_bytes())?;
        // The end of what is sent ends the message, also for servers that know no lines.
        self.link.finish_sending();
        let mut answer = Vec::new();
        while let ReplyPart::Body(range) = self.link.next_part()? {
            let room = ANSWER_BYTES.saturating_sub(answer.len());
            answer.extend(self.link.bytes(range).iter().take(room));
        }
        if answer.is_empty() {
            let Authority { host, port } = self.to;
            return Err(Failure::Failed(anyhow!(
                "{host}:{port} closed the connection without an answer: is it the server to report to?"
            )));
        }
        Ok(format!("{}\n", sanitized(&answer).trim_end()))
    }
}
