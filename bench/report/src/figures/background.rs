//! Active connections beside a number of background connections.

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel, Series};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;
use bench_data::load::profile::BackgroundConnections;
use bench_data::load::{Load, words};

/// A kind of background connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Idle,
    SlowReaders,
    SlowSenders,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Idle, Self::SlowReaders, Self::SlowSenders];

    /// Number of connections of this kind, if there are none of another.
    fn count(self, load: &Load) -> Option<usize> {
        let background = load.profile.background;
        let count = match self {
            Self::Idle => background.idle,
            Self::SlowReaders => background.slow_readers,
            Self::SlowSenders => background.slow_senders,
        };
        (count == background.total()).then_some(count)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle connections",
            Self::SlowReaders => "slow readers",
            Self::SlowSenders => "slow senders",
        }
    }
}

/// Charts over the number of background connections of a kind.
pub(super) fn against_count(summary: &Summary, kind: Kind) -> Vec<Figure> {
    let loads = summary.loads();
    let beside = loads.iter().filter(|load| kind.count(load).is_some_and(|count| count > 0));
    let Some(base) = slice::most_frequent(beside.map(|load| alone(*load)), |base, count| {
        // A chart needs the load alone, or a second number of connections.
        count > 1 || loads.contains(base)
    }) else {
        return Vec::new();
    };
    let part = summary.part(|load| alone(*load) == base && kind.count(load).is_some());
    let has_some = |load: &Load| load.profile.background.total() > 0;
    let Some(load) = most_comparable(&part, has_some, |load| kind.count(load)) else {
        return Vec::new();
    };
    let figure = |name, title, metrics: [(Metric, Scale); 2]| {
        let caption = Finding::under(&part, load, metrics[0].0).sentence();
        let panels = metrics.map(|(metric, scale)| {
            let series = series(&part, kind, metric);
            Panel::new(axis(kind, &series), metric, scale, series)
        });
        slice::xs(&panels[0].series).last()?;
        let file = format!("{name}-by-{}.svg", kind.name().replace(' ', "-"));
        let panels = panels.into();
        Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
    };
    let active = words::connections(base.connections);
    let beside = kind.name();
    let answers = [(Metric::P99, Scale::Log), (Metric::Throughput, Scale::Linear)];
    let holdings = [(Metric::Memory, Scale::Log), (Metric::Threads, Scale::Log)];
    let answers =
        figure("answers", format!("p99 and throughput of {active} beside {beside}"), answers);
    let holdings =
        figure("cost", format!("Server memory and threads: {active} beside {beside}"), holdings);
    [answers, holdings].into_iter().flatten().collect()
}

/// The load without background connections.
fn alone(mut load: Load) -> Load {
    load.profile.background = BackgroundConnections::default();
    load
}

fn series(part: &Summary, kind: Kind, metric: Metric) -> Vec<Series> {
    // The logarithmic axis shows 0 at the position of 1.
    slice::series(part, |_| true, |load| kind.count(load).unwrap_or(0).max(1) as f64, metric)
}

fn axis(kind: Kind, series: &[Series]) -> Axis {
    let write = |count: f64| if count <= 1.0 { "0".to_owned() } else { format!("{count:.0}") };
    Axis::log_at(kind.name(), write, &slice::xs(series))
}
