//! A run as JSON: summary of every server under every load, comparisons, answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bench_data::record::environment::Environment;
use bench_data::record::outcome::Outcome;
use bench_data::record::run_folder::{Contents, RunFolder};
use bench_data::servers::target::TargetKind;
use serde::Serialize;

use crate::analysis::Analysis;
use crate::analysis::capacity::CapacityEstimate;
use crate::analysis::section::Section;
use crate::analysis::summary::Line;
use crate::documents::SCHEMA;
use crate::documents::load_key::LoadKey;
use crate::documents::trusted::is_void;
use crate::documents::values::{LowerBounds, QUANTITIES, Value};
use crate::report::capacities::{self, CapacityRow};
use crate::report::comparisons::{self, ComparisonRow};

/// A run for other programs.
#[derive(Debug, Serialize)]
pub struct RunDocument<'r> {
    schema: u32,
    document: &'static str,
    folder: String,
    report: String,
    paper: Option<String>,
    pictures: Vec<String>,
    plan: &'r str,
    question: &'r str,
    answer: &'r str,
    validity: &'r str,
    notes: &'r [String],
    environment: &'r Environment,
    trials: BTreeMap<Outcome, usize>,
    experiments: Vec<Experiment<'r>>,
    results: Vec<ResultRow<'r>>,
    comparisons: Vec<ComparisonRow>,
    capacities: Vec<Capacity<'r>>,
}

/// Experiment of a run.
#[derive(Debug, Serialize)]
struct Experiment<'r> {
    name: &'r str,
    question: &'r str,
    answer: &'r str,
    is_void: bool,
}

/// One server under one load.
#[derive(Debug, Serialize)]
struct ResultRow<'r> {
    #[serde(flatten)]
    load: LoadKey,
    server: &'r str,
    target_kind: TargetKind,
    is_comparable: bool,
    is_void: bool,
    conditions: Vec<String>,
    outcomes: &'r BTreeMap<Outcome, usize>,
    requests: u64,
    errors: u64,
    connections_served: Option<u64>,
    calls_per_request: Option<f64>,
    values: BTreeMap<&'static str, Value>,
}

/// Capacity of one server, or the reason why there is none.
#[derive(Debug, Serialize)]
struct Capacity<'r> {
    #[serde(flatten)]
    row: CapacityRow,
    control_of: Option<&'r str>,
    reason: Option<String>,
}

impl<'r> RunDocument<'r> {
    /// Document of a results folder.
    pub fn of(folder: &RunFolder, contents: &'r Contents, analysis: &'r Analysis) -> Self {
        Self::at(folder.path(), &folder.report(), contents, analysis)
    }

    /// Adds the paths of the paper and of the charts as PNG, where they were written.
    pub fn with_files(self, paper: Option<&Path>, pictures: &[PathBuf]) -> Self {
        let written = |path: &Path| path.display().to_string();
        let pictures = pictures.iter().map(|path| written(path)).collect();
        Self { paper: paper.map(written), pictures, ..self }
    }

    fn at(folder: &Path, report: &Path, contents: &'r Contents, analysis: &'r Analysis) -> Self {
        let Contents { plan, environment, records } = contents;
        let mut trials = BTreeMap::new();
        for row in &records.trials {
            *trials.entry(row.outcome).or_insert(0) += 1;
        }
        let bounds = LowerBounds::of(records);
        let floor = analysis.summary.floor;
        let result = |line: &'r Line| ResultRow {
            load: line.load.into(),
            server: &line.target,
            target_kind: line.kind,
            is_comparable: line.is_comparable(),
            is_void: is_void(analysis, line.load),
            conditions: line.conditions(),
            outcomes: &line.outcomes,
            requests: line.requests,
            errors: line.errors,
            connections_served: line.connections_served,
            calls_per_request: line.calls_per_request,
            values: QUANTITIES
                .iter()
                .map(|one| (one.key, Value::of(line, one.metric, floor, (&bounds, records))))
                .collect(),
        };
        Self {
            schema: SCHEMA,
            document: "run",
            folder: folder.display().to_string(),
            report: report.display().to_string(),
            paper: None,
            pictures: Vec::new(),
            plan: &plan.name,
            question: &plan.question,
            answer: &analysis.answer,
            validity: &analysis.validity,
            notes: &analysis.notes,
            environment,
            trials,
            experiments: analysis.sections.iter().map(Experiment::of).collect(),
            results: analysis.summary.lines.iter().map(result).collect(),
            comparisons: comparisons::rows(&analysis.sections),
            capacities: Capacity::all(&analysis.summary.capacities),
        }
    }
}

impl<'r> Experiment<'r> {
    fn of(section: &'r Section) -> Self {
        Self {
            name: &section.name,
            question: &section.question,
            answer: &section.answer,
            is_void: section.is_void(),
        }
    }
}

impl<'r> Capacity<'r> {
    fn all(estimates: &'r [CapacityEstimate]) -> Vec<Self> {
        let with = |(row, one): (CapacityRow, &'r CapacityEstimate)| Self {
            row,
            control_of: one.search.control_of.as_deref(),
            reason: Some(one.doubt()).filter(|reason| !reason.is_empty()),
        };
        capacities::rows(estimates).into_iter().zip(estimates).map(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;
    use bench_data::record::rows::Distribution;
    use bench_data::record::rows::Support;
    use bench_data::record::wake_up::WakeUpRow;
    use serde_json::Value;

    use super::*;

    fn document(contents: &Contents) -> Value {
        let analysis = Analysis::of(contents);
        let (folder, report) = ("results/a".as_ref(), "results/a/report.html".as_ref());
        serde_json::to_value(RunDocument::at(folder, report, contents, &analysis)).unwrap()
    }

    fn result<'v>(document: &'v Value, server: &str, connections: u64) -> &'v Value {
        let is_it = |row: &&Value| row["server"] == server && row["connections"] == connections;
        document["results"].as_array().unwrap().iter().find(is_it).unwrap()
    }

    #[test]
    fn a_run_has_its_conditions_results_comparisons_and_answer() {
        let plan = Plan::built_in("default").unwrap();
        let document = document(&contents_of(&plan, MockExecutor::default()));
        assert_eq!((&document["schema"], &document["plan"]), (&1.into(), &"default".into()));
        assert_eq!(document["environment"]["machine"]["host"], "mock");
        assert!(document["answer"].as_str().unwrap().len() > 20, "{document}");
        let sound = result(&document, "selector", 64);
        let rate = &sound["values"]["requests_per_s"];
        let at = |key: &str| rate[key].as_f64().unwrap();
        assert!(at("min") < at("median") && at("median") < at("max"), "{rate}");
        assert_eq!((&rate["reason"], &rate["at_least"]), (&Value::Null, &Value::Null));
        let kernel = &sound["values"]["kernel_memory_bytes"];
        assert_eq!((&kernel["median"], &kernel["reason"]), (&Value::Null, &"not-measured".into()));
        let starved = result(&document, "iterative", 64);
        assert_eq!(starved["is_comparable"], false);
        assert_eq!(starved["conditions"][0], "served 1 of 64 connections");
        assert!(starved["outcomes"]["starved"].as_u64().unwrap() > 0, "{starved}");
        let compared = document["comparisons"].as_array().unwrap();
        let row = compared.iter().find(|row| row["server"] == "threaded").unwrap();
        assert!(row["low"].as_f64().unwrap() < row["ratio"].as_f64().unwrap(), "{row}");
        assert_eq!(row["verdict"], "different");
        let counted = document["trials"].as_object().unwrap().values();
        assert!(counted.map(|count| count.as_u64().unwrap()).sum::<u64>() > 50);
    }

    #[test]
    fn a_rate_that_the_generator_limits_is_a_lower_bound() {
        let plan = Plan::built_in("quick").unwrap();
        let executor = MockExecutor { generator_share: 0.97, ..MockExecutor::default() };
        let document = document(&contents_of(&plan, executor));
        let rate = &result(&document, "selector", 64)["values"]["requests_per_s"];
        assert_eq!((&rate["median"], &rate["reason"]), (&Value::Null, &"generator-bound".into()));
        assert!(rate["at_least"].as_f64().unwrap() > 10_000.0, "{rate}");
    }

    #[test]
    fn a_missing_percentile_has_its_reason() {
        let plan = Plan::built_in("quick").unwrap();
        let mut contents = contents_of(&plan, MockExecutor::default());
        let with = |support: Option<Support>, contents: &Contents| {
            let mut contents = Contents {
                plan: contents.plan.clone(),
                environment: contents.environment.clone(),
                records: contents.records.clone(),
            };
            contents.records.latencies.retain_mut(|row| {
                let is_it = row.distribution == Distribution::Response && row.percentile == 99.0;
                row.support = if is_it { support } else { row.support };
                !is_it || support.is_some()
            });
            let document = document(&contents);
            result(&document, "selector", 64)["values"]["p99_us"]["reason"].clone()
        };
        assert_eq!(with(Some(Support::AtLeast), &contents), "at-least");
        assert_eq!(with(Some(Support::Few), &contents), "few");
        assert_eq!(with(None, &contents), "few");
        contents.records.wake_ups = vec![WakeUpRow {
            before_trial: 1,
            round: 1,
            samples: 4000,
            p50_us: 1.0,
            p99_us: 1e6,
            p999_us: 1e6,
            max_us: 1e6,
        }];
        assert_eq!(with(Some(Support::Identified), &contents), "wake-up-delay");
    }

    #[test]
    fn a_capacity_or_the_reason_for_its_absence_is_in_the_document() {
        let plan = Plan::built_in("load").unwrap();
        let document = document(&contents_of(&plan, MockExecutor::default()));
        let capacities = document["capacities"].as_array().unwrap();
        let of = |name: &str| capacities.iter().find(|one| one["server"] == name).unwrap();
        let selector = of("selector");
        assert!(selector["capacity_per_s"].as_f64().unwrap() > selector["low"].as_f64().unwrap());
        assert_eq!(selector["reason"], Value::Null);
        let starved = of("iterative");
        assert_eq!(starved["capacity_per_s"], Value::Null);
        assert!(starved["reason"].as_str().unwrap().starts_with("no rate met it"), "{starved}");
    }
}
