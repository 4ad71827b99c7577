//! Capacity, and response times and costs at equal load.

use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::stats::Spread;

use crate::analysis::capacity::{CapacityEstimate, Search, searches};
use crate::analysis::comparison::{ControlCheck, joined};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::statistics::logistic::MiddleRate;
use crate::analysis::summary::Summary;

/// Rate at which half of the trials meet the objective; of several searches the first.
pub(super) fn capacity(part: &Summary) -> Option<Finding> {
    Some(capacity_of(part, &searches(&part.capacities).into_iter().next()?))
}

/// Rate at which half of the trials of a search meet its objective.
pub(super) fn capacity_of(part: &Summary, search: &Search<'_>) -> Finding {
    let (objective, load) = (search.objective, search.load);
    let headline_load = most_comparable(part, is_open, |load| load.profile.rate_per_s);
    Finding {
        metric: Metric::Capacity,
        condition: format!("With {} at {}", describe(load), objective.in_words()),
        load: headline_load.unwrap_or(load),
        control: control_check(search),
        scores: search.servers.iter().map(|one| score(one, &search.controls)).collect(),
        is_void: part.void.contains(&headline_load.unwrap_or(load)),
        is_exploratory: false,
    }
}

/// Tail of the response time at the highest rate that is the same for all servers.
pub(super) fn waits(part: &Summary) -> Option<Finding> {
    Some(Finding::under(part, highest_equal(part)?, Metric::P99))
}

/// Response time and CPU time at that rate.
pub(super) fn answer_at_equal_load(part: &Summary, waits: &Finding) -> String {
    let cost = Finding::under(part, waits.load, Metric::CpuPerRequest);
    format!("{} {}", waits.sentence(), cost.sentence())
}

fn is_open(load: &Load) -> bool {
    load.profile.rate_per_s.is_some()
}

fn highest_equal(part: &Summary) -> Option<Load> {
    most_comparable(part, is_open, |load| {
        (load.profile.of_weakest_percent, load.profile.rate_per_s)
    })
}

/// Capacity of a server, joined with that of its A/A control.
fn score(capacity: &CapacityEstimate, controls: &[&CapacityEstimate]) -> Score {
    let search = &capacity.search;
    let is_its =
        |control: &&&CapacityEstimate| control.search.control_of.as_ref() == Some(&search.target);
    let control = controls.iter().find(is_its).and_then(|control| control.middle());
    let joined = capacity.middle().map(|own| match control {
        Some(control) if !own.rounds.is_empty() => {
            MiddleRate::of_rounds(joined(&own.rounds, &control.rounds))
        }
        _ => own.clone(),
    });
    let value = joined.as_ref().map(|middle| middle.rate).or_else(|| capacity.least());
    Score {
        target: search.target.clone(),
        kind: search.kind,
        value: value.map(Spread::single),
        interval: joined.as_ref().and_then(|middle| middle.interval),
        rounds: joined.map(|middle| middle.rounds).unwrap_or_default(),
        doubt: capacity.doubt(),
        may_be_better: capacity.least().is_some(),
        is_censored: capacity.least().is_some(),
    }
}

fn control_check(search: &Search<'_>) -> Option<ControlCheck> {
    let control = search.controls.first()?;
    let name = control.search.control_of.as_deref()?;
    let own = search.servers.iter().find(|one| one.search.target == name)?;
    ControlCheck::of(name, &control.middle()?.rounds, &own.middle()?.rounds)
}
