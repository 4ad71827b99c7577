//! A run as one Markdown table, for a comment or a job summary.

use bench_data::load::words::heading;

use crate::analysis::capacity::CapacityEstimate;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::Line;
use crate::documents::trusted::is_void;
use crate::report::content::Report;
use crate::report::table::escaped;

/// Columns between those of the load and of the remarks.
const COLUMNS: [(&str, Metric); 7] = [
    ("throughput", Metric::Throughput),
    ("transfer rate", Metric::TransferRate),
    ("p50", Metric::Response(Percentile::P50)),
    ("p99", Metric::P99),
    ("CPU per request", Metric::CpuPerRequest),
    ("memory", Metric::Memory),
    ("threads", Metric::Threads),
];

/// Answer and validity, a table with a row for each server under each load, and one of the capacities.
pub fn markdown(report: &Report) -> String {
    let analysis = &report.analysis;
    let mut text = format!("**{}**\n\n", escaped(&report.contents.plan.question));
    text += &format!("{}\n\n{}\n", escaped(&analysis.answer), escaped(&analysis.validity));
    if !analysis.summary.lines.is_empty() {
        let names = COLUMNS.iter().map(|(name, _)| *name);
        let names: Vec<_> = ["load", "server"].into_iter().chain(names).chain(["remark"]).collect();
        let numbers = " ---: |".repeat(COLUMNS.len());
        text += &format!("\n| {} |\n| --- | --- |{numbers} --- |\n", names.join(" | "));
        for line in &analysis.summary.lines {
            text += &row(line, is_void(analysis, line.load));
        }
        text += "\nMedians over the rounds. Void rows and rows that are not compared support no claim. ≥: the load \
                 generator was the limit. –: not measured, or too few replies for the percentile.\n";
    }
    text + &capacities(&analysis.summary.capacities)
}

fn row(line: &Line, is_void: bool) -> String {
    let conditions = line.conditions().join(", ");
    let remark = match (is_void, line.is_comparable()) {
        (true, _) => "void: the A/A control differs from its server".to_owned(),
        (false, true) => conditions,
        (false, false) => format!("not compared: {conditions}"),
    };
    let cell = |metric: Metric| {
        let is_rate = matches!(metric, Metric::Throughput | Metric::TransferRate);
        let bound = if is_rate && line.is_censored() { "≥ " } else { "" };
        let write = |value: f64| {
            let is_count = metric == Metric::Threads;
            if is_count { format!("{value:.0}") } else { metric.write(value) }
        };
        let value = line.median(metric).map(write);
        value.map_or_else(|| "–".to_owned(), |value| format!("{bound}{value}"))
    };
    let mut cells = vec![heading(line.load), format!("{}{}", line.target, line.kind.remark())];
    cells.extend(COLUMNS.iter().map(|(_, metric)| cell(*metric)));
    cells.push(remark);
    joined(&cells)
}

/// Table of the capacities; empty without searches.
fn capacities(all: &[CapacityEstimate]) -> String {
    let row = |one: &CapacityEstimate| {
        let write = |rate| Metric::Capacity.unit().write(rate);
        let value = match (one.middle(), one.least()) {
            (Some(middle), _) => write(middle.rate),
            (None, Some(least)) => format!("≥ {}", write(least)),
            (None, None) => "–".to_owned(),
        };
        let interval = one.middle().and_then(|middle| middle.interval);
        let interval =
            interval.map(|within| format!("{} to {}", write(within.low), write(within.high)));
        joined(&[
            heading(one.search.load),
            one.search.objective.in_words(),
            format!("{}{}", one.search.target, one.search.kind.remark()),
            value,
            interval.unwrap_or_else(|| "–".to_owned()),
            one.remark(),
        ])
    };
    if all.is_empty() {
        return String::new();
    }
    let rows: String = all.iter().map(row).collect();
    format!(
        "\n| load | objective | server | capacity in requests/s | 95 % interval | remark |\n\
         | --- | --- | --- | ---: | ---: | --- |\n{rows}\n\
         Capacity: the offered rate at which half of the trials meet the objective.\n"
    )
}

fn joined(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| escaped(cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}
