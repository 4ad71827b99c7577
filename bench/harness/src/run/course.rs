//! Trials of a run in their order: the schedule's, then the further rounds that the precision of the
//! results calls for.

use bench_data::plan::Plan;
use bench_data::record::rows::Records;
use bench_data::schedule::TrialSchedule;
use bench_data::trial::Trial;
use bench_report::analysis::precision::{Precision, next_round};

/// Course of a run. It follows from the plan and the records alone, so that an interrupted run repeats
/// it.
#[derive(Debug)]
pub(super) struct Course<'p> {
    plan: &'p Plan,
    schedule: TrialSchedule,
    records: Records,
}

impl<'p> Course<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self { plan, schedule: TrialSchedule::new(plan), records: Records::default() }
    }

    /// Next trial, whose records must be passed to [`Course::learn`] before the next call. `adds` is
    /// called with the reason when a further round begins.
    pub(super) fn next_trial(&mut self, mut adds: impl FnMut(&Precision)) -> Option<Trial> {
        loop {
            let scheduled = self.next_scheduled();
            if scheduled.is_some() {
                return scheduled;
            }
            let next = next_round(self.plan, &self.records)?;
            adds(&next);
            self.schedule.add_round(next.comparison);
        }
    }

    /// Next trial, without a further round.
    pub(super) fn next_scheduled(&mut self) -> Option<Trial> {
        self.schedule.next_trial()
    }

    /// Takes the records of a trial into account.
    pub(super) fn learn(&mut self, trial: &Trial, records: Records) {
        self.schedule.learn(trial, &records);
        self.records.extend(records);
    }

    /// Estimated number of remaining trials, without further rounds.
    pub(super) fn expected(&self) -> usize {
        self.schedule.expected()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use bench_data::mock::MockExecutor;
    use bench_data::plan::until::{MOST_ROUNDS, Until};
    use bench_data::record::rows::TrialRow;
    use bench_data::schedule::{budget, elapsed};
    use bench_data::trial::Executor;
    use bench_report::analysis::precision::precisions;

    const SERVERS: [&str; 3] = ["threaded", "selector", "selector-again"];

    /// Two servers and their A/A control under two loads, the second one exploratory.
    fn plan() -> Plan {
        let text = r#"
            name = "precise"
            question = "Which is faster?"
            strategies = ["threaded", "selector"]
            primary = { connections = 64, size = "1KiB" }
            rounds = 6
            other_rounds = 3
            until = "ci=5%"
            budget_s = 600
            order = "shuffled"
            seed = 7
            wire = "http"
            warm_up_ms = 10
            window_ms = 300
            [[sweep]]
            direction = "download"
            connections = [8, 64]
            sizes = ["1KiB"]
        "#;
        Plan::parse(text, "precise").unwrap()
    }

    /// Servers whose throughput scatters with this relative standard deviation.
    fn with_noise(noise: f64) -> MockExecutor {
        let noise = SERVERS.map(|name| (name.to_owned(), noise)).into();
        MockExecutor { noise, ..MockExecutor::default() }
    }

    fn measured(plan: &Plan, mut executor: MockExecutor) -> Records {
        let stop = AtomicBool::new(false);
        let mut course = Course::new(plan);
        while let Some(trial) = course.next_trial(|_| {}) {
            let records = Records::of_trial(&trial, &executor.execute(&trial, &stop));
            course.learn(&trial, records);
        }
        course.records
    }

    fn rounds(records: &Records) -> u32 {
        records.trials.iter().map(|row| row.round).max().unwrap()
    }

    fn is_narrow(plan: &Plan, records: &Records) -> bool {
        precisions(plan, records).iter().all(|one| !one.is_short_of(0.05))
    }

    #[test]
    fn precise_servers_need_no_further_rounds() {
        let plan = plan();
        let records = measured(&plan, with_noise(0.01));
        assert_eq!(rounds(&records), 6);
        assert!(is_narrow(&plan, &records));
    }

    #[test]
    fn noisy_servers_get_rounds_of_the_main_comparison_until_their_intervals_are_narrow() {
        let plan = plan();
        let records = measured(&plan, with_noise(0.08));
        let last = rounds(&records);
        assert!((7..MOST_ROUNDS).contains(&last), "{last}");
        assert!(is_narrow(&plan, &records));
        for round in 7..=last {
            let in_it: Vec<&TrialRow> =
                records.trials.iter().filter(|row| row.round == round).collect();
            let mut servers: Vec<_> = in_it.iter().map(|row| row.target.as_str()).collect();
            servers.sort_unstable();
            assert_eq!(servers, ["selector", "selector-again", "threaded"], "a whole block");
            assert!(in_it.iter().all(|row| row.connections == 64), "the main comparison alone");
        }
        // With one round less they were too wide.
        let fewer = Records {
            trials: records.trials.iter().filter(|row| row.round < last).cloned().collect(),
            ..records
        };
        assert!(!is_narrow(&plan, &fewer));
    }

    #[test]
    fn the_time_ends_the_rounds() {
        // Generated trials take a second each.
        let plan = Plan { budget_s: Some(45), ..plan() };
        let records = measured(&plan, with_noise(0.5));
        assert!(!is_narrow(&plan, &records));
        assert!((7..MOST_ROUNDS).contains(&rounds(&records)), "{}", rounds(&records));
        // They take longer than estimated: the last round may exceed the time by the difference.
        let spent = elapsed(&plan, &records.trials);
        let difference = std::time::Duration::from_secs(SERVERS.len() as u64);
        assert!(spent <= budget(&plan).unwrap() + difference, "{spent:?}");
        let short = Plan { budget_s: Some(1), ..plan };
        assert_eq!(rounds(&measured(&short, with_noise(0.5))), 6, "the planned ones in any case");
    }

    #[test]
    fn the_number_of_rounds_ends_them() {
        let records = measured(&plan(), with_noise(0.5));
        assert_eq!(rounds(&records), MOST_ROUNDS);
    }

    #[test]
    fn a_significant_difference_changes_nothing() {
        // The first difference is never significant, the second one always.
        let counts = [1.0, 20.0].map(|factor| {
            let speed: HashMap<_, _> = [("threaded", 1000.0), ("selector", 1000.0 * factor)]
                .map(|(n, s)| (n.into(), s))
                .into();
            let records = measured(&plan(), MockExecutor { speed, ..with_noise(0.08) });
            records.trials.len()
        });
        assert!(counts[0] > 6 * 3 + 3 * 3, "{counts:?}");
        assert_eq!(counts[0], counts[1]);
    }

    #[test]
    fn without_an_aim_nothing_is_added() {
        let plan = Plan { until: Until::Planned, ..plan() };
        assert_eq!(rounds(&measured(&plan, with_noise(0.5))), 6);
    }
}
