//! When servers may be compared and a difference be claimed: one rule for verdict and captions.

use std::cmp::Reverse;

use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::stats::Estimate;
use bench_data::units;

/// A difference below this factor is never claimed: even two runs of one server differ by a few
/// percent, and so few rounds cannot tell that from a true difference. Where a run has measured by
/// how much a server differs from itself, and that is more, it takes the place of this.
const LEAST_FACTOR: f64 = 1.05;

/// Which value is the best, and so the one that a comparison begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Best {
    /// The highest, as of a rate.
    Highest,
    /// The lowest, as of a time.
    Lowest,
}

/// How far one server is from others.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead<'n> {
    /// Those that it is clearly ahead of, and by which factor.
    pub ahead: Vec<(&'n str, Estimate)>,
    /// Those to which there is no measurable difference.
    pub level: Vec<&'n str>,
}

impl<'n> Lead<'n> {
    /// Sorts the others by the ratio between the best and each of them; `noise_floor` is the
    /// factor by which a server differs from itself, where that is known.
    pub fn of(
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

/// Whether a ratio is above 1 beyond doubt and chance.
pub fn is_clear(ratio: &Estimate, noise_floor: Option<f64>) -> bool {
    ratio.median >= least_factor(noise_floor)
        && ratio.interval.is_some_and(|interval| interval.low > 1.0)
}

/// The same below 1.
pub fn is_clearly_less(ratio: &Estimate, noise_floor: Option<f64>) -> bool {
    ratio.median <= 1.0 / least_factor(noise_floor)
        && ratio.interval.is_some_and(|interval| interval.high < 1.0)
}

/// The least factor that is claimed as a difference.
pub fn least_factor(noise_floor: Option<f64>) -> f64 {
    noise_floor.unwrap_or(1.0).max(LEAST_FACTOR)
}

/// A ratio in words: `1.31 (1.20 to 1.42)`.
pub fn with_interval(ratio: Estimate) -> String {
    let write = units::three_digits;
    let interval = ratio
        .interval
        .map(|interval| format!(" ({} to {})", write(interval.low), write(interval.high)))
        .unwrap_or_default();
    format!("{}{interval}", write(ratio.median))
}

/// Of the loads that are wanted, the one that spoiled the fewest servers' trials; of those the one
/// of the highest rank.
pub fn most_comparable<Rank: Ord>(
    summary: &Summary,
    wanted: impl Fn(&Load) -> bool,
    rank: impl Fn(&Load) -> Rank,
) -> Option<Load> {
    let loads = summary.loads().into_iter().filter(wanted);
    loads.max_by_key(|load| {
        let spoiled = summary.under(*load).filter(|line| is_incomparable(line)).count();
        (Reverse(spoiled), rank(load))
    })
}

/// Those that cannot be compared under a load, each with the reason.
pub fn left_out(summary: &Summary, load: Load) -> Vec<String> {
    summary
        .under(load)
        .filter(|line| !line.is_comparable())
        .map(|line| format!("{} is left out: {}", line.target, line.exclusion_reason()))
        .collect()
}

/// Names as a sentence lists them: `a, b and c`.
pub fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Whether it cannot be compared, and not because it leaves connections waiting in every round:
/// that is the server and no chance.
fn is_incomparable(line: &Line) -> bool {
    !line.is_comparable() && !line.starved_in_every_round()
}
