//! Tables of capacities.

use bench_data::load::words::heading;
use bench_data::record::capacity::Capacity;
use bench_data::servers::target::TargetKind;
use bench_data::units;

use super::{Row, Table};

/// Columns of a table of capacities.
const COLUMNS: [&str; 4] = ["server", "capacity, requests/s", "range", "rounds"];

/// A table for each load that was searched, and each objective.
pub(super) fn tables(capacities: &[Capacity]) -> impl Iterator<Item = Table> {
    let mut searches: Vec<Vec<&Capacity>> = Vec::new();
    for one in capacities.iter().filter(|one| one.kind != TargetKind::AaControl) {
        let is_its = |search: &&mut Vec<&Capacity>| {
            search[0].load == one.load && search[0].objective == one.objective
        };
        match searches.iter_mut().find(is_its) {
            Some(search) => search.push(one),
            None => searches.push(vec![one]),
        }
    }
    searches.into_iter().map(|search| Table {
        heading: format!(
            "Capacity (highest offered rate with {}): {}",
            search[0].objective.in_words(),
            heading(search[0].load)
        ),
        columns: COLUMNS.to_vec(),
        rows: search.into_iter().map(row).collect(),
        ratios: String::new(),
    })
}

fn row(capacity: &Capacity) -> Row {
    let range = capacity.estimate().and_then(|estimate| estimate.range);
    let is_exact = capacity.estimate().is_some() && !capacity.is_at_least();
    let range = range.filter(|_| is_exact).map_or_else(
        || "–".to_owned(),
        |range| format!("{}–{}", units::count(range.low), units::count(range.high)),
    );
    let remark = match capacity.estimate() {
        None => capacity.absence(),
        Some(_) if !is_exact => capacity.reason().to_owned(),
        Some(_) => String::new(),
    };
    let values = vec![
        format!("{}{}", capacity.target, capacity.kind.remark()),
        value(capacity),
        range,
        capacity.rounds.len().to_string(),
    ];
    Row { server: capacity.target.clone(), values, remark }
}

/// The capacity, or its bounds where the search did not find it.
fn value(capacity: &Capacity) -> String {
    if let Some(estimate) = capacity.estimate().filter(|_| !capacity.is_at_least()) {
        return units::count(estimate.median);
    }
    match capacity.bounds() {
        (Some(low), Some(high)) => {
            format!("between {} and {}", units::count(low), units::count(high))
        }
        (Some(low), None) => format!("≥ {}", units::count(low)),
        (None, Some(high)) => format!("< {}", units::count(high)),
        (None, None) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    use super::super::{markdown, tables};
    use crate::analysis::summary::Summary;

    /// A search of four rounds for two servers, of which the trials from a number on are disturbed.
    fn table(disturbed_from: u32) -> String {
        let plan = r#"
            name = "search"
            question = "How much?"
            strategies = ["threaded", "selector"]
            rounds = 4
            order = "mirrored"
            wire = "http"
            warm_up_ms = 10
            window_ms = 2000
            [[sweep]]
            direction = "download"
            connections = [64]
            sizes = ["1KiB"]
            capacity = { p99_ms = 5 }
        "#;
        let capacity = [("threaded", 40_000.0), ("selector", 90_000.0), ("selector-again", 9e4)];
        let capacity = capacity.map(|(name, rate)| (name.to_owned(), rate)).into();
        let disturbed_in = (disturbed_from..500).collect();
        let executor = MockExecutor { capacity, disturbed_in, ..MockExecutor::default() };
        let records = records_of(&Plan::parse(plan, "search").unwrap(), executor);
        let text = markdown(&tables(&Summary::of(&records), &[]));
        text.split_once("\n\n").unwrap().1.to_owned()
    }

    #[test]
    fn a_capacity_or_its_bounds_are_in_the_table() {
        let tables = [500, 14, 8, 1].map(table);
        insta::assert_snapshot!(tables.join("\n"));
    }
}
