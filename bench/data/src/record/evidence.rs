//! What kept a trial from being faster, and the evidence for it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::trial::Measurement;
use crate::trial::Trial;

/// The share of a core from which on a generator thread counts as the bottleneck.
pub const GENERATOR_BOUND_SHARE: f64 = 0.95;

/// The share of its cores from which on the server counts as the bottleneck. Servers that have work
/// all the time were seen to use more than 0.93 of a core, beside the kernel's and the harness's own
/// doings; those that wait now and then, any share below.
pub const SERVER_BOUND_SHARE: f64 = 0.9;

/// The share of what one core can copy from which on copying counts as the bottleneck: a core that did
/// nothing but copy could receive a quarter more at most.
pub const MEMORY_BOUND_SHARE: f64 = 0.8;

/// Fewer answers than this tell no rate: a window that ends amid a request counts one too few,
/// which is a tenth of them and more.
pub const LEAST_REQUESTS: u64 = 10;

/// The share of the requests that fell due that must be answered, or the offered rate was not
/// held: what is missing is as much as the least difference that is claimed.
pub const ACHIEVED_SHARE: f64 = 0.95;

/// A generator that takes one arrival in a hundred up later than this was not there in time...
pub const LATE: Duration = Duration::from_millis(1);

/// ...if this share of the 99th percentile of the response times is its own doing then: they tell more
/// of it than of the server.
pub const LATE_SHARE: f64 = 0.5;

/// The share of the time of the cores that may be taken away by the host: as much as the least
/// difference that is claimed.
pub const STEAL_SHARE: f64 = 0.05;

/// The two clocks may differ by this: a clock that is kept right goes wrong by 0.5 ms per second at
/// most (`adjtimex(2)`), so more than this is a clock that was set or a machine that slept.
pub const CLOCK_STEP: Duration = Duration::from_millis(20);

/// What kept a trial from being faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The server had no processor time left.
    Server,
    /// The generator had none left.
    Generator,
    /// Copying bodies, which over loopback is all that the link does.
    Memory,
    /// None of them: waiting, such as for the next request of few connections, or of an open loop.
    None,
}

/// What a judgement of a trial rests on. What was not measured is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// The server's processor time by the window, over as many cores as it was given.
    pub server_cpu_share: Option<f64>,
    /// Processor time of the generator's busiest thread by its window: 1 is a core used up.
    pub generator_cpu_share: Option<f64>,
    /// Body bytes per second by what a core can copy.
    pub ceiling_share: Option<f64>,
    /// Of the requests that fell due, the share that was answered or failed; `None` for closed loops.
    pub achieved_share: Option<f64>,
    /// By how many microseconds the generator was late through its own doing, the 99th percentile;
    /// `None` for closed loops.
    pub generator_late_us: Option<f64>,
    /// 99th percentile of the response times, in microseconds.
    pub response_p99_us: Option<f64>,
    /// Whether the generator's processor time tells nothing because it polls for arrivals.
    pub polls: bool,
}

impl Evidence {
    /// What a measurement tells.
    pub fn of(trial: &Trial, measured: &Measurement) -> Self {
        let Some(load) = &measured.load else { return Self::default() };
        let window_s = Some(load.window.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let per_s = |amount: f64| window_s.map(|seconds| amount / seconds);
        let is_open = trial.load.profile.rate_per_s.is_some();
        let done = load.requests + load.errors.total();
        let cores = Some(measured.server_cores).filter(|cores| *cores > 0);
        let cpu = measured.server.as_ref().map(|server| server.cpu.as_secs_f64());
        let ceiling = measured.copy_bandwidth_bytes_per_s.filter(|ceiling| *ceiling > 0);
        let late = &load.lateness_ns;
        let p99_us = |times: &hdrhistogram::Histogram<u64>| {
            (!times.is_empty()).then(|| times.value_at_quantile(0.99) as f64 / 1e3)
        };
        Self {
            server_cpu_share: cpu.zip(cores).and_then(|(cpu, cores)| per_s(cpu / cores as f64)),
            generator_cpu_share: window_s.map(|_| load.busiest_thread_share()),
            ceiling_share: ceiling
                .and_then(|ceiling| per_s(load.body_bytes as f64 / ceiling as f64)),
            achieved_share: (is_open && load.arrivals > 0)
                .then(|| done as f64 / load.arrivals as f64),
            generator_late_us: p99_us(late),
            response_p99_us: p99_us(&load.response_ns),
            polls: load.busy_polling,
        }
    }

    /// What kept the trial from being faster; `None` where that cannot be told.
    pub fn limit(&self) -> Option<Limit> {
        if self.ceiling_share.is_some_and(|share| share >= MEMORY_BOUND_SHARE) {
            return Some(Limit::Memory);
        }
        if self.generator_is_the_limit() {
            return Some(Limit::Generator);
        }
        let share = self.server_cpu_share?;
        Some(if share >= SERVER_BOUND_SHARE { Limit::Server } else { Limit::None })
    }

    /// Whether the generator had no processor time left. A thread that polls for arrivals is always
    /// busy: it is the limit only where the rate is not held and the server is not to blame.
    pub fn generator_is_the_limit(&self) -> bool {
        let is_busy = self.generator_cpu_share.is_some_and(|share| share >= GENERATOR_BOUND_SHARE);
        let holds_the_rate = self.achieved_share.is_none_or(|share| share >= ACHIEVED_SHARE);
        let server_is_busy = self.server_cpu_share.is_some_and(|share| share >= SERVER_BOUND_SHARE);
        is_busy && (!self.polls || !holds_the_rate && !server_is_busy)
    }
}

impl Limit {
    /// The one spelling used in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Generator => "generator",
            Self::Memory => "memory",
            Self::None => "none",
        }
    }
}
