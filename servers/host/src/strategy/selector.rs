//! One thread, one selector, all connections.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::net::SocketFlags;
use slab::Slab;

use super::Strategy;
use crate::connection::{
    Attempt, Connection, Leftover, Pace, STEP_BYTES, Step, Wait, contained, io_buffers,
};
use crate::deadlines::Deadlines;
use crate::endpoint::{AcceptError, Endpoint};
use crate::shutdown::Shutdown;
use crate::site::{EXHAUSTION_PAUSE, ServeReport, Site, now};

/// One thread waits for all sockets at once (epoll, through mio) and does for each what can be
/// done without waiting. No thread is ever added; what blocks in it (storage) stalls all.
#[derive(Debug)]
pub struct Selector;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Events taken from the selector at once.
const EVENTS: usize = 1024;
/// Connections accepted before those that are open get their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// A connection's turn ends after this many body bytes,
const TURN_BYTES: u64 = STEP_BYTES;
/// or this many steps (about a dozen small requests), whichever comes first.
const TURN_STEPS: usize = 64;

impl Strategy for Selector {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        endpoint.set_nonblocking()?;
        Reactor::new(endpoint, site, shutdown)?.run()?;
        Ok(site.counters.report())
    }
}

/// A connection as the reactor holds it.
struct Slot {
    connection: Connection,
    leftover: Leftover,
    /// Whether the socket may have bytes: edge-triggered events tell of changes only.
    readable: bool,
    /// Whether the peer has finished sending, so that reading must go on until it shows.
    read_closed: bool,
    /// Whether it waits for another turn.
    queued: bool,
}

struct Reactor<'s> {
    endpoint: &'s Endpoint,
    site: &'s Site,
    shutdown: &'s Shutdown,
    poll: Poll,
    slots: Slab<Slot>,
    deadlines: Deadlines,
    /// Connections whose turn ended before their work did.
    ready: VecDeque<usize>,
    /// Lent to one connection at a time.
    io: IoBuffers,
    now: Now,
    accepting: Accepting,
    /// When a drain ends; set once it has begun.
    drain_ends: Option<Instant>,
}

/// Whether the listener has connections, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    /// None; an event will tell.
    Waiting,
    /// Perhaps some: go on in the next turn.
    Ready,
    /// No more are taken until a connection closes, or until then. No event would come again.
    Paused(Option<Instant>),
    /// No more will be taken.
    Ended,
}

impl<'s> Reactor<'s> {
    fn new(endpoint: &'s Endpoint, site: &'s Site, shutdown: &'s Shutdown) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listener = endpoint.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&listener), LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        shutdown.on_trigger(move || {
            if let Err(error) = waker.wake() {
                tracing::error!("the selector could not be woken: {error}");
            }
        });
        Ok(Self {
            endpoint,
            site,
            shutdown,
            poll,
            slots: Slab::new(),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            io: io_buffers(site),
            now: now(),
            accepting: Accepting::Ready,
            drain_ends: None,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_over() {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.now = now();
            if self.shutdown.is_triggered() {
                self.drain();
            }
            for event in &events {
                match event.token() {
                    LISTENER if self.accepting == Accepting::Waiting => {
                        self.accepting = Accepting::Ready;
                    }
                    LISTENER | WAKER => {}
                    Token(key) => {
                        if let Some(slot) = self.slots.get_mut(key) {
                            slot.readable |= event.is_readable();
                            slot.read_closed |= event.is_read_closed() || event.is_error();
                            self.take_turn(key);
                        }
                    }
                }
            }
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front() {
                    self.take_turn(key);
                }
            }
            self.expire();
            self.accept()?;
        }
        for slot in self.slots.drain() {
            self.site.counters.broken();
            slot.connection.close(self.site);
        }
        Ok(())
    }

    /// How long the selector may wait for events.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.accepting == Accepting::Ready {
            return Some(Duration::ZERO);
        }
        let resume = match self.accepting {
            Accepting::Paused(until) => until,
            Accepting::Waiting | Accepting::Ready | Accepting::Ended => None,
        };
        let next = [self.deadlines.next(), resume, self.drain_ends].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn is_over(&self) -> bool {
        let Some(drain_ends) = self.drain_ends else { return false };
        self.slots.is_empty() || self.shutdown.is_urgent() || self.now.instant >= drain_ends
    }

    /// Stops accepting; idle connections close now, the others after their request.
    fn drain(&mut self) {
        if self.drain_ends.is_some() {
            return;
        }
        self.drain_ends = Some(self.now.instant + self.site.drain);
        self.accepting = Accepting::Ended;
        self.endpoint.close();
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.take_turn(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        match self.accepting {
            Accepting::Ready => {}
            Accepting::Paused(Some(until)) if self.now.instant >= until => {}
            Accepting::Paused(_) | Accepting::Waiting | Accepting::Ended => return Ok(()),
        }
        self.accepting = Accepting::Ready;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(ticket) = self.site.gate.enter() else {
                self.accepting = Accepting::Paused(None);
                return Ok(());
            };
            match self.endpoint.accept(SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    let raw = socket.as_raw_fd();
                    let connection = Connection::new(self.site, socket, ticket, self.now);
                    let entry = self.slots.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(
                        &mut SourceFd(&raw),
                        Token(entry.key()),
                        interest,
                    )?;
                    if let Some(at) = connection.deadline() {
                        self.deadlines.want(entry.key(), at);
                    }
                    entry.insert(Slot {
                        connection,
                        leftover: Leftover::default(),
                        readable: false,
                        read_closed: false,
                        queued: false,
                    });
                }
                Err(AcceptError::WouldBlock) => {
                    self.accepting = Accepting::Waiting;
                    return Ok(());
                }
                Err(AcceptError::Lost) => {}
                Err(AcceptError::Exhausted(error)) => {
                    tracing::warn!("accepting pauses: {error}");
                    self.accepting = Accepting::Paused(Some(self.now.instant + EXHAUSTION_PAUSE));
                    return Ok(());
                }
                Err(AcceptError::Ended(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets a connection do what it can without waiting, up to its fair share.
    fn take_turn(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let (site, io) = (self.site, &mut self.io);
        let draining = self.drain_ends.is_some();
        let now = self.now;
        let turn = contained(site, || slot.take_turn(site, io, now, draining));
        match turn {
            Some(Turn::Waits) => {}
            Some(Turn::Goes) => {
                if !slot.queued {
                    slot.queued = true;
                    self.ready.push_back(key);
                }
            }
            Some(Turn::Closed) | None => return self.close(key, turn.is_some()),
        }
        if let Some(at) = slot.connection.deadline() {
            self.deadlines.want(key, at);
        }
    }

    fn close(&mut self, key: usize, in_order: bool) {
        let slot = self.slots.remove(key);
        if in_order {
            slot.connection.close(self.site);
        } else {
            self.io.clear();
        }
        if let Accepting::Paused(_) = self.accepting {
            self.accepting = Accepting::Ready;
        }
    }

    /// Tells connections of the time whose deadline has come.
    fn expire(&mut self) {
        while let Some(key) = self.deadlines.pop_due(self.now.instant) {
            let Some(slot) = self.slots.get_mut(key) else { continue };
            let Some(at) = slot.connection.deadline() else { continue };
            if at > self.now.instant {
                self.deadlines.want(key, at);
                continue;
            }
            slot.leftover.restore(&mut self.io);
            slot.connection.handle_timeout(&mut self.io, self.now);
            slot.leftover = Leftover::take(&mut self.io);
            self.take_turn(key);
        }
    }
}

enum Turn {
    /// For the peer: an event or the time will tell.
    Waits,
    /// On, when the others had their turn.
    Goes,
    Closed,
}

impl Slot {
    fn take_turn(&mut self, site: &Site, io: &mut IoBuffers, now: Now, draining: bool) -> Turn {
        self.queued = false;
        self.leftover.restore(io);
        let mut pace = ReadinessPace {
            now,
            draining,
            readable: &mut self.readable,
            read_closed: self.read_closed,
        };
        let mut bytes_left = TURN_BYTES;
        let mut turn = Turn::Goes;
        for _ in 0..TURN_STEPS {
            match self.connection.step(site, io, &mut pace) {
                Step::Done { bytes } => {
                    bytes_left = bytes_left.saturating_sub(bytes);
                    if bytes_left == 0 {
                        break;
                    }
                }
                Step::Blocked(wait) => {
                    if wait == Wait::Inbound {
                        *pace.readable = false;
                    }
                    turn = Turn::Waits;
                    break;
                }
                Step::Closed => {
                    io.clear();
                    return Turn::Closed;
                }
            }
        }
        self.leftover = Leftover::take(io);
        turn
    }
}

/// The pace of a reactor: nothing waits, and time stands still during a turn.
struct ReadinessPace<'c> {
    now: Now,
    draining: bool,
    readable: &'c mut bool,
    read_closed: bool,
}

impl Pace for ReadinessPace<'_> {
    fn now(&mut self) -> Now {
        self.now
    }

    fn before_wait(
        &mut self,
        _: BorrowedFd<'_>,
        wait: Wait,
        _: bool,
        _: Option<Instant>,
    ) -> Attempt {
        if wait == Wait::Inbound && !*self.readable && !self.read_closed {
            return Attempt::Skip;
        }
        Attempt::Perform
    }

    /// A receive that did not fill the room has emptied the socket: the next bytes raise an event.
    fn received(&mut self, bytes: usize, room: usize) {
        if bytes < room {
            *self.readable = false;
        }
    }

    fn is_draining(&self) -> bool {
        self.draining
    }
}
