//! Non-blocking accepting by the accept policy.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::net::SocketFlags;

use super::accept_policy::{AcceptPolicy, Next};
use crate::server::limit::{Permit, PermitWaker};
use crate::server::listener::{AcceptError, Listener};
use crate::server::state::ServerState;

/// A non-blocking listener, its policy, and the waker for the times without a free permit.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: Listener,
    flags: SocketFlags,
    policy: AcceptPolicy,
    waker: PermitWaker,
}

impl Acceptor {
    /// Acceptor whose sockets have these flags. `wake` interrupts the owner's wait; it is called
    /// by other threads.
    ///
    /// # Errors
    /// The listener cannot be made non-blocking.
    pub(crate) fn new(
        listener: &Listener,
        flags: SocketFlags,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking()?;
        let (policy, waker) = (AcceptPolicy::new(), PermitWaker::new(wake));
        Ok(Self { listener: listener.clone(), flags, policy, waker })
    }

    /// Next connection in the accept queue and its permit, if both can be had now.
    ///
    /// # Errors
    /// The listener failed for good.
    pub(crate) fn accept(
        &mut self,
        server: &ServerState,
        now: Instant,
    ) -> io::Result<Option<(OwnedFd, Permit)>> {
        while self.next(now) == Next::Accept {
            let Some(mut permit) = self.acquire(server) else { break };
            match self.listener.accept(self.flags) {
                Ok(socket) if permit.admits(&socket) => {
                    permit.traced = server.trace.accepted(&socket);
                    return Ok(Some((socket, permit)));
                }
                Ok(_) => {
                    permit.free_unused();
                    server.counters.refused();
                }
                Err(error) => {
                    permit.free_unused();
                    self.failed(error, server, now)?;
                }
            }
        }
        Ok(None)
    }

    /// An attempt failed.
    ///
    /// # Errors
    /// The listener failed for good.
    pub(crate) fn failed(
        &mut self,
        error: AcceptError,
        server: &ServerState,
        now: Instant,
    ) -> io::Result<()> {
        self.policy.failed(error, now)?;
        if let Next::WaitForClose { .. } = self.policy.next(now) {
            server.limit.wake_on_close(&self.waker);
        }
        Ok(())
    }

    /// A permit, if one is free.
    pub(crate) fn acquire(&mut self, server: &ServerState) -> Option<Permit> {
        let permit = server.limit.try_acquire_or_wake(&self.waker);
        if permit.is_none() {
            self.policy.limit_reached();
        }
        permit
    }

    /// Next step at this time.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        if self.waker.take_woken() {
            self.policy.connection_closed();
        }
        self.policy.next(now)
    }

    /// The listener was reported readable.
    pub(crate) fn listener_readable(&mut self) {
        self.policy.listener_readable();
    }

    /// Length limit of the accept queue.
    pub(crate) fn backlog(&self) -> usize {
        self.listener.backlog()
    }

    /// Stops accepting; connections in the accept queue are refused.
    pub(crate) fn end(&mut self) {
        self.policy.end();
        self.listener.close();
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
