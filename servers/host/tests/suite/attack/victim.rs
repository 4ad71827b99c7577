//! A server process under test, and its measurements.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Folder, ServerProcess};

use crate::peer::Peer;

/// Number of workers of strategies with a fixed number.
pub(crate) const WORKERS: usize = 4;
/// Content of the file `small`.
pub(crate) const SMALL: &[u8] = b"small";
/// Unit of times in `/proc` (USER_HZ).
const TICKS_PER_SECOND: u32 = 100;
/// Period of a CPU time measurement.
const WATCH: Duration = Duration::from_secs(1);

/// Sets a flag when dropped, so that a thread that watches it also ends after a failed assertion.
pub(crate) struct SetOnDrop<'s>(pub(crate) &'s AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A running server; killed when dropped.
pub(crate) struct Victim {
    process: ServerProcess,
    pub(crate) folder: Folder,
}

/// True if a slow peer holds one of a fixed number of workers, by the strategy's model.
pub(crate) fn is_held_by_slow_peers(kind: StrategyKind) -> bool {
    matches!(kind, StrategyKind::Iterative | StrategyKind::Prefork | StrategyKind::ThreadPool)
}

/// Number of peers of a test, given that for strategies without a fixed number of workers. The others
/// need one peer per worker.
pub(crate) fn crowd(kind: StrategyKind, number: usize) -> usize {
    match kind {
        StrategyKind::Iterative => 1,
        StrategyKind::Prefork | StrategyKind::ThreadPool => WORKERS,
        StrategyKind::Threaded
        | StrategyKind::Selector
        | StrategyKind::MultiSelector
        | StrategyKind::Hybrid
        | StrategyKind::Uring
        | StrategyKind::Tokio => number,
    }
}

impl Victim {
    /// Starts a server with these arguments on a folder with the file `small`.
    pub(crate) fn start(kind: StrategyKind, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        fs::write(folder.path().join("small"), SMALL).unwrap();
        Self::on(folder, kind, arguments)
    }

    /// Starts a server on this folder.
    pub(crate) fn on(folder: Folder, kind: StrategyKind, arguments: &[&str]) -> Self {
        Self::under(&[], folder, kind, arguments)
            .unwrap_or_else(|output| panic!("the server did not start: {output:?}"))
    }

    /// Starts a server by a program and its arguments, to which the server's are added.
    ///
    /// # Errors
    /// The first line that the server printed in place of its address.
    pub(crate) fn under(
        launcher: &[&str],
        folder: Folder,
        kind: StrategyKind,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut server = Self::command(launcher, &folder, kind, arguments);
        Ok(Self { process: ServerProcess::start(&mut server)?, folder })
    }

    /// The command of [`under`](Self::under).
    pub(crate) fn command(
        launcher: &[&str],
        folder: &Folder,
        kind: StrategyKind,
        arguments: &[&str],
    ) -> Command {
        let program = program();
        let mut server = match launcher {
            [] => Command::new(program),
            [launcher, arguments @ ..] => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(program);
                command
            }
        };
        server.args(["--listen", "127.0.0.1:0", "--quiet", "--strategy", kind.name(), "--root"]);
        server.arg(folder.path()).args(arguments);
        if matches!(kind, StrategyKind::Prefork | StrategyKind::ThreadPool | StrategyKind::Hybrid) {
            server.args(["--workers", &WORKERS.to_string()]);
        }
        server.stdin(Stdio::null()).stderr(Stdio::null());
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address())
    }

    /// Requests the small file over a new connection; returns the response time.
    pub(crate) fn probe(&self) -> Duration {
        let begun = Instant::now();
        assert_eq!(self.connect().get("small"), SMALL);
        begun.elapsed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_none()
    }

    /// Kills the server.
    pub(crate) fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        crate::process::end_of(&mut self.process.child)
    }

    /// Ends the server by SIGTERM; returns the time until its end.
    pub(crate) fn terminate(mut self) -> Duration {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        // The exit code shows whether connections were interrupted.
        assert!(self.wait().code().is_some(), "the server was killed");
        begun.elapsed()
    }

    /// CPU use without work, as a share of a core.
    ///
    /// # Panics
    /// The share is higher than a server without work can use.
    pub(crate) fn idle_cpu(&self) -> String {
        let (begun, before) = (Instant::now(), self.cpu_time());
        std::thread::sleep(WATCH);
        let share = (self.cpu_time() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        assert!(share < 0.2, "{:.0} % of a core without work", 100.0 * share);
        format!("{:.0} %", 100.0 * share)
    }

    /// CPU time of all its threads and child processes, kernel threads on its behalf included.
    pub(crate) fn cpu_time(&self) -> Duration {
        let ticks: u64 = self.processes().into_iter().map(ticks).sum();
        Duration::from_secs(ticks) / TICKS_PER_SECOND
    }

    /// Number of threads of all its processes, kernel threads on its behalf included.
    pub(crate) fn threads(&self) -> usize {
        let count = |pid| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        self.processes().into_iter().map(count).sum()
    }

    /// Number of open descriptors of its first process.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.child.id())).unwrap().count()
    }

    fn processes(&self) -> Vec<u32> {
        let server = self.process.child.id();
        let mut processes = vec![server];
        for entry in fs::read_dir("/proc").unwrap() {
            let name = entry.unwrap().file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // The fourth field of `stat`; the second may contain anything, within parentheses.
            if stat(pid).get(1).is_some_and(|parent| *parent == u64::from(server)) {
                processes.push(pid);
            }
        }
        processes
    }
}

/// Path of the program under test; `ATTACK_SERVER` in the environment replaces it.
fn program() -> PathBuf {
    let other = std::env::var_os("ATTACK_SERVER");
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_server").into()).into()
}

/// CPU time of a process in ticks.
fn ticks(pid: u32) -> u64 {
    // Fields 14 and 15: utime and stime.
    stat(pid).get(11..13).map_or(0, |times| times.iter().sum())
}

/// Fields of `/proc/PID/stat` from the third on, 0 for those that are not numbers; empty for a process
/// that has ended.
fn stat(pid: u32) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}
