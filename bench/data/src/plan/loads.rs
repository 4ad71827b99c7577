//! The loads and searches of a plan.

use anyhow::{bail, ensure};

use crate::load::Load;
use crate::load::objective::CapacitySearch;
use crate::plan::Plan;
use crate::plan::sweep::Sweep;

impl Plan {
    /// The loads of a plan, each once even where sweeps cross; those of searches as closed loops, and
    /// those at a share of a capacity without their rate, as a plan knows neither.
    pub fn loads(&self) -> Vec<Load> {
        once(self.sweeps.iter().flat_map(Sweep::loads))
    }

    /// The searches of a plan: under which load, and for what.
    pub fn searches(&self) -> Vec<(Load, CapacitySearch)> {
        once(self.sweeps.iter().flat_map(|sweep| {
            sweep.loads().into_iter().filter_map(|load| Some((load, sweep.capacity?)))
        }))
    }
}

/// Makes sure that the plan's loads can be made out.
///
/// # Errors
/// A search beside given rates, or a share of a capacity that nothing looks for.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    for sweep in &plan.sweeps {
        ensure!(
            sweep.capacity.is_none()
                || (sweep.rates_per_s.is_empty() && sweep.of_weakest_capacity.is_empty()),
            "capacity: a search finds its rates: give it a [[sweep]] without rates_per_s and \
             of_weakest_capacity"
        );
        ensure!(
            sweep.rates_per_s.is_empty() || sweep.of_weakest_capacity.is_empty(),
            "of_weakest_capacity: rates cannot be given and found: leave out rates_per_s"
        );
        let searched = plan.searches();
        for load in sweep.loads().iter().filter(|load| load.profile.of_weakest_percent.is_some()) {
            if !searched.iter().any(|(base, _)| *base == load.without_rate()) {
                bail!(
                    "of_weakest_capacity: nothing looks for the capacity under that load: add a \
                     [[sweep]] like it with capacity = {{ p99_ms = 5 }} in its place"
                );
            }
        }
    }
    Ok(())
}

/// The loads that are put on as they are, or at a share of a capacity.
pub fn fixed(plan: &Plan) -> Vec<Load> {
    once(plan.sweeps.iter().filter(|sweep| sweep.capacity.is_none()).flat_map(Sweep::loads))
}

fn once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}
