//! How many system calls a server makes for a request, counted apart from all measuring.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::machine::usage::ProcessSet;

/// For `perf` to have begun, before the load does.
const ATTACHING: Duration = Duration::from_millis(300);

/// How long a load lasts under which calls are counted.
pub(crate) const LOAD: Duration = Duration::from_millis(500);

/// How long calls are counted: before the load, while it lasts, and until it has ended.
const COUNTED: Duration = Duration::from_millis(1100);

/// `perf` opens a file for each thread; with more than these that takes longer than the load lasts.
const MOST_THREADS: u64 = 1000;

/// All of them together.
const ALL: &str = "raw_syscalls:sys_enter";

/// Whether calls can be counted here.
///
/// # Errors
/// `perf` is not installed or not permitted.
pub fn check_perf() -> anyhow::Result<()> {
    perf(&["true"]).map(|_| ())
}

/// Counts all calls of a server from before a load until after it.
///
/// # Errors
/// `perf` is not installed or not permitted, or the server has too many threads.
pub(crate) fn count<Done>(
    processes: &ProcessSet,
    load: impl FnOnce() -> Done,
) -> (Done, anyhow::Result<f64>) {
    thread::scope(|scope| {
        let counter = scope.spawn(|| counted(processes));
        thread::sleep(ATTACHING);
        let done = load();
        let counted = counter.join().unwrap_or_else(|_| bail!("counting failed"));
        (done, counted)
    })
}

fn counted(processes: &ProcessSet) -> anyhow::Result<f64> {
    let processes = processes.processes();
    let threads = crate::machine::process_tree::threads(&processes);
    ensure!(
        (1..=MOST_THREADS).contains(&threads),
        "it has {threads} threads, and calls are counted of 1 to {MOST_THREADS}"
    );
    let pids: Vec<_> = processes.iter().map(|process| process.pid.to_string()).collect();
    let time = COUNTED.as_secs_f64().to_string();
    parse(&perf(&["-p", &pids.join(","), "--", "sleep", &time])?)
}

/// What `perf stat` tells of system calls.
fn perf(of: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("perf")
        .args(["stat", "-x", ",", "-e", ALL])
        .args(of)
        .env("LC_ALL", "C")
        .output()
        .context("cannot start perf: install it (Debian: linux-perf)")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let why = told.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        bail!("perf cannot count system calls here, try as root: {why}");
    }
    Ok(told)
}

/// How many, by what `perf stat -x ,` tells: `count,unit,event,…`.
fn parse(told: &str) -> anyhow::Result<f64> {
    let count = told.lines().find_map(|line| {
        let mut fields = line.split(',');
        let (count, _, event) = (fields.next()?, fields.next()?, fields.next()?);
        // `<not counted>`, where nothing was.
        count.parse::<f64>().ok().filter(|_| event == ALL)
    });
    count.context("perf told no number of system calls; is its version too old?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::record::system_calls::CallRow;

    #[test]
    fn what_perf_tells_is_understood() {
        let told = "# started\n\n100000,,raw_syscalls:sys_enter,500,100.00,,\n";
        let calls = parse(told).unwrap();
        assert_eq!(calls, 100_000.0);
        let row = CallRow::new(1, "selector", 50_000, calls);
        assert_eq!(row.calls_per_request, 2.0);
        assert!(parse("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n").is_err());
        let message = parse("event syntax error: 'x'").unwrap_err().to_string();
        assert!(message.contains("no number"), "{message}");
    }
}
