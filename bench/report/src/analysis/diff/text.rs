//! Changes as tables for a terminal.

use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::text_table::{Align, TextTable};
use bench_data::text_wrap::indented;

use super::limit::COLUMNS;
use super::{Change, Diff};

/// Rows of a table of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All rows.
    All,
    /// Rows with a change that is shown to be a difference.
    Changed,
}

impl Diff {
    /// Changes as a table for each load, and everything that was not compared, in lines of at
    /// most so many letters.
    pub fn text(&self, shown: Shown, width: usize) -> String {
        let mut text = String::new();
        let (mut all, mut left_out) = (0, 0);
        let heads: Vec<&str> =
            ["server"].into_iter().chain(COLUMNS.map(|(name, _)| name)).collect();
        for load in self.loads() {
            let mut rows = Vec::new();
            for target in self.targets(load) {
                all += 1;
                let changes: Vec<&Change> = self
                    .in_tables()
                    .filter(|one| one.load == load && one.target == target)
                    .collect();
                if shown == Shown::Changed && !changes.iter().any(|one| one.is_shown()) {
                    left_out += 1;
                    continue;
                }
                rows.push(row(target, &changes));
            }
            if !rows.is_empty() {
                let load = describe(load);
                text += &format!("\n{}", indented(&load, "With ", "  ", width));
                text += &table(&heads, rows, width);
            }
        }
        if shown == Shown::Changed {
            text += &format!("\nLeft out: {left_out} of {all} rows, without a shown difference.\n");
        }
        for (heading, lines) in self.notes() {
            text += &format!("\n{heading}\n");
            lines.iter().for_each(|line| text += &indented(line, "  ", "    ", width));
        }
        text
    }

    /// Changes with a column in the tables.
    pub fn in_tables(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_in_tables())
    }

    /// Servers and loads that are not compared, and settings that differ, each list with its heading.
    pub fn notes(&self) -> Vec<(&'static str, Vec<String>)> {
        let incomparable = self.incomparable.iter().map(|one| one.text.clone()).collect();
        let settings = self.settings.iter().map(ToString::to_string).collect();
        let mut notes: Vec<(_, Vec<String>)> =
            vec![("Not compared:", incomparable), ("The runs differ in:", settings)];
        notes.retain(|(_, lines)| !lines.is_empty());
        notes
    }

    fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for change in &self.changes {
            if !loads.contains(&change.load) {
                loads.push(change.load);
            }
        }
        loads
    }

    fn targets(&self, load: Load) -> Vec<&str> {
        let under = self.changes.iter().filter(|one| one.load == load);
        let mut targets: Vec<&str> = under.map(|one| &*one.target).collect();
        targets.dedup();
        targets
    }
}

/// Table of a load: a column for each metric, or a line for each where the columns are too wide.
fn table(heads: &[&str], rows: Vec<Vec<String>>, width: usize) -> String {
    let mut lines = Vec::new();
    for row in &rows {
        for (index, (head, cell)) in heads.iter().zip(row).enumerate().skip(1) {
            let server = if index == 1 { row[0].clone() } else { String::new() };
            lines.push(vec![server, (*head).to_owned(), cell.clone()]);
        }
    }
    let wide = TextTable::new(heads, rows, Align::Left);
    if wide.width() <= width {
        return wide.text(width);
    }
    TextTable::new(&["server", "metric", "change"], lines, Align::Left).text(width)
}

fn row(target: &str, changes: &[&Change]) -> Vec<String> {
    let cell = |metric| {
        let change = changes.iter().find(|one| one.metric == metric);
        change.map_or_else(|| "–".to_owned(), |one| one.cell_text())
    };
    let cells = COLUMNS.iter().map(|(_, metric)| cell(*metric));
    std::iter::once(target.to_owned()).chain(cells).collect()
}
