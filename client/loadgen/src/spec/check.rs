//! Checks of a specification before the load starts.

use std::net::SocketAddr;
use std::time::Duration;

use fileserver_proto::Wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::spec::{Arrival, ConnectionUse, Direction, LoadSpec, RaisedLimit, SpecError, ThinkTime};

/// Descriptors in addition to the connections: standard streams and those of the executable.
const DESCRIPTORS_APART: u64 = 32;

/// Upper bound of every time: sums of times and the clock must not overflow.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// End of a line.
pub(crate) const LINE_END: &str = "\r\n";

/// Lengths of a line: at least its end, at most what servers accept as one line.
const LINE_BYTES: std::ops::RangeInclusive<u64> = 2..=4096;

impl LoadSpec {
    /// Checks that the load can run: no zeros, at least one file, a wire that fits the direction,
    /// and enough descriptors and ports for the connections.
    ///
    /// # Errors
    /// The first obstacle found.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_numbers()?;
        let (wire, direction) = (self.wire, self.direction);
        match (wire, direction) {
            (Wire::Text, Direction::Echo | Direction::Download) => self.check_lines()?,
            (Wire::Text, Direction::Upload) | (Wire::Framed | Wire::Http, Direction::Echo) => {
                return Err(SpecError::Direction { wire, direction });
            }
            (Wire::Framed | Wire::Http, Direction::Download | Direction::Upload) => {}
        }
        self.check_cores()?;
        // The soft limit is raised before the load starts.
        let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        self.check_descriptors(self.descriptors(), limit)?;
        self.check_ports(local_ports())
    }

    /// Raises the process's soft limit of descriptors to the hard one if the load needs more than
    /// it allows. [`run`](crate::run) does the same. Returns the change, if any.
    pub fn raise_descriptor_limit(&self) -> Option<RaisedLimit> {
        let limit = getrlimit(Resource::Nofile);
        let from = limit.current.filter(|current| *current < self.descriptors())?;
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).ok()?;
        Some(RaisedLimit { from, to: limit.maximum.unwrap_or(u64::MAX) })
    }

    /// Descriptors that the process has open while the load runs.
    fn descriptors(&self) -> u64 {
        let own = open_descriptors() + DESCRIPTORS_APART;
        (self.connections as u64).saturating_add(2 * self.threads as u64).saturating_add(own)
    }

    fn check_lines(&self) -> Result<(), SpecError> {
        for file in &self.files {
            let size_bytes = match self.direction {
                Direction::Echo => file.size_bytes,
                Direction::Download | Direction::Upload => {
                    (file.name.len() + LINE_END.len()) as u64
                }
            };
            if !LINE_BYTES.contains(&size_bytes) {
                let (least, most) = (*LINE_BYTES.start(), *LINE_BYTES.end());
                return Err(SpecError::Line { size_bytes, least, most });
            }
            if self.direction == Direction::Download && file.name.contains(['\r', '\n']) {
                return Err(SpecError::LineBreak(file.name.clone()));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), SpecError> {
        if self.files.is_empty() {
            return Err(SpecError::NoFiles);
        }
        let rate_is_positive = match self.arrival {
            Arrival::Open { rate_per_s, .. } => rate_per_s > 0.0 && rate_per_s.is_finite(),
            Arrival::Closed { .. } => true,
        };
        let think_is_positive = match self.arrival {
            Arrival::Closed { think: ThinkTime::Constant(time) | ThinkTime::Exponential(time) } => {
                !time.is_zero()
            }
            Arrival::Closed { think: ThinkTime::None } | Arrival::Open { .. } => true,
        };
        for (is_positive, what) in [
            (self.connections > 0, "the number of connections"),
            (self.threads > 0, "the number of threads"),
            (!self.duration.is_zero(), "the duration"),
            (!self.timeout.is_zero(), "the timeout"),
            (rate_is_positive, "the rate"),
            (think_is_positive, "the think time"),
            (
                self.files.iter().all(|file| file.weight > 0.0 && file.weight.is_finite()),
                "the weight of each file",
            ),
        ] {
            if !is_positive {
                return Err(SpecError::Zero(what));
            }
        }
        for (time, what) in [
            (self.warm_up.max(self.longest_warm_up), "the warm-up"),
            (self.duration, "the duration"),
            (self.timeout, "the timeout"),
            (self.drain, "the time after the window"),
        ] {
            if time > LONGEST {
                return Err(SpecError::TooLong(what));
            }
        }
        Ok(())
    }

    fn check_cores(&self) -> Result<(), SpecError> {
        let Some(core) = self.cores.iter().copied().find(|core| !is_available(*core)) else {
            return Ok(());
        };
        let available = (0..CpuSet::MAX_CPU).filter(|core| is_available(*core)).collect();
        Err(SpecError::Core { core, available })
    }

    fn check_descriptors(&self, needed: u64, limit: u64) -> Result<(), SpecError> {
        if needed > limit {
            return Err(SpecError::Descriptors { connections: self.connections, needed, limit });
        }
        Ok(())
    }

    fn check_ports(&self, ports: u64) -> Result<(), SpecError> {
        let ports = if self.spreads_sources() { ports * u64::from(SOURCES) } else { ports };
        if self.connections as u64 > ports {
            return Err(SpecError::Ports { connections: self.connections, ports });
        }
        Ok(())
    }

    /// True if connections can use any source address of 127.0.0.0/8, each with its own ports.
    pub(crate) fn spreads_sources(&self) -> bool {
        match self.target {
            SocketAddr::V4(target) => target.ip().is_loopback(),
            SocketAddr::V6(_) => false,
        }
    }

    /// Number of source addresses of the connections; with 1 the system chooses the address. At
    /// most half of the ports of an address are used, so that the kernel finds a free one quickly.
    pub(crate) fn sources(&self) -> u32 {
        let keep_alive = self.connection_use == ConnectionUse::KeepAlive;
        if !self.spreads_sources() || !keep_alive {
            return 1;
        }
        let per_address = (local_ports() / 2).max(1);
        (self.connections as u64).div_ceil(per_address).min(u64::from(SOURCES)) as u32
    }
}

/// True if a thread of this process can be pinned to the core. The cores of the calling thread may be
/// fewer (`taskset`), so that only an attempt shows it.
fn is_available(core: usize) -> bool {
    let Ok(before) = sched_getaffinity(None) else { return true };
    if core >= CpuSet::MAX_CPU || before.is_set(core) {
        return core < CpuSet::MAX_CPU;
    }
    let mut alone = CpuSet::new();
    alone.set(core);
    let is_pinned = sched_setaffinity(None, &alone).is_ok();
    if is_pinned {
        // It was possible a moment ago.
        let _ = sched_setaffinity(None, &before);
    }
    is_pinned
}

/// Upper bound of source addresses: 127.0.0.1 to 127.0.0.200.
const SOURCES: u32 = 200;

/// Number of local ports that the system chooses from.
fn local_ports() -> u64 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    range.ok().and_then(|text| parse_port_range(&text)).unwrap_or(28_232)
}

fn parse_port_range(text: &str) -> Option<u64> {
    let mut bounds = text.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    Some((high + 1).saturating_sub(low))
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(3, |entries| entries.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Direction, EngineChoice, RequestFile, Verification};

    fn spec(target: &str, connections: usize) -> LoadSpec {
        LoadSpec {
            target: target.parse().unwrap(),
            wire: Wire::Http,
            direction: Direction::Download,
            files: vec![RequestFile::new("a", 1)],
            connections,
            threads: 2,
            engine: EngineChoice::Auto,
            cores: Vec::new(),
            connection_use: ConnectionUse::KeepAlive,
            arrival: Arrival::Closed { think: ThinkTime::None },
            warm_up: Duration::ZERO,
            longest_warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            drain: Duration::ZERO,
            verification: Verification::Off,
            seed: 0,
        }
    }

    #[test]
    fn lines_are_neither_too_short_nor_too_long() {
        for (size_bytes, is_right) in [(1, false), (2, true), (4096, true), (4097, false)] {
            let (wire, direction) = (Wire::Text, Direction::Echo);
            let mut spec = LoadSpec { wire, direction, ..spec("127.0.0.1:1", 1) };
            spec.files[0].size_bytes = size_bytes;
            assert_eq!(spec.check_lines().is_ok(), is_right, "{size_bytes}");
        }
    }

    #[test]
    fn a_core_that_is_not_there_is_refused_with_those_that_are() {
        let before = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|core| before.is_set(*core)).unwrap();
        for core in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
            let refused = LoadSpec { cores: vec![first, core], ..spec("127.0.0.1:1", 1) }.check();
            let refused = refused.unwrap_err();
            assert!(
                matches!(&refused, SpecError::Core { core: wrong, available }
                    if *wrong == core && available.first() == Some(&first)),
                "{refused:?}"
            );
        }
        assert!(LoadSpec { cores: vec![first], ..spec("127.0.0.1:1", 1) }.check().is_ok());
        assert!(sched_getaffinity(None).unwrap() == before, "the thread keeps its cores");
        let refused = SpecError::Core { core: 77, available: vec![0, 1, 2, 5, 8, 9] };
        assert_eq!(refused.to_string(), "core 77 is not available: choose from 0-2, 5, 8-9");
    }

    #[test]
    fn a_request_line_has_no_line_break() {
        for (name, is_right) in [("", true), ("what time is it?", true), ("a\nb", false)] {
            let files = vec![RequestFile::new(name, 0)];
            let spec = LoadSpec { wire: Wire::Text, files, ..spec("127.0.0.1:1", 1) };
            assert_eq!(spec.check_lines().is_ok(), is_right, "{name:?}");
        }
    }

    #[test]
    fn times_that_no_clock_can_reach_are_refused() {
        for time in [Duration::MAX, Duration::from_secs(u64::MAX), LONGEST * 2] {
            for spec in [
                LoadSpec { warm_up: time, ..spec("127.0.0.1:1", 1) },
                LoadSpec { longest_warm_up: time, ..spec("127.0.0.1:1", 1) },
                LoadSpec { duration: time, ..spec("127.0.0.1:1", 1) },
                LoadSpec { timeout: time, ..spec("127.0.0.1:1", 1) },
                LoadSpec { drain: time, ..spec("127.0.0.1:1", 1) },
            ] {
                assert!(matches!(spec.check(), Err(SpecError::TooLong(_))), "{spec:?}");
            }
        }
    }

    #[test]
    fn only_loopback_has_ports_beyond_one_address() {
        for (target, fits) in [("127.0.0.1:1", true), ("[::1]:1", false), ("192.0.2.1:1", false)] {
            assert_eq!(spec(target, 1_001).check_ports(1_000).is_ok(), fits, "{target}");
            assert!(spec(target, 1_000).check_ports(1_000).is_ok(), "{target}");
        }
        assert!(spec("127.0.0.1:1", 200_001).check_ports(1_000).is_err());
    }

    #[test]
    fn sources_are_spread_only_where_ports_run_short() {
        assert_eq!(spec("127.0.0.1:1", 10).sources(), 1);
        let many = local_ports() as usize;
        assert_eq!(spec("127.0.0.1:1", many).sources(), 2 + (many % 2) as u32);
        assert_eq!(spec("192.0.2.1:1", many).sources(), 1);
    }

    #[test]
    fn descriptors_are_counted_with_what_is_open_already() {
        let spec = spec("127.0.0.1:1", 100);
        assert!(spec.descriptors() > 100 + 2 * 2 + DESCRIPTORS_APART);
        assert!(spec.check_descriptors(146, 146).is_ok());
        assert!(matches!(
            spec.check_descriptors(146, 145),
            Err(SpecError::Descriptors { connections: 100, needed: 146, limit: 145 })
        ));
    }

    #[test]
    fn a_port_range_includes_both_ends() {
        assert_eq!(parse_port_range("32768\t60999\n"), Some(28_232));
        assert_eq!(parse_port_range("x"), None);
    }
}
