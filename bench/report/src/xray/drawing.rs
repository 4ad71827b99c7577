//! Picture of one server: lanes, requests, decomposition and restrictions, one below the other.

use std::collections::HashMap;

use super::bars::{self, Columns};
use super::lanes::{self, Band};
use super::requests;
use super::sentence::{content, restrictions};
use super::svg::{Area, Canvas, Font, number};
use super::view::{Scale, View};
use crate::figures::lettering::wrapped;
use crate::figures::style::{BAND, GRID, hex};

/// Width of the labels at the left, in pixels.
pub(super) const LEFT: f64 = 160.0;
/// Free space at the right, in pixels.
pub(super) const RIGHT: f64 = 24.0;
const HEADER: f64 = 26.0;
const AXIS: f64 = 20.0;
/// Height of a lane.
const LANE: (f64, f64) = (7.0, 26.0);
/// Height of a row of a request.
const ROW: (f64, f64) = (2.0, 10.0);
const GAP: f64 = 10.0;
const NOTE: f64 = 15.0;
/// Width of a letter of a note.
const LETTER: f64 = 6.2;

/// Place of the decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bars {
    /// Below the requests.
    Below,
    /// At the right, from this distance to the left edge up to another one.
    Beside(u32, u32),
}

/// Sizes of a picture in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Width of lanes and labels.
    pub(super) width: f64,
    /// Room for the lanes.
    pub(super) lanes: f64,
    /// Most lanes.
    pub(super) most_lanes: usize,
    /// Room for the requests.
    pub(super) requests: f64,
    /// Place of the decomposition.
    pub(super) bars: Bars,
    /// Times.
    pub(super) scale: Scale,
    /// Longest response time of all decompositions.
    pub(super) longest: u64,
}

/// Threads and requests that are drawn, and their heights.
#[derive(Debug)]
struct Plan {
    threads: Vec<usize>,
    lane: f64,
    rows: Vec<usize>,
    row: f64,
}

impl Plan {
    fn of(view: &View<'_>, layout: &Layout) -> Self {
        let fitting = |room: f64, least: f64| ((room / least) as usize).max(1);
        let most = layout.most_lanes.min(fitting(layout.lanes, LANE.0));
        let threads = view.busiest(most);
        let rows = view.slowest(fitting(layout.requests, ROW.0));
        let height = |room: f64, count: usize, (least, most): (f64, f64)| {
            (room / count.max(1) as f64).clamp(least, most)
        };
        Self {
            lane: height(layout.lanes, threads.len(), LANE),
            row: height(layout.requests, rows.len(), ROW),
            threads,
            rows,
        }
    }

    /// Numbers of threads and requests that are not drawn.
    fn hidden(&self, view: &View<'_>) -> (usize, usize) {
        let trace = view.trace;
        (trace.lanes.len() - self.threads.len(), trace.requests.len() - self.rows.len())
    }

    fn lanes_height(&self) -> f64 {
        self.lane * self.threads.len() as f64
    }

    fn height(&self) -> f64 {
        self.lanes_height() + GAP + self.row * self.rows.len() as f64
    }
}

/// Height that a picture needs besides its lanes and requests, with every restriction that may apply.
pub(super) fn fixed_height(view: &View<'_>, layout: &Layout) -> f64 {
    let (lanes, requests) = (view.trace.lanes.len(), view.trace.requests.len());
    let notes = restrictions(view.trace, (lanes.min(1), requests.min(1)));
    let below = if layout.bars == Bars::Below { GAP + bars::height(view) } else { 0.0 };
    HEADER + AXIS + GAP + below + NOTE * lines(&notes, layout).len() as f64 + GAP
}

/// Draws the picture of a server and returns its lower edge.
pub(super) fn draw(canvas: &mut Canvas, view: &View<'_>, layout: &Layout, top: f64) -> f64 {
    let plan = Plan::of(view, layout);
    draw_header(canvas, view, top);
    let axis = top + HEADER;
    let plot = axis + AXIS;
    let bottom = plot + plan.height();
    draw_axis(canvas, layout.scale, axis, bottom);
    draw_names(canvas, view, &plan, plot);
    draw_plot(canvas, view, layout, &plan, plot);
    let mut y = bottom + GAP;
    match layout.bars {
        Bars::Below => {
            let columns = Columns { bars: LEFT, right: layout.width };
            bars::draw(canvas, view, columns, layout.longest, y);
            y += bars::height(view) + GAP;
        }
        Bars::Beside(left, right) => {
            let columns = Columns { bars: f64::from(left), right: f64::from(right) };
            bars::draw(canvas, view, columns, layout.longest, plot);
            y = y.max(plot + bars::height(view));
        }
    }
    for line in lines(&restrictions(view.trace, plan.hidden(view)), layout) {
        canvas.text((4.0, y + 8.0), Font::ink(12.0), &line);
        y += NOTE;
    }
    y + GAP / 2.0
}

/// Restrictions in lines that fit the picture.
fn lines(notes: &[String], layout: &Layout) -> Vec<String> {
    let letters = (layout.width / LETTER) as usize;
    notes.iter().flat_map(|note| wrapped(&format!("Note: {note}"), letters)).collect()
}

fn draw_header(canvas: &mut Canvas, view: &View<'_>, top: f64) {
    let sample = Area { x: 4.0, y: top + 4.0, width: 14.0, height: 14.0 };
    canvas.rect(sample, view.look.colour);
    let name = &view.trace.server;
    canvas.text((24.0, top + 17.0), Font::bold(18.0), name);
    let after = 24.0 + 11.0 * name.chars().count() as f64 + 12.0;
    canvas.text((after.max(LEFT), top + 17.0), Font::soft(13.0), &content(view.trace));
}

/// Draws the axis; the script of the page draws it anew for a part of the time.
fn draw_axis(canvas: &mut Canvas, scale: Scale, top: f64, bottom: f64) {
    let (text, lines) = (number(top + 12.0), number(top + AXIS - 4.0));
    let bottom_text = number(bottom);
    canvas.open(&format!(
        "class=\"axis\" data-text=\"{text}\" data-top=\"{lines}\" data-bottom=\"{bottom_text}\""
    ));
    for (at, label) in ticks(scale.end) {
        let x = LEFT + scale.x(at);
        canvas.line((x, top + AXIS - 4.0), (x, bottom), GRID);
        canvas.text((x, top + 12.0), Font::soft(11.0).around(), &label);
    }
    canvas.close();
}

/// Times of at most eleven ticks with their labels.
fn ticks(end: u64) -> Vec<(u64, String)> {
    const MOST: u64 = 10;
    let (unit, name): (u64, &str) = match end {
        2_000_000_000.. => (1_000_000_000, "s"),
        2_000_000.. => (1_000_000, "ms"),
        0.. => (1_000, "µs"),
    };
    let mut decade: u64 = 1;
    let step = loop {
        let steps = [1, 2, 5].map(|factor| factor * decade);
        match steps.into_iter().find(|step| end / step <= MOST) {
            Some(step) => break step,
            None => decade *= 10,
        }
    };
    let mut decimals = 0;
    let mut whole: u64 = step;
    while !whole.is_multiple_of(unit) {
        whole *= 10;
        decimals += 1;
    }
    let label = |at: u64| match at {
        0 => "0".to_owned(),
        at => format!("{:.decimals$} {name}", at as f64 / unit as f64),
    };
    (0..=end / step).map(|number| (number * step, label(number * step))).collect()
}

fn draw_names(canvas: &mut Canvas, view: &View<'_>, plan: &Plan, top: f64) {
    let size = (plan.lane - 1.0).clamp(6.5, 12.0);
    let name = |index: usize| view.threads.all[index].lane.name.as_str();
    for (place, &index) in plan.threads.iter().enumerate() {
        let namesakes = plan.threads.iter().filter(|other| name(**other) == name(index)).count();
        let y = top + (place as f64 + 0.5) * plan.lane + size * 0.36;
        let at = (LEFT - 8.0, y);
        lanes::draw_name(canvas, &view.threads.all[index], namesakes == 1, at, size);
    }
    let rows = top + plan.lanes_height() + GAP;
    requests::draw_names(canvas, view, &plan.rows, (LEFT - 8.0, rows, plan.row));
}

/// Draws everything that has a time into a picture of its own, which cuts it off at its edges.
fn draw_plot(canvas: &mut Canvas, view: &View<'_>, layout: &Layout, plan: &Plan, top: f64) {
    let scale = layout.scale;
    let (width, height) = (number(scale.width), number(plan.height() + 8.0));
    canvas.add(&format!(
        "<svg class=\"plot\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" \
         style=\"width:{width}px;height:{height}px\">",
        number(LEFT),
        number(top - 8.0)
    ));
    // Room for the arrows above the first lane.
    canvas.open("class=\"time\" transform=\"translate(0 8)\"");
    let mut bands = HashMap::new();
    for (place, &index) in plan.threads.iter().enumerate() {
        let thread = &view.threads.all[index];
        let y = place as f64 * plan.lane;
        let band = Band { top: y + 1.0, height: plan.lane - 2.0 };
        let whole = Area { x: 0.0, y: y + 0.5, width: scale.width, height: plan.lane - 1.0 };
        canvas.path(
            &whole.outline(),
            &format!(" fill=\"{}\" fill-opacity=\"0.45\"", hex(BAND)),
            None,
        );
        lanes::draw(canvas, view, scale, thread, band);
        bands.insert(thread.lane.thread, band);
    }
    lanes::draw_wake_ups(canvas, view, scale, &bands);
    let rows = plan.lanes_height() + GAP;
    requests::draw(canvas, view, scale, &plan.rows, (rows, plan.row));
    canvas.close();
    canvas.add("</svg>");
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use bench_data::xray::Trace;

    fn drawn(trace: Trace, most_lanes: usize) -> String {
        let picture = example::picture(vec![trace]);
        let views = View::all(&picture);
        let scale = Scale::of(&picture, 1_000.0 - LEFT - RIGHT, 0.25);
        let layout = Layout {
            width: 1_000.0,
            lanes: 400.0,
            most_lanes,
            requests: 100.0,
            bars: Bars::Below,
            scale,
            longest: bars::longest(&views),
        };
        let mut canvas = Canvas::default();
        let bottom = draw(&mut canvas, &views[0], &layout, 0.0);
        let svg = canvas.finish((1_000.0, bottom), "picture", "");
        crate::report::picture::tree(&svg).unwrap();
        svg
    }

    #[test]
    fn a_small_picture() {
        insta::assert_snapshot!(drawn(example::selector(), 40));
    }

    #[test]
    fn threads_that_are_not_drawn_are_counted() {
        let svg = drawn(example::loaded("threaded", 64, 64, 200), 40);
        assert!(svg.contains("40 threads are drawn: the busiest. 24 other threads are not drawn."));
        assert!(svg.contains("50 requests are drawn: the slowest. 150 other requests are not"));
        let svg = drawn(example::loaded("threaded", 64, 64, 50), 64);
        assert!(!svg.contains("not drawn"), "57 lanes of 7 pixels fit, and only 50 threads served");
        let mut trace = example::selector();
        trace.lost_events = 3;
        assert!(drawn(trace, 40).contains("Note: 3 events could not be recorded"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        let labels = |end| -> Vec<_> { ticks(end).into_iter().map(|(_, label)| label).collect() };
        assert_eq!(
            labels(21_563_500),
            [
                "0", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms", "12 ms", "14 ms", "16 ms", "18 ms",
                "20 ms"
            ]
        );
        assert_eq!(labels(4_100_000)[1], "0.5 ms");
        assert_eq!(
            labels(1_000),
            [
                "0", "0.1 µs", "0.2 µs", "0.3 µs", "0.4 µs", "0.5 µs", "0.6 µs", "0.7 µs",
                "0.8 µs", "0.9 µs", "1.0 µs"
            ]
        );
        for end in [1, 999, 1_000_000, 2_000_000_001, 3_600_000_000_000] {
            assert!(ticks(end).len() <= 11, "{end}");
        }
    }

    #[test]
    fn every_trace_can_be_drawn() {
        for seed in 0..30 {
            drawn(example::random(seed), 3);
        }
        drawn(Trace::new("nginx", None, bench_data::xray::Level::Scheduler), 40);
    }
}
