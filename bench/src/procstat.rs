//! What a server process uses while a load runs, read from /proc.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use loadgen::load::Progress;
use nix::time::ClockId;
use procfs::process::Process;

/// How often memory and threads are looked at: often enough to see a window of 100 ms, rarely
/// enough that looking takes no noticeable share of a core.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a server used within a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUsage {
    /// Processor time of all its threads, exact to the microsecond.
    pub cpu: Duration,
    /// Of that in user mode, in the kernel's ticks of usually 10 ms.
    pub cpu_user: Duration,
    /// Of that in the kernel, likewise.
    pub cpu_system: Duration,
    /// Most resident memory seen within the window.
    pub rss_bytes: u64,
    /// Most resident memory since the process started.
    pub peak_rss_bytes: Option<u64>,
    /// Most threads seen within the window.
    pub threads: u64,
    /// Context switches because a thread had to wait, of the threads that lived to the end of the
    /// window.
    pub voluntary_switches: u64,
    /// Context switches because another thread's turn had come, likewise.
    pub involuntary_switches: u64,
}

/// What was seen between two looks at a process.
#[derive(Debug)]
pub struct Watched {
    from: Look,
    to: Look,
    rss_bytes: u64,
    threads: u64,
}

/// Watches a process through the window of a load that runs meanwhile and tells its `progress`.
/// Returns soon after `done` is set, `None` if the process or the window was never seen whole.
pub fn watch(
    pid: u32,
    progress: &Progress,
    warm_up: Duration,
    window: Duration,
    done: &AtomicBool,
) -> Option<Watched> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(process.pid())).ok()?;
    let mut began: Option<Instant> = None;
    // The figure lags behind, so the earliest beginning that it implies is the truest.
    let mut begin = |now: Instant| {
        let elapsed = Duration::from_nanos(progress.elapsed_ns.load(Relaxed));
        if !elapsed.is_zero() {
            let implied = now.checked_sub(elapsed)?;
            began = Some(began.map_or(implied, |earlier| earlier.min(implied)));
        }
        began
    };
    loop {
        let now = Instant::now();
        let rest = begin(now).map(|begin| (begin + warm_up).saturating_duration_since(now));
        match rest {
            Some(Duration::ZERO) => break,
            _ if done.load(Relaxed) => return None,
            rest => thread::sleep(rest.unwrap_or(INTERVAL).min(INTERVAL / 4)),
        }
    }
    let from = Look::at(&process, clock)?;
    let looking = from.at.elapsed();
    let (mut rss_bytes, mut threads) = (from.rss_bytes, from.threads);
    loop {
        let now = Instant::now();
        let end = begin(now)? + warm_up + window - (looking + INTERVAL / 4).min(window / 2);
        let rest = end.saturating_duration_since(now);
        if rest.is_zero() || done.load(Relaxed) {
            break;
        }
        thread::sleep(rest.min(INTERVAL));
        let stat = process.stat().ok()?;
        rss_bytes = rss_bytes.max(stat.rss * procfs::page_size());
        threads = threads.max(u64::try_from(stat.num_threads).unwrap_or(0));
    }
    let to = Look::at(&process, clock)?;
    // Less would be the tail of a window that was noticed too late, or one that was cut short.
    let seen = to.at.duration_since(from.at);
    (seen >= window / 3).then_some(Watched { from, to, rss_bytes, threads })
}

impl Watched {
    /// What was used within a window of this length at the rate that was seen.
    pub fn within(&self, window: Duration) -> Option<ServerUsage> {
        let seen = self.to.at.duration_since(self.from.at).as_secs_f64();
        let factor = window.as_secs_f64() / seen;
        if !factor.is_finite() {
            return None;
        }
        let scaled = |from: Duration, to: Duration| to.saturating_sub(from).mul_f64(factor);
        let (mut voluntary, mut involuntary) = (0, 0);
        for (thread, after) in &self.to.switches {
            let before = self.from.switches.get(thread).copied().unwrap_or_default();
            voluntary += after.0.saturating_sub(before.0);
            involuntary += after.1.saturating_sub(before.1);
        }
        Some(ServerUsage {
            cpu: scaled(self.from.cpu, self.to.cpu),
            cpu_user: scaled(self.from.cpu_user, self.to.cpu_user),
            cpu_system: scaled(self.from.cpu_system, self.to.cpu_system),
            rss_bytes: self.rss_bytes,
            peak_rss_bytes: self.to.peak_rss_bytes,
            threads: self.threads,
            voluntary_switches: (voluntary as f64 * factor).round() as u64,
            involuntary_switches: (involuntary as f64 * factor).round() as u64,
        })
    }
}

/// Everything about a process at one moment.
#[derive(Debug)]
struct Look {
    at: Instant,
    cpu: Duration,
    cpu_user: Duration,
    cpu_system: Duration,
    rss_bytes: u64,
    peak_rss_bytes: Option<u64>,
    threads: u64,
    /// Voluntary and involuntary ones of each thread.
    switches: HashMap<i32, (u64, u64)>,
}

impl Look {
    fn at(process: &Process, clock: ClockId) -> Option<Self> {
        let at = Instant::now();
        let cpu = clock.now().ok()?.into();
        let stat = process.stat().ok()?;
        let status = process.status().ok()?;
        let ticks =
            |ticks: u64| Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
        let tasks = process.tasks().ok()?.flatten();
        let switches = tasks.filter_map(|task| {
            let status = task.status().ok()?;
            Some((task.tid, (status.voluntary_ctxt_switches?, status.nonvoluntary_ctxt_switches?)))
        });
        Some(Self {
            at,
            cpu,
            cpu_user: ticks(stat.utime),
            cpu_system: ticks(stat.stime),
            rss_bytes: stat.rss * procfs::page_size(),
            peak_rss_bytes: status.vmhwm.map(|kib| kib * 1024),
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            switches: switches.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let progress = Progress::default();
        let done = AtomicBool::new(false);
        let started = Instant::now();
        let window = Duration::from_millis(200);
        let watched = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                watch(std::process::id(), &progress, Duration::from_millis(50), window, &done)
            });
            while !watcher.is_finished() {
                progress.elapsed_ns.store(started.elapsed().as_nanos() as u64, Relaxed);
            }
            watcher.join().unwrap()
        });
        let usage = watched.unwrap().within(window).unwrap();
        assert!(usage.cpu > Duration::ZERO);
        assert!(usage.rss_bytes > 100_000 && usage.peak_rss_bytes.unwrap() >= usage.rss_bytes / 2);
        assert!(usage.threads >= 2);
    }

    #[test]
    fn a_load_that_never_began_leaves_nothing() {
        let (progress, done) = (Progress::default(), AtomicBool::new(true));
        let second = Duration::from_secs(1);
        assert!(watch(std::process::id(), &progress, second, second, &done).is_none());
    }
}
