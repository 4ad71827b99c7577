//! Runs a plan: trial after trial, each on disk before the next begins.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::executor::Executor;
use crate::plan::Plan;
use crate::record::{Distribution, LatencyRow, RecordWriter, Records, TrialRow};
use crate::run_folder::RunFolder;
use crate::schedule::{Trial, schedule};

/// Is told how a run proceeds.
pub trait Observer {
    /// A trial begins.
    fn begins(&mut self, trial: &Trial);
    /// It has ended and is on disk; the 99th percentile of its response times, where it is known.
    fn ended(&mut self, row: &TrialRow, p99_us: Option<f64>);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd {
    /// Trials that failed; they are in the records like all others.
    pub failures: usize,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// Carries out every trial of the plan until `stop` is set. A trial that fails is recorded and
/// the next one begins.
///
/// # Errors
/// Rows cannot be written.
pub fn run(
    plan: &Plan,
    executor: &mut dyn Executor,
    folder: &RunFolder,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> anyhow::Result<RunEnd> {
    let mut writer = RecordWriter::create(folder.path())?;
    let mut failures = 0;
    for trial in schedule(plan) {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        observer.begins(&trial);
        let measured = executor.execute(&trial, stop);
        let records = Records::of_trial(&trial, &measured);
        if let Some(load) = &measured.load {
            folder.write_histograms(trial.number, load)?;
        }
        writer.append(&records)?;
        let is_p99 = |row: &&LatencyRow| {
            row.distribution == Distribution::Response && row.percentile == 99.0
        };
        let p99_us = records.latencies.iter().find(is_p99).map(|row| row.latency_us);
        for row in &records.trials {
            failures += usize::from(row.outcome.is_failure());
            observer.ended(row, p99_us);
        }
    }
    Ok(RunEnd { failures, interrupted: stop.load(Ordering::SeqCst) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::Cores;
    use crate::environment::Environment;
    use crate::mock::MockExecutor;
    use crate::outcome::Outcome;
    use crate::publish::publish;

    struct Silent;

    impl Observer for Silent {
        fn begins(&mut self, _: &Trial) {}
        fn ended(&mut self, _: &TrialRow, _: Option<f64>) {}
    }

    struct Finished {
        end: RunEnd,
        executor: MockExecutor,
        folder: RunFolder,
        _scratch: tempfile::TempDir,
    }

    fn finish(mut executor: MockExecutor) -> Finished {
        let scratch = tempfile::tempdir().unwrap();
        let plan = Plan::built_in("quick").unwrap();
        let folder = RunFolder::create(Some(&scratch.path().join("run")), "host").unwrap();
        let stop = AtomicBool::new(false);
        folder.write_plan(&plan).unwrap();
        let trials = schedule(&plan).len() as u32;
        let survey = Environment::survey("bench".into(), trials, &Cores::default(), scratch.path());
        folder.write_environment(&survey).unwrap();
        let end = run(&plan, &mut executor, &folder, &mut Silent, &stop).unwrap();
        Finished { end, executor, folder, _scratch: scratch }
    }

    #[test]
    fn every_trial_runs_in_the_order_of_the_schedule_and_leaves_a_row() {
        let run = finish(MockExecutor::default());
        let plan = Plan::built_in("quick").unwrap();
        assert_eq!(run.executor.seen, schedule(&plan));
        assert_eq!(run.end, RunEnd { failures: 0, interrupted: false });
        let rows = run.folder.read().unwrap().records.trials;
        let numbers: Vec<_> = rows.iter().map(|row| row.trial).collect();
        assert_eq!(numbers, (1..=run.executor.seen.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_server_that_dies_leaves_an_invalid_row_and_the_run_goes_on() {
        let run = finish(MockExecutor { dies_in: vec![3], ..MockExecutor::default() });
        assert_eq!(run.end, RunEnd { failures: 1, interrupted: false });
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
        assert_eq!(run.end, RunEnd { failures: 0, interrupted: true });
        assert_eq!(run.executor.seen.len(), 9);
        let rows = run.folder.read().unwrap().records.trials;
        assert_eq!(rows.len(), 9);
        assert_eq!(rows[8].outcome, Outcome::Interrupted);
        let published = publish(&run.folder).unwrap();
        assert!(!published.table().is_empty());
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
