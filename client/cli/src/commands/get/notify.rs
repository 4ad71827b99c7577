//! Notification of a second server about the fetched file.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;
use fileserver_proto::Wire;

use crate::failure::Failure;
use crate::net::address::Address;
use crate::net::link::{Link, ReplyPart};
use crate::terminal::screen::sanitized;

/// Longest part of the reply that is shown.
const ANSWER_BYTES: usize = 8 << 10;

/// Connection for one message.
#[derive(Debug)]
pub(super) struct Notification<'a> {
    link: Link<'a>,
    to: &'a Address,
    timeout: Duration,
    stop: &'a AtomicBool,
}

impl<'a> Notification<'a> {
    /// Connects.
    pub(super) fn open(
        to: &'a Address,
        timeout: Duration,
        stop: &'a AtomicBool,
    ) -> Result<Self, Failure> {
        let link = Link::open(to, Wire::Text, timeout, stop)?;
        Ok(Self { link, to, timeout, stop })
    }

    /// Sends the message and returns the reply with an end of line.
    pub(super) fn send(mut self, message: &str) -> Result<String, Failure> {
        if self.link.is_unusable() {
            // The transfer took longer than the idle timeout of this server.
            self = Self::open(self.to, self.timeout, self.stop)?;
        }
        self.link.send(message.as_bytes())?;
        // Closing the direction ends the message, also for servers without a line protocol.
        self.link.finish_sending();
        let mut answer = Vec::new();
        while let ReplyPart::Body(range) = self.link.next_part()? {
            let room = ANSWER_BYTES.saturating_sub(answer.len());
            answer.extend(self.link.bytes(range).iter().take(room));
        }
        if answer.is_empty() {
            return Err(Failure::Failed(anyhow!(
                "{} closed the connection without a reply: check --report-to",
                self.to
            )));
        }
        Ok(format!("{}\n", sanitized(&answer).trim_end()))
    }
}
