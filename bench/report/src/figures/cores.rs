//! Throughput by number of cores of the server.

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::Panel;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::summary::Summary;
use bench_data::load::{Load, words};
use bench_data::units::counted;

/// Chart of the loads that differ in nothing else; `None` without several numbers of cores.
pub(super) fn by_cores(summary: &Summary) -> Option<Drawing> {
    let cores = |load: &Load| load.profile.server_cores;
    let loads = summary.loads();
    let several = loads.iter().filter(|load| cores(load) > 1);
    let base = slice::most_frequent(several.map(|load| on_one(*load)), |base, count| {
        count > 1 || loads.contains(base)
    })?;
    let part = summary.part(|load| on_one(*load) == base);
    let load = slice::title_load(&part, |load| cores(load) > 1, cores)?;
    let metric = Metric::Throughput;
    let series = slice::series(&part, |_| true, |load| cores(load) as f64, metric);
    let write = |count: f64| format!("{count:.0}");
    let axis = Axis::log_at("cores of the server", write, &slice::xs(&series));
    Some(Drawing {
        file: "throughput-by-cores.svg".to_owned(),
        name: "Throughput by cores of the server".to_owned(),
        conditions: vec![words::requests(base), words::connections(base.connections)],
        varies_cores: true,
        finding: Finding::under(&part, load, metric),
        at: format!("on {}", counted(cores(&load), "core")),
        reading: String::new(),
        panels: vec![Panel::new(axis, metric, Scale::Linear, series)],
        hollow_means: HOLLOW_MEANS,
    })
}

/// The load with one core of the server.
fn on_one(mut load: Load) -> Load {
    load.profile.server_cores = 1;
    load
}
