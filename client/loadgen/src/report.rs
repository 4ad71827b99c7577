//! Results of a load.

pub(crate) mod percentile;

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::spec::{Arrival, ConnectionUse, Engine, LoadSpec, ThinkTime};

/// Results of a load. All histograms hold nanoseconds and are merged from one histogram per thread.
///
/// Rates count what happens within the measured window: replies, body bytes and errors, whenever
/// their requests were sent. Response, service and send-delay times are those of the requests *of
/// the window*: due (closed loop: sent) within it, and followed to their replies. The load continues
/// meanwhile, for at most [`LoadSpec::drain`]. A closed loop adds the requests that waited for the
/// whole window. A request without a reply at the end enters with its age; see
/// [`percentile`](Self::percentile).
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Start of the measured window; its planned start if the run was stopped earlier.
    pub window_began_at: SystemTime,
    /// Length of the warm-up before it.
    pub warm_up: Duration,
    /// False if the number of replies per eighth of the planned warm-up still rose or fell when the window
    /// began: by more than 5 % over seven eighths, and significantly (t test of the slope at the
    /// level of 5 %). `None` if there were fewer than ten replies per eighth, or if the warm-up was shorter than
    /// 80 ms.
    pub is_steady: Option<bool>,
    /// Length of the measured window; shorter than specified if interrupted.
    pub window: Duration,
    /// Correct and complete replies within the window, heavy ones included, whenever their requests
    /// were due.
    pub requests: u64,
    /// Replies to [heavy](crate::RequestClass::Heavy) requests among them.
    pub heavy_requests: u64,
    /// Body bytes transferred within the window. Bytes of replies count when they arrive, also
    /// those of replies that end after the window. The bytes of an upload are spread evenly over the
    /// time from its sending to its reply, since bytes handed to the kernel are not acknowledged;
    /// uploads without a reply count nothing.
    pub body_bytes: u64,
    /// Replies among `requests` whose body was compared, in part or as a whole.
    pub verified: u64,
    /// Body bytes of replies within the window that were compared.
    pub verified_bytes: u64,
    /// Failures within the window, by kind, and failures of its requests after it. A request of the
    /// window that times out after it is `unanswered` and no error.
    pub errors: ErrorCounts,
    /// A description of one error of each kind.
    pub error_examples: Vec<String>,
    /// Requests of the window with a correct and complete reply, heavy ones included.
    pub latency_requests: u64,
    /// Requests of the window without a reply at the end or within the timeout. The distributions
    /// contain them with their age.
    pub unanswered: u64,
    /// Complete replies over the whole load, from the warm-up to the end of the drain, whatever their
    /// status and content.
    pub replies_total: u64,
    /// Requests over the whole load without a complete reply: those that failed and those that were
    /// in progress at its end. The server may have answered them.
    pub abandoned_total: u64,
    /// Shortest times of the unanswered requests.
    pub shortest_wait_ns: ShortestWait,
    /// Longest response time of the requests that were due (sent) in each second of the window,
    /// without heavy ones; 0 if there were none. After 4,096 seconds, seconds share entries.
    pub slowest_ns: Vec<u64>,
    /// Service time (sent → done): from handing the first byte of the request to the kernel to the
    /// last byte of the reply.
    pub service_ns: Histogram<u64>,
    /// Response time (intended → done). In closed loops it begins with the sending and equals
    /// `service_ns`; with a connection per request it begins before `connect`.
    pub response_ns: Histogram<u64>,
    /// Send delay (intended → sent); empty in closed loops.
    pub send_delay_ns: Histogram<u64>,
    /// Response time of [heavy](crate::RequestClass::Heavy) requests,
    /// which the three histograms above exclude.
    pub heavy_ns: Histogram<u64>,
    /// The generator's own part of each send delay: from the moment when an arrival was due and a
    /// connection was free until it was sent. Empty in closed loops.
    pub lateness_ns: Histogram<u64>,
    /// Connection set-up time, from `connect` to writable, over the whole run.
    pub connect_ns: Histogram<u64>,
    /// One row per second of the window.
    pub seconds: Vec<Second>,
    /// Connections opened successfully, over the whole run.
    pub connections_opened: u64,
    /// Connections with at least one correct reply within the window, of those specified (kept open, or
    /// reopened for each request).
    pub connections_served: u64,
    /// Connections that had no reply within the window, not even a wrong one, although a request
    /// waited on them or they were not connected at its end (closed loops). Their waiting times are
    /// in the distributions.
    pub connections_starved: u64,
    /// Requests in progress by Little's law, completion rate × mean time from one request to the next,
    /// as a share of the connections: near 1 if the report is consistent and nothing failed. The time
    /// consists of the response time, the pause, and the time for which the generator held a request
    /// back to hand it to the kernel with others. `None` in open loops, without requests, and if
    /// requests are unanswered, connections starved, or kept connections were opened again. See
    /// [`little_slack`](Self::little_slack).
    pub little: Option<f64>,
    /// Deviation of [`little`](Self::little) from 1 that the edges of the window explain. The rate counts
    /// what ends within the window and the mean what begins within it: on each connection they
    /// differ by one request, and by the part of one response time that lies outside.
    pub little_slack: f64,
    /// Arrivals due within the window; 0 in closed loops.
    pub arrivals: u64,
    /// Engine used.
    pub engine: Engine,
    /// Processor time of all generator threads within the window.
    pub cpu: CpuTime,
    /// Processor time of each thread.
    pub thread_cpu: Vec<CpuTime>,
    /// Part of the processor time that each thread spent on polls without an event.
    pub thread_polled: Vec<Duration>,
    /// Time that the thread delayed longest was ready to run and waited for its core within the
    /// window, because other programs ran there; `None` if the kernel does not record it.
    pub run_delay: Option<Duration>,
    /// True if threads polled for arrivals for half of the time or more (an open loop of at least
    /// 125 arrivals per second and thread). Processor time then does not show whether the generator
    /// keeps up; `lateness_ns` does.
    pub busy_polling: bool,
    /// True if the run was interrupted before its end.
    pub interrupted: bool,
}

impl LoadReport {
    /// Processor time of the busiest thread, excluding polls without an event, as a fraction of the
    /// window. Near 1, the generator may be the bottleneck. 0 for an empty window.
    pub fn busiest_thread_share(&self) -> f64 {
        let worked = self.thread_cpu.iter().zip(&self.thread_polled);
        let worked = worked.map(|(cpu, polled)| cpu.total().saturating_sub(*polled));
        let busiest = worked.max().unwrap_or_default();
        if self.window.is_zero() { 0.0 } else { busiest.as_secs_f64() / self.window.as_secs_f64() }
    }

    /// [`run_delay`](Self::run_delay) as a fraction of the window. `None` if unknown, or for an empty
    /// window.
    pub fn run_delay_share(&self) -> Option<f64> {
        let delay = self.run_delay.filter(|_| !self.window.is_zero())?;
        Some(delay.as_secs_f64() / self.window.as_secs_f64())
    }

    /// See [`little`](Self::little).
    pub(crate) fn littles_law(&self, spec: &LoadSpec, unsubmitted_ns: u64) -> Option<f64> {
        let Arrival::Closed { think } = spec.arrival else { return None };
        let pause = match think {
            ThinkTime::None => Duration::ZERO,
            ThinkTime::Constant(pause) | ThinkTime::Exponential(pause) => pause,
        };
        let total = |times: &Histogram<u64>| times.mean() * times.len() as f64;
        let samples = self.response_ns.len() + self.heavy_ns.len();
        // The time to open a connection again belongs to no request.
        let is_kept = spec.connection_use == ConnectionUse::PerRequest
            || self.connections_opened <= spec.connections as u64;
        let is_complete = self.unanswered == 0 && self.connections_starved == 0 && is_kept;
        if samples == 0 || self.window.is_zero() || !is_complete {
            return None;
        }
        let total_ns = total(&self.response_ns) + total(&self.heavy_ns) + unsubmitted_ns as f64;
        let mean_ns = total_ns / samples as f64;
        let rate_per_s = self.requests as f64 / self.window.as_secs_f64();
        Some(rate_per_s * (mean_ns / 1e9 + pause.as_secs_f64()) / spec.connections as f64)
    }

    /// See [`little_slack`](Self::little_slack); `longest_ns` is the longest response time that began
    /// before the window.
    pub(crate) fn slack_of_edges(&self, spec: &LoadSpec, longest_ns: u64) -> f64 {
        let longest_ns = longest_ns.max(self.response_ns.max()).max(self.heavy_ns.max());
        let requests = self.requests.max(1) as f64;
        spec.connections as f64 / requests
            + longest_ns as f64 / self.window.as_nanos().max(1) as f64
    }

    /// Probability that one wrong byte in a body was detected: the share of bytes that were
    /// compared. `None` without downloads.
    pub fn detection_probability(&self) -> Option<f64> {
        (self.body_bytes > 0).then(|| self.verified_bytes as f64 / self.body_bytes as f64)
    }

    /// Processor time of all threads as a fraction of the window times the number of threads. 0 for
    /// an empty window.
    pub fn cpu_share(&self) -> f64 {
        let available = self.window.as_secs_f64() * self.thread_cpu.len() as f64;
        if available > 0.0 { self.cpu.total().as_secs_f64() / available } else { 0.0 }
    }
}

/// Shortest times of requests without a reply; the maximum value if there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortestWait {
    /// Time since the start of the response time.
    pub response_ns: u64,
    /// Time since the sending, of the requests that were sent.
    pub service_ns: u64,
}

impl Default for ShortestWait {
    fn default() -> Self {
        Self { response_ns: u64::MAX, service_ns: u64::MAX }
    }
}

impl ShortestWait {
    /// The shorter of both times.
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            response_ns: self.response_ns.min(other.response_ns),
            service_ns: self.service_ns.min(other.service_ns),
        }
    }
}

/// Failed requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// A connection could not be opened.
    pub connect: u64,
    /// A connection ended before the reply was complete.
    pub reset: u64,
    /// A request made no progress within the timeout.
    pub timeout: u64,
    /// The server refused the request.
    pub status: u64,
    /// A body was shorter or longer than the file.
    pub length: u64,
    /// A body had the right length and wrong bytes.
    pub content: u64,
    /// A reply was malformed.
    pub protocol: u64,
}

impl ErrorCounts {
    /// Sum over all kinds.
    pub fn total(&self) -> u64 {
        self.connect
            + self.reset
            + self.timeout
            + self.status
            + self.length
            + self.content
            + self.protocol
    }

    /// Adds the counts of another part of the load.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connect += other.connect;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.status += other.status;
        self.length += other.length;
        self.content += other.content;
        self.protocol += other.protocol;
    }
}

/// One second of the measured window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Second {
    /// Number of the second, from 0.
    pub second: u64,
    /// Replies.
    pub requests: u64,
    /// Body bytes that arrived, or of the uploads that were answered.
    pub body_bytes: u64,
    /// Failed requests.
    pub errors: u64,
    /// Median response time of the completed light requests; 0 if there are none.
    pub p50_ns: u64,
    /// 99th percentile of the response times.
    pub p99_ns: u64,
    /// Longest response time.
    pub max_ns: u64,
    /// Number of response times in each bin that has any, in order. Bin n has the times from 10^(n / 8) ns up to
    /// 10^((n + 1) / 8) ns; the limits are exact to 1 %.
    pub bins: Vec<(u8, u64)>,
}

/// Bins of response times per factor of ten: see [`Second::bins`].
pub const BINS_PER_DECADE: u8 = 8;

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// User mode.
    pub user: Duration,
    /// Kernel mode.
    pub system: Duration,
}

impl CpuTime {
    /// Sum of both. It is exact; the kernel divides it in ticks of 10 ms.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}
