//! Rate at which half of the trials of a search succeed.
//!
//! The probability that a trial at the rate x succeeds is modelled as σ((m − ln x) / s) with σ(z) = 1 / (1 +
//! e⁻ᶻ): logistic regression on the logarithm of the rate (Berkson, *JASA* 39, 1944, 357–365). Each round has
//! its own middle m, fitted by maximum likelihood, because whatever the trials of a round have in common
//! counts once. The scale s is fixed: the few trials of a round do not determine it, and where all successes
//! lie below all failures no finite slope is the most likely one (Albert and Anderson, *Biometrika* 71, 1984,
//! 1–10). The trials of a search surround the middle, so that the scale hardly moves it.

use bench_data::stats::Interval;

use crate::analysis::statistics::ratio::LEAST_ROUNDS;
use crate::analysis::statistics::student::upper_quantile;

/// Scale s of the curves: the usual resolution of a search. From 10 % to 90 % the rate changes by a factor
/// of 1.25.
const SCALE: f64 = 0.05;

/// Bisections of a range of logarithms, which is far below a thousand wide: what remains is below the
/// precision of numbers.
const STEPS: usize = 64;

/// One trial: logarithm of its rate, and true for a success.
pub type LogTrial = (f64, bool);

/// Rate at which the probability of a success is one half, from trials of several rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct MiddleRate {
    /// Geometric mean of the rounds' values.
    pub rate: f64,
    /// 95 % t interval; `None` below [`LEAST_ROUNDS`].
    pub interval: Option<Interval>,
    /// Value of each round that determines one.
    pub rounds: Vec<(u32, f64)>,
}

impl MiddleRate {
    /// Fits a curve to the trials of each round. `None` if no round determines one.
    pub fn of(rounds: &[(u32, Vec<LogTrial>)]) -> Option<Self> {
        let value = |(round, trials): &(u32, Vec<LogTrial>)| Some((*round, middle(trials)?.exp()));
        let rounds: Vec<_> = rounds.iter().filter_map(value).collect();
        (!rounds.is_empty()).then(|| Self::of_rounds(rounds))
    }

    /// Estimate from the values of its rounds, of which there is at least one.
    pub fn of_rounds(rounds: Vec<(u32, f64)>) -> Self {
        let count = rounds.len() as f64;
        let logs = || rounds.iter().map(|(_, value)| value.ln());
        let mean = logs().sum::<f64>() / count;
        let interval = (rounds.len() >= LEAST_ROUNDS).then(|| {
            let squares: f64 = logs().map(|log| (log - mean).powi(2)).sum();
            let error = (squares / (count - 1.0) / count).sqrt();
            let reach = upper_quantile(0.025, (rounds.len() - 1) as f64) * error;
            Interval { low: (mean - reach).exp(), high: (mean + reach).exp() }
        });
        Self { rate: mean.exp(), interval, rounds }
    }
}

/// The most likely middle: where the expected number of successes is the counted one. The expected number
/// grows with the middle. `None` if all or no trials succeed.
fn middle(trials: &[LogTrial]) -> Option<f64> {
    let successes = trials.iter().filter(|(_, success)| *success).count();
    if successes == 0 || successes == trials.len() {
        return None;
    }
    // Expected successes among the failures, less expected failures among the successes. Sums of numbers near
    // one would lose the small terms that decide between a success and a failure that are far apart.
    let surplus = |middle: f64| -> f64 {
        let share = |exponent: f64| 1.0 / (1.0 + exponent.exp());
        let term = |(x, success): &LogTrial| match success {
            true => -share((middle - x) / SCALE),
            false => share((x - middle) / SCALE),
        };
        trials.iter().map(term).sum()
    };
    let least = trials.iter().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let most = trials.iter().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
    // One success of n is expected at most ln n scales beyond the trials.
    let reach = SCALE * (trials.len() as f64).ln();
    let (mut low, mut high) = (least - reach, most + reach);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        *(if surplus(middle) < 0.0 { &mut low } else { &mut high }) = middle;
    }
    Some(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(of: &[(f64, bool)]) -> Vec<LogTrial> {
        of.iter().map(|(rate, met)| (rate.ln(), *met)).collect()
    }

    fn is_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn a_wide_gap_is_halved_exactly() {
        let one = trials(&[(100.0, true), (3656.0, true), (200e3, false)]);
        is_near(middle(&one).unwrap().exp(), (3656.0_f64 * 200e3).sqrt());
    }

    /// Six rounds, in which higher rates succeed less often.
    fn mixed() -> Vec<(u32, Vec<LogTrial>)> {
        let round = |number: u32, met: [bool; 5]| {
            let shift = 1.0 + 0.01 * f64::from(number);
            let rates = [40e3, 44e3, 48e3, 52e3, 60e3].map(|rate| rate * shift);
            (number, trials(&rates.into_iter().zip(met).collect::<Vec<_>>()))
        };
        vec![
            round(1, [true, true, false, false, false]),
            round(2, [true, true, true, false, false]),
            round(3, [true, false, true, false, false]),
            round(4, [true, true, true, true, false]),
            round(5, [true, true, false, false, false]),
            round(6, [true, true, false, true, false]),
        ]
    }

    #[test]
    fn the_middle_is_that_of_a_logistic_regression() {
        // Recomputed in Python: the maximum of each likelihood by scipy.optimize, then the t interval.
        let found = MiddleRate::of(&mixed()).unwrap();
        is_near(found.rate, 50_621.766_349);
        let within = found.interval.unwrap();
        is_near(within.low, 46_136.745_537);
        is_near(within.high, 55_542.782_623);
        assert_eq!(found.rounds.len(), 6);
        is_near(found.rounds[3].1, 58_540.336_736);
    }

    #[test]
    fn separate_successes_and_failures_have_their_middle_between_them() {
        let round =
            |number| (number, trials(&[(9e4, true), (1e5, true), (1.1e5, false), (1.2e5, false)]));
        let found = MiddleRate::of(&(1..=6).map(round).collect::<Vec<_>>()).unwrap();
        assert!((1e5..1.1e5).contains(&found.rate), "{found:?}");
        let within = found.interval.unwrap();
        is_near(within.low, found.rate);
        is_near(within.high, found.rate);
    }

    #[test]
    fn one_chance_success_far_above_hardly_moves_the_middle() {
        let usual = [(9e4, true), (1e5, true), (1.1e5, false), (1.2e5, false)];
        let alone = MiddleRate::of(&[(1, trials(&usual))]).unwrap().rate;
        let lucky: Vec<_> = usual.into_iter().chain([(4e5, true)]).collect();
        let found = MiddleRate::of(&[(1, trials(&lucky))]).unwrap().rate;
        assert!(found > alone && found < 1.2 * alone, "{found} instead of {alone}");
    }

    #[test]
    fn rounds_with_successes_or_failures_alone_have_no_value() {
        let of = |all: &[(f64, bool)]| MiddleRate::of(&[(1, trials(all))]);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(1e5, true), (2e5, true)]), None, "no failure");
        assert_eq!(of(&[(1e5, false), (2e5, false)]), None, "no success");
        let mut rounds = mixed();
        rounds[2].1.iter_mut().for_each(|(_, success)| *success = false);
        let found = MiddleRate::of(&rounds).unwrap();
        let numbers: Vec<u32> = found.rounds.iter().map(|(round, _)| *round).collect();
        assert_eq!(numbers, [1, 2, 4, 5, 6]);
        assert!(found.interval.is_some());
    }

    #[test]
    fn few_rounds_have_an_estimate_without_interval() {
        for count in 1..LEAST_ROUNDS {
            let found = MiddleRate::of(&mixed()[..count]).unwrap();
            assert_eq!((found.interval, found.rounds.len()), (None, count));
        }
    }
}
