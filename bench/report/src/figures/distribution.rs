//! Distribution of response times under one load.

use std::cmp::Reverse;

use bench_data::load::{Direction, Load};

use super::drawing::Drawing;
use super::slice;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::summary::Summary;

/// Explanation of an axis of percentiles.
pub(super) const READING: &str = "x axis: percentile; 90, 99 and 99.9 % are equally far apart.";

pub(super) fn of_latency(summary: &Summary, direction: Direction) -> Option<Drawing> {
    let wanted = |load: &Load| load.direction == direction;
    let load = slice::title_load(summary, wanted, |load| (load.connections, Reverse(load.size)))?;
    let panels = slice::spectra(summary, load, &[("response time", Metric::Response)])?;
    let of_load = summary.part(|other| *other == load);
    Some(Drawing {
        file: format!("latency-distribution-{direction}{}.svg", load.profile.slug()),
        name: "Distribution of response times".to_owned(),
        conditions: slice::conditions(load),
        varies_cores: false,
        finding: Finding::under(summary, load, Metric::TailRatio),
        at: String::new(),
        reading: format!("{READING} {}", slice::without_reply(&of_load)).trim_end().to_owned(),
        panels,
        hollow_means: "",
    })
}
