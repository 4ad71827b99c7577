//! Settings of a server, shared by all its sessions.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Service;

/// Settings of a server, shared by all its sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Service that answers.
    pub service: Service,
    /// Heavy requests are served (`/.work` of the http wire).
    pub work: bool,
    /// Wire to speak.
    pub wire: WirePin,
    /// Hosts that http requests may name.
    pub hosts: Hosts,
    /// Size limits; larger requests are refused.
    pub limits: Limits,
    /// Time limits of a peer.
    pub timeouts: Timeouts,
    /// Name that the page for browsers shows: the strategy's.
    pub server_name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            service: Service::Files,
            work: false,
            wire: WirePin::default(),
            hosts: Hosts::Any,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            server_name: "threads-vs-selectors".to_owned(),
        }
    }
}

/// Choice of a server's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WirePin {
    /// Chosen for each connection by its first bytes.
    #[default]
    Auto,
    /// One wire for all connections.
    Pinned(crate::Wire),
}

/// Hosts that http requests may name.
///
/// A page of another site can make its own name resolve to this server's address (DNS rebinding).
/// A browser then takes the server for part of that site. Its requests still carry the other name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any host.
    Any,
    /// `localhost`, some addresses, and some names.
    Known {
        /// Addresses in place of a name.
        addresses: HostAddresses,
        /// Further names, without ports.
        names: Vec<String>,
    },
}

/// Addresses that may stand in place of a host's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddresses {
    /// Addresses of the loopback interface.
    Loopback,
    /// All addresses: none can be made to resolve to another.
    All,
}

impl HostAddresses {
    pub(crate) fn contain(self, address: IpAddr) -> bool {
        self == Self::All || address.is_loopback()
    }
}

/// Size limits; larger requests are refused.
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
    /// Most bytes of input that decoding a request may need at once.
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

/// Time limits of a peer.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the first byte of a request until its head is complete; not renewed by each byte.
    pub head: Duration,
    /// Without progress of a reply, or of a body at its least rate.
    pub stall: Duration,
    /// Least rate of a body in bytes per second; 0 for none. Each second's worth of bytes adds a
    /// second to the time that is left, up to `stall`.
    pub body_rate: u64,
    /// Between requests.
    pub idle: Duration,
    /// Silence that ends a lab service's message without a line end.
    pub quiet: Duration,
    /// Silence that ends a file's name without a line end, if the name came in one piece. Longer
    /// than the retransmission of a lost segment takes.
    pub quiet_name: Duration,
    /// Without a byte during a lingering close.
    pub linger: Duration,
    /// From the start of a lingering close until the peer must have closed.
    pub linger_total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            body_rate: 500,
            idle: Duration::from_secs(75),
            quiet: Duration::from_millis(100),
            quiet_name: Duration::from_millis(500),
            linger: Duration::from_secs(5),
            linger_total: Duration::from_secs(30),
        }
    }
}

/// Current time, as reported by the driver: the session reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time for measuring durations.
    pub instant: Instant,
    /// Seconds since 1970-01-01 UTC, for the dates in replies.
    pub unix_s: u64,
}
