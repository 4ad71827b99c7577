//! Tables of a run, for a terminal, a Markdown or LaTeX file, or a page.

mod capacity;
mod latex;
mod markdown;
pub mod terminal;

use bench_data::load::words::heading;
use serde::Serialize;

use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::sentence::times;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::units;

pub(crate) use latex::latex;
pub(crate) use markdown::{escaped, markdown};

/// Columns of every table.
pub(crate) const COLUMNS: [&str; 12] = [
    "server",
    "requests/s",
    "range",
    "MB/s",
    "p50",
    "p99",
    "p99.9",
    "CPU/req",
    "generator CPU/req",
    "memory",
    "threads",
    "errors",
];

/// Further column, after the memory of the server, of loads with background connections.
const KERNEL_MEMORY: &str = "kernel memory";

/// Position of this column.
const KERNEL_POSITION: usize = 10;

/// Explanation of the columns.
pub(crate) const NOTE: &str = "Medians over the rounds. Range: smallest and largest requests/s. ≥: the load generator was the \
    limit. MB/s: million bytes per second. CPU/req: CPU time of the server per request. Generator \
    CPU/req: the same of the load generator. On one machine the core that sends a packet also does the \
    TCP work of its receiver: CPU/req contains the receive path of the client and lacks that of the \
    server, which the generator's core pays (--loopback-rfs changes that). Memory: of the server's \
    processes, in user space. –: not measured, or too few replies for this percentile.";

/// Explanation of the column of kernel memory.
pub(crate) const KERNEL_NOTE: &str = "Kernel memory: growth of the kernel's memory on the whole machine while the background connections \
    were opened; it contains both ends of each connection, that of the load generator included.";

/// Explanation of the columns of all tables.
pub(crate) fn note() -> String {
    format!("{NOTE} {KERNEL_NOTE}")
}

/// Caption of tables with the same columns.
pub(crate) fn caption(tables: &[Table]) -> String {
    match tables {
        [only] => format!("{}.", only.heading),
        _ => "All servers under each load.".to_owned(),
    }
}

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

impl Table {
    /// Returns true if the table has a column of kernel memory.
    pub(crate) fn has_kernel_memory(&self) -> bool {
        self.columns.get(KERNEL_POSITION) == Some(&KERNEL_MEMORY)
    }
}

/// A table for each load, and one of the capacities for each load that was searched.
pub(crate) fn tables(summary: &Summary, baseline: &[String]) -> Vec<Table> {
    let of_loads = summary.loads().into_iter().map(|load| {
        let has_kernel = |line: &Line| line.median(Metric::KernelMemory).is_some();
        let mut table = Table {
            heading: heading(load),
            columns: COLUMNS.to_vec(),
            rows: summary.under(load).map(Row::of).collect(),
            ratios: ratios(summary, load, baseline),
        };
        if summary.under(load).any(has_kernel) {
            table.columns.insert(KERNEL_POSITION, KERNEL_MEMORY);
            for (row, line) in table.rows.iter_mut().zip(summary.under(load)) {
                row.values.insert(KERNEL_POSITION, write(line, Metric::KernelMemory, units::bytes));
            }
        }
        table
    });
    capacity::tables(&summary.capacities).chain(of_loads).collect()
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

fn write(line: &Line, metric: Metric, write: fn(f64) -> String) -> String {
    line.median(metric).map_or_else(|| "–".to_owned(), write)
}

fn values(line: &Line) -> Vec<String> {
    let range = line.spread(Metric::Throughput).and_then(|rate| rate.range);
    // Only rates are lower bounds where the load generator is the limit.
    let bound = if line.is_censored() { "≥ " } else { "" };
    let rate = |metric: Metric, write: fn(f64) -> String| {
        line.median(metric)
            .map_or_else(|| "–".to_owned(), |value| format!("{bound}{}", write(value)))
    };
    let latency = |percentile| write(line, Metric::Response(percentile), units::microseconds);
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
        write(line, Metric::CpuPerRequest, units::microseconds),
        write(line, Metric::GeneratorCpuPerRequest, units::microseconds),
        write(line, Metric::Memory, units::bytes),
        write(line, Metric::Threads, |threads| format!("{threads:.0}")),
        line.errors.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Analysis;
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
        let shown = terminal::tables(&Summary::of(&records), &[], 160);
        assert!(shown.left_out.is_empty());
        insta::assert_snapshot!(shown.text.split("\n\n").next().unwrap());
    }

    #[test]
    fn kernel_memory_has_a_column_where_it_was_measured() {
        let plan = Plan::built_in("idle").unwrap();
        let records = mock::records_of(&plan, MockExecutor::default());
        let tables = tables(&Summary::of(&records), &[]);
        let (with, without): (Vec<_>, Vec<_>) =
            tables.iter().partition(|table| table.columns.contains(&KERNEL_MEMORY));
        assert_eq!((with.len(), without.len()), (2, 1));
        assert_eq!(
            with[0].columns[KERNEL_POSITION - 1..=KERNEL_POSITION],
            ["memory", KERNEL_MEMORY]
        );
        let row = |name: &str| with[0].rows.iter().find(|row| row.server == name).unwrap();
        assert_eq!(row("selector").values[KERNEL_POSITION], "7.06 MiB");
        assert!(
            tables.iter().all(|table| {
                table.rows.iter().all(|row| row.values.len() == table.columns.len())
            })
        );
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

    #[test]
    fn a_void_load_has_no_ratios_in_the_tables_of_the_run() {
        let baseline = vec!["threaded".to_owned()];
        let plan = Plan { baseline, ..Plan::built_in("default").unwrap() };
        let speed = [("selector-again".to_owned(), 30_000.0)].into();
        let executor = MockExecutor { speed, ..MockExecutor::default() };
        let analysis = Analysis::of(&mock::contents_of(&plan, executor));
        let summary = &analysis.summary;
        assert_eq!(summary.void.len(), 1, "the load of the main comparison");
        let tables = tables(summary, &analysis.baseline);
        for (load, table) in summary.loads().iter().zip(&tables) {
            let expected = match summary.void.contains(load) {
                true => "void: the A/A control differs from its server",
                false => "requests/s relative to threaded (exploratory): ",
            };
            assert!(table.ratios.starts_with(expected), "{}: {}", table.heading, table.ratios);
        }
    }
}
