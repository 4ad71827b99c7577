//! Ends of the window of a running load, for those who observe it from outside.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use loadgen::Progress;
use nix::time::ClockId;

/// Interval between looks at the flag that ends an observation.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until the begin of the window of a load is known; `None` if it never began.
pub(super) fn begin_of_window(progress: &Progress, done: &AtomicBool) -> Option<Instant> {
    loop {
        let window_ns = progress.window_ns.load(Acquire);
        if window_ns > 0 {
            return instant_of(window_ns);
        }
        if done.load(Relaxed) {
            return None;
        }
        thread::sleep(INTERVAL / 25);
    }
}

/// Instant of a time of the monotonic clock, in nanoseconds.
fn instant_of(monotonic_ns: u64) -> Option<Instant> {
    let clock: Duration = ClockId::CLOCK_MONOTONIC.now().ok()?.into();
    let time = Duration::from_nanos(monotonic_ns);
    let now = Instant::now();
    if time >= clock { now.checked_add(time - clock) } else { now.checked_sub(clock - time) }
}

/// Sleeps until a time, or shortly after `done` is set.
pub(super) fn sleep_until(time: Instant, done: &AtomicBool) {
    loop {
        let rest = time.saturating_duration_since(Instant::now());
        if rest.is_zero() || done.load(Relaxed) {
            return;
        }
        thread::sleep(rest.min(INTERVAL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monotonic_ns() -> u64 {
        Duration::from(ClockId::CLOCK_MONOTONIC.now().unwrap()).as_nanos() as u64
    }

    #[test]
    fn a_time_of_the_clock_is_an_instant() {
        let (before, ns, after) = (Instant::now(), monotonic_ns(), Instant::now());
        let slack = Duration::from_millis(500);
        for (shift, sign) in [(0, 1), (5_000_000_000, 1), (5_000_000_000, -1)] {
            let moved = |instant: Instant| match sign {
                1 => instant + Duration::from_nanos(shift),
                _ => instant - Duration::from_nanos(shift),
            };
            let ns = if sign == 1 { ns + shift } else { ns - shift };
            let found = instant_of(ns).unwrap();
            assert!(found >= moved(before) - slack && found <= moved(after) + slack);
        }
    }
}
