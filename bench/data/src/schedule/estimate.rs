//! Estimate of the extent of a run, before it begins.

use std::time::Duration;

use crate::load::Load;
use crate::plan::Plan;
use crate::schedule::{Step, TrialSchedule, USUAL_PROBES};
use crate::servers::target::Target;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Order;
    use crate::schedule::schedule;

    fn plan() -> Plan {
        let mut plan = Plan::built_in("default").unwrap();
        plan.order = Order::Mirrored;
        plan
    }

    #[test]
    fn the_estimate_contains_all_parts_of_a_run() {
        let plan = plan();
        let of = |plan: &Plan| expected(plan).time.as_secs_f64();
        let trials = schedule(&plan);
        let measured: Duration = trials
            .iter()
            .map(|trial| plan.warm_up_of(&trial.load) + plan.window_of(&trial.load))
            .sum();
        let least = measured.as_secs_f64() + f64::from(plan.rounds) + trials.len() as f64 * START_S;
        assert!((least + 2.0..1.3 * least).contains(&of(&plan)), "{least}: {}", of(&plan));
        // A further round costs its trials and its wake-up delay.
        let plan = Plan { other_rounds: None, ..plan };
        let more = Plan { rounds: plan.rounds + 1, ..plan.clone() };
        let round = of(&more) - of(&plan);
        let each = (of(&plan) - RUN_S) / f64::from(plan.rounds);
        assert!((0.9 * each..each).contains(&round), "{round} of {each}");
        // Fewer rounds of exploratory loads take less time.
        assert!(of(&Plan { other_rounds: Some(1), ..plan.clone() }) < 0.6 * of(&plan));
    }

    #[test]
    fn the_last_replies_take_as_long_as_their_bytes_and_no_longer_than_the_drain() {
        let plan = plan();
        let mut load = plan.loads()[0];
        (load.connections, load.size) = (64, "1MiB".parse().unwrap());
        let seconds = last_replies(&plan, &load).as_secs_f64();
        assert!((0.03..0.05).contains(&seconds), "{seconds}");
        load.size = "1GiB".parse().unwrap();
        assert_eq!(last_replies(&plan, &load), plan.drain_of(&load));
    }
}
