//! Where and how a run was made, as far as it can tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ceiling::Ceiling;
use crate::cores::Cores;
use crate::survey::TargetInfo;

/// The version of `results/SCHEMA.md` that folders are written by. Those of version 1 say nothing
/// of crowds, rates, connection use, send paths and engines; those of version 2 nothing of limits
/// and what they rest on. All can be read.
pub const SCHEMA: u32 = 3;

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
    pub ceiling: Option<Ceiling>,
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

/// What a result may depend on: lengths of queues, sizes of socket buffers, ports of clients, and
/// which threads the scheduler prefers.
const SYSCTL: [&str; 11] = [
    "net.core.default_qdisc",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "kernel.sched_autogroup_enabled",
    "vm.overcommit_memory",
];

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

impl Environment {
    /// What can be known before the first trial.
    pub fn survey(command: String, trials: u32, cores: &Cores, root: &Path) -> Self {
        Self {
            schema: SCHEMA,
            command,
            started_at: Timestamp::now(),
            finished_at: None,
            trials_planned: trials,
            interrupted: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: revision(),
            optimised: !cfg!(debug_assertions),
            compiler: option_env!("BUILT_BY").map(str::to_owned),
            not_installed: Vec::new(),
            machine: Machine::this(),
            placement: Placement {
                server_cores: cores.server.clone(),
                generator_cores: cores.generator.clone(),
                file_system: file_system(root),
                upload_durability: "none".to_owned(),
            },
            resumed: Vec::new(),
            ceiling: None,
            targets: Vec::new(),
        }
    }
}

impl Machine {
    fn this() -> Self {
        let system = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        Self {
            host: text(system.nodename()),
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|value| value.split(' ').next()?.parse::<u64>().ok())
                .map(|kib| kib * 1024),
            kernel: format!("{} {}", text(system.sysname()), text(system.release())),
            frequency_governor: fs::read_to_string(governor)
                .ok()
                .map(|text| text.trim().to_owned()),
            load_average: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| Some(text.split(' ').next()?.to_owned())),
            descriptor_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            congestion_control: sysctl("net.ipv4.tcp_congestion_control"),
            sysctl: SYSCTL
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), sysctl(name)?)))
                .collect(),
        }
    }
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

/// The command as a person would type it in the current folder, without the paths of this
/// machine that lead there or elsewhere.
pub fn command_line() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let words = std::env::args().skip(1).map(|word| quoted(&without_machine_path(&word, &here)));
    std::iter::once("bench".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn without_machine_path(word: &str, here: &Path) -> String {
    let (flag, path) = match word.split_once('=') {
        Some((flag, path)) if flag.starts_with("--") => (format!("{flag}="), path),
        _ => (String::new(), word),
    };
    let path = Path::new(path);
    if !path.is_absolute() {
        return word.to_owned();
    }
    let shown = match (path.strip_prefix(here), path.file_name()) {
        (Ok(within), _) => within.to_owned(),
        (Err(_), Some(name)) => Path::new("…").join(name),
        (Err(_), None) => path.to_owned(),
    };
    format!("{flag}{}", shown.display())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A setting of the kernel, numbers parted by single spaces.
fn sysctl(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn revision() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}-dirty") })
}

/// The name of the file system that a folder is on, from the mount that holds it.
fn file_system(folder: &Path) -> String {
    let mounts = procfs::process::Process::myself().and_then(|process| process.mountinfo());
    let holding =
        mounts.into_iter().flatten().filter(|mount| folder.starts_with(&mount.mount_point));
    holding
        .max_by_key(|mount| mount.mount_point.components().count())
        .map_or_else(|| "unknown".to_owned(), |mount| mount.fs_type)
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
    fn settings_of_the_kernel_are_read_by_their_names() {
        let machine = Machine::this();
        assert!(machine.congestion_control.is_none_or(|name| !name.contains(char::is_whitespace)));
        // Linux tells this one to everybody.
        let ports = sysctl("net.ipv4.ip_local_port_range").unwrap();
        assert_eq!(ports.split(' ').count(), 2, "{ports}");
        assert_eq!(sysctl("there.is.no.such.setting"), None);
    }

    #[test]
    fn only_a_busy_machine_is_warned_of() {
        let mut machine = Machine::this();
        machine.cores = 2;
        machine.load_average = Some("1.00".to_owned());
        assert_eq!(machine.warning(), None);
        machine.load_average = Some("1.75".to_owned());
        assert!(machine.warning().unwrap().contains("load average 1.75 on 2 cores"));
    }

    #[test]
    fn paths_of_the_machine_are_not_told() {
        let here = Path::new("/somewhere/deep");
        for (word, expected) in [
            ("results/a", "results/a"),
            ("/somewhere/deep/plans/p.toml", "plans/p.toml"),
            ("/elsewhere/p.toml", "…/p.toml"),
            ("--out=/elsewhere/run", "--out=…/run"),
            ("--quick", "--quick"),
        ] {
            assert_eq!(without_machine_path(word, here), expected);
        }
        assert_eq!(quoted("a b'c"), r"'a b'\''c'");
    }
}
