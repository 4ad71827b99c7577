//! Connection for one request at a time, with replies detected while the request is being sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use fileserver_proto::client::{ReplyError, ReplyEvent, ReplyHead, ReplyKind, ReplyReader};
use fileserver_proto::{StoreError, Wire};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::interrupt::POLL_LIMIT;
use crate::net::address::Address;
use crate::net::rate_limit::RateLimit;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 128 << 10;
/// Longest part of a refusal's text that is shown.
const REASON_BYTES: usize = 512;

/// Connects to the first address of a host that accepts: `localhost` can resolve to `::1` while the
/// server listens on 127.0.0.1.
pub(crate) fn connect(Address { host, port }: &Address) -> Result<TcpStream, Failure> {
    let addresses: Vec<SocketAddr> =
        (host.as_str(), *port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let mut last = None;
    for address in &addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(Failure::Failed(match last {
        None => anyhow!("unknown host {host:?}: check the spelling, or use an IP address"),
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            anyhow!("connection to {host} port {port} refused: start the server, or check the port")
        }
        Some(error) => {
            anyhow!("cannot connect to {host} port {port}: {error}; check host, port and network")
        }
    }))
}

/// Connection to a server, with the reply being read.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    stream: TcpStream,
    reader: ReplyReader,
    buffer: Vec<u8>,
    unread: Range<usize>,
    timeout: Duration,
    limit: Option<RateLimit>,
    stop: &'a AtomicBool,
}

/// Part of a reply.
#[derive(Debug)]
pub(crate) enum ReplyPart {
    /// The head.
    Head(ReplyHead),
    /// A piece of the body; see [`Link::bytes`].
    Body(Range<usize>),
    /// The end.
    End,
}

impl<'a> Link<'a> {
    /// Connects. An operation without progress for `timeout` fails.
    pub(crate) fn open(
        server: &Address,
        wire: Wire,
        timeout: Duration,
        stop: &'a AtomicBool,
    ) -> Result<Self, Failure> {
        let stream = connect(server)?;
        stream.set_nonblocking(true).map_err(anyhow::Error::new)?;
        let (reader, buffer) = (ReplyReader::keeping_fields(wire), vec![0; BUFFER_BYTES]);
        Ok(Self { stream, reader, buffer, unread: 0..0, timeout, limit: None, stop })
    }

    /// Limits the rate of sent and received bytes.
    pub(crate) fn with_limit(self, limit: Option<RateLimit>) -> Self {
        Self { limit, ..self }
    }

    /// Sends `bytes`; false if the server replied before all were sent, which can only be a
    /// refusal.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        while !bytes.is_empty() {
            let ready = self.wait(PollFlags::IN | PollFlags::OUT)?;
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                return Ok(false);
            }
            let piece = self.allowed_piece(bytes.len())?;
            match self.stream.write(&bytes[..piece]) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    self.count(sent);
                }
                Err(error) if is_temporary(&error) => {}
                // A reply sent before the close explains more than this error.
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Closes the sending direction.
    pub(crate) fn finish_sending(&self) {
        // Fails only if the connection is gone, which the next read reports.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// True if the server has closed the connection or sent data without a request: either makes it
    /// unusable between requests.
    pub(crate) fn is_unusable(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    /// Waits for the next part of the reply.
    pub(crate) fn next_part(&mut self) -> Result<ReplyPart, Failure> {
        loop {
            let mut input = &self.buffer[self.unread.clone()];
            let before = input.len();
            let event = self.reader.next(&mut input).map_err(not_a_reply)?;
            let from = self.unread.start;
            self.unread.start += before - input.len();
            match event {
                ReplyEvent::Head(head) => return Ok(ReplyPart::Head(head)),
                ReplyEvent::Body(_) => return Ok(ReplyPart::Body(from..self.unread.start)),
                ReplyEvent::End => return Ok(ReplyPart::End),
                ReplyEvent::NeedMore => {}
            }
            let received = self.receive()?;
            if received == 0 {
                self.reader.close().map_err(not_a_reply)?;
                return Ok(ReplyPart::End);
            }
        }
    }

    /// Reads the head of the next reply.
    pub(crate) fn read_head(&mut self) -> Result<ReplyHead, Failure> {
        match self.next_part()? {
            ReplyPart::Head(head) => Ok(head),
            ReplyPart::Body(_) | ReplyPart::End => {
                Err(not_a_reply(ReplyError::Malformed("no head")))
            }
        }
    }

    /// Marks the next reply as one to a HEAD request, which has no body.
    pub(crate) fn expect_head_only(&mut self) {
        self.reader.expect_head_only();
    }

    /// Field of the last http head.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.reader.field(name)
    }

    /// Sets the longest wait without progress.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Skips the rest of the reply.
    pub(crate) fn skip_rest(&mut self) -> Result<(), Failure> {
        while !matches!(self.next_part()?, ReplyPart::End) {}
        Ok(())
    }

    /// Reason of a refusal, with a remedy where there is one; reads the reply to its end.
    pub(crate) fn refusal(&mut self, head: ReplyHead) -> Result<String, Failure> {
        let mut body = Vec::new();
        // A reply that breaks off still has its status.
        while let Ok(ReplyPart::Body(range)) = self.next_part() {
            let room = REASON_BYTES.saturating_sub(body.len());
            body.extend(self.bytes(range).iter().take(room));
            if body.len() >= REASON_BYTES {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body);
        // Markup (an error page) adds nothing to the status.
        let line = body.lines().next().unwrap_or("").trim();
        let line = if line.starts_with('<') { "" } else { line };
        let (shown, reason) = match head.kind {
            ReplyKind::Status(status) if line.is_empty() => (format!("status {status}"), None),
            ReplyKind::Status(status) => {
                (format!("status {status}, {line}"), StoreError::from_reason(line))
            }
            ReplyKind::Data => ("unexpected data".to_owned(), None),
            ReplyKind::Text | ReplyKind::Error => {
                let text = self.reader.text();
                (text.to_string(), StoreError::from_reason(&text))
            }
        };
        let shown = shown.replace(char::is_control, " ");
        Ok(match remedy(head.kind, reason) {
            Some(remedy) => format!("{shown}; {remedy}"),
            None => shown,
        })
    }

    /// Bytes of a piece of the body, valid until the next part.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Text of the reply; see [`ReplyReader::text`].
    pub(crate) fn text(&self) -> String {
        self.reader.text().into_owned()
    }

    fn receive(&mut self) -> Result<usize, Failure> {
        loop {
            self.wait(PollFlags::IN)?;
            let piece = self.allowed_piece(self.buffer.len())?;
            match self.stream.read(&mut self.buffer[..piece]) {
                Ok(received) => {
                    self.count(received);
                    self.unread = 0..received;
                    return Ok(received);
                }
                Err(error) if is_temporary(&error) => {}
                Err(error) => {
                    return Err(anyhow!("the connection failed: {error}; try again").into());
                }
            }
        }
    }

    /// Waits until the limit allows the next piece; returns its length, at most `bytes`.
    fn allowed_piece(&self, bytes: usize) -> Result<usize, Failure> {
        let Some(limit) = &self.limit else { return Ok(bytes) };
        limit.wait(self.stop)?;
        Ok(bytes.min(limit.piece_bytes()))
    }

    fn count(&mut self, bytes: usize) {
        if let Some(limit) = &mut self.limit {
            limit.count(bytes);
        }
    }

    fn wait(&self, interest: PollFlags) -> Result<PollFlags, Failure> {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), interest)];
        let begun = Instant::now();
        while begun.elapsed() < self.timeout {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            match poll(&mut fds, Some(&POLL_LIMIT)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(fds[0].revents()),
                Err(error) => return Err(anyhow::Error::new(error).into()),
            }
        }
        Err(Failure::Failed(anyhow!(
            "no answer within {}: the server may be full or stuck; try later, or with a longer \
             --timeout",
            humantime::format_duration(self.timeout)
        )))
    }
}

pub(crate) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn not_a_reply(error: ReplyError) -> Failure {
    let remedy = match error {
        ReplyError::Malformed(_) => "check the port and --wire",
        ReplyError::NoReply | ReplyError::Truncated => "it may be full or stopping; try again",
    };
    Failure::Failed(anyhow!("{error}: {remedy}"))
}

/// Remedy for a refusal.
fn remedy(kind: ReplyKind, reason: Option<StoreError>) -> Option<&'static str> {
    use StoreError as Store;
    match (reason, kind) {
        (Some(Store::Full), _) | (_, ReplyKind::Status(507)) => Some("free space on the server"),
        (Some(Store::Busy), _) | (_, ReplyKind::Status(423)) => {
            Some("wait until the other transfer of this upload has ended")
        }
        (Some(Store::NotFound), _) | (_, ReplyKind::Status(404)) => Some("check the name"),
        (Some(Store::Overloaded), _) | (_, ReplyKind::Status(503)) => Some("try again later"),
        (Some(Store::DigestMismatch), _) => {
            Some("it changed or was damaged on the way; send it again")
        }
        (_, ReplyKind::Status(403)) => Some("check the permissions of the server's folder"),
        (_, ReplyKind::Status(413)) => Some("raise the server's limit, or send less"),
        _ => None,
    }
}
