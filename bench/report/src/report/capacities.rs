//! The capacities of a run as a table for other programs.

use serde::Serialize;

use crate::analysis::capacity::CapacityEstimate;

/// Columns of the table.
pub(crate) const COLUMNS: [&str; 11] = [
    "direction",
    "size_bytes",
    "connections",
    "profile",
    "objective",
    "server",
    "rounds",
    "capacity_per_s",
    "low",
    "high",
    "at_least_per_s",
];

/// Capacity of a server under a load.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct CapacityRow {
    direction: &'static str,
    size_bytes: u64,
    connections: usize,
    /// Further properties of the load; empty for kept connections.
    profile: String,
    objective: String,
    server: String,
    /// Number of rounds with a value.
    rounds: usize,
    capacity_per_s: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    /// Lower bound, where the capacity could not be estimated.
    at_least_per_s: Option<f64>,
}

/// All capacities, A/A controls included.
pub(crate) fn rows(capacities: &[CapacityEstimate]) -> Vec<CapacityRow> {
    let row = |one: &CapacityEstimate| {
        let load = one.search.load;
        let interval = one.middle().and_then(|middle| middle.interval);
        CapacityRow {
            direction: load.direction.name(),
            size_bytes: load.size.bytes(),
            connections: load.connections,
            profile: load.profile.slug().trim_start_matches('-').to_owned(),
            objective: one.search.objective.to_string(),
            server: one.search.target.clone(),
            rounds: one.middle().map_or(0, |middle| middle.rounds.len()),
            capacity_per_s: one.middle().map(|middle| middle.rate),
            low: interval.map(|within| within.low),
            high: interval.map(|within| within.high),
            at_least_per_s: one.least(),
        }
    };
    capacities.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    use super::*;

    #[test]
    fn each_server_of_a_search_has_a_row_with_an_estimate_or_a_bound() {
        let plan = Plan::built_in("load").unwrap();
        let rows_of = |generator_share: f64| {
            let executor = MockExecutor { generator_share, ..MockExecutor::default() };
            rows(&CapacityEstimate::all(&records_of(&plan, executor)))
        };
        let measured = rows_of(0.0);
        assert_eq!(measured.len(), plan.targets().len());
        let of = |rows: &[CapacityRow], name: &str| {
            rows.iter().position(|row| row.server == name).unwrap()
        };
        let row = &measured[of(&measured, "selector")];
        let (low, high) = (row.low.unwrap(), row.high.unwrap());
        assert!(low < row.capacity_per_s.unwrap() && row.capacity_per_s.unwrap() < high, "{row:?}");
        assert_eq!((row.rounds, row.at_least_per_s), (6, None));
        let starved = &measured[of(&measured, "iterative")];
        assert_eq!((starved.capacity_per_s, starved.at_least_per_s), (None, None));

        let limited = rows_of(0.97);
        let row = &limited[of(&limited, "selector")];
        assert!(row.capacity_per_s.is_none() && row.at_least_per_s.unwrap() > 50_000.0, "{row:?}");

        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(&measured[0]).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), COLUMNS.join(","));
    }
}
