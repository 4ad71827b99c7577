//! Wake-up delay of idle cores.

use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

use bench_data::trial::WakeUpDelay;
use hdrhistogram::Histogram;
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};

use crate::machine::cores::Pinned;

/// Time between two timers: the core goes idle in between, and a second has enough of them for a
/// 99.9th percentile.
const PERIOD: Duration = Duration::from_micros(250);

/// Measures for a time on the given cores (none: on any); `None` if the thread cannot be started or
/// pinned there.
pub(crate) fn measure(cores: &[usize], time: Duration) -> Option<WakeUpDelay> {
    let cores = cores.to_vec();
    // A thread of its own, since the timer slack is a property of the thread.
    let delays = thread::Builder::new().name("wake-up".into()).spawn(move || delays(&cores, time));
    let delays = delays.ok()?.join().ok().flatten()?;
    let at = |percentile| Duration::from_nanos(delays.value_at_percentile(percentile));
    Some(WakeUpDelay {
        samples: delays.len(),
        p50: at(50.0),
        p99: at(99.0),
        p999: at(99.9),
        max: Duration::from_nanos(delays.max()),
    })
}

/// Delays in nanoseconds; `None` if there are none.
fn delays(cores: &[usize], time: Duration) -> Option<Histogram<u64>> {
    let _pinned = Pinned::to(cores).ok()?;
    set_current_timer_slack(NonZeroU64::new(1)).ok()?;
    let mut delays = Histogram::new(3).expect("three digits are allowed");
    let end = now() + time;
    let mut due = now() + PERIOD;
    while due < end {
        let at =
            Timespec { tv_sec: due.as_secs().cast_signed(), tv_nsec: due.subsec_nanos().into() };
        // An interrupted sleep is no delay.
        if clock_nanosleep_absolute(ClockId::Monotonic, &at).is_ok() {
            delays.record(now().saturating_sub(due).as_nanos() as u64).ok()?;
        }
        // A timer that a late one has passed is skipped.
        due = (due + PERIOD).max(now() + PERIOD / 2);
    }
    (!delays.is_empty()).then_some(delays)
}

fn now() -> Duration {
    let now = clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::cores::Cores;

    #[test]
    fn delays_are_ordered_and_counted() {
        let delay = measure(&Cores::apart(1).server, Duration::from_millis(50)).unwrap();
        assert!(delay.samples > 0 && delay.samples <= 200, "{delay:?}");
        assert!(delay.p50 > Duration::ZERO, "{delay:?}");
        assert!(delay.p50 <= delay.p99 && delay.p99 <= delay.p999 && delay.p999 <= delay.max);
    }

    #[test]
    fn a_core_that_does_not_exist_has_none() {
        assert_eq!(measure(&[rustix::thread::CpuSet::MAX_CPU - 1], Duration::from_millis(5)), None);
    }
}
