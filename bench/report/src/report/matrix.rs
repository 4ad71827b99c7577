//! Servers by loads, at a glance.

use serde::Serialize;

use crate::analysis::Analysis;
use crate::analysis::comparison::Best;

use crate::analysis::finding::Finding;
use crate::analysis::section::{Section, overview};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::units;

/// Of each server what an experiment judges it by; of a run without experiments, how fast it is
/// under each load.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    columns: Vec<Column>,
    rows: Vec<MatrixRow>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// What its values are, and under which load; empty where the name says all.
    explained: String,
    /// The section that it leads to.
    section: Option<String>,
}

#[derive(Debug, Serialize)]
struct MatrixRow {
    server: String,
    /// With a remark on its kind.
    name: String,
    cells: Vec<MatrixCell>,
}

#[derive(Debug, Default, Serialize)]
struct MatrixCell {
    value: String,
    /// What part of the highest it is, and the rare wait.
    part: String,
    percent: Option<f64>,
    /// Why no claim rests on it; empty where one may.
    doubt: String,
}

impl Matrix {
    pub(super) fn of(analysis: &Analysis) -> Self {
        match &analysis.sections[..] {
            [] | [_] => Self::of_loads(analysis),
            several => Self::of_experiments(&analysis.summary, several),
        }
    }

    fn of_experiments(summary: &Summary, sections: &[Section]) -> Self {
        let told: Vec<(&Section, &Finding)> = sections
            .iter()
            .filter_map(|section| Some((section, section.finding.as_ref()?)))
            .collect();
        let column = |(section, finding): &(&Section, &Finding)| Column {
            name: section.name.clone(),
            explained: format!("{}. {}", capitalised(&finding.quantity), finding.condition),
            section: Some(section.name.clone()),
        };
        let rows = summary.targets().into_iter().map(|target| MatrixRow {
            server: target.to_owned(),
            name: named(summary, target),
            cells: told.iter().map(|(_, finding)| found(finding, target)).collect(),
        });
        Self { columns: told.iter().map(column).collect(), rows: rows.collect() }
    }

    fn of_loads(analysis: &Analysis) -> Self {
        let summary = &analysis.summary;
        let (columns, cells): (Vec<_>, Vec<_>) = overview(&analysis.sections).into_iter().unzip();
        let column = |name| Column { name, explained: String::new(), section: None };
        let columns = columns.into_iter().map(column).collect();
        let rows = summary.targets().into_iter().map(|target| MatrixRow {
            server: target.to_owned(),
            name: named(summary, target),
            cells: cells.iter().map(|load| cell(summary, *load, target)).collect(),
        });
        Self { columns, rows: rows.collect() }
    }
}

/// With a remark on its kind.
fn named(summary: &Summary, target: &str) -> String {
    let line = summary.lines.iter().find(|line| line.target == target);
    format!("{target}{}", line.map_or("", |line| line.kind.remark()))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A server's value, and how far it is from the best.
fn found(finding: &Finding, target: &str) -> MatrixCell {
    let nothing = || MatrixCell { value: "–".to_owned(), ..MatrixCell::default() };
    let Some(score) = finding.scores.iter().find(|score| score.target == target) else {
        return nothing();
    };
    let doubt = score.doubt.clone();
    let Some(value) = score.value.map(|value| value.median) else {
        return MatrixCell { doubt, ..nothing() };
    };
    let best = finding.ranked(|_| true).first().and_then(|best| best.value);
    let share = best.map(|best| match finding.best {
        Best::Highest => value / best.median,
        // A value of nothing is as good as it gets.
        Best::Lowest if value <= 0.0 => 1.0,
        Best::Lowest => best.median / value,
    });
    let percent = share.filter(|share| share.is_finite()).map(|share| (share * 100.0).round());
    let part = match (finding.best, share) {
        (_, None) => String::new(),
        (Best::Highest, Some(share)) => format!("{:.0} %", share * 100.0),
        (Best::Lowest, Some(share)) if share > 0.0 => format!("× {}", times(1.0 / share)),
        (Best::Lowest, Some(_)) => String::new(),
    };
    // The unit stands in the head of the column.
    let value = (finding.write)(value);
    let value = value.trim_end_matches(" requests/s").trim_end_matches(" connections/s");
    MatrixCell {
        value: value.to_owned(),
        part,
        percent: percent.map(|percent| percent.min(100.0)),
        doubt,
    }
}

/// A factor in few letters.
fn times(factor: f64) -> String {
    if factor >= 9.95 { format!("{factor:.0}") } else { format!("{factor:.1}") }
}

fn cell(summary: &Summary, load: Load, target: &str) -> MatrixCell {
    let rate = |line: &Line| line.requests_per_s.map(|estimate| estimate.median);
    let nothing = || MatrixCell { value: "–".to_owned(), ..MatrixCell::default() };
    let Some(line) = summary.under(load).find(|line| line.target == target) else {
        return nothing();
    };
    let doubt = if line.is_comparable() { String::new() } else { line.exclusion_reason() };
    let Some(value) = rate(line) else { return MatrixCell { doubt, ..nothing() } };
    let highest = summary.under(load).filter_map(rate).fold(f64::MIN_POSITIVE, f64::max);
    let percent = (value / highest * 100.0).round();
    let rare = line.latency_us(99.0).map(|estimate| units::microseconds(estimate.median));
    let rare = rare.map(|rare| format!(" · {rare}")).unwrap_or_default();
    let part = format!("{percent:.0} %{rare}");
    MatrixCell { value: units::count(value), part, percent: Some(percent), doubt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use crate::analysis::verdict::Verdict;
    use bench_data::mock;
    use bench_data::plan::Plan;

    #[test]
    fn the_highest_is_all_of_itself_and_doubts_are_told() {
        let plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&mock::records());
        let analysis = Analysis {
            verdict: Verdict::of(&summary),
            sections: sections(&plan, &summary),
            summary,
            claims: Vec::new(),
            baseline: Vec::new(),
        };
        let matrix = Matrix::of(&analysis);
        assert_eq!(matrix.rows.len(), analysis.summary.targets().len());
        for (index, column) in matrix.columns.iter().enumerate() {
            let cells: Vec<_> = matrix.rows.iter().map(|row| &row.cells[index]).collect();
            let whole = cells.iter().filter(|cell| cell.percent == Some(100.0));
            assert!(whole.count() >= 1, "{column:?}");
        }
        let iterative = matrix.rows.iter().find(|row| row.server == "iterative").unwrap();
        let waiting = iterative.cells.iter().filter(|cell| cell.doubt.contains("it served 1 of"));
        assert!(waiting.count() > 1);
    }
}
