//! `bench list`: plans, strategies and reference servers.

use std::process::ExitCode;

use bench_data::plan::{Plan, built_in};
use bench_data::schedule::expected;
use bench_data::servers::reference::ReferenceServer;
use bench_report::documents::SCHEMA;
use clap::Args;
use fileserver::StrategyKind;
use serde::Serialize;

use crate::cli::format::{Format, say_json};
use crate::cli::messages::in_minutes;
use crate::cli::process::say;
use crate::run::reference_config::Installed;

/// Arguments of `bench list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Format of standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Everything that can be named on the command line.
#[derive(Debug, Serialize)]
struct ListDocument {
    schema: u32,
    document: &'static str,
    plans: Vec<PlanSummary>,
    strategies: Vec<StrategySummary>,
    reference_servers: Vec<ReferenceSummary>,
}

/// A plan with its extent, of `run --dry-run`.
#[derive(Debug, Serialize)]
pub(super) struct PlanDocument {
    schema: u32,
    document: &'static str,
    #[serde(flatten)]
    plan: PlanSummary,
}

/// A plan, and the extent of its run.
#[derive(Debug, Serialize)]
struct PlanSummary {
    name: String,
    question: String,
    experiments: Vec<String>,
    servers: Vec<String>,
    loads: usize,
    rounds: u32,
    trials: usize,
    expected_s: f64,
    /// With the further rounds that the plan's precision may add.
    at_most_s: f64,
}

/// Concurrency strategy of the built-in server.
#[derive(Debug, Serialize)]
struct StrategySummary {
    name: &'static str,
    summary: String,
    is_available: bool,
    reason: Option<String>,
}

/// Reference server.
#[derive(Debug, Serialize)]
struct ReferenceSummary {
    name: &'static str,
    description: &'static str,
    is_installed: bool,
    version: Option<String>,
}

impl PlanDocument {
    /// Document of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { schema: SCHEMA, document: "plan", plan: PlanSummary::of(plan) }
    }
}

impl PlanSummary {
    fn of(plan: &Plan) -> Self {
        let expected = expected(plan);
        let targets = plan.targets();
        Self {
            name: plan.name.clone(),
            question: plan.question.clone(),
            experiments: plan.experiments.iter().map(|one| one.name.clone()).collect(),
            servers: targets.iter().map(|target| target.name().to_owned()).collect(),
            loads: plan.loads().len(),
            rounds: plan.rounds,
            trials: expected.trials,
            expected_s: expected.time.as_secs_f64(),
            at_most_s: expected.at_most.max(expected.time).as_secs_f64(),
        }
    }
}

impl StrategySummary {
    fn of(kind: StrategyKind) -> Self {
        let reason = kind.availability().err().map(|reason| reason.to_string());
        let is_available = reason.is_none();
        Self { name: kind.name(), summary: kind.summary(), is_available, reason }
    }
}

impl ReferenceSummary {
    fn of(server: ReferenceServer) -> Self {
        let found = Installed::find(server);
        Self {
            name: server.name(),
            description: server.description(),
            is_installed: found.is_some(),
            version: found.and_then(|found| found.version),
        }
    }
}

/// Prints everything that can be named on the command line.
pub(super) fn list(arguments: &ListArgs) -> anyhow::Result<ExitCode> {
    let strategies: Vec<_> = StrategyKind::ALL.into_iter().map(StrategySummary::of).collect();
    let servers: Vec<_> = ReferenceServer::ALL.into_iter().map(ReferenceSummary::of).collect();
    match arguments.format {
        Format::Text => say(&text(&strategies, &servers)),
        Format::Json => say_json(&ListDocument {
            schema: SCHEMA,
            document: "list",
            plans: plans().map(|plan| PlanSummary::of(&plan)).collect(),
            strategies,
            reference_servers: servers,
        }),
    }
    Ok(ExitCode::SUCCESS)
}

fn plans() -> impl Iterator<Item = Plan> {
    built_in::ALL.iter().map(|(name, _)| Plan::built_in(name).expect("it is built in"))
}

fn text(strategies: &[StrategySummary], servers: &[ReferenceSummary]) -> String {
    let mut text = "Plans (bench run NAME…):\n".to_owned();
    for plan in plans() {
        text += &of_plan(&plan);
    }
    text += "\nStrategies:\n";
    for one in strategies {
        text += &format!("  {:<14} {}\n", one.name, one.summary);
        if let Some(reason) = &one.reason {
            text += &format!("  {:<14} not available here: {reason}\n", "");
        }
    }
    text += "\nReference servers:\n";
    for one in servers {
        let version = match (&one.version, one.is_installed) {
            (Some(version), _) => version,
            (None, true) => "installed",
            (None, false) => "not installed",
        };
        text += &format!("  {:<14} {version:<15} {}\n", one.name, one.description);
    }
    text
}

fn of_plan(plan: &Plan) -> String {
    let expected = expected(plan);
    let (trials, mut time) = (expected.trials, in_minutes(expected.time));
    if expected.at_most > expected.time {
        time += &format!(", with further rounds up to {}", in_minutes(expected.at_most));
    }
    let mut text =
        format!("  {:<14} {} (about {trials} trials, {time})\n", plan.name, plan.question);
    let mut all: Vec<_> = plan.strategies.iter().map(|kind| kind.name()).collect();
    for server in plan.against.iter().chain(plan.sweeps.iter().flat_map(|sweep| &sweep.against)) {
        if !all.contains(&server.name()) {
            all.push(server.name());
        }
    }
    text += &format!("  {:<14} {}\n", "", all.join(", "));
    if !plan.experiments.is_empty() {
        let parts: Vec<_> = plan.experiments.iter().map(|one| one.name.as_str()).collect();
        return text + &format!("  {:<14} all of {}\n", "", parts.join(", "));
    }
    for sweep in &plan.sweeps {
        text += &format!("  {:<14} {}\n", "", sweep.description());
    }
    text
}
