//! Accepting through the ring.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::ring::Ring;
use crate::server::limit::Permit;
use crate::server::listener::{AcceptError, Listener};
use crate::server::state::ServerState;
use crate::strategy::parts::accept_policy::Next;
use crate::strategy::parts::acceptor::Acceptor;

/// Accepts as many connections as the connection limit admits.
///
/// While more permits are free than the backlog is long, the kernel accepts by itself (multishot):
/// it can hardly exceed the limit. Near the limit the ring only reports that the listener is
/// readable, and each connection is accepted with its permit.
pub(super) struct RingAcceptor {
    single: Acceptor,
    multishot: Multishot,
    /// Accepted by the kernel while no permit was free: the next to be admitted.
    ahead: VecDeque<OwnedFd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Multishot {
    Off,
    On,
    /// Cancelled; its last event is still to come.
    Ending,
}

impl RingAcceptor {
    /// Acceptor whose owner `wake` interrupts.
    ///
    /// # Errors
    /// The listener cannot be made non-blocking.
    pub(super) fn new(
        listener: &Listener,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let single = Acceptor::new(listener, SocketFlags::NONBLOCK, wake)?;
        Ok(Self { single, multishot: Multishot::Off, ahead: VecDeque::new() })
    }

    /// The ring reported that the listener is readable.
    pub(super) fn listener_readable(&mut self) {
        self.single.listener_readable();
    }

    /// Handles the result of an accept by the kernel; returns a connection that is admitted now.
    ///
    /// # Errors
    /// The listener failed for good.
    pub(super) fn accepted(
        &mut self,
        server: &ServerState,
        outcome: Result<OwnedFd, Errno>,
        is_armed: bool,
        now: Instant,
    ) -> io::Result<Option<(OwnedFd, Permit)>> {
        if !is_armed {
            self.multishot = Multishot::Off;
        }
        match outcome.map_err(AcceptError::from) {
            Ok(_) if self.has_ended(now) => {}
            Ok(socket) => {
                if self.ahead.is_empty()
                    && let Some(permit) = server.limit.try_acquire()
                {
                    return Ok(admitted(server, socket, permit));
                }
                self.ahead.push_back(socket);
            }
            // The kernel waits for connections itself.
            Err(AcceptError::WouldBlock) => {}
            Err(error) => self.single.failed(error, server, now)?,
        }
        Ok(None)
    }

    /// Next connection that can be admitted now; if there is none, the ring is asked to report the
    /// next one.
    ///
    /// # Errors
    /// The listener failed for good.
    pub(super) fn accept(
        &mut self,
        server: &ServerState,
        ring: &mut Ring,
        now: Instant,
    ) -> io::Result<Option<(OwnedFd, Permit)>> {
        if self.has_ended(now) {
            return Ok(None);
        }
        let is_roomy = server.limit.free() > self.single.backlog();
        if self.multishot == Multishot::On && !is_roomy {
            ring.cancel_accept();
            self.multishot = Multishot::Ending;
        }
        if !self.ahead.is_empty() {
            let Some(permit) = self.single.acquire(server) else { return Ok(None) };
            let ahead = self.ahead.pop_front();
            return Ok(ahead.and_then(|socket| admitted(server, socket, permit)));
        }
        if self.multishot != Multishot::Off {
            return Ok(None);
        }
        if self.single.next(now) != Next::Accept {
            return Ok(None);
        }
        if is_roomy {
            ring.accept_all(self.single.as_fd());
            self.multishot = Multishot::On;
            return Ok(None);
        }
        let accepted = self.single.accept(server, now)?;
        if self.single.next(now) == Next::WaitForConnection {
            ring.poll_listener(self.single.as_fd());
        }
        Ok(accepted)
    }

    /// Next step of the driver at this time.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let next = self.single.next(now);
        let kernel_accepts = self.multishot != Multishot::Off && self.ahead.is_empty();
        if next == Next::Accept && kernel_accepts { Next::WaitForConnection } else { next }
    }

    /// Stops accepting; connections in the accept queue are refused.
    pub(super) fn end(&mut self, ring: &mut Ring) {
        if self.multishot == Multishot::On {
            ring.cancel_accept();
        }
        self.ahead.clear();
        self.single.end();
    }

    fn has_ended(&mut self, now: Instant) -> bool {
        self.single.next(now) == Next::End
    }
}

/// The connection, if it is within the limit of its peer's address; it is closed otherwise.
fn admitted(
    server: &ServerState,
    socket: OwnedFd,
    mut permit: Permit,
) -> Option<(OwnedFd, Permit)> {
    if permit.admits(&socket) {
        permit.traced = server.trace.accepted(&socket);
        return Some((socket, permit));
    }
    permit.free_unused();
    server.counters.refused();
    None
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::server::send_path::SendPath;
    use crate::server::state::{AcceptDistribution, ServerOptions};
    use crate::store::{Store, StoreOptions};
    use crate::strategy::StrategyKind;

    const CONNECTIONS: usize = 8;

    #[test]
    fn connections_accepted_beyond_the_limit_wait_for_a_permit_and_no_more_are_accepted() {
        if let Err(reason) = StrategyKind::Uring.availability() {
            testkit::skip("connections_accepted_beyond_the_limit", reason);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = ServerOptions {
            settings: fileserver_proto::Settings::default(),
            workers: 1,
            accept: AcceptDistribution::default(),
            send_path: SendPath::default(),
            max_connections: CONNECTIONS,
            drain: std::time::Duration::ZERO,
        };
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let server = Arc::new(ServerState::new(store, options));
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
        let mut ring = Ring::new().unwrap();
        let mut acceptor = RingAcceptor::new(&listener, || {}).unwrap();
        let now = Instant::now();
        assert!(acceptor.accept(&server, &mut ring, now).unwrap().is_none());
        assert_eq!(acceptor.multishot, Multishot::On);
        let mut permits: Vec<_> =
            (0..CONNECTIONS).map(|_| server.limit.try_acquire().unwrap()).collect();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for _ in 0..3 {
            let socket = client.try_clone().unwrap().into();
            assert!(acceptor.accepted(&server, Ok(socket), true, now).unwrap().is_none());
        }
        assert!(acceptor.accept(&server, &mut ring, now).unwrap().is_none());
        assert_eq!(acceptor.multishot, Multishot::Ending);
        assert_eq!(acceptor.next(now), Next::WaitForPermit, "the driver waits instead of spinning");
        permits.pop();
        assert_eq!(acceptor.next(now), Next::Accept);
        assert!(acceptor.accept(&server, &mut ring, now).unwrap().is_some());
        assert_eq!(acceptor.ahead.len(), 2);
    }
}
