//! What a server's operator decides once and every session obeys.

use std::time::{Duration, Instant};

use crate::Service;

/// Settings shared by all sessions of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the server answers.
    pub service: Service,
    /// Whether heavy requests are served (`/.work` of the http wire).
    pub work: bool,
    /// Which wire to speak.
    pub wire: WirePin,
    /// Sizes beyond which a request is refused.
    pub limits: Limits,
    /// How long a peer may take.
    pub timeouts: Timeouts,
    /// What the page for browsers says that serves it: the strategy's name.
    pub server_name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            service: Service::Files,
            work: false,
            wire: WirePin::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            server_name: "threads-vs-selectors".to_owned(),
        }
    }
}

/// Which wire a server speaks: one, or whichever the first bytes of a connection show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WirePin {
    /// Decided for each connection by its first bytes.
    #[default]
    Auto,
    /// Always this one.
    Pinned(crate::Wire),
}

/// Sizes beyond which a request is refused.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest request line of the http wire, in bytes.
    pub request_line_bytes: usize,
    /// Longest single header field of the http wire, in bytes.
    pub header_bytes: usize,
    /// Longest header section of the http wire, in bytes.
    pub headers_bytes: usize,
    /// Most header fields of one request; above 256 it has no further effect.
    pub headers: usize,
    /// Largest upload in bytes, checked against the declared size before a byte is stored.
    pub upload_bytes: u64,
}

impl Limits {
    /// How many bytes of input a session may need at once to understand a request.
    pub fn input_bytes(&self) -> usize {
        self.request_line_bytes + self.headers_bytes + 64
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes: 8 << 10,
            header_bytes: 8 << 10,
            headers_bytes: 32 << 10,
            headers: 100,
            upload_bytes: 1 << 40,
        }
    }
}

/// How long a peer may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the first byte of a request until its head is whole (not renewed by each byte).
    pub head: Duration,
    /// Without any progress of a body or a reply.
    pub stall: Duration,
    /// Between requests.
    pub idle: Duration,
    /// After which silence what has come of a line, without its end, counts as a message of a
    /// lab service.
    pub quiet: Duration,
    /// After which silence a file's name that came in one piece, without its line's end, counts as
    /// whole. Longer than it takes to send a lost segment again.
    pub quiet_name: Duration,
    /// For the peer to close after a lingering close began.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            idle: Duration::from_secs(75),
            quiet: Duration::from_millis(100),
            quiet_name: Duration::from_millis(500),
            linger: Duration::from_secs(2),
        }
    }
}

/// The present, as the driver tells it: the session reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For measuring how long something takes.
    pub instant: Instant,
    /// For the dates that replies carry: seconds since 1970-01-01 UTC.
    pub unix_s: u64,
}
