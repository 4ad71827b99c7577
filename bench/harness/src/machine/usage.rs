//! Resource usage of a server, with all its processes, from /proc.

use bench_data::trial::{MemoryKind, ServerCpu, ServerUsage};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use loadgen::Progress;
use procfs::process::Process;
use procfs::{CurrentSI, KernelStats};

use crate::machine::cpu_clock::{CpuReading, cpu_within, in_time, of_children};
use crate::machine::process_tree;
use crate::machine::window::{begin_of_window, sleep_until};

/// Sampling interval of memory and threads: short enough for a window of 100 ms, long enough for a
/// negligible share of a core.
const INTERVAL: Duration = Duration::from_millis(20);

/// Time from the listing of a server's processes to the window.
const LISTING: Duration = Duration::from_millis(10);

/// Time to read the proportional set size of a process, rather too long.
const PSS_READING: Duration = Duration::from_micros(300);

/// Processes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessSet {
    /// One process.
    Process(u32),
    /// Processes with all their descendants.
    Trees(Vec<u32>),
}

/// Usage between two snapshots of a server.
#[derive(Debug)]
pub struct Watched {
    from: Snapshot,
    to: Snapshot,
    /// Processor time at the end of the window, which comes after `to`.
    end: CpuReading,
    memory_bytes: u64,
    memory_kind: MemoryKind,
    threads: u64,
}

/// Observes a server during the window of a running load, which it follows by `progress`. Returns
/// soon after `done` is set; `None` if the window was not observed completely.
pub fn watch(
    processes: &ProcessSet,
    progress: &Progress,
    window: Duration,
    done: &AtomicBool,
) -> Option<Watched> {
    let begin = begin_of_window(progress, done)?;
    // Listing a tree takes long.
    sleep_until(begin.checked_sub(LISTING)?, done);
    let listing = Instant::now();
    let listed = processes.processes();
    let listing = listing.elapsed();
    sleep_until(begin, done);
    let from = Snapshot::at(&listed)?;
    let several = u32::try_from(from.processes.len()).ok().filter(|count| *count > 1);
    let looking = listing + begin.elapsed() + PSS_READING * several.unwrap_or(0);
    let (mut rss_bytes, mut threads) = (from.rss_bytes, from.threads);
    let end = begin + window;
    let last = end - (looking + INTERVAL / 4).min(window / 2);
    loop {
        let rest = last.saturating_duration_since(Instant::now());
        if rest.is_zero() || done.load(Relaxed) {
            break;
        }
        thread::sleep(rest.min(INTERVAL));
        // Sampling every process of a tree this often would disturb the measurement.
        if let [process] = &from.processes[..] {
            let stat = process.stat().ok()?;
            rss_bytes = rss_bytes.max(stat.rss * procfs::page_size());
            threads = threads.max(u64::try_from(stat.num_threads).unwrap_or(0));
        }
    }
    let to = Snapshot::at(&processes.processes())?;
    let (memory_bytes, memory_kind) = match &to.processes[..] {
        [_] => (rss_bytes.max(to.rss_bytes), MemoryKind::Rss),
        several => proportional_bytes(several)
            .map_or((to.rss_bytes, MemoryKind::Rss), |bytes| (bytes, MemoryKind::Pss)),
    };
    threads = threads.max(to.threads);
    sleep_until(end, done);
    let end = CpuReading::of(&to.processes)?;
    // A shorter part is the tail of a window noticed too late, or an interrupted window.
    let seen = to.cpu.at.duration_since(from.cpu.at);
    (seen >= window / 3).then_some(Watched { from, to, end, memory_bytes, memory_kind, threads })
}

/// Waits until a server is idle: below a fifth of a core for a while. Returns false if it is not idle
/// within `patience`, `stop` is set, or its processes are not known.
pub fn rests(processes: &ProcessSet, patience: Duration, stop: &AtomicBool) -> bool {
    let deadline = Instant::now() + patience;
    let mut before = Snapshot::at(&processes.processes());
    while Instant::now() < deadline && !stop.load(Relaxed) {
        thread::sleep(INTERVAL * 5);
        let now = Snapshot::at(&processes.processes());
        let (Some(from), Some(to)) = (&before, &now) else { return false };
        let used = to.cpu.used.saturating_sub(from.cpu.used);
        if used < to.cpu.at.duration_since(from.cpu.at) / 5 {
            return true;
        }
        before = now;
    }
    false
}

impl Watched {
    /// Usage extrapolated to a window of this length; `cores` are those that the server is pinned to.
    pub fn within(&self, window: Duration, cores: &[usize]) -> Option<ServerUsage> {
        let seen = self.to.cpu.at.duration_since(self.from.cpu.at).as_secs_f64();
        let factor = window.as_secs_f64() / seen;
        if !factor.is_finite() {
            return None;
        }
        let scaled = |from: Duration, to: Duration| to.saturating_sub(from).mul_f64(factor);
        let (mut voluntary, mut involuntary) = (0, 0);
        let mut run_delay = Some(Duration::ZERO);
        for (thread, after) in &self.to.threads_seen {
            let before = self.from.threads_seen.get(thread).copied().unwrap_or_default();
            voluntary += after.voluntary.saturating_sub(before.voluntary);
            involuntary += after.involuntary.saturating_sub(before.involuntary);
            run_delay = run_delay.zip(after.run_delay).map(|(sum, delay)| {
                sum + delay.saturating_sub(before.run_delay.unwrap_or_default())
            });
        }
        let used = self.to.cpu.used.saturating_sub(self.from.cpu.used);
        let foreign_cpu = busy(&self.from.cores, &self.to.cores, cores).map(|all| {
            // Ticks of the kernel: both ends of the interval may be off by one.
            all.saturating_sub(used).saturating_sub(2 * in_time(1))
        });
        let available = if cores.is_empty() { self.from.cores.len() } else { cores.len() };
        Some(ServerUsage {
            cpu: cpu_within(window, available, &self.from.cpu, &self.end).map(|total| ServerCpu {
                total,
                user: scaled(self.from.cpu_user, self.to.cpu_user),
                system: scaled(self.from.cpu_system, self.to.cpu_system),
            }),
            memory_bytes: self.memory_bytes,
            memory_kind: self.memory_kind,
            peak_rss_bytes: self.to.peak_rss_bytes,
            processes: self.from.processes.len().max(self.to.processes.len()) as u64,
            threads: self.threads,
            voluntary_switches: (voluntary as f64 * factor).round() as u64,
            involuntary_switches: (involuntary as f64 * factor).round() as u64,
            run_delay: run_delay.map(|delay| delay.mul_f64(factor)),
            foreign_cpu: foreign_cpu.map(|cpu| cpu.mul_f64(factor)),
        })
    }
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
            Self::Trees(pids) => pids.iter().flat_map(|pid| process_tree::of(*pid)).collect(),
        }
    }
}

/// Snapshot of a server.
#[derive(Debug)]
struct Snapshot {
    cpu: CpuReading,
    processes: Vec<Process>,
    cpu_user: Duration,
    cpu_system: Duration,
    rss_bytes: u64,
    peak_rss_bytes: Option<u64>,
    threads: u64,
    threads_seen: HashMap<i32, ThreadSeen>,
    /// Time that each core of the machine was used by programs, interrupts excluded.
    cores: Vec<Duration>,
}

/// Counters of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct ThreadSeen {
    voluntary: u64,
    involuntary: u64,
    run_delay: Option<Duration>,
}

impl Snapshot {
    /// Takes a snapshot; `None` without a process, or if the first one has ended.
    fn at(processes: &[Process]) -> Option<Self> {
        let mut look = Self {
            cpu: CpuReading::of(processes)?,
            processes: Vec::new(),
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
            rss_bytes: 0,
            peak_rss_bytes: None,
            threads: 0,
            threads_seen: HashMap::new(),
            cores: used_cores(),
        };
        for (index, process) in processes.iter().enumerate() {
            let seen = look.add(process);
            if index == 0 {
                seen?;
            }
        }
        if look.processes.len() > 1 {
            // The peaks of several processes need not coincide.
            look.peak_rss_bytes = None;
        }
        (!look.processes.is_empty()).then_some(look)
    }

    fn add(&mut self, process: &Process) -> Option<()> {
        let stat = process.stat().ok()?;
        let status = process.status().ok()?;
        self.cpu_user += in_time(stat.utime) + of_children(stat.cutime);
        self.cpu_system += in_time(stat.stime) + of_children(stat.cstime);
        self.rss_bytes += stat.rss * procfs::page_size();
        self.peak_rss_bytes = status.vmhwm.map(|kib| kib * 1024);
        self.threads += u64::try_from(stat.num_threads).unwrap_or(0);
        let tasks = process.tasks().ok()?.flatten();
        self.threads_seen.extend(tasks.filter_map(|task| {
            let status = task.status().ok()?;
            let run_delay = task.schedstat().ok().map(|stat| Duration::from_nanos(stat.run_delay));
            let seen = ThreadSeen {
                voluntary: status.voluntary_ctxt_switches?,
                involuntary: status.nonvoluntary_ctxt_switches?,
                run_delay,
            };
            Some((task.tid, seen))
        }));
        self.processes.push(Process::new(process.pid).ok()?);
        Some(())
    }
}

/// Time that programs used each core since the start of the system; empty if unknown.
fn used_cores() -> Vec<Duration> {
    let all = KernelStats::current().map(|stats| stats.cpu_time).unwrap_or_default();
    all.iter().map(|cpu| in_time(cpu.user + cpu.nice + cpu.system)).collect()
}

/// Time that programs used some cores between two snapshots; `None` for no cores.
fn busy(from: &[Duration], to: &[Duration], cores: &[usize]) -> Option<Duration> {
    let each = cores.iter().map(|core| Some(to.get(*core)?.saturating_sub(*from.get(*core)?)));
    each.collect::<Option<Vec<_>>>().filter(|each| !each.is_empty()).map(|each| each.iter().sum())
}

/// Proportional set size of processes; `None` if the kernel does not report it.
fn proportional_bytes(processes: &[Process]) -> Option<u64> {
    let mut bytes = 0;
    for process in processes {
        let Ok(rollup) = process.smaps_rollup() else {
            if process.stat().is_ok() {
                return None;
            }
            continue;
        };
        let pss = rollup.memory_map_rollup.iter().find_map(|map| map.extension.map.get("Pss"));
        bytes += pss.copied()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use std::sync::atomic::Ordering::Release;

    use bench_data::trial::CpuFault;
    use nix::time::ClockId;

    use super::*;

    #[test]
    fn the_clock_of_a_process_includes_threads_that_have_ended() {
        let me = ProcessSet::Process(std::process::id());
        let before = me.cpu().unwrap();
        let used = thread::spawn(|| {
            let own = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap());
            while own() < Duration::from_millis(20) {}
            own()
        });
        let used = used.join().unwrap();
        assert!(me.cpu().unwrap() - before >= used);
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let progress = Progress::default();
        let done = AtomicBool::new(false);
        let window = Duration::from_millis(200);
        let watched = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                watch(&ProcessSet::Process(std::process::id()), &progress, window, &done)
            });
            let now: Duration = ClockId::CLOCK_MONOTONIC.now().unwrap().into();
            let begin = now + Duration::from_millis(50);
            progress.window_ns.store(begin.as_nanos() as u64, Release);
            let mut spins = 0_u64;
            while !watcher.is_finished() {
                spins = std::hint::black_box(spins + 1);
            }
            watcher.join().unwrap()
        });
        let usage = watched.unwrap().within(window, &[]).unwrap();
        // On a busy machine the readings may be late.
        let is_busy = |cpu: ServerCpu| cpu.total > Duration::ZERO;
        assert!(usage.cpu.map_or_else(|fault| fault == CpuFault::WindowMissed, is_busy));
        assert!(
            usage.memory_bytes > 100_000 && usage.peak_rss_bytes.unwrap() >= usage.memory_bytes / 2
        );
        assert!(usage.threads >= 2);
    }

    #[test]
    fn processor_time_stays_when_the_process_that_used_it_ends() {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let script = format!("read go; sh -c '{busy}; :'; echo done; read end");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let look = || Snapshot::at(&ProcessSet::Trees(vec![child.id()]).processes()).unwrap();
        let before = look();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let after = Snapshot::at(&ProcessSet::Trees(vec![child.id()]).processes()).unwrap();
        let used = after.cpu.used.saturating_sub(before.cpu.used);
        assert!(used >= Duration::from_millis(20), "{used:?}");
        assert!(proportional_bytes(&after.processes).is_none_or(|bytes| bytes > 10_000));
        stdin.write_all(b"end\n").unwrap();
        child.wait().unwrap();
        assert!(Snapshot::at(&ProcessSet::Trees(vec![child.id()]).processes()).is_none());
    }

    #[test]
    fn a_server_that_waits_rests() {
        let mut child =
            Command::new("sh").args(["-c", "read end"]).stdin(Stdio::piped()).spawn().unwrap();
        let processes = ProcessSet::Trees(vec![child.id()]);
        let patience = Duration::from_secs(30);
        let is_seen = rests(&processes, patience, &AtomicBool::new(false));
        let stops = !rests(&processes, patience, &AtomicBool::new(true));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(is_seen && stops);
        assert!(!rests(&processes, patience, &AtomicBool::new(false)), "it has ended");
    }

    #[test]
    fn a_load_that_never_began_leaves_nothing() {
        let (progress, done) = (Progress::default(), AtomicBool::new(true));
        let second = Duration::from_secs(1);
        assert!(
            watch(&ProcessSet::Process(std::process::id()), &progress, second, &done).is_none()
        );
    }
}
