//! The content of a report: records, conclusions and charts.

use bench_data::record::run_folder::Contents;

use crate::analysis::Analysis;
use crate::analysis::section::Section;
use crate::figures::forest::{self, ForestPlot};
use crate::figures::{self, Figure, View};
use crate::report::table::terminal::{self, TerminalTables};

/// Everything that a report shows.
#[derive(Debug)]
pub struct Report {
    /// The records, with plan and environment.
    pub contents: Contents,
    /// The conclusions.
    pub analysis: Analysis,
    /// The compared pair in every experiment; `None` if no two servers were compared.
    pub forest: Option<ForestPlot>,
    /// The charts of each section, in the order of the sections.
    figures: Vec<Vec<Figure>>,
}

impl Report {
    /// Report of the contents of a results folder.
    pub fn of(contents: Contents) -> Self {
        let analysis = Analysis::of(&contents);
        Self::with(contents, analysis)
    }

    /// Report of an analysis.
    pub fn with(contents: Contents, analysis: Analysis) -> Self {
        let pair = analysis.forest.as_ref().map(|forest| &forest.pair);
        let view = View { pair, place: analysis.place };
        let mut figures: Vec<_> =
            analysis.sections.iter().map(|section| figures::draw(&section.part, view)).collect();
        let has_experiments = analysis.sections.len() > 1;
        let targets = analysis.summary.targets();
        let forest = analysis
            .forest
            .as_ref()
            .map(|forest| forest::draw(forest, analysis.place, &targets, has_experiments));
        if !contents.plan.experiments.is_empty() {
            for (section, figures) in analysis.sections.iter().zip(&mut figures) {
                for figure in figures {
                    // Two experiments may have charts of one kind.
                    figure.file = format!("{}-{}", section.name, figure.file);
                }
            }
        }
        Self { contents, analysis, forest, figures }
    }

    /// Sections with their charts.
    pub fn sections(&self) -> impl Iterator<Item = (&Section, &[Figure])> {
        self.analysis.sections.iter().zip(self.figures.iter().map(Vec::as_slice))
    }

    /// All charts.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().flatten()
    }

    /// Names and pictures of the files of all charts.
    pub fn pictures(&self) -> impl Iterator<Item = (&str, &str)> {
        let forest = self.forest.iter().map(|plot| (forest::FILE, &*plot.svg));
        forest.chain(self.figures().map(|figure| (&*figure.file, &*figure.svg)))
    }

    /// The results as tables for a terminal of so many columns.
    pub fn terminal_tables(&self, columns: usize) -> TerminalTables {
        terminal::tables(&self.analysis.summary, &self.analysis.baseline, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, contents_of, plan_of_experiments};

    #[test]
    fn charts_of_several_experiments_have_distinct_file_names() {
        let plan = plan_of_experiments();
        let report = Report::of(contents_of(&plan, MockExecutor::default()));
        assert_eq!(report.sections().count(), 3);
        assert!(report.sections().all(|(_, figures)| !figures.is_empty()));
        let mut files: Vec<_> = report.figures().map(|figure| &figure.file).collect();
        let all = files.len();
        files.sort();
        files.dedup();
        assert_eq!(files.len(), all, "file names are distinct");
    }
}
