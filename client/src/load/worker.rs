//! One thread of a load: an event loop over its connections.
//!
//! Sockets are registered once, edge-triggered, for both directions. A request then costs one
//! `send` and one `recv`, and a share of an `epoll_wait`: a receive that did not fill the buffer
//! has drained the socket, and further data makes a further event, so there is no second receive
//! to see "would block". (The one thing that makes no further event is an end of stream that came
//! together with data; its flag is remembered.)
//!
//! An open loop's arrivals are timed by a timer descriptor, as epoll counts milliseconds; the last
//! [`SPIN_NS`] before one are spent polling, since waking up takes about as long. So in open loops
//! of more than 10,000 arrivals per second and thread, the thread's processor time does not tell
//! how busy it is: the delays of sending do.

mod traffic;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::arrivals::Arrivals;
use super::clock::{Timer, duration_ns, now_ns};
use super::connection::{Connection, Phase};
use super::progress::Seen;
use super::requests::Catalogue;
use super::tally::{ErrorKind, Tally};
use super::{Arrival, ConnectionUse, CpuTime, Direction, LoadSpec, Progress, SpecError};

/// How long before an arrival the thread polls instead of sleeping.
pub(super) const SPIN_NS: u64 = 50_000;
/// How often stop, timeouts and the live view are seen to.
const HOUSEKEEPING_NS: u64 = 50_000_000;
const RECEIVE_BYTES: usize = 128 << 10;
const BLOCK_BYTES: usize = 256 << 10;
/// Connection attempts under way at once, over all threads: well below any listen backlog.
const CONNECTING_AT_ONCE: usize = 128;
const TIMER: Token = Token(usize::MAX);

/// What the threads of a load share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) spec: &'a LoadSpec,
    pub(super) catalogue: Catalogue,
    pub(super) stop: &'a AtomicBool,
    /// A thread could not be set up: the others end.
    pub(super) abort: AtomicBool,
    pub(super) progress: Option<&'a Progress>,
    /// Threads that have tried to open each of their connections.
    pub(super) ready: AtomicUsize,
    /// When warm-up begins; 0 until that is known.
    pub(super) start_ns: AtomicU64,
    pub(super) threads: usize,
}

impl Shared<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.abort.load(Ordering::Relaxed)
    }
}

/// One thread's connections and all it needs to drive them.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    thread: usize,
    poll: Poll,
    timer: Timer,
    connections: Vec<Connection>,
    first_connection: usize,
    sources: u32,
    arrivals: Option<Arrivals>,
    /// Free connections of an open loop, longest free first.
    free: VecDeque<u32>,
    /// Connections that wait for their turn to be opened.
    to_open: VecDeque<u32>,
    connecting: usize,
    connecting_limit: usize,
    /// Connections that have more to send or receive without a further event.
    unfinished: VecDeque<u32>,
    /// When a connection ends its pause or its back-off.
    wakes: BinaryHeap<Reverse<(u64, u32)>>,
    tally: Tally,
    rng: Rng,
    buffer: Box<[u8]>,
    block: Box<[u8]>,
    keep_alive: bool,
    timeout_ns: u64,
    running: bool,
    window_start_ns: u64,
    window_end_ns: u64,
}

impl<'a> Worker<'a> {
    /// Sets a thread's part up: the connections `first_connection..first_connection + connections`
    /// of all.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        thread: usize,
        first_connection: usize,
        connections: usize,
        tally: Tally,
    ) -> Result<Self, SetUpError> {
        let spec = shared.spec;
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let upload = spec.direction == Direction::Upload;
        let connections = (first_connection..first_connection + connections)
            .map(|number| {
                let heads =
                    if upload { shared.catalogue.upload_heads(number)? } else { Vec::new() };
                Ok(Connection::new(spec.wire, heads))
            })
            .collect::<Result<Vec<_>, SpecError>>()?;
        let count = connections.len();
        let prepared = shared.catalogue.files.iter().all(|file| file.body.is_some());
        Ok(Self {
            shared,
            thread,
            poll,
            timer,
            connections,
            first_connection,
            sources: spec.sources(),
            arrivals: None,
            free: VecDeque::with_capacity(count),
            to_open: VecDeque::with_capacity(count),
            connecting: 0,
            connecting_limit: (CONNECTING_AT_ONCE / shared.threads).max(1),
            unfinished: VecDeque::with_capacity(count),
            wakes: BinaryHeap::with_capacity(count),
            tally,
            rng: Rng::with_seed(spec.seed.wrapping_add(thread as u64)),
            buffer: vec![0; RECEIVE_BYTES].into(),
            block: vec![0; if upload && !prepared { BLOCK_BYTES } else { 0 }].into(),
            keep_alive: spec.connection_use == ConnectionUse::KeepAlive,
            timeout_ns: duration_ns(spec.timeout),
            running: false,
            window_start_ns: u64::MAX,
            window_end_ns: u64::MAX,
        })
    }

    /// Runs to the end of the window, or until stopped.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1024.min(self.connections.len() + 1));
        self.ramp_up(&mut events)?;
        self.measure(&mut events)?;
        Ok(self.tally)
    }

    /// Opens the connections that are to be kept open, and waits for the common start.
    fn ramp_up(&mut self, events: &mut Events) -> io::Result<()> {
        if self.keep_alive {
            self.to_open.extend(0..self.connections.len() as u32);
        }
        let deadline_ns = now_ns().saturating_add(self.timeout_ns);
        let mut told = false;
        let mut sweep_ns = now_ns() + HOUSEKEEPING_NS;
        while self.shared.start_ns.load(Ordering::Acquire) == 0 && !self.shared.stopped() {
            let now = now_ns();
            self.wake(now);
            self.open_some(now);
            let tried = self.to_open.is_empty() && self.connecting == 0;
            if !told && (tried || now >= deadline_ns) {
                self.shared.ready.fetch_add(1, Ordering::Relaxed);
                told = true;
            }
            if now >= sweep_ns {
                self.sweep(now);
                self.tell(now);
                sweep_ns = now + HOUSEKEEPING_NS;
            }
            self.poll_events(events, Some(Duration::from_millis(1)))?;
            self.handle(events);
        }
        Ok(())
    }

    fn measure(&mut self, events: &mut Events) -> io::Result<()> {
        let start_ns = self.shared.start_ns.load(Ordering::Acquire);
        if start_ns > 0 {
            self.start(start_ns);
        }
        let mut cpu_at_start = None;
        let mut housekeeping_ns = 0;
        loop {
            let now = now_ns();
            if now >= housekeeping_ns {
                housekeeping_ns = now + HOUSEKEEPING_NS;
                self.sweep(now);
                self.tell(now);
            }
            if now >= self.window_start_ns && cpu_at_start.is_none() {
                cpu_at_start = Some(CpuTime::of_this_thread());
            }
            if now >= self.window_end_ns || self.shared.stopped() {
                if let Some(at_start) = cpu_at_start {
                    self.tally.cpu = CpuTime::of_this_thread().since(at_start);
                }
                self.finish(now);
                return Ok(());
            }
            self.tally.roll(now);
            self.wake(now);
            self.open_some(now);
            self.dispatch(now);
            self.resume_unfinished();
            let edge_ns =
                if cpu_at_start.is_none() { self.window_start_ns } else { self.window_end_ns };
            self.wait(events, housekeeping_ns.min(edge_ns), now)?;
            self.handle(events);
        }
    }

    /// Sets the window and the arrivals, and puts every connection to work.
    fn start(&mut self, start_ns: u64) {
        let spec = self.shared.spec;
        self.window_start_ns = start_ns.saturating_add(duration_ns(spec.warm_up));
        self.window_end_ns = self.window_start_ns.saturating_add(duration_ns(spec.duration));
        self.tally.begin(self.window_start_ns..self.window_end_ns);
        if let Arrival::Open { rate_per_s, pacing } = spec.arrival {
            let threads = self.shared.threads as f64;
            let offset = self.thread as f64 / threads;
            let rng = self.rng.fork();
            self.arrivals =
                Some(Arrivals::new(start_ns, rate_per_s / threads, pacing, offset, rng));
        }
        self.running = true;
        while now_ns() < start_ns {
            std::hint::spin_loop();
        }
        for index in 0..self.connections.len() {
            if !self.keep_alive || self.connections[index].phase == Phase::Free {
                self.next(index, now_ns());
            }
        }
    }

    fn finish(&mut self, now: u64) {
        if let Some(arrivals) = &mut self.arrivals {
            let end = now.min(self.window_end_ns);
            // Those that nobody was free to send have fallen due as well.
            while let Some(due) = arrivals.take_due(end.saturating_sub(1)) {
                self.tally.arrivals += u64::from(due >= self.window_start_ns);
            }
        }
        self.tally.connections_served =
            self.connections.iter().filter(|connection| connection.served).count() as u64;
        self.tally.finish(now);
        self.tell(now);
    }

    /// Waits for events, until the next arrival or wake-up, or `latest_ns`.
    fn wait(&mut self, events: &mut Events, latest_ns: u64, now: u64) -> io::Result<()> {
        let now = if self.arrivals.is_some() { now_ns() } else { now };
        let arrival_ns = match &self.arrivals {
            Some(arrivals) if !self.free.is_empty() => arrivals.next_ns().saturating_sub(SPIN_NS),
            _ => u64::MAX,
        };
        let wake_ns = self.wakes.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns);
        let due_ns = arrival_ns.min(wake_ns);
        if !self.unfinished.is_empty() || due_ns <= now || latest_ns <= now {
            return self.poll_events(events, Some(Duration::ZERO));
        }
        // Always by the timer, even for times far off: a timeout of its own would cost each
        // `epoll_wait` that sleeps a timer of the kernel's.
        self.timer.arm(due_ns.min(latest_ns))?;
        self.poll_events(events, None)
    }

    fn poll_events(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn handle(&mut self, events: &Events) {
        for event in events {
            if event.token() != TIMER {
                self.on_event(event);
                if self.arrivals.is_some() && !self.free.is_empty() {
                    self.dispatch(now_ns());
                }
            }
        }
    }

    /// Ends the pauses and back-offs that are over.
    fn wake(&mut self, now: u64) {
        while let Some(&Reverse((at_ns, index))) = self.wakes.peek() {
            if at_ns > now {
                return;
            }
            self.wakes.pop();
            let index = index as usize;
            let connection = &mut self.connections[index];
            let was_thinking = connection.phase == Phase::Thinking;
            connection.phase =
                if connection.stream.is_some() { Phase::Free } else { Phase::Closed };
            let asks = was_thinking || !self.keep_alive;
            if self.running && asks {
                self.next(index, now_ns());
            } else if self.connections[index].stream.is_none() {
                self.to_open.push_back(index as u32);
            }
        }
    }

    fn resume_unfinished(&mut self) {
        for _ in 0..self.unfinished.len() {
            let Some(index) = self.unfinished.pop_front() else { return };
            let connection = &self.connections[index as usize];
            if connection.stream.is_some() && connection.phase == Phase::Busy {
                if connection.is_sending() {
                    self.send(index as usize);
                } else {
                    self.receive(index as usize);
                }
            }
        }
    }

    /// Fails what has made no progress for too long.
    fn sweep(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            let is_waiting = matches!(connection.phase, Phase::Connecting | Phase::Busy);
            if !is_waiting || now.saturating_sub(connection.progress_ns) < self.timeout_ns {
                continue;
            }
            let seconds = self.shared.spec.timeout.as_secs_f64();
            if connection.phase == Phase::Connecting {
                self.connecting -= 1;
                self.fail(index, ErrorKind::Connect, now, || {
                    format!("not connected within {seconds} s")
                });
            } else {
                self.fail(index, ErrorKind::Timeout, now, || {
                    format!("no progress for {seconds} s")
                });
            }
        }
    }

    /// Tells the live view what has happened since the last time.
    fn tell(&mut self, now: u64) {
        let start_ns = self.shared.start_ns.load(Ordering::Relaxed);
        if let Some(progress) = self.shared.progress {
            let mut seen = std::mem::take(&mut self.tally.seen);
            seen.elapsed_ns = if start_ns > 0 { now.saturating_sub(start_ns) } else { 0 };
            progress.add(&seen);
        } else {
            self.tally.seen = Seen::default();
        }
    }
}

/// Why a thread cannot be set up.
#[derive(Debug)]
pub(super) enum SetUpError {
    Spec(SpecError),
    System(io::Error),
}

impl From<SpecError> for SetUpError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

impl From<io::Error> for SetUpError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
