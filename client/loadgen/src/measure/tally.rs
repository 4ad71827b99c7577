//! Measurements of one thread, and their merge into the report.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::arrivals::busy_polling;
use crate::clock::{MAX_NS, SECOND_NS};
use crate::measure::series::{SecondChannel, SecondTally};
use crate::progress::ProgressDelta;
use crate::report::{CpuTime, ErrorCounts, LoadReport, Second, ShortestWait};
use crate::spec::{Arrival, ConnectionUse, Engine, LoadSpec, RequestClass};

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

impl ErrorKind {
    /// True if the server sent something, but not the reply that was requested.
    pub(crate) fn is_of_a_reply(self) -> bool {
        match self {
            Self::Status | Self::Length | Self::Content | Self::Protocol => true,
            Self::Connect | Self::Reset | Self::Timeout => false,
        }
    }
}

/// Most seconds of the window whose longest response times are told apart; further ones begin at the
/// first again.
const SECONDS_APART: u64 = 4096;

/// Measurements of one thread.
///
/// Rates count what happens within the window: replies, bytes and errors, whenever their requests
/// were sent. Times are those of the requests that begin within the window, followed to their
/// replies; a closed loop adds requests that wait during the whole window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) heavy_requests: u64,
    pub(crate) body_bytes: u64,
    /// Parts of bytes of uploads.
    upload_bytes: f64,
    pub(crate) verified: u64,
    pub(crate) verified_bytes: u64,
    pub(crate) errors: ErrorCounts,
    pub(crate) examples: [Option<String>; 7],
    pub(crate) latency_requests: u64,
    pub(crate) unanswered: u64,
    pub(crate) shortest_wait_ns: ShortestWait,
    pub(crate) service_ns: Histogram<u64>,
    /// Absent where it equals `service_ns`: in closed loops over kept connections.
    pub(crate) response_ns: Option<Histogram<u64>>,
    /// Only in open loops.
    pub(crate) send_delay_ns: Option<Histogram<u64>>,
    /// Only for loads with heavy requests.
    pub(crate) heavy_ns: Option<Histogram<u64>>,
    /// Longest response time of the requests that began in each second, without heavy ones.
    pub(crate) slowest_ns: Vec<u64>,
    pub(crate) lateness_ns: Histogram<u64>,
    pub(crate) connect_ns: Histogram<u64>,
    pub(crate) connections_opened: u64,
    pub(crate) connections_served: u64,
    pub(crate) connections_starved: u64,
    pub(crate) arrivals: u64,
    pub(crate) cpu: CpuTime,
    /// Time without a core within the window; `None` if the kernel does not record it.
    pub(crate) run_delay_ns: Option<u64>,
    /// Time spent on polls without an event within the window.
    pub(crate) polled_ns: u64,
    /// End of the window.
    pub(crate) end_ns: u64,
    /// Time within the window for which requests waited to be handed to the kernel with others.
    unsubmitted_ns: u64,
    /// Longest response time that began before the window and ended within it or later.
    longest_crossing_ns: u64,
    pub(crate) replies_total: u64,
    pub(crate) abandoned_total: u64,
    pub(crate) progress: ProgressDelta,
    window: std::ops::Range<u64>,
    second: Box<SecondTally>,
    second_end_ns: u64,
    /// `None` after the window: dropping it informs the collector.
    channel: Option<SecondChannel>,
}

/// Times of one request until its reply, or until now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Start of the response time.
    pub(crate) intended_ns: u64,
    /// `None` if it is not sent.
    pub(crate) sent_ns: Option<u64>,
    pub(crate) done_ns: u64,
}

/// Body bytes of a reply that have arrived.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arrived {
    pub(crate) bytes: u64,
    pub(crate) compared: u64,
}

impl Tally {
    pub(crate) fn new(spec: &LoadSpec, has_heavy: bool, channel: SecondChannel) -> Self {
        let open_loop = matches!(spec.arrival, Arrival::Open { .. });
        let starts_when_sent = !open_loop && spec.connection_use == ConnectionUse::KeepAlive;
        Self {
            requests: 0,
            heavy_requests: 0,
            body_bytes: 0,
            upload_bytes: 0.0,
            verified: 0,
            verified_bytes: 0,
            errors: ErrorCounts::default(),
            examples: Default::default(),
            latency_requests: 0,
            unanswered: 0,
            shortest_wait_ns: ShortestWait::default(),
            service_ns: histogram(),
            response_ns: (!starts_when_sent).then(histogram),
            send_delay_ns: open_loop.then(histogram),
            heavy_ns: has_heavy.then(histogram),
            slowest_ns: Vec::new(),
            lateness_ns: histogram(),
            connect_ns: histogram(),
            connections_opened: 0,
            connections_served: 0,
            connections_starved: 0,
            arrivals: 0,
            cpu: CpuTime::default(),
            run_delay_ns: None,
            polled_ns: 0,
            end_ns: 0,
            unsubmitted_ns: 0,
            longest_crossing_ns: 0,
            replies_total: 0,
            abandoned_total: 0,
            progress: ProgressDelta::default(),
            window: u64::MAX..u64::MAX,
            second: channel.first(),
            second_end_ns: u64::MAX,
            channel: Some(channel),
        }
    }

    /// Sets the window.
    pub(crate) fn begin(&mut self, window: std::ops::Range<u64>) {
        let seconds = (window.end - window.start).div_ceil(SECOND_NS);
        self.slowest_ns = vec![0; seconds.clamp(1, SECONDS_APART) as usize];
        self.second_end_ns = window.start.saturating_add(SECOND_NS);
        self.window = window;
    }

    /// True if the times of a request count that begins at `intended_ns` and waits until `until_ns`.
    #[inline]
    pub(crate) fn follows(&self, intended_ns: u64, until_ns: u64) -> bool {
        let waits_throughout = self.send_delay_ns.is_none() && until_ns >= self.window.end;
        intended_ns < self.window.end && (intended_ns >= self.window.start || waits_throughout)
    }

    /// Counts body bytes of a reply as they arrive.
    #[inline]
    pub(crate) fn arrive(&mut self, before: Arrived, after: Arrived, at_ns: u64) {
        if !self.window.contains(&at_ns) {
            return;
        }
        let bytes = after.bytes.saturating_sub(before.bytes);
        self.body_bytes += bytes;
        self.verified_bytes += after.compared.saturating_sub(before.compared);
        self.roll(at_ns);
        self.second.body_bytes += bytes;
    }

    /// Counts an upload that the server has acknowledged: its bytes are spread evenly over the time
    /// from the sending to the reply. Handing bytes to the kernel acknowledges nothing.
    #[inline]
    pub(crate) fn upload(&mut self, times: Times, bytes: u64) {
        let Times { intended_ns, sent_ns, done_ns } = times;
        let sent_ns = sent_ns.unwrap_or(intended_ns);
        let (from_ns, to_ns) = (sent_ns.max(self.window.start), done_ns.min(self.window.end));
        let share = match done_ns.saturating_sub(sent_ns) {
            0 => f64::from(u8::from(self.window.contains(&done_ns))),
            spent_ns => to_ns.saturating_sub(from_ns) as f64 / spent_ns as f64,
        };
        self.upload_bytes += bytes as f64 * share;
        if self.window.contains(&done_ns) {
            self.roll(done_ns);
            self.second.body_bytes += bytes;
        }
    }

    /// Body bytes within the window.
    fn all_body_bytes(&self) -> u64 {
        self.body_bytes + self.upload_bytes.round() as u64
    }

    /// Counts the time for which a request waited to be handed to the kernel with others.
    #[inline]
    pub(crate) fn hold_back(&mut self, from_ns: u64, to_ns: u64) {
        let (from_ns, to_ns) = (from_ns.max(self.window.start), to_ns.min(self.window.end));
        self.unsubmitted_ns += to_ns.saturating_sub(from_ns);
    }

    /// Counts a request that was answered correctly; returns whether the reply is in the window.
    #[inline]
    pub(crate) fn succeed(
        &mut self,
        times: Times,
        class: RequestClass,
        body_bytes: u64,
        is_compared: bool,
    ) -> bool {
        let response_ns = times.done_ns.saturating_sub(times.intended_ns);
        self.progress.requests += 1;
        self.progress.body_bytes += body_bytes;
        self.progress.max_ns = self.progress.max_ns.max(response_ns);
        if self.follows(times.intended_ns, times.done_ns) {
            self.latency_requests += 1;
            self.record(times, class);
        }
        if times.intended_ns < self.window.start && times.done_ns >= self.window.start {
            self.longest_crossing_ns = self.longest_crossing_ns.max(response_ns);
        }
        if !self.window.contains(&times.done_ns) {
            return false;
        }
        self.requests += 1;
        self.verified += u64::from(is_compared);
        self.roll(times.done_ns);
        self.second.requests += 1;
        match class {
            RequestClass::Light => self.second.response_ns.saturating_record(response_ns),
            RequestClass::Heavy => self.heavy_requests += 1,
        }
        true
    }

    /// Records a request of the window that has no reply by the end: its times are at least those
    /// until now.
    pub(crate) fn leave_unanswered(&mut self, times: Times, class: RequestClass) {
        let Times { intended_ns, sent_ns, done_ns } = times;
        self.unanswered += 1;
        self.shortest_wait_ns = self.shortest_wait_ns.min(ShortestWait {
            response_ns: done_ns.saturating_sub(intended_ns),
            service_ns: done_ns.saturating_sub(sent_ns.unwrap_or(intended_ns)),
        });
        self.record(times, class);
    }

    /// Adds the times of a request of the window to the distributions.
    #[inline]
    fn record(&mut self, times: Times, class: RequestClass) {
        let Times { intended_ns, sent_ns, done_ns } = times;
        let response_ns = done_ns.saturating_sub(intended_ns);
        if let (RequestClass::Heavy, Some(heavy_ns)) = (class, &mut self.heavy_ns) {
            heavy_ns.saturating_record(response_ns);
            return;
        }
        match &mut self.response_ns {
            Some(histogram) => {
                histogram.saturating_record(response_ns);
                if let Some(sent_ns) = sent_ns {
                    self.service_ns.saturating_record(done_ns.saturating_sub(sent_ns));
                }
            }
            None => self.service_ns.saturating_record(response_ns),
        }
        if let Some(histogram) = &mut self.send_delay_ns {
            histogram.saturating_record(sent_ns.unwrap_or(done_ns).saturating_sub(intended_ns));
        }
        let second = intended_ns.saturating_sub(self.window.start) / SECOND_NS;
        let slowest_ns = &mut self.slowest_ns[(second % SECONDS_APART) as usize];
        *slowest_ns = response_ns.max(*slowest_ns);
    }

    /// Records the delay between the moment when an arrival was due and a connection was free, and
    /// now.
    #[inline]
    pub(crate) fn late(&mut self, now_ns: u64, due_ns: u64, free_ns: u64) {
        self.lateness_ns.saturating_record(now_ns.saturating_sub(due_ns.max(free_ns)));
    }

    /// Counts a failure, of a request if there is one; `example` describes it and is called only for
    /// the first of its kind. A request of the window without a reply within the timeout is
    /// unanswered; after the window it is no error, since one sent earlier would be none.
    pub(crate) fn fail(
        &mut self,
        kind: ErrorKind,
        at_ns: u64,
        request: Option<(Times, RequestClass)>,
        example: impl FnOnce() -> String,
    ) {
        self.progress.errors += 1;
        let request = request.filter(|(times, _)| self.follows(times.intended_ns, at_ns));
        let is_timeout = kind == ErrorKind::Timeout;
        if let Some((times, class)) = request.filter(|_| is_timeout) {
            self.leave_unanswered(times, class);
        }
        let is_followed = request.is_some() && !is_timeout;
        let in_window = self.window.contains(&at_ns);
        if !in_window && !is_followed {
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
        if in_window {
            self.roll(at_ns);
            self.second.errors += 1;
        }
    }

    /// Submits every second that ended by `now_ns`.
    #[inline]
    pub(crate) fn roll(&mut self, now_ns: u64) {
        while now_ns >= self.second_end_ns && self.second_end_ns < self.window.end {
            self.submit_second();
        }
    }

    /// Submits the last second: the window ended at `now_ns`.
    pub(crate) fn end_window(&mut self, now_ns: u64) {
        self.end_ns = now_ns.min(self.window.end);
        self.roll(now_ns);
        if self.end_ns > self.second_end_ns.saturating_sub(SECOND_NS) {
            self.submit_second();
        }
        self.channel = None;
    }

    /// True if the load ended before the window.
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

/// Start of the window and the warm-up before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowStart {
    pub(crate) at: SystemTime,
    pub(crate) warm_up: Duration,
    /// True if the rate of replies was steady then; `None` if that is not known.
    pub(crate) is_steady: Option<bool>,
}

/// Merges the measurements of all threads.
pub(crate) fn merge(
    spec: &LoadSpec,
    engine: Engine,
    start: WindowStart,
    tallies: Vec<Tally>,
    seconds: Vec<Second>,
) -> LoadReport {
    let mut report = LoadReport {
        window_began_at: start.at,
        warm_up: start.warm_up,
        is_steady: start.is_steady,
        window: Duration::ZERO,
        requests: 0,
        heavy_requests: 0,
        body_bytes: 0,
        verified: 0,
        verified_bytes: 0,
        errors: ErrorCounts::default(),
        error_examples: Vec::new(),
        latency_requests: 0,
        unanswered: 0,
        replies_total: 0,
        abandoned_total: 0,
        shortest_wait_ns: ShortestWait::default(),
        slowest_ns: Vec::new(),
        service_ns: histogram(),
        response_ns: histogram(),
        send_delay_ns: histogram(),
        heavy_ns: histogram(),
        lateness_ns: histogram(),
        connect_ns: histogram(),
        seconds,
        connections_opened: 0,
        connections_served: 0,
        connections_starved: 0,
        little: None,
        little_slack: 0.0,
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
    let (mut unsubmitted_ns, mut longest_ns) = (0, 0);
    for tally in tallies {
        let window_ns = tally.end_ns.saturating_sub(tally.window.start);
        report.window = report.window.max(Duration::from_nanos(window_ns));
        report.requests += tally.requests;
        report.heavy_requests += tally.heavy_requests;
        report.body_bytes += tally.all_body_bytes();
        report.verified += tally.verified;
        report.verified_bytes += tally.verified_bytes;
        report.errors.add(&tally.errors);
        report.latency_requests += tally.latency_requests;
        report.unanswered += tally.unanswered;
        unsubmitted_ns += tally.unsubmitted_ns;
        longest_ns = longest_ns.max(tally.longest_crossing_ns);
        report.replies_total += tally.replies_total;
        report.abandoned_total += tally.abandoned_total;
        report.shortest_wait_ns = report.shortest_wait_ns.min(tally.shortest_wait_ns);
        report.slowest_ns.resize(tally.slowest_ns.len().max(report.slowest_ns.len()), 0);
        for (slowest_ns, other_ns) in report.slowest_ns.iter_mut().zip(&tally.slowest_ns) {
            *slowest_ns = (*slowest_ns).max(*other_ns);
        }
        add(&mut report.service_ns, &tally.service_ns);
        add(&mut report.response_ns, tally.response_ns.as_ref().unwrap_or(&tally.service_ns));
        if let Some(send_delay_ns) = &tally.send_delay_ns {
            add(&mut report.send_delay_ns, send_delay_ns);
        }
        if let Some(heavy_ns) = &tally.heavy_ns {
            add(&mut report.heavy_ns, heavy_ns);
        }
        add(&mut report.lateness_ns, &tally.lateness_ns);
        add(&mut report.connect_ns, &tally.connect_ns);
        report.connections_opened += tally.connections_opened;
        report.connections_served += tally.connections_served;
        report.connections_starved += tally.connections_starved;
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
    report.little = report.littles_law(spec, unsubmitted_ns);
    report.little_slack = report.slack_of_edges(spec, longest_ns);
    report
}

fn add(sum: &mut Histogram<u64>, part: &Histogram<u64>) {
    sum.add(part).expect("all histograms have the same bounds");
}
