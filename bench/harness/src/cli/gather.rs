//! `bench gather`: many runs in one report.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use bench_data::record::run_folder::RunFolder;
use bench_data::text_wrap::indented;
use bench_report::report::gathered::GatheredReport;
use clap::Args;

use crate::cli::process::{FAILED, say, warn};
use crate::terminal::columns_of_stdout;

/// Arguments of `bench gather`.
#[derive(Debug, Args)]
#[command(
    after_help = "The report has a chart with a line per run, the comparisons in words, and the machines; \
gathered.csv has the ratios. Ratios are within each run; values of different machines are never compared.

Exit codes: 0 done, 1 done, but a folder was left out, 2 invalid arguments or no run with the two servers"
)]
pub(super) struct GatherArgs {
    /// Results folders, of one machine or of many
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Two servers to compare [default: those of the first run, usually threaded,selector]
    #[arg(long, value_name = "A,B", value_delimiter = ',', num_args = 1)]
    compare: Vec<String>,
    /// Folder of the report
    #[arg(long, value_name = "DIR", default_value = "results/gathered")]
    out: PathBuf,
}

/// Writes the report of several runs.
pub(super) fn gather(arguments: GatherArgs) -> anyhow::Result<ExitCode> {
    let pair = match &arguments.compare[..] {
        [] => None,
        [first, second] if first != second => Some([first.clone(), second.clone()]),
        _ => bail!("--compare: name two servers, such as --compare threaded,selector"),
    };
    let mut runs = Vec::new();
    let mut is_complete = true;
    for path in arguments.folders {
        match RunFolder::open(&path).and_then(|folder| folder.read()) {
            Ok(contents) => runs.push((path, contents)),
            Err(error) => {
                is_complete = false;
                warn(&format!("left out: {error:#}"));
            }
        }
    }
    let report = GatheredReport::of(runs, pair)?;
    for folder in report.left_out() {
        is_complete = false;
        warn(&format!("left out: {folder} has no comparison of the two servers"));
    }
    let page = report.write(&arguments.out)?;
    let columns = columns_of_stdout();
    let text: String =
        report.text().lines().map(|line| indented(line, "", "  ", columns)).collect();
    say(&format!("{text}\nreport  {}\n", page.display()));
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
