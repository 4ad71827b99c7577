//! The summary as a table for a terminal, a Markdown or LaTeX file, or a page.

mod latex;
mod markdown;

use bench_data::load::words::heading;
use serde::Serialize;

use crate::analysis::comparison::with_interval;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::record::outcome::Outcome;
use bench_data::stats::Estimate;
use bench_data::units;
use bench_data::units::grouped;

pub use latex::latex;
pub use markdown::markdown;

/// The columns of every table.
pub const COLUMNS: [&str; 11] = [
    "server",
    "requests/s",
    "95 % interval",
    "MB/s",
    "p50",
    "p99",
    "p99.9",
    "CPU/req",
    "memory",
    "threads",
    "errors",
];

/// The lines of one load.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// The load in words.
    pub heading: String,
    /// A row for each server.
    pub rows: Vec<Row>,
    /// Requests per second of each server by those of the fastest one of the baseline; empty
    /// without one.
    pub ratios: String,
}

/// One server of a table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The server's name.
    pub server: String,
    /// The values of [`COLUMNS`].
    pub values: Vec<String>,
    /// Conditions of the values; empty for usual ones.
    pub remark: String,
}

/// One table for each load.
pub fn tables(summary: &Summary, baseline: &[String]) -> Vec<Table> {
    summary
        .loads()
        .into_iter()
        .map(|load| Table {
            heading: heading(load),
            rows: summary.under(load).map(Row::of).collect(),
            ratios: ratios(summary, load, baseline),
        })
        .collect()
}

/// All tables as text, columns aligned.
pub fn text(summary: &Summary, baseline: &[String]) -> String {
    let tables = tables(summary, baseline);
    let mut widths = COLUMNS.map(|column| column.chars().count());
    for row in tables.iter().flat_map(|table| &table.rows) {
        for (width, value) in widths.iter_mut().zip(&row.values) {
            *width = (*width).max(value.chars().count());
        }
    }
    let mut text = String::new();
    for table in tables {
        let columns = COLUMNS.map(str::to_owned);
        text += &format!("\n{}\n{}\n", table.heading, aligned(&columns, &widths).trim_end());
        for row in &table.rows {
            let row = format!("{}  {}", aligned(&row.values, &widths), row.remark);
            text += row.trim_end();
            text.push('\n');
        }
        if !table.ratios.is_empty() {
            text += &format!("  {}\n", table.ratios);
        }
    }
    text
}

impl Row {
    fn of(line: &Line) -> Self {
        Self { server: line.target.clone(), values: values(line), remark: remark(line) }
    }
}

/// Every server held against the fastest of the baseline, round by round, in a line. Servers that
/// were limited by the generator, or failed, are marked: no claim rests on them.
fn ratios(summary: &Summary, load: Load, baseline: &[String]) -> String {
    let median = |line: &&Line| line.requests_per_s.map_or(0.0, |estimate| estimate.median);
    let is_base = |line: &&Line| baseline.contains(&line.target);
    let base = summary.under(load).filter(is_base);
    let Some(base) = base.max_by(|a, b| median(a).total_cmp(&median(b))) else {
        return String::new();
    };
    let others = summary.under(load).filter(|line| !is_base(line));
    let held: Vec<_> = others
        .filter_map(|line| {
            let ratio = Estimate::of_ratios(&line.rounds, &base.rounds)?;
            let doubt = if line.is_comparable() && base.is_comparable() { "" } else { " (?)" };
            Some(format!("{} {}{doubt}", line.target, with_interval(ratio)))
        })
        .collect();
    format!("requests/s ÷ {}: {}", base.target, held.join(", "))
}

fn aligned(values: &[String], widths: &[usize]) -> String {
    let mut line = String::from(" ");
    for (index, (value, width)) in values.iter().zip(widths).enumerate() {
        if index == 0 {
            line += &format!(" {value:<width$}");
        } else {
            line += &format!("  {value:>width$}");
        }
    }
    line
}

fn values(line: &Line) -> Vec<String> {
    let written = |estimate: Option<Estimate>, write: fn(f64) -> String| {
        estimate.map_or_else(|| "–".to_owned(), |estimate| write(estimate.median))
    };
    let interval = line.requests_per_s.and_then(|estimate| estimate.interval);
    let latency = |percentile| written(line.latency_us(percentile), units::microseconds);
    vec![
        format!("{}{}", line.target, line.kind.remark()),
        written(line.requests_per_s, units::count),
        interval.map_or_else(
            || "–".to_owned(),
            |interval| format!("{}–{}", units::count(interval.low), units::count(interval.high)),
        ),
        written(line.mb_per_s, units::three_digits),
        latency(50.0),
        latency(99.0),
        latency(99.9),
        written(line.cpu_us_per_request, units::microseconds),
        written(line.memory_bytes, units::bytes),
        written(line.threads, |threads| format!("{threads:.0}")),
        line.errors.to_string(),
    ]
}

/// What must be known of a line's values.
fn remark(line: &Line) -> String {
    let mut remarks = Vec::new();
    let trials = line.trials();
    if let Some(served) = line.connections_served.filter(|_| line.starved()) {
        let rounds = if line.starved_in_every_round() {
            String::new()
        } else {
            format!(" in {} of {trials} rounds", line.starved_rounds)
        };
        remarks.push(format!("served {served} of {} connections{rounds}", line.load.connections));
    }
    if let Some(held) = line.crowd_held.filter(|_| line.lost_of_the_crowd()) {
        let background = grouped(line.load.profile.background.total());
        remarks.push(format!("held {} of {background} further connections", grouped(held)));
    }
    for outcome in [
        Outcome::Overloaded,
        Outcome::GeneratorBound,
        Outcome::TooFew,
        Outcome::GeneratorLate,
        Outcome::Disturbed,
        Outcome::Errors,
        Outcome::Died,
        Outcome::NotStarted,
        Outcome::Unsupported,
        Outcome::Interrupted,
    ] {
        let count = line.count(outcome);
        if count > 0 {
            let why = match (outcome, line.reasons.last()) {
                (Outcome::Unsupported, Some(reason)) => format!(": {reason}"),
                _ => String::new(),
            };
            remarks.push(format!("{} in {count} of {trials} trials{why}", outcome.name()));
        }
    }
    remarks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock;
    use bench_data::mock::MockExecutor;
    use bench_data::names;
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};

    #[test]
    fn a_table_is_aligned_and_says_who_starved() {
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
        assert_eq!(remark(line), "served 0 of 1 connections in 1 of 3 rounds");
        assert_eq!(line.latency_rounds(99.0).len(), 2);
    }

    #[test]
    fn servers_that_are_not_ours_are_marked_and_what_they_lack_is_said() {
        let overrides = Overrides {
            against: Some(names::entries(&bench_data::servers::reference::ReferenceServer::ALL)),
            ..Overrides::default()
        };
        let plan = Plan::built_in("quick").unwrap().with(overrides);
        let lacks = [("lighttpd".to_owned(), "PUT is answered with 405".to_owned())].into();
        let records = mock::records_of(&plan, MockExecutor { lacks, ..MockExecutor::default() });
        let text = text(&Summary::of(&records), &[]);
        assert!(text.contains("nginx (reference) ") && text.contains("selector  "), "{text}");
        assert!(text.contains("unsupported in 3 of 3 trials: PUT is answered with 405"), "{text}");
    }

    #[test]
    fn a_baseline_is_what_the_others_are_held_against() {
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
        let ratios = &tables[0].ratios;
        assert!(ratios.starts_with("requests/s ÷ nginx: iterative 0.4"), "{ratios}");
        assert!(ratios.contains("(?), threaded 1.0"), "iterative starves others: {ratios}");
        assert!(!ratios.contains("lighttpd"), "{ratios}");
        assert!(super::tables(&Summary::of(&records), &[])[0].ratios.is_empty());
    }

    #[test]
    fn values_that_are_missing_are_dashes() {
        let plan = Plan::built_in("quick").unwrap();
        let dies_in = (1..=1000).collect();
        let mut records =
            mock::records_of(&plan, MockExecutor { dies_in, ..MockExecutor::default() });
        records.latencies.clear();
        let text = text(&Summary::of(&records), &[]);
        assert!(text.contains("died in 3 of 3 trials"), "{text}");
        assert!(text.contains(" – "), "{text}");
    }
}
