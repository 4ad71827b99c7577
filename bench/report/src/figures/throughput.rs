//! Requests per second against connections.

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

pub(super) fn against_connections(summary: &Summary, direction: Direction) -> Option<Figure> {
    let size = slice::size_with_most_connections(summary, direction)?;
    let series = slice::series(
        summary,
        |line| line.load.direction == direction && line.load.size == size,
        |line| line.load.connections as f64,
        Measure::Rate,
    );
    let connections = slice::xs(&series);
    connections.last()?;
    let load =
        slice::headline_load(summary, |load| load.direction == direction && load.size == size)?;
    let quantity = Quantity {
        name: "throughput",
        best: Best::Highest,
        rounds: &|line| line.rounds.clone(),
        write: &|rate| format!("{} requests/s", units::count(rate)),
    };
    let caption = claim(summary, load, &quantity);
    let noun = slice::noun(direction);
    let title =
        format!("Throughput by connections ({} {noun}{})", size.spaced(), slice::apart(summary));
    let x = Axis::log_at("connections", slice::write_connections, &connections);
    let write = |value| slice::short(&units::count(value));
    let y = Axis::from_zero("requests per second", write, &slice::ys(&series));
    let mut panels = vec![Panel { x, y, series }];
    if load.profile.mix.is_some() {
        // Requests of a mix are of all sizes: what they carry is worth a look of its own.
        panels.push(bytes_against_connections(summary, direction));
    }
    let file = format!("throughput-by-connections-{}{}", direction, slice::ending(summary));
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

fn bytes_against_connections(summary: &Summary, direction: Direction) -> Panel {
    let series = slice::series(
        summary,
        |line| line.load.direction == direction,
        |line| line.load.connections as f64,
        Measure::Transfer,
    );
    let connections = slice::xs(&series);
    let write = |value| slice::short(&units::three_digits(value));
    Panel {
        x: Axis::log_at("connections", slice::write_connections, &connections),
        y: Axis::from_zero("body bytes, MB per second", write, &slice::ys(&series)),
        series,
    }
}
