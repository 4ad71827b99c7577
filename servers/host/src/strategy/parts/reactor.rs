//! Event loop of the event-driven strategies: one thread serves many connections through a
//! selector.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rayon::ThreadPool;
use rustix::net::SocketFlags;
use slab::Slab;

use super::accept_policy::Next;
use super::acceptor::Acceptor;
use super::lifecycle::Lifecycle;
use super::turn::{ACCEPTS_PER_TURN, Share, Turn};
use super::waker::{WakeConnection, connection_waker};
use crate::connection::{
    Attempt, Connection, Leftover, Step, Wait, WaitPolicy, io_buffers, isolate_panic,
};
use crate::server::limit::Permit;
use crate::server::listener::Listener;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};
use crate::trace::event::Kind;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Events taken from the selector at once.
const EVENTS: usize = 1024;
/// Pairs of buffers kept for connections that move to a worker.
const SPARE_BUFFERS: usize = 16;

/// Source of a reactor's connections.
pub(crate) enum ConnectionSource {
    /// Its own listener.
    Listener(Listener),
    /// Its inbox, filled by another thread.
    Inbox,
}

/// Connections and wake-ups that other threads hand to a reactor.
pub(crate) struct Inbox {
    arrivals: Mutex<Vec<Arrival>>,
    waker: Waker,
}

enum Arrival {
    /// A connection accepted elsewhere.
    New(OwnedFd, Permit),
    /// A connection that a worker hands back, by its key, and its buffers.
    Back(usize, Worked, IoBuffers),
    /// The connection of this key may have messages.
    Wake(usize),
}

impl WakeConnection for Inbox {
    type Key = usize;

    fn wake_connection(&self, key: usize) {
        self.push(Arrival::Wake(key));
    }
}

/// State of a connection that comes back from a worker.
enum Worked {
    /// The next action does not block.
    Goes(Box<Connection>),
    /// The connection is broken.
    Closed(Box<Connection>),
    /// The connection ended by a panic.
    Panicked,
}

impl Inbox {
    /// Hands over a connection accepted elsewhere; its socket does not block.
    pub(crate) fn deal(&self, socket: OwnedFd, permit: Permit) {
        self.push(Arrival::New(socket, permit));
    }

    fn push(&self, arrival: Arrival) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = arrivals.is_empty();
        arrivals.push(arrival);
        drop(arrivals);
        if was_empty {
            self.wake();
        }
    }

    fn take(&self, into: &mut Vec<Arrival>) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *arrivals, into);
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!("cannot wake a selector: {error}");
        }
    }
}

/// A connection as the reactor holds it.
struct ReactorConnection {
    /// `None` while a worker has it.
    connection: Option<Box<Connection>>,
    leftover: Leftover,
    /// True if the socket may have bytes: edge-triggered events report changes only.
    readable: bool,
    /// True if the peer has finished sending: reads continue until the end of the stream.
    read_closed: bool,
    /// True if the connection waits for another turn.
    queued: bool,
}

/// Connections of one thread, and the selector it waits with.
pub(crate) struct Reactor {
    server: Arc<ServerState>,
    shutdown: Shutdown,
    /// `None` for a reactor whose connections come through its inbox.
    acceptor: Option<Acceptor>,
    /// Pool for actions that may block; `None` performs them inline.
    workers: Option<Arc<ThreadPool>>,
    inbox: Arc<Inbox>,
    /// Taken out of the inbox; kept to reuse its memory.
    arrived: Vec<Arrival>,
    poll: Poll,
    slots: Slab<ReactorConnection>,
    lifecycle: Lifecycle,
    /// Buffers of the connection whose turn it is.
    io: IoBuffers,
    /// Returned by workers, for the next connection that moves to a worker.
    spare_io: Vec<IoBuffers>,
    now: Now,
}

impl Reactor {
    /// Reactor, not yet [running](Self::run). `workers`, if any, perform actions that may block.
    ///
    /// # Errors
    /// The selector cannot be created, most likely for lack of descriptors.
    pub(crate) fn new(
        source: ConnectionSource,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
        workers: Option<Arc<ThreadPool>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox = Arc::new(Inbox { arrivals: Mutex::new(Vec::new()), waker });
        let woken = Arc::clone(&inbox);
        shutdown.on_trigger(move |_| woken.wake());
        let acceptor = match source {
            ConnectionSource::Listener(listener) => {
                let woken = Arc::clone(&inbox);
                let acceptor =
                    Acceptor::new(&listener, SocketFlags::NONBLOCK, move || woken.wake())?;
                let descriptor = acceptor.as_fd().as_raw_fd();
                let interest = Interest::READABLE;
                poll.registry().register(&mut SourceFd(&descriptor), LISTENER, interest)?;
                Some(acceptor)
            }
            ConnectionSource::Inbox => None,
        };
        Ok(Self {
            server: Arc::clone(server),
            shutdown: shutdown.clone(),
            acceptor,
            workers,
            inbox,
            arrived: Vec::new(),
            poll,
            slots: Slab::new(),
            lifecycle: Lifecycle::default(),
            io: io_buffers(server),
            spare_io: Vec::new(),
            now: now(),
        })
    }

    /// Inbox through which other threads hand connections over.
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Serves until the shutdown is triggered and its connections are closed or broken.
    ///
    /// # Errors
    /// The selector or the listener failed for good.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_over() {
            let timeout = self.poll_timeout();
            let waiting = self.server.trace.wait(Kind::WaitReady);
            let polled = self.poll.poll(&mut events, timeout);
            drop(waiting);
            match polled {
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
                    LISTENER => {
                        if let Some(acceptor) = &mut self.acceptor {
                            acceptor.listener_readable();
                        }
                    }
                    WAKER => {}
                    Token(key) => {
                        if let Some(slot) = self.slots.get_mut(key) {
                            slot.readable |= event.is_readable();
                            slot.read_closed |= event.is_read_closed() || event.is_error();
                            // More events must not give it more turns.
                            if !slot.queued {
                                self.take_turn(key);
                            }
                        }
                    }
                }
            }
            for _ in 0..self.lifecycle.yielded() {
                if let Some(key) = self.lifecycle.pop_yielded()
                    && let Some(slot) = self.slots.get_mut(key)
                {
                    slot.queued = false;
                    self.take_turn(key);
                }
            }
            self.admit_arrivals();
            self.expire();
            self.accept()?;
        }
        for slot in self.slots.drain() {
            self.server.counters.broken();
            if let Some(connection) = slot.connection {
                connection.close(&self.server);
            }
        }
        Ok(())
    }

    /// Handles what other threads have handed over.
    fn admit_arrivals(&mut self) {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.inbox.take(&mut arrived);
        for arrival in arrived.drain(..) {
            match arrival {
                Arrival::New(socket, permit) => self.admit(socket, permit),
                Arrival::Back(key, Worked::Goes(connection), io) => {
                    if let Some(slot) = self.slots.get_mut(key) {
                        slot.connection = Some(connection);
                        let used = std::mem::replace(&mut self.io, io);
                        self.keep_spare(used);
                        self.take_turn_with_buffers(key);
                    }
                }
                Arrival::Back(key, Worked::Closed(connection), _) => {
                    self.close(key, Some(connection));
                }
                Arrival::Back(key, Worked::Panicked, _) => self.close(key, None),
                Arrival::Wake(key) => {
                    if self.slots.get(key).is_some_and(|slot| !slot.queued) {
                        self.take_turn(key);
                    }
                }
            }
        }
        self.arrived = arrived;
    }

    fn keep_spare(&mut self, io: IoBuffers) {
        if self.spare_io.len() < SPARE_BUFFERS {
            self.spare_io.push(io);
        }
    }

    /// Longest wait for events.
    fn poll_timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let accept = self.acceptor.as_mut().map_or(Next::End, |acceptor| acceptor.next(now));
        self.lifecycle.poll_timeout(now, accept)
    }

    fn is_over(&self) -> bool {
        let is_urgent = self.shutdown.is_urgent();
        self.lifecycle.is_over(self.now.instant, self.slots.is_empty(), is_urgent)
    }

    /// Stops accepting; idle connections close now, the others after their request.
    fn drain(&mut self) {
        if !self.lifecycle.begin_drain(self.now.instant, self.server.drain) {
            return;
        }
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.end();
        }
        let waiting = self.slots.iter().filter(|(_, slot)| !slot.queued);
        let keys: Vec<usize> = waiting.map(|(key, _)| key).collect();
        for key in keys {
            self.take_turn(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(acceptor) = &mut self.acceptor else { break };
            match acceptor.accept(&self.server, self.now.instant)? {
                Some((socket, permit)) => self.admit(socket, permit),
                None => break,
            }
        }
        Ok(())
    }

    /// Watches a new connection. An event follows at once if it is readable.
    fn admit(&mut self, socket: OwnedFd, permit: Permit) {
        let raw = socket.as_raw_fd();
        let key = self.slots.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut SourceFd(&raw), Token(key), interest)
        {
            self.server.counters.refused();
            tracing::warn!("a connection is refused: its socket cannot be watched: {error}");
            return;
        }
        let connection = Box::new(Connection::new(&self.server, socket, permit, self.now));
        if let Some(at) = connection.deadline() {
            self.lifecycle.deadlines.want(key, at);
        }
        self.slots.insert(ReactorConnection {
            connection: Some(connection),
            leftover: Leftover::default(),
            readable: false,
            read_closed: false,
            queued: false,
        });
        // It was handed over before the drain began, and may stay idle.
        if self.lifecycle.is_draining() {
            self.take_turn(key);
        }
    }

    /// Gives a connection a turn: it does what it can without waiting, up to its fair share.
    fn take_turn(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.connection.is_some() {
            slot.leftover.restore(&mut self.io);
            self.take_turn_with_buffers(key);
        }
    }

    /// Gives a turn to a connection whose bytes are in the buffers already.
    fn take_turn_with_buffers(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let (server, io) = (&*self.server, &mut self.io);
        let conditions = Conditions {
            key,
            inbox: &self.inbox,
            now: self.now,
            draining: self.lifecycle.is_draining(),
            has_workers: self.workers.is_some(),
        };
        match isolate_panic(server, || slot.take_turn(server, io, conditions)) {
            Some(ReactorTurn::Ended(Turn::Pending)) => {}
            Some(ReactorTurn::Ended(Turn::Yielded)) => {
                if !slot.queued {
                    slot.queued = true;
                    self.lifecycle.push_yielded(key);
                }
            }
            Some(ReactorTurn::MayBlock) => return self.hand_to_worker(key),
            Some(ReactorTurn::Ended(Turn::Closed)) => {
                let ended = slot.connection.take();
                return self.close(key, ended);
            }
            None => return self.close(key, None),
        }
        slot.leftover = Leftover::take(&mut self.io);
        if let Some(at) = slot.connection.as_ref().and_then(|connection| connection.deadline()) {
            self.lifecycle.deadlines.want(key, at);
        }
    }

    /// Moves the connection to a worker, which performs the actions that may block and hands it
    /// back.
    fn hand_to_worker(&mut self, key: usize) {
        let Some(workers) = &self.workers else { return };
        let Some(mut connection) = self.slots.get_mut(key).and_then(|slot| slot.connection.take())
        else {
            return;
        };
        let spare = self.spare_io.pop().unwrap_or_else(|| io_buffers(&self.server));
        let mut io = std::mem::replace(&mut self.io, spare);
        let (server, inbox) = (Arc::clone(&self.server), Arc::clone(&self.inbox));
        server.counters.job_queued();
        workers.spawn_fifo(move || {
            server.trace.wait_ended(Kind::WaitQueue);
            server.counters.job_begun();
            let worked = isolate_panic(&server, || {
                // A request with much of it lets the others' have their turn.
                let mut share = Share::default();
                while share.take_step() && connection.next_may_block(&server, &mut io) {
                    match connection.step(&server, &mut io, &mut WorkerPolicy) {
                        Step::Done { .. } => {}
                        Step::Blocked(_) => break,
                        Step::Closed => return Worked::Closed(connection),
                    }
                }
                Worked::Goes(connection)
            });
            inbox.push(Arrival::Back(key, worked.unwrap_or(Worked::Panicked), io));
            server.trace.wait_begins();
        });
    }

    /// Removes a connection; one that ended without a panic is counted.
    fn close(&mut self, key: usize, ended: Option<Box<Connection>>) {
        self.slots.remove(key);
        match ended {
            Some(connection) => connection.close(&self.server),
            None => self.io.clear(),
        }
    }

    /// Handles the deadlines that have passed.
    fn expire(&mut self) {
        loop {
            // With a worker a connection has no deadline, and has one again when it comes back.
            // One that is queued checks its deadline in its turn.
            let slots = &self.slots;
            let deadline = |key| {
                let slot: &ReactorConnection = slots.get(key).filter(|slot| !slot.queued)?;
                slot.connection.as_ref()?.deadline()
            };
            let Some(key) = self.lifecycle.deadlines.pop_expired(self.now.instant, deadline) else {
                break;
            };
            let Some(slot) = self.slots.get_mut(key) else { continue };
            let Some(connection) = &mut slot.connection else { continue };
            slot.leftover.restore(&mut self.io);
            let (io, now) = (&mut self.io, self.now);
            match isolate_panic(&self.server, || connection.handle_timeout(io, now)) {
                Some(()) => self.take_turn_with_buffers(key),
                None => self.close(key, None),
            }
        }
    }
}

/// Conditions of a turn.
#[derive(Clone, Copy)]
struct Conditions<'r> {
    /// Key of the connection.
    key: usize,
    inbox: &'r Arc<Inbox>,
    now: Now,
    draining: bool,
    has_workers: bool,
}

/// End of a turn in a reactor.
enum ReactorTurn {
    Ended(Turn),
    /// The next action may block: a worker performs it.
    MayBlock,
}

impl ReactorConnection {
    fn take_turn(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        conditions: Conditions<'_>,
    ) -> ReactorTurn {
        let Some(connection) = &mut self.connection else {
            return ReactorTurn::Ended(Turn::Pending);
        };
        let mut policy = ReadinessPolicy {
            conditions,
            readable: &mut self.readable,
            read_closed: self.read_closed,
        };
        let mut share = Share::default();
        while share.take_step() {
            if conditions.has_workers && connection.next_may_block(server, io) {
                return match connection.has_room() {
                    true => ReactorTurn::MayBlock,
                    false => ReactorTurn::Ended(Turn::Pending),
                };
            }
            match connection.step(server, io, &mut policy) {
                Step::Done { bytes } => share.spend(bytes),
                Step::Blocked(wait) => {
                    if wait == Wait::Inbound {
                        *policy.readable = false;
                    }
                    return ReactorTurn::Ended(Turn::Pending);
                }
                Step::Closed => {
                    io.clear();
                    return ReactorTurn::Ended(Turn::Closed);
                }
            }
        }
        ReactorTurn::Ended(Turn::Yielded)
    }
}

/// Wait policy of a reactor: no action waits, and the clock is read once per turn.
struct ReadinessPolicy<'c> {
    conditions: Conditions<'c>,
    readable: &'c mut bool,
    read_closed: bool,
}

impl WaitPolicy for ReadinessPolicy<'_> {
    fn now(&mut self) -> Now {
        self.conditions.now
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

    /// A worker writes, where there are workers.
    fn transfers(&self) -> bool {
        !self.conditions.has_workers
    }

    /// A receive that did not fill the buffer has emptied the socket: the next bytes raise an
    /// event.
    fn received(&mut self, bytes: usize, room: usize) {
        if bytes < room {
            *self.readable = false;
        }
    }

    fn waker(&mut self) -> std::task::Waker {
        connection_waker(self.conditions.inbox, self.conditions.key)
    }

    fn is_draining(&self) -> bool {
        self.conditions.draining
    }
}

/// Wait policy of a worker, which performs no action that waits for the peer.
struct WorkerPolicy;

impl WaitPolicy for WorkerPolicy {
    fn now(&mut self) -> Now {
        now()
    }

    fn before_wait(&mut self, _: BorrowedFd<'_>, _: Wait, _: bool, _: Option<Instant>) -> Attempt {
        Attempt::PerformNow
    }

    fn waker(&mut self) -> std::task::Waker {
        unreachable!("joining the chat room does not block, so no worker performs it")
    }

    fn is_draining(&self) -> bool {
        false
    }
}
