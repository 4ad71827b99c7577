//! All servers at the same rate, a share of the slowest server's capacity: distributions and costs.

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel};
use super::distribution::READING;
use super::slice;
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::record::outcome::Outcome;
use bench_data::units::grouped;

/// Meaning of hollow markers at equal load.
const HOLLOW_MEANS: &str = "not all connections were served, or requests failed";

pub(super) fn at_equal_load(summary: &Summary) -> Vec<Figure> {
    let part = summary.part(|load| load.profile.of_weakest_percent.is_some());
    let mut figures: Vec<Figure> =
        part.loads().into_iter().filter_map(|load| spectrum(&part, load)).collect();
    figures.extend(cost(part));
    figures
}

fn percent(load: &Load) -> u32 {
    load.profile.of_weakest_percent.unwrap_or(0)
}

fn spectrum(part: &Summary, load: Load) -> Option<Figure> {
    let panels = slice::spectra(
        part,
        load,
        &[
            ("response time (since due)", Metric::Response),
            ("service time (since sent)", Metric::Service),
        ],
    )?;
    let finding = Finding::under(part, load, Metric::Response(Percentile::P99_9));
    let caption = format!("{READING} {}", finding.sentence());
    let rate = grouped(load.profile.rate_per_s.unwrap_or(0) as usize);
    let percent = percent(&load);
    let title = format!(
        "Response and service time at {rate} requests/s, {percent} % of the slowest server's capacity"
    );
    let file = format!("spectrum-at-{percent}-percent.svg");
    Some(Chart { title, panels, hollow_means: "" }.figure(file, caption))
}

fn cost(mut part: Summary) -> Option<Figure> {
    let load = part.loads().into_iter().max_by_key(percent)?;
    let caption = Finding::under(&part, load, Metric::CpuPerRequest).sentence();
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
    let title = "CPU time and context switches per request at equal load".to_owned();
    let file = "cost-at-equal-load.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
