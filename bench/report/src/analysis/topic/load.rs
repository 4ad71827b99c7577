//! Capacity, and response times and costs at equal load.

use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::capacity::Capacity;
use bench_data::servers::target::TargetKind;
use bench_data::stats::Spread;

use crate::analysis::comparison::{ControlCheck, joined};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::{Summary, values};

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
        control: control_check(&controls, &own),
        scores: own.into_iter().map(|one| score(one, &controls)).collect(),
        is_void: part.void.contains(&headline_load.unwrap_or(load)),
        is_exploratory: false,
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

/// Capacity of a server, joined with that of its A/A control.
fn score(capacity: &Capacity, controls: &[&Capacity]) -> Score {
    let is_its = |control: &&&Capacity| control.control_of.as_ref() == Some(&capacity.target);
    let control = controls.iter().find(is_its).map(|control| control.by_round());
    let rounds = joined(&capacity.by_round(), &control.unwrap_or_default());
    let value = capacity.estimate().and_then(|_| Spread::of(&values(&rounds)));
    let is_censored = capacity.is_at_least() && value.is_some();
    let doubt = if value.is_none() {
        capacity.absence()
    } else if capacity.is_at_least() && capacity.is_cut_short() {
        format!("a lower bound: {}", capacity.reason())
    } else if is_censored {
        "limited by the load generator".to_owned()
    } else {
        String::new()
    };
    Score {
        target: capacity.target.clone(),
        kind: capacity.kind,
        rounds,
        value,
        doubt,
        may_be_better: is_censored,
        is_censored,
    }
}

fn control_check(controls: &[&Capacity], own: &[&Capacity]) -> Option<ControlCheck> {
    let control = controls.first()?;
    let name = control.control_of.as_deref()?;
    let own = own.iter().find(|one| one.target == name)?;
    let is_sound = |one: &Capacity| one.estimate().is_some() && !one.is_at_least();
    let both = is_sound(own) && is_sound(control);
    ControlCheck::of(name, &control.by_round(), &own.by_round()).filter(|_| both)
}
