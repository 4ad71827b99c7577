//! Legend: the samples that a picture uses, in groups.

use bench_data::xray::{Level, State};
use plotters::style::RGBColor;

use super::look::{Class, HEAVY, KERNEL, LIGHT, RUNNABLE, USER, of_part};
use super::parts::Part;
use super::requests::WAITING;
use super::svg::{Area, Canvas, Font};
use super::view::View;
use crate::figures::style::{GRID, OTHERS, SOFT, hex};

/// Width of the names of the groups, in pixels.
const GROUP: f64 = 110.0;
const LINE: f64 = 19.0;
const SIZE: f64 = 12.0;
/// Width of a letter.
const LETTER: f64 = 6.3;

/// Sample of the legend.
#[derive(Debug, Clone, Copy)]
enum Sample {
    Fill(RGBColor),
    Pale(RGBColor),
    Line(RGBColor),
    Arrow,
}

type Group = (&'static str, Vec<(Sample, &'static str)>);

/// Draws the legend of some views and returns its lower edge.
pub(super) fn draw(canvas: &mut Canvas, views: &[View<'_>], width: f64, top: f64) -> f64 {
    let mut y = top + 14.0;
    for (name, entries) in groups(views) {
        if entries.is_empty() {
            continue;
        }
        canvas.text((0.0, y), Font::soft(SIZE), name);
        let mut x = GROUP;
        for (sample, text) in entries {
            let wide = 22.0 + LETTER * text.chars().count() as f64 + 18.0;
            if x + wide > width && x > GROUP {
                (x, y) = (GROUP, y + LINE);
            }
            draw_sample(canvas, sample, (x, y));
            canvas.text((x + 22.0, y), Font::ink(SIZE), text);
            x += wide;
        }
        y += LINE;
    }
    y
}

fn groups(views: &[View<'_>]) -> Vec<Group> {
    let has_class = |class: Class| {
        any(views, |view| view.kinds.iter().any(|kind| Class::of(kind) == Some(class)))
    };
    let mut actions: Vec<_> = Class::ALL
        .into_iter()
        .filter(|class| has_class(*class))
        .map(|class| (Sample::Fill(class.colour()), class.name()))
        .collect();
    if any(views, |view| view.threads.all.iter().any(|thread| !thread.pending.is_empty())) {
        actions.push((Sample::Line(SOFT), "thin: handed over, the thread is free"));
    }
    let mut threads = Vec::new();
    let has_states = any(views, |view| view.trace.level == Level::Scheduler);
    if has_states {
        threads.push((Sample::Fill(USER), "running its own code"));
        threads.push((Sample::Fill(KERNEL), "running in the kernel"));
        let is_ready = |state: &State| matches!(state, State::Runnable);
        let waits_for_core = |view: &View<'_>| {
            let mut spans = view.trace.lanes.iter().flat_map(|lane| &lane.spans);
            spans.any(|span| is_ready(&span.state))
        };
        if any(views, waits_for_core) {
            threads.push((Sample::Fill(RUNNABLE), "ready, waiting for the core"));
        }
    }
    threads.push((Sample::Line(OTHERS), if has_states { "blocked" } else { "waiting" }));
    if any(views, |view| !view.trace.wake_ups.is_empty()) {
        threads.push((Sample::Arrow, "wake-up of a thread"));
    }
    let mut requests = Vec::new();
    let has = |heavy: bool| {
        any(views, |view| view.trace.requests.iter().any(|request| request.heavy == heavy))
    };
    if has(false) {
        let (waits, name) = if has(true) {
            ("light: sent, waits for its first action", "light: first action to reply")
        } else {
            ("sent, waits for its first action", "first action to reply")
        };
        requests.push((Sample::Pale(LIGHT), waits));
        requests.push((Sample::Fill(LIGHT), name));
    }
    if has(true) {
        requests.push((Sample::Fill(HEAVY), "heavy, likewise"));
    }
    let mut parts = Vec::new();
    if any(views, |view| !view.choices.is_empty()) {
        let level = if has_states { Level::Scheduler } else { Level::Actions };
        let used = Part::ALL.into_iter().filter(|part| {
            any(views, |view| view.choices.iter().any(|choice| choice.parts.of(*part) > 0))
        });
        parts.extend(used.map(|part| (Sample::Fill(of_part(part)), part.name(level))));
    }
    vec![
        ("Actions", actions),
        ("Threads", threads),
        ("Requests", requests),
        ("Response time", parts),
    ]
}

fn any(views: &[View<'_>], is: impl Fn(&View<'_>) -> bool) -> bool {
    views.iter().any(is)
}

fn draw_sample(canvas: &mut Canvas, sample: Sample, (x, y): (f64, f64)) {
    let area = Area { x, y: y - 9.0, width: 16.0, height: 10.0 };
    match sample {
        Sample::Fill(colour) => {
            let style = format!(" fill=\"{}\" stroke=\"{}\"", hex(colour), hex(GRID));
            canvas.path(&area.outline(), &style, None);
        }
        Sample::Pale(colour) => {
            let style = format!(" fill=\"{}\" fill-opacity=\"{WAITING}\"", hex(colour));
            canvas.path(&area.outline(), &style, None);
        }
        Sample::Line(colour) => {
            let thin = Area { y: y - 5.0, height: 1.6, ..area };
            canvas.rect(thin, colour);
        }
        Sample::Arrow => {
            let middle = x + 8.0;
            canvas.line((middle, y - 11.0), (middle, y - 3.0), SOFT);
            let head = format!("M{middle} {}l-2.5 -4h5z", y + 1.0);
            canvas.path(&head, &format!(" fill=\"{}\"", hex(SOFT)), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn legend(traces: Vec<bench_data::xray::Trace>) -> String {
        let picture = example::picture(traces);
        let mut canvas = Canvas::default();
        let bottom = draw(&mut canvas, &View::all(&picture), 1_000.0, 0.0);
        assert!(bottom > 0.0);
        canvas.finish((1_000.0, bottom), "legend", "")
    }

    #[test]
    fn only_marks_that_occur_are_explained() {
        let svg = legend(vec![example::threaded()]);
        for part in ["work of a heavy request", "waiting for the core", "wake-up", "run queue"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains("other action") && !svg.contains("head of line"), "{svg}");
        let svg = legend(vec![example::without_scheduler(example::selector())]);
        assert!(svg.contains("own actions") && svg.contains("head of line"), "{svg}");
        assert!(!svg.contains("running in the kernel") && !svg.contains("run queue"), "{svg}");
    }
}
