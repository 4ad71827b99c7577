//! Dot chart of one pair of servers on many machines: a line per run, a block per comparison.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::forest::{Sample, draw_mark, ends_of, reach, sample_of, ticks};
use super::lettering::{bold, escaped, text, wrapped};
use super::panel::{Area, Drawn};
use super::style::{BAND, GRID, INK, Look, PAPER, SOFT};
use crate::analysis::forest::Standing;
use crate::analysis::gathered::{Gathered, InRuns};
use crate::analysis::statistics::verdict::{Direction, MARGIN, Verdict};

/// Most runs whose names stand beside their dots.
const MOST_NAMED: usize = 12;
const WIDTH: i32 = 960;
/// Left and right end of the axis.
const AXIS: (i32, i32) = (240, 930);
const LINE_HEIGHT: i32 = 19;
/// Height of the line of a run, with and without its name.
const RUN_HEIGHT: (i32, i32) = (19, 8);
const BLOCK_GAP: i32 = 14;
const LETTERS_OF_NAME: usize = 26;

/// Draws the chart; `names` are those of the runs.
pub fn draw(gathered: &Gathered, names: &[String]) -> String {
    let picture = Picture::of(gathered, names);
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, picture.height() as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        picture.draw(&area).expect("drawing into a string has nothing that can fail");
    }
    let label = escaped(&picture.title());
    svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
}

struct Picture<'g> {
    gathered: &'g Gathered,
    names: &'g [String],
    are_named: bool,
    ends: (f64, f64),
    looks: [Look; 2],
}

impl<'g> Picture<'g> {
    fn of(gathered: &'g Gathered, names: &'g [String]) -> Self {
        let results = || gathered.comparisons.iter().flat_map(|one| &one.results);
        let pair = [&*gathered.pair.first, &*gathered.pair.second];
        Self {
            gathered,
            names,
            are_named: names.len() <= MOST_NAMED,
            ends: ends_of(results().map(|result| &result.standing)),
            looks: pair.map(|name| Look::of(name, &pair)),
        }
    }

    fn title(&self) -> String {
        let pair = &self.gathered.pair;
        format!("{} and {} in {} runs", pair.first, pair.second, self.names.len())
    }

    fn run_height(&self) -> i32 {
        if self.are_named { RUN_HEIGHT.0 } else { RUN_HEIGHT.1 }
    }

    fn heading(one: &InRuns) -> Vec<String> {
        wrapped(&format!("{} ({})", one.name, one.condition), 110)
    }

    fn block_height(&self, one: &InRuns) -> i32 {
        let heading = Self::heading(one).len() as i32 * LINE_HEIGHT + 6;
        heading + one.results.len() as i32 * self.run_height() + BLOCK_GAP
    }

    fn bottom(&self) -> i32 {
        let blocks = self.gathered.comparisons.iter().map(|one| self.block_height(one));
        40 + blocks.sum::<i32>()
    }

    fn height(&self) -> i32 {
        self.bottom() + 66
    }

    fn x(&self, ratio: f64) -> i32 {
        let (low, high) = self.ends;
        let share = (ratio.clamp(low, high) / low).ln() / (high / low).ln();
        AXIS.0 + (share * f64::from(AXIS.1 - AXIS.0)).round() as i32
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        area.fill(&PAPER)?;
        let equal = self.x(1.0);
        let [first, second] = self.gathered.pair.sides();
        let sides = [
            (format!("← {first} better"), equal - 8, HPos::Right),
            (format!("{second} better →"), equal + 8, HPos::Left),
        ];
        for ((label, x, anchor), look) in sides.into_iter().zip(self.looks) {
            let style = bold(17).color(&look.colour).pos(Pos::new(anchor, VPos::Top));
            area.draw(&Text::new(label, (x, 10), style))?;
        }
        let mut y = 40;
        for one in &self.gathered.comparisons {
            self.draw_block(area, one, y)?;
            y += self.block_height(one);
        }
        for (ratio, label) in ticks(self.ends, |ratio| self.x(ratio)) {
            let style = text(16, SOFT).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(label, (self.x(ratio), y), style))?;
        }
        let style = text(16, SOFT).pos(Pos::new(HPos::Center, VPos::Top));
        let axis = "factor by which one of the two is better, with its 95 % interval (log axis)";
        area.draw(&Text::new(axis, (i32::midpoint(AXIS.0, AXIS.1), y + 20), style))?;
        let legend = [
            (Sample::Different, "different"),
            (Sample::Equivalent, "equivalent within 5 % (shaded)"),
            (Sample::Undecided, "undecided"),
        ];
        let mut x = AXIS.0;
        for (sample, name) in legend {
            let colour = match sample {
                Sample::Equivalent => INK,
                Sample::Undecided => SOFT,
                Sample::Different | Sample::Bound | Sample::Beyond => self.looks[1].colour,
            };
            draw_mark(area, (x + 7, y + 52), sample, colour, true)?;
            let style = text(16, INK).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(name, (x + 20, y + 52), style))?;
            x += 40 + 8 * name.chars().count() as i32;
        }
        Ok(())
    }

    fn draw_block(&self, area: &Area<'_>, one: &InRuns, top: i32) -> Drawn {
        let mut y = top;
        for line in Self::heading(one) {
            area.draw(&Text::new(line, (10, y), text(17, INK)))?;
            y += LINE_HEIGHT;
        }
        y += 4;
        let bottom = y + one.results.len() as i32 * self.run_height();
        let band = [(self.x(1.0 / MARGIN), y), (self.x(MARGIN), bottom)];
        area.draw(&Rectangle::new(band, BAND.filled()))?;
        for (ratio, _) in ticks(self.ends, |ratio| self.x(ratio)) {
            let (x, colour) = (self.x(ratio), if ratio == 1.0 { INK } else { GRID });
            area.draw(&PathElement::new([(x, y), (x, bottom)], colour.stroke_width(1)))?;
        }
        for result in &one.results {
            let middle = y + self.run_height() / 2;
            if self.are_named {
                let name = wrapped(&self.names[result.run], LETTERS_OF_NAME);
                let style = text(15, SOFT).pos(Pos::new(HPos::Left, VPos::Center));
                let name = name.into_iter().next().unwrap_or_default();
                area.draw(&Text::new(name, (10, middle), style))?;
            }
            self.draw_result(area, &result.standing, middle)?;
            y += self.run_height();
        }
        Ok(())
    }

    fn draw_result(&self, area: &Area<'_>, standing: &Standing, y: i32) -> Drawn {
        match standing {
            Standing::Compared(one) => {
                let colour = match one.verdict {
                    Verdict::Different(Direction::Above) => self.looks[1].colour,
                    Verdict::Different(Direction::Below) => self.looks[0].colour,
                    Verdict::Equivalent => INK,
                    Verdict::Undecided => SOFT,
                };
                let (low, high) = reach(&one.ratio);
                let line = [(self.x(low), y), (self.x(high), y)];
                area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
                let ratio = one.ratio.ratio;
                let is_beyond = ratio < self.ends.0 || ratio > self.ends.1;
                let sample = if is_beyond { Sample::Beyond } else { sample_of(one.verdict) };
                draw_mark(area, (self.x(ratio), y), sample, colour, ratio > 1.0)
            }
            Standing::Bound { ratio, of_second } => {
                let colour = self.looks[usize::from(*of_second)].colour;
                draw_mark(area, (self.x(ratio.ratio), y), Sample::Bound, colour, *of_second)
            }
            Standing::Void | Standing::Missing { .. } => {
                let style = text(14, SOFT).pos(Pos::new(HPos::Center, VPos::Center));
                let word = if *standing == Standing::Void { "void" } else { "not compared" };
                Ok(area.draw(&Text::new(word, (self.x(1.0), y), style))?)
            }
        }
    }
}
