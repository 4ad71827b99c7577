//! Processes of a server, and process trees.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::machine::cpu_clock::CpuReading;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};

/// Processes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessSet {
    /// One process.
    Process(u32),
    /// Processes with all their descendants.
    Trees(Vec<u32>),
}

impl ProcessSet {
    /// Processor time of all processes and their reaped children; `None` without a process.
    pub fn cpu(&self) -> Option<Duration> {
        CpuReading::of(&self.processes()).map(|reading| reading.used)
    }

    pub(crate) fn processes(&self) -> Vec<Process> {
        match self {
            Self::Process(pid) => {
                let process = i32::try_from(*pid).ok().and_then(|pid| Process::new(pid).ok());
                process.into_iter().collect()
            }
            Self::Trees(pids) => pids.iter().flat_map(|pid| of(*pid)).collect(),
        }
    }
}

/// Process with all its descendants, itself first; empty if it has ended.
pub fn of(pid: u32) -> Vec<Process> {
    let Some(root) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else {
        return Vec::new();
    };
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, parent(pid)?))) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).map(|process| process.pid) {
        let started = children.remove(&parent).unwrap_or_default();
        // By now another process may have the number.
        let is_child = |process: &Process| process.stat().is_ok_and(|stat| stat.ppid == parent);
        let started = started.into_iter().filter_map(|pid| Process::new(pid).ok());
        tree.extend(started.filter(is_child));
        next += 1;
    }
    tree
}

/// Id of the parent process; `None` if the process has ended. Everything else is left unread, since
/// this is asked of all processes of the machine.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Number of threads of all processes of a tree.
pub fn threads(tree: &[Process]) -> u64 {
    let of_each = tree.iter().filter_map(|process| process.stat().ok());
    of_each.map(|stat| u64::try_from(stat.num_threads).unwrap_or(0)).sum()
}

/// Kills the remaining processes of an earlier tree.
pub fn kill_what_is_left(tree: &[Process]) {
    for process in tree {
        // The handle refers to the process itself, not to a later one with the same number.
        let left = process.stat().is_ok_and(|stat| stat.state != 'Z');
        if let Some(pid) = Pid::from_raw(process.pid).filter(|_| left) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn grandchildren_belong_to_it_and_can_be_ended() {
        let script = "sh -c 'echo up; sleep 60; :'; :";
        let mut child =
            Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let tree = loop {
            let tree = of(child.id());
            if tree.len() == 3 || Instant::now() > deadline {
                break tree;
            }
        };
        assert_eq!(tree.len(), 3);
        assert_eq!(threads(&tree), 3);
        kill_what_is_left(&tree);
        child.wait().unwrap();
        while tree.iter().any(|process| process.stat().is_ok_and(|stat| stat.state != 'Z')) {
            assert!(Instant::now() < deadline, "something is left");
        }
        assert!(of(child.id()).is_empty());
    }
}
