//! The whole distribution of response times under one load.

use std::cmp::Reverse;

use bench_data::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel, Point, PointMark, Series};
use super::measure::Measure;
use super::slice;
use super::style::Look;
use crate::analysis::comparison::Best;
use crate::analysis::comparison::most_comparable;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::stats::Estimate;
use bench_data::units;

pub(super) fn of_latency(summary: &Summary, direction: Direction) -> Option<Figure> {
    let load = busiest(summary, direction)?;
    let targets = summary.targets();
    let series: Vec<Series> = summary
        .under(load)
        .map(|line| Series {
            name: line.target.clone(),
            look: Look::of(&line.target, &targets),
            measure: Measure::Latency(50.0),
            points: line
                .spectrum()
                .filter(|(percentile, _)| *percentile < 100.0)
                .map(|(x, estimate)| point(x, estimate))
                .collect(),
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    let most = *slice::xs(&series).last()?;
    let quantity = Quantity {
        name: "the 99th percentile by the median",
        best: Best::Lowest,
        rounds: &spread,
        write: &units::three_digits,
    };
    let mut caption =
        format!("The further right, the rarer the wait. {}", claim(summary, load, &quantity));
    if summary.under(load).any(Line::starved) {
        caption += " What connections without an answer waited is in no line.";
    }
    let x = Axis::percentiles("percentile of the answers", most);
    let write = |value| slice::short(&units::microseconds(value));
    let y = Axis::log("response time", write, &slice::ys(&series));
    let title = format!(
        "Distribution of latency ({} {}, {} connections{})",
        load.size.spaced(),
        slice::noun(direction),
        load.connections,
        slice::apart(summary)
    );
    let panels = vec![Panel { x, y, series }];
    let file = format!("latency-distribution-{}{}", direction, slice::ending(summary));
    Some(Chart { title, panels, hollow_means: "" }.figure(file, caption))
}

/// The load that a verdict speaks of first: see [`most_comparable`].
fn busiest(summary: &Summary, direction: Direction) -> Option<Load> {
    most_comparable(
        summary,
        |load| load.direction == direction,
        |load| (load.connections, Reverse(load.size)),
    )
}

/// How much longer the rare wait is than the usual one, round by round.
fn spread(line: &Line) -> Vec<(u32, f64)> {
    let (usual, rare) = (line.latency_rounds(50.0), line.latency_rounds(99.0));
    rare.iter()
        .filter_map(|(round, rare)| {
            let (_, usual) = usual.iter().find(|(other, usual)| other == round && *usual > 0.0)?;
            Some((*round, rare / usual))
        })
        .collect()
}

/// Markers at the percentiles that have a tick, for those who cannot tell the colours.
fn mark_at(percentile: f64) -> PointMark {
    let marked = [50.0, 90.0, 99.0, 99.9, 99.99].contains(&percentile);
    if marked { PointMark::Filled } else { PointMark::None }
}

/// Error bars and rounds at every percentile would hide the lines.
fn point(x: f64, estimate: Estimate) -> Point {
    let y = Estimate { interval: None, ..estimate };
    Point { x, y, rounds: Vec::new(), mark: mark_at(x) }
}
