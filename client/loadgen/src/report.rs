//! What a load measured.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::spec::Engine;

/// What a load measured within its window. All histograms hold nanoseconds and were merged from
/// one histogram per thread.
///
/// A request belongs to the window when it was intended (closed loop: sent) and completed within
/// it. What was sent before it or is answered after it counts nowhere; in an open loop
/// `arrivals − requests − errors` tells how many were still waiting when the window ended.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// When the measured window began (when the run was stopped before that: when it should have).
    pub window_began_at: SystemTime,
    /// The length of the measured window (shorter than asked for when interrupted).
    pub window: Duration,
    /// Requests answered correctly and completely within the window, heavy ones included.
    pub requests: u64,
    /// Requests answered correctly and completely within the window, whenever they were due. An open
    /// loop that offers more than the server can do answers requests of long ago, and soon none
    /// that was due in the window; this tells how much it can do.
    pub answered: u64,
    /// Body bytes of those requests, received or sent.
    pub body_bytes: u64,
    /// Requests whose body was compared byte for byte.
    pub verified: u64,
    /// Requests that failed within the window, by kind.
    pub errors: ErrorCounts,
    /// An example of each kind of error, in words.
    pub error_examples: Vec<String>,
    /// Sent → done: from the first byte of the request handed to the kernel to the last byte of
    /// the reply.
    pub service_ns: Histogram<u64>,
    /// Intended → done; equals `service_ns` for closed loops.
    pub response_ns: Histogram<u64>,
    /// Intended → sent; empty for closed loops.
    pub send_delay_ns: Histogram<u64>,
    /// Intended → done (closed loop: sent → done) of [heavy](crate::RequestClass::Heavy) requests,
    /// which none of the three above holds.
    pub heavy_ns: Histogram<u64>,
    /// Of each arrival, the part of its send delay that is the generator's own: from when it was
    /// due and a connection was free until it was taken up. Empty for closed loops.
    pub lateness_ns: Histogram<u64>,
    /// Connection set-up, from `connect` to writable, over the whole run.
    pub connect_ns: Histogram<u64>,
    /// One row per second of the window.
    pub seconds: Vec<Second>,
    /// Connections that were opened successfully, over the whole run.
    pub connections_opened: u64,
    /// Of the connections asked for (kept open, or each opened anew for every request), how many
    /// had at least one answer within the window; fewer than asked for means that some starved.
    pub connections_served: u64,
    /// Open loop: arrivals that fell due within the window; 0 for closed loops.
    pub arrivals: u64,
    /// The engine that ran.
    pub engine: Engine,
    /// Processor time of the generator's threads within the window, in all.
    pub cpu: CpuTime,
    /// The same of each thread.
    pub thread_cpu: Vec<CpuTime>,
    /// Of that, what each thread spent polling for arrivals and answers in vain.
    pub thread_polled: Vec<Duration>,
    /// Whether threads polled for arrivals for half of the time or more (an open loop of 125
    /// arrivals per second and thread, or more). Their processor time then does not tell whether
    /// the generator keeps up: `lateness_ns` does.
    pub busy_polling: bool,
    /// Whether it was interrupted before its time.
    pub interrupted: bool,
}

impl LoadReport {
    /// Processor time of the busiest thread, without what it polled in vain, as a part of the
    /// window: near 1 the generator, not the server, may be the limit. 0 for an empty window.
    pub fn busiest_thread_share(&self) -> f64 {
        let worked = self.thread_cpu.iter().zip(&self.thread_polled);
        let worked = worked.map(|(cpu, polled)| cpu.total().saturating_sub(*polled));
        let busiest = worked.max().unwrap_or_default();
        if self.window.is_zero() { 0.0 } else { busiest.as_secs_f64() / self.window.as_secs_f64() }
    }

    /// Processor time of all threads as a part of the window's, over as many cores as threads. 0
    /// for an empty window.
    pub fn cpu_share(&self) -> f64 {
        let available = self.window.as_secs_f64() * self.thread_cpu.len() as f64;
        if available > 0.0 { self.cpu.total().as_secs_f64() / available } else { 0.0 }
    }
}

/// Failed requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// A connection could not be opened.
    pub connect: u64,
    /// A connection broke before the reply was complete.
    pub reset: u64,
    /// No progress within the timeout.
    pub timeout: u64,
    /// The server answered, but with a refusal.
    pub status: u64,
    /// A body shorter or longer than the file.
    pub length: u64,
    /// A body of the right length with the wrong bytes.
    pub content: u64,
    /// A reply that could not be understood.
    pub protocol: u64,
}

impl ErrorCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.connect
            + self.reset
            + self.timeout
            + self.status
            + self.length
            + self.content
            + self.protocol
    }

    /// Adds those of another part of the load.
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
    /// Its number, from 0.
    pub second: u64,
    /// Requests completed in it.
    pub requests: u64,
    /// Body bytes of requests completed in it.
    pub body_bytes: u64,
    /// Requests failed in it.
    pub errors: u64,
    /// Median response time of the light requests completed in it; 0 where there were none.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// The longest of the same.
    pub max_ns: u64,
}

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

impl CpuTime {
    /// Both together: exact, while the kernel tells how it divides in ticks of 10 ms only.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}
