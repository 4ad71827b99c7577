//! All servers at the same rate, a share of the slowest server's capacity: distributions and costs.

use super::axis::{Axis, Scale};
use super::distribution::READING;
use super::drawing::Drawing;
use super::panel::Panel;
use super::slice;
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::Summary;
use bench_data::load::{Load, words};
use bench_data::record::outcome::Outcome;

/// Meaning of hollow markers at equal load.
const HOLLOW_MEANS: &str = "not all connections were served, or requests failed";

pub(super) fn at_equal_load(summary: &Summary) -> Vec<Drawing> {
    let part = summary.part(|load| load.profile.of_weakest_percent.is_some());
    let mut figures: Vec<Drawing> =
        part.loads().into_iter().filter_map(|load| spectrum(&part, load)).collect();
    figures.extend(cost(part));
    figures
}

fn percent(load: &Load) -> u32 {
    load.profile.of_weakest_percent.unwrap_or(0)
}

fn spectrum(part: &Summary, load: Load) -> Option<Drawing> {
    let panels = slice::spectra(
        part,
        load,
        &[
            ("response time (since due)", Metric::Response),
            ("service time (since sent)", Metric::Service),
        ],
    )?;
    Some(Drawing {
        file: format!("spectrum-at-{}-percent.svg", percent(&load)),
        name: "Distribution of response times (left) and service times (right)".to_owned(),
        conditions: slice::conditions(load),
        varies_cores: false,
        finding: Finding::under(part, load, Metric::Response(Percentile::P99_9)),
        at: String::new(),
        reading: READING.to_owned(),
        panels,
        hollow_means: "",
    })
}

fn cost(mut part: Summary) -> Option<Drawing> {
    let load = part.loads().into_iter().max_by_key(percent)?;
    let finding = Finding::under(&part, load, Metric::CpuPerRequest);
    // An overloaded server answers too little of what it works on.
    part.lines.retain(|line| line.count(Outcome::Overloaded) == 0);
    let metrics =
        [(Metric::CpuPerRequest, Scale::Linear), (Metric::SwitchesPerRequest, Scale::Log)];
    let panels = metrics.map(|(metric, scale)| {
        let series = slice::series(&part, |_| true, |load| f64::from(percent(load)), metric);
        let write = |percent: f64| format!("{percent:.0} %");
        let label = "share of the slowest server's capacity";
        Panel::new(Axis::log_at(label, write, &slice::xs(&series)), metric, scale, series)
    });
    let panels: Vec<_> =
        panels.into_iter().filter(|panel| !slice::xs(&panel.series).is_empty()).collect();
    panels.first().filter(|panel| panel.metric == Metric::CpuPerRequest)?;
    Some(Drawing {
        file: "cost-at-equal-load.svg".to_owned(),
        name: "CPU time and context switches per request at equal load".to_owned(),
        conditions: vec![words::requests(load), words::connections(load.connections)],
        varies_cores: false,
        finding,
        at: format!("at {} % of the slowest server's capacity", percent(&load)),
        reading: String::new(),
        panels,
        hollow_means: HOLLOW_MEANS,
    })
}
