//! The ways in which the generator's threads talk to the kernel.
//!
//! What a load does with its connections knows nothing of system calls: it opens, sends to and
//! closes numbered [`Sockets`], and takes events from them. An engine is one way to serve that.

pub(crate) mod epoll;
#[cfg(test)]
pub(crate) mod simulated;
pub(crate) mod uring;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::content::Content;
use crate::spec::{Engine, EngineChoice, SpecError};

/// Most bytes of a body handed to the kernel at once.
pub(crate) const SEND_BYTES: usize = 256 << 10;

impl EngineChoice {
    /// The engine that runs where this is chosen.
    ///
    /// # Errors
    /// [`SpecError::Engine`] where the kernel refuses the only one allowed.
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

/// The sockets of one thread's connections, by number.
///
/// The contract of all engines: a socket has events only between its `open` and its `close`. What
/// was received is told before the end of the stream. A send that fails is told by
/// [`Event::Broken`], after everything that the peer said before.
pub(crate) trait Sockets<'a> {
    /// Whether sends wait for [`submit`](Self::submit) or [`wait`](Self::wait).
    const DEFERS_SENDS: bool;

    /// The time, of the clock that deadlines refer to.
    fn now_ns(&self) -> u64;

    /// When the event that came last happened, or was first seen to have.
    fn event_ns(&self) -> u64;

    /// Begins to connect a socket that is not open, from the given address if any.
    fn open(&mut self, socket: usize, source: Option<Ipv4Addr>) -> io::Result<()>;

    /// Closes an open socket.
    fn close(&mut self, socket: usize);

    /// Sends to a connected socket of which no earlier send is [`Sent::Later`].
    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent;

    /// Operations that wait for being submitted.
    fn queued(&self) -> usize;

    /// Hands to the kernel what waits for it. Should that fail, the next `wait` tells.
    fn submit(&mut self);

    /// Submits, and waits for events until a time; not at all when it is past or when there are
    /// events already. It may return without any.
    fn wait(&mut self, until_ns: u64) -> io::Result<()>;

    /// The next event and its socket, until there is none.
    fn next(&mut self) -> Option<(usize, Event<'_>)>;
}

/// A part of a request, in memory that outlives the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) body: Body<'a>,
}

/// The body behind a head.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    /// This much content from an offset on, to be made while it is sent.
    Content {
        content: Content,
        offset: u64,
        len: usize,
    },
}

/// What came of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// So many bytes are on their way.
    Bytes(usize),
    /// [`Event::Sent`] will tell.
    Later,
}

/// What happened on a socket.
#[derive(Debug)]
pub(crate) enum Event<'e> {
    Connected,
    /// It could not be connected.
    Refused(io::Error),
    /// So many bytes were sent, and more may be; 0 where that alone is told.
    Sent(usize),
    Received {
        bytes: &'e [u8],
        /// The peer will send nothing more than what it has sent by now.
        peer_closed: bool,
    },
    /// The peer has closed, and all it sent was received.
    Closed,
    /// The connection is broken.
    Broken(io::ErrorKind),
}

/// What an engine needs to know of its load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSetup {
    pub(crate) target: SocketAddr,
    /// Sockets of this thread.
    pub(crate) sockets: usize,
    /// Whether a socket serves many requests.
    pub(crate) keep_alive: bool,
    /// How long replies are on average, about.
    pub(crate) reply_bytes: u64,
    /// Whether there is [`Body::Content`] to send.
    pub(crate) makes_content: bool,
}

/// A socket that can be connected to the target.
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
    fn a_refusal_is_told_to_who_insists_and_avoided_for_others() {
        let refuse = || Err(rustix::io::Errno::PERM.into());
        let insisting = EngineChoice::Only(Engine::Uring);
        assert_eq!(EngineChoice::Auto.resolve_by(refuse).unwrap(), Engine::Epoll);
        let refusal = insisting.resolve_by(refuse).unwrap_err().to_string();
        for part in ["refuses io_uring", "not permitted", "epoll", "auto"] {
            assert!(refusal.contains(part), "{refusal}");
        }
        for choice in [insisting, EngineChoice::Auto] {
            assert_eq!(choice.resolve_by(|| Ok(())).unwrap(), Engine::Uring);
        }
        let unasked = || panic!("epoll needs nothing of io_uring");
        assert_eq!(EngineChoice::Only(Engine::Epoll).resolve_by(unasked).unwrap(), Engine::Epoll);
    }
}
