//! Environment of a run: the machine, its settings and the servers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use loadgen::Direction;

use crate::record::conditions::Conditions;
use crate::servers::target::TargetKind;

/// Version of `results/SCHEMA.md` that new folders have. Folders of version 1 lack background
/// connections, rates, connection use, send paths and engines; those of version 2 lack limits and
/// their evidence; those of version 3 name no original of an A/A control; those of
/// version 4 lack compared bytes and run delays. Up to version 5, requests that crossed an edge of the
/// window are missing; those of version 6 lack kernel memory, those of version 7 the length of the
/// warm-ups, those of version 8 the response times by second. All can be read.
pub const SCHEMA: u32 = 9;

/// Contents of `environment.toml`. Unknown values are omitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of `results/SCHEMA.md` that the folder has.
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// Command of the run.
    pub command: String,
    /// Start of the run.
    pub started_at: Timestamp,
    /// End of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Number of planned trials.
    pub trials_planned: u32,
    /// True if the run was interrupted.
    pub interrupted: bool,
    /// Version of `bench`.
    pub version: String,
    /// Git revision of its sources, with `-dirty` if they were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// True if it was built with optimisation.
    pub optimised: bool,
    /// Compiler that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Reference servers of the plan that are not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_installed: Vec<String>,
    /// Machine.
    pub machine: Machine,
    /// Settings of its processor and its kernel.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// Settings of the kernel that the run changed and restored.
    #[serde(default, skip_serializing_if = "KernelSettings::is_empty")]
    pub settings: KernelSettings,
    /// Placement of server and generator.
    pub placement: Placement,
    /// Copy bandwidth of the cores, measured before the first trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<CopyBandwidth>,
    /// Resumptions after interruptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumption>,
    /// Servers.
    #[serde(rename = "target", default)]
    pub targets: Vec<TargetInfo>,
}

/// One resumption of an interrupted run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// Time of the resumption.
    pub at: Timestamp,
    /// Estimated number of remaining trials.
    pub trials_to_come: usize,
    /// Load average over the minute before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<String>,
    /// Share of the time of all cores that other programs used before, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u32>,
}

/// Machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Host name.
    pub host: String,
    /// Model of the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Number of cores available to the run.
    pub cores: usize,
    /// Memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Name and release of the kernel.
    pub kernel: String,
    /// CPU frequency governor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_governor: Option<String>,
    /// Load average over the minute before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<String>,
    /// Share of the time of all cores that other programs used in a second before the run, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u32>,
    /// True if this was too much, and the run began nevertheless.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy_allowed: bool,
    /// Limit of open file descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor_limit: Option<u64>,
    /// TCP congestion control algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion_control: Option<String>,
    /// Kernel settings of connections and memory, by their `sysctl` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
}

/// Settings of the kernel that a run changes and restores at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelSettings {
    /// TCP congestion control of new connections; unchanged if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion_control: Option<String>,
    /// Packets of the loopback interface are processed on the core of their receiver (RFS).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub loopback_rfs: bool,
    /// The processor's idle states stay in use, although the run could keep the cores out of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub idle_states: bool,
}

impl KernelSettings {
    /// Returns true if nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Placement of server and generator, and storage of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Cores to which the server was pinned; empty if not pinned.
    pub server_cores: Vec<usize>,
    /// Cores to which the generator was pinned; empty if not pinned.
    pub generator_cores: Vec<usize>,
    /// File system of the served and uploaded files.
    pub file_system: String,
    /// File system of files stored on a disk; `None` if the plan has no such loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_file_system: Option<String>,
    /// Data synchronised to disk before an upload is acknowledged.
    pub upload_durability: String,
}

fn first_schema() -> u32 {
    1
}

impl Machine {
    /// Returns true if other programs used too much of the machine before the run. Older runs recorded
    /// only the load average, which also counts programs that have ended.
    pub fn was_busy(&self) -> bool {
        if self.busy_percent.is_some() {
            return self.busy_allowed;
        }
        let load = self.load_average.as_ref().and_then(|load| load.parse::<f64>().ok());
        load.is_some_and(|load| load > self.cores as f64 / 2.0)
    }

    /// Warning about a machine that was busy before the run.
    pub fn warning(&self) -> Option<String> {
        if let Some(percent) = self.busy_percent.filter(|_| self.busy_allowed) {
            return Some(format!(
                "Other programs used {percent} % of the machine before the run (--allow-busy): expect \
                 wide intervals, or run again on an idle machine."
            ));
        }
        let load = self.load_average.as_deref().filter(|_| self.was_busy())?;
        Some(format!(
            "The machine was busy in the minute before the run (load average {load} on {} cores): \
             expect wide intervals, or wait and run again.",
            self.cores
        ))
    }
}

/// Recorded command in the form for the folder of the repository.
pub fn typed(command: &str) -> String {
    let arguments = command.strip_prefix("bench").unwrap_or(command).trim_start();
    let dashes = if arguments.is_empty() { "" } else { " -- " };
    format!("cargo run --release{dashes}{arguments}")
}

/// Copy bandwidth of one core on each side. Over loopback it bounds the throughput: the receiving core
/// copies every byte of a body at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyBandwidth {
    /// Bytes per second of a core of the server.
    pub server_bytes_per_s: u64,
    /// Bytes per second of a core of the generator.
    pub generator_bytes_per_s: u64,
}

impl CopyBandwidth {
    /// Copy bandwidth of the side that receives the bodies; `None` for echoed lines, which it does not
    /// limit.
    pub fn of(self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Download => Some(self.generator_bytes_per_s),
            Direction::Upload => Some(self.server_bytes_per_s),
            Direction::Echo => None,
        }
    }
}

/// Server in `environment.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: TargetKind,
    /// Version, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Path of its configuration within the results folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// Functions that it lacks for the loads, or the reason why it failed to start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Observed capabilities; `None` if it failed to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports: Option<Support>,
}

impl TargetInfo {
    /// Capabilities in words; empty if it failed to start.
    pub fn abilities(&self) -> String {
        let Some(supports) = self.supports else { return String::new() };
        let each = [
            (supports.keep_alive, "keep-alive"),
            (Some(supports.ranges), "ranges"),
            (Some(supports.upload), "upload"),
        ];
        let known = each.into_iter().filter_map(|(known, name)| Some((known?, name)));
        let each: Vec<_> = known
            .map(|(can, name)| format!("{name}: {}", if can { "yes" } else { "no" }))
            .collect();
        each.join(", ")
    }
}

/// Observed capabilities of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// More than one request per connection; unknown if no request succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,
    /// Range requests.
    pub ranges: bool,
    /// Uploads by PUT.
    pub upload: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_typed() {
        assert_eq!(typed("bench"), "cargo run --release");
        assert_eq!(typed("bench run --quick"), "cargo run --release -- run --quick");
    }

    #[test]
    fn only_a_busy_machine_is_warned_of() {
        let mut machine = Machine {
            host: "here".to_owned(),
            processor: None,
            cores: 2,
            memory_bytes: None,
            kernel: "Linux".to_owned(),
            frequency_governor: None,
            load_average: Some("1.00".to_owned()),
            busy_percent: None,
            busy_allowed: false,
            descriptor_limit: None,
            congestion_control: None,
            sysctl: BTreeMap::new(),
        };
        assert_eq!(machine.warning(), None);
        machine.load_average = Some("1.75".to_owned());
        assert!(machine.warning().unwrap().contains("load average 1.75 on 2 cores"));
        // The load average of a build that has just ended does not count.
        machine.busy_percent = Some(2);
        assert_eq!(machine.warning(), None);
        (machine.busy_percent, machine.busy_allowed) = (Some(97), true);
        assert!(machine.warning().unwrap().contains("used 97 % of the machine"));
    }
}
