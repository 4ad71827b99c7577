//! Waiting for room in the sockets of peers that have finished sending.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::ring::Token;

/// Sockets taken from the set at once.
const EVENTS: usize = 128;

/// Set of full sockets whose peers have finished sending; readable once one of them has room.
///
/// A poll by the ring always includes `POLLRDHUP`, so it completes at once for these sockets,
/// whether they have room or not. An epoll descriptor waits for room alone, and the ring polls
/// the epoll descriptor.
pub(super) struct RoomSet {
    epoll: OwnedFd,
    /// Kept for its memory.
    events: Vec<Event>,
}

impl RoomSet {
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// Out of memory, or beyond the system's limit on watched descriptors.
    pub(super) fn add(&self, token: Token, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, EventData::new_u64(token.to_bits()), EventFlags::OUT)
    }

    /// Removes a socket; it is still open.
    pub(super) fn remove(&self, socket: BorrowedFd<'_>) {
        if let Err(errno) = epoll::delete(&self.epoll, socket) {
            tracing::error!("a socket is watched for room longer than necessary: {errno}");
        }
    }

    /// Number of sockets that have room or are broken, up to [`EVENTS`]; [`ready`](Self::ready)
    /// names them.
    pub(super) fn look(&mut self) -> usize {
        self.events.clear();
        let at_once = Timespec::default();
        // Fails only by a signal: the ring reports the descriptor again.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&at_once));
        self.events.len()
    }

    /// One of the sockets found by [`look`](Self::look).
    pub(super) fn ready(&self, index: usize) -> Token {
        Token::from_bits(self.events[index].data.u64())
    }
}

impl AsFd for RoomSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
