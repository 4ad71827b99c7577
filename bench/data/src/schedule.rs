//! Order of the trials of a plan.

mod estimate;

pub use estimate::{Expected, budget, elapsed, expected, time_of_round};

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::load::Load;
use crate::load::objective::CapacitySearch;
use crate::plan::comparisons::MainComparison;
use crate::plan::loads::fixed;
use crate::plan::{Order, Plan};
use crate::record::capacity::{Capacity, Probe, lowest_per_s, weakest};
use crate::record::rows::Records;
use crate::servers::target::Target;
use crate::trial::Trial;

/// Typical number of trials of a search until it has found the boundary, for estimates of the duration.
const USUAL_PROBES: usize = 5;

/// Schedule of a plan: the next trial, given the results so far.
///
/// The order is by round, then by load; loads with fewer rounds than others are measured in evenly
/// spaced ones. Under each load the servers run directly one after another, so that drift of the
/// machine affects them alike. A search runs one trial of each server in turn until it ends for all
/// of them. Loads at a share of the slowest server's capacity come after the searches of all rounds.
///
/// After the planned rounds, a main comparison gets a further round for each one with a trial that the
/// machine or the load generator spoiled, up to [`Plan::most_replacements`]. Others are added by
/// [`TrialSchedule::add_round`]. The same plan and the same results give the same trials; an
/// interrupted run continues by repeating the schedule.
#[derive(Debug)]
pub struct TrialSchedule {
    plan: Plan,
    random: fastrand::Rng,
    steps: VecDeque<Step>,
    searches: Vec<(Load, CapacitySearch)>,
    /// Window of each search, in seconds.
    windows_s: Vec<f64>,
    /// Trials of searches so far, by search, round and server.
    probes: HashMap<(usize, u32, String), Vec<Probe>>,
    found: Records,
    /// Rates of loads at a share of a capacity, fixed when such a load first runs.
    resolved: Vec<(Load, Option<Load>)>,
    comparisons: Vec<Comparison>,
    /// Number of the last round.
    last_round: u32,
    numbered: u32,
}

/// Main comparison with the rounds it got so far.
#[derive(Debug)]
struct Comparison {
    main: MainComparison,
    /// Number of rounds, the coming ones included.
    rounds: u32,
    /// Rounds with a spoiled trial.
    spoiled: BTreeSet<u32>,
    /// Rounds that replace spoiled ones.
    replacements: u32,
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
        let searches = plan.searches();
        let main = plan.main_comparisons().into_iter();
        let comparisons = main.map(|main| Comparison {
            main,
            rounds: plan.rounds,
            spoiled: BTreeSet::new(),
            replacements: 0,
        });
        let mut schedule = Self {
            plan: plan.clone(),
            random: fastrand::Rng::with_seed(plan.seed.unwrap_or(0)),
            steps: VecDeque::new(),
            windows_s: searches
                .iter()
                .map(|(load, _)| plan.window_of(load).as_secs_f64())
                .collect(),
            searches,
            probes: HashMap::new(),
            found: Records::default(),
            resolved: Vec::new(),
            comparisons: comparisons.collect(),
            last_round: plan.rounds,
            numbered: 0,
        };
        schedule.add_planned();
        schedule
    }

    fn add_planned(&mut self) {
        let rounds = self.plan.rounds;
        let (waiting, at_once): (Vec<_>, Vec<_>) = fixed(&self.plan)
            .into_iter()
            .map(|load| (load, self.plan.rounds_of(&load)))
            .partition(|(load, _)| load.profile.of_weakest_percent.is_some());
        let each = self.searches.iter().map(|one| self.plan.rounds_of_search(one));
        let searched: Vec<u32> = each.collect();
        for round in 1..=rounds {
            for (load, blocks) in &at_once {
                if let Some(block) = block(*blocks, rounds, round) {
                    self.add_block(*load, round, block);
                }
            }
            for (search, blocks) in searched.iter().enumerate() {
                if let Some(block) = block(*blocks, rounds, round) {
                    self.add_search(search, round, block);
                }
            }
        }
        for round in 1..=rounds {
            for (load, blocks) in &waiting {
                if let Some(block) = block(*blocks, rounds, round) {
                    self.add_block(*load, round, block);
                }
            }
        }
    }

    /// Adds a trial of each server of a load; `block` is the number of such blocks so far.
    fn add_block(&mut self, load: Load, round: u32, block: u32) {
        let targets = self.plan.targets_of(&load);
        let turn = turn(self.plan.order, targets, block, &mut self.random);
        self.steps.extend(turn.into_iter().map(|target| Step::Trial { round, target, load }));
    }

    /// Adds a search of each server.
    fn add_search(&mut self, search: usize, round: u32, block: u32) {
        let targets = self.plan.targets_of(&self.searches[search].0);
        let turn = turn(self.plan.order, targets, block, &mut self.random).into();
        self.steps.push_back(Step::Search { round, search, turn, again: VecDeque::new() });
    }

    /// Adds a round of a main comparison, the one at this index of [`Plan::main_comparisons`], with
    /// every server of its loads. It has a number that no other round has.
    pub fn add_round(&mut self, comparison: usize) {
        self.last_round += 1;
        let round = self.last_round;
        let one = &mut self.comparisons[comparison];
        one.rounds += 1;
        let (main, block) = (one.main.clone(), one.rounds);
        for load in main.loads {
            self.add_block(load, round, block);
        }
        for search in main.searches {
            if let Some(index) = self.searches.iter().position(|one| *one == search) {
                self.add_search(index, round, block);
            }
        }
    }

    /// Adds a round of the first main comparison that has fewer rounds without a spoiled trial than
    /// planned; returns false if none has, or they got all replacements.
    fn replace_spoiled(&mut self) -> bool {
        let (planned, most) = (self.plan.rounds, self.plan.most_replacements());
        let is_short = |one: &Comparison| {
            one.rounds - (one.spoiled.len() as u32) < planned && one.replacements < most
        };
        let Some(index) = self.comparisons.iter().position(is_short) else { return false };
        self.comparisons[index].replacements += 1;
        self.add_round(index);
        true
    }

    /// Next trial. Its records must be passed to [`TrialSchedule::learn`] before the next call.
    pub fn next_trial(&mut self) -> Option<Trial> {
        loop {
            let Some(step) = self.steps.pop_front() else {
                if self.replace_spoiled() {
                    continue;
                }
                return None;
            };
            let (round, target, load, search) = match step {
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
        let [row] = records.trials.as_slice() else { return };
        if trial.search.is_none() && row.outcome.is_void() {
            let planned = trial.load.as_planned();
            for one in self.comparisons.iter_mut().filter(|one| one.main.loads.contains(&planned)) {
                one.spoiled.insert(trial.round);
            }
        }
        let Some(objective) = trial.search else { return };
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
            usual_probes(&self.searches[search].1).saturating_sub(done).max(1)
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
        let rate = how.next(round, probes, lowest_per_s(load.connections, self.windows_s[search]));
        if rate.is_some() {
            again.push_back(target.clone());
        }
        self.steps.push_front(Step::Search { round, search, turn, again });
        load.profile.rate_per_s = Some(rate?);
        Some((target, load))
    }

    /// Load with its rate, if that is a share of a capacity found by the searches. The rate is the
    /// same in all rounds, whatever later searches find.
    fn resolved(&mut self, load: Load) -> Option<Load> {
        let Some(percent) = load.profile.of_weakest_percent else { return Some(load) };
        if let Some((_, known)) = self.resolved.iter().find(|(planned, _)| *planned == load) {
            return *known;
        }
        let capacities = Capacity::of(&self.found);
        let found = weakest(&capacities, load.without_rate()).map(|(_, least_per_s)| {
            let rate = (least_per_s * f64::from(percent) / 100.0).round().max(1.0);
            let mut resolved = load;
            resolved.profile.rate_per_s = Some(rate as u32);
            resolved
        });
        self.resolved.push((load, found));
        found
    }
}

/// Typical number of trials of a search, those near the boundary included.
pub fn usual_probes(search: &CapacitySearch) -> usize {
    USUAL_PROBES + search.repeats as usize
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
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::mock::{MockExecutor, records_of};
    use crate::plan::Overrides;
    use crate::record::outcome::Outcome;
    use crate::record::rows::TrialRow;
    use crate::trial::{Executor, Trial};

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

    fn measured(plan: &Plan, disturbed_in: Vec<u32>) -> Vec<TrialRow> {
        let executor = MockExecutor { disturbed_in, ..MockExecutor::default() };
        records_of(plan, executor).trials
    }

    #[test]
    fn a_spoiled_trial_of_a_main_comparison_is_made_up_for_by_a_whole_block() {
        let plan = plan(Order::Mirrored);
        let main = plan.main_comparisons()[0].loads[0];
        let planned = schedule(&plan);
        let number_of = |round, load| {
            let is_it = |trial: &&Trial| (trial.round, trial.load) == (round, load);
            planned.iter().find(is_it).unwrap().number
        };
        let rows = measured(&plan, vec![number_of(2, main)]);
        let added: Vec<_> = rows.iter().filter(|row| row.round > plan.rounds).collect();
        assert_eq!(added.len(), plan.targets().len());
        assert!(added.iter().all(|row| row.load() == main && row.round == plan.rounds + 1));
        let order: Vec<_> = added.iter().map(|row| row.target.as_str()).collect();
        assert_eq!(order, names(&planned, 1, main), "the seventh block is an odd one");
        for target in plan.targets() {
            let is_ok = |row: &&TrialRow| {
                row.target == target.name() && row.load() == main && row.outcome == Outcome::Ok
            };
            let starves = target.name() == "iterative";
            assert!(starves || rows.iter().filter(is_ok).count() >= plan.rounds as usize);
        }
        // Two trials of one round are made up for by one block, and other loads by none.
        let first = number_of(3, main);
        assert_eq!(measured(&plan, vec![first, first + 1]).len(), planned.len() + 5);
        let other = plan.loads().into_iter().find(|load| *load != main).unwrap();
        assert_eq!(measured(&plan, vec![number_of(1, other)]).len(), planned.len());
    }

    #[test]
    fn replacements_are_bounded() {
        let plan = plan(Order::Mirrored);
        let rows = measured(&plan, (1..1000).collect());
        let rounds = rows.iter().map(|row| row.round).max().unwrap();
        assert_eq!(rounds, plan.rounds + plan.most_replacements());
        assert_eq!(plan.most_replacements(), 2);
    }

    #[test]
    fn an_added_round_has_every_load_of_its_comparison_and_a_number_of_its_own() {
        let plan = Plan::built_in("slow").unwrap();
        let mut schedule = TrialSchedule::new(&plan);
        while schedule.next_trial().is_some() {}
        schedule.add_round(0);
        let added: Vec<_> = std::iter::from_fn(|| schedule.next_trial()).collect();
        let loads = &plan.main_comparisons()[0].loads;
        let servers: usize = loads.iter().map(|load| plan.targets_of(load).len()).sum();
        assert_eq!((loads.len(), added.len()), (3, servers));
        assert!(added.iter().all(|trial| trial.round == plan.rounds + 1));
    }

    #[test]
    fn a_share_of_a_capacity_keeps_its_rate_in_later_rounds() {
        let plan = Plan::built_in("latency").unwrap();
        let mut schedule = TrialSchedule::new(&plan);
        let (mut executor, stop) = (MockExecutor::default(), AtomicBool::new(false));
        let mut rates = BTreeSet::new();
        for _ in 0..2 {
            while let Some(trial) = schedule.next_trial() {
                if trial.load.profile.of_weakest_percent == Some(80) {
                    rates.insert(trial.load.profile.rate_per_s);
                }
                let measured = executor.execute(&trial, &stop);
                schedule.learn(&trial, &Records::of_trial(&trial, &measured));
            }
            executor.speed = ["threaded", "selector"].map(|name| (name.to_owned(), 5000.0)).into();
            schedule.searches.clone().iter().enumerate().for_each(|(search, _)| {
                schedule.add_search(search, 7, 7);
            });
            schedule.add_round(0);
        }
        assert_eq!(rates.len(), 1, "{rates:?}");
    }

    #[test]
    fn a_load_that_two_sweeps_name_is_measured_once() {
        let loads = plan(Order::Mirrored).loads();
        for (index, load) in loads.iter().enumerate() {
            assert!(!loads[index + 1..].contains(load), "{load:?}");
        }
    }
}
