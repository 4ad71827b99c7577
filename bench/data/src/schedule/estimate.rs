//! Estimate of the extent of a run, before it begins.

use std::time::Duration;

use crate::load::Load;
use crate::plan::Plan;
use crate::plan::comparisons::MainComparison;
use crate::record::rows::TrialRow;
use crate::schedule::{Step, TrialSchedule, usual_probes};
use crate::servers::target::TargetKind;

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

/// Multiple of the estimated time of a trial, and a time beside it, up to which the time between two
/// trials belongs to the run. A longer one is a pause before a continuation.
/// (A server that does not start can take a minute: its ten thousand processes have to be ended.)
const LONGEST: (f64, f64) = (3.0, 120.0);

/// Estimated number and duration of the trials of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Number of planned trials.
    pub trials: usize,
    /// Duration of the run with these trials: warm-ups, windows, the last replies after them, start
    /// and end of servers and connections, and everything before the first and after the last trial.
    pub time: Duration,
    /// Upper limit of the duration with the rounds that the plan's precision adds.
    pub at_most: Duration,
}

/// Estimate for a plan.
pub fn expected(plan: &Plan) -> Expected {
    let run_s = before_s(plan) + f64::from(plan.rounds) * ROUND_S;
    let (mut trials, mut time) = (0, Duration::from_secs_f64(run_s));
    for step in TrialSchedule::new(plan).steps {
        match step {
            Step::Trial { load, target, .. } => {
                trials += 1;
                time += time_of_trial(plan, &load, target.kind());
            }
            Step::Search { search, turn, .. } => {
                for target in &turn {
                    let (load, how) = &plan.searches()[search];
                    let probes = usual_probes(how);
                    trials += probes;
                    time += time_of_trial(plan, load, target.kind()) * probes as u32;
                }
            }
        }
    }
    let at_most = budget_after(plan, time).map_or(time, |budget| budget.max(time));
    Expected { trials, time, at_most }
}

/// Time of a run after which no further round begins; `None` if the plan adds none.
pub fn budget(plan: &Plan) -> Option<Duration> {
    plan.until.half_width()?;
    match plan.budget_s {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => Some(expected(plan).at_most),
    }
}

fn budget_after(plan: &Plan, planned: Duration) -> Option<Duration> {
    plan.until.half_width()?;
    Some(plan.budget_s.map_or(2 * planned, Duration::from_secs))
}

/// Estimated time of a further round of a main comparison.
pub fn time_of_round(plan: &Plan, main: &MainComparison) -> Duration {
    let all = |load: &Load, trials: usize| -> Duration {
        let targets = plan.targets_of(load);
        let each = targets.iter().map(|target| time_of_trial(plan, load, target.kind()));
        each.sum::<Duration>() * trials as u32
    };
    let loads: Duration = main.loads.iter().map(|load| all(load, 1)).sum();
    let searches: Duration =
        main.searches.iter().map(|(load, how)| all(load, usual_probes(how))).sum();
    loads + searches + Duration::from_secs_f64(ROUND_S)
}

/// Time that a run has spent on its trials, given in their order, and before them. The time of the
/// last one is estimated, and so is that of a trial before a pause: the same rows give the same time,
/// whether the run was interrupted or not.
pub fn elapsed(plan: &Plan, rows: &[TrialRow]) -> Duration {
    let of = |(index, row): (usize, &TrialRow)| {
        let estimate = time_of_trial(plan, &row.load(), row.target_kind);
        let (multiple, beside_s) = LONGEST;
        let longest = estimate.mul_f64(multiple) + Duration::from_secs_f64(beside_s);
        let until_next = rows.get(index + 1).and_then(|next| {
            let passed = next.started_at.duration_since(row.started_at);
            Duration::try_from(passed).ok()
        });
        until_next.filter(|passed| *passed <= longest).unwrap_or(estimate)
    };
    let trials: Duration = rows.iter().enumerate().map(of).sum();
    trials + Duration::from_secs_f64(before_s(plan))
}

/// Time before the first and after the last trial.
fn before_s(plan: &Plan) -> f64 {
    let surveys = plan.targets();
    let surveys = surveys.iter().map(|target| SURVEY_S + start_s(target.kind()));
    RUN_S + surveys.sum::<f64>()
}

fn start_s(kind: TargetKind) -> f64 {
    match kind.is_ours() {
        true => START_S,
        false => START_OF_OTHERS_S,
    }
}

fn time_of_trial(plan: &Plan, load: &Load, kind: TargetKind) -> Duration {
    let beside_s = start_s(kind) + load.all_connections() as f64 * CONNECTION_S;
    let beside = Duration::from_secs_f64(beside_s) + last_replies(plan, load);
    plan.warm_up_of(load) + plan.window_of(load) + beside
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
    fn a_pause_takes_no_time_of_a_run() {
        let plan = plan();
        let rows = crate::mock::records().trials;
        let of = |rows: &[TrialRow]| elapsed(&plan, rows).as_secs_f64();
        let (few, more) = (of(&rows[..10]), of(&rows[..20]));
        // Generated trials begin a second apart; the last one of each list is estimated.
        assert!((9.8..10.2).contains(&(more - few)), "{few} {more}");
        let mut paused = rows.clone();
        for row in &mut paused[15..] {
            row.started_at += Duration::from_secs(3600);
        }
        let with_pause = of(&paused[..20]);
        assert!((with_pause - more).abs() < 1.0, "{more} {with_pause}");
        assert!(of(&[]) > 0.0, "surveys");
    }

    #[test]
    fn the_time_of_the_precision_is_an_upper_limit() {
        let mut plan = plan();
        plan.until = "none".parse().unwrap();
        let planned = expected(&plan);
        assert_eq!((planned.at_most, budget(&plan)), (planned.time, None));
        (plan.until, plan.budget_s) = ("ci=5%".parse().unwrap(), None);
        assert_eq!(budget(&plan), Some(2 * planned.time));
        assert_eq!(expected(&plan).at_most, 2 * planned.time);
        plan.budget_s = Some(1);
        assert_eq!(expected(&plan).at_most, planned.time, "the planned rounds run in any case");
        let main = &plan.main_comparisons()[0];
        let round = time_of_round(&plan, main).as_secs_f64();
        assert!((2.0..5.0).contains(&round), "{round}");
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
