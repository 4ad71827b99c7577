//! Clock of all sources of a picture: the kernel's monotonic clock, in nanoseconds.

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Nsecs, Secs, Timespec, clock_gettime};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub(super) const MILLISECOND: u64 = 1_000_000;

/// Longest sleep without a look at the caller's condition.
const LOOK: u64 = 50 * MILLISECOND;

/// Current time.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // The clock starts with the machine, so that neither part is negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Sleeps until a time. Returns false, before that time, once `is_stopped` returns true.
pub(super) fn sleep_until(at: u64, is_stopped: impl Fn() -> bool) -> bool {
    loop {
        if is_stopped() {
            return false;
        }
        let now = now();
        if now >= at {
            return true;
        }
        let until = at.min(now + LOOK);
        let time =
            Timespec { tv_sec: (until / SECOND) as Secs, tv_nsec: (until % SECOND) as Nsecs };
        // After a signal the loop sleeps again.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &time);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_sleep_ends_at_its_time_or_when_it_is_stopped() {
        let (instant, begun) = (Instant::now(), now());
        assert!(sleep_until(begun + 3 * MILLISECOND, || false));
        assert!(now() >= begun + 3 * MILLISECOND);
        assert!(instant.elapsed() >= Duration::from_millis(3), "both are the same clock");
        assert!(!sleep_until(u64::MAX / 2, || true));
    }
}
