//! Megabytes per second against file size.

use loadgen::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::chart::{Chart, Panel};
use super::slice::{self, HOLLOW_MEANS};
use crate::spelling;
use crate::summary::Summary;
use crate::units;

pub(super) fn against_size(summary: &Summary, direction: Direction) -> Option<Figure> {
    let connections = slice::connections_with_most_sizes(summary, direction)?;
    let series = slice::series(
        summary,
        |line| line.cell.direction == direction && line.cell.connections == connections,
        |line| line.cell.size.bytes() as f64,
        |line| line.mb_per_s.filter(|estimate| estimate.median > 0.0),
    );
    let (size, [most, least]) = slice::extremes_at_end(&series)?;
    let caption = format!(
        "Files of {} move at {} MB/s through {} and at {} MB/s through {}.",
        slice::write_size(size),
        units::three_digits(most.1),
        most.0,
        units::three_digits(least.1),
        least.0,
    );
    let noun = slice::noun(direction);
    let title = format!("Throughput by file size ({noun}, {connections} connections)");
    let x = Axis::log_at("file size", slice::write_size, &slice::xs(&series));
    let write = |value| slice::short(&units::three_digits(value));
    let y = Axis::log("body bytes, MB per second", write, &slice::ys(&series));
    let panels = vec![Panel { x, y, series }];
    Some(Figure {
        file: format!("throughput-by-size-{}.svg", spelling::direction::name(direction)),
        svg: Chart { title: title.clone(), panels, hollow_means: HOLLOW_MEANS }.svg(),
        title,
        caption,
    })
}
