//! What arrives whether the server keeps up or not: how much is borne, and how long it takes.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::most_comparable;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::capacity::Capacity;
use bench_data::servers::target::TargetKind;
use bench_data::stats::Estimate;
use bench_data::units;

/// The highest rate that meets the objective; of several searches the first.
pub(super) fn capacity(part: &Summary) -> Option<Finding> {
    let first = part.capacities.first()?;
    let (objective, load) = (first.objective, first.load);
    let own = part.capacities.iter().filter(|one| one.objective == objective && one.load == load);
    let (twins, own): (Vec<_>, Vec<_>) = own.partition(|one| one.kind == TargetKind::AaControl);
    let headline_load = most_comparable(part, is_open, |load| load.profile.rate_per_s);
    Some(Finding {
        quantity: "capacity".to_owned(),
        condition: format!("With {} and {}", describe(load), objective.in_words()),
        load: headline_load.unwrap_or(load),
        best: Best::Highest,
        write: |rate| format!("{} requests/s", units::count(rate)),
        noise_floor: noise_floor(&twins, &own),
        scores: own.into_iter().map(score).collect(),
    })
}

/// The 99th percentile at the highest rate that is the same for all.
pub(super) fn waits(part: &Summary) -> Option<Finding> {
    let load = highest_equal(part)?;
    Some(Finding::under(
        part,
        load,
        "the 99th percentile",
        Best::Lowest,
        units::microseconds,
        &|line| line.latency_rounds(99.0).to_vec(),
    ))
}

/// How long answers take at the same rate, and what a request costs then.
pub(super) fn answer_at_equal_load(part: &Summary) -> Option<String> {
    let load = highest_equal(part)?;
    let cost = Finding::under(
        part,
        load,
        "processor time per request",
        Best::Lowest,
        units::microseconds,
        &|line| line.cpu_rounds.clone(),
    );
    Some(format!("{} {}", waits(part)?.sentence(), cost.sentence()))
}

fn is_open(load: &Load) -> bool {
    load.profile.rate_per_s.is_some()
}

/// A share of the weakest server's capacity, or a rate that was given.
fn highest_equal(part: &Summary) -> Option<Load> {
    most_comparable(part, is_open, |load| {
        (load.profile.of_weakest_percent, load.profile.rate_per_s)
    })
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
    let name = twin.control_of.as_deref()?;
    let one = own.iter().find(|one| one.target == name)?;
    let interval = Estimate::of_ratios(&twin.by_round(), &one.by_round())?.interval?;
    Some(interval.high.max(1.0 / interval.low.max(f64::MIN_POSITIVE)).max(1.0))
}
