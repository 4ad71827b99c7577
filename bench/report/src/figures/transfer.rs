//! Bytes per second by file size.

use bench_data::load::byte_size::ByteSize;
use bench_data::load::words;
use bench_data::load::{Direction, Load};

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::summary::Summary;

pub(super) fn against_size(summary: &Summary, direction: Direction) -> Option<Figure> {
    let connections = slice::connections_with_most_sizes(summary, direction)?;
    let is_one = |load: &Load| load.direction == direction && load.connections == connections;
    let metric = Metric::TransferRate;
    let series = slice::series(summary, is_one, |load| load.size.bytes() as f64, metric);
    let sizes = slice::xs(&series);
    sizes.last()?;
    let load = slice::headline_load(summary, is_one)?;
    let caption = Finding::under(summary, load, metric).sentence();
    let mut conditions = vec![words::noun(direction).to_owned(), words::connections(connections)];
    conditions.extend(load.profile.remarks());
    let title = format!("Throughput by file size ({})", conditions.join(", "));
    let write_size = |bytes: f64| ByteSize::new(bytes as u64).spaced();
    let x = Axis::log_at("file size", write_size, &sizes);
    let panels = vec![Panel::new(x, metric, Scale::Log, series)];
    let file = format!("throughput-by-size-{direction}{}.svg", load.profile.slug());
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
