//! What charts show of a server under a load.

use serde::Serialize;

use crate::stats::Estimate;
use crate::summary::Line;

/// A value that a chart has on its vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// Requests per second.
    Rate,
    /// Body bytes, in millions per second.
    Transfer,
    /// Response time at a percentile.
    Latency(f64),
    /// Median response time of heavy requests.
    Heavy,
    /// What the server holds.
    Memory,
    /// Threads of the server.
    Threads,
}

/// How values of a measure are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Count,
    MegabytesPerS,
    Microseconds,
    Bytes,
}

impl Measure {
    /// The median over the rounds; a value of nothing has no place on most axes.
    pub(super) fn of(self, line: &Line) -> Option<Estimate> {
        let positive = |estimate: Option<Estimate>| estimate.filter(|value| value.median > 0.0);
        match self {
            Self::Rate => line.requests_per_s,
            Self::Transfer => positive(line.mb_per_s),
            Self::Latency(percentile) => line.latency_us(percentile),
            Self::Heavy => line.heavy_us,
            Self::Memory => positive(line.memory_bytes),
            Self::Threads => line.threads,
        }
    }

    /// The values of the rounds.
    pub(super) fn rounds(self, line: &Line) -> Vec<f64> {
        let rounds = match self {
            Self::Rate => &line.rounds,
            Self::Transfer => &line.mb_rounds,
            Self::Latency(percentile) => line.latency_rounds(percentile),
            Self::Heavy => &line.heavy_rounds,
            Self::Memory => &line.memory_rounds,
            Self::Threads => &line.thread_rounds,
        };
        rounds.iter().map(|(_, value)| *value).collect()
    }

    /// How its values are written.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Rate | Self::Threads => Unit::Count,
            Self::Transfer => Unit::MegabytesPerS,
            Self::Latency(_) | Self::Heavy => Unit::Microseconds,
            Self::Memory => Unit::Bytes,
        }
    }
}
