//! Distribution of response times under one load.

use std::cmp::Reverse;

use bench_data::load::Direction;

use super::Figure;
use super::chart::Chart;
use super::slice;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::{Line, Summary};

/// Explanation of an axis of percentiles.
pub(super) const READING: &str = "x axis: percentile; 90, 99 and 99.9 % are equally far apart.";

pub(super) fn of_latency(summary: &Summary, direction: Direction) -> Option<Figure> {
    let load = most_comparable(
        summary,
        |load| load.direction == direction,
        |load| (load.connections, Reverse(load.size)),
    )?;
    let panels = slice::spectra(summary, load, &[("response time", Metric::Response)])?;
    let finding = Finding::under(summary, load, Metric::TailRatio);
    let mut caption = format!("{READING} {}", finding.sentence());
    if summary.under(load).any(Line::starved) {
        caption += slice::WITHOUT_REPLY;
    }
    let title = slice::title("Distribution of response times", load);
    let file = format!("latency-distribution-{direction}{}.svg", load.profile.slug());
    Some(Chart { title, panels, hollow_means: "" }.figure(file, caption))
}
