//! Charts over connection counts: throughput, response times, memory and threads.

use bench_data::load::byte_size::ByteSize;
use bench_data::load::{Direction, Load};

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel, Series};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::selection::reason_for;
use crate::analysis::summary::Summary;

pub(super) fn throughput(summary: &Summary, direction: Direction) -> Option<Figure> {
    let (size, load) = slice_of(summary, direction)?;
    let metrics = match load.profile.mix {
        // Requests of a mix have all sizes, so requests and bytes per second differ.
        Some(_) => vec![Metric::Throughput, Metric::TransferRate],
        None => vec![Metric::Throughput],
    };
    let panels = metrics.into_iter().map(|metric| {
        let series = series(summary, direction, size, metric);
        Panel::new(axis(&series), metric, Scale::Linear, series)
    });
    let caption = answer(summary, load, Metric::Throughput);
    figure("throughput", "Throughput by connections", load, panels.collect(), caption)
}

pub(super) fn latency(summary: &Summary, direction: Direction) -> Option<Figure> {
    let (size, load) = slice_of(summary, direction)?;
    let metrics = [Metric::Response(Percentile::P50), Metric::P99];
    let panels = Panel::alike(metrics, |metric| series(summary, direction, size, metric), axis);
    let caption = answer(summary, load, Metric::P99) + slice::WITHOUT_REPLY;
    figure("latency", "Response time by connections", load, panels, caption)
}

pub(super) fn footprint(summary: &Summary, direction: Direction) -> Option<Figure> {
    let (size, load) = slice_of(summary, direction)?;
    let panels = [(Metric::Memory, Scale::Linear), (Metric::Threads, Scale::Log)];
    let panels = panels.map(|(metric, scale)| {
        let series = series(summary, direction, size, metric);
        Panel::new(axis(&series), metric, scale, series)
    });
    let caption = answer(summary, load, Metric::Memory);
    let title = "Server memory and threads by connections";
    figure("footprint", title, load, panels.into(), caption)
}

/// Comparison under the load of a caption, and the reason for that load.
fn answer(summary: &Summary, load: Load, metric: Metric) -> String {
    Finding::under(summary, load, metric).sentence() + &reason_for(summary, load)
}

/// The size with the most connection counts, and the load of the caption.
fn slice_of(summary: &Summary, direction: Direction) -> Option<(ByteSize, Load)> {
    let size = slice::size_with_most_connections(summary, direction)?;
    let is_one = |load: &Load| load.direction == direction && load.size == size;
    Some((size, slice::headline_load(summary, is_one)?))
}

fn series(summary: &Summary, direction: Direction, size: ByteSize, metric: Metric) -> Vec<Series> {
    let is_one = |load: &Load| load.direction == direction && load.size == size;
    slice::series(summary, is_one, |load| load.connections as f64, metric)
}

fn axis(series: &[Series]) -> Axis {
    Axis::log_at("connections", slice::write_connections, &slice::xs(series))
}

fn figure(
    name: &str,
    title: &str,
    load: Load,
    panels: Vec<Panel>,
    caption: String,
) -> Option<Figure> {
    slice::xs(&panels[0].series).last()?;
    let title = slice::title(title, Load { connections: 0, ..load });
    let file = format!("{name}-by-connections-{}{}.svg", load.direction, load.profile.slug());
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
