//! Bytes per second by file size.

use bench_data::load::byte_size::ByteSize;
use bench_data::load::words;
use bench_data::load::{Direction, Load};

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::Panel;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;

pub(super) fn against_size(summary: &Summary, direction: Direction) -> Option<Drawing> {
    let connections = slice::connections_with_most_sizes(summary, direction)?;
    let is_one = |load: &Load| load.direction == direction && load.connections == connections;
    let metric = Metric::TransferRate;
    let series = slice::series(summary, is_one, |load| load.size.bytes() as f64, metric);
    let sizes = slice::xs(&series);
    sizes.last()?;
    let load = most_comparable(summary, is_one, |load| load.size)?;
    let mut conditions = vec![words::noun(direction).to_owned(), words::connections(connections)];
    conditions.extend(load.profile.remarks());
    let write_size = |bytes: f64| ByteSize::new(bytes as u64).spaced();
    let x = Axis::log_at("file size", write_size, &sizes);
    Some(Drawing {
        file: format!("throughput-by-size-{direction}{}.svg", load.profile.slug()),
        name: "Bytes per second by file size".to_owned(),
        conditions,
        varies_cores: false,
        finding: Finding::under(summary, load, metric),
        at: format!("with files of {}", load.size.spaced()),
        reading: String::new(),
        panels: vec![Panel::new(x, metric, Scale::Log, series)],
        hollow_means: HOLLOW_MEANS,
    })
}
