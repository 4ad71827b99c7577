//! Values of a chart, for the script of the page.

use serde::Serialize;

use super::axis::Scale;
use super::chart::Chart;
use super::mark::corners;
use super::panel::{Panel, Point, PointMark, Series};
use crate::analysis::metric::Unit;

/// Values of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Data {
    panels: Vec<PanelData>,
    hollow_means: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct PanelData {
    x: XAxis,
    y: YAxis,
    series: Vec<SeriesData>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct XAxis {
    label: String,
    scale: Scale,
    /// True if the ticks are names of places, each of one server.
    named: bool,
    low: f64,
    high: f64,
    ticks: Vec<Tick>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Tick {
    value: f64,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct YAxis {
    label: String,
    scale: Scale,
    unit: Unit,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SeriesData {
    name: String,
    colour: String,
    dashed: bool,
    /// Corners of the marker.
    marker: String,
    points: Vec<PointData>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct PointData {
    x: f64,
    /// The x value in words.
    text: String,
    median: f64,
    low: Option<f64>,
    high: Option<f64>,
    rounds: Vec<f64>,
    marked: bool,
    hollow: bool,
}

impl Data {
    /// Values of a chart that the script leaves as it is.
    pub(super) fn none() -> Self {
        Self { panels: Vec::new(), hollow_means: "" }
    }

    /// Returns true if the script draws the chart.
    pub(crate) fn is_drawn(&self) -> bool {
        !self.panels.is_empty()
    }
}

impl Chart {
    /// Values of the chart.
    pub(super) fn data(&self) -> Data {
        let panels = self.panels.iter().map(panel).collect();
        Data { panels, hollow_means: self.hollow_means }
    }
}

fn panel(panel: &Panel) -> PanelData {
    let (low, high) = panel.x.ends();
    let ticks = panel.x.ticks().iter();
    let text = |value: f64| panel.x.text(value);
    PanelData {
        x: XAxis {
            label: panel.x.label.clone(),
            scale: panel.x.scale,
            named: panel.x.is_named(),
            low,
            high,
            ticks: ticks.map(|value| Tick { value: *value, text: text(*value) }).collect(),
        },
        y: YAxis { label: panel.y.label.clone(), scale: panel.y.scale, unit: panel.metric.unit() },
        series: panel.series.iter().map(|one| series(one, &text)).collect(),
    }
}

fn series(series: &Series, text: &dyn Fn(f64) -> String) -> SeriesData {
    let corner = |(x, y): &(i32, i32)| format!("{x},{y}");
    let corners: Vec<_> = corners(series.look.marker).iter().map(corner).collect();
    SeriesData {
        name: series.name.clone(),
        colour: series.look.hex(),
        dashed: series.look.dashed,
        marker: corners.join(" "),
        points: series.points.iter().map(|one| point(one, text(one.x))).collect(),
    }
}

fn point(point: &Point, text: String) -> PointData {
    PointData {
        x: point.x,
        text,
        median: rounded(point.y.median),
        low: point.y.range.map(|range| rounded(range.low)),
        high: point.y.range.map(|range| rounded(range.high)),
        rounds: point.rounds.iter().map(|value| rounded(*value)).collect(),
        marked: point.mark != PointMark::None,
        hollow: point.mark == PointMark::Hollow,
    }
}

/// A value with six digits, to keep pages small.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_six_digits() {
        assert_eq!(rounded(131_234.567), 131_235.0);
        assert_eq!(rounded(0.012_345_678), 0.012_345_7);
        assert_eq!(rounded(0.0), 0.0);
    }
}
