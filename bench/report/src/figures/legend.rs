//! Legend of a chart: a sample and a name for each labelled line, then the names of the group.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::emphasis::{Emphasis, Weight};
use super::lettering::{text, wrapped};
use super::mark::mark;
use super::panel::{Area, Drawn, Panel, Series, WIDTH};
use super::style::{INK, OTHERS, SOFT};

const ROW_HEIGHT: u32 = 24;
/// Letters per line of notes.
const NOTE_LETTERS: usize = 104;
/// Dashes of a sample.
const DASHES: [(i32, i32); 3] = [(0, 6), (10, 16), (20, 26)];

/// Legend of the panels of a chart.
pub(super) struct Legend<'c> {
    /// Labelled lines, row by row.
    rows: Vec<Vec<(&'c Series, Weight)>>,
    /// Names of the group, and the meaning of hollow markers.
    notes: Vec<String>,
}

impl<'c> Legend<'c> {
    /// Legend of some panels. Panels whose axes name the servers have none.
    pub(super) fn of(panels: &'c [Panel], emphasis: &Emphasis, hollow: Option<&str>) -> Self {
        let mut seen: Vec<(&Series, Weight)> = Vec::new();
        for series in panels.iter().flat_map(|panel| &panel.series) {
            if !seen.iter().any(|(known, _)| known.name == series.name) {
                seen.push((series, series.weight(emphasis)));
            }
        }
        if panels.iter().all(|panel| panel.x.is_named()) {
            seen.clear();
        }
        let (mut labelled, group): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|(_, weight)| *weight != Weight::Grouped);
        labelled.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let mut notes = Vec::new();
        if !group.is_empty() {
            let names: Vec<_> = group.iter().map(|(series, _)| series.name.as_str()).collect();
            notes.extend(wrapped(&format!("thin: {}", names.join(", ")), NOTE_LETTERS));
        }
        notes.extend(hollow.map(|meaning| format!("hollow: {meaning}")));
        Self { rows: rows(labelled), notes }
    }

    /// Height in pixels.
    pub(super) fn height(&self) -> u32 {
        (self.rows.len() + self.notes.len()) as u32 * ROW_HEIGHT
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut y = 14;
        for row in &self.rows {
            draw_row(area, row, y)?;
            y += ROW_HEIGHT as i32;
        }
        for note in &self.notes {
            let style = text(15, SOFT).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw(&Text::new(note.clone(), ((WIDTH / 2) as i32, y), style))?;
            y += ROW_HEIGHT as i32;
        }
        Ok(())
    }
}

fn rows(labelled: Vec<(&Series, Weight)>) -> Vec<Vec<(&Series, Weight)>> {
    let mut rows: Vec<Vec<(&Series, Weight)>> = Vec::new();
    let mut taken = i32::MAX;
    for one in labelled {
        let wide = width(one.0);
        if taken.saturating_add(wide) > WIDTH as i32 - 20 {
            rows.push(Vec::new());
            taken = 0;
        }
        taken += wide;
        rows.last_mut().expect("a row was added above").push(one);
    }
    rows
}

fn draw_row(area: &Area<'_>, row: &[(&Series, Weight)], y: i32) -> Drawn {
    let total: i32 = row.iter().map(|(series, _)| width(series)).sum();
    let mut x = (WIDTH as i32 - total) / 2;
    for (series, weight) in row {
        let look = series.look_with(*weight);
        let style = look.colour.stroke_width(weight.line());
        let dashes: &[(i32, i32)] = if look.dashed { &DASHES } else { &[(0, 26)] };
        for (from, to) in dashes {
            area.draw(&PathElement::new([(x + from, y), (x + to, y)], style))?;
        }
        if !series.is_guide {
            area.draw(&mark((x + 13, y), look, false))?;
        }
        let colour = if look.colour == OTHERS { SOFT } else { INK };
        let style = text(17, colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.clone(), (x + 33, y), style))?;
        x += width(series);
    }
    Ok(())
}

/// Width of the sample, the name and the gap to the next entry. Fonts are not measured: 8 pixels hold
/// most letters.
fn width(series: &Series) -> i32 {
    33 + 8 * series.name.chars().count() as i32 + 10
}
