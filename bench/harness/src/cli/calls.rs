//! `bench calls`: system calls per request, counted into a results folder.

use crate::run::count_calls;
use bench_data::record::rows::TrialRow;
use bench_data::record::system_calls::CallRow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use crate::cli::process::{FAILED, INTERRUPTED, Second, say, stop_on_signals};
use crate::machine::cores::Cores;
use crate::run::local::LocalExecutor;
use bench_data::load::words::heading;
use bench_data::record::run_folder::RunFolder;
use bench_data::record::system_calls;
use bench_report::analysis::section::sections;
use bench_report::analysis::summary::Summary;
use bench_report::report::export::publish;

/// Counts system calls under the load that each experiment is judged by.
pub(super) fn count(path: &Path) -> anyhow::Result<ExitCode> {
    count_calls::check_perf()?;
    let folder = RunFolder::open(path)?;
    let contents = folder.read()?;
    let (plan, summary) = (&contents.plan, Summary::of(&contents.records));
    let mut loads = Vec::new();
    for load in sections(plan, &summary).iter().filter_map(|section| section.headline_load) {
        if !loads.contains(&load) {
            loads.push(load);
        }
    }
    let stop = stop_on_signals(Second::Ends)?;
    let mut executor = LocalExecutor::new(plan, Cores::of(plan), path)?;
    executor.survey(&folder, &stop)?;
    let mut rows = Vec::new();
    for load in loads {
        let meets = |name: &str| summary.under(load).any(|line| line.target == name);
        for target in plan.targets().iter().filter(|target| meets(target.name())) {
            let its = |row: &&TrialRow| row.target == target.name() && row.load() == load;
            let Some(trial) = contents.records.trials.iter().find(its).map(|row| row.trial) else {
                continue;
            };
            if stop.load(Ordering::SeqCst) {
                say("Interrupted: nothing was written.\n");
                return Ok(ExitCode::from(INTERRUPTED));
            }
            let what = format!("{}, {}", target.name(), heading(load));
            match executor.count_calls(target, load, &stop) {
                Ok(Some((requests, calls))) => {
                    let row = CallRow::new(trial, target.name(), requests, calls);
                    say(&format!("{what}: {} per request\n", row.calls_per_request));
                    rows.push(row);
                }
                Ok(None) => {}
                Err(error) => say(&format!("{what}: not counted, {error:#}\n")),
            }
        }
    }
    system_calls::write(folder.path(), &rows)?;
    publish(&folder)?;
    let path = folder.path().display();
    say(&format!("\nreport  {path}/report.html\nrecords {path}/{}\n", system_calls::FILE));
    Ok(if rows.is_empty() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
