//! Tables of capacities.

use bench_data::load::words::heading;
use bench_data::units;

use super::{Row, Table};
use crate::analysis::capacity::{CapacityEstimate, Search, searches};

/// Columns of a table of capacities.
const COLUMNS: [&str; 4] = ["server", "capacity, requests/s", "95 % interval", "rounds"];

/// A table for each load that was searched, and each objective.
pub(super) fn tables(capacities: &[CapacityEstimate]) -> impl Iterator<Item = Table> {
    searches(capacities).into_iter().map(|search| Table {
        heading: heading_of(&search),
        columns: COLUMNS.to_vec(),
        rows: search.servers.into_iter().map(row).collect(),
        ratios: String::new(),
    })
}

fn heading_of(search: &Search<'_>) -> String {
    let objective = search.objective.in_words();
    format!(
        "Capacity (offered rate at which half of the trials meet {objective}): {}",
        heading(search.load)
    )
}

fn row(capacity: &CapacityEstimate) -> Row {
    let search = &capacity.search;
    let interval = capacity.middle().and_then(|middle| middle.interval).map_or_else(
        || "–".to_owned(),
        |within| format!("{}–{}", units::count(within.low), units::count(within.high)),
    );
    let values = vec![
        format!("{}{}", search.target, search.kind.remark()),
        value(capacity),
        interval,
        search.rounds.len().to_string(),
    ];
    Row { server: search.target.clone(), values, remark: capacity.remark() }
}

/// The capacity, or its bounds where it could not be estimated.
fn value(capacity: &CapacityEstimate) -> String {
    if let Some(middle) = capacity.middle() {
        return units::count(middle.rate);
    }
    match capacity.search.bounds() {
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
