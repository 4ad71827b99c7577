//! Answer of a comparison: different, equivalent or undecided.

use crate::analysis::statistics::ratio::{LEAST_ROUNDS, RatioEstimate};

/// Factor within which two servers count as equivalent.
pub const MARGIN: f64 = 1.05;

/// Probability of a false claim: of any within a family of differences, and of each equivalence.
pub const ALPHA: f64 = 0.05;

/// Answer of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first is larger or smaller.
    Different(Direction),
    /// The two are within the factor [`MARGIN`] of each other.
    Equivalent,
    /// Neither is shown.
    Undecided,
}

/// Side of 1 on which a ratio lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Above 1.
    Above,
    /// Below 1.
    Below,
}

impl Verdict {
    /// Answer for a ratio with its p value after the correction within the family. Equivalence
    /// precedes difference: a difference shown to be below the margin is of no consequence.
    pub fn of(ratio: &RatioEstimate, adjusted_p: f64) -> Self {
        if ratio.p_of_equivalence(MARGIN).is_some_and(|p| p <= ALPHA) {
            return Self::Equivalent;
        }
        if ratio.rounds < LEAST_ROUNDS || adjusted_p > ALPHA {
            return Self::Undecided;
        }
        Self::Different(if ratio.ratio > 1.0 { Direction::Above } else { Direction::Below })
    }
}

/// Reach of an undecided comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// Smallest factor that the rounds could have shown, with probability 0.8; `None` if they are too
    /// few for any claim.
    pub smallest_factor: Option<f64>,
    /// Rounds that would show the factor [`MARGIN`], likewise.
    pub rounds_needed: usize,
}

impl Reach {
    /// Reach of one of `family` comparisons.
    pub fn of(ratio: &RatioEstimate, family: usize) -> Self {
        let alpha = ALPHA / family.max(1) as f64;
        Self {
            smallest_factor: ratio.smallest_factor(alpha),
            rounds_needed: ratio.rounds_needed(MARGIN, alpha).unwrap_or(LEAST_ROUNDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(values: &[f64], family: usize) -> Verdict {
        let ratio = RatioEstimate::of_values(values).unwrap();
        let p = ratio.p_of_difference().map_or(1.0, |p| (p * family as f64).min(1.0));
        Verdict::of(&ratio, p)
    }

    #[test]
    fn each_answer_has_its_evidence() {
        let faster = [1.30, 1.35, 1.28, 1.31, 1.33];
        assert_eq!(verdict(&faster, 1), Verdict::Different(Direction::Above));
        let slower = faster.map(|ratio| 1.0 / ratio);
        assert_eq!(verdict(&slower, 1), Verdict::Different(Direction::Below));
        assert_eq!(verdict(&[1.01, 0.99, 1.0, 1.02, 0.99], 1), Verdict::Equivalent);
        assert_eq!(verdict(&[1.020, 1.021, 1.019, 1.020, 1.022], 1), Verdict::Equivalent);
        let noisy = [1.3, 0.8, 1.2, 0.9, 1.1];
        assert_eq!(verdict(&noisy, 1), Verdict::Undecided);
        let reach = Reach::of(&RatioEstimate::of_values(&noisy).unwrap(), 1);
        assert!(reach.smallest_factor.unwrap() > 1.2 && reach.rounds_needed > 50, "{reach:?}");
    }

    #[test]
    fn a_large_family_needs_stronger_evidence() {
        let weak = [1.30, 1.10, 1.25, 1.12, 1.35];
        assert_eq!(verdict(&weak, 1), Verdict::Different(Direction::Above));
        assert_eq!(verdict(&weak, 100), Verdict::Undecided);
    }

    #[test]
    fn four_rounds_show_nothing() {
        let clear = [3.0, 3.1, 2.9, 3.0];
        assert_eq!(verdict(&clear, 1), Verdict::Undecided);
        let reach = Reach::of(&RatioEstimate::of_values(&clear).unwrap(), 1);
        assert_eq!(reach, Reach { smallest_factor: None, rounds_needed: LEAST_ROUNDS });
    }
}
