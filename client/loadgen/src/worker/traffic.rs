//! Connection handling of a thread: opens connections, sends requests, handles replies.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use super::{BATCH, Worker};
use crate::clock::duration_ns;
use crate::engine::{Event, Sent, Sockets};
use crate::measure::tally::ErrorKind;
use crate::spec::{Arrival, Direction, ThinkTime};
use crate::worker::connection::{Connection, Phase, Step};
use crate::worker::requests::PreparedFile;

/// Bytes sent on one connection before the next has its turn.
const TURN_BYTES: usize = 1 << 20;
const FIRST_BACK_OFF_NS: u64 = 10_000_000;
const LAST_BACK_OFF_NS: u64 = 1_000_000_000;

impl<'a, S: Sockets<'a>> Worker<'a, S> {
    /// Handles the next event; false if there is none.
    pub(super) fn take_event(&mut self) -> bool {
        let Some((index, event)) = self.sockets.next() else { return false };
        self.activity += 1;
        match event {
            Event::Received { bytes, peer_closed } => {
                let connection = &mut self.connections[index];
                connection.peer_closed |= peer_closed;
                let direction = self.shared.spec.direction;
                let before = connection.exchange.arrived();
                let step = connection.receive(&self.shared.catalogue, direction, bytes);
                let now = self.sockets.event_ns();
                if direction != Direction::Upload {
                    self.tally.arrive(before, connection.exchange.arrived(), now);
                }
                self.on_step(index, step, now);
            }
            Event::Sent(bytes) => {
                let connection = &mut self.connections[index];
                if connection.phase == Phase::Busy {
                    connection.exchange.sent_bytes += bytes as u64;
                    connection.progress_ns = self.sockets.event_ns();
                    self.send(index);
                }
            }
            Event::Connected => self.on_connected(index),
            Event::Refused(error) => {
                self.connecting -= 1;
                let now = self.sockets.event_ns();
                self.fail(index, ErrorKind::Connect, now, || error.to_string());
            }
            Event::Closed => self.on_step(index, Step::Closed, self.sockets.event_ns()),
            Event::Broken(kind) => self.on_step(index, Step::Broken(kind), self.sockets.event_ns()),
        }
        true
    }

    /// Opens waiting connections, up to the limit of concurrent attempts.
    pub(super) fn open_some(&mut self, now: u64) {
        while self.connecting < self.connecting_limit {
            let Some(index) = self.to_open.pop_front() else { return };
            self.open(index as usize, now);
        }
    }

    fn open(&mut self, index: usize, now: u64) {
        let source = self.source_address(index);
        if self.arrivals.is_none() {
            // The response time includes the opening of the connection.
            self.start_request(index, now);
        }
        let connection = &mut self.connections[index];
        connection.progress_ns = now;
        match self.sockets.open(index, source) {
            Ok(()) => {
                connection.opened();
                self.connecting += 1;
            }
            Err(error) => self.fail(index, ErrorKind::Connect, now, || error.to_string()),
        }
    }

    /// Source address of a connection, if several are used.
    fn source_address(&self, index: usize) -> Option<Ipv4Addr> {
        let number = (self.first_connection + index) % self.sources as usize;
        (self.sources > 1).then(|| Ipv4Addr::new(127, 0, 0, 1 + number as u8))
    }

    fn on_connected(&mut self, index: usize) {
        let now = self.sockets.event_ns();
        let connection = &mut self.connections[index];
        self.connecting -= 1;
        self.tally.connections_opened += 1;
        self.tally.progress.connections_opened += 1;
        self.tally.connect_ns.saturating_record(now.saturating_sub(connection.progress_ns));
        connection.progress_ns = now;
        connection.phase = Phase::Free;
        if connection.exchange.pending {
            self.begin(index, now);
        } else if self.running {
            self.next(index, now);
        }
    }

    /// Gives a free connection its next request, or queues it for an arrival.
    pub(super) fn next(&mut self, index: usize, now: u64) {
        if self.arrivals.is_some() {
            self.connections[index].progress_ns = now;
            self.free.push_back(index as u32);
            self.dispatch(now);
        } else {
            self.request(index, now, now);
        }
    }

    /// Assigns due arrivals to free connections.
    pub(super) fn dispatch(&mut self, now: u64) {
        while let Some(&index) = self.free.front() {
            let Some(arrivals) = &mut self.arrivals else { return };
            let Some(intended_ns) = arrivals.take_due(now) else { return };
            self.free.pop_front();
            let now = self.sockets.now_ns();
            if self.window.contains(&intended_ns) {
                self.tally.arrivals += 1;
                self.tally.late(now, intended_ns, self.connections[index as usize].progress_ns);
            }
            self.request(index as usize, intended_ns, now);
        }
    }

    /// Draws a file and requests it, on a new connection if each request has its own.
    fn request(&mut self, index: usize, intended_ns: u64, now: u64) {
        self.activity += 1;
        let file = self.shared.catalogue.draw.draw(&mut self.rng);
        let PreparedFile { is_known, size_bytes, .. } = self.shared.catalogue.files[file as usize];
        let spec = self.shared.spec;
        let compared = match is_known && spec.direction != Direction::Upload {
            true => spec.verification.draw(size_bytes, &mut self.verification_rng),
            false => None,
        };
        let connection = &mut self.connections[index];
        connection.assign(file, intended_ns, compared);
        self.follow(intended_ns);
        if self.connections[index].is_open {
            self.begin(index, now);
        } else if self.connecting < self.connecting_limit {
            self.open(index, now);
        } else {
            self.to_open.push_back(index as u32);
        }
    }

    fn begin(&mut self, index: usize, now: u64) {
        let spec = self.shared.spec;
        if self.starts_when_sent {
            self.start_request(index, now);
        }
        self.connections[index].begin(&self.shared.catalogue, spec.direction, now);
        self.send(index);
        if S::DEFERS_SENDS {
            self.unsubmitted.push(index as u32);
            if self.sockets.queued() >= BATCH {
                self.stamp();
                self.sockets.submit();
            }
        }
    }

    pub(super) fn send(&mut self, index: usize) {
        let direction = self.shared.spec.direction;
        let connection = &mut self.connections[index];
        let mut turn_bytes = 0;
        while let Some(piece) = connection.piece(&self.shared.catalogue, direction) {
            if turn_bytes >= TURN_BYTES {
                self.unfinished.push_back(index as u32);
                return;
            }
            match self.sockets.send(index, piece) {
                Sent::Bytes(bytes) => {
                    connection.exchange.sent_bytes += bytes as u64;
                    turn_bytes += bytes;
                    if direction == Direction::Upload {
                        connection.progress_ns = self.sockets.now_ns();
                    }
                }
                Sent::Deferred => return,
            }
        }
    }

    fn on_step(&mut self, index: usize, step: Step, now: u64) {
        let connection = &mut self.connections[index];
        let is_busy = connection.phase == Phase::Busy;
        match step {
            Step::Waiting => connection.progress_ns = now,
            Step::Continue => {
                connection.progress_ns = now;
                self.send(index);
            }
            Step::Answered(fault) => self.on_answer(index, fault, now),
            Step::Closed if is_busy => {
                let catalogue = &self.shared.catalogue;
                let step = connection.end(catalogue, self.shared.spec.direction);
                debug_assert_ne!(step, Step::Closed);
                self.on_step(index, step, now);
            }
            // An idle connection that ends is reopened.
            Step::Closed | Step::Broken(_) if !is_busy => self.reopen_idle(index),
            Step::Closed => {}
            Step::Failed(kind, what) => self.fail(index, kind, now, || what.to_owned()),
            Step::Broken(kind) => self.fail(index, ErrorKind::Reset, now, || kind.to_string()),
        }
    }

    fn on_answer(&mut self, index: usize, fault: Option<ErrorKind>, now: u64) {
        let connection = &mut self.connections[index];
        connection.failures = 0;
        connection.progress_ns = now;
        let times = connection.exchange.times(now);
        let file = connection.file(&self.shared.catalogue);
        let (class, size_bytes) = (file.class, file.size_bytes);
        self.tally.replies_total += 1;
        match fault {
            None => {
                let is_compared = connection.exchange.compared.is_some();
                if self.shared.spec.direction == Direction::Upload {
                    self.tally.upload(times, size_bytes);
                }
                connection.served |= self.tally.succeed(times, class, size_bytes, is_compared);
            }
            Some(kind) => {
                connection.had_wrong_reply |= self.window.contains(&now);
                let example = || describe(kind, connection, size_bytes);
                self.tally.fail(kind, now, Some((times, class)), example);
            }
        }
        self.unfollow(times.intended_ns);
        let connection = &mut self.connections[index];
        let is_usable =
            self.keep_alive && connection.exchange.keep_alive && !connection.peer_closed;
        if !is_usable {
            self.close(index);
        }
        let think_ns = self.think_ns();
        let connection = &mut self.connections[index];
        if think_ns > 0 {
            connection.phase = Phase::Thinking;
            self.timers.push(Reverse((now + think_ns, index as u32)));
        } else if is_usable {
            connection.phase = Phase::Free;
            self.next(index, now);
        } else {
            self.reopen(index, now);
        }
    }

    /// Queues a closed connection to be opened, now or with its next request.
    fn reopen(&mut self, index: usize, now: u64) {
        if self.keep_alive {
            self.to_open.push_back(index as u32);
        } else {
            self.next(index, now);
        }
    }

    fn close(&mut self, index: usize) {
        if self.connections[index].is_open {
            self.sockets.close(index);
        }
        self.connections[index].closed();
    }

    fn reopen_idle(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let was_thinking = connection.phase == Phase::Thinking;
        self.close(index);
        if was_thinking {
            // Its timer is set: it opens with its next request.
            self.connections[index].phase = Phase::Thinking;
            return;
        }
        self.free.retain(|&free| free as usize != index);
        self.to_open.push_back(index as u32);
    }

    fn think_ns(&mut self) -> u64 {
        match self.shared.spec.arrival {
            Arrival::Closed { think: ThinkTime::Constant(time) } => duration_ns(time),
            Arrival::Closed { think: ThinkTime::Exponential(mean) } => {
                (-(1.0 - self.rng.f64()).ln() * duration_ns(mean) as f64) as u64
            }
            Arrival::Closed { think: ThinkTime::None } | Arrival::Open { .. } => 0,
        }
    }

    /// Counts a failure that makes the connection unusable and reopens it after a pause. The pause
    /// doubles with each consecutive failure, so that an unreachable server is not contacted in a
    /// tight loop.
    pub(super) fn fail(
        &mut self,
        index: usize,
        kind: ErrorKind,
        now: u64,
        example: impl FnOnce() -> String,
    ) {
        let connection = &mut self.connections[index];
        connection.had_wrong_reply |= kind.is_of_a_reply() && self.window.contains(&now);
        let times = connection.exchange.times(now);
        let is_pending = connection.exchange.pending;
        let class = connection.file(&self.shared.catalogue).class;
        self.tally.fail(kind, now, is_pending.then_some((times, class)), example);
        if is_pending {
            self.tally.abandoned_total += 1;
            self.unfollow(times.intended_ns);
        }
        self.close(index);
        let connection = &mut self.connections[index];
        connection.exchange.pending = false;
        connection.failures += 1;
        let first = if kind == ErrorKind::Connect { 1 } else { 2 };
        if connection.failures < first {
            self.reopen(index, now);
            return;
        }
        let doublings = (connection.failures - first).min(10);
        let pause_ns = (FIRST_BACK_OFF_NS << doublings).min(LAST_BACK_OFF_NS);
        connection.phase = Phase::BackingOff;
        self.timers.push(Reverse((now + pause_ns, index as u32)));
    }
}

fn describe(kind: ErrorKind, connection: &Connection<'_>, expected_bytes: u64) -> String {
    match kind {
        ErrorKind::Length => {
            format!("{} bytes instead of {expected_bytes}", connection.body_bytes())
        }
        ErrorKind::Content => format!("wrong bytes in a body of {expected_bytes} bytes"),
        ErrorKind::Connect
        | ErrorKind::Reset
        | ErrorKind::Timeout
        | ErrorKind::Status
        | ErrorKind::Protocol => connection.describe_reply(),
    }
}
