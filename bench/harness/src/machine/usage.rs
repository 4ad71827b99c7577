//! Resource usage of a server, with all its processes, from /proc.

use bench_data::trial::{ServerCpu, ServerUsage};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use loadgen::Progress;
use procfs::process::Process;
use procfs::{CurrentSI, KernelStats};

use crate::machine::at_rest::AtRest;
use crate::machine::cpu_clock::{CpuReading, cpu_within, in_time};
use crate::machine::process_tree::ProcessSet;
use crate::machine::window::{begin_of_window, sleep_until};

/// Sampling interval of memory and threads: short enough for a window of 100 ms, long enough for a
/// negligible share of a core.
const INTERVAL: Duration = Duration::from_millis(20);

/// Time from the listing of a server's processes to the window.
const LISTING: Duration = Duration::from_millis(10);

/// Most processes that are listed again within the window.
const MOST_LISTED_AGAIN: usize = 64;

/// Observations of a server within a window.
#[derive(Debug)]
pub struct Watched {
    from: Edge,
    to: Edge,
    /// Maximum resident memory and number of threads of a single process.
    single: Option<(u64, u64)>,
}

/// Readings at an edge of a window.
#[derive(Debug)]
struct Edge {
    cpu: CpuReading,
    /// Time that each core of the machine was used by programs, interrupts excluded.
    cores: Vec<Duration>,
}

impl Edge {
    /// Reads the clocks; `None` without a process, or if the first one has ended.
    fn of(processes: &[Process]) -> Option<Self> {
        Some(Self { cpu: CpuReading::of(processes)?, cores: used_cores() })
    }
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
    let mut listed = processes.processes();
    sleep_until(begin, done);
    let from = Edge::of(&listed)?;
    let end = begin + window;
    let mut single = None;
    if let [process] = &listed[..] {
        // Sampling every process of a tree this often would disturb the measurement.
        let (mut rss_bytes, mut threads) = (0, 0);
        loop {
            let stat = process.stat().ok()?;
            rss_bytes = rss_bytes.max(stat.rss * procfs::page_size());
            threads = threads.max(u64::try_from(stat.num_threads).unwrap_or(0));
            let rest = end.saturating_duration_since(Instant::now());
            if rest <= INTERVAL || done.load(Relaxed) {
                break;
            }
            thread::sleep(INTERVAL);
        }
        single = Some((rss_bytes, threads));
    }
    if listed.len() <= MOST_LISTED_AGAIN && matches!(processes, ProcessSet::Trees(_)) {
        // It may have started processes within the window.
        sleep_until(end.checked_sub(LISTING)?, done);
        listed = processes.processes();
    }
    sleep_until(end, done);
    let to = Edge::of(&listed)?;
    // A shorter part is the tail of a window noticed too late, or an interrupted window.
    let seen = to.cpu.at.duration_since(from.cpu.at);
    (seen >= window / 3).then_some(Watched { from, to, single })
}

/// Waits until a server is idle: below a fifth of a core for a while. Returns false if it is not idle
/// within `patience`, `stop` is set, or its processes are not known.
pub fn rests(processes: &ProcessSet, patience: Duration, stop: &AtomicBool) -> bool {
    let deadline = Instant::now() + patience;
    let mut before = CpuReading::of(&processes.processes());
    while Instant::now() < deadline && !stop.load(Relaxed) {
        thread::sleep(INTERVAL * 5);
        let now = CpuReading::of(&processes.processes());
        let (Some(from), Some(to)) = (before, now) else { return false };
        let used = to.used.saturating_sub(from.used);
        if used < to.at.duration_since(from.at) / 5 {
            return true;
        }
        before = now;
    }
    false
}

impl Watched {
    /// Usage within a window of this length; `cores` are those that the server is pinned to. Counters that were read
    /// at rest are scaled to the window. `None` if they were not read.
    pub(crate) fn within(
        &self,
        window: Duration,
        cores: &[usize],
        at_rest: &AtRest,
    ) -> Option<ServerUsage> {
        let growth = at_rest.growth()?;
        let (from, to) = (&self.from, &self.to);
        let of_load = window.as_secs_f64() / growth.time.as_secs_f64();
        let of_seen = window.as_secs_f64() / to.cpu.at.duration_since(from.cpu.at).as_secs_f64();
        if !of_load.is_finite() || !of_seen.is_finite() {
            return None;
        }
        let scaled = |count: u64| (count as f64 * of_load).round() as u64;
        let used = to.cpu.used.saturating_sub(from.cpu.used);
        let foreign_cpu = busy(&from.cores, &to.cores, cores).map(|all| {
            // Ticks of the kernel: both ends of the interval may be off by one.
            all.saturating_sub(used).saturating_sub(2 * in_time(1))
        });
        let available = if cores.is_empty() { from.cores.len() } else { cores.len() };
        let ticks = growth.user + growth.system;
        let part = |part: Duration, total: Duration| match ticks.is_zero() {
            true => Duration::ZERO,
            false => total.mul_f64(part.div_duration_f64(ticks)),
        };
        let memory = growth.memory;
        let (rss_bytes, threads) = self.single.unwrap_or_default();
        Some(ServerUsage {
            cpu: cpu_within(window, available, &from.cpu, &to.cpu).map(|total| ServerCpu {
                total,
                user: part(growth.user, total),
                system: part(growth.system, total),
            }),
            memory_bytes: memory.bytes.max(rss_bytes),
            memory_kind: memory.kind,
            peak_rss_bytes: memory.peak_rss_bytes,
            processes: growth.processes,
            threads: growth.threads.max(threads),
            voluntary_switches: scaled(growth.voluntary),
            involuntary_switches: scaled(growth.involuntary),
            run_delay: growth.run_delay.map(|delay| delay.mul_f64(of_load)),
            foreign_cpu: foreign_cpu.map(|cpu| cpu.mul_f64(of_seen)),
        })
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use std::sync::atomic::Ordering::Release;

    use bench_data::trial::CpuFault;
    use loadgen::Rest;
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
        let me = ProcessSet::Process(std::process::id());
        let mut at_rest = AtRest::default();
        at_rest.read(Rest::Before, &me);
        let watched = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&me, &progress, window, &done));
            let now: Duration = ClockId::CLOCK_MONOTONIC.now().unwrap().into();
            let begin = now + Duration::from_millis(50);
            progress.window_ns.store(begin.as_nanos() as u64, Release);
            let mut spins = 0_u64;
            while !watcher.is_finished() {
                spins = std::hint::black_box(spins + 1);
            }
            watcher.join().unwrap()
        });
        assert!(watched.as_ref().unwrap().within(window, &[], &at_rest).is_none());
        at_rest.read(Rest::After, &me);
        let usage = watched.unwrap().within(window, &[], &at_rest).unwrap();
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
        let tree = ProcessSet::Trees(vec![child.id()]);
        let before = tree.cpu().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let used = tree.cpu().unwrap().saturating_sub(before);
        assert!(used >= Duration::from_millis(20), "{used:?}");
        stdin.write_all(b"end\n").unwrap();
        child.wait().unwrap();
        assert_eq!(tree.cpu(), None);
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
