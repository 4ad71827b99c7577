//! Measurements of one thread, and their merge into the report.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::arrivals::busy_polling;
use crate::clock::{MAX_NS, SECOND_NS};
use crate::measure::series::{SecondChannel, SecondTally};
use crate::progress::ProgressDelta;
use crate::report::{CpuTime, ErrorCounts, LoadReport, Second};
use crate::spec::{Engine, LoadSpec, RequestClass};

/// Empty histogram of nanoseconds with three significant digits and a fixed size.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, 3).expect("the bounds are valid")
}

/// Kinds of failed requests, in the order of [`ErrorCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Connect,
    Reset,
    Timeout,
    Status,
    Length,
    Content,
    Protocol,
}

/// Measurements of one thread within the window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Requests answered within the window, whenever they were due.
    pub(crate) answered: u64,
    pub(crate) body_bytes: u64,
    pub(crate) verified: u64,
    pub(crate) verified_bytes: u64,
    pub(crate) errors: ErrorCounts,
    pub(crate) examples: [Option<String>; 7],
    pub(crate) service_ns: Histogram<u64>,
    /// Only in open loops; in closed loops it equals `service_ns`.
    pub(crate) response_ns: Option<Histogram<u64>>,
    pub(crate) send_delay_ns: Histogram<u64>,
    /// Only for loads with heavy requests.
    pub(crate) heavy_ns: Option<Histogram<u64>>,
    pub(crate) lateness_ns: Histogram<u64>,
    pub(crate) connect_ns: Histogram<u64>,
    pub(crate) connections_opened: u64,
    pub(crate) connections_served: u64,
    pub(crate) arrivals: u64,
    pub(crate) cpu: CpuTime,
    /// Time without a core within the window; `None` if the kernel does not record it.
    pub(crate) run_delay_ns: Option<u64>,
    /// Time spent on polls without an event within the window.
    pub(crate) polled_ns: u64,
    /// End of the measurement.
    pub(crate) end_ns: u64,
    pub(crate) progress: ProgressDelta,
    window: std::ops::Range<u64>,
    second: Box<SecondTally>,
    second_end_ns: u64,
    /// `None` after the end: dropping it informs the collector.
    channel: Option<SecondChannel>,
}

/// Times of one completed request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) done_ns: u64,
}

impl Tally {
    pub(crate) fn new(open_loop: bool, has_heavy: bool, channel: SecondChannel) -> Self {
        Self {
            requests: 0,
            answered: 0,
            body_bytes: 0,
            verified: 0,
            verified_bytes: 0,
            errors: ErrorCounts::default(),
            examples: Default::default(),
            service_ns: histogram(),
            response_ns: open_loop.then(histogram),
            send_delay_ns: histogram(),
            heavy_ns: has_heavy.then(histogram),
            lateness_ns: histogram(),
            connect_ns: histogram(),
            connections_opened: 0,
            connections_served: 0,
            arrivals: 0,
            cpu: CpuTime::default(),
            run_delay_ns: None,
            polled_ns: 0,
            end_ns: 0,
            progress: ProgressDelta::default(),
            window: u64::MAX..u64::MAX,
            second: channel.first(),
            second_end_ns: u64::MAX,
            channel: Some(channel),
        }
    }

    /// Sets the window.
    pub(crate) fn begin(&mut self, window: std::ops::Range<u64>) {
        self.second_end_ns = window.start.saturating_add(SECOND_NS);
        self.window = window;
    }

    /// Counts a request that was answered correctly; returns whether it belongs to the window.
    #[inline]
    pub(crate) fn succeed(
        &mut self,
        times: Times,
        class: RequestClass,
        body_bytes: u64,
        verified_bytes: Option<u64>,
    ) -> bool {
        let Times { intended_ns, sent_ns, done_ns } = times;
        let response_ns = done_ns.saturating_sub(intended_ns);
        self.progress.requests += 1;
        self.progress.body_bytes += body_bytes;
        self.progress.max_ns = self.progress.max_ns.max(response_ns);
        self.answered += u64::from(self.window.contains(&done_ns));
        if intended_ns < self.window.start || done_ns >= self.window.end {
            return false;
        }
        self.requests += 1;
        self.body_bytes += body_bytes;
        if let Some(bytes) = verified_bytes {
            self.verified += 1;
            self.verified_bytes += bytes;
        }
        self.roll(done_ns);
        self.second.requests += 1;
        self.second.body_bytes += body_bytes;
        if let (RequestClass::Heavy, Some(heavy_ns)) = (class, &mut self.heavy_ns) {
            heavy_ns.saturating_record(response_ns);
            return true;
        }
        self.service_ns.saturating_record(done_ns.saturating_sub(sent_ns));
        if let Some(histogram) = &mut self.response_ns {
            histogram.saturating_record(response_ns);
            self.send_delay_ns.saturating_record(sent_ns.saturating_sub(intended_ns));
        }
        self.second.response_ns.saturating_record(response_ns);
        true
    }

    /// Records the delay between the moment when an arrival was due and a connection was free, and
    /// now.
    #[inline]
    pub(crate) fn late(&mut self, now_ns: u64, due_ns: u64, free_ns: u64) {
        self.lateness_ns.saturating_record(now_ns.saturating_sub(due_ns.max(free_ns)));
    }

    /// Counts a failure; `example` describes it and is called only for the first of its kind.
    pub(crate) fn fail(&mut self, kind: ErrorKind, at_ns: u64, example: impl FnOnce() -> String) {
        self.progress.errors += 1;
        if !self.window.contains(&at_ns) {
            return;
        }
        *match kind {
            ErrorKind::Connect => &mut self.errors.connect,
            ErrorKind::Reset => &mut self.errors.reset,
            ErrorKind::Timeout => &mut self.errors.timeout,
            ErrorKind::Status => &mut self.errors.status,
            ErrorKind::Length => &mut self.errors.length,
            ErrorKind::Content => &mut self.errors.content,
            ErrorKind::Protocol => &mut self.errors.protocol,
        } += 1;
        self.examples[kind as usize].get_or_insert_with(example);
        self.roll(at_ns);
        self.second.errors += 1;
    }

    /// Submits every second that ended by `now_ns`.
    #[inline]
    pub(crate) fn roll(&mut self, now_ns: u64) {
        while now_ns >= self.second_end_ns && self.second_end_ns < self.window.end {
            self.submit_second();
        }
    }

    /// Submits the last second: the measurement ended at `now_ns`.
    pub(crate) fn finish(&mut self, now_ns: u64) {
        self.end_ns = now_ns.min(self.window.end);
        self.roll(now_ns);
        if self.end_ns > self.second_end_ns.saturating_sub(SECOND_NS) {
            self.submit_second();
        }
        self.channel = None;
    }

    /// True if the measurement ended before the window.
    fn is_cut_short(&self) -> bool {
        self.end_ns < self.window.end
    }

    fn submit_second(&mut self) {
        if let Some(channel) = &self.channel {
            channel.exchange(&mut self.second);
        }
        self.second_end_ns = self.second_end_ns.saturating_add(SECOND_NS);
    }
}

/// Merges the measurements of all threads.
pub(crate) fn merge(
    spec: &LoadSpec,
    engine: Engine,
    window_began_at: SystemTime,
    tallies: Vec<Tally>,
    seconds: Vec<Second>,
) -> LoadReport {
    let mut report = LoadReport {
        window_began_at,
        window: Duration::ZERO,
        requests: 0,
        answered: 0,
        body_bytes: 0,
        verified: 0,
        verified_bytes: 0,
        errors: ErrorCounts::default(),
        error_examples: Vec::new(),
        service_ns: histogram(),
        response_ns: histogram(),
        send_delay_ns: histogram(),
        heavy_ns: histogram(),
        lateness_ns: histogram(),
        connect_ns: histogram(),
        seconds,
        connections_opened: 0,
        connections_served: 0,
        arrivals: 0,
        engine,
        cpu: CpuTime::default(),
        thread_cpu: Vec::with_capacity(tallies.len()),
        thread_polled: Vec::with_capacity(tallies.len()),
        run_delay: None,
        busy_polling: busy_polling(spec.arrival, tallies.len()),
        interrupted: tallies.iter().any(Tally::is_cut_short),
    };
    let mut examples: [Option<String>; 7] = Default::default();
    for tally in tallies {
        let window_ns = tally.end_ns.saturating_sub(tally.window.start);
        report.window = report.window.max(Duration::from_nanos(window_ns));
        report.requests += tally.requests;
        report.answered += tally.answered;
        report.body_bytes += tally.body_bytes;
        report.verified += tally.verified;
        report.verified_bytes += tally.verified_bytes;
        report.errors.add(&tally.errors);
        add(&mut report.service_ns, &tally.service_ns);
        add(&mut report.response_ns, tally.response_ns.as_ref().unwrap_or(&tally.service_ns));
        add(&mut report.send_delay_ns, &tally.send_delay_ns);
        if let Some(heavy_ns) = &tally.heavy_ns {
            add(&mut report.heavy_ns, heavy_ns);
        }
        add(&mut report.lateness_ns, &tally.lateness_ns);
        add(&mut report.connect_ns, &tally.connect_ns);
        report.connections_opened += tally.connections_opened;
        report.connections_served += tally.connections_served;
        report.arrivals += tally.arrivals;
        report.cpu = report.cpu.plus(tally.cpu);
        report.run_delay = report.run_delay.max(tally.run_delay_ns.map(Duration::from_nanos));
        report.thread_cpu.push(tally.cpu);
        report.thread_polled.push(Duration::from_nanos(tally.polled_ns));
        for (example, other) in examples.iter_mut().zip(tally.examples) {
            *example = example.take().or(other);
        }
    }
    report.error_examples = examples.into_iter().flatten().collect();
    report
}

fn add(sum: &mut Histogram<u64>, part: &Histogram<u64>) {
    sum.add(part).expect("all histograms have the same bounds");
}
