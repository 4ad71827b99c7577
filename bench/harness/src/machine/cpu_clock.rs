//! Processor time of a server by the clocks of its processes.

use std::time::{Duration, Instant};

use bench_data::record::evidence::CORES_SHARE;
use bench_data::trial::CpuFault;
use nix::time::ClockId;
use procfs::process::Process;

/// Maximum deviation of the interval between two readings from the window, as a share of the window.
const MISSED_SHARE: f64 = 0.1;

/// Processor time of a server so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuReading {
    /// Time at which the reading began.
    pub(super) at: Instant,
    /// Duration of the reading.
    took: Duration,
    /// Processor time of all processes and their reaped children, so that it never decreases when a
    /// process ends.
    pub(super) used: Duration,
}

impl CpuReading {
    /// Reads the clocks of processes; `None` without a process, or if the first one has ended.
    pub(super) fn of(processes: &[Process]) -> Option<Self> {
        let at = Instant::now();
        let clocks: Vec<Option<Duration>> = processes.iter().map(clock).collect();
        let took = at.elapsed();
        (*clocks.first()?)?;
        let used = processes.iter().zip(clocks).filter_map(|(process, clock)| {
            // In kernel ticks, so that the order of the readings does not matter.
            let of_children = process
                .stat()
                .map_or(Duration::ZERO, |stat| of_children(stat.cutime) + of_children(stat.cstime));
            Some(clock? + of_children)
        });
        Some(Self { at, took, used: used.sum() })
    }
}

/// Processor time of all threads of a process, also of those that have ended.
fn clock(process: &Process) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(process.pid)).ok()?;
    Some(clock.now().ok()?.into())
}

/// Duration of a count of kernel ticks, which the kernel gives with a sign.
pub(super) fn of_children(ticks: i64) -> Duration {
    in_time(u64::try_from(ticks).unwrap_or(0))
}

/// Processor time within a window on some cores from readings at its ends, if they are valid.
pub(super) fn cpu_within(
    window: Duration,
    cores: usize,
    from: &CpuReading,
    to: &CpuReading,
) -> Result<Duration, CpuFault> {
    let seen = to.at.saturating_duration_since(from.at);
    let off = seen.abs_diff(window).max(from.took).max(to.took);
    if seen.is_zero() || off > window.mul_f64(MISSED_SHARE) {
        return Err(CpuFault::WindowMissed);
    }
    let used = to.used.saturating_sub(from.used);
    let factor = window.div_duration_f64(seen);
    if cores > 0 && used > seen.mul_f64(CORES_SHARE * cores as f64) {
        return Err(CpuFault::MoreThanCores);
    }
    Ok(used.mul_f64(factor))
}

/// Duration of kernel ticks.
pub(super) fn in_time(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_that_cannot_be_is_void() {
        let at = Instant::now();
        let ms = Duration::from_millis;
        let reading =
            |at: Instant, took_ms, used_ms| CpuReading { at, took: ms(took_ms), used: ms(used_ms) };
        let window = ms(1_000);
        let from = reading(at, 0, 5_000);
        let within = |cores, from: &CpuReading, to_ms, took_ms, used_ms| {
            cpu_within(window, cores, from, &reading(at + ms(to_ms), took_ms, used_ms))
        };
        assert_eq!(within(1, &from, 1_000, 0, 5_600), Ok(ms(600)));
        // Scaled from the interval to the window.
        assert_eq!(within(1, &from, 1_100, 0, 5_550), Ok(ms(500)));
        let missed = Err(CpuFault::WindowMissed);
        assert_eq!(within(1, &from, 1_101, 0, 5_550), missed);
        assert_eq!(within(1, &from, 899, 0, 5_550), missed);
        assert_eq!(within(1, &from, 0, 0, 5_000), missed);
        // A reading that takes long is not at the end of the window.
        assert_eq!(within(1, &from, 1_000, 101, 5_600), missed);
        assert_eq!(within(1, &reading(at, 101, 5_000), 1_000, 0, 5_600), missed);
        assert_eq!(within(1, &from, 1_000, 0, 6_030), Ok(ms(1_030)));
        assert_eq!(within(1, &from, 1_000, 0, 6_031), Err(CpuFault::MoreThanCores));
        assert_eq!(within(2, &from, 1_000, 0, 7_060), Ok(ms(2_060)));
        assert_eq!(within(2, &from, 1_000, 0, 7_061), Err(CpuFault::MoreThanCores));
    }
}
