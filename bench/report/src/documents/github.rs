//! JSON for github-action-benchmark, tools `customBiggerIsBetter` and `customSmallerIsBetter`.

use serde::Serialize;

use crate::analysis::metric::Better;
use crate::documents::trusted::{Point, Trusted};

/// Value of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// Values of metrics that improve in one direction: the action judges all values of a file by one.
pub fn entries(trusted: &Trusted, better: Better, machine: &str) -> Vec<Entry> {
    let entry = |point: &Point| Entry {
        name: format!("{}/{}", point.name(), point.key),
        unit: point.unit,
        value: point.value,
        range: point.low.zip(point.high).map(|(low, high)| format!("{low} to {high}")),
        extra: format!("rounds: {}\nmachine: {machine}", point.rounds),
    };
    trusted.points.iter().filter(|point| point.metric.better() == better).map(entry).collect()
}
