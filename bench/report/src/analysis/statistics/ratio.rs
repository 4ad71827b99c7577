//! Ratios of two servers, or of one server in two runs, with their intervals.

use bench_data::stats::Interval;

use crate::analysis::statistics::student::{upper_quantile, upper_tail};

/// Minimum number of rounds for a claim, and for an interval that is called one of 95 %.
pub const LEAST_ROUNDS: usize = 5;

/// Geometric mean of ratios, and its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioEstimate {
    /// Geometric mean.
    pub ratio: f64,
    /// Number of rounds with both values; of two runs, of the run with fewer.
    pub rounds: usize,
    /// Smallest and largest ratio.
    pub range: Interval,
    /// Standard error of the mean logarithm and its degrees of freedom; `None` below two rounds.
    error: Option<StandardError>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct StandardError {
    of_log: f64,
    freedom: f64,
}

/// Reason why there is no ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRatio {
    /// No round has both values.
    NoCommonRound,
    /// A value is 0, negative or not finite, so it has no logarithm.
    NotPositive,
}

impl NoRatio {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoCommonRound => "no round has both values",
            Self::NotPositive => "a value is not above 0",
        }
    }
}

impl RatioEstimate {
    /// Ratio `a / b`, paired within rounds, so that effects common to a round cancel out.
    ///
    /// # Errors
    /// No round has both values, or a value has no logarithm.
    pub fn of_rounds(a: &[(u32, f64)], b: &[(u32, f64)]) -> Result<Self, NoRatio> {
        let pair = |(round, a): &(u32, f64)| {
            let (_, b) = b.iter().find(|(other, _)| other == round)?;
            Some(logarithm(*a).and_then(|a| Ok(a - logarithm(*b)?)))
        };
        Self::of_logs(&a.iter().filter_map(pair).collect::<Result<Vec<_>, _>>()?)
    }

    /// Geometric mean of values that are ratios already.
    ///
    /// # Errors
    /// There are no values, or one has no logarithm.
    pub fn of_values(values: &[f64]) -> Result<Self, NoRatio> {
        let logs = values.iter().map(|value| logarithm(*value));
        Self::of_logs(&logs.collect::<Result<Vec<_>, _>>()?)
    }

    /// Ratio of two runs without common rounds, `new / old`: quotient of their geometric means. `between`
    /// is the standard deviation of a logarithm between repetitions of one run, known beforehand; it
    /// adds to the scatter within the two in quadrature. Degrees of freedom after Welch and
    /// Satterthwaite.
    ///
    /// # Errors
    /// A run has no values, or one has no logarithm.
    pub fn of_runs(new: &[f64], old: &[f64], between: f64) -> Result<Self, NoRatio> {
        let logs = |values: &[f64]| values.iter().map(|value| logarithm(*value)).collect();
        let (new, old): (Result<Vec<_>, _>, Result<Vec<_>, _>) = (logs(new), logs(old));
        let of = |logs: &[f64]| Sample::of(logs).ok_or(NoRatio::NoCommonRound);
        let (new, old) = (of(&new?)?, of(&old?)?);
        let variances = new.variance_of_mean.zip(old.variance_of_mean);
        let error = variances.map(|(a, b)| {
            let own = a * a / new.freedom() + b * b / old.freedom();
            let all = a + b + between * between;
            // Equal values have no scatter: only the known part remains, as if of any number of runs.
            let freedom = if own > 0.0 { all * all / own } else { MOST_FREEDOM };
            StandardError { of_log: all.sqrt(), freedom: freedom.min(MOST_FREEDOM) }
        });
        let range =
            Interval { low: (new.least - old.most).exp(), high: (new.most - old.least).exp() };
        let rounds = new.count.min(old.count) as usize;
        Ok(Self { ratio: (new.mean - old.mean).exp(), rounds, range, error })
    }

    fn of_logs(logs: &[f64]) -> Result<Self, NoRatio> {
        let sample = Sample::of(logs).ok_or(NoRatio::NoCommonRound)?;
        let error = sample
            .variance_of_mean
            .map(|variance| StandardError { of_log: variance.sqrt(), freedom: sample.freedom() });
        let range = Interval { low: sample.least.exp(), high: sample.most.exp() };
        Ok(Self { ratio: sample.mean.exp(), rounds: logs.len(), range, error })
    }

    /// 95 % t interval; `None` below [`LEAST_ROUNDS`].
    pub fn interval(&self) -> Option<Interval> {
        let error = self.claimable_error()?;
        let reach = upper_quantile(0.025, error.freedom) * error.of_log;
        Some(Interval {
            low: (self.ratio.ln() - reach).exp(),
            high: (self.ratio.ln() + reach).exp(),
        })
    }

    /// Probability of such a difference, or a larger one, between equals: two-sided t test. `None`
    /// below [`LEAST_ROUNDS`].
    pub fn p_of_difference(&self) -> Option<f64> {
        let error = self.claimable_error()?;
        Some((2.0 * tail(self.ratio.ln().abs(), error)).min(1.0))
    }

    /// P value of the one-sided test that the ratio lies beyond `bound`: above it, or else below it.
    /// `None` below [`LEAST_ROUNDS`].
    pub fn p_of_beyond(&self, bound: f64, above: bool) -> Option<f64> {
        let error = self.claimable_error()?;
        let distance = self.ratio.ln() - bound.ln();
        Some(tail(if above { distance } else { -distance }, error))
    }

    /// Larger p value of the two one-sided tests against a difference of the factor `margin` in either
    /// direction. `None` below [`LEAST_ROUNDS`].
    pub fn p_of_equivalence(&self, margin: f64) -> Option<f64> {
        let error = self.claimable_error()?;
        Some(tail(margin.ln() - self.ratio.ln().abs(), error))
    }

    /// Smallest factor that as many rounds with the same scatter show with probability 0.8, tested
    /// at the level `alpha`. `None` below [`LEAST_ROUNDS`].
    pub fn smallest_factor(&self, alpha: f64) -> Option<f64> {
        let error = self.claimable_error()?;
        Some((detectable(alpha, error.freedom) * error.of_log).exp())
    }

    /// Number of rounds with the same scatter that show a difference of `factor` with probability 0.8,
    /// tested at the level `alpha`; at most [`MOST_ROUNDS`]. `None` below [`LEAST_ROUNDS`].
    pub fn rounds_needed(&self, factor: f64, alpha: f64) -> Option<usize> {
        let error = self.claimable_error()?;
        let of_one = error.of_log * (self.rounds as f64).sqrt();
        let shows = |rounds: usize| {
            let rounds = rounds as f64;
            detectable(alpha, rounds - 1.0) * of_one / rounds.sqrt() <= factor.ln()
        };
        Some(fewest(shows))
    }

    /// Half-width of the 95 % interval as a share of the ratio, `high ÷ ratio − 1`; the interval is
    /// symmetric on the logarithms. `None` below [`LEAST_ROUNDS`].
    pub fn half_width(&self) -> Option<f64> {
        self.interval().map(|within| within.high / self.ratio - 1.0)
    }

    /// Number of rounds with the same scatter whose interval has at most this half-width; at most
    /// [`MOST_ROUNDS`], at least [`LEAST_ROUNDS`].
    pub fn rounds_until(&self, half_width: f64) -> usize {
        let Some(error) = self.claimable_error() else { return LEAST_ROUNDS };
        let of_one = error.of_log * (self.rounds as f64).sqrt();
        fewest(|rounds| {
            let rounds = rounds as f64;
            upper_quantile(0.025, rounds - 1.0) * of_one / rounds.sqrt() <= half_width.ln_1p()
        })
    }

    /// The ratio the other way round.
    #[must_use]
    pub fn inverse(self) -> Self {
        let range = Interval { low: 1.0 / self.range.high, high: 1.0 / self.range.low };
        Self { ratio: 1.0 / self.ratio, range, ..self }
    }

    fn claimable_error(&self) -> Option<StandardError> {
        self.error.filter(|_| self.rounds >= LEAST_ROUNDS)
    }
}

/// Most rounds that [`RatioEstimate::rounds_needed`] returns.
pub const MOST_ROUNDS: usize = 1000;

/// Fewest rounds that are enough, from [`LEAST_ROUNDS`] to [`MOST_ROUNDS`]; more are enough, too.
fn fewest(are_enough: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (LEAST_ROUNDS, MOST_ROUNDS);
    while low < high {
        let middle = usize::midpoint(low, high);
        if are_enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Degrees of freedom from which on the t distribution is the normal one for every purpose here.
const MOST_FREEDOM: f64 = 1e6;

/// Multiple of the standard error that a two-sided t test shows with probability 0.8.
fn detectable(alpha: f64, freedom: f64) -> f64 {
    upper_quantile(alpha / 2.0, freedom) + upper_quantile(0.2, freedom)
}

fn logarithm(value: f64) -> Result<f64, NoRatio> {
    if value > 0.0 && value.is_finite() { Ok(value.ln()) } else { Err(NoRatio::NotPositive) }
}

/// Probability of a mean logarithm above `distance`, if the true one is 0.
fn tail(distance: f64, error: StandardError) -> f64 {
    // Equal values have no scatter: they differ by chance only if they do not differ.
    if error.of_log == 0.0 {
        return if distance > 0.0 { 0.0 } else { 1.0 };
    }
    upper_tail(distance / error.of_log, error.freedom)
}

/// Logarithms, condensed.
struct Sample {
    count: f64,
    mean: f64,
    least: f64,
    most: f64,
    /// Square of the standard error of the mean; `None` of a single value.
    variance_of_mean: Option<f64>,
}

impl Sample {
    fn of(logs: &[f64]) -> Option<Self> {
        let least = logs.iter().copied().min_by(f64::total_cmp)?;
        let most = logs.iter().copied().max_by(f64::total_cmp)?;
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let variance_of_mean = (logs.len() > 1).then(|| squares / (count - 1.0) / count);
        Some(Self { count, mean, least, most, variance_of_mean })
    }

    fn freedom(&self) -> f64 {
        self.count - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(a: &[f64], b: &[f64]) -> RatioEstimate {
        let rounds = |values: &[f64]| (1..).zip(values.iter().copied()).collect::<Vec<_>>();
        RatioEstimate::of_rounds(&rounds(a), &rounds(b)).unwrap()
    }

    fn is_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} instead of {expected}");
    }

    #[test]
    fn an_interval_is_that_of_students_t_on_the_logarithms() {
        // Recomputed in Python from the definition, with 2.776445 as the quantile of 4 degrees of freedom.
        let ratio = paired(&[2.0, 2.1, 1.9, 2.2, 2.05], &[1.0; 5]);
        is_near(ratio.ratio, 2.047_558);
        let interval = ratio.interval().unwrap();
        is_near(interval.low, 1.913_238);
        is_near(interval.high, 2.191_304);
        assert_eq!((ratio.range.low, ratio.range.high), (1.9_f64.ln().exp(), 2.2_f64.ln().exp()));
        let inverse = ratio.inverse().interval().unwrap();
        is_near(inverse.low, 1.0 / interval.high);
        assert_eq!(ratio.inverse().p_of_difference(), ratio.p_of_difference());
    }

    #[test]
    fn drift_that_is_common_to_a_round_cancels_out() {
        let ratio = paired(&[200.0, 100.0, 50.0, 10.0, 1.0], &[100.0, 50.0, 25.0, 5.0, 0.5]);
        let interval = ratio.interval().unwrap();
        is_near(ratio.ratio, 2.0);
        is_near(interval.low, 2.0);
        is_near(interval.high, 2.0);
        assert!(ratio.p_of_difference().unwrap() < 1e-9);
    }

    #[test]
    fn few_rounds_have_a_range_and_make_no_claim() {
        for rounds in 1..LEAST_ROUNDS {
            let ratio = paired(&[2.0, 2.1, 1.9, 2.2][..rounds], &[1.0; 4]);
            assert_eq!((ratio.rounds, ratio.interval()), (rounds, None));
            assert_eq!((ratio.p_of_difference(), ratio.p_of_equivalence(1.05)), (None, None));
            assert!(ratio.range.low <= ratio.ratio && ratio.ratio <= ratio.range.high);
        }
    }

    #[test]
    fn values_without_logarithm_are_refused_with_the_reason() {
        let of = |a: &[(u32, f64)], b: &[(u32, f64)]| RatioEstimate::of_rounds(a, b);
        assert_eq!(of(&[(1, 1.0)], &[(2, 1.0)]), Err(NoRatio::NoCommonRound));
        assert_eq!(of(&[], &[]), Err(NoRatio::NoCommonRound));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of(&[(1, bad)], &[(1, 1.0)]), Err(NoRatio::NotPositive), "{bad}");
            assert_eq!(of(&[(1, 1.0)], &[(1, bad)]), Err(NoRatio::NotPositive), "{bad}");
        }
        assert_eq!(of(&[(1, 1.0), (2, 0.0)], &[(1, 1.0)]).map(|one| one.rounds), Ok(1));
    }

    #[test]
    fn two_runs_differ_by_more_than_their_rounds_show() {
        let (new, old) = ([110.0, 112.0, 108.0, 111.0, 109.0], [100.0, 101.0, 99.0, 100.5, 99.5]);
        // Recomputed in Python from the definitions: Welch's t test on the logarithms, without and with
        // a variance of 0.046² added to that of the difference.
        for (between, low, high) in [(0.0, 1.080_528, 1.119_693), (0.046, 1.003_951, 1.205_099)] {
            let interval = RatioEstimate::of_runs(&new, &old, between).unwrap().interval().unwrap();
            is_near(interval.low, low);
            is_near(interval.high, high);
        }
        assert_eq!(RatioEstimate::of_runs(&new[..4], &old, 0.0).unwrap().interval(), None);
        assert_eq!(RatioEstimate::of_runs(&[], &old, 0.0), Err(NoRatio::NoCommonRound));
        assert_eq!(RatioEstimate::of_runs(&[0.0], &old, 0.0), Err(NoRatio::NotPositive));
        let same = RatioEstimate::of_runs(&[5.0; 5], &[5.0; 5], 0.046).unwrap();
        is_near(same.interval().unwrap().high, (1.959_964 * 0.046_f64).exp());
    }

    #[test]
    fn a_bound_is_exceeded_by_what_is_clearly_beyond_it() {
        let ratio = paired(&[1.30, 1.35, 1.28, 1.31, 1.33], &[1.0; 5]);
        assert!(ratio.p_of_beyond(1.2, true).unwrap() < 0.01);
        assert!(ratio.p_of_beyond(1.4, false).unwrap() < 0.01);
        let (above, below) = (ratio.p_of_beyond(1.3, true), ratio.p_of_beyond(1.3, false));
        is_near(above.unwrap() + below.unwrap(), 1.0);
        let both = ratio.p_of_difference().unwrap();
        is_near(2.0 * ratio.p_of_beyond(1.0, true).unwrap(), both);
    }

    #[test]
    fn equal_values_do_not_differ() {
        let ratio = paired(&[3.0; 5], &[3.0; 5]);
        assert_eq!(ratio.p_of_difference(), Some(1.0));
        assert_eq!(ratio.p_of_equivalence(1.05), Some(0.0));
    }

    #[test]
    fn more_rounds_find_smaller_factors() {
        let ratio = paired(&[1.0, 1.1, 0.9, 1.05, 0.95], &[1.0; 5]);
        let found = ratio.smallest_factor(0.05).unwrap();
        let needed = ratio.rounds_needed(1.05, 0.05).unwrap();
        assert!(found > 1.1 && needed > 20, "{found} {needed}");
        assert_eq!(ratio.rounds_needed(found, 0.05), Some(5), "these rounds find what they find");
        assert!(ratio.smallest_factor(0.05 / 36.0).unwrap() > found, "a correction has its price");
        assert!(ratio.rounds_needed(1.0001, 0.05) == Some(MOST_ROUNDS));
    }
}
