//! The forest plot: how far one of two servers is ahead of the other, for every experiment.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

use super::lettering::{bold, escaped, text, wrapped};
use super::panel::{Area, Drawn};
use super::style::{BAND, GRID, INK, Look, PAPER, SOFT};
use crate::analysis::forest::{Forest, ForestRow, Standing};
use crate::analysis::sentence::answer::{self, Place, RowWords};
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::verdict::{Direction, MARGIN, Verdict};

/// File of the plot within `plots/`.
pub const FILE: &str = "answer.svg";

/// The forest plot of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ForestPlot {
    /// Finding of the plot.
    pub title: String,
    /// Legend of intervals and marks.
    pub caption: String,
    /// Picture with its title.
    pub svg: String,
    /// Picture without title, below the answer of a page.
    pub wide: String,
    /// Likewise, for narrow screens.
    pub narrow: String,
}

/// Least factor that each side of the axis reaches.
const LEAST_REACH: f64 = 1.5;
/// Factor beyond which the axis is cut, so that small factors remain visible.
const MOST_REACH: f64 = 10.0;
/// Factor that is left free beyond the outermost value.
const FREE: f64 = 1.06;
/// Factors with a tick.
const LADDER: [f64; 7] = [1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0];
const LINE_HEIGHT: i32 = 17;
const ROW_GAP: i32 = 10;
const STRIP_HEIGHT: i32 = 24;

/// Places within the picture, in pixels.
#[derive(Debug, Clone, Copy)]
struct Layout {
    width: i32,
    /// Left and right end of the axis.
    axis: (i32, i32),
    /// Letters per line of the labels, and of the values.
    letters: (usize, usize),
    /// Letters per line of title and legend.
    letters_of_title: usize,
    /// Left end of the values; `None` if they are above the axis instead of beside it.
    values: Option<i32>,
}

const WIDE: Layout = Layout {
    width: 960,
    axis: (468, 740),
    letters: (68, 29),
    letters_of_title: 86,
    values: Some(756),
};

const NARROW: Layout =
    Layout { width: 360, axis: (10, 350), letters: (50, 50), letters_of_title: 34, values: None };

/// A row with its wrapped texts.
struct RowText {
    name: Vec<String>,
    condition: Vec<String>,
    figure: Option<String>,
    verdict: Vec<String>,
}

struct Picture<'f> {
    forest: &'f Forest,
    rows: Vec<RowText>,
    title: Vec<String>,
    subtitle: Vec<String>,
    legend: Vec<(Sample, &'static str)>,
    layout: Layout,
    /// Lowest and highest ratio of the axis.
    ends: (f64, f64),
    looks: [Look; 2],
}

/// A mark of the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    Different,
    Equivalent,
    Undecided,
    Bound,
    /// An arrow: the value lies beyond the end of the axis.
    Beyond,
}

/// Draws the plot of a run with several experiments, or with one. `targets` are all servers of the run.
pub fn draw(forest: &Forest, place: Place, targets: &[&str], has_experiments: bool) -> ForestPlot {
    let title = answer::title(forest, has_experiments);
    let subtitle = answer::subtitle(forest, place);
    let of = |title, layout| Picture::of(forest, title, &subtitle, targets, layout).svg();
    ForestPlot {
        svg: of(&*title, WIDE),
        wide: of("", WIDE),
        narrow: of("", NARROW),
        caption: answer::caption(forest, has_experiments),
        title,
    }
}

impl<'f> Picture<'f> {
    fn of(
        forest: &'f Forest,
        title: &str,
        subtitle: &str,
        targets: &[&str],
        layout: Layout,
    ) -> Self {
        let texts = |words: RowWords| {
            let (figure, verdict) = match (layout.values, words.figure) {
                (None, Some(figure)) => (None, format!("{figure}: {}", words.verdict)),
                (_, figure) => (figure, words.verdict),
            };
            RowText {
                name: wrapped(&words.name, layout.letters.0 - 8),
                condition: wrapped(&words.condition, layout.letters.0),
                figure,
                verdict: wrapped(&verdict, layout.letters.1),
            }
        };
        let known = [
            (Sample::Different, "different"),
            (Sample::Equivalent, "equivalent within 5 % (shaded)"),
            (Sample::Undecided, "undecided"),
            (Sample::Bound, "lower bound (≥)"),
            (Sample::Beyond, "beyond the axis"),
        ];
        let ends = ends_of(forest.rows.iter().map(|row| &row.standing));
        let is_used = |sample: Sample| match sample {
            Sample::Beyond => forest.rows.iter().any(|row| is_beyond(row, ends)),
            Sample::Different | Sample::Equivalent | Sample::Undecided | Sample::Bound => {
                forest.rows.iter().any(|row| of(row) == Some(sample))
            }
        };
        Self {
            forest,
            rows: answer::rows(forest).into_iter().map(texts).collect(),
            title: wrapped(title, layout.letters_of_title),
            subtitle: wrapped(subtitle, layout.letters_of_title * 3 / 2),
            legend: known.into_iter().filter(|(sample, _)| is_used(*sample)).collect(),
            layout,
            ends,
            looks: [&forest.pair.first, &forest.pair.second].map(|name| Look::of(name, targets)),
        }
    }

    fn svg(&self) -> String {
        let mut svg = String::new();
        let size = (self.layout.width as u32, self.height() as u32);
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.draw(&area).expect("drawing into a string has nothing that can fail");
        }
        let label = escaped(&self.title.join(" "));
        svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
    }

    fn top(&self) -> i32 {
        10 + self.title.len() as i32 * 24 + self.subtitle.len() as i32 * LINE_HEIGHT + 30
    }

    fn row_height(&self, row: &RowText) -> i32 {
        let label = row.name.len() + row.condition.len();
        let values = row.verdict.len() + usize::from(row.figure.is_some());
        match self.layout.values {
            Some(_) => label.max(values) as i32 * LINE_HEIGHT + ROW_GAP,
            None => (label + values) as i32 * LINE_HEIGHT + STRIP_HEIGHT + ROW_GAP,
        }
    }

    fn bottom(&self) -> i32 {
        self.top() + self.rows.iter().map(|row| self.row_height(row)).sum::<i32>()
    }

    fn height(&self) -> i32 {
        self.bottom() + 42 + self.legend_rows().len() as i32 * 22
    }

    /// Place of a ratio on the axis.
    fn x(&self, ratio: f64) -> i32 {
        let (low, high) = self.ends;
        let (left, right) = self.layout.axis;
        let share = (ratio.clamp(low, high) / low).ln() / (high / low).ln();
        left + (share * f64::from(right - left)).round() as i32
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        area.fill(&PAPER)?;
        let mut y = 8;
        for line in &self.title {
            area.draw(&Text::new(line.clone(), (10, y), bold(22)))?;
            y += 24;
        }
        for line in &self.subtitle {
            area.draw(&Text::new(line.clone(), (10, y), text(16, SOFT)))?;
            y += LINE_HEIGHT;
        }
        self.draw_axis(area)?;
        let mut y = self.top();
        for (row, texts) in self.forest.rows.iter().zip(&self.rows) {
            self.draw_row(area, row, texts, y)?;
            y += self.row_height(texts);
        }
        self.draw_legend(area)
    }

    fn draw_axis(&self, area: &Area<'_>) -> Drawn {
        let (top, bottom) = (self.top(), self.bottom());
        let (left, right) = self.layout.axis;
        let ticks = ticks(self.ends, |ratio| self.x(ratio));
        for (from, to) in self.strips() {
            let band = [(self.x(1.0 / MARGIN), from), (self.x(MARGIN), to)];
            area.draw(&Rectangle::new(band, BAND.filled()))?;
            for (ratio, _) in &ticks {
                let (x, colour) = (self.x(*ratio), if *ratio == 1.0 { INK } else { GRID });
                area.draw(&PathElement::new([(x, from), (x, to)], colour.stroke_width(1)))?;
            }
        }
        area.draw(&PathElement::new([(left, bottom), (right, bottom)], INK.stroke_width(1)))?;
        for (ratio, label) in ticks {
            let style = text(16, SOFT).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(label, (self.x(ratio), bottom + 6), style))?;
        }
        let equal = self.x(1.0);
        let [first, second] = self.forest.pair.sides();
        let sides = [
            (format!("← {first} better"), equal - 8, HPos::Right),
            (format!("{second} better →"), equal + 8, HPos::Left),
        ];
        for ((label, x, anchor), look) in sides.into_iter().zip(self.looks) {
            // A label that is longer than its side ends at the edge of the picture.
            let wide = 9 * label.chars().count() as i32;
            let x = match anchor {
                HPos::Right => x.max(wide + 4),
                HPos::Left | HPos::Center => x.min(self.layout.width - wide - 4),
            };
            let style = bold(17).color(&look.colour).pos(Pos::new(anchor, VPos::Bottom));
            area.draw(&Text::new(label, (x, top - 6), style))?;
        }
        Ok(())
    }

    /// Vertical extents in which the axis is drawn: all rows, or the strip of each.
    fn strips(&self) -> Vec<(i32, i32)> {
        if self.layout.values.is_some() {
            return vec![(self.top(), self.bottom())];
        }
        let ends = self.rows.iter().scan(self.top(), |y, row| {
            *y += self.row_height(row);
            Some(*y - ROW_GAP / 2)
        });
        ends.map(|end| (end - STRIP_HEIGHT, end)).collect()
    }

    fn draw_row(&self, area: &Area<'_>, row: &ForestRow, texts: &RowText, top: i32) -> Drawn {
        let mut y = top + ROW_GAP / 2;
        for line in &texts.name {
            area.draw(&Text::new(line.clone(), (10, y), text(18, INK)))?;
            y += LINE_HEIGHT;
        }
        for line in &texts.condition {
            area.draw(&Text::new(line.clone(), (10, y), text(16, SOFT)))?;
            y += LINE_HEIGHT;
        }
        let (x, mut below) = match self.layout.values {
            Some(x) => (x, top + ROW_GAP / 2),
            None => (10, y),
        };
        if let Some(figure) = &texts.figure {
            let style = if row.standing.is_difference() { bold(18) } else { text(18, INK) };
            area.draw(&Text::new(figure.clone(), (x, below), style))?;
            below += LINE_HEIGHT;
        }
        for line in &texts.verdict {
            let colour = if self.layout.values.is_some() { SOFT } else { INK };
            area.draw(&Text::new(line.clone(), (x, below), text(16, colour)))?;
            below += LINE_HEIGHT;
        }
        let end = top + self.row_height(texts);
        let middle = match self.layout.values {
            Some(_) => i32::midpoint(top, end),
            None => end - ROW_GAP / 2 - STRIP_HEIGHT / 2,
        };
        let line = [(10, end), (self.layout.width - 10, end)];
        area.draw(&PathElement::new(line, GRID.stroke_width(1)))?;
        self.draw_standing(area, &row.standing, middle)
    }

    fn draw_standing(&self, area: &Area<'_>, standing: &Standing, y: i32) -> Drawn {
        match standing {
            Standing::Compared(one) => {
                let colour = self.colour(standing);
                let (low, high) = reach(&one.ratio);
                // A range of few rounds is no interval.
                let width = if one.ratio.interval().is_some() { 3 } else { 1 };
                let (left, right) = (self.x(low), self.x(high));
                area.draw(&PathElement::new([(left, y), (right, y)], colour.stroke_width(width)))?;
                let ends = [(low, left), (high, right)];
                let within = |(end, _): &(f64, i32)| self.ends.0 <= *end && *end <= self.ends.1;
                for (_, x) in ends.into_iter().filter(within) {
                    let cap = [(x, y - 4), (x, y + 4)];
                    area.draw(&PathElement::new(cap, colour.stroke_width(width.min(2))))?;
                }
                let at = self.x(one.ratio.ratio);
                if one.ratio.ratio > self.ends.1 {
                    return draw_mark(area, (at - 6, y), Sample::Beyond, colour, true);
                }
                if one.ratio.ratio < self.ends.0 {
                    return draw_mark(area, (at + 6, y), Sample::Beyond, colour, false);
                }
                draw_mark(area, (at, y), sample_of(one.verdict), colour, true)
            }
            Standing::Bound { ratio, of_second } => {
                let colour = self.colour(standing);
                let (left, right) = self.layout.axis;
                let (from, to) = (self.x(ratio.ratio), if *of_second { right } else { left });
                area.draw(&PathElement::new([(from, y), (to, y)], colour.stroke_width(2)))?;
                let head = if *of_second { -7 } else { 7 };
                let tip = [(to + head, y - 5), (to, y), (to + head, y + 5)];
                area.draw(&PathElement::new(tip, colour.stroke_width(2)))?;
                draw_mark(area, (from, y), Sample::Bound, colour, *of_second)
            }
            Standing::Void | Standing::Missing { .. } => {
                let middle = i32::midpoint(self.layout.axis.0, self.layout.axis.1);
                let word = if *standing == Standing::Void { "void" } else { "not compared" };
                let style = text(16, SOFT).pos(Pos::new(HPos::Center, VPos::Center));
                let at = (middle, y);
                let half = word.len() as i32 * 4 + 4;
                let behind = [(middle - half, y - 9), (middle + half, y + 9)];
                area.draw(&Rectangle::new(behind, PAPER.filled()))?;
                Ok(area.draw(&Text::new(word, at, style))?)
            }
        }
    }

    /// Colour of the server that is ahead, if one is shown to be.
    fn colour(&self, standing: &Standing) -> RGBColor {
        let [first, second] = self.looks.map(|look| look.colour);
        match (standing, standing.verdict()) {
            (Standing::Bound { of_second, .. }, _) => {
                if *of_second {
                    second
                } else {
                    first
                }
            }
            (_, Some(Verdict::Different(Direction::Above))) => second,
            (_, Some(Verdict::Different(Direction::Below))) => first,
            (_, Some(Verdict::Equivalent)) => INK,
            _ => SOFT,
        }
    }

    fn legend_rows(&self) -> Vec<Vec<(Sample, &'static str)>> {
        let mut rows: Vec<Vec<(Sample, &'static str)>> = Vec::new();
        let mut taken = self.layout.width;
        for entry in &self.legend {
            let wide = entry_width(entry.1);
            if taken + wide > self.layout.width - 10 {
                rows.push(Vec::new());
                taken = 10;
            }
            taken += wide;
            rows.last_mut().expect("a row was added above").push(*entry);
        }
        rows
    }

    fn draw_legend(&self, area: &Area<'_>) -> Drawn {
        let mut y = self.bottom() + 40;
        for row in self.legend_rows() {
            let mut x = 10;
            for (sample, name) in row {
                let colour = match sample {
                    Sample::Different | Sample::Bound | Sample::Beyond => self.looks[1].colour,
                    Sample::Equivalent => INK,
                    Sample::Undecided => SOFT,
                };
                let ends = [(x, y), (x + 28, y)];
                area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
                draw_mark(area, (x + 14, y), sample, colour, true)?;
                let style = text(16, INK).pos(Pos::new(HPos::Left, VPos::Center));
                area.draw(&Text::new(name, (x + 35, y), style))?;
                x += entry_width(name);
            }
            y += 22;
        }
        Ok(())
    }
}

/// Ratios with a tick between two ends, and their labels: factors on both sides of 1. `place` is the place of a
/// ratio on the axis.
pub(super) fn ticks((low, high): (f64, f64), place: impl Fn(f64) -> i32) -> Vec<(f64, String)> {
    const APART: i32 = 38;
    let mut ticks = vec![(1.0, "equal".to_owned())];
    for above in [true, false] {
        let mut last = place(1.0);
        for factor in LADDER {
            let ratio = if above { factor } else { 1.0 / factor };
            let x = place(ratio);
            if ratio >= low && ratio <= high && (x - last).abs() >= APART {
                ticks.push((ratio, format!("{factor}×")));
                last = x;
            }
        }
    }
    ticks
}

fn entry_width(name: &str) -> i32 {
    35 + 8 * name.chars().count() as i32 + 14
}

fn of(row: &ForestRow) -> Option<Sample> {
    match &row.standing {
        Standing::Compared(one) => Some(sample_of(one.verdict)),
        Standing::Bound { .. } => Some(Sample::Bound),
        Standing::Void | Standing::Missing { .. } => None,
    }
}

pub(super) fn sample_of(verdict: Verdict) -> Sample {
    match verdict {
        Verdict::Different(_) => Sample::Different,
        Verdict::Equivalent => Sample::Equivalent,
        Verdict::Undecided => Sample::Undecided,
    }
}

pub(super) fn draw_mark(
    area: &Area<'_>,
    (x, y): (i32, i32),
    sample: Sample,
    colour: RGBColor,
    points_right: bool,
) -> Drawn {
    match sample {
        Sample::Different => {
            let corners = vec![(x - 7, y), (x, y - 7), (x + 7, y), (x, y + 7)];
            area.draw(&Polygon::new(corners, colour.filled()))?;
        }
        Sample::Equivalent => area.draw(&Circle::new((x, y), 5, colour.filled()))?,
        Sample::Undecided => {
            area.draw(&Circle::new((x, y), 5, PAPER.filled()))?;
            area.draw(&Circle::new((x, y), 5, colour.stroke_width(2)))?;
        }
        Sample::Beyond => {
            let tip = if points_right { 7 } else { -7 };
            let tail = [(x - 3 * tip, y), (x, y)];
            area.draw(&PathElement::new(tail, colour.stroke_width(3)))?;
            let corners = vec![(x - tip, y - 7), (x + tip, y), (x - tip, y + 7)];
            area.draw(&Polygon::new(corners, colour.filled()))?;
        }
        Sample::Bound => {
            let tip = if points_right { 7 } else { -7 };
            let corners = vec![(x - tip, y - 7), (x + tip, y), (x - tip, y + 7)];
            area.draw(&Polygon::new(corners.clone(), PAPER.filled()))?;
            let outline = corners.iter().chain(&corners[..1]).copied().collect::<Vec<_>>();
            area.draw(&PathElement::new(outline, colour.stroke_width(2)))?;
        }
    }
    Ok(())
}

/// Returns true if the ratio of a row lies beyond an end of the axis.
fn is_beyond(row: &ForestRow, (low, high): (f64, f64)) -> bool {
    match &row.standing {
        Standing::Compared(one) => one.ratio.ratio < low || one.ratio.ratio > high,
        Standing::Bound { .. } | Standing::Void | Standing::Missing { .. } => false,
    }
}

/// Ends of a row's interval, or of the range of its rounds if they are too few for one.
pub(super) fn reach(ratio: &RatioEstimate) -> (f64, f64) {
    let within = ratio.interval().unwrap_or(ratio.range);
    (within.low, within.high)
}

/// Lowest and highest ratio of an axis around some results.
pub(super) fn ends_of<'s>(standings: impl Iterator<Item = &'s Standing>) -> (f64, f64) {
    let (mut low, mut high) = (1.0 / LEAST_REACH, LEAST_REACH);
    for standing in standings {
        let (least, most) = match standing {
            Standing::Compared(one) => reach(&one.ratio),
            Standing::Bound { ratio, .. } => (ratio.ratio / 1.5, ratio.ratio * 1.5),
            Standing::Void | Standing::Missing { .. } => continue,
        };
        low = low.min(least / FREE);
        high = high.max(most * FREE);
    }
    (low.max(1.0 / MOST_REACH), high.min(MOST_REACH))
}
