//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

fn standard(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are above 0")
}

/// Value that the distribution exceeds with the probability `tail`.
pub(super) fn upper_quantile(tail: f64, freedom: f64) -> f64 {
    -standard(freedom).inverse_cdf(tail)
}

/// Probability of values above `t`.
pub(super) fn upper_tail(t: f64, freedom: f64) -> f64 {
    standard(freedom).sf(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_tails_are_those_of_printed_tables() {
        for (tail, freedom, quantile) in [
            (0.025, 1.0, 12.7062),
            (0.025, 4.0, 2.776_45),
            (0.025, 5.0, 2.570_58),
            (0.05, 9.0, 1.833_11),
            (0.000_5, 4.0, 8.610_3),
            (0.2, 5.0, 0.919_54),
        ] {
            let found = upper_quantile(tail, freedom);
            assert!((found / quantile - 1.0).abs() < 1e-5, "{tail} {freedom}: {found}");
            assert!((upper_tail(quantile, freedom) / tail - 1.0).abs() < 1e-3);
        }
        assert_eq!(upper_tail(f64::INFINITY, 4.0), 0.0);
    }
}
