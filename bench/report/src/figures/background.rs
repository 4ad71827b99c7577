//! Active connections beside a number of background connections.

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::{Panel, Series};
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::units::grouped;

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
pub(super) fn against_count(summary: &Summary, kind: Kind) -> Vec<Drawing> {
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
    let Some(load) = slice::title_load(&part, has_some, |load| kind.count(load)) else {
        return Vec::new();
    };
    let drawing = |file: &str, quantities: &str, metrics: [(Metric, Scale); 2]| {
        let finding = Finding::under(&part, load, metrics[0].0);
        let panels = metrics.map(|(metric, scale)| {
            let series = series(&part, kind, metric);
            Panel::new(axis(kind, &series), metric, scale, series)
        });
        slice::xs(&panels[0].series).last()?;
        let count = kind.count(&load).unwrap_or(0);
        Some(Drawing {
            file: format!("{file}-by-{}.svg", kind.name().replace(' ', "-")),
            name: format!("{quantities} by number of {}", kind.name()),
            conditions: slice::conditions(base),
            varies_cores: false,
            finding,
            at: format!("beside {} {}", grouped(count), kind.name()),
            reading: String::new(),
            panels: panels.into(),
            hollow_means: HOLLOW_MEANS,
        })
    };
    let answers = [(Metric::P99, Scale::Log), (Metric::Throughput, Scale::Linear)];
    let holdings = [(Metric::Memory, Scale::Log), (Metric::Threads, Scale::Log)];
    let answers = drawing("answers", "p99 and throughput of the active connections", answers);
    let holdings = drawing("cost", "Memory and threads of the server", holdings);
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
