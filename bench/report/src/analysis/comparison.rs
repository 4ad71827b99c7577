//! The rule by which servers are compared and a difference is reported.

use bench_data::stats::Estimate;
use bench_data::units;

/// Smallest factor that is reported as a difference: two runs of one server differ by a few percent
/// as well. A larger noise floor, measured by an A/A control, takes its place.
const LEAST_FACTOR: f64 = 1.05;

/// Comparison of one server with others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lead<'n> {
    /// Servers that it is clearly ahead of, each with the factor.
    pub ahead: Vec<(&'n str, Estimate)>,
    /// Servers without a measurable difference.
    pub level: Vec<&'n str>,
}

impl<'n> Lead<'n> {
    /// Sorts the others by the ratio between the best server and each of them.
    pub(crate) fn of(
        others: impl Iterator<Item = (&'n str, Option<Estimate>)>,
        noise_floor: Option<f64>,
    ) -> Self {
        let mut lead = Self { ahead: Vec::new(), level: Vec::new() };
        for (name, ratio) in others {
            match ratio.filter(|ratio| is_clear(ratio, noise_floor)) {
                Some(ratio) => lead.ahead.push((name, ratio)),
                None => lead.level.push(name),
            }
        }
        lead
    }
}

/// Returns true if a ratio is clearly above 1: its interval, and its median by the least factor.
pub(crate) fn is_clear(ratio: &Estimate, noise_floor: Option<f64>) -> bool {
    ratio.median >= least_factor(noise_floor)
        && ratio.interval.is_some_and(|interval| interval.low > 1.0)
}

/// Returns true if a ratio is clearly below 1.
pub(crate) fn is_clearly_less(ratio: &Estimate, noise_floor: Option<f64>) -> bool {
    ratio.median <= 1.0 / least_factor(noise_floor)
        && ratio.interval.is_some_and(|interval| interval.high < 1.0)
}

/// Smallest factor that is reported as a difference.
pub(crate) fn least_factor(noise_floor: Option<f64>) -> f64 {
    noise_floor.unwrap_or(1.0).max(LEAST_FACTOR)
}

/// Noise floor of an A/A control: its ratio to the same server, at least 1, at the worse end of the
/// interval.
pub(crate) fn noise_floor(control: &[(u32, f64)], own: &[(u32, f64)]) -> Option<f64> {
    let interval = Estimate::of_ratios(control, own)?.interval?;
    Some(interval.high.max(1.0 / interval.low.max(f64::MIN_POSITIVE)).max(1.0))
}

/// A ratio with its interval: `1.31× [1.20, 1.42]`.
pub(crate) fn times(ratio: Estimate) -> String {
    let write = units::three_digits;
    let interval = ratio
        .interval
        .map(|interval| format!(" [{}, {}]", write(interval.low), write(interval.high)))
        .unwrap_or_default();
    format!("{}×{interval}", write(ratio.median))
}

/// Names as a sentence lists them: `a, b and c`.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A text with its first letter in upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
