//! One pair of axes with the lines of the servers.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Scale};
use super::emphasis::{Emphasis, Weight};
use super::lettering::text;
use super::mark::mark;
use super::style::{GRID, INK, Look, OTHERS};
use crate::analysis::metric::Metric;
use bench_data::stats::Spread;

/// Width of pictures in pixels.
pub(super) const WIDTH: u32 = 800;
/// Height of the ticks of an x axis with its label.
const TICKS_HEIGHT: u32 = 48;
/// The same for names, which are written vertically.
const NAMES_HEIGHT: u32 = 124;
/// Distance of a name from its axis.
const NAME_GAP: i32 = 10;
/// Horizontal offset between neighbouring series, as a share of the axis.
const SERIES_OFFSET: f64 = 0.008;
/// Offset of all series together at most.
const SERIES_SPREAD: f64 = 0.06;
/// Length of the dashes of a line, in pixels.
const DASH: u32 = 6;
const GAP: u32 = 4;
/// Radius of the dots of single rounds.
const ROUND_RADIUS: u32 = 2;
const ROUND_OPACITY: f64 = 0.45;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// One pair of axes.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) metric: Metric,
    pub(super) series: Vec<Series>,
}

/// The points of one server.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    /// True for a line to compare with, which is no server.
    pub(super) is_guide: bool,
    pub(super) look: Look,
    pub(super) points: Vec<Point>,
}

#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: Spread,
    pub(super) rounds: Vec<f64>,
    pub(super) mark: PointMark,
}

/// Marker of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointMark {
    /// No marker: one of many points of a line.
    None,
    /// A value.
    Filled,
    /// A value with a limitation.
    Hollow,
}

impl Series {
    /// Weight in a picture.
    pub(super) fn weight(&self, emphasis: &Emphasis) -> Weight {
        if self.is_guide { Weight::Full } else { emphasis.weight(&self.name) }
    }

    /// Appearance with a weight: grey unless it is full.
    pub(super) fn look_with(&self, weight: Weight) -> Look {
        match weight {
            Weight::Full => self.look,
            Weight::Grey | Weight::Grouped => Look { colour: OTHERS, ..self.look },
        }
    }
}

impl Panel {
    /// Panel of a metric with an axis around its values.
    pub(super) fn new(x: Axis, metric: Metric, scale: Scale, series: Vec<Series>) -> Self {
        let y = Axis::of_metric(metric, scale, &ys(&series));
        Self { x, y, metric, series }
    }

    /// Panels of several metrics with the same logarithmic range.
    pub(super) fn alike<const N: usize>(
        metrics: [Metric; N],
        series: impl Fn(Metric) -> Vec<Series>,
        x: impl Fn(&[Series]) -> Axis,
    ) -> Vec<Self> {
        let all = metrics.map(series);
        let range = ys(all.iter().flatten());
        let panels = metrics.into_iter().zip(all).map(|(metric, series)| {
            let y = Axis::of_metric(metric, Scale::Log, &range);
            Self { x: x(&series), y, metric, series }
        });
        panels.collect()
    }

    /// Returns true if it shows anything.
    pub(super) fn has_points(&self) -> bool {
        self.series.iter().any(|series| !series.points.is_empty())
    }

    pub(super) fn draw(&self, area: &Area<'_>, emphasis: &Emphasis) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin_left(8)
            .margin_right(30)
            .margin_top(6)
            .x_label_area_size(self.x_labels_height())
            .y_label_area_size(84)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .x_labels(self.x.ticks().len())
            .x_label_formatter(&|value| {
                if self.x.is_named() { String::new() } else { self.x.text(*value) }
            })
            .y_label_formatter(&|value| (self.y.write)(*value))
            .x_desc(if self.x.is_named() { "" } else { self.x.label.as_str() })
            .y_desc(&self.y.label)
            .label_style(text(16, INK))
            .axis_desc_style(text(17, INK))
            .draw()?;
        // The pair is drawn above the others.
        let mut order: Vec<(usize, &Series, Weight)> = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            order.push((index, series, series.weight(emphasis)));
        }
        order.sort_by_key(|(.., weight)| *weight);
        for (index, series, weight) in &order {
            let line = series.points.iter().map(|point| (self.x(*index, point), point.y.median));
            let style = series.look_with(*weight).colour.stroke_width(weight.line());
            if series.look.dashed {
                chart.draw_series(DashedLineSeries::new(line, DASH, GAP, style))?;
            } else {
                chart.draw_series(LineSeries::new(line, style))?;
            }
        }
        for (index, series, weight) in &order {
            // Each named place has one server, so that nothing hides another.
            if *weight == Weight::Full || self.x.is_named() {
                let style = series.look_with(*weight).colour.stroke_width(1);
                let bars = series.points.iter().filter_map(|point| {
                    let range = point.y.range?;
                    let (low, high) = (range.low.max(self.y.low()), range.high);
                    Some((self.x(*index, point), low, high))
                });
                for (x, low, high) in bars.filter(|(_, low, high)| low < high) {
                    chart.draw_series([PathElement::new([(x, low), (x, high)], style)])?;
                    let cap =
                        |y| EmptyElement::at((x, y)) + PathElement::new([(-3, 0), (3, 0)], style);
                    chart.draw_series([cap(low), cap(high)])?;
                }
                let rounds = series.points.iter().flat_map(|point| {
                    point.rounds.iter().map(|value| (self.x(*index, point), *value))
                });
                let dot = series.look_with(*weight).colour.mix(ROUND_OPACITY).filled();
                chart.draw_series(rounds.map(|at| Circle::new(at, ROUND_RADIUS, dot)))?;
            }
            if *weight == Weight::Grouped && !self.x.is_named() {
                continue;
            }
            let look = series.look_with(*weight);
            let marked = series.points.iter().filter(|point| point.mark != PointMark::None);
            chart.draw_series(marked.map(|point| {
                let hollow = point.mark == PointMark::Hollow;
                mark((self.x(*index, point), point.y.median), look, hollow)
            }))?;
        }
        if self.x.is_named() {
            // plotters centres labels at their ticks, also vertical ones.
            let style = text(15, INK).transform(FontTransform::Rotate270);
            let style = style.pos(Pos::new(HPos::Right, VPos::Center));
            let (left, top) = area.get_base_pixel();
            for place in self.x.ticks() {
                let (x, y) = chart.backend_coord(&(*place, self.y.low()));
                let at = (x - left, y - top + NAME_GAP);
                area.draw(&Text::new(self.x.text(*place), at, style.clone()))?;
            }
        }
        Ok(())
    }

    fn x_labels_height(&self) -> u32 {
        if self.x.is_named() { NAMES_HEIGHT } else { TICKS_HEIGHT }
    }

    /// Series are shifted a little, so that error bars do not hide each other. Named places have one
    /// series each.
    fn x(&self, index: usize, point: &Point) -> f64 {
        if self.x.is_named() {
            return point.x;
        }
        let from_the_middle = index as f64 - (self.series.len() as f64 - 1.0) / 2.0;
        let offset = SERIES_OFFSET.min(SERIES_SPREAD / self.series.len() as f64);
        self.x.shifted(point.x, from_the_middle * offset)
    }
}

/// All y values of some series, ends of ranges and single rounds included.
pub(super) fn ys<'s>(series: impl IntoIterator<Item = &'s Series>) -> Vec<f64> {
    series
        .into_iter()
        .flat_map(|series| &series.points)
        .flat_map(|point| {
            let ends = point.y.range.map(|range| [range.low, range.high]);
            let rounds = point.rounds.iter().copied();
            std::iter::once(point.y.median).chain(ends.into_iter().flatten()).chain(rounds)
        })
        .collect()
}
