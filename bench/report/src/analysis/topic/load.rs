//! Capacity, and response times and costs at equal load.

use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::capacity::Capacity;
use bench_data::servers::target::TargetKind;

use crate::analysis::comparison;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;

/// Highest rate that meets the objective; of several searches the first.
pub(super) fn capacity(part: &Summary) -> Option<Finding> {
    let first = part.capacities.first()?;
    let (objective, load) = (first.objective, first.load);
    let own = part.capacities.iter().filter(|one| one.objective == objective && one.load == load);
    let (controls, own): (Vec<_>, Vec<_>) = own.partition(|one| one.kind == TargetKind::AaControl);
    let headline_load = most_comparable(part, is_open, |load| load.profile.rate_per_s);
    Some(Finding {
        metric: Metric::Capacity,
        condition: format!("With {} at {}", describe(load), objective.in_words()),
        load: headline_load.unwrap_or(load),
        noise_floor: noise_floor(&controls, &own),
        scores: own.into_iter().map(score).collect(),
    })
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

fn score(capacity: &Capacity) -> Score {
    let value = capacity.estimate();
    let doubt = if value.is_none() {
        capacity.absence()
    } else if capacity.is_at_least() && capacity.is_cut_short() {
        format!("a lower bound: {}", capacity.reason())
    } else if capacity.is_at_least() {
        "limited by the load generator: the capacity may be higher".to_owned()
    } else {
        String::new()
    };
    Score {
        target: capacity.target.clone(),
        kind: capacity.kind,
        rounds: capacity.by_round(),
        value,
        doubt,
        may_be_better: capacity.is_at_least(),
    }
}

fn noise_floor(controls: &[&Capacity], own: &[&Capacity]) -> Option<f64> {
    let control = controls.first()?;
    let name = control.control_of.as_deref()?;
    let own = own.iter().find(|one| one.target == name)?;
    comparison::noise_floor(&control.by_round(), &own.by_round())
}
