//! Where new connections come from.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::ring::Ring;
use crate::server::limit::{Permit, Waiter};
use crate::server::listener::{AcceptError, Listener};
use crate::server::state::{EXHAUSTION_PAUSE, ServerState};

/// Accepts as many connections as the gate admits.
///
/// While more places are free than the backlog holds, the kernel accepts by itself (multishot): it
/// can hardly overtake the gate. Near the limit the ring only tells that connections wait, and each
/// is accepted once it has a place.
pub(super) struct Acceptor {
    listener: Listener,
    state: State,
    /// Accepted, and no place free any more: they are the next.
    ahead: VecDeque<OwnedFd>,
    /// Wakes the driver when a place becomes free.
    room: Waiter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is asked of the ring.
    Ready,
    /// The kernel accepts by itself,
    Multishot,
    /// but was told to end that.
    EndingMultishot,
    /// The ring will tell when connections wait.
    Polling,
    /// There is no place for more; the gate will tell.
    Full,
    /// Nothing to accept them with, until a connection closes or until then.
    Paused(Instant),
    /// No more are taken.
    Ended,
}

impl Acceptor {
    pub(super) fn new(listener: &Listener, room: Waiter) -> io::Result<Self> {
        listener.set_nonblocking()?;
        Ok(Self { listener: listener.clone(), state: State::Ready, ahead: VecDeque::new(), room })
    }

    /// A place has become free, perhaps.
    pub(super) fn has_room(&mut self) {
        if let State::Full | State::Paused(_) = self.state {
            self.state = State::Ready;
        }
    }

    /// The ring told that connections wait.
    pub(super) fn is_readable(&mut self) {
        if self.state == State::Polling {
            self.state = State::Ready;
        }
    }

    /// The kernel accepted one by itself, or could not. What is admitted is returned.
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
        if !is_armed && matches!(self.state, State::Multishot | State::EndingMultishot) {
            self.state = State::Ready;
        }
        let socket = match outcome.map_err(AcceptError::from) {
            Ok(socket) => socket,
            Err(AcceptError::WouldBlock | AcceptError::Lost) => return Ok(None),
            Err(AcceptError::Exhausted(error)) => {
                self.pause(&error, now);
                return Ok(None);
            }
            Err(AcceptError::Ended(error)) => {
                return if self.state == State::Ended { Ok(None) } else { Err(error) };
            }
        };
        if self.state == State::Ended {
            return Ok(None);
        }
        if self.ahead.is_empty()
            && let Some(permit) = server.limit.try_acquire()
        {
            return Ok(Some((socket, permit)));
        }
        self.ahead.push_back(socket);
        Ok(None)
    }

    /// The next connection that waits and has a place, if one can be had now; else what will tell
    /// of one is asked for.
    ///
    /// # Errors
    /// The listener failed for good.
    pub(super) fn next(
        &mut self,
        server: &ServerState,
        ring: &mut Ring,
        now: Instant,
    ) -> io::Result<Option<(OwnedFd, Permit)>> {
        if self.state == State::Ended {
            return Ok(None);
        }
        if !self.ahead.is_empty() {
            let Some(permit) = server.limit.try_acquire_or_wake(&self.room) else {
                return Ok(None);
            };
            return Ok(self.ahead.pop_front().map(|socket| (socket, permit)));
        }
        let is_roomy = server.limit.free() > self.listener.backlog();
        match self.state {
            State::Multishot if !is_roomy => {
                ring.cancel_accept();
                self.state = State::EndingMultishot;
                return Ok(None);
            }
            State::Ready => {}
            State::Paused(until) if now >= until => {}
            State::Multishot
            | State::EndingMultishot
            | State::Polling
            | State::Full
            | State::Paused(_)
            | State::Ended => return Ok(None),
        }
        if is_roomy {
            ring.accept_all(self.listener.as_fd());
            self.state = State::Multishot;
            return Ok(None);
        }
        let Some(permit) = server.limit.try_acquire_or_wake(&self.room) else {
            self.state = State::Full;
            return Ok(None);
        };
        self.state = State::Ready;
        loop {
            match self.listener.accept(SocketFlags::NONBLOCK) {
                Ok(socket) => return Ok(Some((socket, permit))),
                Err(AcceptError::Lost) => {}
                Err(AcceptError::WouldBlock) => {
                    ring.poll_listener(self.listener.as_fd());
                    self.state = State::Polling;
                    return Ok(None);
                }
                Err(AcceptError::Exhausted(error)) => {
                    self.pause(&error, now);
                    return Ok(None);
                }
                Err(AcceptError::Ended(error)) => return Err(error),
            }
        }
    }

    /// Stops accepting. Those that wait are refused.
    pub(super) fn end(&mut self, ring: &mut Ring) {
        if let State::Multishot = self.state {
            ring.cancel_accept();
        }
        self.state = State::Ended;
        self.ahead.clear();
        self.listener.close();
    }

    /// Whether another connection may be had without waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// When accepting goes on by itself.
    pub(super) fn resumes(&self) -> Option<Instant> {
        match self.state {
            State::Paused(until) => Some(until),
            State::Ready
            | State::Multishot
            | State::EndingMultishot
            | State::Polling
            | State::Full
            | State::Ended => None,
        }
    }

    fn pause(&mut self, error: &io::Error, now: Instant) {
        if self.state != State::Ended {
            tracing::warn!("accepting pauses: {error}");
            self.state = State::Paused(now + EXHAUSTION_PAUSE);
        }
    }
}
