//! Servers by loads, at a glance.

use serde::Serialize;

use crate::comparison::{may_be_compared, why_not};
use crate::publish::Published;
use crate::section::overview;
use crate::summary::{Line, Summary};
use crate::sweep::Cell;
use crate::units;

/// Of each server under each load that stands for an experiment, how fast it is.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    columns: Vec<String>,
    rows: Vec<MatrixRow>,
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
    pub(super) fn of(published: &Published) -> Self {
        let summary = &published.summary;
        let (columns, cells): (Vec<_>, Vec<_>) = overview(&published.sections).into_iter().unzip();
        let rows = summary.targets().into_iter().map(|target| {
            let kind =
                summary.lines.iter().find(|line| line.target == target).map(|line| line.kind);
            MatrixRow {
                server: target.to_owned(),
                name: format!("{target}{}", kind.map_or("", |kind| kind.remark())),
                cells: cells.iter().map(|load| cell(summary, *load, target)).collect(),
            }
        });
        Self { columns, rows: rows.collect() }
    }
}

fn cell(summary: &Summary, load: Cell, target: &str) -> MatrixCell {
    let rate = |line: &Line| line.requests_per_s.map(|estimate| estimate.median);
    let nothing = || MatrixCell { value: "–".to_owned(), ..MatrixCell::default() };
    let Some(line) = summary.under(load).find(|line| line.target == target) else {
        return nothing();
    };
    let doubt = if may_be_compared(line) { String::new() } else { why_not(line) };
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
    use crate::mock;
    use crate::plan::Plan;
    use crate::section::sections;
    use crate::verdict::Verdict;

    #[test]
    fn the_highest_is_all_of_itself_and_doubts_are_told() {
        let plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&mock::records());
        let published = Published {
            verdict: Verdict::of(&summary),
            sections: sections(&plan, &summary),
            summary,
            baseline: Vec::new(),
        };
        let matrix = Matrix::of(&published);
        assert_eq!(matrix.rows.len(), published.summary.targets().len());
        for (index, column) in matrix.columns.iter().enumerate() {
            let cells: Vec<_> = matrix.rows.iter().map(|row| &row.cells[index]).collect();
            let whole = cells.iter().filter(|cell| cell.percent == Some(100.0));
            assert!(whole.count() >= 1, "{column}");
        }
        let iterative = matrix.rows.iter().find(|row| row.server == "iterative").unwrap();
        let waiting = iterative.cells.iter().filter(|cell| cell.doubt.contains("it served 1 of"));
        assert!(waiting.count() > 1);
    }
}
