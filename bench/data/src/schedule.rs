//! Order of the trials of a plan.

mod estimate;

pub use estimate::{Expected, expected};

use std::collections::{HashMap, VecDeque};

use crate::load::Load;
use crate::load::objective::CapacitySearch;
use crate::plan::loads::fixed;
use crate::plan::{Order, Plan};
use crate::record::capacity::{Capacity, Probe, lowest_per_s, weakest};
use crate::record::rows::Records;
use crate::servers::target::Target;
use crate::trial::Trial;

/// Typical number of trials of a search, for estimates of the duration.
const USUAL_PROBES: usize = 5;

/// Schedule of a plan: the next trial, given the results so far.
///
/// The order is by round, then by load; loads with fewer rounds than others are measured in evenly
/// spaced ones. Under each load the servers run directly one after another,
/// so that drift of the machine affects them alike. A search runs one trial of each server in turn
/// until it ends for all of them. Loads at a share of the slowest server's capacity come after the
/// searches of all rounds. The same plan and the same results give the same trials; an interrupted
/// run continues by repeating the schedule.
#[derive(Debug)]
pub struct TrialSchedule {
    steps: VecDeque<Step>,
    searches: Vec<(Load, CapacitySearch)>,
    /// Window of each search, in seconds.
    windows_s: Vec<f64>,
    /// Trials of searches so far, by search, round and server.
    probes: HashMap<(usize, u32, String), Vec<Probe>>,
    found: Records,
    numbered: u32,
}

/// Step of the schedule.
#[derive(Debug)]
enum Step {
    Trial {
        round: u32,
        target: Target,
        load: Load,
    },
    Search {
        round: u32,
        /// Index of the search.
        search: usize,
        /// Servers still to run in this turn.
        turn: VecDeque<Target>,
        /// Servers that run again in the next turn.
        again: VecDeque<Target>,
    },
}

impl TrialSchedule {
    /// Schedule of a plan, from its beginning.
    pub fn new(plan: &Plan) -> Self {
        let mut random = fastrand::Rng::with_seed(plan.seed.unwrap_or(0));
        let mut turn = |block, load| turn(plan.order, plan.targets_of(load), block, &mut random);
        let searches = plan.searches();
        let (waiting, at_once): (Vec<_>, Vec<_>) =
            fixed(plan).into_iter().partition(|load| load.profile.of_weakest_percent.is_some());
        let mut steps = VecDeque::new();
        for round in 1..=plan.rounds {
            for load in &at_once {
                let Some(block) = block(plan.rounds_of(load), plan.rounds, round) else { continue };
                let trial = |target| Step::Trial { round, target, load: *load };
                steps.extend(turn(block, load).into_iter().map(trial));
            }
            for (search, one) in searches.iter().enumerate() {
                let Some(block) = block(plan.rounds_of_search(one), plan.rounds, round) else {
                    continue;
                };
                let (turn, again) = (turn(block, &one.0).into(), VecDeque::new());
                steps.push_back(Step::Search { round, search, turn, again });
            }
        }
        for round in 1..=plan.rounds {
            for load in &waiting {
                let Some(block) = block(plan.rounds_of(load), plan.rounds, round) else { continue };
                let trial = |target| Step::Trial { round, target, load: *load };
                steps.extend(turn(block, load).into_iter().map(trial));
            }
        }
        Self {
            steps,
            windows_s: searches
                .iter()
                .map(|(load, _)| plan.window_of(load).as_secs_f64())
                .collect(),
            searches,
            probes: HashMap::new(),
            found: Records::default(),
            numbered: 0,
        }
    }

    /// Next trial. Its records must be passed to [`TrialSchedule::learn`] before the next call.
    pub fn next_trial(&mut self) -> Option<Trial> {
        loop {
            let (round, target, load, search) = match self.steps.pop_front()? {
                Step::Trial { round, target, load } => {
                    // Without any capacity there is no share of it.
                    let Some(load) = self.resolved(load) else { continue };
                    (round, target, load, None)
                }
                Step::Search { round, search, turn, again } => {
                    let Some((target, load)) = self.ask(round, search, turn, again) else {
                        continue;
                    };
                    (round, target, load, Some(self.searches[search].1.objective))
                }
            };
            self.numbered += 1;
            return Some(Trial { number: self.numbered, round, target, load, search });
        }
    }

    /// Takes the records of a trial into account. Interrupted trials have none.
    pub fn learn(&mut self, trial: &Trial, records: &Records) {
        let (Some(objective), [row]) = (trial.search, records.trials.as_slice()) else { return };
        let base = trial.load.without_rate();
        let is_its = |(load, search): &(Load, CapacitySearch)| {
            *load == base && search.objective == objective
        };
        let Some(search) = self.searches.iter().position(is_its) else { return };
        let probe = Probe::of(row, objective, &records.latencies.iter());
        let key = (search, trial.round, trial.target.name().to_owned());
        self.probes.entry(key).or_default().push(probe);
        self.found.trials.push(row.clone());
        self.found.latencies.extend(records.latencies.iter().cloned());
    }

    /// Estimated number of remaining trials.
    pub fn expected(&self) -> usize {
        let of_search = |round: u32, search: usize, target: &Target| {
            let key = (search, round, target.name().to_owned());
            let done = self.probes.get(&key).map_or(0, Vec::len);
            USUAL_PROBES.saturating_sub(done).max(1)
        };
        let each = self.steps.iter().map(|step| match step {
            Step::Trial { .. } => 1,
            Step::Search { round, search, turn, again } => {
                turn.iter().chain(again).map(|target| of_search(*round, *search, target)).sum()
            }
        });
        each.sum()
    }

    fn ask(
        &mut self,
        round: u32,
        search: usize,
        mut turn: VecDeque<Target>,
        mut again: VecDeque<Target>,
    ) -> Option<(Target, Load)> {
        let (mut load, how) = self.searches[search];
        if turn.is_empty() {
            std::mem::swap(&mut turn, &mut again);
        }
        let target = turn.pop_front()?;
        let key = (search, round, target.name().to_owned());
        let probes = self.probes.get(&key).map_or(&[][..], Vec::as_slice);
        let rate = how.next(probes, lowest_per_s(load.connections, self.windows_s[search]));
        if rate.is_some() {
            again.push_back(target.clone());
        }
        self.steps.push_front(Step::Search { round, search, turn, again });
        load.profile.rate_per_s = Some(rate?);
        Some((target, load))
    }

    /// Load with its rate, if that is a share of a capacity found by the searches.
    fn resolved(&self, mut load: Load) -> Option<Load> {
        if let Some(percent) = load.profile.of_weakest_percent {
            let capacities = Capacity::of(&self.found);
            let (_, least_per_s) = weakest(&capacities, load.without_rate())?;
            let rate = (least_per_s * f64::from(percent) / 100.0).round().max(1.0);
            load.profile.rate_per_s = Some(rate as u32);
        }
        Some(load)
    }
}

/// Number of the block of a load with `blocks` of them that is measured in a round of a plan with
/// `rounds`: they are evenly spaced. `None` in rounds without one.
fn block(blocks: u32, rounds: u32, round: u32) -> Option<u32> {
    let round_of = |block: u32| 1 + (block - 1) * rounds / blocks;
    (1..=blocks).find(|block| round_of(*block) == round)
}

/// Servers in the order of a block of a load.
fn turn(
    order: Order,
    mut targets: Vec<Target>,
    block: u32,
    random: &mut fastrand::Rng,
) -> Vec<Target> {
    match order {
        Order::Mirrored if block.is_multiple_of(2) => targets.reverse(),
        Order::Mirrored => {}
        Order::Shuffled => random.shuffle(&mut targets),
    }
    targets
}

/// Trials of a plan without searches.
#[cfg(any(test, feature = "mock"))]
pub fn schedule(plan: &Plan) -> Vec<Trial> {
    assert!(plan.searches().is_empty(), "what a search asks for depends on what it finds");
    let mut schedule = TrialSchedule::new(plan);
    std::iter::from_fn(|| schedule.next_trial()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;
    use crate::trial::Trial;

    fn plan(order: Order) -> Plan {
        let mut plan = Plan::built_in("default").unwrap();
        plan.order = order;
        plan
    }

    fn names(trials: &[Trial], round: u32, load: Load) -> Vec<&str> {
        let here = trials.iter().filter(|trial| trial.round == round && trial.load == load);
        here.map(|trial| trial.target.name()).collect()
    }

    #[test]
    fn every_server_meets_every_load_once_a_round() {
        for order in [Order::Mirrored, Order::Shuffled] {
            let plan = plan(order);
            let trials = schedule(&plan);
            let loads = plan.loads();
            let blocks: u32 = loads.iter().map(|load| plan.rounds_of(load)).sum();
            assert_eq!(trials.len(), blocks as usize * plan.targets().len());
            for (index, trial) in trials.iter().enumerate() {
                assert_eq!(trial.number as usize, index + 1);
            }
            for round in 1..=plan.rounds {
                for load in loads.iter().filter(|load| plan.rounds_of(load) == plan.rounds) {
                    let mut seen = names(&trials, round, *load);
                    seen.sort_unstable();
                    let targets = plan.targets();
                    let mut all: Vec<_> = targets.iter().map(Target::name).collect();
                    all.sort_unstable();
                    assert_eq!(seen, all);
                }
            }
        }
    }

    #[test]
    fn a_mirrored_order_turns_round_in_even_rounds() {
        let plan = plan(Order::Mirrored);
        let trials = schedule(&plan);
        for load in plan.loads() {
            let blocks: Vec<_> =
                (1..=plan.rounds).map(|round| names(&trials, round, load)).collect();
            let blocks: Vec<_> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
            assert_eq!(blocks.len(), plan.rounds_of(&load) as usize);
            let mut backwards = blocks[1].clone();
            backwards.reverse();
            assert_eq!(blocks[0], backwards);
            assert_eq!(blocks[0], blocks[2]);
        }
    }

    #[test]
    fn loads_with_fewer_rounds_are_spread_over_the_run() {
        let rounds_with = |blocks| -> Vec<u32> {
            (1..=6).filter(|round| block(blocks, 6, *round).is_some()).collect()
        };
        assert_eq!(rounds_with(6), [1, 2, 3, 4, 5, 6]);
        assert_eq!(rounds_with(4), [1, 2, 4, 5]);
        assert_eq!(rounds_with(3), [1, 3, 5]);
        assert_eq!(rounds_with(1), [1]);
        assert_eq!(block(3, 6, 5), Some(3));
    }

    #[test]
    fn a_shuffled_order_follows_from_its_seed() {
        let seeded = |seed| {
            schedule(
                &plan(Order::Shuffled).with(Overrides { seed: Some(seed), ..Default::default() }),
            )
        };
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
    }

    #[test]
    fn a_load_that_two_sweeps_name_is_measured_once() {
        let loads = plan(Order::Mirrored).loads();
        for (index, load) in loads.iter().enumerate() {
            assert!(!loads[index + 1..].contains(load), "{load:?}");
        }
    }
}
