//! Draws panels of lines with error bars, and one legend below them all.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Figure;
use super::axis::{Axis, Scale};
use super::mark::mark;
use super::style::{GRID, INK, Look, PAPER};
use crate::analysis::metric::Metric;
use bench_data::stats::Spread;

const WIDTH: u32 = 800;
const TITLE_HEIGHT: u32 = 40;
const PANEL_HEIGHT: u32 = 330;
/// Height of panels with more than [`MANY`] series.
const TALL_PANEL_HEIGHT: u32 = 430;
const MANY: usize = 6;
const LEGEND_ROW_HEIGHT: u32 = 24;
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
/// Dashes of the sample in the legend.
const LEGEND_DASHES: [(i32, i32); 3] = [(0, 6), (10, 16), (20, 26)];
/// Radius of the dots of single rounds.
const ROUND_RADIUS: u32 = 2;
const ROUND_OPACITY: f64 = 0.45;
const FONT: &str = "sans-serif";

/// A picture: panels side by side.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    /// Meaning of hollow markers, drawn below the legend.
    pub(super) hollow_means: &'static str,
}

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

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Chart {
    /// Draws the chart.
    pub(super) fn figure(self, file: String, caption: String) -> Figure {
        Figure { file, caption, svg: self.svg(), data: self.data(), title: self.title }
    }

    fn svg(&self) -> String {
        let mut svg = String::new();
        let rows = self.legend_rows();
        let notes = u32::from(self.has_hollow());
        let height =
            TITLE_HEIGHT + self.panel_height() + LEGEND_ROW_HEIGHT * (rows.len() as u32 + notes);
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height + 8)).into_drawing_area();
            self.draw(&area, &rows).expect("drawing into a string has nothing that can fail");
        }
        svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", self.title), 1)
    }

    fn draw(&self, area: &Area<'_>, rows: &[Vec<&Series>]) -> Drawn {
        area.fill(&PAPER)?;
        area.draw(&Text::new(self.title.clone(), (14, 12), text(20, INK)))?;
        let (_, below) = area.split_vertically(TITLE_HEIGHT);
        let (panels, legend) = below.split_vertically(self.panel_height());
        for (panel, area) in self.panels.iter().zip(panels.split_evenly((1, self.panels.len()))) {
            panel.draw(&area)?;
        }
        for (index, row) in rows.iter().enumerate() {
            draw_legend(&legend, row, (index as u32 * LEGEND_ROW_HEIGHT) as i32 + 14)?;
        }
        if self.has_hollow() {
            let at = ((WIDTH / 2) as i32, (rows.len() as u32 * LEGEND_ROW_HEIGHT) as i32 + 14);
            let style = text(15, INK).pos(Pos::new(HPos::Center, VPos::Center));
            legend.draw(&Text::new(format!("hollow: {}", self.hollow_means), at, style))?;
        }
        Ok(())
    }

    fn panel_height(&self) -> u32 {
        let many = self.panels.iter().any(|panel| panel.series.len() > MANY || panel.x.is_named());
        if many { TALL_PANEL_HEIGHT } else { PANEL_HEIGHT }
    }

    fn has_hollow(&self) -> bool {
        let mut series = self.panels.iter().flat_map(|panel| &panel.series);
        series.any(|series| series.points.iter().any(|point| point.mark == PointMark::Hollow))
    }

    /// Returns true if the axes name the servers.
    fn is_named(&self) -> bool {
        self.panels.iter().all(|panel| panel.x.is_named())
    }

    fn legend_rows(&self) -> Vec<Vec<&Series>> {
        let mut rows: Vec<Vec<&Series>> = vec![Vec::new()];
        let mut seen: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if seen.contains(&series.name.as_str()) || self.is_named() {
                continue;
            }
            seen.push(&series.name);
            let last = rows.len() - 1;
            let taken: i32 = rows[last].iter().map(|series| legend_width(series)).sum();
            if taken + legend_width(series) > WIDTH as i32 - 20 {
                rows.push(vec![series]);
            } else {
                rows[last].push(series);
            }
        }
        rows
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

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin_left(8)
            .margin_right(30)
            .margin_top(6)
            .x_label_area_size(self.x_labels_height())
            .y_label_area_size(74)
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
            .label_style(text(15, INK))
            .axis_desc_style(text(16, INK))
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let line = series.points.iter().map(|point| (self.x(index, point), point.y.median));
            let style = series.look.colour.stroke_width(2);
            if series.look.dashed {
                chart.draw_series(DashedLineSeries::new(line, DASH, GAP, style))?;
            } else {
                chart.draw_series(LineSeries::new(line, style))?;
            }
        }
        for (index, series) in self.series.iter().enumerate() {
            let style = series.look.colour.stroke_width(1);
            let bars = series.points.iter().filter_map(|point| {
                let range = point.y.range?;
                let (low, high) = (range.low.max(self.y.low()), range.high);
                Some((self.x(index, point), low, high))
            });
            for (x, low, high) in bars.filter(|(_, low, high)| low < high) {
                chart.draw_series([PathElement::new([(x, low), (x, high)], style)])?;
                let cap = |y| EmptyElement::at((x, y)) + PathElement::new([(-3, 0), (3, 0)], style);
                chart.draw_series([cap(low), cap(high)])?;
            }
            let rounds = series
                .points
                .iter()
                .flat_map(|point| point.rounds.iter().map(|value| (self.x(index, point), *value)));
            let dot = series.look.colour.mix(ROUND_OPACITY).filled();
            chart.draw_series(rounds.map(|at| Circle::new(at, ROUND_RADIUS, dot)))?;
            let marked = series.points.iter().filter(|point| point.mark != PointMark::None);
            chart.draw_series(marked.map(|point| {
                let hollow = point.mark == PointMark::Hollow;
                mark((self.x(index, point), point.y.median), series.look, hollow)
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

fn draw_legend(area: &Area<'_>, row: &[&Series], y: i32) -> Drawn {
    let total: i32 = row.iter().map(|series| legend_width(series)).sum();
    let mut x = (WIDTH as i32 - total) / 2;
    for series in row {
        let style = series.look.colour.stroke_width(2);
        let dashes: &[(i32, i32)] = if series.look.dashed { &LEGEND_DASHES } else { &[(0, 26)] };
        for (from, to) in dashes {
            area.draw(&PathElement::new([(x + from, y), (x + to, y)], style))?;
        }
        area.draw(&mark((x + 13, y), series.look, false))?;
        let style = (FONT, 16).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.clone(), (x + 33, y), style))?;
        x += legend_width(series);
    }
    Ok(())
}

/// Width of the sample, the name and the gap to the next entry. Fonts are not measured: 8 pixels hold
/// most letters.
fn legend_width(series: &Series) -> i32 {
    33 + 8 * series.name.chars().count() as i32 + 18
}

fn text(pixels: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, pixels).into_font().color(&colour)
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
