//! Disturbances of a trial by the machine: steal time and clock steps.

use bench_data::trial::Disturbance;
use std::time::{Duration, Instant, SystemTime};

use procfs::{CurrentSI, KernelStats};

use crate::machine::cores::Cores;

/// Observation of disturbances since its creation.
#[derive(Debug)]
pub(crate) struct Watch<'c> {
    cores: &'c Cores,
    steal: Option<Duration>,
    wall: SystemTime,
    monotonic: Instant,
}

impl<'c> Watch<'c> {
    /// Begins the observation of the cores of a trial; of all cores without pinning.
    pub(crate) fn begin(cores: &'c Cores) -> Self {
        let steal = stolen(cores).map(|(time, _)| time);
        Self { cores, steal, wall: SystemTime::now(), monotonic: Instant::now() }
    }

    /// Disturbance since the beginning.
    pub(crate) fn end(self) -> Disturbance {
        let (wall, elapsed) = (SystemTime::now(), self.monotonic.elapsed());
        let step = match wall.duration_since(self.wall) {
            Ok(passed) => passed.abs_diff(elapsed),
            Err(backwards) => backwards.duration() + elapsed,
        };
        let steal_share =
            self.steal.zip(stolen(self.cores)).and_then(|(before, (after, cores))| {
                let available = elapsed.as_secs_f64() * cores as f64;
                let stolen = after.saturating_sub(before).as_secs_f64();
                (available > 0.0).then(|| (stolen / available).min(1.0))
            });
        Disturbance { steal_share, clock_step: step, ..Disturbance::default() }
    }
}

/// Steal time of the cores since the start of the system, and their number.
fn stolen(cores: &Cores) -> Option<(Duration, usize)> {
    let all = KernelStats::current().ok()?.cpu_time;
    let is_wanted = |core: usize| {
        cores.server.is_empty() || cores.server.contains(&core) || cores.generator.contains(&core)
    };
    let wanted = all.iter().enumerate().filter(|(core, _)| is_wanted(*core));
    let each: Option<Vec<_>> = wanted.map(|(_, cpu)| cpu.steal_duration()).collect();
    each.filter(|each| !each.is_empty()).map(|each| (each.iter().sum(), each.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::trial::Disturbance;

    #[test]
    fn clocks_that_agree_are_no_disturbance() {
        let cores = Cores::default();
        let watch = Watch::begin(&cores);
        let Disturbance { steal_share, clock_step, .. } = watch.end();
        assert!(clock_step < Duration::from_secs(1), "{clock_step:?}");
        assert!(steal_share.is_none_or(|share| (0.0..=1.0).contains(&share)));
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_either_way() {
        let cores = Cores::default();
        let hour = Duration::from_secs(3600);
        for wall in [SystemTime::now() - hour, SystemTime::now() + hour] {
            let step = Watch { wall, ..Watch::begin(&cores) }.end().clock_step;
            assert!(step.abs_diff(hour) < Duration::from_secs(1), "{step:?}");
        }
    }
}
