//! I/O engines of the load generator.
//!
//! The worker makes no system calls: it opens, sends to and closes numbered [`Sockets`] and handles
//! their events. An engine implements them.

pub(crate) mod epoll;
#[cfg(test)]
pub(crate) mod simulated;
pub(crate) mod uring;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::content::Content;
use crate::spec::{Engine, EngineChoice, SpecError};

/// Upper bound of body bytes per send.
pub(crate) const SEND_BYTES: usize = 256 << 10;

impl EngineChoice {
    /// Returns the engine to use.
    ///
    /// # Errors
    /// [`SpecError::Engine`] if the kernel refuses the only engine allowed.
    pub fn resolve(self) -> Result<Engine, SpecError> {
        self.resolve_by(uring::probe)
    }

    fn resolve_by(self, probe: impl FnOnce() -> io::Result<()>) -> Result<Engine, SpecError> {
        match self {
            Self::Only(Engine::Epoll) => Ok(Engine::Epoll),
            Self::Only(Engine::Uring) => match probe() {
                Ok(()) => Ok(Engine::Uring),
                Err(source) => Err(SpecError::Engine(source)),
            },
            Self::Auto => Ok(if probe().is_ok() { Engine::Uring } else { Engine::Epoll }),
        }
    }
}

/// Sockets of one thread's connections, by number.
///
/// Contract of all engines: a socket has events only between its `open` and its `close`. Received
/// data precede the end of the stream. A failed send is reported as [`Event::Broken`], after all
/// data that the peer sent before.
pub(crate) trait Sockets<'a> {
    /// True if sends wait for [`submit`](Self::submit) or [`wait`](Self::wait).
    const DEFERS_SENDS: bool;

    /// Current time of the clock that deadlines refer to.
    fn now_ns(&self) -> u64;

    /// Time of the last event, or of its first observation.
    fn event_ns(&self) -> u64;

    /// Begins to connect a closed socket, from the given address if any.
    fn open(&mut self, socket: usize, source: Option<Ipv4Addr>) -> io::Result<()>;

    /// Closes an open socket.
    fn close(&mut self, socket: usize);

    /// Sends to a connected socket that has no send that is still [`Sent::Deferred`].
    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent;

    /// Number of operations not submitted yet.
    fn queued(&self) -> usize;

    /// Submits the queued operations. An error is returned by the next `wait`.
    fn submit(&mut self);

    /// Submits, and waits for events until a time; does not wait if that time has passed or if
    /// there are events already. It can return without events.
    fn wait(&mut self, until_ns: u64) -> io::Result<()>;

    /// Next event and its socket, if any.
    fn next(&mut self) -> Option<(usize, Event<'_>)>;
}

/// Part of a request, in memory that outlives the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) body: Body<'a>,
}

/// Body after a head.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    /// Generated content from an offset on, filled in when it is sent.
    Content {
        content: Content,
        offset: u64,
        len: usize,
    },
}

/// Result of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// This number of bytes was accepted.
    Bytes(usize),
    /// The result follows as [`Event::Sent`].
    Deferred,
}

/// Event of a socket.
#[derive(Debug)]
pub(crate) enum Event<'e> {
    Connected,
    /// The connection attempt failed.
    Refused(io::Error),
    /// This number of bytes was sent, and more can be sent; 0 if only that is known.
    Sent(usize),
    Received {
        bytes: &'e [u8],
        /// The peer has finished sending.
        peer_closed: bool,
    },
    /// The peer has closed, and all its data were received.
    Closed,
    /// The connection is broken.
    Broken(io::ErrorKind),
}

/// Properties of a load that an engine needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSetup {
    pub(crate) target: SocketAddr,
    /// Number of sockets of this thread.
    pub(crate) sockets: usize,
    /// True if a socket serves many requests.
    pub(crate) keep_alive: bool,
    /// Approximate mean length of the replies.
    pub(crate) reply_bytes: u64,
    /// True if [`Body::Content`] is sent.
    pub(crate) makes_content: bool,
}

/// Creates a socket that can connect to the target.
fn socket(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::V4(SocketAddrV4::new(source, 0)).into())?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_engine_is_an_error_only_if_no_other_is_allowed() {
        let refuse = || Err(rustix::io::Errno::PERM.into());
        let only_uring = EngineChoice::Only(Engine::Uring);
        assert_eq!(EngineChoice::Auto.resolve_by(refuse).unwrap(), Engine::Epoll);
        let refusal = only_uring.resolve_by(refuse).unwrap_err().to_string();
        for part in ["refuses io_uring", "not permitted", "epoll", "auto"] {
            assert!(refusal.contains(part), "{refusal}");
        }
        for choice in [only_uring, EngineChoice::Auto] {
            assert_eq!(choice.resolve_by(|| Ok(())).unwrap(), Engine::Uring);
        }
        let unasked = || panic!("epoll does not need io_uring");
        assert_eq!(EngineChoice::Only(Engine::Epoll).resolve_by(unasked).unwrap(), Engine::Epoll);
    }
}
