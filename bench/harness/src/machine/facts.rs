//! Facts about the machine and the program, recorded with a run.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use procfs::{CpuInfo, Current, LoadAverage, Meminfo};

use crate::machine::conditions::conditions;
use crate::machine::cores::Cores;
use bench_data::record::environment::{Environment, KernelSettings, Machine, Placement, SCHEMA};

/// Recorded kernel settings that can influence results: queue lengths, socket buffers, client ports
/// and scheduling.
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

/// Environment of a run before the first trial.
pub fn survey(command: String, trials: u32, cores: &Cores, root: &Path) -> Environment {
    Environment {
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
        machine: machine(),
        conditions: conditions(),
        settings: KernelSettings::default(),
        placement: Placement {
            server_cores: cores.server.clone(),
            generator_cores: cores.generator.clone(),
            file_system: file_system(root),
            upload_durability: "none".to_owned(),
            disk_file_system: None,
        },
        resumed: Vec::new(),
        ceiling: None,
        targets: Vec::new(),
    }
}

/// This machine.
pub fn machine() -> Machine {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    Machine {
        host: text(system.nodename()),
        processor: CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned)),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: Meminfo::current().ok().map(|memory| memory.mem_total),
        kernel: format!("{} {}", text(system.sysname()), text(system.release())),
        frequency_governor: fs::read_to_string(governor).ok().map(|text| text.trim().to_owned()),
        load_average: LoadAverage::current().ok().map(|load| format!("{:.2}", load.one)),
        busy_percent: None,
        busy_allowed: false,
        descriptor_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        congestion_control: sysctl("net.ipv4.tcp_congestion_control"),
        sysctl: SYSCTL
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), sysctl(name)?)))
            .collect(),
    }
}

/// A setting of the kernel, numbers parted by single spaces.
fn sysctl(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
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
pub(crate) fn file_system(folder: &Path) -> String {
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
    fn settings_of_the_kernel_are_read_by_their_names() {
        let machine = machine();
        assert!(machine.congestion_control.is_none_or(|name| !name.contains(char::is_whitespace)));
        // Linux tells this one to everybody.
        let ports = sysctl("net.ipv4.ip_local_port_range").unwrap();
        assert_eq!(ports.split(' ').count(), 2, "{ports}");
        assert_eq!(sysctl("there.is.no.such.setting"), None);
    }
}
