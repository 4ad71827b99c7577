//! `bench export`: values of a run in the formats of benchmark services.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use bench_data::load::words::describe;
use bench_data::record::run_folder::RunFolder;
use bench_report::analysis::metric::Better;
use bench_report::documents::trusted::Trusted;
use bench_report::documents::{bencher, github, json, markdown, openmetrics};
use bench_report::report::content::Report;
use clap::{Args, ValueEnum};

use crate::cli::process::say;

/// Arguments of `bench export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each value is a median over the rounds, with the smallest and the largest round; a capacity is an estimate with \
                  its 95 % interval. docs/json.md describes the names and units.

Only values that can be trusted are exported. A server whose trials under a load were not all measured as \
                  planned (failed, starved, limited by the load generator, disturbed) is left out, and so is a load whose A/A control \
                  differs from its server, and a percentile that too few replies support or that is near the machine's wake-up \
                  delay. Standard error lists the servers and loads that are left out. --openmetrics marks them with \
                  bench_trusted 0; --markdown keeps their rows and marks them.

Exit codes: 0 exported, 2 wrong usage, or nothing can be exported

Examples:
  bench export results/latest --bencher | bencher run --adapter json
  bench export results/latest --github=bigger > rates.json     # tool: customBiggerIsBetter
  bench export results/latest --github=smaller > costs.json    # tool: customSmallerIsBetter
  bench export results/latest --openmetrics > bench.prom
  bench export results/latest --markdown >> \"$GITHUB_STEP_SUMMARY\""
)]
pub(super) struct ExportArgs {
    /// Results folder
    folder: PathBuf,
    #[command(flatten)]
    to: Target,
}

/// Format to write.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Bencher Metric Format (JSON)
    #[arg(long)]
    bencher: bool,
    /// JSON of github-action-benchmark. One file has one direction: of times, CPU, memory and threads
    /// (smaller), or of rates (bigger)
    #[arg(
        long,
        value_name = "DIRECTION",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "smaller"
    )]
    github: Option<Direction>,
    /// Text format of OpenMetrics, which Prometheus reads
    #[arg(long)]
    openmetrics: bool,
    /// Markdown table with a row for each server under each load
    #[arg(long)]
    markdown: bool,
}

/// Direction of the metrics in a file of github-action-benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Smaller is better
    Smaller,
    /// Bigger is better
    Bigger,
}

/// Writes the values of a run to standard output.
pub(super) fn export(arguments: &ExportArgs) -> anyhow::Result<ExitCode> {
    let report = Report::of(RunFolder::open(&arguments.folder)?.read()?);
    let trusted = Trusted::of(&report.analysis);
    let to = &arguments.to;
    if to.markdown {
        say(&markdown::markdown(&report));
        return Ok(ExitCode::SUCCESS);
    }
    let mut stderr = io::stderr().lock();
    for one in &trusted.left_out {
        let (server, load, reason) = (&one.server, describe(one.load), &one.reason);
        let _ = writeln!(stderr, "left out: {server} with {load}: {reason}");
    }
    ensure!(
        to.openmetrics || !trusted.points.is_empty(),
        "there is nothing to export: no server was measured as planned; `bench report {}` shows why",
        arguments.folder.display()
    );
    say(&match to.github {
        Some(direction) => {
            let better = match direction {
                Direction::Smaller => Better::Lower,
                Direction::Bigger => Better::Higher,
            };
            let machine = &report.contents.environment.machine;
            let processor = machine.processor.as_deref().unwrap_or("unknown processor");
            let machine = format!("{processor}, {}", machine.kernel);
            json(&github::entries(&trusted, better, &machine))
        }
        None if to.bencher => json(&bencher::metrics(&trusted)),
        None => openmetrics::text(&report.contents, &trusted),
    });
    Ok(ExitCode::SUCCESS)
}
