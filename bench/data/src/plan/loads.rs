//! Loads and searches of a plan.

use anyhow::{bail, ensure};

use crate::load::Load;
use crate::load::objective::CapacitySearch;
use crate::plan::Plan;
use crate::plan::sweep::Sweep;

impl Plan {
    /// Distinct loads of the plan. Loads of searches are closed loops, and loads at a share of a
    /// capacity have no rate: a plan contains neither.
    pub fn loads(&self) -> Vec<Load> {
        once(self.sweeps.iter().flat_map(Sweep::loads))
    }

    /// Searches of the plan with their loads.
    pub fn searches(&self) -> Vec<(Load, CapacitySearch)> {
        once(self.sweeps.iter().flat_map(|sweep| {
            sweep.loads().into_iter().filter_map(|load| Some((load, sweep.capacity?)))
        }))
    }
}

/// Checks that budget and rates of a plan are well defined.
///
/// # Errors
/// A budget without a precision, a search with given rates, or a share of a capacity without a search for it.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    ensure!(
        plan.budget_s.is_none() || plan.until.half_width().is_some(),
        "budget: it limits rounds that are added for precision; add --until ci=5% (in a plan: until = \
         \"ci=5%\")"
    );
    for sweep in &plan.sweeps {
        ensure!(
            sweep.capacity.is_none()
                || (sweep.rates_per_s.is_empty() && sweep.of_weakest_capacity.is_empty()),
            "capacity: a search determines the rates; remove rates_per_s and of_weakest_capacity from \
             this [[sweep]]"
        );
        ensure!(
            sweep.rates_per_s.is_empty() || sweep.of_weakest_capacity.is_empty(),
            "of_weakest_capacity: the capacity determines the rates; remove rates_per_s from this [[sweep]]"
        );
        let searched = plan.searches();
        for load in sweep.loads().iter().filter(|load| load.profile.of_weakest_percent.is_some()) {
            if !searched.iter().any(|(base, _)| *base == load.without_rate()) {
                bail!(
                    "of_weakest_capacity: no search for the capacity under this load; add the same \
                     [[sweep]] with capacity = {{ p99_ms = 5 }} instead"
                );
            }
        }
    }
    Ok(())
}

/// Loads without those of searches.
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
