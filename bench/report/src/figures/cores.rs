//! Throughput by number of cores of the server.

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;
use bench_data::load::{Load, words};

/// Chart of the loads that differ in nothing else; `None` without several numbers of cores.
pub(super) fn by_cores(summary: &Summary) -> Option<Figure> {
    let cores = |load: &Load| load.profile.server_cores;
    let loads = summary.loads();
    let several = loads.iter().filter(|load| cores(load) > 1);
    let base = slice::most_frequent(several.map(|load| on_one(*load)), |base, count| {
        count > 1 || loads.contains(base)
    })?;
    let part = summary.part(|load| on_one(*load) == base);
    let load = most_comparable(&part, |load| cores(load) > 1, cores)?;
    let caption = Finding::under(&part, load, Metric::Throughput).sentence();
    let metric = Metric::Throughput;
    let series = slice::series(&part, |_| true, |load| cores(load) as f64, metric);
    let write = |count: f64| format!("{count:.0}");
    let axis = Axis::log_at("cores of the server", write, &slice::xs(&series));
    let title = format!(
        "Throughput by cores of the server ({}, {})",
        words::requests(base),
        words::connections(base.connections)
    );
    let panels = vec![Panel::new(axis, metric, Scale::Linear, series)];
    let file = "throughput-by-cores.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

/// The load with one core of the server.
fn on_one(mut load: Load) -> Load {
    load.profile.server_cores = 1;
    load
}
