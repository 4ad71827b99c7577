//! Charts over connection counts: throughput, response times, memory and threads.

use bench_data::load::byte_size::ByteSize;
use bench_data::load::{Direction, Load, words};

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::{Panel, Series};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::Summary;

pub(super) fn throughput(summary: &Summary, direction: Direction) -> Option<Drawing> {
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
    let finding = Finding::under(summary, load, Metric::Throughput);
    drawing("throughput", "Throughput by connections", finding, panels.collect())
}

pub(super) fn latency(summary: &Summary, direction: Direction) -> Option<Drawing> {
    let (size, load) = slice_of(summary, direction)?;
    let metrics = [Metric::Response(Percentile::P50), Metric::P99];
    let panels = Panel::alike(metrics, |metric| series(summary, direction, size, metric), axis);
    let finding = Finding::under(summary, load, Metric::P99);
    let mut drawing = drawing("latency", "Response time by connections", finding, panels)?;
    drawing.reading += slice::without_reply(summary);
    Some(drawing)
}

pub(super) fn footprint(summary: &Summary, direction: Direction) -> Option<Drawing> {
    let (size, load) = slice_of(summary, direction)?;
    let panels = [(Metric::Memory, Scale::Linear), (Metric::Threads, Scale::Log)];
    let panels = panels.map(|(metric, scale)| {
        let series = series(summary, direction, size, metric);
        Panel::new(axis(&series), metric, scale, series)
    });
    let finding = Finding::under(summary, load, Metric::Memory);
    drawing("footprint", "Memory and threads of the server by connections", finding, panels.into())
}

/// The size with the most connection counts, and the load of the title.
fn slice_of(summary: &Summary, direction: Direction) -> Option<(ByteSize, Load)> {
    let size = slice::size_with_most_connections(summary, direction)?;
    let is_one = |load: &Load| load.direction == direction && load.size == size;
    Some((size, slice::title_load(summary, is_one, |load| load.connections)?))
}

fn series(summary: &Summary, direction: Direction, size: ByteSize, metric: Metric) -> Vec<Series> {
    let is_one = |load: &Load| load.direction == direction && load.size == size;
    slice::series(summary, is_one, |load| load.connections as f64, metric)
}

fn axis(series: &[Series]) -> Axis {
    Axis::log_at("connections", slice::write_connections, &slice::xs(series))
}

fn drawing(file: &str, name: &str, finding: Finding, panels: Vec<Panel>) -> Option<Drawing> {
    slice::xs(&panels[0].series).last()?;
    let load = finding.load;
    Some(Drawing {
        file: format!("{file}-by-connections-{}{}.svg", load.direction, load.profile.slug()),
        name: name.to_owned(),
        conditions: slice::conditions(Load { connections: 0, ..load }),
        varies_cores: false,
        finding,
        at: format!("with {}", words::connections(load.connections)),
        reading: String::new(),
        panels,
        hollow_means: HOLLOW_MEANS,
    })
}
