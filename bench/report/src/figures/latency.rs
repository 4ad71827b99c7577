//! Response time percentiles against connections.

use bench_data::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel, Series};
use super::measure::Measure;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::comparison::Best;
use crate::analysis::summary::Summary;
use bench_data::units;

pub(super) fn against_connections(summary: &Summary, direction: Direction) -> Option<Figure> {
    let size = slice::size_with_most_connections(summary, direction)?;
    let series = |percentile: f64| {
        slice::series(
            summary,
            |line| line.load.direction == direction && line.load.size == size,
            |line| line.load.connections as f64,
            Measure::Latency(percentile),
        )
    };
    let (typical, tail) = (series(50.0), series(99.0));
    slice::xs(&tail).last()?;
    let load =
        slice::headline_load(summary, |load| load.direction == direction && load.size == size)?;
    let quantity = Quantity {
        name: "the 99th percentile",
        best: Best::Lowest,
        rounds: &|line| line.latency_rounds(99.0).to_vec(),
        write: &units::microseconds,
    };
    let caption = claim(summary, load, &quantity)
        + " Connections that got no answer at all do not show in these times.";
    // The same range on both sides, so that the two can be held against each other.
    let range = slice::ys(typical.iter().chain(&tail));
    let panel = |label: &str, series: Vec<Series>| Panel {
        x: Axis::log_at("connections", slice::write_connections, &slice::xs(&series)),
        y: Axis::log(label, |value| slice::short(&units::microseconds(value)), &range),
        series,
    };
    let panels = vec![panel("median response time", typical), panel("99th percentile", tail)];
    let title = format!(
        "Latency by connections ({} {}{})",
        size.spaced(),
        slice::noun(direction),
        slice::apart(summary)
    );
    let file = format!("latency-by-connections-{}{}", direction, slice::ending(summary));
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
