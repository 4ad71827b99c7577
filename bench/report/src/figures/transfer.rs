//! Megabytes per second against file size.

use bench_data::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel};
use super::measure::Measure;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::comparison::Best;
use crate::analysis::summary::Summary;
use bench_data::units;

pub(super) fn against_size(summary: &Summary, direction: Direction) -> Option<Figure> {
    let connections = slice::connections_with_most_sizes(summary, direction)?;
    let series = slice::series(
        summary,
        |line| line.load.direction == direction && line.load.connections == connections,
        |line| line.load.size.bytes() as f64,
        Measure::Transfer,
    );
    let sizes = slice::xs(&series);
    sizes.last()?;
    let load = slice::headline_load(summary, |load| {
        load.direction == direction && load.connections == connections
    })?;
    // Under one load bytes and requests differ by the same factor for all.
    let mb_per_request = load.size.bytes() as f64 / 1e6;
    let quantity = Quantity {
        name: "throughput",
        best: Best::Highest,
        rounds: &|line| line.rounds.clone(),
        write: &|rate| format!("{} MB/s", units::three_digits(rate * mb_per_request)),
    };
    let caption = claim(summary, load, &quantity);
    let noun = slice::noun(direction);
    let title = format!(
        "Throughput by file size ({noun}, {connections} connections{})",
        slice::apart(summary)
    );
    let x = Axis::log_at("file size", slice::write_size, &sizes);
    let write = |value| slice::short(&units::three_digits(value));
    let y = Axis::log("body bytes, MB per second", write, &slice::ys(&series));
    let panels = vec![Panel { x, y, series }];
    let file = format!("throughput-by-size-{}{}", direction, slice::ending(summary));
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
