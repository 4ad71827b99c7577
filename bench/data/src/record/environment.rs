//! Where and how a run was made, as far as it can tell.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use loadgen::Direction;

use crate::servers::target::TargetKind;

/// Version of `results/SCHEMA.md` that new folders have. Folders of version 1 lack background
/// connections, rates, connection use, send paths and engines; those of version 2 lack limits and
/// their evidence; those of version 3 name no original of an A/A control. All can be read.
pub const SCHEMA: u32 = 4;

/// What `environment.toml` says. What could not be found out is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of what `results/SCHEMA.md` describes that the folder was written by.
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// The exact command.
    pub command: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When it ended, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Trials that were planned.
    pub trials_planned: u32,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Version of this program.
    pub version: String,
    /// Revision of its sources, `-dirty` if they were changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The compiler that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Servers that were asked for and are not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_installed: Vec<String>,
    /// The machine.
    pub machine: Machine,
    /// Who ran where.
    pub placement: Placement,
    /// How fast cores could copy before the first trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<CopyBandwidth>,
    /// When it was continued after it had been interrupted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumption>,
    /// The servers.
    #[serde(rename = "target", default)]
    pub targets: Vec<TargetInfo>,
}

/// That a run was continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// When.
    pub at: Timestamp,
    /// Trials that were still to come, as far as that was known.
    pub trials_to_come: usize,
    /// Processes that ran or wanted to, on average over the minute before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<String>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Its processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Cores that the run was allowed to use.
    pub cores: usize,
    /// Memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Kernel and its release.
    pub kernel: String,
    /// How the processor's frequency is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_governor: Option<String>,
    /// Processes that ran or wanted to, on average over the minute before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<String>,
    /// Open files that the process is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor_limit: Option<u64>,
    /// How TCP decides how much to send at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion_control: Option<String>,
    /// What else the kernel is told about connections and memory, by the names of `sysctl`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
}

/// Who ran where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Cores the server was pinned to; empty if it was not.
    pub server_cores: Vec<usize>,
    /// Cores the generator was pinned to; empty if it was not.
    pub generator_cores: Vec<usize>,
    /// File system of the served and uploaded files.
    pub file_system: String,
    /// What was forced to disk before an upload was acknowledged.
    pub upload_durability: String,
}

fn first_schema() -> u32 {
    1
}

impl Machine {
    /// Whether others kept it so busy that the figures must suffer.
    pub fn was_busy(&self) -> bool {
        let load = self.load_average.as_ref().and_then(|load| load.parse::<f64>().ok());
        load.is_some_and(|load| load > self.cores as f64 / 2.0)
    }

    /// What to make of figures from a machine that was busy; none if it was not.
    pub fn warning(&self) -> Option<String> {
        let load = self.load_average.as_deref().filter(|_| self.was_busy())?;
        Some(format!(
            "The machine was busy in the minute before the run (load average {load} on {} cores): \
             expect wide intervals, or wait and run again.",
            self.cores
        ))
    }
}

/// A recorded command as it can be typed in the folder of this repository.
pub fn typed(command: &str) -> String {
    let arguments = command.strip_prefix("bench").unwrap_or(command).trim_start();
    let dashes = if arguments.is_empty() { "" } else { " -- " };
    format!("cargo run --release{dashes}{arguments}")
}

/// The most bytes per second that one core can copy: every byte of a body is copied at least once by a core
/// that receives it, whatever the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyBandwidth {
    /// By a core of the server.
    pub server_bytes_per_s: u64,
    /// By a core of the generator.
    pub generator_bytes_per_s: u64,
}

impl CopyBandwidth {
    /// That of whoever receives the bodies; an echo's lines are no bulk that it could limit.
    pub fn of(self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Download => Some(self.generator_bytes_per_s),
            Direction::Upload => Some(self.server_bytes_per_s),
            Direction::Echo => None,
        }
    }
}

/// What `environment.toml` says of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// Its name.
    pub name: String,
    /// Which kind of server it is.
    pub kind: TargetKind,
    /// Its version, as far as it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its configuration within the results folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// What it cannot do of what the loads ask for, and why it does not stand if it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What it was seen to do; nothing if it does not stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports: Option<Support>,
}

impl TargetInfo {
    /// What it supports, in words; nothing if it does not stand.
    pub fn abilities(&self) -> String {
        let Some(supports) = self.supports else { return String::new() };
        let each = [
            (supports.keep_alive, "keep-alive"),
            (Some(supports.ranges), "ranges"),
            (Some(supports.upload), "upload"),
        ];
        let known = each.into_iter().filter_map(|(known, name)| Some((known?, name)));
        let (can, cannot): (Vec<_>, Vec<_>) = known.partition(|(yes, _)| *yes);
        let names = |list: Vec<(bool, &'static str)>| {
            list.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
        };
        match (can.is_empty(), cannot.is_empty()) {
            (_, true) => format!("supports {}", names(can)),
            (true, _) => format!("without {}", names(cannot)),
            _ => format!("supports {}, not {}", names(can), names(cannot)),
        }
    }
}

/// What a server was seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// It answers more than one request on a connection; unknown if it answered none well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,
    /// It answers a range of a file with that range.
    pub ranges: bool,
    /// It takes a file by PUT.
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
            descriptor_limit: None,
            congestion_control: None,
            sysctl: BTreeMap::new(),
        };
        assert_eq!(machine.warning(), None);
        machine.load_average = Some("1.75".to_owned());
        assert!(machine.warning().unwrap().contains("load average 1.75 on 2 cores"));
    }
}
