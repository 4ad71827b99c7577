//! Counters of a server's processes and threads, read while it rests: with all connections open,
//! before the first request of a load and after its last reply. Reading takes some 50 µs per thread.
//! Under load it would slow down server or generator, most of all with many threads.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bench_data::trial::MemoryKind;
use loadgen::Rest;
use procfs::process::Process;

use crate::machine::cpu_clock::{in_time, of_children};
use crate::machine::process_tree::ProcessSet;

/// Counters before and after a load, as far as they were read.
#[derive(Debug, Default)]
pub(crate) struct AtRest {
    before: Option<Counters>,
    after: Option<(Counters, Memory)>,
}

impl AtRest {
    /// Reads the counters of a server.
    pub(crate) fn read(&mut self, rest: Rest, server: &ProcessSet) {
        let processes = server.processes();
        match rest {
            Rest::Before => self.before = Counters::of(&processes),
            Rest::After => {
                let memory = Memory::of(&processes);
                self.after = Counters::of(&processes).zip(memory);
            }
        }
    }

    /// Their growth over a load; `None` if they were not read at both ends.
    pub(super) fn growth(&self) -> Option<Growth> {
        let (before, (after, memory)) = (self.before.as_ref()?, self.after.as_ref()?);
        let mut growth = Growth {
            time: after.began.saturating_duration_since(before.ended),
            user: after.user.saturating_sub(before.user),
            system: after.system.saturating_sub(before.system),
            voluntary: 0,
            involuntary: 0,
            run_delay: Some(Duration::ZERO),
            processes: before.processes.max(after.processes),
            threads: before.threads.max(after.threads),
            memory: memory.clone(),
        };
        for (thread, now) in &after.of_threads {
            let then = before.of_threads.get(thread).copied().unwrap_or_default();
            growth.voluntary += now.voluntary.saturating_sub(then.voluntary);
            growth.involuntary += now.involuntary.saturating_sub(then.involuntary);
            growth.run_delay = growth
                .run_delay
                .zip(now.run_delay)
                .map(|(sum, delay)| sum + delay.saturating_sub(then.run_delay.unwrap_or_default()));
        }
        Some(growth)
    }
}

/// Growth of the counters over a load.
#[derive(Debug)]
pub(super) struct Growth {
    /// Time between the readings.
    pub(super) time: Duration,
    /// Processor time in user mode, in kernel ticks.
    pub(super) user: Duration,
    pub(super) system: Duration,
    /// Context switches of the threads that lived to the end.
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
    /// Time for which the same threads waited for a core; `None` if the kernel does not record it.
    pub(super) run_delay: Option<Duration>,
    /// The larger number of the two readings.
    pub(super) processes: u64,
    pub(super) threads: u64,
    /// At the end.
    pub(super) memory: Memory,
}

/// Memory of a server.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) bytes: u64,
    pub(super) kind: MemoryKind,
    /// Of a single process; the peaks of several need not coincide.
    pub(super) peak_rss_bytes: Option<u64>,
}

impl Memory {
    fn of(processes: &[Process]) -> Option<Self> {
        let rss =
            |process: &Process| process.stat().map_or(0, |stat| stat.rss * procfs::page_size());
        let (kind, peak_rss_bytes) = (MemoryKind::Rss, None);
        match processes {
            [] => None,
            [process] => {
                let peak_kib = process.status().ok()?.vmhwm;
                let peak_rss_bytes = peak_kib.map(|kib| kib * 1024);
                Some(Self { bytes: rss(process), kind, peak_rss_bytes })
            }
            several => Some(match proportional_bytes(several) {
                Some(bytes) => Self { bytes, kind: MemoryKind::Pss, peak_rss_bytes },
                None => Self { bytes: several.iter().map(rss).sum(), kind, peak_rss_bytes },
            }),
        }
    }
}

/// Counters of all processes and threads of a server.
#[derive(Debug)]
struct Counters {
    began: Instant,
    ended: Instant,
    user: Duration,
    system: Duration,
    processes: u64,
    threads: u64,
    of_threads: HashMap<i32, OfThread>,
}

/// Counters of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct OfThread {
    voluntary: u64,
    involuntary: u64,
    run_delay: Option<Duration>,
}

impl Counters {
    /// Reads the counters; `None` without a process, or if the first one has ended.
    fn of(processes: &[Process]) -> Option<Self> {
        let began = Instant::now();
        processes.first()?.stat().ok()?;
        let mut all = Self {
            began,
            ended: began,
            user: Duration::ZERO,
            system: Duration::ZERO,
            processes: 0,
            threads: 0,
            of_threads: HashMap::new(),
        };
        for process in processes {
            // Another one may have ended since it was listed.
            let _ = all.add(process);
        }
        all.ended = Instant::now();
        Some(all)
    }

    fn add(&mut self, process: &Process) -> Option<()> {
        let stat = process.stat().ok()?;
        self.user += in_time(stat.utime) + of_children(stat.cutime);
        self.system += in_time(stat.stime) + of_children(stat.cstime);
        self.processes += 1;
        self.threads += u64::try_from(stat.num_threads).unwrap_or(0);
        let tasks = process.tasks().ok()?.flatten();
        self.of_threads.extend(tasks.filter_map(|task| {
            let status = task.status().ok()?;
            let run_delay = task.schedstat().ok().map(|stat| Duration::from_nanos(stat.run_delay));
            let counters = OfThread {
                voluntary: status.voluntary_ctxt_switches?,
                involuntary: status.nonvoluntary_ctxt_switches?,
                run_delay,
            };
            Some((task.tid, counters))
        }));
        Some(())
    }
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
    use std::process::{Child, Command, Stdio};
    use std::thread;

    use super::*;

    /// A shell that runs `script` after a line of input, and ends after another.
    struct Shell(Child);

    impl Shell {
        fn new(script: &str) -> Self {
            let script = format!("read go; {script}; echo; read end");
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            Self(shell.spawn().unwrap())
        }

        fn run(&mut self) {
            self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
            let mut line = String::new();
            BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        }

        fn end(mut self) {
            drop(self.0.stdin.take());
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn the_growth_is_that_between_the_readings() {
        let mut shell = Shell::new("sleep 0.01; sleep 0.01; sleep 0.01");
        let server = ProcessSet::Process(shell.0.id());
        let mut at_rest = AtRest::default();
        at_rest.read(Rest::Before, &server);
        assert!(at_rest.growth().is_none());
        shell.run();
        at_rest.read(Rest::After, &server);
        let growth = at_rest.growth().unwrap();
        // It waited for each of three programs.
        assert!(growth.voluntary >= 3, "{growth:?}");
        assert!(growth.time >= Duration::from_millis(30), "{growth:?}");
        assert_eq!((growth.processes, growth.threads), (1, 1));
        assert!(growth.memory.bytes > 100_000 && growth.memory.kind == MemoryKind::Rss);
        assert!(growth.memory.peak_rss_bytes.unwrap() >= growth.memory.bytes / 2);
        shell.end();
        at_rest.read(Rest::After, &server);
        assert!(at_rest.growth().is_none(), "it has ended");
    }

    #[test]
    fn several_processes_share_their_memory() {
        let mut shell = Shell::new("sleep 60 & echo; read end; kill $!; :");
        let server = ProcessSet::Trees(vec![shell.0.id()]);
        shell.run();
        let mut at_rest = AtRest::default();
        at_rest.read(Rest::Before, &server);
        at_rest.read(Rest::After, &server);
        let growth = at_rest.growth().unwrap();
        assert_eq!((growth.processes, growth.threads), (2, 2));
        assert!(growth.memory.bytes > 10_000, "{growth:?}");
        assert_eq!(growth.memory.peak_rss_bytes, None);
        shell.run();
        shell.end();
    }

    #[test]
    fn threads_are_counted_with_their_switches() {
        let server = ProcessSet::Process(std::process::id());
        let mut at_rest = AtRest::default();
        at_rest.read(Rest::Before, &server);
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1));
        }
        at_rest.read(Rest::After, &server);
        let growth = at_rest.growth().unwrap();
        assert!(growth.voluntary >= 20 && growth.threads >= 1, "{growth:?}");
    }
}
