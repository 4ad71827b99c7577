//! When servers may be compared and a difference be claimed: one rule for verdict and captions.

use std::cmp::Reverse;

use loadgen::load::Direction;

use crate::outcome::Outcome;
use crate::spelling::grouped;
use crate::stats::Estimate;
use crate::summary::{Line, Summary};
use crate::sweep::Cell;
use crate::units;

/// A difference below this factor is never claimed: even two runs of one server differ by a few
/// percent, and so few rounds cannot tell that from a true difference. Where a run has measured by
/// how much a server differs from itself, and that is more, it takes the place of this.
const LEAST_FACTOR: f64 = 1.05;

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

/// Whether every trial says how fast the server is at the load that was asked for; those that were
/// spoiled by something else do not count where enough others are left.
pub fn may_be_compared(line: &Line) -> bool {
    line.requests_per_s.is_some() && line.is_sound()
}

/// Whether it answered most of its connections, but in some round not all.
pub fn misses_a_few(line: &Line) -> bool {
    line.starved() && !waits_by_design(line)
}

/// Of the loads that are wanted, the one that spoiled the fewest servers' trials; of those the one
/// of the highest rank.
pub fn least_spoiled<Rank: Ord>(
    summary: &Summary,
    wanted: impl Fn(&Cell) -> bool,
    rank: impl Fn(&Cell) -> Rank,
) -> Option<Cell> {
    let cells = summary.cells().into_iter().filter(wanted);
    cells.max_by_key(|cell| {
        let spoiled = summary.under(*cell).filter(|line| is_spoiled(line)).count();
        (Reverse(spoiled), rank(cell))
    })
}

/// Those that cannot be compared under a load, each with the reason.
pub fn left_out(summary: &Summary, cell: Cell) -> Vec<String> {
    summary
        .under(cell)
        .filter(|line| !may_be_compared(line))
        .map(|line| format!("{} is left out: {}", line.target, why_not(line)))
        .collect()
}

/// The load in words: `64 connections and downloads of 1 KiB`, and what sets it apart.
pub fn describe(cell: Cell) -> String {
    let noun = match cell.direction {
        Direction::Download => "downloads",
        Direction::Upload => "uploads",
        Direction::Echo => "echoed lines",
    };
    let plural = if cell.connections == 1 { "" } else { "s" };
    let remarks = cell.manner.remarks();
    let apart =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    let connections = grouped(cell.connections);
    format!("{connections} connection{plural} and {noun} of {}{apart}", cell.size.spaced())
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
fn is_spoiled(line: &Line) -> bool {
    !may_be_compared(line) && !line.starved_in_every_round()
}

/// Whether it left at least half of its connections without an answer in every round.
fn waits_by_design(line: &Line) -> bool {
    line.starved_in_every_round()
        && line.connections_served.is_some_and(|served| 2 * served <= line.cell.connections as u64)
}

/// Why it cannot be compared, for one that cannot.
pub fn why_not(line: &Line) -> String {
    let trials = line.trials();
    let how_many = |outcome| {
        let count = line.count(outcome);
        (count > 0).then(|| format!("{count} of {trials} trials"))
    };
    if let Some(served) = line.connections_served.filter(|_| line.starved()) {
        let connections = line.cell.connections;
        return if line.starved_in_every_round() {
            format!("it served {served} of {connections} connections")
        } else {
            let rounds = line.starved_rounds;
            format!(
                "in {rounds} of {trials} rounds it served only {served} of {connections} connections"
            )
        };
    }
    if let Some(held) = line.crowd_held.filter(|_| line.lost_of_the_crowd()) {
        let crowd = grouped(line.cell.manner.crowd.total());
        return format!("it held {} of {crowd} further connections", grouped(held));
    }
    if line.count(Outcome::Unsupported) > 0 {
        return line.reasons.join(", ");
    }
    if let Some(count) = how_many(Outcome::GeneratorBound) {
        let rate = units::count(line.requests_per_s.map_or(0.0, |estimate| estimate.median));
        return format!("in {count} the load generator was the limit, at {rate} requests/s");
    }
    for (outcome, what) in [
        (Outcome::Overloaded, "the offered rate was not held"),
        (Outcome::TooFew, "there were too few requests"),
        (Outcome::GeneratorLate, "the load generator was late"),
        (Outcome::Disturbed, "the machine was disturbed"),
        (Outcome::Died, "the server died"),
        (Outcome::NotStarted, "nothing could be started"),
        (Outcome::Errors, "requests failed"),
        (Outcome::Interrupted, "the run was interrupted"),
    ] {
        if let Some(count) = how_many(outcome) {
            return format!("in {count} {what}");
        }
    }
    "it was not measured".to_owned()
}
