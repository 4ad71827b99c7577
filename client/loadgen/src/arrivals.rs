//! Arrival process of an open loop.

use fastrand::Rng;

use crate::spec::{Arrival, Pacing};

/// Time before an arrival during which the thread polls instead of sleeping. A halted virtual
/// processor needed 1 to 3 ms to resume in one sleep of a hundred.
pub(crate) const SPIN_NS: u64 = 4_000_000;

/// True if threads poll for arrivals for half of the time or more.
pub(crate) fn busy_polling(arrival: Arrival, threads: usize) -> bool {
    match arrival {
        Arrival::Open { rate_per_s, .. } => {
            rate_per_s * 2.0 * SPIN_NS as f64 >= 1e9 * threads as f64
        }
        Arrival::Closed { .. } => false,
    }
}

/// Arrivals of one thread in order. The next one is always known; the others follow from it.
///
/// A request that waits for a free connection waits here: the sequence is not advanced. No request
/// is dropped, and a queue of any length needs no memory.
#[derive(Debug)]
pub(crate) struct Arrivals {
    next_ns: u64,
    taken: u64,
    start_ns: u64,
    since_start_ns: f64,
    interval_ns: f64,
    pacing: Pacing,
    rng: Rng,
}

impl Arrivals {
    /// Arrivals from `start_ns` on. `offset` in 0..1 shifts constant arrivals by that fraction of
    /// the interval, so that the arrivals of several threads interleave.
    pub(crate) fn new(
        start_ns: u64,
        rate_per_s: f64,
        pacing: Pacing,
        offset: f64,
        rng: Rng,
    ) -> Self {
        let interval_ns = 1e9 / rate_per_s;
        let start_ns = start_ns + (offset * interval_ns) as u64;
        let mut arrivals = Self {
            next_ns: start_ns,
            taken: 0,
            start_ns,
            since_start_ns: 0.0,
            interval_ns,
            pacing,
            rng,
        };
        if pacing == Pacing::Poisson {
            arrivals.advance();
        }
        arrivals
    }

    /// Time when the next request is due.
    #[inline]
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Takes the next request if it is due by `now_ns`; returns the time when it was due.
    #[inline]
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        if self.next_ns > now_ns {
            return None;
        }
        let due_ns = self.next_ns;
        self.taken += 1;
        self.advance();
        Some(due_ns)
    }

    fn advance(&mut self) {
        self.since_start_ns = match self.pacing {
            // Multiplied, not summed, so that rounding errors do not accumulate.
            Pacing::Constant => self.taken as f64 * self.interval_ns,
            Pacing::Poisson => self.since_start_ns - (1.0 - self.rng.f64()).ln() * self.interval_ns,
        };
        self.next_ns = self.start_ns + self.since_start_ns as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(pacing: Pacing) -> Vec<u64> {
        let mut arrivals = Arrivals::new(1_000, 1e6, pacing, 0.5, Rng::with_seed(3));
        std::iter::from_fn(|| arrivals.take_due(10_001_000)).collect()
    }

    #[test]
    fn constant_arrivals_keep_their_distance() {
        let due = arrivals(Pacing::Constant);
        assert_eq!(due.len(), 10_000);
        assert_eq!(due[0], 1_500);
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == 1_000));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_independent_users() {
        let due = arrivals(Pacing::Poisson);
        assert!((9_600..10_400).contains(&due.len()), "{}", due.len());
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let variation = variance.sqrt() / mean;
        assert!((0.95..1.05).contains(&variation), "{variation}");
    }

    #[test]
    fn a_request_is_not_taken_before_its_time_and_never_lost() {
        let mut arrivals = Arrivals::new(0, 1e9, Pacing::Constant, 0.0, Rng::with_seed(0));
        assert_eq!(arrivals.take_due(0), Some(0));
        assert_eq!(arrivals.take_due(0), None);
        assert_eq!(arrivals.next_ns(), 1);
        assert_eq!((arrivals.take_due(100), arrivals.take_due(100)), (Some(1), Some(2)));
    }
}
