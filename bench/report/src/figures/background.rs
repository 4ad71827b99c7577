//! Those who ask against the number of connections beside them: latency, throughput, memory.

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel, Series};
use super::measure::Measure;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::comparison::Best;
use crate::analysis::comparison::most_comparable;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::units;

/// A kind of crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Idle,
    SlowReaders,
    SlowSenders,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Idle, Self::SlowReaders, Self::SlowSenders];

    /// How many of this kind there are, if there is no other.
    fn count(self, background: BackgroundConnections) -> Option<usize> {
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

pub(super) fn against_crowd(summary: &Summary, kind: Kind) -> Vec<Figure> {
    let Some(base) = base(summary, kind) else { return Vec::new() };
    // Also the same load without a crowd.
    let is_one = |load: &Load| {
        let mut alone = *load;
        alone.profile.background = BackgroundConnections::default();
        alone == base && kind.count(load.profile.background).is_some()
    };
    let part = summary.part(is_one);
    [answers(&part, kind, base), holdings(&part, kind, base)].into_iter().flatten().collect()
}

/// What they get: latency and throughput of those who ask.
fn answers(part: &Summary, kind: Kind, base: Load) -> Option<Figure> {
    let rates = series(part, kind, Measure::Rate);
    let tails = series(part, kind, Measure::Latency(99.0));
    let load = headline_load(part, kind)?;
    let quantity = Quantity {
        name: "the 99th percentile",
        best: Best::Lowest,
        rounds: &|line| line.latency_rounds(99.0).to_vec(),
        write: &units::microseconds,
    };
    let panels = vec![
        Panel {
            x: axis(kind, &tails),
            y: Axis::log(
                "99th percentile",
                |value| slice::short(&units::microseconds(value)),
                &slice::ys(&tails),
            ),
            series: tails,
        },
        Panel {
            x: axis(kind, &rates),
            y: Axis::from_zero(
                "requests per second",
                |value| slice::short(&units::count(value)),
                &slice::ys(&rates),
            ),
            series: rates,
        },
    ];
    let title = format!("What {} connections get beside {}", base.connections, kind.name());
    Some(figure("answers", kind, title, panels, claim(part, load, &quantity)))
}

/// What it costs: memory and threads of the server.
fn holdings(part: &Summary, kind: Kind, base: Load) -> Option<Figure> {
    let memory = series(part, kind, Measure::Memory);
    let threads = series(part, kind, Measure::Threads);
    let load = headline_load(part, kind)?;
    slice::xs(&memory).last()?;
    let quantity = Quantity {
        name: "memory",
        best: Best::Lowest,
        rounds: &|line| line.memory_rounds.clone(),
        write: &units::bytes,
    };
    let panels = vec![
        Panel {
            x: axis(kind, &memory),
            y: Axis::log_of_two(
                "memory",
                |value| slice::short(&units::bytes(value)),
                &slice::ys(&memory),
            ),
            series: memory,
        },
        Panel {
            x: axis(kind, &threads),
            y: Axis::log("threads", slice::write_connections, &slice::ys(&threads)),
            series: threads,
        },
    ];
    let connections = base.connections;
    let title = format!("What {} cost the server beside {connections} that ask", kind.name());
    Some(figure("cost", kind, title, panels, claim(part, load, &quantity)))
}

fn figure(what: &str, kind: Kind, title: String, panels: Vec<Panel>, caption: String) -> Figure {
    let file = format!("{what}-by-{}.svg", kind.name().replace(' ', "-"));
    Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption)
}

/// The load without its crowd that most sizes of such a crowd were measured beside.
fn base(summary: &Summary, kind: Kind) -> Option<Load> {
    let mut bases: Vec<(Load, usize)> = Vec::new();
    for mut load in summary.loads() {
        if kind.count(load.profile.background).is_some_and(|count| count > 0) {
            load.profile.background = BackgroundConnections::default();
            match bases.iter_mut().find(|(base, _)| *base == load) {
                Some((_, count)) => *count += 1,
                None => bases.push((load, 1)),
            }
        }
    }
    // With the load alone, or a second crowd, there is something to be seen over.
    let has_alone = |base: &Load| summary.loads().contains(base);
    bases.retain(|(base, count)| *count > 1 || has_alone(base));
    bases.into_iter().max_by_key(|(_, count)| *count).map(|(base, _)| base)
}

fn series(part: &Summary, kind: Kind, measure: Measure) -> Vec<Series> {
    let count = |line: &Line| kind.count(line.load.profile.background).unwrap_or(0);
    // None has its place on the logarithmic axis, too: that of one.
    slice::series(part, |_| true, |line| count(line).max(1) as f64, measure)
}

fn axis(kind: Kind, series: &[Series]) -> Axis {
    let write = |count: f64| if count <= 1.0 { "0".to_owned() } else { format!("{count:.0}") };
    Axis::log_at(kind.name(), write, &slice::xs(series))
}

/// The load that the caption speaks of: the largest crowd of those that spoiled the fewest.
fn headline_load(part: &Summary, kind: Kind) -> Option<Load> {
    let has_crowd = |load: &Load| load.profile.background.total() > 0;
    most_comparable(part, has_crowd, |load| kind.count(load.profile.background))
}
