//! `bench plot` and `bench report`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use bench_data::record::run_folder::RunFolder;
use bench_report::report::export::{plot, print_charts, print_paper, publish};
use bench_report::report::lab_report::Cover;
use clap::Args;

use crate::cli::appendix;
use crate::cli::process::say;

/// Arguments of `bench report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Results folder
    folder: PathBuf,
    /// Also write report.pdf, a paper to hand in
    #[arg(long)]
    pdf: bool,
    /// Write the charts as PNG at print resolution as well: plots/*.png
    #[arg(long)]
    png: bool,
    /// Title of the paper [default: the question of the plan]
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    title: Option<String>,
    /// Author of the paper; may be repeated
    #[arg(long, value_name = "NAME", requires = "pdf")]
    author: Vec<String>,
    /// Course of the paper
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    course: Option<String>,
    /// Text file to append to the paper, such as one written by `client send --transcript` (repeatable)
    #[arg(long, value_name = "FILE", requires = "pdf")]
    transcript: Vec<PathBuf>,
    /// Listing to append to the paper: a text file, or a folder whose files are listed (repeatable)
    #[arg(long, value_name = "PATH", requires = "pdf")]
    listing: Vec<PathBuf>,
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
    for figure in published.figures() {
        say(&format!("{}/plots/{}\n", folder.path().display(), figure.file));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the report of a results folder, with paper and pictures if requested.
pub(super) fn rereport(arguments: ReportArgs) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(&arguments.folder)?;
    let published = publish(&folder)?;
    let mut text = format!("{}\n{}\n", published.analysis.answer, folder.report().display());
    if arguments.png {
        for path in print_charts(&folder, &published)? {
            text += &format!("{}\n", path.display());
        }
    }
    if arguments.pdf {
        let transcripts = arguments.transcript.iter().map(|path| appendix::transcript(path));
        let listings = arguments.listing.iter().map(|path| appendix::listing(path));
        let cover = Cover {
            title: arguments.title,
            authors: arguments.author,
            course: arguments.course,
            appendices: transcripts.chain(listings).collect::<Result<_, _>>()?,
        };
        let (path, lacking) = print_paper(&folder, &published, &cover)?;
        text += &format!("{}\n", path.display());
        if !lacking.is_empty() {
            let _ = writeln!(
                io::stderr(),
                "warning: the paper's fonts lack {}: each is printed as a box",
                lacking.iter().map(|letter| format!("'{letter}'")).collect::<Vec<_>>().join(" ")
            );
        }
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}
