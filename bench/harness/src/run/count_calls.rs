//! System calls per request, counted outside of trials.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::machine::process_tree::ProcessSet;

/// Time for `perf` to attach before the load begins.
const ATTACHING: Duration = Duration::from_millis(300);

/// Duration of the load while calls are counted.
pub(crate) const LOAD: Duration = Duration::from_millis(500);

/// Duration of counting: from before the load until after its end.
const COUNTED: Duration = Duration::from_millis(1100);

/// Maximum number of threads: `perf` opens a file per thread, which takes longer than the load above
/// this number.
const MOST_THREADS: u64 = 1000;

/// Event of all system calls.
const ALL: &str = "raw_syscalls:sys_enter";

/// Checks that `perf` can count system calls.
///
/// # Errors
/// `perf` is not installed or not permitted.
pub fn check_perf() -> anyhow::Result<()> {
    perf(&["true"]).map(|_| ())
}

/// Counts all system calls of a server during a load.
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
        "the server has {threads} threads; system calls can be counted for 1 to {MOST_THREADS} threads"
    );
    let pids: Vec<_> = processes.iter().map(|process| process.pid.to_string()).collect();
    let time = COUNTED.as_secs_f64().to_string();
    parse(&perf(&["-p", &pids.join(","), "--", "sleep", &time])?)
}

/// Output of `perf stat` for system calls.
fn perf(of: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("perf")
        .args(["stat", "-x", ",", "-e", ALL])
        .args(of)
        .env("LC_ALL", "C")
        .output()
        .context("cannot start perf: install it (Debian: linux-perf)")?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let why = printed.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        bail!("perf cannot count system calls here, try as root: {why}");
    }
    Ok(printed)
}

/// Number of calls in the output of `perf stat -x ,`: `count,unit,event,…`.
fn parse(printed: &str) -> anyhow::Result<f64> {
    let count = printed.lines().find_map(|line| {
        let mut fields = line.split(',');
        let (count, _, event) = (fields.next()?, fields.next()?, fields.next()?);
        // `<not counted>` if nothing was counted.
        count.parse::<f64>().ok().filter(|_| event == ALL)
    });
    count.context("perf printed no number of system calls; its version may be too old")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::record::system_calls::CallRow;

    #[test]
    fn what_perf_tells_is_understood() {
        let printed = "# started\n\n100000,,raw_syscalls:sys_enter,500,100.00,,\n";
        let calls = parse(printed).unwrap();
        assert_eq!(calls, 100_000.0);
        let row = CallRow::new(1, "selector", 50_000, calls);
        assert_eq!(row.calls_per_request, 2.0);
        assert!(parse("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n").is_err());
        let message = parse("event syntax error: 'x'").unwrap_err().to_string();
        assert!(message.contains("no number"), "{message}");
    }
}
