//! A task per connection on Tokio's work-stealing runtime.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use rustix::net::SocketFlags;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::{Builder, Runtime};
use tokio::select;
use tokio::sync::{Notify, watch};
use tokio::task::{block_in_place, yield_now};
use tokio::time::{sleep_until, timeout_at};

use super::Strategy;
use super::parts::accept_policy::Next;
use super::parts::acceptor::Acceptor;
use super::parts::turn::{ACCEPTS_PER_TURN, Share, Turn};
use super::parts::workers;
use crate::connection::{
    Attempt, Connection, Leftover, Step, Wait, WaitPolicy, io_buffers, isolate_panic,
};
use crate::server::limit::Permit;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};
use crate::trace::event::Kind;

/// Each connection is a task: sequential code that returns its thread to the runtime where it would
/// wait. Every worker thread has a queue of tasks, and idle workers steal from busy ones. A task
/// about to block first moves its thread's other tasks to another thread (`block_in_place`).
///
/// Written as the ecosystem writes it: one loop that awaits readiness, deadline, drain and messages
/// with `select!`. A hand-written `poll` function in its place used 2 % less processor time per
/// request at 1 KiB (7.9 against 8.1 µs) and 4 % less at 64 KiB (16.2 against 16.8 µs): 64
/// connections, server and generator on a core each, medians of 14 interleaved pairs.
#[derive(Debug)]
pub struct Tokio;

/// Time that broken connections may take to close.
const CLEARING: Duration = Duration::from_millis(500);

impl Strategy for Tokio {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let runtime = runtime(server)?;
        server.readiness.report();
        let stage = Arc::new(watch::Sender::new(Stage::Serving));
        let (closing, changing) = (listener.clone(), Arc::clone(&stage));
        shutdown.on_trigger(move |request| {
            closing.close();
            changing.send_replace(if request.is_urgent() { Stage::Over } else { Stage::Draining });
        });
        let context = Context {
            server: Arc::clone(server),
            shutdown: shutdown.clone(),
            stage: stage.subscribe(),
        };
        // A task too, so that the worker that runs it has what it spawns at hand.
        let accepted = runtime.block_on(runtime.spawn(accept(listener.clone(), context)));
        let urgent = || shutdown.is_urgent();
        if !server.limit.wait_until_empty(Instant::now() + server.drain, urgent) {
            stage.send_replace(Stage::Over);
            server.limit.wait_until_empty(Instant::now() + CLEARING, || false);
        }
        // A task that is stuck in storage is not waited for any longer.
        runtime.shutdown_timeout(CLEARING);
        accepted.map_err(io::Error::other)??;
        Ok(server.counters.report())
    }
}

/// Runtime with as many worker threads as the server's options say.
fn runtime(server: &ServerState) -> io::Result<Runtime> {
    check_threads(server.workers)?;
    let (workers, trace) = (server.workers, server.trace.clone());
    let build = move || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers).thread_name("worker").enable_io().enable_time();
        if trace.is_on() {
            let parking = trace.clone();
            builder.on_thread_park(move || parking.wait_begins());
            builder.on_thread_unpark(move || trace.wait_ended(Kind::WaitReady));
        }
        builder.build()
    };
    // It panics if a thread cannot be created.
    std::panic::catch_unwind(build)
        .unwrap_or_else(|_| Err(io::Error::other("the runtime's threads cannot be created")))
}

/// Checks that so many threads can exist at once. Tokio's builder panics if it cannot create one,
/// and what it has built then waits for ever.
fn check_threads(threads: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    std::thread::scope(|scope| {
        let _closed = gate.lock();
        for _ in 0..threads {
            std::thread::Builder::new()
                .spawn_scoped(scope, || drop(gate.lock()))
                .map_err(|error| workers::cannot_create(threads, error))?;
        }
        Ok(())
    })
}

/// Stage of the serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Idle connections close, the others after their request.
    Draining,
    /// Connections that are left are broken off.
    Over,
}

/// State that every task has.
#[derive(Clone)]
struct Context {
    server: Arc<ServerState>,
    shutdown: Shutdown,
    stage: watch::Receiver<Stage>,
}

/// Returns once the stage is reached.
async fn reached(mut current: watch::Receiver<Stage>, stage: Stage) {
    // Fails only without a sender, which outlives the runtime.
    let _ = current.wait_for(|current| *current >= stage).await;
}

/// Accepts connections until the shutdown is triggered, and spawns a task for each.
async fn accept(listener: Listener, context: Context) -> io::Result<()> {
    let watched = watch_descriptor(listener.as_fd().as_raw_fd(), Interest::READABLE)?;
    let closed = Arc::new(Notify::new());
    let waker = Arc::clone(&closed);
    let mut acceptor = Acceptor::new(&listener, SocketFlags::NONBLOCK, move || waker.notify_one())?;
    loop {
        // Taken before the attempts, so that clearing it loses no connection that comes later.
        let mut ready = watched.readable().await?;
        acceptor.listener_readable();
        for _ in 0..ACCEPTS_PER_TURN {
            match acceptor.accept(&context.server, Instant::now()) {
                _ if context.shutdown.is_triggered() => return Ok(()),
                Ok(Some((socket, permit))) => {
                    tokio::spawn(serve(context.clone(), socket, permit));
                }
                Ok(None) => break,
                Err(error) => return Err(error),
            }
        }
        let draining = reached(context.stage.clone(), Stage::Draining);
        match acceptor.next(Instant::now()) {
            Next::Accept => yield_now().await,
            Next::WaitForConnection => ready.clear_ready(),
            Next::WaitForPermit => select! {
                () = closed.notified() => {}
                () = draining => {}
            },
            Next::WaitForClose { until } => select! {
                _ = timeout_at(until.into(), closed.notified()) => {}
                () = draining => {}
            },
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
fn watch_descriptor<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}

/// Serves one connection from its first byte to its last.
async fn serve(context: Context, socket: OwnedFd, permit: Permit) {
    let server = Arc::clone(&context.server);
    let mut connection = Connection::new(&server, socket, permit, now());
    let interest = Interest::READABLE | Interest::WRITABLE;
    let socket = match watch_descriptor(Arc::clone(connection.socket()), interest) {
        Ok(socket) => socket,
        Err(error) => {
            server.counters.refused();
            tracing::warn!("a connection is refused: its socket cannot be watched: {error}");
            return;
        }
    };
    let over = reached(context.stage.clone(), Stage::Over);
    let is_counted = select! {
        biased;
        is_counted = converse(&context, &mut connection, &socket) => is_counted,
        () = over => {
            server.counters.broken();
            true
        }
    };
    drop(socket);
    if is_counted {
        connection.close(&server);
    }
}

/// Serves until the conversation is over; false if it ended by a panic.
async fn converse(
    context: &Context,
    connection: &mut Connection,
    socket: &AsyncFd<Arc<OwnedFd>>,
) -> bool {
    thread_local! {
        static IO: RefCell<Option<IoBuffers>> = const { RefCell::new(None) };
    }
    let server = &*context.server;
    let mail = Arc::new(Mail(Notify::new()));
    let mut leftover = Leftover::default();
    let mut timer = pin!(sleep_until(alarm(connection).into()));
    let mut drain = pin!(reached(context.stage.clone(), Stage::Draining));
    let mut has_drained = false;
    let mut waits_for = Wait::Inbound;
    let mut ready: Option<AsyncFdReadyGuard<'_, _>> = None;
    loop {
        let is_readable = ready.is_some() && waits_for == Wait::Inbound;
        let mut policy = TaskPolicy::new(&mail, is_readable, context.shutdown.is_triggered());
        let turn = IO.with_borrow_mut(|io| {
            let io = io.get_or_insert_with(|| io_buffers(server));
            let turn = isolate_panic(server, || {
                leftover.restore(io);
                if connection.deadline().is_some_and(|at| at <= policy.now.instant) {
                    connection.handle_timeout(io, policy.now);
                }
                take_turn(connection, server, io, &mut policy, Share::default())
            });
            leftover = Leftover::take(io);
            turn
        });
        let is_exhausted = match waits_for {
            Wait::Inbound => !policy.is_readable,
            Wait::Outbound => policy.blocked == Some(Wait::Outbound),
        };
        // The readiness was taken before the attempt, so no later event is lost.
        if is_exhausted && let Some(mut guard) = ready.take() {
            guard.clear_ready();
        }
        match turn {
            Some(Turn::Pending) => waits_for = policy.blocked.unwrap_or(Wait::Inbound),
            Some(Turn::Yielded) => {
                yield_now().await;
                continue;
            }
            Some(Turn::Closed) => return true,
            None => return false,
        }
        // Most deadlines move to a later time with every request: when the timer fires, the turn
        // checks the real one.
        let at = alarm(connection).into();
        if timer.is_elapsed() || at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        let interest = match waits_for {
            Wait::Inbound => Interest::READABLE,
            Wait::Outbound => Interest::WRITABLE,
        };
        ready = select! {
            biased;
            guard = socket.ready(interest) => guard.ok(),
            () = mail.0.notified(), if connection.has_joined() => None,
            () = &mut drain, if !has_drained => {
                has_drained = true;
                None
            }
            () = &mut timer => None,
        };
    }
}

/// Time of the connection's deadline; much later if it has none.
fn alarm(connection: &Connection) -> Instant {
    const MUCH_LATER: Duration = Duration::from_secs(24 * 60 * 60);
    connection.deadline().unwrap_or_else(|| Instant::now() + MUCH_LATER)
}

/// Lets the connection do what it can without waiting, up to its fair share.
fn take_turn(
    connection: &mut Connection,
    server: &ServerState,
    io: &mut IoBuffers,
    policy: &mut TaskPolicy<'_>,
    mut share: Share,
) -> Turn {
    while share.take_step() {
        if !policy.may_block && connection.next_may_block(server, io) {
            if !connection.has_room() {
                policy.blocked = Some(Wait::Outbound);
                return Turn::Pending;
            }
            policy.may_block = true;
            // For the rest of the turn: moving the worker's other tasks has its price.
            return block_in_place(|| take_turn(connection, server, io, policy, share));
        }
        match connection.step(server, io, policy) {
            Step::Done { bytes } => share.spend(bytes),
            Step::Blocked(wait) => {
                policy.is_readable &= wait != Wait::Inbound;
                policy.blocked = Some(wait);
                return Turn::Pending;
            }
            Step::Closed => return Turn::Closed,
        }
    }
    Turn::Yielded
}

/// Wakes a connection's task when another has a message for it.
struct Mail(Notify);

impl Wake for Mail {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Wait policy of a task: nothing waits but storage that may block.
struct TaskPolicy<'c> {
    mail: &'c Arc<Mail>,
    /// True if the socket may have bytes.
    is_readable: bool,
    /// Result of the turn, if the connection waits for its peer.
    blocked: Option<Wait>,
    now: Now,
    /// True if the worker's other tasks have been moved, so that time may pass.
    may_block: bool,
    is_draining: bool,
}

impl<'c> TaskPolicy<'c> {
    fn new(mail: &'c Arc<Mail>, is_readable: bool, is_draining: bool) -> Self {
        Self { mail, is_readable, blocked: None, now: now(), may_block: false, is_draining }
    }
}

impl WaitPolicy for TaskPolicy<'_> {
    fn now(&mut self) -> Now {
        if self.may_block {
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
            Wait::Inbound if !self.is_readable => Attempt::Skip,
            Wait::Inbound | Wait::Outbound => Attempt::Perform,
        }
    }

    /// A receive that did not fill the room has emptied the socket.
    fn received(&mut self, bytes: usize, room: usize) {
        self.is_readable &= bytes == room;
    }

    fn waker(&mut self) -> Waker {
        Waker::from(Arc::clone(self.mail))
    }

    fn is_draining(&self) -> bool {
        self.is_draining
    }
}
