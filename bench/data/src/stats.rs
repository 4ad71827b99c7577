//! Medians over rounds, with the range of the values.

/// Median over rounds, with the range of their values. It describes the rounds and claims nothing about
/// others: servers are compared by their ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Smallest and largest value; `None` of a single value.
    pub range: Option<Interval>,
}

/// Closed interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Spread {
    /// Median and range of one value per round; `None` without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let range = (sorted.len() > 1).then_some(Interval { low, high });
        Some(Self { median: middle(&sorted)?, range })
    }

    /// A value without a range.
    pub fn single(value: f64) -> Self {
        Self { median: value, range: None }
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
    middle(&sorted(values))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        Some((sorted.get(half.checked_sub(1)?)? + sorted.get(half)?) / 2.0)
    } else {
        sorted.get(half).copied()
    }
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
    fn a_range_is_from_the_smallest_to_the_largest_of_several_values() {
        let range = Some(Interval { low: 9.5, high: 30.0 });
        let values = [10.0, 30.0, 9.5, 10.5, 11.0];
        assert_eq!(Spread::of(&values), Some(Spread { median: 10.5, range }));
        assert_eq!(Spread::of(&[1.0]), Some(Spread::single(1.0)));
        assert_eq!(Spread::of(&[]), None);
    }
}
