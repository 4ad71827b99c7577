//! From records to everything that people read: table, verdict, charts, report.

use std::path::PathBuf;

use crate::claims::{Claim, claims};
use crate::figures::Figure;
use crate::lab_report::{self, Cover};
use crate::overall;
use crate::picture;
use crate::report;
use crate::run_folder::{Contents, RunFolder};
use crate::section::{Section, sections};
use crate::summary::Summary;
use crate::table;
use crate::topic::Topic;
use crate::verdict::Verdict;

/// What a run says.
#[derive(Debug)]
pub struct Published {
    /// The rounds, condensed.
    pub summary: Summary,
    /// The answer.
    pub verdict: Verdict,
    /// The experiments, with their charts.
    pub sections: Vec<Section>,
    /// What has been published, beside what the run measured.
    pub claims: Vec<Claim>,
    /// Servers that all others are held against.
    pub baseline: Vec<String>,
}

impl Published {
    /// All charts.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.figures)
    }

    /// The results as a table for the terminal.
    pub fn table(&self) -> String {
        table::text(&self.summary, &self.baseline)
    }
}

/// Reads a folder's records and writes its charts.
///
/// # Errors
/// The folder cannot be read or written.
pub fn plot(folder: &RunFolder) -> anyhow::Result<Published> {
    let (_, published) = draw(folder)?;
    Ok(published)
}

/// Reads a folder's records and writes its charts, its report and its tables.
///
/// # Errors
/// The folder cannot be read or written.
pub fn publish(folder: &RunFolder) -> anyhow::Result<Published> {
    let (contents, published) = draw(folder)?;
    folder.write_report(
        &report::html(&contents, &published)?,
        &report::readme(&contents, &published),
    )?;
    let tables = table::tables(&published.summary, &published.baseline);
    folder.write_tables(&table::markdown(&tables), &table::latex(&tables))?;
    Ok(published)
}

/// Writes each chart as pixels, for programs that take no SVG, and returns where.
///
/// # Errors
/// A file cannot be written.
pub fn print_charts(folder: &RunFolder, published: &Published) -> anyhow::Result<Vec<PathBuf>> {
    let print = |figure: &Figure| folder.write_png(figure, &picture::png(&figure.svg)?);
    published.figures().map(print).collect()
}

/// Writes the paper and returns where, with the letters that its fonts do not have.
///
/// # Errors
/// A file cannot be read or written.
pub fn print_paper(
    folder: &RunFolder,
    published: &Published,
    cover: &Cover,
) -> anyhow::Result<(PathBuf, Vec<char>)> {
    let paper = lab_report::paper(&folder.read()?, published, cover)?;
    Ok((folder.write_paper(&paper.pdf()?)?, paper.lacking_letters()))
}

fn draw(folder: &RunFolder) -> anyhow::Result<(Contents, Published)> {
    let contents = folder.read()?;
    let summary = Summary::of(&contents.records);
    let mut verdict = Verdict::of(&summary);
    verdict.notes.extend(contents.environment.machine.warning());
    let sections = sections(&contents.plan, &summary);
    verdict.sentence = match &sections[..] {
        [only] if only.topic != Topic::Throughput => only.answer.clone(),
        several => overall::paragraph(several).unwrap_or(verdict.sentence),
    };
    verdict.notes.extend(overall::without_claim(&sections));
    let claims = claims(&contents, &summary, &sections);
    let baseline = contents.plan.baseline.clone();
    let published = Published { summary, verdict, sections, claims, baseline };
    folder.write_figures(published.figures())?;
    Ok((contents, published))
}
