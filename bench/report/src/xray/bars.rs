//! Response times of the decomposed requests as stacked bars.

use super::chosen::drawn;
use super::look::of_part;
use super::parts::Part;
use super::sentence::{part_of, time};
use super::svg::{Area, Canvas, Font};
use super::view::View;
use crate::figures::style::{GRID, hex};

/// Height of a bar with its gap, in pixels.
const LINE: f64 = 17.0;
const HEADING: f64 = 18.0;
/// Room for the text after a bar, in pixels.
const AFTER: f64 = 230.0;

/// Place of the bars: their left edge, beside which the labels end, and the right edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) bars: f64,
    pub(super) right: f64,
}

/// Longest of the response times that are drawn as bars.
pub(super) fn longest(views: &[View<'_>]) -> u64 {
    let totals = views.iter().flat_map(|view| drawn(&view.choices));
    totals.map(|choice| choice.parts.total()).max().unwrap_or(0).max(1)
}

/// Height of the bars of a view.
pub(super) fn height(view: &View<'_>) -> f64 {
    match drawn(&view.choices).count() {
        0 => 0.0,
        bars => HEADING + LINE * bars as f64,
    }
}

/// Draws a bar for each decomposed request. All servers have the same scale, on which `longest` is the
/// longest bar.
pub(super) fn draw(canvas: &mut Canvas, view: &View<'_>, columns: Columns, longest: u64, top: f64) {
    if view.choices.is_empty() {
        return;
    }
    let heading = "Response time by reason";
    canvas.text((columns.bars, top + 12.0), Font::soft(11.0), heading);
    let mut y = top + HEADING;
    let scale = (columns.right - columns.bars - AFTER) / longest as f64;
    for choice in drawn(&view.choices) {
        let label = format!("{}: {}", choice.name(), choice.request.label);
        canvas.text((columns.bars - 8.0, y + 10.0), Font::ink(11.0).before(), &label);
        let mut x = columns.bars;
        for part in Part::ALL {
            let length = choice.parts.of(part);
            if length == 0 {
                continue;
            }
            let area = Area { x, y, width: length as f64 * scale, height: LINE - 4.0 };
            let style = format!(" fill=\"{}\" stroke=\"{}\"", hex(of_part(part)), hex(GRID));
            let name = part.name(view.trace.level);
            let title = match choice.is_decomposed {
                true => format!("{name}: {}", part_of(length, choice.parts.total())),
                false => "not decomposed".to_owned(),
            };
            canvas.path(&area.outline(), &style, Some(&title));
            x += area.width;
        }
        let total = time(choice.parts.total());
        let largest = choice.parts.largest();
        let text = match choice.is_decomposed {
            true => format!(
                "{total}, {} of it {}",
                time(choice.parts.of(largest)),
                largest.name(view.trace.level)
            ),
            false => format!("{total}, not decomposed"),
        };
        canvas.text((x + 6.0, y + 10.0), Font::ink(11.0), &text);
        y += LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn bars_of_all_servers_have_one_scale() {
        let picture = example::picture(vec![example::selector(), example::threaded()]);
        let views = View::all(&picture);
        let longest = longest(&views);
        assert_eq!(longest, 20_180_000);
        let columns = Columns { bars: 150.0, right: 1_000.0 };
        let bars = |view: &View<'_>| {
            let mut canvas = Canvas::default();
            draw(&mut canvas, view, columns, longest, 0.0);
            canvas.finish((1_000.0, height(view)), "bars", "")
        };
        assert!(bars(&views[0]).contains("19.4 ms, 19.2 ms of it head of line"));
        insta::assert_snapshot!(bars(&views[1]));
    }
}
