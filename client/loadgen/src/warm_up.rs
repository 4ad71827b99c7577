//! Warm-up: it lasts as long as planned, and longer while the rate of replies still changes.
//!
//! The threads count replies in equal parts of the warm-up. When the last seven counts show no
//! trend, the window begins one part later, so that all threads and observers learn it in time. The
//! replies decide nothing but the length of the warm-up, which has a limit.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};

use crate::clock::duration_ns;
use crate::spec::LoadSpec;

/// Parts of the planned warm-up.
const PARTS: usize = 8;
/// Counts that show whether the rate changes: those of all planned parts but the last.
const COUNTS: usize = PARTS - 1;
/// Shortest part. A warm-up with shorter ones lasts as long as planned: its counts say little, and
/// observers would learn too late when the window begins.
const SHORTEST_PART_NS: u64 = 10_000_000;
/// Most parts of a prolonged warm-up.
const MOST_PARTS: usize = 4096;
/// Replies per part below which the counts cannot show a change.
const LEAST_REPLIES: u64 = 10;
/// Change from the first to the last count that does not matter, as a share of their mean: that of
/// equivalent servers.
const TREND_SHARE: f64 = 0.05;
/// Quantile 0.975 of Student's t distribution with COUNTS − 2 = 5 degrees of freedom (NIST/SEMATECH
/// e-Handbook of Statistical Methods, table 1.3.6.7.2).
const T_975: f64 = 2.571;

/// End of the warm-up, common to all threads.
#[derive(Debug)]
pub(crate) struct WarmUp {
    threads: usize,
    planned_ns: u64,
    /// Replies in each part but the last possible one; empty if the length is fixed.
    parts: Vec<Part>,
    /// Start of the window; 0 until it is known.
    window_ns: AtomicU64,
    /// [`Rate`] at the decision, as a number.
    rate: AtomicU8,
}

/// Replies in a part.
#[derive(Debug, Default)]
struct Part {
    replies: AtomicU64,
    /// Threads that have reported theirs.
    threads: AtomicUsize,
}

/// Course of the rate of replies at the end of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rate {
    /// Not known: too few replies, or too short a warm-up.
    Unknown = 0,
    Steady = 1,
    Changing = 2,
}

impl WarmUp {
    pub(crate) fn new(spec: &LoadSpec, threads: usize) -> Self {
        let planned_ns = duration_ns(spec.warm_up);
        let part_ns = planned_ns / PARTS as u64;
        let most = match part_ns {
            0..SHORTEST_PART_NS => 0,
            _ => {
                (duration_ns(spec.longest_warm_up) / part_ns).clamp(PARTS as u64, MOST_PARTS as u64)
            }
        };
        Self {
            threads,
            planned_ns,
            parts: (1..most).map(|_| Part::default()).collect(),
            window_ns: AtomicU64::new(0),
            rate: AtomicU8::new(Rate::Unknown as u8),
        }
    }

    /// Begins at `start_ns`; each thread may call it.
    pub(crate) fn begin(&self, start_ns: u64) {
        if self.parts.is_empty() {
            self.window_ns.store(start_ns.saturating_add(self.planned_ns).max(1), Release);
        }
    }

    /// Start of the window, if it is known.
    #[inline]
    pub(crate) fn window_ns(&self) -> Option<u64> {
        Some(self.window_ns.load(Acquire)).filter(|ns| *ns > 0)
    }

    /// End of a part of the warm-up that began at `start_ns`; `None` if no count is needed of it.
    pub(crate) fn part_end_ns(&self, start_ns: u64, part: usize) -> Option<u64> {
        (part < self.parts.len()).then(|| self.end_ns(start_ns, part))
    }

    fn end_ns(&self, start_ns: u64, part: usize) -> u64 {
        let (parts, ended) = (PARTS as u64, part as u64 + 1);
        let whole = (self.planned_ns / parts).saturating_mul(ended);
        let rest = self.planned_ns % parts * ended / parts;
        start_ns.saturating_add(whole).saturating_add(rest)
    }

    /// Adds the replies of a thread in a part that has ended. Every thread reports every part once, in
    /// order, until the window is known.
    pub(crate) fn report(&self, start_ns: u64, part: usize, replies: u64, now_ns: u64) {
        let this = &self.parts[part];
        this.replies.fetch_add(replies, Relaxed);
        let is_last_thread = this.threads.fetch_add(1, AcqRel) + 1 == self.threads;
        if !is_last_thread || part + 1 < COUNTS || self.window_ns().is_some() {
            return;
        }
        let counts = &self.parts[part + 1 - COUNTS..=part];
        let counts: [u64; COUNTS] = std::array::from_fn(|n| counts[n].replies.load(Relaxed));
        let rate = rate(&counts);
        if rate == Rate::Changing && part + 1 < self.parts.len() {
            return;
        }
        self.rate.store(rate as u8, Relaxed);
        let next_ns = self.end_ns(start_ns, part + 1);
        // A thread that was delayed may report after that time.
        let window_ns = if next_ns > now_ns { next_ns } else { now_ns + SHORTEST_PART_NS };
        self.window_ns.store(window_ns, Release);
    }

    /// Returns true if the rate was steady when the window began and false if it still changed; `None` if
    /// it is not known.
    pub(crate) fn is_steady(&self) -> Option<bool> {
        match self.rate.load(Relaxed) {
            rate if rate == Rate::Steady as u8 => Some(true),
            rate if rate == Rate::Changing as u8 => Some(false),
            _ => None,
        }
    }
}

/// Course of consecutive counts: they change if the slope of their least-squares line differs from 0
/// (t test at the level of 5 %) and the line changes by more than [`TREND_SHARE`].
fn rate(counts: &[u64; COUNTS]) -> Rate {
    let n = COUNTS as f64;
    let total: u64 = counts.iter().sum();
    if total < LEAST_REPLIES * COUNTS as u64 {
        return Rate::Unknown;
    }
    let mean = total as f64 / n;
    let middle = (n - 1.0) / 2.0;
    let deviations =
        || counts.iter().enumerate().map(|(x, y)| (x as f64 - middle, *y as f64 - mean));
    let sum_xx: f64 = deviations().map(|(x, _)| x * x).sum();
    let slope = deviations().map(|(x, y)| x * y).sum::<f64>() / sum_xx;
    let residual: f64 = deviations().map(|(x, y)| (y - slope * x).powi(2)).sum();
    let error = (residual / (n - 2.0) / sum_xx).sqrt();
    let change = (slope * (n - 1.0)).abs() / mean;
    if change > TREND_SHARE && slope.abs() > T_975 * error { Rate::Changing } else { Rate::Steady }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    /// Counts around `mean` with a normal error of a share of it, which change by a share of it.
    fn counts(random: &mut Rng, mean: f64, error: f64, change: f64) -> [u64; COUNTS] {
        std::array::from_fn(|n| {
            let angle = std::f64::consts::TAU * random.f64();
            let normal = (-2.0 * random.f64().max(1e-12).ln()).sqrt() * angle.cos();
            let trend = change * (n as f64 / (COUNTS as f64 - 1.0) - 0.5);
            (mean * (1.0 + error * normal + trend)).round() as u64
        })
    }

    fn share_changing(mean: f64, error: f64, change: f64) -> f64 {
        let mut random = Rng::with_seed(7);
        let runs = 4_000;
        let changing = (0..runs)
            .filter(|_| rate(&counts(&mut random, mean, error, change)) == Rate::Changing)
            .count();
        f64::from(changing as u32) / f64::from(runs)
    }

    #[test]
    fn a_steady_rate_is_seldom_told_to_change_and_a_changing_one_mostly() {
        for (mean, error) in [(4_000.0, 0.03), (4_000.0, 0.1), (50.0, 0.14)] {
            let share = share_changing(mean, error, 0.0);
            assert!(share <= 0.06, "{share} at an error of {error}");
        }
        assert!(share_changing(4_000.0, 0.005, 0.03) < 0.01, "too small to matter");
        for (error, change, least) in [(0.01, 0.1, 0.95), (0.03, 0.2, 0.9), (0.03, -0.3, 0.99)] {
            let share = share_changing(4_000.0, error, change);
            assert!(share >= least, "{share} at an error of {error} and a change of {change}");
        }
    }

    #[test]
    fn few_replies_say_nothing() {
        assert_eq!(rate(&[0; COUNTS]), Rate::Unknown);
        assert_eq!(rate(&[0, 1, 2, 3, 4, 5, 6]), Rate::Unknown);
        assert_eq!(rate(&[100; COUNTS]), Rate::Steady);
        assert_eq!(rate(&[70, 80, 90, 100, 110, 120, 130]), Rate::Changing);
        assert_eq!(rate(&[10_000, 10_050, 10_100, 10_150, 10_200, 10_250, 10_300]), Rate::Steady);
    }
}
