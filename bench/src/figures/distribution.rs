//! The whole distribution of response times under one load.

use loadgen::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::chart::{Chart, Panel, Point, PointMark, Series};
use super::slice;
use super::style::Look;
use crate::schedule::Cell;
use crate::spelling;
use crate::stats::Estimate;
use crate::summary::Summary;
use crate::units;

pub(super) fn of_latency(summary: &Summary, direction: Direction) -> Option<Figure> {
    let cell = busiest(summary, direction)?;
    let targets = summary.targets();
    let series: Vec<Series> = summary
        .under(cell)
        .map(|line| Series {
            name: line.target.clone(),
            look: Look::of(&line.target, &targets),
            points: line
                .spectrum()
                .filter(|(percentile, _)| *percentile < 100.0)
                .map(|(x, estimate)| Point { x, y: without_interval(estimate), mark: mark_at(x) })
                .collect(),
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    let most = *slice::xs(&series).last()?;
    let spread = series.iter().filter_map(|series| {
        let at = |percentile| series.points.iter().find(|point| point.x == percentile);
        Some((series.name.as_str(), at(99.0)?.y.median / at(50.0)?.y.median))
    });
    let widest = spread.max_by(|a, b| a.1.total_cmp(&b.1));
    let mut caption = widest.map_or_else(
        || "Too few answers to tell the tail from the middle.".to_owned(),
        |(name, factor)| {
            format!(
                "The further right, the rarer the wait. The widest spread is {name}'s: its 99th \
                 percentile is {} times its median.",
                units::three_digits(factor)
            )
        },
    );
    for line in summary.under(cell).filter(|line| line.starved()) {
        let served = line.connections_served.unwrap_or(0);
        caption += &format!(
            " {} served {served} of {} connections: what the others waited is not in its line.",
            line.target, cell.connections
        );
    }
    let x = Axis::percentiles("percentile of the answers", most);
    let write = |value| slice::short(&units::microseconds(value));
    let y = Axis::log("response time", write, &slice::ys(&series));
    let title = format!(
        "Distribution of latency ({} {}, {} connections)",
        cell.size.spaced(),
        slice::noun(direction),
        cell.connections
    );
    let panels = vec![Panel { x, y, series }];
    Some(Figure {
        file: format!("latency-distribution-{}.svg", spelling::direction::name(direction)),
        svg: Chart { title: title.clone(), panels, hollow_means: "" }.svg(),
        title,
        caption,
    })
}

/// The load with the most connections, and of those the one with the smallest files.
fn busiest(summary: &Summary, direction: Direction) -> Option<Cell> {
    let cells = summary.cells().into_iter().filter(|cell| cell.direction == direction);
    cells.max_by_key(|cell| (cell.connections, std::cmp::Reverse(cell.size)))
}

/// Markers at the percentiles that have a tick, for those who cannot tell the colours.
fn mark_at(percentile: f64) -> PointMark {
    let marked = [50.0, 90.0, 99.0, 99.9, 99.99].contains(&percentile);
    if marked { PointMark::Filled } else { PointMark::None }
}

/// Error bars at every percentile would hide the lines.
fn without_interval(estimate: Estimate) -> Estimate {
    Estimate { interval: None, ..estimate }
}
