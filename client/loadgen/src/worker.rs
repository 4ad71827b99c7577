//! Thread of a load: an event loop over its connections.
//!
//! The loop is the same for every engine. In an open loop it sleeps until [`SPIN_NS`] before an
//! arrival and then polls, since a wake-up can take that long. At 125 arrivals per second and
//! thread or more, processor time therefore does not show how busy a thread is; send delays do.
//!
//! # Times
//! A request is sent when it is handed to the kernel; a reply is complete when its end is
//! first observed. An engine with batches reads the clock once for all sends of a batch, just
//! before its submission, and once for all replies, just after they were fetched. Both errors have
//! the same sign: a latency can be recorded as longer, by the time that the kernel takes for one
//! batch ([`BATCH`] sends, or the replies that had arrived), never as shorter.

pub(crate) mod connection;
mod drain;
mod draw;
pub(crate) mod requests;
mod traffic;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::arrivals::{Arrivals, SPIN_NS};
use crate::clock::{duration_ns, run_delay_ns};
use crate::engine::Sockets;
use crate::measure::tally::{ErrorKind, Tally};
use crate::progress::{Progress, ProgressDelta};
use crate::report::CpuTime;
use crate::spec::{Arrival, ConnectionUse, LoadSpec};
use crate::warm_up::WarmUp;
use crate::worker::connection::{Connection, Phase};
use crate::worker::drain::Drain;
use crate::worker::requests::{Catalogue, UploadHead};

/// Interval between checks of stop flag and timeouts and updates of the live view.
const HOUSEKEEPING_NS: u64 = 50_000_000;
/// Longest wait at a time while connections are opened before the start.
const RAMP_UP_NS: u64 = 1_000_000;
/// Longest wait at a time while another thread has not yet reported the end of the warm-up.
const OTHERS_NS: u64 = 1_000_000;
/// Interval between looks at the end of the load.
const HOLD: Duration = Duration::from_micros(500);
/// Operations per submission of an engine with batches.
const BATCH: usize = 32;
/// Concurrent connection attempts over all threads: well below any listen backlog.
const CONNECTING_AT_ONCE: usize = 128;

/// State shared by the threads of a load.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) spec: &'a LoadSpec,
    pub(crate) catalogue: Catalogue,
    pub(crate) stop: &'a AtomicBool,
    /// A thread failed to start: the others end.
    pub(crate) abort: AtomicBool,
    pub(crate) progress: Option<&'a Progress>,
    /// Number of threads that have attempted all their connections.
    pub(crate) ready: AtomicUsize,
    /// Start of the warm-up; 0 until it is known.
    pub(crate) start_ns: AtomicU64,
    pub(crate) warm_up: WarmUp,
    /// Number of threads whose requests of the window are all answered.
    pub(crate) drained: AtomicUsize,
    /// Number of threads that have ended their load and keep their connections open.
    pub(crate) ended: AtomicUsize,
    /// Connections may be closed.
    pub(crate) released: AtomicBool,
    pub(crate) threads: usize,
}

impl Shared<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.abort.load(Ordering::Relaxed)
    }

    /// Waits until the connections may be closed.
    fn hold(&self) {
        self.ended.fetch_add(1, Ordering::Release);
        while !self.released.load(Ordering::Acquire) {
            thread::sleep(HOLD);
        }
    }
}

/// Connections of one thread and the state to drive them.
#[derive(Debug)]
pub(crate) struct Worker<'a, S> {
    shared: &'a Shared<'a>,
    thread: usize,
    sockets: S,
    connections: Vec<Connection<'a>>,
    first_connection: usize,
    sources: u32,
    arrivals: Option<Arrivals>,
    /// Free connections of an open loop, longest free first.
    free: VecDeque<u32>,
    /// Connections that wait to be opened.
    to_open: VecDeque<u32>,
    connecting: usize,
    connecting_limit: usize,
    /// Connections that can send more without a further event.
    unfinished: VecDeque<u32>,
    /// Connections whose request is not submitted yet.
    unsubmitted: Vec<u32>,
    /// End of pauses and back-offs of connections.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    tally: Tally,
    /// Number of events and requests, to recognise iterations that only polled.
    activity: u64,
    rng: Rng,
    /// Draws the parts of bodies to compare.
    verification_rng: Rng,
    keep_alive: bool,
    timeout_ns: u64,
    /// The response time begins with the sending: a closed loop over kept connections.
    starts_when_sent: bool,
    running: bool,
    start_ns: u64,
    /// Parts of the warm-up that have ended, and the replies in them.
    warmed_up: (usize, u64),
    /// At the end of time until it is known.
    window: Range<u64>,
    /// The time after the window.
    drain: Option<Drain>,
}

impl<'a, S: Sockets<'a>> Worker<'a, S> {
    /// The share of one thread: the connections from number `first_connection` on, one for each of
    /// `heads`, the heads of its uploads.
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        sockets: S,
        thread: usize,
        first_connection: usize,
        heads: &'a [Vec<UploadHead>],
        tally: Tally,
    ) -> Self {
        let spec = shared.spec;
        let count = heads.len();
        Self {
            shared,
            thread,
            sockets,
            connections: heads
                .iter()
                .map(|heads| Connection::new(spec.wire, spec.direction, heads))
                .collect(),
            first_connection,
            sources: spec.sources(),
            arrivals: None,
            free: VecDeque::with_capacity(count),
            to_open: VecDeque::with_capacity(count),
            connecting: 0,
            connecting_limit: (CONNECTING_AT_ONCE / shared.threads).max(1),
            unfinished: VecDeque::with_capacity(count),
            unsubmitted: Vec::with_capacity(count),
            timers: BinaryHeap::with_capacity(count),
            tally,
            activity: 0,
            rng: Rng::with_seed(spec.seed.wrapping_add(thread as u64)),
            verification_rng: Rng::with_seed(!spec.seed.wrapping_add(thread as u64)),
            keep_alive: spec.connection_use == ConnectionUse::KeepAlive,
            timeout_ns: duration_ns(spec.timeout),
            starts_when_sent: spec.connection_use == ConnectionUse::KeepAlive
                && matches!(spec.arrival, Arrival::Closed { .. }),
            running: false,
            start_ns: 0,
            warmed_up: (0, 0),
            window: u64::MAX..u64::MAX,
            drain: None,
        }
    }

    /// Runs until the requests of the window are answered, or until stopped.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        self.ramp_up()?;
        self.measure()?;
        self.shared.hold();
        Ok(self.tally)
    }

    /// Opens the kept-alive connections and waits for the common start.
    fn ramp_up(&mut self) -> io::Result<()> {
        if self.keep_alive {
            self.to_open.extend(0..self.connections.len() as u32);
        }
        let deadline_ns = self.sockets.now_ns().saturating_add(self.timeout_ns);
        let mut reported = false;
        let mut sweep_ns = self.sockets.now_ns() + HOUSEKEEPING_NS;
        while self.shared.start_ns.load(Ordering::Acquire) == 0 && !self.shared.stopped() {
            let now = self.sockets.now_ns();
            self.fire_timers(now);
            self.open_some(now);
            let tried = self.to_open.is_empty() && self.connecting == 0;
            if !reported && (tried || now >= deadline_ns) {
                self.shared.ready.fetch_add(1, Ordering::Relaxed);
                reported = true;
            }
            if now >= sweep_ns {
                self.sweep(now);
                self.publish_progress(now);
                sweep_ns = now + HOUSEKEEPING_NS;
            }
            self.wait(now + RAMP_UP_NS)?;
            self.handle();
        }
        Ok(())
    }

    fn measure(&mut self) -> io::Result<()> {
        let start_ns = self.shared.start_ns.load(Ordering::Acquire);
        if start_ns > 0 {
            self.start(start_ns)?;
        }
        let mut cpu_at_start = None;
        let mut delay_at_start = None;
        let mut housekeeping_ns = 0;
        loop {
            let now = self.sockets.now_ns();
            if now >= housekeeping_ns {
                housekeeping_ns = now + HOUSEKEEPING_NS;
                self.sweep(now);
                self.publish_progress(now);
            }
            self.warm_up(now);
            if now >= self.window.start && cpu_at_start.is_none() {
                cpu_at_start = Some(CpuTime::of_this_thread());
                delay_at_start = run_delay_ns();
            }
            if self.drain.is_none() && (now >= self.window.end || self.shared.stopped()) {
                if let Some(at_start) = cpu_at_start {
                    self.tally.cpu = CpuTime::of_this_thread().since(at_start);
                    self.tally.run_delay_ns = run_delay_ns()
                        .zip(delay_at_start)
                        .map(|(delay_ns, before_ns)| delay_ns.saturating_sub(before_ns));
                }
                self.begin_drain(now);
            }
            if self.is_drained(now) {
                self.finish(now);
                return Ok(());
            }
            self.tally.roll(now);
            let activity = self.activity;
            self.fire_timers(now);
            self.open_some(now);
            self.dispatch(now);
            self.resume_unfinished();
            let edge_ns = match &self.drain {
                Some(drain) => drain.edge_ns(now),
                None if cpu_at_start.is_some() => self.window.end,
                None => self.end_of_part_ns(now),
            };
            let polled = self.wait_for_work(housekeeping_ns.min(edge_ns), now)?;
            if cpu_at_start.is_none() {
                // Its first replies may be among the events.
                self.warm_up(self.sockets.now_ns());
            }
            self.handle();
            let in_window = cpu_at_start.is_some() && self.drain.is_none();
            if polled && self.activity == activity && in_window {
                self.tally.polled_ns += self.sockets.now_ns().saturating_sub(now);
            }
        }
    }

    /// Sets the arrivals and starts every connection.
    fn start(&mut self, start_ns: u64) -> io::Result<()> {
        let spec = self.shared.spec;
        self.start_ns = start_ns;
        self.shared.warm_up.begin(start_ns);
        self.warm_up(start_ns);
        if let Arrival::Open { rate_per_s, pacing } = spec.arrival {
            let threads = self.shared.threads as f64;
            let offset = self.thread as f64 / threads;
            let rng = self.rng.fork();
            self.arrivals =
                Some(Arrivals::new(start_ns, rate_per_s / threads, pacing, offset, rng));
        }
        self.running = true;
        while self.sockets.now_ns() < start_ns {
            self.sockets.wait(start_ns)?;
        }
        for index in 0..self.connections.len() {
            if !self.keep_alive || self.connections[index].phase == Phase::Free {
                self.next(index, self.sockets.now_ns());
            }
        }
        Ok(())
    }

    /// Reports the replies in the parts of the warm-up that have ended, and sets the window when it is
    /// known.
    fn warm_up(&mut self, now: u64) {
        if self.window.start != u64::MAX || self.start_ns == 0 {
            return;
        }
        let warm_up = &self.shared.warm_up;
        let mut window_ns = warm_up.window_ns();
        while let Some(end_ns) = warm_up.part_end_ns(self.start_ns, self.warmed_up.0)
            && window_ns.is_none()
            && end_ns <= now
        {
            let (part, before) = self.warmed_up;
            let replies = self.tally.replies_total;
            warm_up.report(self.start_ns, part, replies - before, now);
            self.warmed_up = (part + 1, replies);
            window_ns = warm_up.window_ns();
        }
        let Some(window_ns) = window_ns else { return };
        if let Some(progress) = self.shared.progress {
            progress.window_ns.store(window_ns, Ordering::Release);
        }
        self.window = window_ns..window_ns.saturating_add(duration_ns(self.shared.spec.duration));
        self.tally.begin(self.window.clone());
    }

    /// Time of the next look at the end of the warm-up.
    fn end_of_part_ns(&self, now: u64) -> u64 {
        if self.window.start != u64::MAX || self.start_ns == 0 {
            return self.window.start;
        }
        let end_ns = self.shared.warm_up.part_end_ns(self.start_ns, self.warmed_up.0);
        // Every part is reported: the last thread to do so decides.
        end_ns.unwrap_or(now + OTHERS_NS)
    }

    /// Waits for events until the next arrival or timer, or `latest_ns`. Returns whether that time
    /// had passed already, so that the thread did not sleep.
    fn wait_for_work(&mut self, latest_ns: u64, now: u64) -> io::Result<bool> {
        if !self.unfinished.is_empty() {
            return self.wait(0).map(|()| false);
        }
        let arrival_ns = match &self.arrivals {
            Some(arrivals) if !self.free.is_empty() => arrivals.next_ns().saturating_sub(SPIN_NS),
            _ => u64::MAX,
        };
        let timer_ns = self.timers.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns);
        let until_ns = latest_ns.min(arrival_ns).min(timer_ns);
        self.wait(until_ns).map(|()| until_ns <= now)
    }

    fn wait(&mut self, until_ns: u64) -> io::Result<()> {
        self.stamp();
        self.sockets.wait(until_ns)
    }

    /// Sets the send time of requests that are about to be submitted.
    fn stamp(&mut self) {
        if S::DEFERS_SENDS && !self.unsubmitted.is_empty() {
            let now = self.sockets.now_ns();
            for index in self.unsubmitted.drain(..) {
                let exchange = &mut self.connections[index as usize].exchange;
                exchange.sent_ns = now;
                if self.starts_when_sent {
                    self.tally.hold_back(exchange.intended_ns, now);
                    exchange.intended_ns = now;
                }
            }
        }
    }

    fn handle(&mut self) {
        while self.take_event() {
            if self.arrivals.is_some() && !self.free.is_empty() {
                self.dispatch(self.sockets.event_ns());
            }
        }
    }

    /// Ends the pauses and back-offs that have elapsed.
    fn fire_timers(&mut self, now: u64) {
        while let Some(&Reverse((at_ns, index))) = self.timers.peek() {
            if at_ns > now {
                return;
            }
            self.timers.pop();
            let index = index as usize;
            let connection = &mut self.connections[index];
            let was_thinking = connection.phase == Phase::Thinking;
            connection.phase = if connection.is_open { Phase::Free } else { Phase::Closed };
            let asks = was_thinking || !self.keep_alive;
            if self.running && asks {
                self.next(index, self.sockets.now_ns());
            } else if !self.connections[index].is_open {
                self.to_open.push_back(index as u32);
            }
        }
    }

    fn resume_unfinished(&mut self) {
        for _ in 0..self.unfinished.len() {
            let Some(index) = self.unfinished.pop_front() else { return };
            let connection = &self.connections[index as usize];
            if connection.is_open && connection.phase == Phase::Busy {
                self.send(index as usize);
            }
        }
    }

    /// Fails connections without progress within the timeout.
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

    /// Adds the counts since the last call to the live view.
    fn publish_progress(&mut self, now: u64) {
        let start_ns = self.shared.start_ns.load(Ordering::Relaxed);
        if let Some(progress) = self.shared.progress {
            let mut delta = std::mem::take(&mut self.tally.progress);
            delta.elapsed_ns = if start_ns > 0 { now.saturating_sub(start_ns) } else { 0 };
            progress.add(&delta);
        } else {
            self.tally.progress = ProgressDelta::default();
        }
    }
}

#[cfg(test)]
mod counting_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod warm_up_tests;
