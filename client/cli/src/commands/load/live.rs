//! Live line of a running load on a terminal.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use loadgen::{LoadSpec, Progress};

/// Interval between updates.
const TICK: Duration = Duration::from_millis(250);
/// Number of ticks over which the rate is averaged.
const RATE_TICKS: usize = 4;

/// Shows the progress of a load on a terminal while `run` runs it.
pub(super) fn watch<T>(spec: &LoadSpec, run: impl FnOnce(Option<&Progress>) -> T) -> T {
    if !io::stderr().is_terminal() {
        return run(None);
    }
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let (running, ended) = channel();
        let progress = &progress;
        scope.spawn(move || draw(spec, progress, &ended));
        let result = run(Some(progress));
        drop(running);
        result
    })
}

/// Draws until the other end is dropped, then clears the line.
fn draw(spec: &LoadSpec, progress: &Progress, ended: &Receiver<()>) {
    let total = spec.warm_up.saturating_add(spec.duration);
    let bar = ProgressBar::new(total.as_millis() as u64);
    let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}");
    bar.set_style(style.expect("the template is valid"));
    let mut samples = VecDeque::with_capacity(RATE_TICKS + 1);
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let elapsed = Duration::from_nanos(progress.elapsed_ns.load(Relaxed));
        let now = (elapsed, progress.requests.load(Relaxed));
        samples.push_back(now);
        if samples.len() > RATE_TICKS + 1 {
            samples.pop_front();
        }
        bar.set_prefix(if elapsed.is_zero() {
            "connecting"
        } else if elapsed < spec.warm_up {
            "warming up"
        } else if elapsed < total {
            "measuring"
        } else {
            "last replies"
        });
        bar.set_position(elapsed.min(total).as_millis() as u64);
        bar.set_message(format!(
            "{:.0} requests/s  {} errors  {:.0} s left",
            rate_per_s(samples.front().copied().unwrap_or(now), now),
            progress.errors.load(Relaxed),
            total.saturating_sub(elapsed).as_secs_f64().ceil()
        ));
    }
    bar.finish_and_clear();
}

/// Requests per second between two samples of time and count.
fn rate_per_s(earlier: (Duration, u64), now: (Duration, u64)) -> f64 {
    let seconds = now.0.saturating_sub(earlier.0).as_secs_f64();
    if seconds > 0.0 { now.1.saturating_sub(earlier.1) as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_difference_over_time() {
        let at = |millis, count| (Duration::from_millis(millis), count);
        assert_eq!(rate_per_s(at(500, 100), at(1_500, 400)), 300.0);
        assert_eq!(rate_per_s(at(0, 0), at(0, 0)), 0.0);
    }
}
