//! Values that can be trusted, for services that store one number per benchmark.

use bench_data::load::Load;
use bench_data::load::objective::Objective;

use crate::analysis::Analysis;
use crate::analysis::metric::Metric;
use crate::documents::values::{CAPACITY, QUANTITIES, Quantity, is_below};

/// Values of a run that can be trusted, and the others.
#[derive(Debug)]
pub struct Trusted {
    /// The values, in the order in which servers and loads first ran.
    pub points: Vec<Point>,
    /// Servers under loads without values.
    pub left_out: Vec<LeftOut>,
}

/// Value of one server under one load.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name of the server.
    pub server: String,
    /// The load; for a capacity, without its rate.
    pub load: Load,
    /// Objective of a capacity; `None` of other metrics.
    pub objective: Option<Objective>,
    /// Key, with the unit.
    pub key: &'static str,
    /// Metric.
    pub metric: Metric,
    /// Unit in words.
    pub unit: &'static str,
    /// Median over the rounds, or the estimate of a capacity.
    pub value: f64,
    /// Smallest value of a round, or the lower end of a capacity's interval.
    pub low: Option<f64>,
    /// Largest value of a round, or the upper end of a capacity's interval.
    pub high: Option<f64>,
    /// Number of rounds with a value.
    pub rounds: usize,
}

/// Server under a load that is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// Name of the server.
    pub server: String,
    /// The load.
    pub load: Load,
    /// Objective of a capacity search; `None` of other trials.
    pub objective: Option<Objective>,
    /// Reason, in words.
    pub reason: String,
}

/// Returns true if an A/A control differs from its server under a load.
pub(super) fn is_void(analysis: &Analysis, load: Load) -> bool {
    analysis.summary.void.contains(&load)
}

impl Trusted {
    /// Values of the comparable servers under loads that no A/A control voids, and the estimated
    /// capacities.
    pub fn of(analysis: &Analysis) -> Self {
        let mut all = Self { points: Vec::new(), left_out: Vec::new() };
        let summary = &analysis.summary;
        for line in &summary.lines {
            let reason = if is_void(analysis, line.load) {
                "the A/A control differs from its server".to_owned()
            } else {
                line.exclusion_reason()
            };
            if !reason.is_empty() {
                let (server, load) = (line.target.clone(), line.load);
                all.left_out.push(LeftOut { server, load, objective: None, reason });
                continue;
            }
            for quantity in &QUANTITIES {
                let Some(spread) = line.spread(quantity.metric) else { continue };
                if !is_below(summary.floor, quantity.metric, spread.median) {
                    let range = spread.range.map(|range| (range.low, range.high));
                    let rounds = line.rounds(quantity.metric).len();
                    let of = (line.target.as_str(), line.load);
                    all.points.push(Point::of(of, quantity, spread.median, range, rounds));
                }
            }
        }
        for one in summary.capacities.iter().filter(|one| one.search.control_of.is_none()) {
            let (server, load) = (one.search.target.as_str(), one.search.load);
            let objective = Some(one.search.objective);
            let Some(middle) = one.middle() else {
                let server = server.to_owned();
                all.left_out.push(LeftOut { server, load, objective, reason: one.doubt() });
                continue;
            };
            let interval = middle.interval.map(|within| (within.low, within.high));
            let rounds = middle.rounds.len();
            let point = Point::of((server, load), &CAPACITY, middle.rate, interval, rounds);
            all.points.push(Point { objective, ..point });
        }
        all
    }
}

impl Point {
    fn of(
        (server, load): (&str, Load),
        quantity: &Quantity,
        value: f64,
        range: Option<(f64, f64)>,
        rounds: usize,
    ) -> Self {
        Self {
            server: server.to_owned(),
            load,
            objective: None,
            key: quantity.key,
            metric: quantity.metric,
            unit: quantity.unit,
            value,
            low: range.map(|(low, _)| low),
            high: range.map(|(_, high)| high),
            rounds,
        }
    }

    /// Server and load, and the objective of a capacity: `selector/download-1KiB-64-connections`.
    pub fn name(&self) -> String {
        let Load { direction, size, connections, profile } = self.load;
        let objective = self.objective.map(|one| format!("/{one}")).unwrap_or_default();
        format!(
            "{}/{direction}-{size}-{connections}-connections{}{objective}",
            self.server,
            profile.slug()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;

    use super::*;

    fn trusted(plan: &str, executor: MockExecutor) -> Trusted {
        Trusted::of(&Analysis::of(&contents_of(&Plan::built_in(plan).unwrap(), executor)))
    }

    #[test]
    fn servers_that_are_not_comparable_are_left_out_with_the_reason() {
        let all = trusted("default", MockExecutor::default());
        let has = |server: &str, connections| {
            let under = |one: &&Point| one.server == server && one.load.connections == connections;
            all.points.iter().find(under).is_some()
        };
        assert!(has("selector", 64) && has("iterative", 1) && !has("iterative", 64));
        let starved = all.left_out.iter().find(|one| one.load.connections == 64).unwrap();
        assert_eq!(
            (&*starved.server, &*starved.reason),
            ("iterative", "served 1 of 64 connections")
        );
        let names: BTreeSet<_> = all.points.iter().map(|one| (one.name(), one.key)).collect();
        assert_eq!(names.len(), all.points.len(), "each name has one value of each kind");
        let limited =
            trusted("quick", MockExecutor { generator_share: 0.97, ..Default::default() });
        assert_eq!(limited.points, []);
        assert!(!limited.left_out.is_empty());
    }

    #[test]
    fn nothing_under_a_void_load_is_exported() {
        let speed = [("selector-again".to_owned(), 30_000.0)].into();
        let all = trusted("default", MockExecutor { speed, ..MockExecutor::default() });
        let void: Vec<_> = all.left_out.iter().filter(|one| one.reason.contains("A/A")).collect();
        assert!(!void.is_empty(), "{:?}", all.left_out);
        assert!(all.points.iter().all(|point| point.load != void[0].load));
    }

    #[test]
    fn capacities_are_exported_with_their_interval() {
        let all = trusted("load", MockExecutor::default());
        let of = |one: &&Point| one.metric == Metric::Capacity && one.server == "selector";
        let point = all.points.iter().find(of).unwrap();
        assert_eq!(point.key, "capacity_per_s");
        assert!(point.low.unwrap() < point.value && point.value < point.high.unwrap());
        let of = |one: &&Point| one.metric == Metric::Capacity && one.server == "iterative";
        assert!(all.points.iter().find(of).is_none());
    }
}
