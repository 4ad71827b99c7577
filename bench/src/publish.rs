//! From records to everything that people read: table, verdict, charts, report.

use crate::figures::{self, Figure};
use crate::report;
use crate::run_folder::{Contents, RunFolder};
use crate::summary::Summary;
use crate::table;
use crate::verdict::Verdict;

/// What a run says.
#[derive(Debug)]
pub struct Published {
    /// The rounds, condensed.
    pub summary: Summary,
    /// The answer.
    pub verdict: Verdict,
    /// The charts.
    pub figures: Vec<Figure>,
    /// Servers that all others are held against.
    pub baseline: Vec<String>,
}

impl Published {
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

/// Reads a folder's records and writes its charts and its report.
///
/// # Errors
/// The folder cannot be read or written.
pub fn publish(folder: &RunFolder) -> anyhow::Result<Published> {
    let (contents, published) = draw(folder)?;
    folder.write_report(
        &report::html(&contents, &published)?,
        &report::readme(&contents, &published),
    )?;
    Ok(published)
}

fn draw(folder: &RunFolder) -> anyhow::Result<(Contents, Published)> {
    let contents = folder.read()?;
    let summary = Summary::of(&contents.records);
    let mut verdict = Verdict::of(&summary);
    verdict.notes.extend(contents.environment.machine.warning());
    let figures = figures::draw(&summary);
    folder.write_figures(&figures)?;
    let baseline = contents.plan.baseline.clone();
    Ok((contents, Published { summary, verdict, figures, baseline }))
}
