//! A trial and its measurement: the values that pass between schedule, execution and record.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fileserver::SendPath;
use jiff::Timestamp;
use loadgen::LoadReport;
use serde::{Deserialize, Serialize};

use crate::load::Load;
use crate::load::objective::Objective;
use crate::servers::target::Target;

/// Trial: one server process, one load, one measured window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Number within the run, from 1.
    pub number: u32,
    /// Round, from 1.
    pub round: u32,
    /// Server.
    pub target: Target,
    /// Load.
    pub load: Load,
    /// Objective of the capacity search that the trial belongs to.
    pub search: Option<Objective>,
}

/// Executes trials: with processes, or with generated results in tests.
pub trait Executor {
    /// Executes one trial. Soon after `stop` is set it returns the results so far.
    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement;

    /// Measures the wake-up delay of the machine on the server's cores, while no server runs; `None` if
    /// it cannot.
    fn wake_up_delay(&mut self) -> Option<WakeUpDelay>;
}

/// Time from the expiry of a timer until the thread that waits for it runs, on idle cores. No server
/// that waits for its next request replies sooner after its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeUpDelay {
    /// Number of timers.
    pub samples: u64,
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// 99.9th percentile.
    pub p999: Duration,
    /// Maximum.
    pub max: Duration,
}

/// Result of a trial.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Start of the trial.
    pub started_at: Timestamp,
    /// Version of the server, if known.
    pub version: Option<String>,
    /// Report of the load generator; `None` if the load did not run.
    pub load: Option<LoadReport>,
    /// Resource usage of the server within the window; `None` if its process is not known.
    pub server: Option<ServerUsage>,
    /// Background connections that were open at the end of the window; `None` if the load has none.
    pub background_held: Option<usize>,
    /// Growth of the kernel's memory while the background connections were opened; `None` if the load has
    /// none, or the kernel does not report it.
    pub kernel_memory: Option<KernelMemory>,
    /// Path by which the server sent most file bytes, if it reports that.
    pub send_path: Option<SendPath>,
    /// Requests that the server itself counted as answered to this load, from its start to its end;
    /// `None` if it does not report them, or had others.
    pub server_requests: Option<u64>,
    /// The kernel's counts of TCP's difficulties within the window; `None` if not observed.
    pub tcp: Option<TcpCounts>,
    /// Number of cores reserved for the server; 0 if it shares them with the generator.
    pub server_cores: usize,
    /// Copy bandwidth of the receiving side in bytes per second, if measured.
    pub copy_bandwidth_bytes_per_s: Option<u64>,
    /// Disturbance by the machine; `None` if not observed.
    pub disturbance: Option<Disturbance>,
    /// Ending.
    pub ending: Ending,
}

impl Measurement {
    /// Measurement of a trial that did not run.
    pub fn none(started_at: Timestamp, version: Option<String>, ending: Ending) -> Self {
        Self {
            started_at,
            version,
            load: None,
            server: None,
            background_held: None,
            kernel_memory: None,
            send_path: None,
            server_requests: None,
            tcp: None,
            server_cores: 0,
            copy_bandwidth_bytes_per_s: None,
            disturbance: None,
            ending,
        }
    }
}

/// Ending of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Completed.
    Completed,
    /// Not run: the server or the load could not be started, with the reason.
    NotStarted(String),
    /// The server exited early, with its exit status and last output.
    Died(String),
    /// Not run: the server lacks a function that the load needs, with its name.
    Unsupported(String),
}

/// Resource usage of a server within a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUsage {
    /// Processor time, or the reason why its measurement is void.
    pub cpu: Result<ServerCpu, CpuFault>,
    /// Memory: of one process the maximum from the start of the window on, of several the sum after the load.
    pub memory_bytes: u64,
    /// Method of counting memory.
    pub memory_kind: MemoryKind,
    /// Maximum resident memory since the start, for a single process.
    pub peak_rss_bytes: Option<u64>,
    /// Maximum number of processes.
    pub processes: u64,
    /// Maximum number of threads.
    pub threads: u64,
    /// Voluntary context switches (the thread blocked) of threads that lived to the end of the load, scaled
    /// to the window.
    pub voluntary_switches: u64,
    /// Involuntary context switches (the thread was preempted), of the same threads.
    pub involuntary_switches: u64,
    /// Sum over the same threads of the time in which each was ready to run and waited for a core;
    /// `None` if the kernel does not record it.
    pub run_delay: Option<Duration>,
    /// Processor time of other programs on the server's cores; `None` if it is not pinned.
    pub foreign_cpu: Option<Duration>,
}

impl ServerUsage {
    /// Processor time, if valid.
    pub fn valid_cpu(&self) -> Option<ServerCpu> {
        self.cpu.ok()
    }

    /// Part of the run delay that other programs caused. Threads of the server wait for each other as
    /// well; other programs delay them by at most the processor time that they used.
    pub fn foreign_delay(&self) -> Option<Duration> {
        Some(self.run_delay?.min(self.foreign_cpu?))
    }
}

/// Processor time of a server within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCpu {
    /// All threads, by the clocks of the processes: exact to the microsecond except for processes that
    /// ended within the window.
    pub total: Duration,
    /// Part in user mode: its part of the kernel's ticks (usually 10 ms) over the whole load.
    pub user: Duration,
    /// Part in kernel mode.
    pub system: Duration,
}

/// Reason why the processor time of a server is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuFault {
    /// The clocks were not read at both ends of the window.
    WindowMissed,
    /// More processor time than the server's cores have.
    MoreThanCores,
}

impl CpuFault {
    /// Name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::WindowMissed => "window-missed",
            Self::MoreThanCores => "more-than-cores",
        }
    }
}

/// Method of counting memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Resident set size.
    Rss,
    /// Proportional set size: shared pages are divided among the processes that share them.
    Pss,
}

/// The kernel's own memory on the whole machine at some time, or its growth between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelMemory {
    /// Objects of the kernel, such as sockets, files and timers.
    pub slab_bytes: i64,
    /// Kernel stacks of threads.
    pub stack_bytes: i64,
    /// Page tables of processes.
    pub page_table_bytes: i64,
    /// Buffers of TCP sockets, partly contained in the objects; `None` if the kernel does not report them.
    pub socket_bytes: Option<i64>,
}

impl KernelMemory {
    /// Growth since an earlier time; other programs may have released memory meanwhile.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            slab_bytes: self.slab_bytes - before.slab_bytes,
            stack_bytes: self.stack_bytes - before.stack_bytes,
            page_table_bytes: self.page_table_bytes - before.page_table_bytes,
            socket_bytes: self.socket_bytes.zip(before.socket_bytes).map(|(now, then)| now - then),
        }
    }

    /// Objects, stacks and page tables together.
    pub fn total_bytes(&self) -> i64 {
        self.slab_bytes + self.stack_bytes + self.page_table_bytes
    }
}

/// The kernel's counts of TCP's difficulties, of all programs in the network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpCounts {
    /// Connections that found the accept queue of their listening socket full.
    pub listen_overflows: u64,
    /// Connection requests that a listening socket dropped, these included.
    pub listen_drops: u64,
    /// Segments sent again.
    pub retransmissions: u64,
    /// Ends of established connections that were reset.
    pub resets: u64,
}

/// Disturbance of the machine between two points in time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Disturbance {
    /// Steal time of the cores of server and generator: the share of their time in which they were
    /// runnable but the hypervisor ran something else. `None` if the kernel does not report it.
    pub steal_share: Option<f64>,
    /// Difference between the advance of the wall clock and of the monotonic clock: the machine was
    /// suspended, or a clock was set.
    pub clock_step: Duration,
    /// Time that the server waited for its core because of other programs, as a share of the window;
    /// `None` if unknown, or if it is not pinned.
    pub server_delay_share: Option<f64>,
    /// The same for the generator thread delayed longest.
    pub generator_delay_share: Option<f64>,
    /// Maximum of both shares in a valid trial.
    pub delay_limit: f64,
}
