//! Requests as rows: sent, first action, reply.

use bench_data::xray::Request;

use super::lanes::begin;
use super::look::{HEAVY, LIGHT};
use super::parts::{parts, segments};
use super::sentence::{part_of, time};
use super::svg::{Canvas, Font, plain};
use super::threads::is_receive;
use super::view::{Scale, View};
use crate::figures::style::{INK, OTHERS, hex};

/// Opacity of a request that waits for its first action.
pub(super) const WAITING: &str = "0.35";
/// Least height of a row with a name.
const NAMED: f64 = 8.5;
/// Least distance of two names.
const NAME_GAP: f64 = 10.0;

/// Draws a row per request.
pub(super) fn draw(
    canvas: &mut Canvas,
    view: &View<'_>,
    scale: Scale,
    rows: &[usize],
    (top, height): (f64, f64),
) {
    for (row, &index) in rows.iter().enumerate() {
        let request = &view.trace.requests[index];
        let colour = if request.heavy { HEAVY } else { LIGHT };
        canvas.open(&format!("class=\"r\" data-r=\"{index}\" fill=\"{}\"", hex(colour)));
        canvas.add(&format!("<title>{}</title>", plain(&title(view, request))));
        let y = top + row as f64 * height;
        let bar = (height * 0.8).max(1.2);
        // A shorter delay would be drawn longer than it is.
        if request.sent > request.due.saturating_add(scale.resolution) {
            let early = scale.area(request.due, request.sent, y + bar * 0.35, bar * 0.3);
            canvas.rect(early, OTHERS);
        }
        let begun = begun(view, request);
        let failed = format!(
            " fill-opacity=\"0\" stroke=\"{}\" stroke-dasharray=\"2 2\" \
             vector-effect=\"non-scaling-stroke\"",
            hex(INK)
        );
        let waiting = format!(" fill-opacity=\"{WAITING}\"");
        let (waiting, served) = if request.ok { (&*waiting, "") } else { (&*failed, &*failed) };
        if begun > request.sent {
            let area = scale.area(request.sent, begun, y, bar);
            canvas.path(&area.outline(), waiting, None);
        }
        let area = scale.area(begun, request.received, y, bar);
        canvas.path(&area.outline(), served, None);
        canvas.close();
    }
}

/// Time of the first action for a request; without one the time of its sending.
fn begun(view: &View<'_>, request: &Request) -> u64 {
    let actions = view.threads.actions_of(request);
    let begins = actions.iter().map(|action| {
        let thread = &view.threads.all[action.thread];
        let is_early = is_receive(&action.step.kind) && action.step.from < request.sent;
        match is_early && thread.lane.spans.is_empty() {
            // Its beginning within the receive is unknown.
            true => action.step.to,
            false if is_receive(&action.step.kind) => begin(view, thread, action.step),
            false => action.step.from,
        }
    });
    let first = begins.min().unwrap_or(request.sent);
    first.clamp(request.sent, request.received)
}

fn title(view: &View<'_>, request: &Request) -> String {
    let parts = parts(&segments(&view.threads, request));
    let largest = parts.largest();
    let mut title = format!(
        "{}: {}; {} {}",
        request.label,
        time(request.response_time()),
        largest.name(view.trace.level),
        part_of(parts.of(largest), parts.total())
    );
    if !request.ok {
        title += "; failed";
    }
    title
}

/// Draws names beside the rows: all of them, or if rows are low, those of the decomposed requests.
pub(super) fn draw_names(
    canvas: &mut Canvas,
    view: &View<'_>,
    rows: &[usize],
    (x, top, height): (f64, f64, f64),
) {
    let mut last = f64::NEG_INFINITY;
    for (row, &index) in rows.iter().enumerate() {
        let y = top + (row as f64 + 0.4) * height;
        let label = &view.trace.requests[index].label;
        let chosen = super::chosen::drawn(&view.choices).find(|choice| choice.index == index);
        let name = match chosen {
            Some(choice) => format!("{}: {label}", choice.name()),
            None if height >= NAMED => label.clone(),
            None => continue,
        };
        if y - last > NAME_GAP.min(height.max(NAMED)) - 0.5 {
            canvas.text((x, y + 3.5), Font::soft(10.0).before(), &name);
            last = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_row_shows_the_wait_for_the_first_action() {
        let mut trace = example::selector();
        trace.requests[0].ok = false;
        let picture = example::picture(vec![trace]);
        let views = View::all(&picture);
        let light = &views[0].trace.requests[1];
        assert_eq!(begun(&views[0], light), 21_200_000);
        let expected = "light 1: 19.4 ms; head of line 19.2 of 19.4 ms";
        assert_eq!(title(&views[0], light), expected);
        let scale = Scale::of(&picture, 1_000.0, 0.25);
        let mut canvas = Canvas::default();
        draw(&mut canvas, &views[0], scale, &[0, 1], (0.0, 10.0));
        insta::assert_snapshot!(canvas.finish((1_000.0, 20.0), "rows", ""));
    }

    #[test]
    fn the_first_action_of_a_blocked_thread_is_its_awakening() {
        let picture = example::picture(vec![example::threaded()]);
        let views = View::all(&picture);
        assert_eq!(begun(&views[0], &views[0].trace.requests[1]), 2_010_000);
        let known = example::without_scheduler(example::threaded());
        let picture = example::picture(vec![known]);
        let views = View::all(&picture);
        assert_eq!(begun(&views[0], &views[0].trace.requests[1]), 2_040_000);
    }

    #[test]
    fn low_rows_name_the_decomposed_requests_only() {
        let picture = example::picture(vec![example::loaded("selector", 1, 8, 200)]);
        let views = View::all(&picture);
        let rows: Vec<usize> = (0..200).collect();
        let named = |height| {
            let mut canvas = Canvas::default();
            draw_names(&mut canvas, &views[0], &rows, (0.0, 0.0, height));
            canvas.finish((1.0, 1.0), "", "").matches("<text").count()
        };
        assert_eq!(named(10.0), 200);
        assert!((1..=4).contains(&named(2.0)), "{}", named(2.0));
    }
}
