//! Execution of a plan, trial by trial; the records of each are on disk before the next begins. A
//! resumed run repeats the schedule and takes completed trials from its records.

mod account;
mod background;
mod build;
pub mod count_calls;
mod course;
mod disk;
pub mod files;
pub(crate) mod launcher;
pub mod local;
pub mod probe;
pub mod reference_config;
pub mod request_counter;
pub mod resume;
pub mod server_process;
pub mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use bench_data::plan::Plan;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::{Distribution, LatencyRow, RecordWriter, Records, TrialRow};
use bench_data::record::run_folder::RunFolder;
use bench_data::record::wake_up::{self, WakeUpRow};
use bench_data::trial::Executor;
use bench_data::trial::Trial;

use crate::run::course::Course;

/// Observer of the progress of a run.
pub trait Observer {
    /// Called when a trial begins, with the estimated number of remaining trials, this one included.
    fn begins(&mut self, trial: &Trial, to_come: usize);
    /// Called when a round begins that is added to the planned ones, with the reason.
    fn extends(&mut self, reason: &str);
    /// Called when the records of a trial are on disk, with the 99th percentile of its response times.
    fn ended(&mut self, row: &TrialRow, p99_us: Option<f64>);
}

/// Ending of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Number of failed trials; they are recorded like all others.
    pub failures: usize,
    /// True if the run was interrupted.
    pub interrupted: bool,
    /// Servers that support none of their loads, each with the reason of its last trial.
    pub never_measured: Vec<(String, String)>,
}

/// Completed trials of an interrupted run.
#[derive(Debug, Clone, Default)]
pub struct CompletedTrials {
    records: Records,
}

impl CompletedTrials {
    /// Completed trials of records. Interrupted trials are repeated.
    pub fn of(records: Records) -> Self {
        Self { records }
    }

    /// Records of a trial, if completed; their number is added to those taken before. A search repeats
    /// void trials, so that several rows may belong to equal trials.
    fn take(&self, trial: &Trial, taken: &mut BTreeSet<u32>) -> Option<Records> {
        let is_it = |row: &&TrialRow| {
            row.outcome != Outcome::Interrupted
                && !taken.contains(&row.trial)
                && row.round == trial.round
                && row.target == trial.target.name()
                && row.search == trial.search
                && row.load() == trial.load
        };
        let row = self.records.trials.iter().find(is_it)?;
        taken.insert(row.trial);
        let latencies = self.records.latencies.iter().filter(|one| one.trial == row.trial);
        let latencies = latencies.cloned().collect();
        Some(Records { trials: vec![row.clone()], latencies, ..Records::default() })
    }

    /// Number of the last recorded trial; 0 without one.
    fn last_number(&self) -> u32 {
        self.records.trials.iter().map(|row| row.trial).max().unwrap_or(0)
    }

    /// Estimated number of remaining trials of a plan.
    pub fn to_come(&self, plan: &Plan) -> usize {
        let mut course = Course::new(plan);
        let (mut missing, mut taken) = (0, BTreeSet::new());
        loop {
            // Further rounds depend on the missing trials.
            let next = match missing {
                0 => course.next_trial(|_| {}),
                _ => course.next_scheduled(),
            };
            let Some(trial) = next else { return missing };
            match self.take(&trial, &mut taken) {
                Some(records) => course.learn(&trial, records),
                // From here on the results of the search are not known.
                None if trial.search.is_some() => return missing + 1 + course.expected(),
                None => missing += 1,
            }
        }
    }
}

/// Executes every trial of the plan that is not completed yet, until `stop` is set. A failed trial is
/// recorded, and the run continues.
///
/// # Errors
/// Rows cannot be written.
pub fn run(
    plan: &Plan,
    known: &CompletedTrials,
    executor: &mut dyn Executor,
    folder: &RunFolder,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> anyhow::Result<RunEnd> {
    let mut writer = RecordWriter::open(folder.path())?;
    let mut failures = 0;
    let mut number = known.last_number();
    // The machine may be in another state in each round.
    let mut block = None;
    let mut course = Course::new(plan);
    let mut unsupported = Unsupported::default();
    unsupported.learn(&known.records);
    let mut taken = BTreeSet::new();
    let mut reason = None;
    while let Some(mut trial) = course.next_trial(|precision| reason = Some(precision.words())) {
        if let Some(records) = known.take(&trial, &mut taken) {
            course.learn(&trial, records);
            continue;
        }
        if stop.load(Ordering::SeqCst) {
            break;
        }
        number += 1;
        trial.number = number;
        if block != Some(trial.round) {
            block = Some(trial.round);
            if let Some(delay) = executor.wake_up_delay() {
                wake_up::append(folder.path(), &WakeUpRow::new(&trial, &delay))?;
            }
        }
        if let Some(reason) = reason.take() {
            observer.extends(&reason);
        }
        observer.begins(&trial, 1 + course.expected());
        let measured = executor.execute(&trial, stop);
        let records = Records::of_trial(&trial, &measured);
        if let Some(load) = &measured.load {
            folder.write_histograms(trial.number, load)?;
        }
        writer.append(&records)?;
        unsupported.learn(&records);
        let is_p99 = |row: &&LatencyRow| {
            row.distribution == Distribution::Response && row.percentile == 99.0
        };
        let p99_us = records.latencies.iter().find(is_p99).map(|row| row.latency_us);
        for row in &records.trials {
            failures += usize::from(row.outcome.is_failure());
            observer.ended(row, p99_us);
        }
        course.learn(&trial, records);
    }
    let never_measured = unsupported.in_all_trials();
    Ok(RunEnd { failures, interrupted: stop.load(Ordering::SeqCst), never_measured })
}

/// Reason of the last trial of each server; `None` after a trial with a load that it supports.
#[derive(Debug, Default)]
struct Unsupported(BTreeMap<String, Option<String>>);

impl Unsupported {
    fn learn(&mut self, records: &Records) {
        for row in &records.trials {
            let reason = Some(row.outcome_reason.clone());
            let reason = reason.filter(|_| row.outcome == Outcome::Unsupported);
            let known = self.0.entry(row.target.clone()).or_insert_with(|| reason.clone());
            *known = known.take().and(reason);
        }
    }

    fn in_all_trials(self) -> Vec<(String, String)> {
        self.0.into_iter().filter_map(|(name, reason)| Some((name, reason?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::cores::Cores;
    use bench_data::mock::MockExecutor;
    use bench_data::record::capacity::Capacity;
    use bench_data::record::outcome::Outcome;
    use bench_data::schedule::{expected, schedule};
    use bench_report::report::export::publish;

    struct Silent;

    impl Observer for Silent {
        fn begins(&mut self, _: &Trial, _: usize) {}
        fn extends(&mut self, _: &str) {}
        fn ended(&mut self, _: &TrialRow, _: Option<f64>) {}
    }

    struct Finished {
        end: RunEnd,
        executor: MockExecutor,
        folder: RunFolder,
        _scratch: tempfile::TempDir,
    }

    fn finish(executor: MockExecutor) -> Finished {
        finish_plan(&Plan::built_in("quick").unwrap(), executor)
    }

    fn finish_plan(plan: &Plan, mut executor: MockExecutor) -> Finished {
        let scratch = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&scratch.path().join("run")).unwrap();
        let stop = AtomicBool::new(false);
        folder.write_plan(plan).unwrap();
        let trials = expected(plan).trials as u32;
        let survey = crate::machine::facts::survey(
            "bench".into(),
            trials,
            &Cores::default(),
            scratch.path(),
        );
        folder.write_environment(&survey).unwrap();
        let known = CompletedTrials::default();
        let end = run(plan, &known, &mut executor, &folder, &mut Silent, &stop).unwrap();
        Finished { end, executor, folder, _scratch: scratch }
    }

    fn ended(failures: usize, interrupted: bool) -> RunEnd {
        RunEnd { failures, interrupted, never_measured: Vec::new() }
    }

    #[test]
    fn a_server_that_supports_none_of_its_loads_is_named() {
        let reason = "GET is answered with 404".to_owned();
        let lacks = [("selector".to_owned(), reason.clone())].into();
        let run = finish(MockExecutor { lacks, ..MockExecutor::default() });
        assert_eq!(run.end.never_measured, [("selector".to_owned(), reason)]);
        assert!(finish(MockExecutor::default()).end.never_measured.is_empty());
    }

    /// A plan with a load, a search, and loads at a share of what it finds.
    fn searching() -> Plan {
        let text = r#"
            name = "searching"
            question = "How much?"
            strategies = ["iterative", "threaded", "selector"]
            rounds = 3
            order = "shuffled"
            seed = 7
            wire = "http"
            warm_up_ms = 10
            window_ms = 2000
            [[sweep]]
            direction = "download"
            connections = [8]
            sizes = ["1KiB"]
            rates_per_s = [1000]
            [[sweep]]
            direction = "download"
            connections = [64]
            sizes = ["1KiB"]
            capacity = { p99_ms = 5 }
            [[sweep]]
            direction = "download"
            connections = [64]
            sizes = ["1KiB"]
            of_weakest_capacity = [0.5, 0.8]
        "#;
        let plan = Plan::parse(text, "searching").unwrap();
        bench_data::plan::loads::check(&plan).unwrap();
        plan
    }

    fn with_capacities() -> MockExecutor {
        let capacity =
            [("threaded", 40_000.0), ("selector", 90_000.0), ("selector-again", 90_000.0)];
        let capacity = capacity.map(|(name, rate)| (name.to_owned(), rate)).into();
        MockExecutor { capacity, ..MockExecutor::default() }
    }

    /// Properties that distinguish trials, except the number.
    fn measured(folder: &RunFolder) -> Vec<(u32, String, String, Option<u32>)> {
        let rows = folder.read().unwrap().records.trials;
        let counted = rows.iter().filter(|row| row.outcome != Outcome::Interrupted);
        let mut all: Vec<_> = counted
            .map(|row| {
                let load = format!("{:?} {:?}", row.load(), row.search);
                (row.round, row.target.clone(), load, row.offered_per_s)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_search_finds_every_servers_capacity_and_the_rest_runs_at_a_share_of_the_weakest() {
        let run = finish_plan(&searching(), with_capacities());
        let records = run.folder.read().unwrap().records;
        let capacities = Capacity::of(&records);
        let of = |name: &str| capacities.iter().find(|one| one.target == name).unwrap();
        for (name, capacity) in [("threaded", 40_000.0), ("selector", 90_000.0)] {
            assert_eq!(of(name).rounds.len(), 3);
            let met = of(name).median_met().unwrap();
            assert!(met <= capacity && met * 1.3 > capacity, "{met}");
            assert!(!of(name).is_at_least());
        }
        assert_eq!(of("iterative").median_met(), None);
        assert_eq!(of("iterative").reason(), "1 of 64 connections received a reply");
        let weakest = of("threaded").median_met().unwrap();
        let shared: Vec<_> =
            records.trials.iter().filter(|row| row.of_weakest_percent.is_some()).collect();
        assert_eq!(shared.len(), 2 * 3 * 4, "loads, rounds, servers");
        for row in shared {
            let share = f64::from(row.of_weakest_percent.unwrap()) / 100.0;
            assert_eq!(row.offered_per_s, Some((weakest * share).round() as u32));
        }
    }

    #[test]
    fn a_search_on_a_disturbed_machine_ends_with_bounds() {
        let plan = searching();
        let whole = finish_plan(&plan, with_capacities());
        let is_probe = |trial: &&Trial| trial.search.is_some();
        let first = whole.executor.seen.iter().find(is_probe).unwrap().number;
        // From the tenth trial of the first round on.
        let disturbed_in = (first + 10..500).collect();
        let run = finish_plan(&plan, MockExecutor { disturbed_in, ..with_capacities() });
        let records = run.folder.read().unwrap().records;
        let capacities = Capacity::of(&records);
        for (name, capacity) in [("threaded", 40_000.0), ("selector", 90_000.0)] {
            let one = capacities.iter().find(|one| one.target == name).unwrap();
            assert!(one.is_cut_short(), "{one:?}");
            let (low, high) = one.bounds();
            // Near the capacity chance decides.
            assert!(low.is_none_or(|low| low <= 1.1 * capacity), "{one:?}");
            assert!(high.is_some_and(|high| capacity < 1.1 * high), "{one:?}");
            let probes = records.trials.iter().filter(|row| row.target == name && row.round == 3);
            assert_eq!(probes.filter(|row| row.search.is_some()).count(), 3, "bounded");
        }
        publish(&run.folder).unwrap();
        let table = std::fs::read_to_string(run.folder.path().join("table.md")).unwrap();
        let row = table.lines().find(|line| line.starts_with("| threaded | ")).unwrap();
        // The sign is escaped.
        assert!(row.contains(" \\< "), "{table}");
    }

    #[test]
    fn a_search_with_void_trials_is_continued() {
        let plan = searching();
        let disturbed = || MockExecutor { disturbed_in: vec![14, 15, 21], ..with_capacities() };
        let whole = finish_plan(&plan, disturbed());
        let all_measured = measured(&whole.folder);
        let void = whole.folder.read().unwrap().records;
        let void = void.trials.iter().filter(|row| row.outcome == Outcome::Disturbed);
        assert_eq!(void.count(), 3);
        for stop_at in [15, 16, 22] {
            let interrupted_in = Some(stop_at);
            let run = finish_plan(&plan, MockExecutor { interrupted_in, ..disturbed() });
            let known = CompletedTrials::of(Records::read(run.folder.path()).unwrap());
            let stop = AtomicBool::new(false);
            // The interrupted trial has used a number.
            let later = disturbed().disturbed_in.into_iter().filter(|number| *number >= stop_at);
            let disturbed_in = later.map(|number| number + 1).collect();
            let mut executor = MockExecutor { disturbed_in, ..with_capacities() };
            super::run(&plan, &known, &mut executor, &run.folder, &mut Silent, &stop).unwrap();
            assert_eq!(measured(&run.folder), all_measured, "interrupted in {stop_at}");
        }
    }

    #[test]
    fn probes_of_the_servers_take_turns() {
        let run = finish_plan(&searching(), with_capacities());
        let probes = run.executor.seen.iter().filter(|trial| trial.search.is_some());
        let first: Vec<_> = probes.take(4).map(|trial| trial.target.name()).collect();
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4, "{first:?}");
    }

    #[test]
    fn an_interrupted_run_that_is_continued_measures_what_a_whole_one_does() {
        let plan = searching();
        let whole = finish_plan(&plan, with_capacities());
        let trials = whole.executor.seen.len() as u32;
        let all_measured = measured(&whole.folder);
        for stop_at in [1, 16, trials / 2, trials] {
            let interrupted_in = Some(stop_at);
            let run = finish_plan(&plan, MockExecutor { interrupted_in, ..with_capacities() });
            assert!(run.end.interrupted);
            // Killed while it wrote the next trial.
            let torn = run.folder.path().join("latency.csv");
            let mut text = std::fs::read_to_string(&torn).unwrap();
            text += "9000,response,50,1.0\n9000,resp";
            std::fs::write(&torn, text).unwrap();
            crate::run::resume::mend(run.folder.path()).unwrap();
            let known = CompletedTrials::of(Records::read(run.folder.path()).unwrap());
            assert!(known.to_come(&plan) > 0);
            let stop = AtomicBool::new(false);
            let mut executor = with_capacities();
            let end =
                super::run(&plan, &known, &mut executor, &run.folder, &mut Silent, &stop).unwrap();
            assert_eq!(end, ended(0, false));
            assert_eq!(executor.seen.len() as u32, trials - (stop_at - 1), "each once");
            assert_eq!(measured(&run.folder), all_measured, "interrupted in {stop_at}");
            let rows = run.folder.read().unwrap().records.trials;
            let mut numbers: Vec<_> = rows.iter().map(|row| row.trial).collect();
            assert_eq!(rows.len() as u32, trials + 1);
            numbers.dedup();
            assert_eq!(numbers, (1..=trials + 1).collect::<Vec<_>>());
            let all = CompletedTrials::of(Records::read(run.folder.path()).unwrap());
            assert_eq!(all.to_come(&plan), 0);
        }
    }

    #[test]
    fn a_run_with_added_and_repeated_rounds_is_continued_as_it_would_have_gone_on() {
        let mut plan = Plan::built_in("default").unwrap();
        (plan.rounds, plan.other_rounds, plan.budget_s) = (6, Some(3), Some(100_000));
        plan.until = "ci=5%".parse().unwrap();
        let names = ["threaded", "thread-pool", "selector", "selector-again"];
        let noise = names.map(|name| (name.to_owned(), 0.05));
        let noisy = || MockExecutor { noise: noise.clone().into(), ..MockExecutor::default() };
        // A disturbed trial of the main comparison.
        let is_main = |trial: &&Trial| plan.main_comparisons()[0].loads.contains(&trial.load);
        let first = schedule(&plan).iter().find(is_main).unwrap().number;
        let noisy = || MockExecutor { disturbed_in: vec![first], ..noisy() };
        let whole = finish_plan(&plan, noisy());
        let trials = whole.executor.seen.len() as u32;
        let planned = expected(&plan).trials as u32;
        assert!(trials > planned + 2 * 5, "{trials} trials of {planned}");
        for stop_at in [first + 1, planned + 3, trials - 1] {
            let run = finish_plan(&plan, MockExecutor { interrupted_in: Some(stop_at), ..noisy() });
            let known = CompletedTrials::of(Records::read(run.folder.path()).unwrap());
            assert!(known.to_come(&plan) > 0);
            let stop = AtomicBool::new(false);
            super::run(&plan, &known, &mut noisy(), &run.folder, &mut Silent, &stop).unwrap();
            assert_eq!(measured(&run.folder), measured(&whole.folder), "interrupted in {stop_at}");
            let all = CompletedTrials::of(Records::read(run.folder.path()).unwrap());
            assert_eq!(all.to_come(&plan), 0);
        }
    }

    #[test]
    fn the_number_of_remaining_trials_is_reported() {
        struct ToCome(Vec<usize>);
        impl Observer for ToCome {
            fn begins(&mut self, _: &Trial, to_come: usize) {
                self.0.push(to_come);
            }
            fn extends(&mut self, _: &str) {}
            fn ended(&mut self, _: &TrialRow, _: Option<f64>) {}
        }
        let scratch = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&scratch.path().join("run")).unwrap();
        let (plan, mut observer) = (searching(), ToCome(Vec::new()));
        let stop = AtomicBool::new(false);
        run(
            &plan,
            &CompletedTrials::default(),
            &mut with_capacities(),
            &folder,
            &mut observer,
            &stop,
        )
        .unwrap();
        assert_eq!(observer.0.last(), Some(&1));
        assert_eq!(observer.0[0], expected(&plan).trials);
    }

    #[test]
    fn every_trial_runs_in_the_order_of_the_schedule_and_leaves_a_row() {
        let run = finish(MockExecutor::default());
        let plan = Plan::built_in("quick").unwrap();
        assert_eq!(run.executor.seen, schedule(&plan));
        assert_eq!(run.end, ended(0, false));
        let rows = run.folder.read().unwrap().records.trials;
        let numbers: Vec<_> = rows.iter().map(|row| row.trial).collect();
        assert_eq!(numbers, (1..=run.executor.seen.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn the_wake_up_delay_is_measured_before_each_round() {
        let run = finish(MockExecutor::default());
        let records = run.folder.read().unwrap().records;
        let before: Vec<_> = records.wake_ups.iter().map(|row| row.before_trial).collect();
        let first = |round| records.trials.iter().find(|row| row.round == round).unwrap().trial;
        let rounds = Plan::built_in("quick").unwrap().rounds;
        assert_eq!(before, (1..=rounds).map(first).collect::<Vec<_>>());
    }

    #[test]
    fn a_server_that_dies_leaves_an_invalid_row_and_the_run_goes_on() {
        let run = finish(MockExecutor { dies_in: vec![3], ..MockExecutor::default() });
        assert_eq!(run.end, ended(1, false));
        let rows = run.folder.read().unwrap().records.trials;
        assert_eq!(rows.len(), run.executor.seen.len());
        assert_eq!(rows[2].outcome, Outcome::Died);
        assert_eq!(rows[2].outcome_reason, "killed by signal 9");
        assert_eq!(rows[2].server_cpu_s, None);
        assert_eq!(rows[3].outcome, Outcome::Ok);
    }

    #[test]
    fn an_interrupted_run_keeps_its_rows_and_can_be_reported() {
        let run = finish(MockExecutor { interrupted_in: Some(9), ..MockExecutor::default() });
        assert_eq!(run.end, ended(0, true));
        assert_eq!(run.executor.seen.len(), 9);
        let rows = run.folder.read().unwrap().records.trials;
        assert_eq!(rows.len(), 9);
        assert_eq!(rows[8].outcome, Outcome::Interrupted);
        let published = publish(&run.folder).unwrap();
        assert!(!published.terminal_tables(80).text.is_empty());
        assert!(run.folder.report().is_file());
    }

    #[test]
    fn charts_and_report_follow_from_the_files_alone() {
        let run = finish(MockExecutor::default());
        let everything = || {
            publish(&run.folder).unwrap();
            let mut files: Vec<_> = std::fs::read_dir(run.folder.path().join("plots"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            files.sort();
            files.push(run.folder.report());
            files.push(run.folder.path().join("README.md"));
            files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
        };
        let first: Vec<_> = everything();
        for (path, _) in &first {
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(everything(), first);
        assert!(first.len() > 5);
    }
}
