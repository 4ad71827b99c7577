//! What a thread does with its connections: opens them, asks, takes the answers in.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use mio::event::Event;
use mio::{Interest, Token};

use super::super::clock::{duration_ns, now_ns};
use super::super::connection::{Connection, Phase, Step};
use super::super::tally::{ErrorKind, Times};
use super::super::{Arrival, Direction, ThinkTime};
use super::{RECEIVE_BYTES, Worker};

/// Bytes of one connection sent or received before the next has its turn.
const TURN_BYTES: u64 = 1 << 20;
const FIRST_BACK_OFF_NS: u64 = 10_000_000;
const LAST_BACK_OFF_NS: u64 = 1_000_000_000;

impl Worker<'_> {
    pub(super) fn on_event(&mut self, event: &Event) {
        let index = event.token().0 & 0xffff_ffff;
        let generation = (event.token().0 >> 32) as u32;
        let connection = &mut self.connections[index];
        if connection.generation != generation || connection.stream.is_none() {
            return;
        }
        connection.peer_closed |= event.is_read_closed();
        match connection.phase {
            Phase::Connecting => self.on_connected(index),
            Phase::Busy | Phase::Free | Phase::Thinking => {
                if event.is_readable() || event.is_error() {
                    self.receive(index);
                }
                let connection = &self.connections[index];
                if connection.generation == generation
                    && connection.phase == Phase::Busy
                    && connection.is_sending()
                {
                    self.send(index);
                }
            }
            Phase::Closed | Phase::BackingOff => {}
        }
    }

    /// Opens connections that wait for it, as many as may be under way at once.
    pub(super) fn open_some(&mut self, now: u64) {
        while self.connecting < self.connecting_limit {
            let Some(index) = self.to_open.pop_front() else { return };
            self.open(index as usize, now);
        }
    }

    fn open(&mut self, index: usize, now: u64) {
        let spec = self.shared.spec;
        let source = self.source_address(index);
        let connection = &mut self.connections[index];
        connection.progress_ns = now;
        let opened = connection.open(spec.target, source).and_then(|()| {
            let token = Token(index | (connection.generation as usize) << 32);
            let interest = Interest::READABLE | Interest::WRITABLE;
            match &mut connection.stream {
                Some(stream) => self.poll.registry().register(stream, token, interest),
                None => Ok(()),
            }
        });
        match opened {
            Ok(()) => self.connecting += 1,
            Err(error) => self.fail(index, ErrorKind::Connect, now, || error.to_string()),
        }
    }

    /// The source address of a connection, where they are spread.
    fn source_address(&self, index: usize) -> Option<Ipv4Addr> {
        let number = (self.first_connection + index) % self.sources as usize;
        (self.sources > 1).then(|| Ipv4Addr::new(127, 0, 0, 1 + number as u8))
    }

    fn on_connected(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let error = match &connection.stream {
            Some(stream) => stream.take_error().unwrap_or_else(Some),
            None => return,
        };
        let now = now_ns();
        self.connecting -= 1;
        if let Some(error) = error {
            self.fail(index, ErrorKind::Connect, now, || error.to_string());
            return;
        }
        self.tally.connections_opened += 1;
        self.tally.seen.connections_opened += 1;
        self.tally.connect_ns.saturating_record(now.saturating_sub(connection.progress_ns));
        connection.progress_ns = now;
        connection.phase = Phase::Free;
        if connection.exchange.pending {
            self.begin(index, now);
        } else if self.running {
            self.next(index, now);
        }
    }

    /// Gives a connection that has nothing to do its next request, or lets it wait for one.
    pub(super) fn next(&mut self, index: usize, now: u64) {
        if now >= self.window_end_ns {
            return;
        }
        if self.arrivals.is_some() {
            self.free.push_back(index as u32);
            self.dispatch(now);
        } else {
            self.request(index, now, now);
        }
    }

    /// Hands arrivals that are due to free connections.
    pub(super) fn dispatch(&mut self, now: u64) {
        while let Some(&index) = self.free.front() {
            let Some(arrivals) = &mut self.arrivals else { return };
            let Some(intended_ns) = arrivals.take_due(now) else { return };
            self.free.pop_front();
            if (self.window_start_ns..self.window_end_ns).contains(&intended_ns) {
                self.tally.arrivals += 1;
            }
            self.request(index as usize, intended_ns, now_ns());
        }
    }

    /// Draws a file and asks for it, on a new connection where each request has its own.
    fn request(&mut self, index: usize, intended_ns: u64, now: u64) {
        let file = self.shared.catalogue.draw.draw(&mut self.rng);
        let connection = &mut self.connections[index];
        connection.assign(file, intended_ns, self.shared.spec.verify_every);
        if connection.stream.is_some() {
            self.begin(index, now);
        } else if self.connecting < self.connecting_limit {
            self.open(index, now);
        } else {
            self.to_open.push_back(index as u32);
        }
    }

    fn begin(&mut self, index: usize, now: u64) {
        let spec = self.shared.spec;
        self.connections[index].begin(&self.shared.catalogue, spec.direction, now);
        self.send(index);
    }

    pub(super) fn send(&mut self, index: usize) {
        let direction = self.shared.spec.direction;
        let catalogue = &self.shared.catalogue;
        let connection = &mut self.connections[index];
        let before = connection.exchange.sent_bytes;
        let step = connection.send(catalogue, direction, &mut self.block, TURN_BYTES);
        if connection.exchange.sent_bytes > before && direction == Direction::Upload {
            connection.progress_ns = now_ns();
        }
        match step {
            // A server that refuses an upload may close while it is being sent; what it said
            // beforehand counts, not that sending failed.
            Step::Broken(_) => self.receive_last(index, step),
            Step::Yielded => self.unfinished.push_back(index as u32),
            Step::Blocked
            | Step::Sent
            | Step::Waiting
            | Step::GoOn
            | Step::Answered(_)
            | Step::Closed
            | Step::Failed(..) => {}
        }
    }

    pub(super) fn receive(&mut self, index: usize) {
        let direction = self.shared.spec.direction;
        let catalogue = &self.shared.catalogue;
        let mut budget = TURN_BYTES;
        loop {
            let connection = &mut self.connections[index];
            let step = connection.receive(catalogue, direction, &mut self.buffer);
            if step == Step::Yielded && budget > RECEIVE_BYTES as u64 {
                budget -= RECEIVE_BYTES as u64;
                continue;
            }
            self.on_step(index, step);
            return;
        }
    }

    /// Takes what the server said before sending to it failed.
    fn receive_last(&mut self, index: usize, broken: Step) {
        let direction = self.shared.spec.direction;
        let catalogue = &self.shared.catalogue;
        loop {
            match self.connections[index].receive(catalogue, direction, &mut self.buffer) {
                Step::Yielded | Step::Waiting => {}
                step @ Step::Answered(_) => return self.on_step(index, step),
                Step::Blocked
                | Step::Sent
                | Step::GoOn
                | Step::Closed
                | Step::Failed(..)
                | Step::Broken(_) => return self.on_step(index, broken),
            }
        }
    }

    fn on_step(&mut self, index: usize, step: Step) {
        let now = now_ns();
        let connection = &mut self.connections[index];
        let is_busy = connection.phase == Phase::Busy;
        match step {
            Step::Blocked | Step::Sent => {}
            Step::Waiting => connection.progress_ns = now,
            Step::Yielded => {
                connection.progress_ns = now;
                self.unfinished.push_back(index as u32);
            }
            Step::GoOn => {
                connection.progress_ns = now;
                self.send(index);
            }
            Step::Answered(fault) => self.on_answer(index, fault, now),
            Step::Closed if is_busy => {
                let catalogue = &self.shared.catalogue;
                let step = connection.end(catalogue, self.shared.spec.direction);
                debug_assert_ne!(step, Step::Closed);
                self.on_step(index, step);
            }
            // An idle connection that the server closes, or breaks, is opened again.
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
        let exchange = &connection.exchange;
        match fault {
            None => {
                let open_loop = self.arrivals.is_some();
                let times = Times {
                    intended_ns: if open_loop { exchange.intended_ns } else { exchange.sent_ns },
                    sent_ns: exchange.sent_ns,
                    done_ns: now,
                };
                let verified = exchange.verify && self.shared.spec.direction == Direction::Download;
                let bytes = connection.file_bytes(&self.shared.catalogue);
                connection.served |= self.tally.succeed(times, bytes, verified);
            }
            Some(kind) => {
                let expected = connection.file_bytes(&self.shared.catalogue);
                self.tally.fail(kind, now, || describe(kind, connection, expected));
            }
        }
        let connection = &mut self.connections[index];
        let is_usable =
            self.keep_alive && connection.exchange.keep_alive && !connection.peer_closed;
        if !is_usable {
            connection.close();
        }
        let think_ns = self.think_ns();
        let connection = &mut self.connections[index];
        if think_ns > 0 {
            connection.phase = Phase::Thinking;
            self.wakes.push(Reverse((now + think_ns, index as u32)));
        } else if is_usable {
            connection.phase = Phase::Free;
            self.next(index, now);
        } else {
            self.reopen(index, now);
        }
    }

    /// A connection without a socket goes on: to be opened, now or with its next request.
    fn reopen(&mut self, index: usize, now: u64) {
        if self.keep_alive {
            self.to_open.push_back(index as u32);
        } else {
            self.next(index, now);
        }
    }

    fn reopen_idle(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let was_thinking = connection.phase == Phase::Thinking;
        connection.close();
        if was_thinking {
            // Its wake-up is set: it opens when it has something to ask.
            connection.phase = Phase::Thinking;
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

    /// Counts a failure that leaves the connection useless, and opens it again after a pause that
    /// doubles with each failure in a row: a server that is gone is not asked in a tight loop.
    pub(super) fn fail(
        &mut self,
        index: usize,
        kind: ErrorKind,
        now: u64,
        example: impl FnOnce() -> String,
    ) {
        self.tally.fail(kind, now, example);
        let connection = &mut self.connections[index];
        connection.close();
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
        self.wakes.push(Reverse((now + pause_ns, index as u32)));
    }
}

fn describe(kind: ErrorKind, connection: &Connection, expected_bytes: u64) -> String {
    match kind {
        ErrorKind::Length => {
            format!("{} bytes instead of {expected_bytes}", connection.body_bytes())
        }
        ErrorKind::Content => format!("wrong bytes among the {expected_bytes}"),
        ErrorKind::Connect
        | ErrorKind::Reset
        | ErrorKind::Timeout
        | ErrorKind::Status
        | ErrorKind::Protocol => connection.reply_in_words(),
    }
}
