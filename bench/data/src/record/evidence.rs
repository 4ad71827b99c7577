//! Bottleneck of a trial, and the evidence for it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::load::store::Store;
use crate::trial::{Measurement, ServerUsage, Trial};

/// Minimum share of a core at which a generator thread counts as the bottleneck.
pub const GENERATOR_BOUND_SHARE: f64 = 0.95;

/// Minimum share of its cores at which the server counts as the bottleneck. Servers that always have
/// work were observed to use more than 0.93 of a core, the rest going to the kernel and the harness;
/// servers that sometimes wait use any share below.
pub const SERVER_BOUND_SHARE: f64 = 0.9;

/// Maximum processor time of a server as a share of its cores' time: the clocks of its processes are
/// not read simultaneously.
pub const CORES_SHARE: f64 = 1.03;

/// Minimum share of the copy bandwidth of a core at which copying counts as the bottleneck: a core
/// that only copied could receive at most a quarter more.
pub const MEMORY_BOUND_SHARE: f64 = 0.8;

/// Minimum number of replies for a rate. Its edges fall within requests, so the count may be off by
/// one, which is a tenth of this number.
pub const LEAST_REQUESTS: u64 = 10;

/// Minimum achieved share of the offered rate. The missing share equals the smallest difference
/// that is reported.
pub const ACHIEVED_SHARE: f64 = 0.95;

/// Maximum 99th percentile of the lateness of the generator, unless [`LATE_SHARE`] allows more.
pub const LATE: Duration = Duration::from_millis(1);

/// Maximum share of the generator's lateness in the 99th percentile of the response times. Above it
/// they describe the generator rather than the server.
pub const LATE_SHARE: f64 = 0.5;

/// Maximum share of steal time: as much as the smallest difference that is reported.
pub const STEAL_SHARE: f64 = 0.05;

/// Minimum [busy share](Evidence::busy_share) of a closed loop: below it, both sides were idle for
/// most of the time although requests were outstanding. In the committed runs, 4 of 1,524 valid
/// closed loops are below it, all of them stalled; trials without a stall are above 0.78.
pub const BUSY_SHARE: f64 = 0.5;

/// Maximum difference between the clocks. A disciplined clock drifts by at most 0.5 ms per second
/// (`adjtimex(2)`); a larger step is a clock that was set or a machine that was suspended.
pub const CLOCK_STEP: Duration = Duration::from_millis(20);

/// Maximum deviation of [`LoadReport::little`](loadgen::LoadReport::little) from 1 beyond what the
/// edges of the window explain.
pub const LITTLE_SHARE: f64 = 0.03;

/// Bottleneck of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Processor time of the server.
    Server,
    /// Processor time of the load generator.
    Generator,
    /// Copying of bodies, the only cost of the loopback link.
    Memory,
    /// Neither: all sides waited, such as for the next request of an open loop.
    None,
}

/// Evidence for the validity and the bottleneck of a trial; `None` is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// Processor time of the server as a share of its cores over the window.
    pub server_cpu_share: Option<f64>,
    /// Processor time of the generator's busiest thread as a share of a core.
    pub generator_cpu_share: Option<f64>,
    /// Body bytes per second as a share of the copy bandwidth of a core.
    pub ceiling_share: Option<f64>,
    /// Replies and failures within the window as a share of its arrivals; `None` for closed loops.
    pub achieved_share: Option<f64>,
    /// 99th percentile of the generator's own lateness in microseconds; `None` for closed loops.
    pub generator_late_us: Option<f64>,
    /// 99th percentile of the response times, in microseconds.
    pub response_p99_us: Option<f64>,
    /// Processor time of the server and of the generator, and the time for which their threads were
    /// ready to run and waited for a core, as a share of the window. At least one side of a closed
    /// loop works at any moment, so that the share is about 1 or more; both were idle for at least
    /// the rest. `None` for other loads: open loops, requests that block in the server, and uploads to a
    /// disk, for which both sides wait.
    pub busy_share: Option<f64>,
    /// True if the generator polls for arrivals, so that its processor time is no evidence.
    pub polls: bool,
}

impl Evidence {
    /// Evidence of a measurement.
    pub fn of(trial: &Trial, measured: &Measurement) -> Self {
        let Some(load) = &measured.load else { return Self::default() };
        let window_s = Some(load.window.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let per_s = |amount: f64| window_s.map(|seconds| amount / seconds);
        let is_open = trial.load.profile.rate_per_s.is_some();
        let done = load.requests + load.errors.total();
        let cores = Some(measured.server_cores).filter(|cores| *cores > 0);
        let cpu = measured.server.as_ref().and_then(ServerUsage::valid_cpu);
        let cpu = cpu.map(|cpu| cpu.total.as_secs_f64());
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
            busy_share: busy(trial, measured).and_then(|busy| per_s(busy.as_secs_f64())),
            polls: load.busy_polling,
        }
    }

    /// Bottleneck; `None` if unknown.
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

    /// Returns true if the generator is the bottleneck. A thread that polls for arrivals is always
    /// busy: it is the bottleneck only if the rate is not achieved and the server is not busy.
    pub fn generator_is_the_limit(&self) -> bool {
        let is_busy = self.generator_cpu_share.is_some_and(|share| share >= GENERATOR_BOUND_SHARE);
        let holds_the_rate = self.achieved_share.is_none_or(|share| share >= ACHIEVED_SHARE);
        let server_is_busy = self.server_cpu_share.is_some_and(|share| share >= SERVER_BOUND_SHARE);
        is_busy && (!self.polls || !holds_the_rate && !server_is_busy)
    }
}

/// Returns true if the server's count of answered requests agrees with the generator's: it includes
/// every reply that the generator received, and may include those that it did not wait for.
pub fn counts_agree(server_requests: u64, replies: u64, abandoned: u64) -> bool {
    (replies..=replies + abandoned).contains(&server_requests)
}

/// Returns true if the requests in progress by Little's law are as many as the connections, within the
/// deviation that the edges of the window explain.
pub fn little_holds(little: f64, slack: f64) -> bool {
    (little - 1.0).abs() <= LITTLE_SHARE + slack
}

/// Time for which one of the sides was busy or waited for a core, if the load keeps one of them busy;
/// time for which both were is counted twice.
fn busy(trial: &Trial, measured: &Measurement) -> Option<Duration> {
    let profile = trial.load.profile;
    let waits = profile.heavy.block_percent > 0 || profile.store == Store::Disk;
    if profile.rate_per_s.is_some() || waits {
        return None;
    }
    let (load, server) = (measured.load.as_ref()?, measured.server.as_ref()?);
    let polled: Duration = load.thread_polled.iter().sum();
    let generator = load.cpu.total().saturating_sub(polled) + load.run_delay?;
    Some(generator + server.valid_cpu()?.total + server.run_delay?)
}

impl Limit {
    /// Name in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Generator => "generator",
            Self::Memory => "memory",
            Self::None => "none",
        }
    }
}
