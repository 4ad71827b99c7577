//! A fixed pool of workers, and a dispatcher that keeps idle connections from holding one.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

use fileserver_proto::IoBuffers;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rayon::ThreadPool as RayonPool;
use rustix::net::SocketFlags;
use slab::Slab;

use super::Strategy;
use super::parts::blocking::{
    ArmedTimeouts, BlockingPolicy, ConnectionRegistry, Guard, drain_when_triggered, wait_for_drain,
};
use super::parts::deadlines::Deadlines;
use super::parts::workers;
use crate::connection::{Attempt, Connection, Leftover, Step, io_buffers, isolate_panic};
use crate::server::listener::{AcceptError, Listener};
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState, now};

/// A dispatcher waits for new connections and for requests on idle ones, and queues each that
/// has work for a fixed pool of workers (rayon). A worker blocks on the connection's socket until
/// the connection is idle again. Slow peers hold workers; when all are held, everyone waits.
#[derive(Debug)]
pub struct ThreadPool;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS: usize = 1024;
/// Connections accepted before those that are open are looked after again.
const ACCEPTS_PER_TURN: usize = 64;
/// Jobs that may wait for a worker, per worker; beyond that the dispatcher waits, so that work
/// queues up in the kernel, where it is bounded, and not in the pool.
const QUEUE_PER_WORKER: usize = 4;
/// A worker passes a connection that always has another request to the end of the queue after
/// this many steps.
const TURN_STEPS: usize = 256;

impl Strategy for ThreadPool {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        listener.set_nonblocking()?;
        let registry = Arc::new(ConnectionRegistry::default());
        drain_when_triggered(listener, server, &registry, shutdown);
        Dispatcher::new(listener, server, &registry, shutdown)?.run()?;
        wait_for_drain(server, shutdown);
        Ok(server.counters.report())
    }
}

/// Where a connection is. Only the thread that moved it to `BUSY` or runs it touches it.
mod place {
    /// With the dispatcher: an event queues it.
    pub(super) const PARKED: u8 = 0;
    /// In the queue or with a worker.
    pub(super) const BUSY: u8 = 1;
    /// As `BUSY`, and an event came meanwhile: look again before parking.
    pub(super) const BUSY_NOTIFIED: u8 = 2;
    /// Closed: the dispatcher may forget it.
    pub(super) const GONE: u8 = 3;
}

struct Slot {
    place: AtomicU8,
    /// Never contended: whoever moved `place` to `BUSY` has it. Empty once it is closed.
    held: Mutex<Option<Held>>,
}

/// Has the dispatcher queue the connection of a key; by then it may be another one's, which does
/// no harm.
struct Call {
    shared: Arc<Shared>,
    key: usize,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut called = self.shared.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.push(self.key);
        let is_first = called.len() == 1;
        drop(called);
        if is_first {
            self.shared.wake();
        }
    }
}

struct Held {
    key: usize,
    registration: Guard,
    connection: Connection,
    leftover: Leftover,
    armed: ArmedTimeouts,
}

/// What the dispatcher and the workers share.
struct Shared {
    server: Arc<ServerState>,
    pool: RayonPool,
    /// Jobs queued or running, and who waits for one to end.
    jobs: Mutex<usize>,
    job_ended: Condvar,
    most_jobs: usize,
    /// Connections closed since the dispatcher last looked.
    gone: AtomicUsize,
    /// Whether the dispatcher wants to be woken when a connection closes.
    wants_room: AtomicBool,
    /// Connections for which there may be mail, by their keys.
    called: Mutex<Vec<usize>>,
    waker: Waker,
}

impl Shared {
    fn submit(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (shared, slot) = (Arc::clone(self), Arc::clone(slot));
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.pool.spawn_fifo(move || {
            shared.serve(&slot);
            let mut jobs = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            *jobs -= 1;
            shared.job_ended.notify_one();
        });
    }

    /// Waits while the queue is full, but no longer than this, nor once a drain has begun: then
    /// every job ends soon. Tells whether the next job may be submitted.
    fn wait_for_queue_room(&self, at_most: Duration, shutdown: &Shutdown) -> bool {
        let may_submit = |jobs: usize| jobs < self.most_jobs || shutdown.is_triggered();
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if may_submit(*jobs) {
            return true;
        }
        match self.job_ended.wait_timeout(jobs, at_most) {
            Ok((jobs, _)) => may_submit(*jobs),
            Err(poisoned) => may_submit(*poisoned.into_inner().0),
        }
    }

    /// Wakes the dispatcher, whatever it waits for.
    fn wake(&self) {
        let _jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        self.job_ended.notify_all();
        if let Err(error) = self.waker.wake() {
            tracing::error!("the dispatcher could not be woken: {error}");
        }
    }

    /// A worker's part: serves a connection until it is idle or closed.
    fn serve(self: &Arc<Self>, slot: &Arc<Slot>) {
        thread_local! {
            static IO: RefCell<Option<IoBuffers>> = const { RefCell::new(None) };
        }
        IO.with_borrow_mut(|io| {
            let io = io.get_or_insert_with(|| io_buffers(&self.server));
            loop {
                let mut held = slot.held.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(connection) = held.as_mut() else { return };
                match isolate_panic(&self.server, || connection.take_turn(self, io)) {
                    Some(Turn::Idle) => {
                        drop(held);
                        let parked = slot.place.compare_exchange(
                            place::BUSY,
                            place::PARKED,
                            Ordering::SeqCst,
                            Ordering::SeqCst,
                        );
                        if parked.is_ok() {
                            return;
                        }
                        slot.place.store(place::BUSY, Ordering::SeqCst);
                    }
                    Some(Turn::Goes) => {
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

    /// Closes a connection if it is parked: it is idle then, and loses nothing.
    fn close_parked(&self, slot: &Slot) {
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

    fn note_gone(&self, slot: &Slot) {
        slot.place.store(place::GONE, Ordering::SeqCst);
        self.gone.fetch_add(1, Ordering::SeqCst);
        if self.wants_room.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }
}

enum Turn {
    Idle,
    Goes,
    Closed,
}

impl Held {
    fn take_turn(&mut self, shared: &Arc<Shared>, io: &mut IoBuffers) -> Turn {
        self.leftover.restore(io);
        let (server, key) = (&shared.server, self.key);
        let call = || Call { shared: Arc::clone(shared), key };
        let waker = || std::task::Waker::from(Arc::new(call()));
        let mut policy =
            BlockingPolicy::new(&self.registration, &mut self.armed, Attempt::PerformNow)
                .woken_by(&waker);
        for _ in 0..TURN_STEPS {
            match self.connection.step(server, io, &mut policy) {
                Step::Done { .. } => {}
                Step::Blocked(_) => {
                    self.connection.handle_timeout(io, now());
                    if self.connection.is_idle() && !self.registration.is_draining() {
                        return Turn::Idle;
                    }
                }
                Step::Closed => return Turn::Closed,
            }
        }
        self.leftover = Leftover::take(io);
        Turn::Goes
    }

    fn close(self, server: &ServerState) {
        drop(self.registration);
        self.connection.close(server);
    }
}

struct Dispatcher<'s> {
    listener: &'s Listener,
    shutdown: &'s Shutdown,
    registry: &'s Arc<ConnectionRegistry>,
    poll: Poll,
    slots: Slab<Arc<Slot>>,
    deadlines: Deadlines,
    accept_again: AcceptAgain,
    shared: Arc<Shared>,
}

/// When the dispatcher tries to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AcceptAgain {
    OnEvent,
    AtOnce,
    /// When a connection closes, or at that time.
    WithRoom(Option<Instant>),
}

impl<'s> Dispatcher<'s> {
    fn new(
        listener: &'s Listener,
        server: &Arc<ServerState>,
        registry: &'s Arc<ConnectionRegistry>,
        shutdown: &'s Shutdown,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let descriptor = listener.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Arc::new(Shared {
            server: Arc::clone(server),
            pool: workers::pool(server)?,
            jobs: Mutex::new(0),
            job_ended: Condvar::new(),
            most_jobs: server.workers * (1 + QUEUE_PER_WORKER),
            gone: AtomicUsize::new(0),
            wants_room: AtomicBool::new(false),
            called: Mutex::new(Vec::new()),
            waker,
        });
        let woken = Arc::clone(&shared);
        shutdown.on_trigger(move |_| woken.wake());
        Ok(Self {
            listener,
            shutdown,
            registry,
            poll,
            slots: Slab::new(),
            deadlines: Deadlines::default(),
            accept_again: AcceptAgain::AtOnce,
            shared,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.shutdown.is_triggered() {
            match self.poll.poll(&mut events, self.poll_timeout()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                match event.token() {
                    LISTENER if self.accept_again == AcceptAgain::OnEvent => {
                        self.accept_again = AcceptAgain::AtOnce;
                    }
                    LISTENER | WAKER => {}
                    Token(key) => self.dispatch(key),
                }
            }
            self.dispatch_called();
            self.forget_gone();
            self.expire();
            self.accept()?;
        }
        // The parked ones, which no thread waits on.
        for (_, slot) in &self.slots {
            self.shared.close_parked(slot);
        }
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let resume = match self.accept_again {
            AcceptAgain::AtOnce => return Some(Duration::ZERO),
            AcceptAgain::OnEvent => None,
            AcceptAgain::WithRoom(at) => at,
        };
        let next = [self.deadlines.next(), resume].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
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

    /// Queues the connections for which there may be mail.
    fn dispatch_called(&mut self) {
        let called = {
            let mut called = self.shared.called.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *called)
        };
        for key in called {
            self.dispatch(key);
        }
    }

    /// How long until the next connection may have waited too long.
    fn until_deadline(&self) -> Duration {
        self.deadlines
            .next()
            .map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) -> io::Result<()> {
        match self.accept_again {
            AcceptAgain::AtOnce => {}
            AcceptAgain::WithRoom(Some(at)) if Instant::now() >= at => {}
            AcceptAgain::OnEvent | AcceptAgain::WithRoom(_) => return Ok(()),
        }
        self.accept_again = AcceptAgain::AtOnce;
        for _ in 0..ACCEPTS_PER_TURN {
            let server = &self.shared.server;
            let Some(permit) = server.limit.try_acquire() else {
                self.pause_accepting(None);
                return Ok(());
            };
            match self.listener.accept(SocketFlags::empty()) {
                Ok(socket) => {
                    let raw = socket.as_raw_fd();
                    let key = self.slots.vacant_key();
                    let registry = self.poll.registry();
                    // Its events are read by this thread, so not before it has its slot.
                    if let Err(error) =
                        registry.register(&mut SourceFd(&raw), Token(key), Interest::READABLE)
                    {
                        server.counters.refused();
                        tracing::warn!("a connection is refused, it cannot be watched: {error}");
                        continue;
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
                    };
                    let slot =
                        Slot { place: AtomicU8::new(place::PARKED), held: Mutex::new(Some(held)) };
                    self.slots.insert(Arc::new(slot));
                    if let Some(at) = deadline {
                        self.deadlines.want(key, at);
                    }
                    if begins {
                        self.dispatch(key);
                    }
                }
                Err(AcceptError::WouldBlock) => {
                    self.accept_again = AcceptAgain::OnEvent;
                    return Ok(());
                }
                Err(AcceptError::Lost) => {}
                Err(AcceptError::Exhausted(error)) => {
                    tracing::warn!("accepting pauses: {error}");
                    drop(permit);
                    self.pause_accepting(Some(Instant::now() + EXHAUSTION_PAUSE));
                    return Ok(());
                }
                Err(AcceptError::Ended(error)) => {
                    return if self.shutdown.is_triggered() { Ok(()) } else { Err(error) };
                }
            }
        }
        Ok(())
    }

    /// Waits with accepting until a connection closes, or until then.
    fn pause_accepting(&mut self, until: Option<Instant>) {
        self.accept_again = AcceptAgain::WithRoom(until);
        self.shared.wants_room.store(true, Ordering::SeqCst);
        // One may have closed just before the workers were told to say so.
        if until.is_none() && self.shared.server.limit.has_room() {
            self.accept_again = AcceptAgain::AtOnce;
        }
    }

    fn forget_gone(&mut self) {
        if self.shared.gone.swap(0, Ordering::SeqCst) == 0 {
            return;
        }
        self.slots.retain(|_, slot| slot.place.load(Ordering::SeqCst) != place::GONE);
        if let AcceptAgain::WithRoom(_) = self.accept_again {
            self.accept_again = AcceptAgain::AtOnce;
        }
    }

    /// Closes parked connections whose deadline has come.
    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.deadlines.pop_due(now) {
            let Some(slot) = self.slots.get(key) else { continue };
            let deadline = match slot.held.try_lock() {
                Ok(held) => held.as_ref().and_then(|held| held.connection.deadline()),
                Err(_) => None,
            };
            match deadline {
                Some(at) if at > now => self.deadlines.want(key, at),
                due => {
                    if due.is_some() {
                        self.shared.close_parked(slot);
                    }
                    // A busy connection's worker minds its deadline itself: look again later.
                    self.deadlines.want(key, now + self.shared.server.settings.timeouts.idle);
                }
            }
        }
    }
}
