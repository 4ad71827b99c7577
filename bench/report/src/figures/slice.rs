//! Selection of the lines of a summary that belong into one chart.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::load::byte_size::ByteSize;
use bench_data::load::{Direction, Load, words};
use bench_data::record::outcome::Outcome;
use bench_data::stats::Spread;

use super::axis::{Axis, Scale};
use super::panel::{Panel, Point, PointMark, Series, ys};
use super::style::Look;
use crate::analysis::metric::{Metric, Percentile};
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::{Line, Summary, values};

/// Meaning of hollow markers in charts of lines.
pub(super) const HOLLOW_MEANS: &str =
    "not all connections were served, or requests failed, or the load generator was the limit";

/// Limit of charts of latencies; empty if every connection was served.
pub(super) fn without_reply(summary: &Summary) -> &'static str {
    match summary.lines.iter().any(Line::starved) {
        true => "Connections without a reply in the window are not included.",
        false => "",
    }
}

/// The size with the most connection counts (the smallest of several), if there are at least two.
pub(super) fn size_with_most_connections(
    summary: &Summary,
    direction: Direction,
) -> Option<ByteSize> {
    richest(summary, direction, |line| (line.load.size, line.load.connections as u64))
}

/// The connection count with the most sizes, if there are at least two.
pub(super) fn connections_with_most_sizes(
    summary: &Summary,
    direction: Direction,
) -> Option<usize> {
    richest(summary, direction, |line| (line.load.connections, line.load.size.bytes()))
}

fn richest<Key: Ord + Copy>(
    summary: &Summary,
    direction: Direction,
    split: fn(&Line) -> (Key, u64),
) -> Option<Key> {
    let mut values: BTreeMap<Key, BTreeSet<u64>> = BTreeMap::new();
    for line in summary.lines.iter().filter(|line| line.load.direction == direction) {
        let (key, value) = split(line);
        values.entry(key).or_default().insert(value);
    }
    let most = values.values().map(BTreeSet::len).max().filter(|most| *most >= 2)?;
    values.into_iter().find(|(_, values)| values.len() == most).map(|(key, _)| key)
}

/// One series for each server: a point for each line under a wanted load with a value.
pub(super) fn series(
    summary: &Summary,
    wanted: impl Fn(&Load) -> bool,
    x: impl Fn(&Load) -> f64,
    metric: Metric,
) -> Vec<Series> {
    let targets = summary.targets();
    // Nearly all axes of these are logarithmic, and have no place for 0.
    let is_positive =
        matches!(metric, Metric::SwitchesPerRequest | Metric::TransferRate | Metric::Memory);
    targets
        .iter()
        .map(|target| {
            let is_one = |line: &&Line| line.target == *target && wanted(&line.load);
            let mut points: Vec<_> = summary
                .lines
                .iter()
                .filter(is_one)
                .filter_map(|line| {
                    let y = line.spread(metric).filter(|y| y.median > 0.0 || !is_positive)?;
                    let rounds = values(line.rounds(metric));
                    Some(Point { x: x(&line.load), y, rounds, mark: mark_of(line) })
                })
                .collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            let (name, look) = ((*target).to_owned(), Look::of(target, &targets));
            Series { name, is_guide: false, look, points }
        })
        .collect()
}

/// Hollow for values that do not show the speed of the server alone.
fn mark_of(line: &Line) -> PointMark {
    let qualified = line.count(Outcome::GeneratorBound) + line.count(Outcome::Errors) > 0;
    if line.starved() || qualified { PointMark::Hollow } else { PointMark::Filled }
}

/// A distribution of times: its metric at a percentile.
type Distribution = fn(Percentile) -> Metric;

/// Panels over the percentiles of distributions with their labels, with one range of times. `None`
/// without values.
pub(super) fn spectra(
    summary: &Summary,
    load: Load,
    distributions: &[(&str, Distribution)],
) -> Option<Vec<Panel>> {
    let targets = summary.targets();
    // Error bars and rounds at every percentile would hide the lines.
    let point = |(x, median): (f64, f64)| {
        let has_mark = [50.0, 90.0, 99.0, 99.9, 99.99].contains(&x);
        let mark = if has_mark { PointMark::Filled } else { PointMark::None };
        Point { x, y: Spread::single(median), rounds: Vec::new(), mark }
    };
    let series_of = |distribution: Distribution| -> Vec<Series> {
        let series = summary.under(load).map(|line| Series {
            name: line.target.clone(),
            is_guide: false,
            look: Look::of(&line.target, &targets),
            points: line
                .spectrum(distribution)
                .filter(|(percentile, _)| *percentile < 100.0)
                .map(point)
                .collect(),
        });
        series.filter(|series| !series.points.is_empty()).collect()
    };
    let all: Vec<_> = distributions.iter().map(|(_, one)| series_of(*one)).collect();
    let most = *xs(all.first()?).last()?;
    let range = ys(all.iter().flatten());
    let panels = distributions.iter().zip(all).map(|((label, of), series)| {
        let metric = of(Percentile::P50);
        let mut y = Axis::of_metric(metric, Scale::Log, &range);
        (*label).clone_into(&mut y.label);
        Panel { x: Axis::percentiles("percentile", most), y, metric, series }
    });
    Some(panels.collect())
}

/// The most frequent of some loads, of those that are wanted with their number.
pub(super) fn most_frequent(
    loads: impl Iterator<Item = Load>,
    wanted: impl Fn(&Load, usize) -> bool,
) -> Option<Load> {
    let mut counts: Vec<(Load, usize)> = Vec::new();
    for load in loads {
        match counts.iter_mut().find(|(other, _)| *other == load) {
            Some((_, count)) => *count += 1,
            None => counts.push((load, 1)),
        }
    }
    let wanted = counts.into_iter().filter(|(load, count)| wanted(load, *count));
    wanted.max_by_key(|(_, count)| *count).map(|(load, _)| load)
}

/// Distinct x values of some series, in order.
pub(super) fn xs(series: &[Series]) -> Vec<f64> {
    let mut values: Vec<f64> =
        series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Load of a title: that of the main comparison if it is wanted; else the most comparable one; of
/// several that of the highest rank.
pub(super) fn title_load<Rank: Ord>(
    summary: &Summary,
    wanted: impl Fn(&Load) -> bool,
    rank: impl Fn(&Load) -> Rank,
) -> Option<Load> {
    let main = summary.main.map(|(load, _)| load);
    main.filter(|load| wanted(load) && summary.loads().contains(load))
        .or_else(|| most_comparable(summary, wanted, rank))
}

/// Conditions that are the same for all points of a chart. 0 connections: they differ.
pub(super) fn conditions(load: Load) -> Vec<String> {
    let connections = (load.connections > 0).then(|| words::connections(load.connections));
    std::iter::once(words::requests(load))
        .chain(connections)
        .chain(load.profile.remarks())
        .collect()
}

/// Connection count at its tick: `64`, `10k`.
pub(super) fn write_connections(connections: f64) -> String {
    if connections >= 1e4 && connections % 1e3 == 0.0 {
        return format!("{:.0}k", connections / 1e3);
    }
    format!("{connections:.0}")
}
