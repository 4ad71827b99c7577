//! The files of a report.

use std::path::PathBuf;

use bench_data::record::run_folder::RunFolder;

use crate::report::content::Report;
use crate::report::lab_report::{self, Cover};
use crate::report::{answer, capacities, comparisons, page, picture, table};

/// Reads a folder's records and writes its charts.
///
/// # Errors
/// The folder cannot be read or written.
pub fn plot(folder: &RunFolder) -> anyhow::Result<Report> {
    let report = Report::of(folder.read()?);
    folder.write_plots(report.pictures())?;
    Ok(report)
}

/// Reads a folder's records and writes its charts, its report and its tables.
///
/// # Errors
/// The folder cannot be read or written.
pub fn publish(folder: &RunFolder) -> anyhow::Result<Report> {
    let report = Report::of(folder.read()?);
    publish_report(folder, &report)?;
    Ok(report)
}

/// Writes charts, report and tables.
///
/// # Errors
/// The folder cannot be written.
pub fn publish_report(folder: &RunFolder, report: &Report) -> anyhow::Result<()> {
    folder.write_plots(report.pictures())?;
    folder.write_report(&page::html(report)?, &page::readme(report))?;
    let compared = comparisons::rows(&report.analysis.sections);
    folder.write_comparisons(&comparisons::COLUMNS, &compared)?;
    let searched = capacities::rows(&report.analysis.summary.capacities);
    folder.write_capacities(&capacities::COLUMNS, &searched)?;
    let tables = table::tables(&report.analysis.summary, &report.analysis.baseline);
    let markdown = answer::markdown(report) + &table::markdown(&tables);
    folder.write_tables(&markdown, &table::latex(&tables))
}

/// Writes each chart as PNG, for programs that take no SVG, and returns the paths.
///
/// # Errors
/// A file cannot be written.
pub fn print_charts(folder: &RunFolder, report: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let print = |(file, svg): (&str, &str)| folder.write_png(file, &picture::png(svg)?);
    report.pictures().map(print).collect()
}

/// Content of the paper's PDF file, with the letters that its fonts lack.
///
/// # Errors
/// A chart cannot be set, or a text or a picture of the user cannot be used.
pub fn typeset(report: &Report, cover: &Cover) -> anyhow::Result<(Vec<u8>, Vec<char>)> {
    let paper = lab_report::paper(report, cover)?;
    Ok((paper.pdf()?, paper.lacking_letters()))
}
