//! What charts show of a server under a load.

use serde::Serialize;

use crate::analysis::summary::{Line, values};
use bench_data::stats::Estimate;

/// A value that a chart has on its vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// Requests per second.
    Rate,
    /// Answers per second, whenever their requests were due.
    Answered,
    /// Body bytes, in millions per second.
    Transfer,
    /// Response time at a percentile.
    Latency(f64),
    /// Time from sending at a percentile.
    Service(f64),
    /// The server's processor time per request, in microseconds.
    Cpu,
    /// The server's context switches per request.
    Switches,
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
            Self::Answered => Estimate::of(&values(&line.answered_rounds)),
            Self::Service(percentile) => line.service_us(percentile),
            Self::Cpu => line.cpu_us_per_request,
            Self::Switches => positive(line.switches_per_request),
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
            Self::Answered => &line.answered_rounds,
            Self::Service(percentile) => line.service_rounds(percentile),
            Self::Cpu => &line.cpu_rounds,
            Self::Switches => &line.switch_rounds,
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
            Self::Rate | Self::Answered | Self::Threads | Self::Switches => Unit::Count,
            Self::Transfer => Unit::MegabytesPerS,
            Self::Latency(_) | Self::Service(_) | Self::Heavy | Self::Cpu => Unit::Microseconds,
            Self::Memory => Unit::Bytes,
        }
    }
}
