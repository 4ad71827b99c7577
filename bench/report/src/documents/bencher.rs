//! Bencher Metric Format: JSON for `bencher run --adapter json`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::documents::trusted::Trusted;

/// Benchmark names with their measures.
pub type Metrics = BTreeMap<String, BTreeMap<&'static str, Measure>>;

/// Value of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measure {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// Values by benchmark (server and load) and measure (key with unit).
pub fn metrics(trusted: &Trusted) -> Metrics {
    let mut metrics = Metrics::new();
    for point in &trusted.points {
        let measure =
            Measure { value: point.value, lower_value: point.low, upper_value: point.high };
        metrics.entry(point.name()).or_default().insert(point.key, measure);
    }
    metrics
}
