//! Overview: servers by experiments or loads.

use serde::Serialize;

use crate::analysis::Analysis;
use crate::analysis::comparison::capitalised;
use crate::analysis::metric::{Better, Metric};

use crate::analysis::finding::Finding;
use crate::analysis::section::{Section, overview};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::units;

/// The metric of each experiment for each server; of a run without experiments, throughput and tail
/// under each load.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    columns: Vec<Column>,
    rows: Vec<MatrixRow>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// Metric and load; empty if the name is enough.
    explained: String,
    /// Section that it links to.
    section: Option<String>,
}

#[derive(Debug, Serialize)]
struct MatrixRow {
    server: String,
    /// Name with a remark on the kind.
    name: String,
    cells: Vec<MatrixCell>,
}

#[derive(Debug, Serialize)]
struct MatrixCell {
    value: String,
    /// Ratio to the best, and the tail of a load.
    part: String,
    percent: Option<f64>,
    /// Reason why it is not compared; empty if it is.
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
        let shown: Vec<(&Section, &Finding)> = sections
            .iter()
            .filter_map(|section| Some((section, section.finding.as_ref()?)))
            .collect();
        let column = |(section, finding): &(&Section, &Finding)| Column {
            name: section.name.clone(),
            explained: format!(
                "{}. {}",
                capitalised(&finding.metric.axis_label()),
                finding.condition
            ),
            section: Some(section.name.clone()),
        };
        let rows = summary.targets().into_iter().map(|target| MatrixRow {
            server: target.to_owned(),
            name: named(summary, target),
            cells: shown.iter().map(|(_, finding)| found(finding, target)).collect(),
        });
        Self { columns: shown.iter().map(column).collect(), rows: rows.collect() }
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

/// Name with a remark on the kind.
fn named(summary: &Summary, target: &str) -> String {
    let line = summary.lines.iter().find(|line| line.target == target);
    format!("{target}{}", line.map_or("", |line| line.kind.remark()))
}

/// Value of a server, and its distance from the best.
fn found(finding: &Finding, target: &str) -> MatrixCell {
    let Some(score) = finding.scores.iter().find(|score| score.target == target) else {
        return MatrixCell::empty(String::new());
    };
    let doubt = score.doubt.clone();
    let Some(value) = score.value.map(|value| value.median) else {
        return MatrixCell::empty(doubt);
    };
    let best = finding.ranked(|_| true).first().and_then(|best| best.value);
    let better = finding.metric.better();
    let share = best.map(|best| match better {
        Better::Higher => value / best.median,
        // No value is lower than 0.
        Better::Lower if value <= 0.0 => 1.0,
        Better::Lower => best.median / value,
    });
    let percent = share.filter(|share| share.is_finite()).map(|share| (share * 100.0).round());
    let part = match (better, share) {
        (Better::Higher, Some(share)) => format!("{:.0} %", share * 100.0),
        (Better::Lower, Some(share)) if share > 0.0 => format!("{}×", factor(1.0 / share)),
        (Better::Higher | Better::Lower, _) => String::new(),
    };
    let percent = percent.map(|percent| percent.min(100.0));
    MatrixCell { value: finding.metric.unit().write(value), part, percent, doubt }
}

/// A factor in few letters.
fn factor(factor: f64) -> String {
    if factor >= 9.95 { format!("{factor:.0}") } else { format!("{factor:.1}") }
}

/// Throughput and tail of a server under a load.
fn cell(summary: &Summary, load: Load, target: &str) -> MatrixCell {
    let Some(line) = summary.line(load, target) else { return MatrixCell::empty(String::new()) };
    let doubt = line.exclusion_reason();
    let rate = |line: &Line| line.median(Metric::Throughput);
    let Some(value) = rate(line) else { return MatrixCell::empty(doubt) };
    let best = |compared: bool| {
        let lines = summary.under(load).filter(|line| !compared || line.is_comparable());
        lines.filter_map(rate).max_by(f64::total_cmp)
    };
    let highest = best(true).or_else(|| best(false)).unwrap_or(value).max(f64::MIN_POSITIVE);
    let percent = (value / highest * 100.0).round();
    let tail = line.median(Metric::P99).map(|tail| format!(" · {}", Metric::P99.write(tail)));
    let part = format!("{percent:.0} %{}", tail.unwrap_or_default());
    MatrixCell { value: units::count(value), part, percent: Some(percent.min(100.0)), doubt }
}

impl MatrixCell {
    fn empty(doubt: String) -> Self {
        Self { value: "–".to_owned(), part: String::new(), percent: None, doubt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use crate::analysis::sentence::answer::Place;
    use bench_data::mock;
    use bench_data::plan::Plan;
    use bench_data::record::outcome::Outcome;

    #[test]
    fn shares_refer_to_a_server_that_is_compared() {
        let mut records = mock::records();
        let rows = records.trials.iter_mut().filter(|row| row.target == "selector");
        rows.for_each(|row| row.outcome = Outcome::GeneratorBound);
        let summary = Summary::of(&records);
        let load = *summary.loads().iter().find(|load| load.connections == 64).unwrap();
        let lines = summary.under(load).filter(|line| line.is_comparable());
        let best = lines.max_by(|a, b| a.throughput().total_cmp(&b.throughput())).unwrap();
        assert_eq!(cell(&summary, load, &best.target).percent, Some(100.0));
        let excluded = cell(&summary, load, "selector");
        assert!(!excluded.doubt.is_empty() && excluded.part.starts_with("153 %"), "{excluded:?}");
    }

    #[test]
    fn the_highest_is_100_percent_and_exclusions_are_marked() {
        let plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&mock::records());
        let analysis = Analysis {
            sections: sections(&plan, &summary),
            summary,
            answer: String::new(),
            forest: None,
            advice: Vec::new(),
            validity: String::new(),
            place: Place { server_cores: 1, machine_cores: 2 },
            notes: Vec::new(),
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
        let waiting = iterative.cells.iter().filter(|cell| !cell.doubt.is_empty());
        assert!(waiting.count() > 1);
    }
}
