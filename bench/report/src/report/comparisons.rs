//! The main comparisons of a run as a table for other programs.

use serde::Serialize;

use crate::analysis::comparison::Comparison;
use crate::analysis::section::Section;
use crate::analysis::sentence;

/// Columns of the table.
pub(crate) const COLUMNS: [&str; 15] = [
    "experiment",
    "direction",
    "size_bytes",
    "connections",
    "profile",
    "metric",
    "server",
    "reference",
    "rounds",
    "ratio",
    "low",
    "high",
    "p_adjusted",
    "verdict",
    "is_primary",
];

/// Comparison of two servers.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ComparisonRow {
    experiment: String,
    direction: &'static str,
    size_bytes: u64,
    connections: usize,
    /// Further properties of the load; empty for a closed loop over kept connections.
    profile: String,
    metric: String,
    server: String,
    reference: String,
    rounds: usize,
    /// Value of the server divided by that of the reference, and its interval.
    ratio: f64,
    low: Option<f64>,
    high: Option<f64>,
    p_adjusted: Option<f64>,
    verdict: &'static str,
    /// True if the plan declares the comparison as the main one of the experiment.
    is_primary: bool,
}

/// All pairs in the main comparison of each experiment.
pub(crate) fn rows(sections: &[Section]) -> Vec<ComparisonRow> {
    let of = |section: &Section| -> Vec<ComparisonRow> {
        let Some(finding) = &section.finding else { return Vec::new() };
        let load = finding.load;
        let row = |server: &str, reference: &str, one: &Comparison| {
            let interval = one.ratio.interval();
            ComparisonRow {
                experiment: section.name.clone(),
                direction: load.direction.name(),
                size_bytes: load.size.bytes(),
                connections: load.connections,
                profile: load.profile.slug().trim_start_matches('-').to_owned(),
                metric: finding.metric.name(),
                server: server.to_owned(),
                reference: reference.to_owned(),
                rounds: one.ratio.rounds,
                ratio: one.ratio.ratio,
                low: interval.map(|within| within.low),
                high: interval.map(|within| within.high),
                p_adjusted: one.adjusted_p,
                verdict: if finding.is_void { "void" } else { sentence::verdict(one.verdict) },
                is_primary: section.part.main.is_some(),
            }
        };
        let pairs = finding.pairs();
        pairs.iter().map(|(server, reference, one)| row(server, reference, one)).collect()
    };
    sections.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use crate::analysis::summary::Summary;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::{Plan, Primary};

    #[test]
    fn each_pair_of_the_declared_load_has_a_row() {
        let plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let rows = rows(&sections(&plan, &summary));
        assert_eq!(rows.len(), 3, "iterative is not compared: {rows:?}");
        let is_main = |row: &ComparisonRow| row.is_primary && row.connections == 64;
        assert!(rows.iter().all(is_main), "{rows:?}");
        let of = |row: &&ComparisonRow| row.server == "threaded" && row.reference == "selector";
        let row = rows.iter().find(of).unwrap();
        assert_eq!((row.verdict, row.rounds), ("different", plan.rounds as usize));
        assert!(row.low.unwrap() < row.ratio && row.ratio < row.high.unwrap());
        assert!(row.high.unwrap() < 1.0 && row.p_adjusted.unwrap() < 0.05);
    }

    #[test]
    fn a_load_that_takes_the_place_of_the_declared_one_is_not_primary() {
        let mut plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        plan.primary = plan.primary.map(|one| Primary { connections: 7, ..one });
        let rows = rows(&sections(&plan, &summary));
        assert!(!rows.is_empty() && rows.iter().all(|row| !row.is_primary), "{rows:?}");
    }

    #[test]
    fn the_columns_are_those_of_the_rows() {
        let plan = Plan::built_in("default").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(&rows(&sections(&plan, &summary))[0]).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), COLUMNS.join(","));
    }
}
