//! Which lines of a summary belong into one chart.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::load::Direction;

use super::chart::{Point, PointMark, Series};
use super::measure::Measure;
use super::style::Look;
use crate::analysis::comparison::most_comparable;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::record::outcome::Outcome;

/// What hollow markers mean in charts of [`lines`].
pub(super) const HOLLOW_MEANS: &str =
    "not all connections were served, or requests failed, or the generator was the limit";

/// The size under which most connection counts were measured (the smallest of several), if there
/// were at least two.
pub(super) fn size_with_most_connections(
    summary: &Summary,
    direction: Direction,
) -> Option<ByteSize> {
    richest(summary, direction, |line| (line.load.size, line.load.connections as u64))
}

/// The connection count under which most sizes were measured, if there were at least two.
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

/// One series for each server: a point for each of the lines that are asked for and have a value.
pub(super) fn series(
    summary: &Summary,
    wanted: impl Fn(&Line) -> bool,
    x: impl Fn(&Line) -> f64,
    measure: Measure,
) -> Vec<Series> {
    let targets = summary.targets();
    targets
        .iter()
        .map(|target| {
            let lines = summary.lines.iter().filter(|line| line.target == *target && wanted(line));
            let mut points: Vec<_> = lines
                .filter_map(|line| {
                    let (y, rounds) = (measure.of(line)?, measure.rounds(line));
                    Some(Point { x: x(line), y, rounds, mark: mark_of(line) })
                })
                .collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            let look = Look::of(target, &targets);
            Series { name: (*target).to_owned(), look, measure, points }
        })
        .collect()
}

/// Hollow where what the line says about speed is not the whole truth.
fn mark_of(line: &Line) -> PointMark {
    let qualified = line.count(Outcome::GeneratorBound) + line.count(Outcome::Errors) > 0;
    if line.starved() || qualified { PointMark::Hollow } else { PointMark::Filled }
}

/// The distinct x values of some series, in order.
pub(super) fn xs(series: &[Series]) -> Vec<f64> {
    let mut values: Vec<f64> =
        series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Every y value of some series, ends of intervals and single rounds included.
pub(super) fn ys<'s>(series: impl IntoIterator<Item = &'s Series>) -> Vec<f64> {
    series
        .into_iter()
        .flat_map(|series| &series.points)
        .flat_map(|point| {
            let ends = point.y.interval.map(|interval| [interval.low, interval.high]);
            let rounds = point.rounds.iter().copied();
            std::iter::once(point.y.median).chain(ends.into_iter().flatten()).chain(rounds)
        })
        .collect()
}

/// The load that a caption speaks of: of those of a chart the one that spoiled the fewest servers'
/// trials, and of these the one furthest to the right.
pub(super) fn headline_load(summary: &Summary, wanted: impl Fn(&Load) -> bool) -> Option<Load> {
    most_comparable(summary, wanted, |load| (load.connections, load.size))
}

/// What sets the loads of a part apart, behind a title; nothing for usual ones.
pub(super) fn apart(summary: &Summary) -> String {
    let profile = summary.lines.first().map(|line| line.load.profile).unwrap_or_default();
    profile.remarks().iter().map(|remark| format!(", {remark}")).collect()
}

/// The same in a file's name, with its ending.
pub(super) fn ending(summary: &Summary) -> String {
    let profile = summary.lines.first().map(|line| line.load.profile).unwrap_or_default();
    format!("{}.svg", profile.slug())
}

/// The direction as a title says it.
pub(super) fn noun(direction: Direction) -> &'static str {
    match direction {
        Direction::Download => "downloads",
        Direction::Upload => "uploads",
        Direction::Echo => "echoed lines",
    }
}

/// A connection count at its tick: `64`, `10k`.
pub(super) fn write_connections(connections: f64) -> String {
    if connections >= 1e4 && connections % 1e3 == 0.0 {
        return format!("{:.0}k", connections / 1e3);
    }
    format!("{connections:.0}")
}

/// A size at its tick.
pub(super) fn write_size(bytes: f64) -> String {
    ByteSize::new(bytes as u64).spaced()
}

/// A value on a logarithmic axis without needless digits: `2k`, `50 ms`, `0.5`.
pub(super) fn short(text: &str) -> String {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    format!("{number}{unit}")
}
