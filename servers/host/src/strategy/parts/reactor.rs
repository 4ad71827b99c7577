//! One thread that serves many connections through a selector: the core of the event-driven
//! strategies.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rayon::ThreadPool;
use rustix::net::SocketFlags;
use slab::Slab;

use super::deadlines::Deadlines;
use crate::connection::sending::STEP_BYTES;
use crate::connection::{
    Attempt, Connection, Leftover, Step, Wait, WaitPolicy, io_buffers, isolate_panic,
};
use crate::server::limit::{Permit, Waiter};
use crate::server::listener::{AcceptError, Listener};
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState, now};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Events taken from the selector at once.
const EVENTS: usize = 1024;
/// Buffers kept for connections that take a pair along to a worker.
const SPARE_BUFFERS: usize = 16;
/// Connections accepted before those that are open get their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// A connection's turn ends after this many body bytes,
const TURN_BYTES: u64 = STEP_BYTES;
/// or this many steps (about a dozen small requests), whichever comes first.
const TURN_STEPS: usize = 64;

/// Where a reactor's connections come from.
pub(crate) enum ConnectionSource {
    /// Its own listener.
    Listener(Listener),
    /// Its inbox, into which another thread deals them.
    Inbox,
}

/// What other threads hand to a reactor.
pub(crate) struct Inbox {
    arrivals: Mutex<Vec<Arrival>>,
    waker: Waker,
}

enum Arrival {
    /// A connection accepted elsewhere.
    New(OwnedFd, Permit),
    /// What became on a worker of the connection of this key, and its buffers.
    Back(usize, Worked, IoBuffers),
    /// There may be mail for the connection of this key.
    Wake(usize),
}

/// Has a reactor step the connection of a key; by then it may be another one's, which does no harm.
struct Call {
    inbox: Arc<Inbox>,
    key: usize,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.push(Arrival::Wake(self.key));
    }
}

/// What became of a connection on a worker.
enum Worked {
    /// What may block is done for now.
    Goes(Box<Connection>),
    /// It broke.
    Closed(Box<Connection>),
    /// It ended by a panic.
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
            tracing::error!("a selector could not be woken: {error}");
        }
    }
}

/// A connection as the reactor holds it.
struct Slot {
    /// `None` while a worker has it.
    connection: Option<Box<Connection>>,
    leftover: Leftover,
    /// Whether the socket may have bytes: edge-triggered events tell of changes only.
    readable: bool,
    /// Whether the peer has finished sending, so that reading must go on until it shows.
    read_closed: bool,
    /// Whether it waits for another turn.
    queued: bool,
}

/// One thread's connections, and the selector it waits with.
pub(crate) struct Reactor {
    source: ConnectionSource,
    server: Arc<ServerState>,
    shutdown: Shutdown,
    /// Where actions that may block are performed; inline where there is none.
    workers: Option<Arc<ThreadPool>>,
    inbox: Arc<Inbox>,
    /// Wakes it when there is room for another connection.
    room: Waiter,
    /// Taken out of the inbox; kept for its memory.
    arrived: Vec<Arrival>,
    poll: Poll,
    slots: Slab<Slot>,
    deadlines: Deadlines,
    /// Connections whose turn ended before their work did.
    ready: VecDeque<usize>,
    /// Lent to one connection at a time.
    io: IoBuffers,
    /// Come back from workers, for the next connection that takes a pair along.
    spare_io: Vec<IoBuffers>,
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
    /// There is no place for more; the gate will tell.
    Full,
    /// Nothing to accept them with: no more are taken until one of its connections closes, or
    /// until then. No event would come again.
    Paused(Instant),
    /// No more will be taken.
    Ended,
}

impl Reactor {
    /// A reactor that has yet to [`run`](Self::run). With `workers`, what may block is done there.
    ///
    /// # Errors
    /// The selector cannot be had: too few descriptors, most likely.
    pub(crate) fn new(
        source: ConnectionSource,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
        workers: Option<Arc<ThreadPool>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let accepting = match &source {
            ConnectionSource::Listener(listener) => {
                listener.set_nonblocking()?;
                let descriptor = listener.as_fd().as_raw_fd();
                poll.registry().register(
                    &mut SourceFd(&descriptor),
                    LISTENER,
                    Interest::READABLE,
                )?;
                Accepting::Ready
            }
            ConnectionSource::Inbox => Accepting::Ended,
        };
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox = Arc::new(Inbox { arrivals: Mutex::new(Vec::new()), waker });
        let woken = Arc::clone(&inbox);
        shutdown.on_trigger(move |_| woken.wake());
        let woken = Arc::clone(&inbox);
        let room = Waiter::new(move || woken.wake());
        Ok(Self {
            source,
            server: Arc::clone(server),
            shutdown: shutdown.clone(),
            workers,
            inbox,
            room,
            arrived: Vec::new(),
            poll,
            slots: Slab::new(),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            io: io_buffers(server),
            spare_io: Vec::new(),
            now: now(),
            accepting,
            drain_ends: None,
        })
    }

    /// Where other threads hand connections over.
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
            match self.poll.poll(&mut events, self.poll_timeout()) {
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
                    WAKER if self.accepting == Accepting::Full => {
                        self.accepting = Accepting::Ready;
                    }
                    LISTENER | WAKER => {}
                    Token(key) => {
                        if let Some(slot) = self.slots.get_mut(key) {
                            slot.readable |= event.is_readable();
                            slot.read_closed |= event.is_read_closed() || event.is_error();
                            // Its turn comes: more events must not bring it more turns.
                            if !slot.queued {
                                self.take_turn(key);
                            }
                        }
                    }
                }
            }
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front()
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

    /// Takes what other threads have handed over.
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

    /// How long the selector may wait for events.
    fn poll_timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.accepting == Accepting::Ready {
            return Some(Duration::ZERO);
        }
        let resume = match self.accepting {
            Accepting::Paused(until) => Some(until),
            Accepting::Waiting | Accepting::Ready | Accepting::Full | Accepting::Ended => None,
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
        self.drain_ends = Some(self.now.instant + self.server.drain);
        self.accepting = Accepting::Ended;
        if let ConnectionSource::Listener(listener) = &self.source {
            listener.close();
        }
        let waiting = self.slots.iter().filter(|(_, slot)| !slot.queued);
        let keys: Vec<usize> = waiting.map(|(key, _)| key).collect();
        for key in keys {
            self.take_turn(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        match self.accepting {
            Accepting::Ready => {}
            Accepting::Paused(until) if self.now.instant >= until => {}
            Accepting::Paused(_) | Accepting::Waiting | Accepting::Full | Accepting::Ended => {
                return Ok(());
            }
        }
        self.accepting = Accepting::Ready;
        for _ in 0..ACCEPTS_PER_TURN {
            let ConnectionSource::Listener(listener) = &self.source else { return Ok(()) };
            let Some(permit) = self.server.limit.try_acquire_or_wake(&self.room) else {
                self.accepting = Accepting::Full;
                return Ok(());
            };
            match listener.accept(SocketFlags::NONBLOCK) {
                Ok(socket) => self.admit(socket, permit),
                Err(AcceptError::WouldBlock) => {
                    self.accepting = Accepting::Waiting;
                    return Ok(());
                }
                Err(AcceptError::Lost) => {}
                Err(AcceptError::Exhausted(error)) => {
                    tracing::warn!("accepting pauses: {error}");
                    self.accepting = Accepting::Paused(self.now.instant + EXHAUSTION_PAUSE);
                    return Ok(());
                }
                Err(AcceptError::Ended(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Begins to watch a new connection; an event tells at once if it has something to say.
    fn admit(&mut self, socket: OwnedFd, permit: Permit) {
        let raw = socket.as_raw_fd();
        let key = self.slots.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut SourceFd(&raw), Token(key), interest)
        {
            self.server.counters.refused();
            tracing::warn!("a connection is refused, it cannot be watched: {error}");
            return;
        }
        let connection = Box::new(Connection::new(&self.server, socket, permit, self.now));
        if let Some(at) = connection.deadline() {
            self.deadlines.want(key, at);
        }
        self.slots.insert(Slot {
            connection: Some(connection),
            leftover: Leftover::default(),
            readable: false,
            read_closed: false,
            queued: false,
        });
        // It was dealt before the drain began, and may never say anything.
        if self.drain_ends.is_some() {
            self.take_turn(key);
        }
    }

    /// Lets a connection do what it can without waiting, up to its fair share.
    fn take_turn(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.connection.is_some() {
            slot.leftover.restore(&mut self.io);
            self.take_turn_with_buffers(key);
        }
    }

    /// The same, with the connection's bytes in the buffers already.
    fn take_turn_with_buffers(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let (server, io) = (&*self.server, &mut self.io);
        let conditions = Conditions {
            key,
            inbox: &self.inbox,
            now: self.now,
            draining: self.drain_ends.is_some(),
            has_workers: self.workers.is_some(),
        };
        match isolate_panic(server, || slot.take_turn(server, io, conditions)) {
            Some(Turn::Waits) => {}
            Some(Turn::Goes) => {
                if !slot.queued {
                    slot.queued = true;
                    self.ready.push_back(key);
                }
            }
            Some(Turn::MayBlock) => return self.hand_to_worker(key),
            Some(Turn::Closed) => {
                let ended = slot.connection.take();
                return self.close(key, ended);
            }
            None => return self.close(key, None),
        }
        slot.leftover = Leftover::take(&mut self.io);
        if let Some(at) = slot.connection.as_ref().and_then(|connection| connection.deadline()) {
            self.deadlines.want(key, at);
        }
    }

    /// Has a worker do what may block, and hand the connection back.
    fn hand_to_worker(&mut self, key: usize) {
        let Some(workers) = &self.workers else { return };
        let Some(mut connection) = self.slots.get_mut(key).and_then(|slot| slot.connection.take())
        else {
            return;
        };
        let spare = self.spare_io.pop().unwrap_or_else(|| io_buffers(&self.server));
        let mut io = std::mem::replace(&mut self.io, spare);
        let (server, inbox) = (Arc::clone(&self.server), Arc::clone(&self.inbox));
        workers.spawn_fifo(move || {
            let worked = isolate_panic(&server, || {
                while connection.next_may_block(&server, &mut io) {
                    match connection.step(&server, &mut io, &mut WorkerPolicy) {
                        Step::Done { .. } => {}
                        Step::Blocked(_) => break,
                        Step::Closed => return Worked::Closed(connection),
                    }
                }
                Worked::Goes(connection)
            });
            inbox.push(Arrival::Back(key, worked.unwrap_or(Worked::Panicked), io));
        });
    }

    /// Forgets a connection; one that ended without a panic is counted.
    fn close(&mut self, key: usize, ended: Option<Box<Connection>>) {
        self.slots.remove(key);
        match ended {
            Some(connection) => connection.close(&self.server),
            None => self.io.clear(),
        }
        if let Accepting::Paused(_) = self.accepting {
            self.accepting = Accepting::Ready;
        }
    }

    /// Tells connections of the time whose deadline has come.
    fn expire(&mut self) {
        while let Some(key) = self.deadlines.pop_due(self.now.instant) {
            let Some(slot) = self.slots.get_mut(key) else { continue };
            // With a worker it has no deadline; when it comes back it has one again. One that is
            // queued is not waited for, and gets another in its turn.
            let Some(connection) = slot.connection.as_mut().filter(|_| !slot.queued) else {
                continue;
            };
            let Some(at) = connection.deadline() else { continue };
            if at > self.now.instant {
                self.deadlines.want(key, at);
                continue;
            }
            slot.leftover.restore(&mut self.io);
            match isolate_panic(&self.server, || connection.handle_timeout(&mut self.io, self.now))
            {
                Some(()) => self.take_turn_with_buffers(key),
                None => self.close(key, None),
            }
        }
    }
}

/// What holds during a turn.
#[derive(Clone, Copy)]
struct Conditions<'r> {
    /// The connection's.
    key: usize,
    inbox: &'r Arc<Inbox>,
    now: Now,
    draining: bool,
    has_workers: bool,
}

enum Turn {
    /// For the peer: an event or the time will tell.
    Waits,
    /// On, when the others had their turn.
    Goes,
    /// For the store, on a worker.
    MayBlock,
    Closed,
}

impl Slot {
    fn take_turn(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        conditions: Conditions<'_>,
    ) -> Turn {
        let Some(connection) = &mut self.connection else { return Turn::Waits };
        let mut policy = ReadinessPolicy {
            conditions,
            readable: &mut self.readable,
            read_closed: self.read_closed,
        };
        let mut bytes_left = TURN_BYTES;
        for _ in 0..TURN_STEPS {
            if conditions.has_workers && connection.next_may_block(server, io) {
                return match connection.has_room() {
                    true => Turn::MayBlock,
                    false => Turn::Waits,
                };
            }
            match connection.step(server, io, &mut policy) {
                Step::Done { bytes } => {
                    bytes_left = bytes_left.saturating_sub(bytes);
                    if bytes_left == 0 {
                        break;
                    }
                }
                Step::Blocked(wait) => {
                    if wait == Wait::Inbound {
                        *policy.readable = false;
                    }
                    return Turn::Waits;
                }
                Step::Closed => {
                    io.clear();
                    return Turn::Closed;
                }
            }
        }
        Turn::Goes
    }
}

/// The pace of a reactor: nothing waits, and time stands still during a turn.
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

    /// A receive that did not fill the room has emptied the socket: the next bytes raise an event.
    fn received(&mut self, bytes: usize, room: usize) {
        if bytes < room {
            *self.readable = false;
        }
    }

    fn waker(&mut self) -> std::task::Waker {
        let inbox = Arc::clone(self.conditions.inbox);
        std::task::Waker::from(Arc::new(Call { inbox, key: self.conditions.key }))
    }

    fn is_draining(&self) -> bool {
        self.conditions.draining
    }
}

/// The pace of a worker, which performs nothing that waits for the peer.
struct WorkerPolicy;

impl WaitPolicy for WorkerPolicy {
    fn now(&mut self) -> Now {
        now()
    }

    fn before_wait(&mut self, _: BorrowedFd<'_>, _: Wait, _: bool, _: Option<Instant>) -> Attempt {
        Attempt::PerformNow
    }

    fn waker(&mut self) -> std::task::Waker {
        unreachable!("joining the room does not block, so no worker does it")
    }

    fn is_draining(&self) -> bool {
        false
    }
}
