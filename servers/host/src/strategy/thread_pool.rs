//! A fixed number of workers, and a dispatcher for idle connections.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Service};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rayon::ThreadPool as RayonPool;
use rustix::net::SocketFlags;
use slab::Slab;

use super::Strategy;
use super::parts::acceptor::Acceptor;
use super::parts::blocking::{
    ArmedTimeouts, BlockingPolicy, ConnectionRegistry, Guard, drain_when_triggered, wait_for_drain,
};
use super::parts::lifecycle::Lifecycle;
use super::parts::turn::{ACCEPTS_PER_TURN, Share, Turn};
use super::parts::waker::{WakeConnection, connection_waker};
use super::parts::workers;
use crate::connection::{Attempt, Connection, Leftover, Step, io_buffers, isolate_panic};
use crate::server::limit::Permit;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};
use crate::trace::event::Kind;

/// A dispatcher waits for new connections and for requests on idle ones, and queues each connection
/// with work for a fixed number of workers (rayon). A worker blocks on the connection's socket
/// until the connection is idle again. Slow peers occupy workers; while all are occupied, other
/// requests wait. A member of the chat room occupies a worker only while its socket is ready.
#[derive(Debug)]
pub struct ThreadPool;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS: usize = 1024;
/// Jobs per worker that may wait; beyond that the dispatcher waits, so that connections queue up in
/// the kernel, which limits them, and not in the pool.
const QUEUE_PER_WORKER: usize = 4;
/// Steps after which a worker moves a connection that always has another request to the end of the
/// queue.
const TURN_STEPS: usize = 256;

impl Strategy for ThreadPool {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let registry = Arc::new(ConnectionRegistry::default());
        drain_when_triggered(listener, server, &registry, shutdown);
        let dispatcher = Dispatcher::new(listener, server, &registry, shutdown)?;
        server.readiness.report();
        dispatcher.run()?;
        wait_for_drain(server, shutdown);
        Ok(server.counters.report())
    }
}

/// Place of a connection. Only the thread that moved it to `BUSY`, or runs it, accesses it.
mod place {
    /// With the dispatcher: an event queues it.
    pub(super) const PARKED: u8 = 0;
    /// In the queue or with a worker.
    pub(super) const BUSY: u8 = 1;
    /// As `BUSY`, and an event has arrived: check again before parking.
    pub(super) const BUSY_NOTIFIED: u8 = 2;
    /// Closed: the dispatcher removes it.
    pub(super) const GONE: u8 = 3;
}

struct PooledConnection {
    place: AtomicU8,
    /// Never contended: the thread that moved `place` to `BUSY` has it. `None` once the connection
    /// is closed.
    held: Mutex<Option<Held>>,
}

impl WakeConnection for PoolState {
    type Key = usize;

    fn wake_connection(&self, key: usize) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.push(key);
        let is_first = called.len() == 1;
        drop(called);
        if is_first {
            self.wake();
        }
    }
}

struct Held {
    key: usize,
    registration: Guard,
    connection: Connection,
    leftover: Leftover,
    armed: ArmedTimeouts,
    /// Deadline of a member that waits within a request or a message.
    watch: Option<Instant>,
}

/// State shared by the dispatcher and the workers.
struct PoolState {
    server: Arc<ServerState>,
    pool: RayonPool,
    /// Jobs queued or running.
    jobs: Mutex<usize>,
    job_ended: Condvar,
    most_jobs: usize,
    /// Connections closed since the dispatcher last checked.
    gone: AtomicUsize,
    /// Keys of connections that may have messages.
    called: Mutex<Vec<usize>>,
    /// Keys and deadlines of members that wait within a request or a message.
    waiting: Mutex<Vec<(usize, Instant)>>,
    waker: Waker,
}

impl PoolState {
    fn submit(self: &Arc<Self>, slot: &Arc<PooledConnection>) {
        let (shared, slot) = (Arc::clone(self), Arc::clone(slot));
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.server.counters.job_queued();
        self.pool.spawn_fifo(move || {
            let server = &shared.server;
            server.trace.wait_ended(Kind::WaitQueue);
            server.counters.job_begun();
            shared.serve(&slot);
            let mut jobs = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            *jobs -= 1;
            shared.job_ended.notify_one();
            drop(jobs);
            server.trace.wait_begins();
        });
    }

    /// Has the dispatcher watch a member's deadline.
    fn watch(&self, key: usize, deadline: Instant) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((key, deadline));
        self.wake();
    }

    /// Waits while the queue is full, but no longer than this, nor during a drain, in which every
    /// job ends soon. Returns whether the next job may be submitted.
    fn wait_for_queue_room(&self, at_most: Duration, shutdown: &Shutdown) -> bool {
        let may_submit = |jobs: usize| jobs < self.most_jobs || shutdown.is_triggered();
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if may_submit(*jobs) {
            return true;
        }
        let _waiting = self.server.trace.wait(Kind::WaitQueue);
        match self.job_ended.wait_timeout(jobs, at_most) {
            Ok((jobs, _)) => may_submit(*jobs),
            Err(poisoned) => may_submit(*poisoned.into_inner().0),
        }
    }

    /// Wakes the dispatcher from either of its waits.
    fn wake(&self) {
        let _jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        self.job_ended.notify_all();
        if let Err(error) = self.waker.wake() {
            tracing::error!("cannot wake the dispatcher: {error}");
        }
    }

    /// Serves a connection, on a worker, until it is idle or closed.
    fn serve(self: &Arc<Self>, slot: &Arc<PooledConnection>) {
        thread_local! {
            static IO: RefCell<Option<IoBuffers>> = const { RefCell::new(None) };
        }
        IO.with_borrow_mut(|io| {
            let io = io.get_or_insert_with(|| io_buffers(&self.server));
            loop {
                let mut held = slot.held.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(connection) = held.as_mut() else { return };
                match isolate_panic(&self.server, || connection.take_turn(self, io)) {
                    Some(Turn::Pending) => {
                        let (key, watch) = (connection.key, connection.watch.take());
                        drop(held);
                        let parked = slot.place.compare_exchange(
                            place::BUSY,
                            place::PARKED,
                            Ordering::SeqCst,
                            Ordering::SeqCst,
                        );
                        if parked.is_ok() {
                            // Not before: the dispatcher leaves the deadlines of others to workers.
                            if let Some(deadline) = watch {
                                self.watch(key, deadline);
                            }
                            return;
                        }
                        slot.place.store(place::BUSY, Ordering::SeqCst);
                    }
                    Some(Turn::Yielded) => {
                        drop(held);
                        return self.submit(slot);
                    }
                    turn @ (Some(Turn::Closed) | None) => {
                        io.clear();
                        if let Some(ended) = held.take()
                            && turn.is_some()
                        {
                            ended.close(&self.server);
                        }
                        drop(held);
                        return self.note_gone(slot);
                    }
                }
            }
        });
    }

    /// Closes a connection if it is parked, and therefore idle.
    fn close_parked(&self, slot: &PooledConnection) {
        let taken = slot.place.compare_exchange(
            place::PARKED,
            place::BUSY,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if taken.is_ok() {
            let held = slot.held.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(ended) = held {
                ended.close(&self.server);
            }
            self.note_gone(slot);
        }
    }

    fn note_gone(&self, slot: &PooledConnection) {
        slot.place.store(place::GONE, Ordering::SeqCst);
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

impl Held {
    fn take_turn(&mut self, shared: &Arc<PoolState>, io: &mut IoBuffers) -> Turn {
        self.leftover.restore(io);
        let (server, key) = (&shared.server, self.key);
        let waker = || connection_waker(shared, key);
        let mut policy =
            BlockingPolicy::new(&self.registration, &mut self.armed, Attempt::PerformNow)
                .woken_by(&waker);
        let mut share = Share::of_steps(TURN_STEPS);
        while share.take_step() {
            match self.connection.step(server, io, &mut policy) {
                Step::Done { .. } => {}
                Step::Blocked(_) => {
                    let deadline = self.connection.deadline();
                    let now = now();
                    self.connection.handle_timeout(io, now);
                    if self.registration.is_draining() {
                        continue;
                    }
                    if self.connection.is_idle() {
                        return Turn::Pending;
                    }
                    if let Some(deadline) = deadline.filter(|at| *at > now.instant)
                        && policy.is_member()
                    {
                        self.leftover = Leftover::take(io);
                        self.watch = Some(deadline);
                        return Turn::Pending;
                    }
                }
                Step::Closed => return Turn::Closed,
            }
        }
        self.leftover = Leftover::take(io);
        Turn::Yielded
    }

    fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }

    fn close(self, server: &ServerState) {
        drop(self.registration);
        self.connection.close(server);
    }
}

struct Dispatcher<'s> {
    shutdown: &'s Shutdown,
    registry: &'s Arc<ConnectionRegistry>,
    poll: Poll,
    slots: Slab<Arc<PooledConnection>>,
    lifecycle: Lifecycle,
    acceptor: Acceptor,
    shared: Arc<PoolState>,
}

impl<'s> Dispatcher<'s> {
    fn new(
        listener: &'s Listener,
        server: &Arc<ServerState>,
        registry: &'s Arc<ConnectionRegistry>,
        shutdown: &'s Shutdown,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Arc::new(PoolState {
            server: Arc::clone(server),
            pool: workers::pool(server)?,
            jobs: Mutex::new(0),
            job_ended: Condvar::new(),
            most_jobs: server.workers * (1 + QUEUE_PER_WORKER),
            gone: AtomicUsize::new(0),
            called: Mutex::new(Vec::new()),
            waiting: Mutex::new(Vec::new()),
            waker,
        });
        let woken = Arc::clone(&shared);
        shutdown.on_trigger(move |_| woken.wake());
        // The connection limit keeps the waker and belongs to the pool's state.
        let woken = Arc::downgrade(&shared);
        let wake = move || {
            if let Some(shared) = woken.upgrade() {
                shared.wake();
            }
        };
        let acceptor = Acceptor::new(listener, SocketFlags::empty(), wake)?;
        let descriptor = acceptor.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), LISTENER, Interest::READABLE)?;
        Ok(Self {
            shutdown,
            registry,
            poll,
            slots: Slab::new(),
            lifecycle: Lifecycle::default(),
            acceptor,
            shared,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.shutdown.is_triggered() {
            let timeout = self.poll_timeout();
            let waiting = self.shared.server.trace.wait(Kind::WaitReady);
            let polled = self.poll.poll(&mut events, timeout);
            drop(waiting);
            match polled {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.acceptor.listener_readable(),
                    WAKER => {}
                    Token(key) => self.dispatch(key),
                }
            }
            self.dispatch_called();
            self.forget_gone();
            self.note_waiting();
            self.expire();
            self.accept()?;
        }
        // No thread waits on the parked ones.
        for (_, slot) in &self.slots {
            self.shared.close_parked(slot);
        }
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let accept = self.acceptor.next(now);
        self.lifecycle.poll_timeout(now, accept)
    }

    /// Queues a parked connection for the workers, and waits while the queue is full.
    fn dispatch(&mut self, key: usize) {
        let Some(slot) = self.slots.get(key) else { return };
        let slot = Arc::clone(slot);
        let moved = slot.place.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| match now {
            place::PARKED => Some(place::BUSY),
            place::BUSY => Some(place::BUSY_NOTIFIED),
            _ => None,
        });
        if moved == Ok(place::PARKED) {
            while !self.shared.wait_for_queue_room(self.until_deadline(), self.shutdown) {
                self.expire();
            }
            self.shared.submit(&slot);
        }
    }

    /// Queues the connections that may have messages.
    fn dispatch_called(&mut self) {
        let called = {
            let mut called = self.shared.called.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *called)
        };
        for key in called {
            self.dispatch(key);
        }
    }

    /// Schedules the deadlines of waiting members.
    fn note_waiting(&mut self) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, deadline) in waiting.drain(..) {
            self.lifecycle.deadlines.want(key, deadline);
        }
    }

    /// Time until the next deadline.
    fn until_deadline(&self) -> Duration {
        self.lifecycle
            .deadlines
            .next()
            .map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.acceptor.accept(&self.shared.server, Instant::now()) {
                Ok(Some((socket, permit))) => self.admit(socket, permit),
                Ok(None) => break,
                // The trigger has closed the listener.
                Err(_) if self.shutdown.is_triggered() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Watches a new connection; its first bytes queue it.
    fn admit(&mut self, socket: OwnedFd, permit: Permit) {
        let server = &self.shared.server;
        let raw = socket.as_raw_fd();
        let key = self.slots.vacant_key();
        let mut interest = Interest::READABLE;
        if server.settings.service == Service::Chat {
            // No worker waits until a member reads.
            interest |= Interest::WRITABLE;
        }
        // This thread reads its events, so not before the slot is filled.
        let registry = self.poll.registry();
        if let Err(error) = registry.register(&mut SourceFd(&raw), Token(key), interest) {
            server.counters.refused();
            tracing::warn!("a connection is refused: its socket cannot be watched: {error}");
            return;
        }
        let connection = Connection::new(server, socket, permit, now());
        let registration = self.registry.register(connection.socket());
        let (deadline, begins) = (connection.deadline(), connection.begins());
        let held = Held {
            key,
            registration,
            connection,
            leftover: Leftover::default(),
            armed: ArmedTimeouts::default(),
            watch: None,
        };
        let place = AtomicU8::new(place::PARKED);
        self.slots.insert(Arc::new(PooledConnection { place, held: Mutex::new(Some(held)) }));
        if let Some(at) = deadline {
            self.lifecycle.deadlines.want(key, at);
        }
        if begins {
            self.dispatch(key);
        }
    }

    fn forget_gone(&mut self) {
        if self.shared.gone.swap(0, Ordering::SeqCst) == 0 {
            return;
        }
        self.slots.retain(|_, slot| slot.place.load(Ordering::SeqCst) != place::GONE);
    }

    /// Closes parked idle connections whose deadline has passed. For a member within a request or a
    /// message, a worker decides.
    fn expire(&mut self) {
        let now = Instant::now();
        // A busy connection's worker checks the deadline itself: look again later.
        let later = now + self.shared.server.settings.timeouts.idle;
        loop {
            let slots = &self.slots;
            let deadline = |key| {
                let slot: &Arc<PooledConnection> = slots.get(key)?;
                let held = slot.held.try_lock().ok();
                let deadline = held.and_then(|held| held.as_ref()?.connection.deadline());
                Some(deadline.unwrap_or(later))
            };
            let Some(key) = self.lifecycle.deadlines.pop_expired(now, deadline) else { break };
            if let Some(slot) = self.slots.get(key) {
                let held = slot.held.try_lock().ok();
                let is_idle = held.map(|held| held.as_ref().is_some_and(Held::is_idle));
                match is_idle {
                    Some(true) => self.shared.close_parked(slot),
                    Some(false) => self.shared.wake_connection(key),
                    None => {}
                }
                self.lifecycle.deadlines.want(key, later);
            }
        }
    }
}
