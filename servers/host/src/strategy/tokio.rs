//! A task per connection, on a runtime of a few threads.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use rustix::net::SocketFlags;
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::{block_in_place, yield_now};
use tokio::time::{Sleep, sleep_until, timeout_at};

use super::Strategy;
use super::parts::accept_policy::Next;
use super::parts::acceptor::Acceptor;
use super::parts::turn::{ACCEPTS_PER_TURN, Share, Turn};
use crate::connection::{
    Attempt, Connection, Leftover, Step, Wait, WaitPolicy, io_buffers, isolate_panic,
};
use crate::server::limit::Permit;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};

/// Each connection is a task: code that reads as if it had a thread of its own, but gives its
/// thread back where it would wait. The runtime keeps a queue of tasks per worker thread, and idle
/// workers steal from busy ones. What may block is announced (`block_in_place`), so that the
/// worker's other tasks go on elsewhere. What most would pick today.
#[derive(Debug)]
pub struct Tokio;

/// How long broken connections may take to be cleared away.
const CLEARING: Duration = Duration::from_millis(500);

impl Strategy for Tokio {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        listener.set_nonblocking()?;
        let runtime = runtime(server)?;
        let shared = Arc::new(RuntimeState {
            server: Arc::clone(server),
            phase: AtomicU8::new(phase::SERVING),
            tasks: Mutex::new(Slab::new()),
            acceptor: Arc::new(Notify::new()),
        });
        let (closing, drained) = (listener.clone(), Arc::clone(&shared));
        shutdown.on_trigger(move |request| {
            closing.close();
            drained.enter(if request.is_urgent() { phase::OVER } else { phase::DRAINING });
            drained.acceptor.notify_one();
            drained.server.limit.wake();
        });
        // A task too, so that what it spawns is at hand for the worker that runs it.
        let acceptor = accept(listener.clone(), Arc::clone(&shared), shutdown.clone());
        let accepted = runtime.block_on(runtime.spawn(acceptor));
        let urgent = || shutdown.is_urgent();
        if !server.limit.wait_until_empty(Instant::now() + server.drain, urgent) {
            shared.enter(phase::OVER);
            server.limit.wait_until_empty(Instant::now() + CLEARING, || false);
        }
        // A task that is stuck in storage is not waited for any longer.
        runtime.shutdown_timeout(CLEARING);
        accepted.map_err(io::Error::other)??;
        Ok(server.counters.report())
    }
}

/// As many worker threads as the site has.
fn runtime(server: &ServerState) -> io::Result<Runtime> {
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(server.workers)
            .thread_name("worker")
            .enable_io()
            .enable_time()
            .build()
    };
    // It panics where a thread cannot be had.
    std::panic::catch_unwind(build)
        .unwrap_or_else(|_| Err(io::Error::other("the runtime's threads cannot be had")))
}

/// How far the serving has come.
mod phase {
    pub(super) const SERVING: u8 = 0;
    /// Idle connections close, the others after their request.
    pub(super) const DRAINING: u8 = 1;
    /// Whatever is left is broken off.
    pub(super) const OVER: u8 = 2;
}

/// What all tasks share.
struct RuntimeState {
    server: Arc<ServerState>,
    phase: AtomicU8,
    /// How to wake each connection's task, whatever it waits for.
    tasks: Mutex<Slab<Waker>>,
    /// Wakes the acceptor where it waits for something else than a connection.
    acceptor: Arc<Notify>,
}

impl RuntimeState {
    /// Enters a later phase, and has every task see it.
    ///
    /// A task makes itself known and then looks for the phase; here the order is the other way
    /// round. So one of the two always sees the other.
    fn enter(&self, phase: u8) {
        self.phase.fetch_max(phase, Ordering::SeqCst);
        for (_, task) in self.tasks().iter() {
            task.wake_by_ref();
        }
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::SeqCst)
    }

    fn tasks(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections until the shutdown is triggered, and spawns a task for each.
async fn accept(
    listener: Listener,
    shared: Arc<RuntimeState>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let watched = watch(listener.as_fd().as_raw_fd(), Interest::READABLE)?;
    let woken = Arc::clone(&shared.acceptor);
    let mut acceptor = Acceptor::new(&listener, SocketFlags::NONBLOCK, move || woken.notify_one())?;
    loop {
        // Taken before the attempts, so that clearing it loses no connection that comes later.
        let mut ready = watched.readable().await?;
        acceptor.listener_readable();
        for _ in 0..ACCEPTS_PER_TURN {
            match acceptor.accept(&shared.server, Instant::now()) {
                _ if shutdown.is_triggered() => return Ok(()),
                Ok(Some((socket, permit))) => {
                    tokio::spawn(serve(Arc::clone(&shared), socket, permit));
                }
                Ok(None) => break,
                Err(error) => return Err(error),
            }
        }
        match acceptor.next(Instant::now()) {
            Next::Accept => yield_now().await,
            Next::WaitForConnection => ready.clear_ready(),
            Next::WaitForPermit => shared.acceptor.notified().await,
            Next::WaitForClose { until } => {
                // Either way it tries again.
                let _ = timeout_at(until.into(), shared.acceptor.notified()).await;
            }
            Next::End => return Ok(()),
        }
    }
}

/// Has the runtime's selector watch a descriptor.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for descriptors that may be closed meanwhile: the listener \
              outlives the acceptor, and a connection's socket is held by what watches it"
)]
fn watch<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}

/// Serves one connection from its first byte to its last.
async fn serve(shared: Arc<RuntimeState>, socket: OwnedFd, permit: Permit) {
    let connection = Connection::new(&shared.server, socket, permit, now());
    let interest = Interest::READABLE | Interest::WRITABLE;
    let socket = match watch(Arc::clone(connection.socket()), interest) {
        Ok(socket) => socket,
        Err(error) => {
            shared.server.counters.refused();
            tracing::warn!("a connection is refused, it cannot be watched: {error}");
            return;
        }
    };
    let mut timer = pin!(sleep_until(alarm(&connection).into()));
    let mut task = Task { connection, leftover: Leftover::default(), place: None, shared: &shared };
    let ended = poll_fn(|cx| task.poll(cx, &socket, timer.as_mut())).await;
    drop(socket);
    task.end(ended);
}

/// When a connection wants to hear of the time: much later, where it does not.
fn alarm(connection: &Connection) -> Instant {
    const MUCH_LATER: Duration = Duration::from_secs(24 * 60 * 60);
    connection.deadline().unwrap_or_else(|| Instant::now() + MUCH_LATER)
}

/// How a connection's task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Closed,
    Broken,
    Panicked,
}

/// A connection between its turns.
struct Task<'s> {
    connection: Connection,
    leftover: Leftover,
    /// Where in the list of tasks it is to be found, and what wakes it.
    place: Option<(usize, Waker)>,
    shared: &'s RuntimeState,
}

impl Task<'_> {
    /// Lets the connection do what it can without waiting, up to its fair share.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        socket: &AsyncFd<Arc<OwnedFd>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<Ended> {
        thread_local! {
            static IO: RefCell<Option<IoBuffers>> = const { RefCell::new(None) };
        }
        // The timer keeps the waker, too.
        let mut set_timer = self.be_known(cx);
        loop {
            let phase = self.shared.phase();
            if phase == phase::OVER {
                return Poll::Ready(Ended::Broken);
            }
            let turn = IO.with_borrow_mut(|io| {
                let server = &*self.shared.server;
                let io = io.get_or_insert_with(|| io_buffers(server));
                let timed_out = timer.is_elapsed();
                let turn = isolate_panic(server, || {
                    let draining = phase >= phase::DRAINING;
                    self.take_turn(io, TaskPolicy::new(cx, socket, draining), timed_out)
                });
                match turn {
                    Some(Turn::Pending | Turn::Yielded) => self.leftover = Leftover::take(io),
                    Some(Turn::Closed) | None => io.clear(),
                }
                turn
            });
            match turn {
                Some(Turn::Pending) => {}
                Some(Turn::Yielded) => cx.waker().wake_by_ref(),
                Some(Turn::Closed) => return Poll::Ready(Ended::Closed),
                None => return Poll::Ready(Ended::Panicked),
            }
            // A deadline that moves to a later time, as it does with every request, leaves the
            // timer alone: when it fires, the real deadline is looked at.
            let at = alarm(&self.connection).into();
            if timer.is_elapsed() || at < timer.deadline() {
                timer.as_mut().reset(at);
                set_timer = true;
            }
            if !set_timer || timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn take_turn(
        &mut self,
        io: &mut IoBuffers,
        mut policy: TaskPolicy<'_, '_>,
        timed_out: bool,
    ) -> Turn {
        self.leftover.restore(io);
        if timed_out && self.connection.deadline().is_some_and(|at| at <= policy.now.instant) {
            self.connection.handle_timeout(io, policy.now);
        }
        let server = &*self.shared.server;
        let connection = &mut self.connection;
        let mut share = Share::default();
        while share.take_step() {
            if connection.next_may_block(server, io) {
                if !connection.has_room() && policy.waits_for_room(|| connection.has_room()) {
                    return Turn::Pending;
                }
                // The rest of the turn: moving the worker's other tasks has its price.
                return block_in_place(|| {
                    policy.time_passes = true;
                    while share.take_step() {
                        if let Some(turn) = step(connection, server, io, &mut policy, &mut share) {
                            return turn;
                        }
                    }
                    Turn::Yielded
                });
            }
            if let Some(turn) = step(connection, server, io, &mut policy, &mut share) {
                return turn;
            }
        }
        Turn::Yielded
    }

    /// Keeps what wakes this task where the drain finds it. Tells whether it was new.
    fn be_known(&mut self, cx: &Context<'_>) -> bool {
        let known = self.place.as_ref();
        if known.is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            return false;
        }
        let mut tasks = self.shared.tasks();
        let waker = cx.waker().clone();
        let key = match known {
            Some((key, _)) => {
                tasks[*key] = waker.clone();
                *key
            }
            None => tasks.insert(waker.clone()),
        };
        drop(tasks);
        self.place = Some((key, waker));
        true
    }

    fn end(mut self, ended: Ended) {
        if let Some((key, _)) = self.place.take() {
            self.shared.tasks().remove(key);
        }
        match ended {
            Ended::Closed => self.connection.close(&self.shared.server),
            Ended::Broken => {
                self.shared.server.counters.broken();
                self.connection.close(&self.shared.server);
            }
            Ended::Panicked => {}
        }
    }
}

/// Performs the connection's next action; tells of the turn where that ends it.
fn step(
    connection: &mut Connection,
    server: &ServerState,
    io: &mut IoBuffers,
    policy: &mut TaskPolicy<'_, '_>,
    share: &mut Share,
) -> Option<Turn> {
    match connection.step(server, io, policy) {
        Step::Done { bytes } => {
            share.spend(bytes);
            None
        }
        Step::Blocked(wait) => policy.blocked(wait).then_some(Turn::Pending),
        Step::Closed => Some(Turn::Closed),
    }
}

/// The pace of a task: nothing waits, but for storage that may block.
///
/// Readiness is edge-triggered: it is cleared only by a guard that was taken before the attempt
/// that found the socket exhausted, so that an edge that comes in between is not lost.
struct TaskPolicy<'c, 'w> {
    cx: &'c mut Context<'w>,
    socket: &'c AsyncFd<Arc<OwnedFd>>,
    readable: Option<AsyncFdReadyGuard<'c, Arc<OwnedFd>>>,
    writable: Option<AsyncFdReadyGuard<'c, Arc<OwnedFd>>>,
    /// Whether the socket was found full.
    wants_room: bool,
    now: Now,
    /// Whether the time does not stand still, since storage may be waited for.
    time_passes: bool,
    draining: bool,
}

impl<'c, 'w> TaskPolicy<'c, 'w> {
    fn new(cx: &'c mut Context<'w>, socket: &'c AsyncFd<Arc<OwnedFd>>, draining: bool) -> Self {
        Self {
            cx,
            socket,
            readable: None,
            writable: None,
            wants_room: false,
            now: now(),
            time_passes: false,
            draining,
        }
    }

    /// Takes note that the socket was found exhausted. Tells whether the task will be woken when
    /// it no longer is; otherwise it has to be tried again.
    fn blocked(&mut self, wait: Wait) -> bool {
        let guard = match wait {
            Wait::Inbound => self.readable.take(),
            Wait::Outbound => {
                if !self.wants_room {
                    self.wants_room = true;
                    return false;
                }
                self.writable.take()
            }
        };
        match guard {
            Some(mut guard) => {
                guard.clear_ready();
                false
            }
            None => true,
        }
    }

    /// Whether there is no room in the socket, and the task will be woken when there is.
    fn waits_for_room(&mut self, has_room: impl Fn() -> bool) -> bool {
        loop {
            match self.socket.poll_write_ready(self.cx) {
                Poll::Ready(Ok(mut guard)) => {
                    if has_room() {
                        return false;
                    }
                    guard.clear_ready();
                }
                // The runtime ends, and this task with it.
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return true,
            }
        }
    }
}

impl WaitPolicy for TaskPolicy<'_, '_> {
    fn now(&mut self) -> Now {
        if self.time_passes {
            self.now = now();
        }
        self.now
    }

    fn before_wait(
        &mut self,
        _: BorrowedFd<'_>,
        wait: Wait,
        _: bool,
        _: Option<Instant>,
    ) -> Attempt {
        match wait {
            Wait::Inbound if self.readable.is_none() => {
                match self.socket.poll_read_ready(self.cx) {
                    Poll::Ready(guard) => self.readable = guard.ok(),
                    Poll::Pending => return Attempt::Skip,
                }
            }
            // Sending mostly succeeds: whether it will is asked only once it did not.
            Wait::Outbound if self.wants_room && self.writable.is_none() => {
                if let Poll::Ready(guard) = self.socket.poll_write_ready(self.cx) {
                    self.writable = guard.ok();
                }
            }
            Wait::Inbound | Wait::Outbound => {}
        }
        Attempt::Perform
    }

    /// A receive that did not fill the room has emptied the socket: the next bytes raise an event.
    fn received(&mut self, bytes: usize, room: usize) {
        if bytes < room
            && let Some(mut guard) = self.readable.take()
        {
            guard.clear_ready();
        }
    }

    fn waker(&mut self) -> Waker {
        self.cx.waker().clone()
    }

    fn is_draining(&self) -> bool {
        self.draining
    }
}
