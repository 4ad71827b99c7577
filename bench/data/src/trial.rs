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

/// One server process, one load, one measured window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its place in the run, from 1.
    pub number: u32,
    /// Its round, from 1.
    pub round: u32,
    /// The server.
    pub target: Target,
    /// The load.
    pub load: Load,
    /// What the search that it belongs to looks for, where it belongs to one.
    pub search: Option<Objective>,
}

/// Carries out trials: with real processes, or made up in tests of everything around it.
pub trait Executor {
    /// Carries out one trial; returns soon after `stop` is set, with what there is by then.
    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement;
}

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// When the trial began.
    pub started_at: Timestamp,
    /// The server's version, as far as it tells.
    pub version: Option<String>,
    /// What the load saw; `None` where it could not be put on.
    pub load: Option<LoadReport>,
    /// What the server used within the window; `None` where it could not be watched.
    pub server: Option<ServerUsage>,
    /// Connections of the crowd that the server still held when the window ended; `None` without
    /// a crowd.
    pub crowd_held: Option<usize>,
    /// The way that most bytes of files took, as far as the server tells.
    pub send_path: Option<SendPath>,
    /// Cores that only the server was given; 0 where it shares them with the generator.
    pub server_cores: usize,
    /// The most body bytes per second that the receiving side can copy, where that was measured.
    pub copy_bandwidth_bytes_per_s: Option<u64>,
    /// What the machine did to it; `None` where nobody looked.
    pub disturbance: Option<Disturbance>,
    /// How it ended.
    pub ending: Ending,
}

impl Measurement {
    /// Of a trial that did not come about.
    pub fn none(started_at: Timestamp, version: Option<String>, ending: Ending) -> Self {
        Self {
            started_at,
            version,
            load: None,
            server: None,
            crowd_held: None,
            send_path: None,
            server_cores: 0,
            copy_bandwidth_bytes_per_s: None,
            disturbance: None,
            ending,
        }
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Completed,
    /// There was no trial: why the server or the load could not be started.
    NotStarted(String),
    /// The server ended before it was told to: how.
    Died(String),
    /// There was no trial: what the load asks for and the server does not do.
    Unsupported(String),
}

/// What a server used within a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUsage {
    /// Processor time of all its threads, exact to the microsecond but for processes that ended
    /// within the window.
    pub cpu: Duration,
    /// Of that in user mode, in the kernel's ticks of usually 10 ms.
    pub cpu_user: Duration,
    /// Of that in the kernel, likewise.
    pub cpu_system: Duration,
    /// Memory in use: for one process the most seen within the window, for several what they held
    /// together at its end.
    pub memory_bytes: u64,
    /// How that was counted.
    pub memory_kind: MemoryKind,
    /// Most resident memory since the process started, where it is the only one.
    pub peak_rss_bytes: Option<u64>,
    /// Most processes seen.
    pub processes: u64,
    /// Most threads seen within the window.
    pub threads: u64,
    /// Context switches because a thread had to wait, of the threads that lived to the end of the
    /// window.
    pub voluntary_switches: u64,
    /// Context switches because another thread's turn had come, likewise.
    pub involuntary_switches: u64,
}

/// How memory was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Resident pages.
    Rss,
    /// Resident pages, those that several processes share counted in parts.
    Pss,
}

/// What was noticed between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Disturbance {
    /// Of the time of all cores that server and generator ran on, the share in which they wanted
    /// to run and the host of this virtual machine ran something else. `None` where the kernel does
    /// not tell.
    pub steal_share: Option<f64>,
    /// By how much the wall clock went further than the monotonic one, or less far: the machine
    /// slept, or a clock was set.
    pub clock_step: Duration,
}
