//! Light requests beside a share of heavy ones: what they wait, and what is answered in all.

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
use bench_data::load::heavy::{Heavy, Work};
use bench_data::units;

/// Where a load without heavy requests stands on the logarithmic axis of their share, as a part of
/// the least share there is.
const NONE: f64 = 0.2;

/// The charts of the loads with one kind of heavy work.
pub(super) fn beside(summary: &Summary, work: Work) -> Vec<Figure> {
    let Some(base) = base(summary, work) else { return Vec::new() };
    // Also the same load without heavy requests.
    let part = summary.part(|load| alone(*load) == base && only(work, load).is_some());
    [waits(&part, work, base), answers(&part, work, base)].into_iter().flatten().collect()
}

/// What light requests wait: median and tail.
fn waits(part: &Summary, work: Work, base: Load) -> Option<Figure> {
    let [typical, tail] = [50.0, 99.0].map(|percentile| {
        let measure = Measure::Latency(percentile);
        series(part, work, measure)
    });
    let load = headline_load(part, work)?;
    let quantity = Quantity {
        name: "the 99th percentile of the light requests",
        best: Best::Lowest,
        rounds: &|line| line.latency_rounds(99.0).to_vec(),
        write: &units::microseconds,
    };
    let range = slice::ys(typical.iter().chain(&tail));
    let write = |value| slice::short(&units::microseconds(value));
    let panels = vec![
        panel(work, Axis::log("median of the light requests", write, &range), typical),
        panel(work, Axis::log("99th percentile of the light ones", write, &range), tail),
    ];
    let title = format!(
        "What light requests wait beside others that {} ({} connections)",
        work.words(),
        base.connections
    );
    Some(figure("waits", work, title, panels, claim(part, load, &quantity)))
}

/// What is answered: requests of both kinds, and the times of the heavy ones themselves.
fn answers(part: &Summary, work: Work, base: Load) -> Option<Figure> {
    let rates = series(part, work, Measure::Rate);
    let own = series(part, work, Measure::Heavy);
    let load = headline_load(part, work)?;
    let quantity = Quantity {
        name: "throughput",
        best: Best::Highest,
        rounds: &|line| line.rounds.clone(),
        write: &|rate| format!("{} requests/s", units::count(rate)),
    };
    let count = |value| slice::short(&units::count(value));
    let time = |value| slice::short(&units::microseconds(value));
    let rates_axis = Axis::log("requests per second, of both kinds", count, &slice::ys(&rates));
    let own_axis = Axis::log("median of the heavy requests", time, &slice::ys(&own));
    let mut panels = vec![panel(work, rates_axis, rates)];
    if slice::xs(&own).last().is_some() {
        panels.push(panel(work, own_axis, own));
    }
    let title = format!(
        "Throughput with requests that {} ({} connections)",
        work.words(),
        base.connections
    );
    Some(figure("throughput", work, title, panels, claim(part, load, &quantity)))
}

fn panel(work: Work, y: Axis, series: Vec<Series>) -> Panel {
    let shares = slice::xs(&series);
    let least = shares.iter().copied().find(|share| share.fract() == 0.0).unwrap_or(1.0);
    let write = |share: f64| if share < 1.0 { "none".to_owned() } else { format!("{share:.0} %") };
    let label = match work {
        Work::Cpu => "share of requests that burn CPU",
        Work::Block => "share of requests that block",
    };
    // Both panels begin at none, also where only one has values there.
    let mut ticks = vec![least * NONE];
    ticks.extend(shares.into_iter().filter(|share| *share >= 1.0));
    Panel { x: Axis::log_at(label, write, &ticks), y, series }
}

fn figure(what: &str, work: Work, title: String, panels: Vec<Panel>, caption: String) -> Figure {
    let file = format!("{what}-beside-heavy-{}.svg", work.name());
    Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption)
}

/// The load without its heavy requests that most shares of this kind were measured in.
fn base(summary: &Summary, work: Work) -> Option<Load> {
    let mut bases: Vec<(Load, usize)> = Vec::new();
    for load in summary.loads() {
        if only(work, &load).is_some_and(|percent| percent > 0) {
            match bases.iter_mut().find(|(base, _)| *base == alone(load)) {
                Some((_, count)) => *count += 1,
                None => bases.push((alone(load), 1)),
            }
        }
    }
    bases.into_iter().max_by_key(|(_, count)| *count).map(|(base, _)| base)
}

/// The load without its heavy requests.
fn alone(mut load: Load) -> Load {
    load.profile.heavy = Heavy::default();
    load
}

/// The share of this kind, if there is no other.
fn only(work: Work, load: &Load) -> Option<u8> {
    let heavy = load.profile.heavy;
    let percent = heavy.percent(work);
    (u32::from(percent) == heavy.total_percent()).then_some(percent)
}

fn series(part: &Summary, work: Work, measure: Measure) -> Vec<Series> {
    let shares = part.loads().into_iter().filter_map(|load| only(work, &load));
    let least = f64::from(shares.filter(|percent| *percent > 0).min().unwrap_or(1));
    let share = |line: &Line| match only(work, &line.load).unwrap_or(0) {
        0 => least * NONE,
        percent => f64::from(percent),
    };
    slice::series(part, |_| true, share, measure)
}

/// The load that captions speak of: of those that spoiled the fewest the one with the largest share.
fn headline_load(part: &Summary, work: Work) -> Option<Load> {
    let is_heavy = |load: &Load| load.profile.heavy.total_percent() > 0;
    most_comparable(part, is_heavy, |load| only(work, load))
}
