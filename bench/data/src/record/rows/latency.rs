//! Rows of `latency.csv`: percentiles of a trial's distributions.

use loadgen::{LoadReport, TimeKind};
use serde::{Deserialize, Serialize};

use super::microseconds;

/// Row of `latency.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct LatencyRow {
    pub trial: u32,
    pub distribution: Distribution,
    pub percentile: f64,
    pub latency_us: f64,
    #[serde(default)]
    pub support: Option<Support>,
}

/// Support of a percentile by its measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Enough samples lie beyond it, and every request without a reply has waited longer.
    Identified,
    /// Lower bound: requests without a reply have waited for less.
    AtLeast,
    /// Too few samples lie beyond it, or in too few seconds of the window.
    Few,
}

impl From<loadgen::Support> for Support {
    fn from(support: loadgen::Support) -> Self {
        match support {
            loadgen::Support::Identified => Self::Identified,
            loadgen::Support::AtLeast => Self::AtLeast,
            loadgen::Support::TooFew => Self::Few,
        }
    }
}

/// Kind of times in a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Response time: from the arrival of a request to the end of its reply.
    Response,
    /// Service time: from the sending of a request to the end of its reply; in closed loops over kept
    /// connections equal to the response time.
    Service,
    /// Send delay: from the arrival of a request to its sending, while no connection was free.
    SendDelay,
    /// Time to establish a connection.
    Connect,
    /// Response time of heavy requests, which the other distributions exclude.
    Heavy,
}

impl From<Distribution> for TimeKind {
    fn from(distribution: Distribution) -> Self {
        match distribution {
            Distribution::Response => Self::Response,
            Distribution::Service => Self::Service,
            Distribution::SendDelay => Self::SendDelay,
            Distribution::Connect => Self::Connect,
            Distribution::Heavy => Self::Heavy,
        }
    }
}

/// Recorded percentiles. Those with less than one sample beyond them are omitted, except 100, the
/// maximum.
pub const PERCENTILES: [f64; 18] = [
    1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.95,
    99.99, 100.0,
];

pub(super) fn percentiles(
    trial: u32,
    distribution: Distribution,
    load: &LoadReport,
) -> impl Iterator<Item = LatencyRow> {
    let samples = load.times(distribution.into()).len();
    let beyond = move |percentile: f64| samples as f64 * (1.0 - percentile / 100.0);
    let known = move |percentile: &f64| *percentile >= 100.0 || beyond(*percentile) >= 1.0;
    PERCENTILES.into_iter().filter(known).filter_map(move |percentile| {
        let found = load.percentile(distribution.into(), percentile)?;
        let (latency_us, support) = (microseconds(found.ns), Some(found.support.into()));
        Some(LatencyRow { trial, distribution, percentile, latency_us, support })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn percentiles_that_too_few_samples_know_are_left_out() {
        let trials = crate::schedule::schedule(&Plan::built_in("default").unwrap());
        let mut load = crate::mock::MockExecutor::default().measure(&trials[0]).load.unwrap();
        load.response_ns.clear();
        assert_eq!(percentiles(1, Distribution::Response, &load).count(), 0);
        for ns in 1..=150 {
            load.response_ns.record(ns * 1000).unwrap();
        }
        load.slowest_ns = vec![150_000; 2];
        load.shortest_wait_ns.response_ns = 149_000;
        let rows: Vec<_> = percentiles(1, Distribution::Response, &load).collect();
        let known: Vec<_> = rows.iter().map(|row| row.percentile).collect();
        assert!(known.contains(&99.0) && !known.contains(&99.9) && known.contains(&100.0));
        let support = |percentile: f64| {
            rows.iter().find(|row| row.percentile == percentile).unwrap().support.unwrap()
        };
        assert_eq!((support(50.0), support(95.0)), (Support::Identified, Support::Few));
        assert_eq!((support(99.0), support(100.0)), (Support::AtLeast, Support::AtLeast));
    }
}
