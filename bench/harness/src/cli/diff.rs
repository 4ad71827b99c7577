//! `bench diff`: changes between two runs; `bench false-alarms`: changes claimed where none are.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use bench_data::record::run_folder::RunFolder;
use bench_data::text_wrap::indented;
use bench_report::analysis::diff::{Diff, Gate, Limit, Shown};
use bench_report::analysis::false_alarms;
use bench_report::documents::diff::{DiffDocument, markdown};
use clap::Args;

use crate::cli::format::{Format, say_json};
use crate::cli::process::{FAILED, say};
use crate::terminal::columns_of_stdout;

/// Arguments of `bench diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Changes are ratios of geometric means with 95 % intervals, which contain a difference \
                        of 4.6 % between repetitions of a run. A star marks a difference that remains \
                        significant after correction for the number of changes in the tables.

Limits: throughput, mb_per_s (with < and a negative percentage); mean, p50, p99, p99.9, cpu_per_request, \
                        memory, switches_per_request, threads (with > and a positive one); errors (with >, the \
                        largest share of failed requests in the later run). A limit is exceeded if that \
                        is shown at the level of 5 %, corrected for the number of values that the limits check.

Exit codes: 0 no limit exceeded, 1 a limit exceeded, or not checked because the later run lacks a \
                  server or its trials failed, 2 wrong usage"
)]
pub(super) struct DiffArgs {
    /// Results folder of the earlier run
    old: PathBuf,
    /// Results folder of the later run
    new: PathBuf,
    /// Exit with 1 if a change exceeds a limit: throughput<-5%, p99>+20%, errors>0.1% (the first: if throughput fell by more than 5 %)
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',', value_parser = Limit::parse)]
    fail_if: Vec<Limit>,
    /// Servers whose failed or missing trials in the later run are accepted
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "fail_if")]
    allow_missing: Vec<String>,
    /// Print Markdown for a pull request: a summary line and a table of the changes
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
    /// Leave out rows without a change that is shown to be a difference, and print their number
    #[arg(long)]
    changed_only: bool,
    /// Format of standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Prints the changes between two runs and checks the limits.
pub(super) fn diff(arguments: &DiffArgs) -> anyhow::Result<ExitCode> {
    let DiffArgs { markdown: is_markdown, changed_only, format, .. } = *arguments;
    ensure!(
        !(changed_only && format == Format::Json),
        "--changed-only applies to text and Markdown: select changes of the JSON document by their `verdict`"
    );
    let [old, new] = [&arguments.old, &arguments.new].map(|path| RunFolder::open(path)?.read());
    let diff = Diff::between(&old?, &new?);
    let gate = Gate::of(&diff, &arguments.fail_if, &arguments.allow_missing);
    let has_failures = gate.as_ref().is_some_and(|gate| !gate.not_checked.is_empty());
    ensure!(
        !diff.changes.is_empty() || has_failures,
        "there is nothing to compare: no server was measured without fault under the same load in \
         both runs{}",
        diff.incomparable
            .first()
            .map(|first| format!(" (such as {})", first.text))
            .unwrap_or_default()
    );
    let shown = if changed_only { Shown::Changed } else { Shown::All };
    match format {
        Format::Json => {
            say_json(&DiffDocument::of(&arguments.old, &arguments.new, &diff, gate.as_ref()));
        }
        Format::Text if is_markdown => say(&markdown(&diff, shown, gate.as_ref())),
        Format::Text => {
            let columns = columns_of_stdout();
            let mut text = diff.text(shown, columns);
            for line in gate.iter().flat_map(Gate::lines) {
                text += &format!("\n{}", indented(&line, "", "  ", columns).trim_end());
            }
            say(&(text.trim_end().to_owned() + "\n"));
        }
    }
    let is_passed = gate.is_none_or(|gate| gate.is_passed());
    Ok(if is_passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Prints how often a difference between two copies of one server is reported.
pub(super) fn false_alarms(folders: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut alarms, mut compared) = ([0; 2], [0; 2]);
    let mut text = String::new();
    for path in folders {
        let records = RunFolder::open(path)?.read()?.records;
        for comparison in false_alarms::comparisons(&records) {
            let index = usize::from(comparison.metric != false_alarms::METRICS[0]);
            alarms[index] += usize::from(comparison.is_claimed());
            compared[index] += usize::from(comparison.ratio.is_some());
            text += &format!("{}: {}\n", path.display(), comparison.text());
        }
    }
    for (index, metric) in false_alarms::METRICS.into_iter().enumerate() {
        let quantity = metric.name();
        let (alarms, compared) = (alarms[index], compared[index]);
        text +=
            &format!("{quantity}: no difference reported in {} of {compared}\n", compared - alarms);
    }
    say(&text);
    ensure!(compared[0] > 0, "there is nothing to compare: run scripts/check-noise.sh");
    // One in twenty is what intervals of 95 % promise.
    let keeps_its_promise = alarms[0] * 20 <= compared[0];
    Ok(if keeps_its_promise { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
