//! Rows of `timeseries.csv`: the seconds of a trial's window.

use loadgen::LoadReport;
use serde::{Deserialize, Serialize};

use super::microseconds;

/// Row of `timeseries.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct SecondRow {
    pub trial: u32,
    pub second: u64,
    pub requests: u64,
    pub body_bytes: u64,
    pub errors: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub max_us: Option<f64>,
}

pub(super) fn seconds(trial: u32, load: &LoadReport) -> impl Iterator<Item = SecondRow> {
    load.seconds.iter().map(move |second| {
        // A second may have only heavy replies.
        let of_answers = |ns| (second.max_ns > 0).then(|| microseconds(ns));
        SecondRow {
            trial,
            second: second.second,
            requests: second.requests,
            body_bytes: second.body_bytes,
            errors: second.errors,
            p50_us: of_answers(second.p50_ns),
            p99_us: of_answers(second.p99_ns),
            max_us: of_answers(second.max_ns),
        }
    })
}
