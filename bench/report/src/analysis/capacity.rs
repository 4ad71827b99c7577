//! Capacities of the servers, estimated from the trials of their searches.

use bench_data::load::Load;
use bench_data::load::objective::Objective;
use bench_data::record::capacity::Capacity;
use bench_data::record::rows::Records;

use crate::analysis::statistics::logistic::{LogTrial, MiddleRate};

/// Capacity of one server under one load: the rate at which half of the trials meet the objective.
#[derive(Debug, Clone)]
pub struct CapacityEstimate {
    /// Result of the searches, round by round.
    pub search: Capacity,
    /// Estimate; `None` if there is none, or only a bound.
    middle: Option<MiddleRate>,
}

impl CapacityEstimate {
    /// Capacities of a run, in the order in which the servers first ran.
    pub fn all(records: &Records) -> Vec<Self> {
        Capacity::of(records).into_iter().map(Self::of).collect()
    }

    /// Estimate from searches. There is none if no rate met the objective in half of the rounds, or if
    /// half of them are bounds only.
    fn of(search: Capacity) -> Self {
        let trials = |trials: &[(u32, bool)]| -> Vec<LogTrial> {
            trials.iter().map(|(rate, met)| (f64::from(*rate).ln(), *met)).collect()
        };
        let rounds: Vec<_> =
            search.rounds.iter().map(|one| (one.round, trials(&one.trials))).collect();
        let is_exact = search.median_met().is_some() && !search.is_at_least();
        let middle = is_exact.then(|| MiddleRate::of(&rounds)).flatten();
        Self { search, middle }
    }

    /// Estimate; `None` if there is none, or only a bound.
    pub fn middle(&self) -> Option<&MiddleRate> {
        self.middle.as_ref()
    }

    /// Lower bound, if the capacity was not estimated because the load generator was the limit or the
    /// machine was disturbed.
    pub fn least(&self) -> Option<f64> {
        self.search.median_met().filter(|_| self.search.is_at_least())
    }

    /// Reason why the server cannot be compared; empty if it can.
    pub fn doubt(&self) -> String {
        let search = &self.search;
        if self.middle.is_some() {
            String::new()
        } else if self.least().is_some() && search.is_cut_short() {
            format!("a lower bound: {}", search.reason())
        } else if self.least().is_some() {
            "limited by the load generator".to_owned()
        } else {
            search.absence()
        }
    }

    /// Reason why the value is limited; empty if it is not.
    pub fn remark(&self) -> String {
        let search = &self.search;
        if self.least().is_some() {
            return search.reason().to_owned();
        }
        if self.middle.is_none() {
            return self.doubt();
        }
        let (rounds, met) = (search.rounds.len(), search.highest_met().len());
        match rounds - met {
            0 => String::new(),
            without => format!("no rate met it in {without} of {rounds} rounds"),
        }
    }
}

/// Capacities under one load with one objective.
#[derive(Debug)]
pub struct Search<'c> {
    /// The load without its rate.
    pub load: Load,
    /// The objective.
    pub objective: Objective,
    /// Servers, A/A controls excluded.
    pub servers: Vec<&'c CapacityEstimate>,
    /// A/A controls.
    pub controls: Vec<&'c CapacityEstimate>,
}

/// Capacities by load and objective, in the order of the searches.
pub fn searches(capacities: &[CapacityEstimate]) -> Vec<Search<'_>> {
    let mut searches: Vec<Search<'_>> = Vec::new();
    for one in capacities {
        let (load, objective) = (one.search.load, one.search.objective);
        let is_its = |search: &Search<'_>| search.load == load && search.objective == objective;
        let index = searches.iter().position(is_its).unwrap_or_else(|| {
            searches.push(Search { load, objective, servers: Vec::new(), controls: Vec::new() });
            searches.len() - 1
        });
        let search = &mut searches[index];
        match one.search.control_of {
            Some(_) => search.controls.push(one),
            None => search.servers.push(one),
        }
    }
    searches
}
