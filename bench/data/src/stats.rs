//! Medians with confidence intervals.

/// Resamples per interval; more change its ends by less than their last printed digit.
const RESAMPLES: usize = 2000;

/// Seed of the resampling: constant, so that the same records always give the same interval.
const SEED: u64 = 0x5eed;

/// Minimum number of rounds for an interval.
pub const LEAST_ROUNDS: usize = 3;

/// Median over rounds, with its confidence interval if there were enough rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Median.
    pub median: f64,
    /// 95 % confidence interval: the middle 95 % of the medians of resampled rounds (percentile
    /// bootstrap).
    pub interval: Option<Interval>,
}

/// Closed interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Median of one value per round; `None` without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let interval = (values.len() >= LEAST_ROUNDS).then(|| bootstrap(values));
        Some(Self { median: median(values)?, interval })
    }

    /// Median of the ratios `a / b` per round, so that effects common to a round cancel out. Rounds
    /// without either value, or with a `b` of zero, are skipped.
    pub fn of_ratios(a: &[(u32, f64)], b: &[(u32, f64)]) -> Option<Self> {
        let ratios: Vec<_> = a
            .iter()
            .filter_map(|(round, a)| {
                let (_, b) = b.iter().find(|(other, b)| other == round && *b > 0.0)?;
                Some(a / b)
            })
            .collect();
        Self::of(&ratios)
    }

    /// Quotient of the medians of two samples without common rounds, such as of two runs; each is
    /// resampled separately. `None` if one is empty or the median of `b` is not above 0.
    pub fn of_quotient(a: &[f64], b: &[f64]) -> Option<Self> {
        let below = median(b).filter(|below| *below > 0.0)?;
        let enough = a.len() >= LEAST_ROUNDS && b.len() >= LEAST_ROUNDS;
        let interval = enough.then(|| {
            let mut random = fastrand::Rng::with_seed(SEED);
            let (above, below) = (resampled(a, &mut random), resampled(b, &mut random));
            middle_95(above.into_iter().zip(below).map(|(a, b)| a / b).collect())
        });
        Some(Self { median: median(a)? / below, interval })
    }
}

impl Interval {
    /// Returns true if a value lies within.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Median of unsorted values; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        Some((sorted.get(half.checked_sub(1)?)? + sorted.get(half)?) / 2.0)
    } else {
        sorted.get(half).copied()
    }
}

fn bootstrap(values: &[f64]) -> Interval {
    middle_95(resampled(values, &mut fastrand::Rng::with_seed(SEED)))
}

/// Medians of [`RESAMPLES`] resamples.
fn resampled(values: &[f64], random: &mut fastrand::Rng) -> Vec<f64> {
    let mut resample = vec![0.0; values.len()];
    let medians = (0..RESAMPLES).map(|_| {
        resample.fill_with(|| values[random.usize(..values.len())]);
        resample.sort_unstable_by(f64::total_cmp);
        middle(&resample).expect("a resample is as long as its sample, which is not empty")
    });
    medians.collect()
}

fn middle_95(mut medians: Vec<f64>) -> Interval {
    medians.sort_unstable_by(f64::total_cmp);
    let tail = medians.len() / 40;
    Interval { low: medians[tail], high: medians[medians.len() - 1 - tail] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn an_interval_surrounds_the_median_and_stays_within_the_values() {
        let values = [10.0, 11.0, 9.5, 10.5, 30.0];
        let estimate = Estimate::of(&values).unwrap();
        let interval = estimate.interval.unwrap();
        assert!(interval.contains(estimate.median));
        assert!(interval.low >= 9.5 && interval.high <= 30.0);
        assert!(interval.low < interval.high);
        assert_eq!(Estimate::of(&values), Some(estimate), "the same values, the same interval");
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        let interval = Estimate::of(&[5.0; 4]).unwrap().interval.unwrap();
        assert_eq!((interval.low, interval.high), (5.0, 5.0));
    }

    #[test]
    fn two_rounds_have_a_median_but_no_interval() {
        assert_eq!(Estimate::of(&[1.0, 2.0]), Some(Estimate { median: 1.5, interval: None }));
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn a_quotient_of_two_runs_resamples_each() {
        let old = [100.0, 102.0, 98.0, 101.0, 99.0];
        let new = [50.0, 51.0, 49.0, 50.5, 49.5];
        let quotient = Estimate::of_quotient(&new, &old).unwrap();
        let interval = quotient.interval.unwrap();
        assert_eq!(quotient.median, 0.5);
        assert!(interval.low < 0.5 && interval.high > 0.5, "{interval:?}");
        assert!(interval.low > 0.47 && interval.high < 0.53, "{interval:?}");
        let same = Estimate::of_quotient(&old, &old).unwrap().interval.unwrap();
        assert!(same.low < 1.0 && same.high > 1.0, "each by itself: {same:?}");
        assert_eq!(Estimate::of_quotient(&new[..2], &old).unwrap().interval, None);
        assert_eq!(Estimate::of_quotient(&new, &[]), None);
        assert_eq!(Estimate::of_quotient(&new, &[0.0]), None);
    }

    #[test]
    fn ratios_pair_the_rounds() {
        // The machine slows down from round to round; the ratio does not care.
        let a = [(1, 200.0), (2, 100.0), (3, 50.0)];
        let b = [(3, 25.0), (1, 100.0), (2, 50.0), (4, 1.0)];
        let ratio = Estimate::of_ratios(&a, &b).unwrap();
        assert_eq!(ratio.median, 2.0);
        assert_eq!(ratio.interval, Some(Interval { low: 2.0, high: 2.0 }));
        assert_eq!(Estimate::of_ratios(&a, &[(1, 0.0)]), None);
    }
}
