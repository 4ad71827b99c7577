//! `bench plot` and `bench report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{bail, ensure};
use bench_data::record::run_folder::{Contents, RunFolder};
use bench_data::text_wrap::indented;
use bench_report::documents::run::RunDocument;
use bench_report::report::content::Report;
use bench_report::report::export::{plot, print_charts, publish_report, typeset};
use clap::Args;
use program::message::print_warning;

use crate::cli::format::{Format, say_json};
use crate::cli::paper::PaperArgs;
use crate::cli::process::say;
use crate::terminal::columns_of_stdout;

/// Arguments of `bench report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Results folder
    folder: PathBuf,
    /// Two servers that the answer compares [default: those of the plan, or threaded,selector]
    #[arg(long, value_name = "A,B", value_delimiter = ',', num_args = 1)]
    compare: Vec<String>,
    /// Also write report.pdf, a paper to hand in
    #[arg(long)]
    pdf: bool,
    /// Write the charts as PNG at print resolution as well: plots/*.png
    #[arg(long)]
    png: bool,
    #[command(flatten)]
    paper: PaperArgs,
    /// Format of standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Draws the charts of a results folder.
pub(super) fn replot(folder: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(folder)?;
    let published = plot(&folder)?;
    ensure!(
        published.figures().next().is_some(),
        "{} has no trial for a chart",
        folder.path().display()
    );
    for (file, _) in published.pictures() {
        say(&format!("{}/plots/{file}\n", folder.path().display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The two servers of `--compare`.
fn pair(contents: &Contents, names: &[String]) -> anyhow::Result<[String; 2]> {
    let mut known: Vec<&str> = Vec::new();
    for row in contents.records.trials.iter().filter(|row| row.control_of.is_none()) {
        if !known.contains(&row.target.as_str()) {
            known.push(&row.target);
        }
    }
    let given = names.join(",");
    let [first, second] = names else {
        bail!(
            "--compare {given}: name two servers, such as --compare {}",
            known[..2.min(known.len())].join(",")
        )
    };
    ensure!(first != second, "--compare {given}: the two servers are the same");
    for name in [first, second] {
        ensure!(
            known.contains(&name.as_str()),
            "--compare {given}: the run has no server {name}; choose from {}",
            known.join(", ")
        );
    }
    Ok([first.clone(), second.clone()])
}

/// Writes the report of a results folder, with paper and pictures if requested.
pub(super) fn rereport(arguments: ReportArgs) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(&arguments.folder)?;
    let mut contents = folder.read()?;
    if !arguments.compare.is_empty() {
        contents.plan.compare = Some(pair(&contents, &arguments.compare)?);
    }
    let report = Report::of(contents);
    // Files of the user that cannot be used are reported before anything is written.
    let paper = arguments.pdf.then(|| typeset(&report, &arguments.paper.cover()?)).transpose()?;
    publish_report(&folder, &report)?;
    let pictures = match arguments.png {
        true => print_charts(&folder, &report)?,
        false => Vec::new(),
    };
    let mut pdf = None;
    if let Some((content, lacking)) = paper {
        pdf = Some(folder.write_paper(&content)?);
        if !lacking.is_empty() {
            let letters: Vec<_> = lacking.iter().map(|letter| format!("'{letter}'")).collect();
            let letters = letters.join(" ");
            print_warning(format_args!(
                "the paper's fonts lack {letters}: each is printed as a box"
            ));
        }
    }
    match arguments.format {
        Format::Text => {
            let page = folder.report();
            let paths = std::iter::once(&page).chain(&pictures).chain(&pdf);
            let paths: String = paths.map(|path| format!("{}\n", path.display())).collect();
            say(&(indented(&report.analysis.answer, "", "", columns_of_stdout()) + &paths));
        }
        Format::Json => {
            let document = RunDocument::of(&folder, &report.contents, &report.analysis);
            say_json(&document.with_files(pdf.as_deref(), &pictures));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;

    #[test]
    fn the_compared_pair_is_two_servers_of_the_run() {
        let contents = contents_of(&Plan::built_in("quick").unwrap(), MockExecutor::default());
        let of = |given: &str| {
            let names: Vec<_> = given.split(',').map(str::to_owned).collect();
            pair(&contents, &names).map_err(|error| error.to_string())
        };
        let both = ["selector", "iterative"].map(str::to_owned);
        assert_eq!(of("selector,iterative"), Ok(both));
        for (given, expected) in [
            ("selector", "--compare selector: name two servers, such as --compare "),
            ("selector,selector", "--compare selector,selector: the two servers are the same"),
            (
                "selector,ghost",
                "--compare selector,ghost: the run has no server ghost; choose from ",
            ),
            (
                "selector,selector-again",
                "--compare selector,selector-again: the run has no server ",
            ),
        ] {
            let error = of(given).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
