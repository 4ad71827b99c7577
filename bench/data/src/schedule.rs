//! Order of the trials of a plan.

use crate::plan::loads::fixed;
use crate::trial::Trial;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::load::Load;
use crate::load::objective::CapacitySearch;
use crate::plan::{Order, Plan};
use crate::record::capacity::{Capacity, Probe, lowest_per_s, weakest};
use crate::record::rows::Records;
use crate::servers::target::Target;

/// Typical number of trials of a search, for estimates of the duration.
const USUAL_PROBES: usize = 5;
/// Overhead of a trial: start and end of a built-in server.
const START_S: f64 = 0.06;
/// The same for other servers, some of which start a process or thread per connection.
const START_OF_OTHERS_S: f64 = 0.3;
/// Overhead per connection: its opening and closing.
const CONNECTION_S: f64 = 300e-6;
/// Time of a reply at the end of the window, for which a closed loop waits, besides its bytes.
const REPLY_S: f64 = 15e-6;
/// Rate at which these bytes arrive.
const BYTES_PER_S: f64 = 2e9;
/// Overhead of a run: the use of the machine by other programs, the copy bandwidth and the files
/// before the first trial, and the report after the last.
const RUN_S: f64 = 3.5;
/// Overhead per server: the survey of its capabilities, besides its start.
const SURVEY_S: f64 = 0.1;
/// Overhead per round: the wake-up delay.
const ROUND_S: f64 = 1.0;

/// Schedule of a plan: the next trial, given the results so far.
///
/// The order is by round, then by load. Under each load the servers run directly one after another,
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
        let mut turn = |round, load| turn(plan.order, plan.targets_of(load), round, &mut random);
        let searches = plan.searches();
        let (waiting, at_once): (Vec<_>, Vec<_>) =
            fixed(plan).into_iter().partition(|load| load.profile.of_weakest_percent.is_some());
        let mut steps = VecDeque::new();
        for round in 1..=plan.rounds {
            for load in &at_once {
                let trial = |target| Step::Trial { round, target, load: *load };
                steps.extend(turn(round, load).into_iter().map(trial));
            }
            for (search, (load, _)) in searches.iter().enumerate() {
                let (turn, again) = (turn(round, load).into(), VecDeque::new());
                steps.push_back(Step::Search { round, search, turn, again });
            }
        }
        for round in 1..=plan.rounds {
            for load in &waiting {
                let trial = |target| Step::Trial { round, target, load: *load };
                steps.extend(turn(round, load).into_iter().map(trial));
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

/// Estimated number and duration of the trials of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Number of trials.
    pub trials: usize,
    /// Duration of the whole run: warm-ups, windows, the last replies after them, start and end of
    /// servers and connections, and everything before the first and after the last trial.
    pub time: Duration,
}

/// Estimate for a plan.
pub fn expected(plan: &Plan) -> Expected {
    let start_s = |target: &Target| match target.kind().is_ours() {
        true => START_S,
        false => START_OF_OTHERS_S,
    };
    let surveys_s: f64 = plan.targets().iter().map(|target| SURVEY_S + start_s(target)).sum();
    let run_s = RUN_S + surveys_s + f64::from(plan.rounds) * ROUND_S;
    let mut expected = Expected { trials: 0, time: Duration::from_secs_f64(run_s) };
    let mut add = |load: &Load, target: &Target, trials: usize| {
        let beside_s = start_s(target) + load.all_connections() as f64 * CONNECTION_S;
        let beside = Duration::from_secs_f64(beside_s) + last_replies(plan, load);
        let each = plan.warm_up_of(load) + plan.window_of(load) + beside;
        expected.trials += trials;
        expected.time += each * trials as u32;
    };
    for step in TrialSchedule::new(plan).steps {
        match step {
            Step::Trial { load, target, .. } => add(&load, &target, 1),
            Step::Search { search, turn, .. } => {
                for target in &turn {
                    add(&plan.searches()[search].0, target, USUAL_PROBES);
                }
            }
        }
    }
    expected
}

/// Time after the window until the requests sent within it have their replies.
fn last_replies(plan: &Plan, load: &Load) -> Duration {
    let each_s = REPLY_S + load.size.bytes() as f64 / BYTES_PER_S;
    Duration::from_secs_f64(load.connections as f64 * each_s).min(plan.drain_of(load))
}

fn turn(
    order: Order,
    mut targets: Vec<Target>,
    round: u32,
    random: &mut fastrand::Rng,
) -> Vec<Target> {
    match order {
        Order::Mirrored if round.is_multiple_of(2) => targets.reverse(),
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
            assert_eq!(trials.len(), plan.rounds as usize * loads.len() * plan.targets().len());
            for (index, trial) in trials.iter().enumerate() {
                assert_eq!(trial.number as usize, index + 1);
            }
            for round in 1..=plan.rounds {
                for load in &loads {
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
            let mut backwards = names(&trials, 2, load);
            backwards.reverse();
            assert_eq!(names(&trials, 1, load), backwards);
            assert_eq!(names(&trials, 1, load), names(&trials, 3, load));
        }
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
    fn the_estimate_contains_all_parts_of_a_run() {
        let plan = plan(Order::Mirrored);
        let of = |plan: &Plan| expected(plan).time.as_secs_f64();
        let trials = schedule(&plan);
        let measured: Duration = trials
            .iter()
            .map(|trial| plan.warm_up_of(&trial.load) + plan.window_of(&trial.load))
            .sum();
        let least = measured.as_secs_f64() + f64::from(plan.rounds) + trials.len() as f64 * START_S;
        assert!((least + 2.0..1.3 * least).contains(&of(&plan)), "{least}: {}", of(&plan));
        // A further round costs its trials and its wake-up delay.
        let more = Plan { rounds: plan.rounds + 1, ..plan.clone() };
        let round = of(&more) - of(&plan);
        let each = (of(&plan) - RUN_S) / f64::from(plan.rounds);
        assert!((0.9 * each..each).contains(&round), "{round} of {each}");
    }

    #[test]
    fn the_last_replies_take_as_long_as_their_bytes_and_no_longer_than_the_drain() {
        let plan = plan(Order::Mirrored);
        let mut load = plan.loads()[0];
        (load.connections, load.size) = (64, "1MiB".parse().unwrap());
        let seconds = last_replies(&plan, &load).as_secs_f64();
        assert!((0.03..0.05).contains(&seconds), "{seconds}");
        load.size = "1GiB".parse().unwrap();
        assert_eq!(last_replies(&plan, &load), plan.drain_of(&load));
    }

    #[test]
    fn a_load_that_two_sweeps_name_is_measured_once() {
        let loads = plan(Order::Mirrored).loads();
        for (index, load) in loads.iter().enumerate() {
            assert!(!loads[index + 1..].contains(load), "{load:?}");
        }
    }
}
