//! Parts of the strategies whose threads block on a connection's socket.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use fileserver_proto::{IoBuffers, Now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SocketFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use slab::Slab;

use super::accept_policy::{AcceptPolicy, Next};
use super::waker::EventfdWaker;
use crate::connection::sending::LONE_STEP_BYTES;
use crate::connection::{Attempt, Connection, LONE_UPLOAD_BYTES, Step, Wait, WaitPolicy};
use crate::server::limit::Permit;
use crate::server::listener::{AcceptError, Listener};
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState, now};
use crate::trace::event::Kind;

/// Socket timeouts are rounded up to a multiple of this, so that the deadlines of successive
/// requests, a little different each, need no system call to arm.
const TIMEOUT_STEP_MS: u128 = 50;

/// Connections that threads may be blocked on, so that another thread can end their wait.
#[derive(Debug, Default)]
pub(crate) struct ConnectionRegistry {
    places: Mutex<Slab<Arc<Place>>>,
    draining: AtomicBool,
}

#[derive(Debug)]
struct Place {
    socket: Arc<OwnedFd>,
    idle: AtomicBool,
    broken: AtomicBool,
}

/// Registration of a connection; dropping it removes the connection from the registry.
#[derive(Debug)]
pub(crate) struct Guard {
    registry: Arc<ConnectionRegistry>,
    place: Arc<Place>,
    key: usize,
}

impl ConnectionRegistry {
    pub(crate) fn register(self: &Arc<Self>, socket: &Arc<OwnedFd>) -> Guard {
        let place = Arc::new(Place {
            socket: Arc::clone(socket),
            idle: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        let key = self.lock().insert(Arc::clone(&place));
        Guard { registry: Arc::clone(self), place, key }
    }

    /// Ends the wait of idle connections; the others close after their request.
    ///
    /// A thread stores that it is idle and then checks for a drain; here the order is reversed. So
    /// one of the two always sees the other.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for (_, place) in self.lock().iter() {
            if place.idle.load(Ordering::SeqCst) {
                let _ = rustix::net::shutdown(&place.socket, rustix::net::Shutdown::Read);
            }
        }
    }

    /// Breaks all connections, and counts each once.
    pub(crate) fn end_all(&self, server: &ServerState) {
        for (_, place) in self.lock().iter() {
            if !place.broken.swap(true, Ordering::SeqCst) {
                server.counters.broken();
            }
            let _ = rustix::net::shutdown(&place.socket, rustix::net::Shutdown::Both);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    pub(crate) fn is_draining(&self) -> bool {
        self.registry.is_draining()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.registry.lock().remove(self.key);
    }
}

/// Timeouts that a connection's socket has at present, to set them only when they change.
#[derive(Debug, Default)]
pub(crate) struct ArmedTimeouts {
    receive: Option<Duration>,
    send: Option<Duration>,
    /// Set once the connection has joined the chat room: its thread waits for messages, too.
    waker: Option<Arc<EventfdWaker>>,
    /// True once a connection that no thread waits for has joined: no action of it waits, except in
    /// a drain.
    pub(crate) is_member: bool,
}

/// Wait policy of a thread that blocks on its connection's socket, with the session's deadline as
/// the socket's timeout.
pub(crate) struct BlockingPolicy<'c> {
    registration: &'c Guard,
    armed: &'c mut ArmedTimeouts,
    between_requests: Attempt,
    /// Makes the waker of a connection that no thread waits for; without it, the thread polls an
    /// eventfd.
    woken_by: Option<&'c dyn Fn() -> Waker>,
    now: Now,
}

impl<'c> BlockingPolicy<'c> {
    /// `between_requests` decides whether the thread also waits for the next request.
    pub(crate) fn new(
        registration: &'c Guard,
        armed: &'c mut ArmedTimeouts,
        between_requests: Attempt,
    ) -> Self {
        Self { registration, armed, between_requests, woken_by: None, now: now() }
    }

    /// True if no action of the connection waits, since it has joined the chat room.
    pub(crate) fn is_member(&self) -> bool {
        self.armed.is_member
    }

    /// Sets how a connection with messages is woken.
    pub(crate) fn woken_by(mut self, waker: &'c dyn Fn() -> Waker) -> Self {
        self.woken_by = Some(waker);
        self
    }
}

impl WaitPolicy for BlockingPolicy<'_> {
    const STEP_BYTES: u64 = LONE_STEP_BYTES;
    const UPLOAD_BYTES: usize = LONE_UPLOAD_BYTES;

    fn now(&mut self) -> Now {
        self.now = now();
        self.now
    }

    fn before_wait(
        &mut self,
        socket: BorrowedFd<'_>,
        wait: Wait,
        idle: bool,
        deadline: Option<Instant>,
    ) -> Attempt {
        if wait == Wait::Inbound {
            self.registration.place.idle.store(idle, Ordering::SeqCst);
            if idle && self.is_draining() {
                return Attempt::PerformNow;
            }
            if idle && self.between_requests == Attempt::PerformNow {
                return Attempt::PerformNow;
            }
        }
        if self.armed.is_member && !self.is_draining() {
            return Attempt::PerformNow;
        }
        if let Some(waker) = &self.armed.waker {
            let events = match wait {
                Wait::Inbound => PollFlags::IN,
                Wait::Outbound => PollFlags::OUT,
            };
            wait_for_either(socket, events, waker, deadline);
            return Attempt::PerformNow;
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(self.now.instant).as_millis();
            let steps = left.div_ceil(TIMEOUT_STEP_MS).max(1);
            Duration::from_millis(u64::try_from(steps * TIMEOUT_STEP_MS).unwrap_or(u64::MAX))
        });
        let (which, armed) = match wait {
            Wait::Inbound => (Timeout::Recv, &mut self.armed.receive),
            Wait::Outbound => (Timeout::Send, &mut self.armed.send),
        };
        if *armed != timeout {
            match set_socket_timeout(socket, which, timeout) {
                Ok(()) => *armed = timeout,
                Err(errno) => tracing::warn!("cannot set a socket's timeout: {errno}"),
            }
        }
        Attempt::Perform
    }

    fn transfers(&self) -> bool {
        true
    }

    /// A connection that no thread waits for is stepped again at its deadline.
    fn pause(&mut self, until: Instant) -> bool {
        if self.woken_by.is_some() && !self.is_draining() {
            return false;
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        true
    }

    /// A request is in progress from its first byte on: a drain must not end its reading.
    fn received(&mut self, bytes: usize, _: usize) {
        if bytes > 0 {
            self.registration.place.idle.store(false, Ordering::SeqCst);
        }
    }

    fn waker(&mut self) -> Waker {
        if let Some(waker) = self.woken_by {
            self.armed.is_member = true;
            return waker();
        }
        match EventfdWaker::new() {
            Ok(waker) => {
                let waker = Arc::new(waker);
                self.armed.waker = Some(Arc::clone(&waker));
                Waker::from(waker)
            }
            Err(errno) => {
                tracing::warn!("cannot wake a member of the chat room: {errno}");
                Waker::noop().clone()
            }
        }
    }

    fn is_draining(&self) -> bool {
        self.registration.is_draining()
    }
}

/// Waits for the socket, the waker or the deadline. Whatever ends the wait, the connection is
/// stepped again.
fn wait_for_either(
    socket: BorrowedFd<'_>,
    events: PollFlags,
    waker: &EventfdWaker,
    deadline: Option<Instant>,
) {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let mut fds = [PollFd::from_borrowed_fd(socket, events), PollFd::new(waker, PollFlags::IN)];
    let _ = poll(&mut fds, timeout.as_ref());
    waker.clear();
}

/// Serves one connection from its first byte to its last.
pub(crate) fn serve_connection(
    server: &ServerState,
    registry: &Arc<ConnectionRegistry>,
    socket: OwnedFd,
    permit: Permit,
    io: &mut IoBuffers,
) {
    let mut connection = Connection::new(server, socket, permit, now());
    let registration = registry.register(connection.socket());
    let mut armed = ArmedTimeouts::default();
    let mut policy = BlockingPolicy::new(&registration, &mut armed, Attempt::Perform);
    loop {
        match connection.step(server, io, &mut policy) {
            Step::Done { .. } => {}
            Step::Blocked(_) => connection.handle_timeout(io, now()),
            Step::Closed => break,
        }
    }
    drop(registration);
    connection.close(server);
}

/// Accepts connections until the shutdown is triggered and hands each to `serve`.
///
/// While the connection limit is reached or descriptors have run out, connections wait in the
/// accept queue.
///
/// # Errors
/// The listener failed for good.
pub(crate) fn accept_each(
    listener: &Listener,
    server: &ServerState,
    shutdown: &Shutdown,
    flags: SocketFlags,
    mut serve: impl FnMut(OwnedFd, Permit),
) -> io::Result<()> {
    let mut policy = AcceptPolicy::new();
    while !shutdown.is_triggered() {
        let now = Instant::now();
        match policy.next(now) {
            Next::Accept => match server.limit.try_acquire() {
                Some(mut permit) => {
                    let waiting = server.trace.wait(Kind::WaitAccept);
                    let accepted = listener.accept(flags);
                    drop(waiting);
                    match accepted {
                        Ok(socket) if permit.admits(&socket) => {
                            permit.traced = server.trace.accepted(&socket);
                            serve(socket, permit);
                        }
                        Ok(_) => {
                            permit.free_unused();
                            server.counters.refused();
                        }
                        // The trigger has closed the listener.
                        Err(AcceptError::Ended(_)) if shutdown.is_triggered() => break,
                        Err(error) => policy.failed(error, now)?,
                    }
                }
                None => policy.limit_reached(),
            },
            Next::WaitForPermit => {
                let _waiting = server.trace.wait(Kind::WaitAccept);
                server.limit.wait_for_room(EXHAUSTION_PAUSE);
                policy.connection_closed();
            }
            Next::WaitForClose { until } => {
                let _waiting = server.trace.wait(Kind::WaitAccept);
                server.limit.wait_for_close(until - now);
                policy.connection_closed();
            }
            // The accept blocks until a connection comes.
            Next::WaitForConnection => policy.listener_readable(),
            Next::End => break,
        }
    }
    Ok(())
}

/// On a trigger, ends accepting and the wait of idle connections at once, and breaks the other
/// connections at the end of the drain timeout.
pub(crate) fn drain_when_triggered(
    listener: &Listener,
    server: &Arc<ServerState>,
    registry: &Arc<ConnectionRegistry>,
    shutdown: &Shutdown,
) {
    let (listener, server, registry) = (listener.clone(), Arc::clone(server), Arc::clone(registry));
    shutdown.on_trigger(move |request| {
        listener.close();
        registry.begin_drain();
        server.limit.wake();
        if request.is_urgent() {
            registry.end_all(&server);
            return;
        }
        let (server, registry) = (Arc::clone(&server), Arc::clone(&registry));
        let watch = move || {
            if !server.limit.wait_until_empty(Instant::now() + server.drain, || false) {
                registry.end_all(&server);
            }
        };
        if let Err(error) = std::thread::Builder::new().spawn(watch) {
            tracing::warn!("cannot create the thread that limits the drain: {error}");
        }
    });
}

/// Time that broken connections may take to close.
const CLEARING: Duration = Duration::from_secs(1);

/// Waits for the drain to end.
pub(crate) fn wait_for_drain(server: &ServerState, shutdown: &Shutdown) {
    let deadline = Instant::now() + server.drain + CLEARING;
    if !server.limit.wait_until_empty(deadline, || shutdown.is_urgent()) {
        server.limit.wait_until_empty(Instant::now() + CLEARING, || false);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_drain_ends_the_reading_of_idle_connections_alone() {
        let registry = Arc::new(ConnectionRegistry::default());
        let places: Vec<_> = [false, true]
            .into_iter()
            .map(|begun| {
                let (ours, theirs) = UnixStream::pair().unwrap();
                let socket = Arc::new(OwnedFd::from(ours));
                let registration = registry.register(&socket);
                let mut armed = ArmedTimeouts::default();
                let mut policy = BlockingPolicy::new(&registration, &mut armed, Attempt::Perform);
                let _ = policy.before_wait(socket.as_fd(), Wait::Inbound, true, None);
                if begun {
                    policy.received(1, 2);
                }
                (begun, registration, socket, theirs)
            })
            .collect();
        registry.begin_drain();
        for (begun, _registration, socket, mut theirs) in places {
            let sent = theirs.write(b"rest");
            assert_eq!(sent.is_ok(), begun, "{sent:?}");
            let mut ours = UnixStream::from(socket.try_clone().unwrap());
            ours.set_nonblocking(true).unwrap();
            assert_eq!(ours.read(&mut [0; 4]).unwrap(), if begun { 4 } else { 0 });
        }
    }
}
