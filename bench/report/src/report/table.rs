//! Tables of a run, for a terminal, a Markdown or LaTeX file, or a page.

mod capacity;
mod latex;
mod markdown;

use bench_data::load::words::heading;
use serde::Serialize;

use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::sentence::times;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::text_table::{Align, text_table};
use bench_data::units;

pub(crate) use latex::latex;
pub(crate) use markdown::markdown;

/// Columns of every table.
pub(crate) const COLUMNS: [&str; 11] = [
    "server",
    "requests/s",
    "range",
    "MB/s",
    "p50",
    "p99",
    "p99.9",
    "CPU/req",
    "memory",
    "threads",
    "errors",
];

/// Explanation of the columns.
pub(crate) const NOTE: &str = "Medians over the rounds. Range: smallest and largest requests/s. ≥: the \
    load generator was the limit. MB/s: million bytes per second. CPU/req: CPU time of the server per request. –: not \
    measured, or too few replies for this percentile.";

/// Table of one load, or of the capacities under it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table {
    /// Load in words.
    pub heading: String,
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// Row of each server.
    pub rows: Vec<Row>,
    /// Throughput of each server by that of the fastest server of the baseline; empty without
    /// baseline.
    pub ratios: String,
}

/// One server of a table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub server: String,
    /// Values of the columns.
    pub values: Vec<String>,
    /// Conditions that limit the use of the values.
    pub remark: String,
}

/// A table for each load, and one of the capacities for each load that was searched.
pub(crate) fn tables(summary: &Summary, baseline: &[String]) -> Vec<Table> {
    let of_loads = summary.loads().into_iter().map(|load| Table {
        heading: heading(load),
        columns: COLUMNS.to_vec(),
        rows: summary.under(load).map(Row::of).collect(),
        ratios: ratios(summary, load, baseline),
    });
    capacity::tables(&summary.capacities).chain(of_loads).collect()
}

/// All tables as text, for a terminal.
pub(crate) fn text(summary: &Summary, baseline: &[String]) -> String {
    let mut text = String::new();
    for table in tables(summary, baseline) {
        let row = |row: &Row| {
            let remark = Some(row.remark.clone()).filter(|remark| !remark.is_empty());
            row.values.iter().cloned().chain(remark).collect()
        };
        let rows: Vec<Vec<String>> = table.rows.iter().map(row).collect();
        text +=
            &format!("\n{}\n{}", table.heading, text_table(&table.columns, &rows, Align::Right));
        if !table.ratios.is_empty() {
            text += &format!("  {}\n", table.ratios);
        }
    }
    text
}

impl Row {
    fn of(line: &Line) -> Self {
        Self {
            server: line.target.clone(),
            values: values(line),
            remark: line.conditions().join(", "),
        }
    }
}

/// Throughput of each server by that of the fastest server of the baseline. Servers that cannot be
/// compared are marked.
fn ratios(summary: &Summary, load: Load, baseline: &[String]) -> String {
    let is_base = |line: &&Line| baseline.contains(&line.target);
    if summary.void.contains(&load) {
        return "void: the A/A control differs from its server".to_owned();
    }
    let base = summary.under(load).filter(is_base);
    let Some(base) = base.max_by(|a, b| a.throughput().total_cmp(&b.throughput())) else {
        return String::new();
    };
    let others = summary.under(load).filter(|line| !is_base(line));
    let ratios: Vec<_> = others
        .filter_map(|line| {
            let metric = Metric::Throughput;
            let ratio = RatioEstimate::of_rounds(line.rounds(metric), base.rounds(metric)).ok()?;
            let doubt = if line.is_comparable() && base.is_comparable() { "" } else { " (?)" };
            Some(format!("{} {}{doubt}", line.target, times(&ratio)))
        })
        .collect();
    format!("requests/s relative to {} (exploratory): {}", base.target, ratios.join(", "))
}

fn values(line: &Line) -> Vec<String> {
    let write = |metric: Metric, write: fn(f64) -> String| {
        line.median(metric).map_or_else(|| "–".to_owned(), write)
    };
    let range = line.spread(Metric::Throughput).and_then(|rate| rate.range);
    // Only rates are lower bounds where the load generator is the limit.
    let bound = if line.is_censored() { "≥ " } else { "" };
    let rate = |metric: Metric, write: fn(f64) -> String| {
        line.median(metric)
            .map_or_else(|| "–".to_owned(), |value| format!("{bound}{}", write(value)))
    };
    let latency = |percentile| write(Metric::Response(percentile), units::microseconds);
    vec![
        format!("{}{}", line.target, line.kind.remark()),
        rate(Metric::Throughput, units::count),
        range.map_or_else(
            || "–".to_owned(),
            |range| format!("{}–{}", units::count(range.low), units::count(range.high)),
        ),
        rate(Metric::TransferRate, units::three_digits),
        latency(Percentile::P50),
        latency(Percentile::P99),
        latency(Percentile::P99_9),
        write(Metric::CpuPerRequest, units::microseconds),
        write(Metric::Memory, units::bytes),
        write(Metric::Threads, |threads| format!("{threads:.0}")),
        line.errors.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock;
    use bench_data::mock::MockExecutor;
    use bench_data::names;
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};
    use bench_data::record::outcome::Outcome;

    #[test]
    fn a_table_is_aligned_and_marks_starvation() {
        let overrides =
            Overrides::from(SweepFlags { connections: Some(vec![16]), ..SweepFlags::default() });
        let plan = Plan::built_in("quick").unwrap().with(overrides);
        let records = mock::records_of(&plan, MockExecutor::default());
        let text = text(&Summary::of(&records), &[]);
        insta::assert_snapshot!(text.split("\n\n").next().unwrap());
    }

    #[test]
    fn a_bad_round_is_counted_and_leaves_the_percentiles_alone() {
        let plan = Plan::built_in("quick").unwrap();
        let mut records = mock::records_of(&plan, MockExecutor::default());
        let bad = records.trials.iter_mut().find(|row| row.target == "selector").unwrap();
        bad.connections_served = Some(0);
        bad.outcome = Outcome::Starved;
        let trial = bad.trial;
        records.latencies.retain(|row| row.trial != trial);
        let summary = Summary::of(&records);
        let line = summary.lines.iter().find(|line| line.starved()).unwrap();
        assert_eq!(line.target, "selector");
        assert_eq!(line.conditions(), ["served only 0 of 1 connection in 1 of 3 rounds"]);
        assert_eq!(line.rounds(Metric::P99).len(), 2);
    }

    #[test]
    fn ratios_refer_to_the_fastest_server_of_the_baseline() {
        let overrides = Overrides {
            sweeps: SweepFlags { connections: Some(vec![16]), ..SweepFlags::default() },
            against: Some(names::entries(&[
                bench_data::servers::reference::ReferenceServer::Nginx,
                bench_data::servers::reference::ReferenceServer::Lighttpd,
            ])),
            ..Overrides::default()
        };
        let plan = Plan::built_in("quick").unwrap().with(overrides);
        let speed = [("nginx".to_owned(), 50_000.0), ("lighttpd".to_owned(), 40_000.0)].into();
        let records = mock::records_of(&plan, MockExecutor { speed, ..MockExecutor::default() });
        let baseline = ["nginx".to_owned(), "lighttpd".to_owned()];
        let tables = tables(&Summary::of(&records), &baseline);
        insta::assert_snapshot!(tables[0].ratios);
        assert!(super::tables(&Summary::of(&records), &[])[0].ratios.is_empty());
    }
}
