//! What arrives whether the server keeps up or not: how much is borne, and how long it takes.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::least_spoiled;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::summary::Summary;
use bench_data::load::Cell;
use bench_data::load::words::describe;
use bench_data::record::capacity::Capacity;
use bench_data::servers::target::TargetKind;
use bench_data::servers::variant::original;
use bench_data::stats::Estimate;
use bench_data::units;

/// The highest rate that meets the objective; of several searches the first.
pub(super) fn capacity(part: &Summary) -> Option<Finding> {
    let first = part.capacities.first()?;
    let (objective, cell) = (first.objective, first.cell);
    let own = part.capacities.iter().filter(|one| one.objective == objective && one.cell == cell);
    let (twins, own): (Vec<_>, Vec<_>) = own.partition(|one| one.kind == TargetKind::Twin);
    let telling = least_spoiled(part, is_open, |cell| cell.manner.rate_per_s);
    Some(Finding {
        quantity: "capacity".to_owned(),
        load: format!("With {} and {}", describe(cell), objective.in_words()),
        cell: telling.unwrap_or(cell),
        best: Best::Highest,
        write: |rate| format!("{} requests/s", units::count(rate)),
        noise_floor: noise_floor(&twins, &own),
        scores: own.into_iter().map(score).collect(),
    })
}

/// The 99th percentile at the highest rate that is the same for all.
pub(super) fn waits(part: &Summary) -> Option<Finding> {
    let cell = highest_equal(part)?;
    Some(Finding::under(
        part,
        cell,
        "the 99th percentile",
        Best::Lowest,
        units::microseconds,
        &|line| line.latency_rounds(99.0).to_vec(),
    ))
}

/// How long answers take at the same rate, and what a request costs then.
pub(super) fn answer_at_equal_load(part: &Summary) -> Option<String> {
    let cell = highest_equal(part)?;
    let cost = Finding::under(
        part,
        cell,
        "processor time per request",
        Best::Lowest,
        units::microseconds,
        &|line| line.cpu_rounds.clone(),
    );
    Some(format!("{} {}", waits(part)?.sentence(), cost.sentence()))
}

fn is_open(cell: &Cell) -> bool {
    cell.manner.rate_per_s.is_some()
}

/// A share of the weakest server's capacity, or a rate that was given.
fn highest_equal(part: &Summary) -> Option<Cell> {
    least_spoiled(part, is_open, |cell| (cell.manner.of_weakest_percent, cell.manner.rate_per_s))
}

fn score(capacity: &Capacity) -> Score {
    let value = capacity.estimate();
    let doubt = if value.is_none() {
        format!("no rate met it: {}", capacity.reason())
    } else if capacity.is_at_least() {
        "the generator was the limit: it may bear more".to_owned()
    } else {
        String::new()
    };
    Score {
        target: capacity.target.clone(),
        kind: capacity.kind,
        rounds: capacity.by_round(),
        value,
        doubt,
    }
}

fn noise_floor(twins: &[&Capacity], own: &[&Capacity]) -> Option<f64> {
    let twin = twins.first()?;
    let name = original(&twin.target)?;
    let one = own.iter().find(|one| one.target == name)?;
    let interval = Estimate::of_ratios(&twin.by_round(), &one.by_round())?.interval?;
    Some(interval.high.max(1.0 / interval.low.max(f64::MIN_POSITIVE)).max(1.0))
}
