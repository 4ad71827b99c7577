//! `bench list`: plans, strategies and reference servers.

use std::process::ExitCode;

use bench_data::plan::{Plan, built_in};
use bench_data::schedule::expected;
use bench_data::servers::reference::ReferenceServer;
use fileserver::StrategyKind;

use crate::cli::messages::in_minutes;
use crate::cli::process::say;
use crate::run::reference_config::Installed;

/// Prints everything that can be named on the command line.
pub(super) fn list() -> anyhow::Result<ExitCode> {
    let mut text = "Plans (bench run NAME…):\n".to_owned();
    for (name, _) in built_in::ALL {
        let plan = Plan::built_in(name).expect("it is built in");
        let expected = expected(&plan);
        let (trials, mut time) = (expected.trials, in_minutes(expected.time));
        if expected.at_most > expected.time {
            time += &format!(", with further rounds up to {}", in_minutes(expected.at_most));
        }
        text += &format!("  {name:<14} {} (about {trials} trials, {time})\n", plan.question);
        let strategies: Vec<_> = plan.strategies.iter().map(|kind| kind.name()).collect();
        let mut all = strategies;
        for server in plan.against.iter().chain(plan.sweeps.iter().flat_map(|sweep| &sweep.against))
        {
            if !all.contains(&server.name()) {
                all.push(server.name());
            }
        }
        text += &format!("  {:<14} {}\n", "", all.join(", "));
        if !plan.experiments.is_empty() {
            let parts: Vec<_> = plan.experiments.iter().map(|one| one.name.as_str()).collect();
            text += &format!("  {:<14} all of {}\n", "", parts.join(", "));
            continue;
        }
        for sweep in &plan.sweeps {
            text += &format!("  {:<14} {}\n", "", sweep.description());
        }
    }
    text += "\nStrategies:\n";
    for kind in StrategyKind::ALL {
        text += &format!("  {:<14} {}\n", kind.name(), kind.summary());
        if let Err(reason) = kind.availability() {
            text += &format!("  {:<14} not available here: {reason}\n", "");
        }
    }
    text += "\nReference servers:\n";
    for server in ReferenceServer::ALL {
        let found = Installed::find(server);
        let version = found.map(|found| found.version.unwrap_or_else(|| "installed".to_owned()));
        let version = version.unwrap_or_else(|| "not installed".to_owned());
        text += &format!("  {:<14} {version:<15} {}\n", server.name(), server.description());
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}
