//! Row of `trials.csv`: the load, outcome and figures of a trial.

use jiff::Timestamp;
use loadgen::Direction;
use serde::{Deserialize, Serialize};

use super::{precise, rounded};
use crate::load::Load;
use crate::load::byte_size::ByteSize;
use crate::load::heavy::Heavy;
use crate::load::mix::Mix;
use crate::load::objective;
use crate::load::objective::Objective;
use crate::load::profile::{BackgroundConnections, LoadProfile};
use crate::load::store::{Durability, Store};
use crate::names;
use crate::record::evidence::{CORES_SHARE, Evidence, Limit, counts_agree, little_holds};
use crate::record::outcome::Outcome;
use crate::servers::target::TargetKind;
use crate::servers::variant::AGAIN;
use crate::trial::{CpuFault, Measurement, MemoryKind, ServerUsage, Trial};

/// Row of `trials.csv`. `results/SCHEMA.md` explains the columns; a value that was not measured is
/// empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct TrialRow {
    pub trial: u32,
    pub round: u32,
    pub started_at: Timestamp,
    pub target: String,
    pub target_kind: TargetKind,
    #[serde(default)]
    pub control_of: Option<String>,
    pub target_version: Option<String>,
    #[serde(with = "names::name")]
    pub direction: Direction,
    pub size_bytes: u64,
    pub connections: usize,
    #[serde(default = "yes")]
    pub keep_alive: bool,
    #[serde(default)]
    pub offered_per_s: Option<u32>,
    #[serde(default)]
    pub of_weakest_percent: Option<u32>,
    #[serde(default, with = "objective::spelled")]
    pub search: Option<Objective>,
    #[serde(default)]
    pub idle_connections: usize,
    #[serde(default)]
    pub slow_readers: usize,
    #[serde(default)]
    pub slow_senders: usize,
    #[serde(default)]
    pub heavy_cpu_percent: u8,
    #[serde(default)]
    pub heavy_block_percent: u8,
    #[serde(default)]
    pub mix: Option<Mix>,
    #[serde(default = "one")]
    pub server_cores: usize,
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub durability: Option<Durability>,
    #[serde(default, rename = "crowd_held")]
    pub background_held: Option<usize>,
    pub outcome: Outcome,
    pub outcome_reason: String,
    #[serde(default)]
    pub limit: Option<Limit>,
    #[serde(default)]
    pub warm_up_s: Option<f64>,
    #[serde(default)]
    pub warm_up_steady: Option<bool>,
    pub window_s: Option<f64>,
    #[serde(default)]
    pub arrivals: Option<u64>,
    pub requests: Option<u64>,
    #[serde(default)]
    pub heavy_requests: Option<u64>,
    #[serde(default)]
    pub latency_requests: Option<u64>,
    #[serde(default)]
    pub unanswered: Option<u64>,
    #[serde(default)]
    pub replies_total: Option<u64>,
    #[serde(default)]
    pub abandoned_total: Option<u64>,
    #[serde(default)]
    pub server_requests: Option<u64>,
    pub requests_per_s: Option<f64>,
    #[serde(default)]
    pub answered_per_s: Option<f64>,
    #[serde(default)]
    pub response_mean_us: Option<f64>,
    #[serde(default)]
    pub little: Option<f64>,
    #[serde(default)]
    pub little_slack: Option<f64>,
    pub body_bytes: Option<u64>,
    pub body_mb_per_s: Option<f64>,
    #[serde(default)]
    pub ceiling_share: Option<f64>,
    pub verified: Option<u64>,
    #[serde(default)]
    pub verified_bytes: Option<u64>,
    pub connections_opened: Option<u64>,
    pub connections_served: Option<u64>,
    #[serde(default)]
    pub connections_starved: Option<u64>,
    pub errors: Option<u64>,
    pub errors_connect: Option<u64>,
    pub errors_reset: Option<u64>,
    pub errors_timeout: Option<u64>,
    pub errors_status: Option<u64>,
    pub errors_length: Option<u64>,
    pub errors_content: Option<u64>,
    pub errors_protocol: Option<u64>,
    pub server_cpu_s: Option<f64>,
    pub server_cpu_user_s: Option<f64>,
    pub server_cpu_system_s: Option<f64>,
    pub server_cpu_us_per_request: Option<f64>,
    #[serde(default)]
    pub server_cpu_fault: Option<CpuFault>,
    #[serde(default)]
    pub server_cpu_share: Option<f64>,
    pub server_memory_bytes: Option<u64>,
    pub server_memory_kind: Option<MemoryKind>,
    pub server_peak_rss_bytes: Option<u64>,
    #[serde(default)]
    pub kernel_slab_bytes: Option<i64>,
    #[serde(default)]
    pub kernel_stack_bytes: Option<i64>,
    #[serde(default)]
    pub kernel_page_table_bytes: Option<i64>,
    #[serde(default)]
    pub kernel_socket_bytes: Option<i64>,
    pub server_processes: Option<u64>,
    pub server_threads: Option<u64>,
    pub server_voluntary_switches: Option<u64>,
    pub server_involuntary_switches: Option<u64>,
    #[serde(default)]
    pub server_send_path: Option<String>,
    #[serde(default)]
    pub generator_engine: Option<String>,
    pub generator_cpu_user_s: Option<f64>,
    pub generator_cpu_system_s: Option<f64>,
    pub generator_cpu_share: Option<f64>,
    #[serde(default)]
    pub generator_late_us: Option<f64>,
    #[serde(default)]
    pub steal_share: Option<f64>,
    #[serde(default)]
    pub clock_step_us: Option<f64>,
    #[serde(default)]
    pub server_run_delay_s: Option<f64>,
    #[serde(default)]
    pub server_delay_share: Option<f64>,
    #[serde(default)]
    pub generator_delay_share: Option<f64>,
    #[serde(default)]
    pub busy_share: Option<f64>,
    #[serde(default)]
    pub tcp_listen_overflows: Option<u64>,
    #[serde(default)]
    pub tcp_listen_drops: Option<u64>,
    #[serde(default)]
    pub tcp_retransmissions: Option<u64>,
    #[serde(default)]
    pub tcp_resets: Option<u64>,
}

impl TrialRow {
    pub(super) fn new(trial: &Trial, measured: &Measurement) -> Self {
        let evidence = Evidence::of(trial, measured);
        let (outcome, outcome_reason) = Outcome::of(trial, measured, &evidence);
        let profile = trial.load.profile;
        let load = measured.load.as_ref();
        let server = measured.server.as_ref();
        let per_s = |amount: u64| {
            let window_s = load?.window.as_secs_f64();
            (window_s > 0.0).then(|| rounded(amount as f64 / window_s))
        };
        let requests = load.map(|load| load.requests);
        let body_bytes = load.map(|load| load.body_bytes);
        let errors = load.map(|load| load.errors);
        let cpu = server.and_then(ServerUsage::valid_cpu);
        let cpu_s = cpu.map(|cpu| cpu.total.as_secs_f64());
        Self {
            trial: trial.number,
            round: trial.round,
            started_at: measured.started_at,
            target: trial.target.name().to_owned(),
            target_kind: trial.target.kind(),
            control_of: trial.target.control_of().map(str::to_owned),
            target_version: measured.version.clone(),
            direction: trial.load.direction,
            size_bytes: trial.load.size.bytes(),
            connections: trial.load.connections,
            keep_alive: profile.keep_alive,
            offered_per_s: profile.rate_per_s,
            of_weakest_percent: profile.of_weakest_percent,
            search: trial.search,
            idle_connections: profile.background.idle,
            slow_readers: profile.background.slow_readers,
            slow_senders: profile.background.slow_senders,
            heavy_cpu_percent: profile.heavy.cpu_percent,
            heavy_block_percent: profile.heavy.block_percent,
            mix: profile.mix,
            server_cores: profile.server_cores,
            store: profile.store,
            durability: Some(profile.store)
                .filter(|_| trial.load.direction == Direction::Upload)
                .and_then(|store| trial.target.durability(store)),
            background_held: measured.background_held,
            outcome,
            outcome_reason,
            limit: evidence.limit().filter(|_| outcome.is_measured()),
            warm_up_s: load.map(|load| precise(load.warm_up.as_secs_f64())),
            warm_up_steady: load.and_then(|load| load.is_steady),
            window_s: load.map(|load| precise(load.window.as_secs_f64())),
            arrivals: load.filter(|_| profile.rate_per_s.is_some()).map(|load| load.arrivals),
            requests,
            heavy_requests: load
                .filter(|_| profile.heavy.total_percent() > 0)
                .map(|load| load.heavy_requests),
            latency_requests: load.map(|load| load.latency_requests),
            unanswered: load.map(|load| load.unanswered),
            replies_total: load.map(|load| load.replies_total),
            abandoned_total: load.map(|load| load.abandoned_total),
            server_requests: measured.server_requests,
            requests_per_s: requests.and_then(per_s),
            answered_per_s: requests.and_then(per_s),
            response_mean_us: load
                .filter(|load| !load.response_ns.is_empty())
                .map(|load| rounded(load.response_ns.mean() / 1e3)),
            little: load.and_then(|load| load.little).map(precise),
            little_slack: load
                .filter(|load| load.little.is_some())
                .map(|load| precise(load.little_slack)),
            body_bytes,
            body_mb_per_s: body_bytes.and_then(per_s).map(|per_s| rounded(per_s / 1e6)),
            ceiling_share: evidence.ceiling_share.map(rounded),
            verified: load.map(|load| load.verified),
            verified_bytes: load.map(|load| load.verified_bytes),
            connections_opened: load.map(|load| load.connections_opened),
            connections_served: load.map(|load| load.connections_served),
            connections_starved: load.map(|load| load.connections_starved),
            errors: errors.map(|errors| errors.total()),
            errors_connect: errors.map(|errors| errors.connect),
            errors_reset: errors.map(|errors| errors.reset),
            errors_timeout: errors.map(|errors| errors.timeout),
            errors_status: errors.map(|errors| errors.status),
            errors_length: errors.map(|errors| errors.length),
            errors_content: errors.map(|errors| errors.content),
            errors_protocol: errors.map(|errors| errors.protocol),
            server_cpu_s: cpu_s.map(precise),
            server_cpu_user_s: cpu.map(|cpu| precise(cpu.user.as_secs_f64())),
            server_cpu_system_s: cpu.map(|cpu| precise(cpu.system.as_secs_f64())),
            server_cpu_us_per_request: requests
                .filter(|requests| *requests > 0)
                .and_then(|requests| Some(rounded(cpu_s? * 1e6 / requests as f64))),
            server_cpu_fault: server.and_then(|server| server.cpu.err()),
            server_cpu_share: evidence.server_cpu_share.map(rounded),
            server_memory_bytes: server.map(|server| server.memory_bytes),
            server_memory_kind: server.map(|server| server.memory_kind),
            server_peak_rss_bytes: server.and_then(|server| server.peak_rss_bytes),
            kernel_slab_bytes: measured.kernel_memory.map(|memory| memory.slab_bytes),
            kernel_stack_bytes: measured.kernel_memory.map(|memory| memory.stack_bytes),
            kernel_page_table_bytes: measured.kernel_memory.map(|memory| memory.page_table_bytes),
            kernel_socket_bytes: measured.kernel_memory.and_then(|memory| memory.socket_bytes),
            server_processes: server.map(|server| server.processes),
            server_threads: server.map(|server| server.threads),
            server_voluntary_switches: server.map(|server| server.voluntary_switches),
            server_involuntary_switches: server.map(|server| server.involuntary_switches),
            server_send_path: measured.send_path.map(|path| path.name().to_owned()),
            generator_engine: load.map(|load| load.engine.name().to_owned()),
            generator_cpu_user_s: load.map(|load| precise(load.cpu.user.as_secs_f64())),
            generator_cpu_system_s: load.map(|load| precise(load.cpu.system.as_secs_f64())),
            generator_cpu_share: evidence.generator_cpu_share.map(rounded),
            generator_late_us: evidence.generator_late_us.map(rounded),
            steal_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.steal_share)
                .map(rounded),
            clock_step_us: measured
                .disturbance
                .map(|disturbance| rounded(disturbance.clock_step.as_secs_f64() * 1e6)),
            server_run_delay_s: server
                .and_then(|server| server.run_delay)
                .map(|delay| precise(delay.as_secs_f64())),
            server_delay_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.server_delay_share)
                .map(rounded),
            generator_delay_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.generator_delay_share)
                .map(rounded),
            busy_share: evidence.busy_share.map(rounded),
            tcp_listen_overflows: measured.tcp.map(|tcp| tcp.listen_overflows),
            tcp_listen_drops: measured.tcp.map(|tcp| tcp.listen_drops),
            tcp_retransmissions: measured.tcp.map(|tcp| tcp.retransmissions),
            tcp_resets: measured.tcp.map(|tcp| tcp.resets),
        }
    }

    /// Fills in the columns that earlier versions of the format lack but imply.
    pub(super) fn complete(&mut self) {
        // Up to version 3 the name alone showed whose A/A control it is.
        if self.target_kind == TargetKind::AaControl && self.control_of.is_none() {
            self.control_of = self.target.strip_suffix(AGAIN).map(str::to_owned);
        }
        // Up to version 5 the processor time was recorded also where it exceeds that of the cores.
        if self.server_cpu_share.is_some_and(|share| share > CORES_SHARE) {
            self.server_cpu_fault = Some(CpuFault::MoreThanCores);
            self.server_cpu_s = None;
            self.server_cpu_user_s = None;
            self.server_cpu_system_s = None;
            self.server_cpu_us_per_request = None;
            self.server_cpu_share = None;
        }
    }

    /// Load of the trial.
    pub fn load(&self) -> Load {
        Load {
            direction: self.direction,
            size: ByteSize::new(self.size_bytes),
            connections: self.connections,
            profile: LoadProfile {
                keep_alive: self.keep_alive,
                rate_per_s: self.offered_per_s,
                of_weakest_percent: self.of_weakest_percent,
                background: BackgroundConnections {
                    idle: self.idle_connections,
                    slow_readers: self.slow_readers,
                    slow_senders: self.slow_senders,
                },
                heavy: Heavy {
                    cpu_percent: self.heavy_cpu_percent,
                    block_percent: self.heavy_block_percent,
                },
                mix: self.mix,
                store: self.store,
                server_cores: self.server_cores,
            },
        }
    }

    /// Returns true if the counts of server and generator agree and Little's law holds; `None` if neither
    /// is known.
    pub fn is_self_consistent(&self) -> Option<bool> {
        let counts = || {
            Some(counts_agree(self.server_requests?, self.replies_total?, self.abandoned_total?))
        };
        let little = || Some(little_holds(self.little?, self.little_slack?));
        match (counts(), little()) {
            (None, None) => None,
            (counts, little) => Some(counts.unwrap_or(true) && little.unwrap_or(true)),
        }
    }

    /// Growth of the kernel's memory while the background connections were opened: objects, stacks and
    /// page tables.
    pub fn kernel_memory_bytes(&self) -> Option<i64> {
        Some(self.kernel_slab_bytes? + self.kernel_stack_bytes? + self.kernel_page_table_bytes?)
    }

    /// Processor time of the load generator per request in microseconds.
    pub fn generator_cpu_us_per_request(&self) -> Option<f64> {
        let cpu_s = self.generator_cpu_user_s? + self.generator_cpu_system_s?;
        let requests = self.requests.filter(|requests| *requests > 0)?;
        Some(cpu_s * 1e6 / requests as f64)
    }

    /// Context switches of both kinds, per request.
    pub fn switches_per_request(&self) -> Option<f64> {
        let switches = self.server_voluntary_switches? + self.server_involuntary_switches?;
        let requests = self.requests.filter(|requests| *requests > 0)?;
        Some(switches as f64 / requests as f64)
    }
}

/// Default of runs in which every server had one core.
fn one() -> usize {
    1
}

/// Default of runs from before `keep_alive` was recorded.
fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_processor_time_than_the_cores_have_is_void_in_old_records() {
        let mut row = crate::mock::records().trials.remove(0);
        row.server_cpu_share = Some(CORES_SHARE);
        let before = row.clone();
        row.complete();
        assert_eq!(row, before);
        row.server_cpu_share = Some(1.8);
        row.complete();
        assert_eq!(row.server_cpu_fault, Some(CpuFault::MoreThanCores));
        assert_eq!((row.server_cpu_s, row.server_cpu_us_per_request), (None, None));
        assert_eq!((row.server_cpu_share, row.requests), (None, before.requests));
    }
}
