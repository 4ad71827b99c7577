//! Values of a server under a load, by keys that contain their units.

use std::collections::BTreeMap;

use bench_data::record::rows::{Distribution, Records, Support};
use serde::Serialize;

use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::{Floor, Line};

/// Metric of the documents.
#[derive(Debug)]
pub(super) struct Quantity {
    /// Key, with the unit as in the CSV files.
    pub(super) key: &'static str,
    pub(super) metric: Metric,
    /// Unit in words.
    pub(super) unit: &'static str,
}

const fn quantity(key: &'static str, metric: Metric, unit: &'static str) -> Quantity {
    Quantity { key, metric, unit }
}

/// Metrics of the documents.
pub(super) const QUANTITIES: [Quantity; 13] = [
    quantity("requests_per_s", Metric::Throughput, "requests/s"),
    quantity("body_mb_per_s", Metric::TransferRate, "MB/s"),
    quantity("response_mean_us", Metric::MeanResponse, "µs"),
    quantity("p50_us", Metric::Response(Percentile::P50), "µs"),
    quantity("p90_us", Metric::Response(Percentile::P90), "µs"),
    quantity("p99_us", Metric::P99, "µs"),
    quantity("p999_us", Metric::Response(Percentile::P99_9), "µs"),
    quantity("server_cpu_us_per_request", Metric::CpuPerRequest, "µs"),
    quantity("generator_cpu_us_per_request", Metric::GeneratorCpuPerRequest, "µs"),
    quantity("switches_per_request", Metric::SwitchesPerRequest, "context switches"),
    quantity("server_memory_bytes", Metric::Memory, "bytes"),
    quantity("kernel_memory_bytes", Metric::KernelMemory, "bytes"),
    quantity("server_threads", Metric::Threads, "threads"),
];

/// Rate at which half of the trials meet an objective.
pub(super) const CAPACITY: Quantity = quantity("capacity_per_s", Metric::Capacity, "requests/s");

/// Key of a metric; empty for metrics that no document contains.
pub(super) fn key(metric: Metric) -> &'static str {
    let of = QUANTITIES.iter().chain([&CAPACITY]).find(|one| one.metric == metric);
    of.map_or("", |one| one.key)
}

/// Reason why a value is missing or supports no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No trial measured it.
    NotMeasured,
    /// The load generator was the limit: the value is a lower bound.
    GeneratorBound,
    /// Requests without a reply have waited for less: the percentile is a lower bound.
    AtLeast,
    /// Too few replies for the percentile.
    Few,
    /// The percentile is below three times the machine's wake-up delay and supports no claim.
    WakeUpDelay,
}

/// Median over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Value {
    /// Median; `None` if it was not measured or is only a lower bound.
    pub median: Option<f64>,
    /// Smallest value of a round; `None` of a single round.
    pub min: Option<f64>,
    /// Largest value of a round.
    pub max: Option<f64>,
    /// Number of rounds with a value.
    pub rounds: usize,
    /// Lower bound, where the load generator was the limit.
    pub at_least: Option<f64>,
    /// Reason why the median is missing or supports no claim.
    pub reason: Option<Reason>,
}

/// Percentiles of trials that are lower bounds.
pub(super) struct LowerBounds(BTreeMap<Percentile, Vec<u32>>);

impl LowerBounds {
    pub(super) fn of(records: &Records) -> Self {
        let is_bound = |support| support == Some(Support::AtLeast);
        let mut bounds = BTreeMap::<_, Vec<_>>::new();
        for row in &records.latencies {
            if row.distribution == Distribution::Response && is_bound(row.support) {
                bounds.entry(Percentile::new(row.percentile)).or_default().push(row.trial);
            }
        }
        Self(bounds)
    }

    fn has(&self, percentile: Percentile, line: &Line, records: &Records) -> bool {
        let trials = self.0.get(&percentile).map_or(&[][..], Vec::as_slice);
        let is_its = |trial: u32| {
            let mut rows = records.trials.iter();
            rows.any(|row| {
                row.trial == trial && row.target == line.target && row.load() == line.load
            })
        };
        trials.iter().any(|trial| is_its(*trial))
    }
}

impl Value {
    pub(super) fn of(
        line: &Line,
        metric: Metric,
        floor: Option<Floor>,
        (bounds, records): (&LowerBounds, &Records),
    ) -> Self {
        let rounds = line.rounds(metric).len();
        let nothing = |reason| Self {
            median: None,
            min: None,
            max: None,
            rounds,
            at_least: None,
            reason: Some(reason),
        };
        let Some(spread) = line.spread(metric) else {
            let is_measured = !line.rounds(Metric::Throughput).is_empty();
            return nothing(match metric.percentile().filter(|_| is_measured) {
                None => Reason::NotMeasured,
                Some(percentile) if bounds.has(percentile, line, records) => Reason::AtLeast,
                Some(_) => Reason::Few,
            });
        };
        let is_rate = matches!(metric, Metric::Throughput | Metric::TransferRate);
        if is_rate && line.is_censored() {
            let at_least = Some(spread.median);
            return Self { at_least, ..nothing(Reason::GeneratorBound) };
        }
        Self {
            median: Some(spread.median),
            min: spread.range.map(|range| range.low),
            max: spread.range.map(|range| range.high),
            rounds,
            at_least: None,
            reason: is_below(floor, metric, spread.median).then_some(Reason::WakeUpDelay),
        }
    }
}

/// Returns true for a percentile that supports no claim because of the machine's wake-up delay.
pub(super) fn is_below(floor: Option<Floor>, metric: Metric, value: f64) -> bool {
    let least_us = floor.and_then(|floor| floor.least_us(metric));
    least_us.is_some_and(|least_us| value < least_us)
}
