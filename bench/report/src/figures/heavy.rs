//! Light requests beside a share of heavy ones: response times, and throughput of both.

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::{Panel, Series};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::load::heavy::{Heavy, Work};

/// Place of a load without heavy requests on the logarithmic axis of their share, as a part of the
/// smallest share.
const NONE: f64 = 0.2;

/// Charts of the loads with one kind of heavy work.
pub(super) fn beside(summary: &Summary, work: Work) -> Vec<Drawing> {
    let loads = summary.loads();
    let heavy = loads.iter().filter(|load| only(work, load).is_some_and(|percent| percent > 0));
    let Some(base) = slice::most_frequent(heavy.map(|load| alone(*load)), |_, _| true) else {
        return Vec::new();
    };
    let part = summary.part(|load| alone(*load) == base && only(work, load).is_some());
    let is_heavy = |load: &Load| load.profile.heavy.total_percent() > 0;
    let Some(load) = slice::title_load(&part, is_heavy, |load| only(work, load)) else {
        return Vec::new();
    };
    let kind = match work {
        Work::Cpu => "CPU-heavy",
        Work::Block => "blocking",
    };
    let drawing = |file: &str, quantity: &str, panels, metric| Drawing {
        file: format!("{file}-beside-heavy-{}.svg", work.name()),
        name: format!("{quantity} by share of {kind} requests"),
        conditions: slice::conditions(base),
        varies_cores: false,
        finding: Finding::under(&part, load, metric),
        at: format!("with {} % {kind} requests", only(work, &load).unwrap_or(0)),
        reading: String::new(),
        panels,
        hollow_means: HOLLOW_MEANS,
    };
    let metrics = [Metric::Response(Percentile::P50), Metric::P99];
    let waits = Panel::alike(metrics, |metric| series(&part, work, metric), |one| axis(work, one));
    let answers = [Metric::Throughput, Metric::HeavyResponse].map(|metric| {
        let series = series(&part, work, metric);
        Panel::new(axis(work, &series), metric, Scale::Log, series)
    });
    let answers = answers.into_iter().filter(|panel| !slice::xs(&panel.series).is_empty());
    vec![
        drawing("waits", "Response time of light requests", waits, Metric::P99),
        drawing("throughput", "Throughput of all requests", answers.collect(), Metric::Throughput),
    ]
}

fn axis(work: Work, series: &[Series]) -> Axis {
    let shares = slice::xs(series);
    let least = shares.iter().copied().find(|share| share.fract() == 0.0).unwrap_or(1.0);
    let write = |share: f64| if share < 1.0 { "none".to_owned() } else { format!("{share:.0} %") };
    let label = format!("share of requests that {}", work.words());
    // All panels begin at 0, even without a value there.
    let mut ticks = vec![least * NONE];
    ticks.extend(shares.into_iter().filter(|share| *share >= 1.0));
    Axis::log_at(&label, write, &ticks)
}

/// The load without its heavy requests.
fn alone(mut load: Load) -> Load {
    load.profile.heavy = Heavy::default();
    load
}

/// Share of this kind, if there are no requests of the other.
fn only(work: Work, load: &Load) -> Option<u8> {
    let heavy = load.profile.heavy;
    let percent = heavy.percent(work);
    (u32::from(percent) == heavy.total_percent()).then_some(percent)
}

fn series(part: &Summary, work: Work, metric: Metric) -> Vec<Series> {
    let shares = part.loads().into_iter().filter_map(|load| only(work, &load));
    let least = f64::from(shares.filter(|percent| *percent > 0).min().unwrap_or(1));
    let share = |load: &Load| match only(work, load).unwrap_or(0) {
        0 => least * NONE,
        percent => f64::from(percent),
    };
    slice::series(part, |_| true, share, metric)
}
