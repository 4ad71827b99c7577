//! Lane of a thread: its actions, below them its states, and the wake-ups between lanes.

use std::collections::HashMap;

use bench_data::xray::{State, Step};

use super::blocks::{Block, cut, merged};
use super::look::{Class, KERNEL, RUNNABLE, USER};
use super::sentence::time;
use super::svg::{Canvas, Font, number, plain};
use super::threads::{Thread, is_receive};
use super::view::{Scale, View};
use crate::figures::style::{OTHERS, SOFT, hex};
use plotters::style::RGBColor;

/// Least width of a block with a title of its own, in pixels.
const TITLED: f64 = 8.0;
/// Wake-ups of a thread that are closer together are drawn once, in pixels.
const ARROW_GAP: f64 = 3.0;

/// Vertical place of a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Band {
    pub(super) top: f64,
    pub(super) height: f64,
}

/// Content of a block of actions.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark<'t> {
    class: Class,
    /// `None` of several kinds.
    kind: Option<&'t str>,
    /// Position of the request; `None` of several or none.
    request: Option<usize>,
}

/// State of a thread that is drawn as a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    User,
    Kernel,
    Runnable,
}

impl Band {
    fn middle(self) -> f64 {
        self.top + self.height / 2.0
    }

    /// Part of the height, from one share to another.
    fn part(self, from: f64, to: f64) -> Self {
        Self { top: self.top + from * self.height, height: (to - from) * self.height }
    }
}

impl Shown {
    const ALL: [Self; 3] = [Self::User, Self::Kernel, Self::Runnable];

    fn of(state: &State) -> Option<Self> {
        match state {
            State::User => Some(Self::User),
            State::Kernel(_) => Some(Self::Kernel),
            State::Runnable => Some(Self::Runnable),
            State::Blocked(_) => None,
        }
    }

    fn colour(self) -> RGBColor {
        match self {
            Self::User => USER,
            Self::Kernel => KERNEL,
            Self::Runnable => RUNNABLE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "running its own code",
            Self::Kernel => "running in the kernel",
            Self::Runnable => "ready, waiting for the core",
        }
    }
}

/// Draws the lane of a thread.
pub(super) fn draw(
    canvas: &mut Canvas,
    view: &View<'_>,
    scale: Scale,
    thread: &Thread<'_>,
    band: Band,
) {
    draw_waits(canvas, view, scale, thread, band);
    let has_states = !thread.lane.spans.is_empty();
    let has_actions = !thread.lane.steps.is_empty();
    let (actions, states) = match (has_actions, has_states) {
        (true, true) => (band.part(0.04, 0.66), band.part(0.7, 0.96)),
        (true, false) | (false, false) => (band.part(0.06, 0.94), band.part(0.94, 0.94)),
        (false, true) => (band, band.part(0.06, 0.94)),
    };
    let running = merged(blocks(view, scale, thread, &thread.running), scale.resolution, mixed);
    draw_blocks(canvas, view, scale, &running, actions);
    let pending = cut(blocks(view, scale, thread, &thread.pending));
    let pending = merged(pending, scale.resolution, mixed);
    draw_blocks(canvas, view, scale, &pending, actions.part(0.0, 0.22));
    draw_states(canvas, scale, thread, states);
}

/// Blocks of the actions of a thread. A receive begins when its thread is no longer blocked in it, and
/// not before the request was sent.
fn blocks<'t>(
    view: &View<'t>,
    scale: Scale,
    thread: &Thread<'t>,
    steps: &[&'t Step],
) -> Vec<Block<Mark<'t>>> {
    let block = |step: &&'t Step| {
        let class = Class::of(&step.kind)?;
        let request = view.threads.owner(step);
        let from = if is_receive(&step.kind) { begin(view, thread, step) } else { step.from };
        let is_seen = scale.contains(from) && (from < step.to || step.from == step.to);
        let mark = Mark { class, kind: Some(step.kind.as_str()), request };
        is_seen.then(|| Block::new(from, step.to, mark))
    };
    let mut blocks: Vec<_> = steps.iter().filter_map(block).collect();
    blocks.sort_by_key(|block| block.from);
    blocks
}

/// Time at which a receive stops waiting for its request: at the end if there is none.
pub(super) fn begin(view: &View<'_>, thread: &Thread<'_>, step: &Step) -> u64 {
    match view.threads.owner(step) {
        Some(index) => {
            let sent = view.trace.requests[index].sent;
            thread.unblocked(step).max(sent).min(step.to)
        }
        None => step.to,
    }
}

fn mixed(mark: Mark<'_>) -> Mark<'_> {
    Mark { kind: None, request: None, ..mark }
}

fn draw_blocks(
    canvas: &mut Canvas,
    view: &View<'_>,
    scale: Scale,
    blocks: &[Block<Mark<'_>>],
    band: Band,
) {
    for class in Class::ALL {
        let mut of_class = blocks.iter().filter(|block| block.what.class == class).peekable();
        if of_class.peek().is_none() {
            continue;
        }
        canvas.open(&format!("class=\"s\" fill=\"{}\"", hex(class.colour())));
        for block in of_class {
            let area = scale.area(block.from, block.to, band.top, band.height);
            let title = (area.width >= TITLED).then(|| title(view, block));
            canvas.path(&area.outline(), &data(view, block), title.as_deref());
        }
        canvas.close();
    }
    for block in blocks {
        draw_label(canvas, view, scale, block, band);
    }
}

/// Position of the request, position of the kind, number of merged actions: for the script.
fn data(view: &View<'_>, block: &Block<Mark<'_>>) -> String {
    let position = |value: Option<usize>| value.map_or_else(String::new, |at| at.to_string());
    let kind = block.what.kind.and_then(|kind| view.kinds.binary_search(&kind).ok());
    let count = if block.count > 1 { format!(",{}", block.count) } else { String::new() };
    format!(" data-s=\"{},{}{count}\"", position(block.what.request), position(kind))
}

fn title(view: &View<'_>, block: &Block<Mark<'_>>) -> String {
    let what = match (block.what.request, block.what.kind) {
        (Some(request), Some(kind)) => {
            format!("{}: {kind}", view.trace.requests[request].label)
        }
        (None, Some(kind)) => kind.to_owned(),
        (_, None) => format!("{} actions", block.count),
    };
    format!("{what}, {}", time(block.to - block.from))
}

/// Name of the request on a block that has room for it.
fn draw_label(
    canvas: &mut Canvas,
    view: &View<'_>,
    scale: Scale,
    block: &Block<Mark<'_>>,
    band: Band,
) {
    let Some(request) = block.what.request else { return };
    let label = &view.trace.requests[request].label;
    let size = (band.height * 0.8).min(11.0);
    let wide = 0.58 * size * label.chars().count() as f64 + 6.0;
    let area = scale.area(block.from, block.to, band.top, band.height);
    if size < 7.0 || area.width < wide {
        return;
    }
    let (x, y) = (number(area.x + 3.0), number(band.middle() + size * 0.36));
    let (size, letters) = (number(size), block.what.class.letters());
    canvas.add(&format!(
        "<text class=\"n\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{letters}\">{}</text>",
        plain(label)
    ));
}

/// Thin line while the thread is blocked; without its states, while it waits or receives.
fn draw_waits(canvas: &mut Canvas, view: &View<'_>, scale: Scale, thread: &Thread<'_>, band: Band) {
    let is_blocked = |state: &State| matches!(state, State::Blocked(_));
    let spans = thread.lane.spans.iter().filter(|span| is_blocked(&span.state));
    let mut waits: Vec<Block<()>> = spans.map(|span| Block::new(span.from, span.to, ())).collect();
    if thread.lane.spans.is_empty() {
        waits.extend(thread.running.iter().filter_map(|step| {
            let to = match Class::of(&step.kind) {
                None => step.to,
                Some(_) if is_receive(&step.kind) => begin(view, thread, step),
                Some(_) => return None,
            };
            Some(Block::new(step.from, to, ()))
        }));
    }
    waits.retain(|wait| wait.from < wait.to && scale.contains(wait.from));
    let mut outlines = String::new();
    for wait in merged(waits, scale.resolution, |()| ()) {
        outlines += &scale.area(wait.from, wait.to, band.middle() - 0.6, 1.2).outline();
    }
    if !outlines.is_empty() {
        let fill = format!(" fill=\"{}\"", hex(OTHERS));
        let title = if thread.lane.spans.is_empty() { "waiting" } else { "blocked" };
        canvas.path(&outlines, &fill, Some(title));
    }
}

fn draw_states(canvas: &mut Canvas, scale: Scale, thread: &Thread<'_>, band: Band) {
    let spans = thread.lane.spans.iter().filter(|span| scale.contains(span.from));
    let (mut long, mut short) = (Vec::new(), Vec::new());
    for span in spans {
        let Some(shown) = Shown::of(&span.state) else { continue };
        if scale.area(span.from, span.to, 0.0, 0.0).width >= TITLED {
            long.push((span, shown));
        } else {
            short.push(Block::new(span.from, span.to, shown));
        }
    }
    let short = merged(short, scale.resolution, |shown| shown);
    for class in Shown::ALL {
        let mut outlines = String::new();
        for block in short.iter().filter(|block| block.what == class) {
            outlines += &scale.area(block.from, block.to, band.top, band.height).outline();
        }
        let fill = format!(" fill=\"{}\"", hex(class.colour()));
        if !outlines.is_empty() {
            canvas.path(&outlines, &fill, Some(class.name()));
        }
        for (span, _) in long.iter().filter(|(_, shown)| *shown == class) {
            let call = match &span.state {
                State::Kernel(call) | State::Blocked(call) => format!(": {call}"),
                State::User | State::Runnable => String::new(),
            };
            let title = format!("{}{call}, {}", class.name(), time(span.to - span.from));
            let area = scale.area(span.from, span.to, band.top, band.height);
            canvas.path(&area.outline(), &fill, Some(&title));
        }
    }
}

/// Draws an arrow for each wake-up: from the lane of the waker, or from above, to that of the thread.
/// `bands` are the drawn lanes by thread.
pub(super) fn draw_wake_ups(
    canvas: &mut Canvas,
    view: &View<'_>,
    scale: Scale,
    bands: &HashMap<u32, Band>,
) {
    let (mut stems, mut heads) = (String::new(), Vec::new());
    let mut last: HashMap<(Option<u32>, u32), f64> = HashMap::new();
    for wake_up in view.trace.wake_ups.iter().filter(|one| scale.contains(one.at)) {
        let Some(woken) = bands.get(&wake_up.woken) else { continue };
        let waker = wake_up.by.and_then(|by| bands.get(&by));
        let x = scale.x(wake_up.at);
        let before = last.get(&(wake_up.by, wake_up.woken)).copied();
        if wake_up.by == Some(wake_up.woken) || before.is_some_and(|at| x - at < ARROW_GAP) {
            continue;
        }
        last.insert((wake_up.by, wake_up.woken), x);
        let (from, to) = match waker {
            Some(waker) if waker.top > woken.top => (waker.middle(), woken.top + woken.height),
            Some(waker) => (waker.middle(), woken.top),
            None => (woken.top - 7.0, woken.top),
        };
        stems += &format!("M{} {}V{}", number(x), number(from), number(to));
        let base = if from < to { -4.0 } else { 4.0 };
        heads.push(format!("M{} {}l-2.5 {base}h5z", number(x), number(to)));
    }
    if heads.is_empty() {
        return;
    }
    let colour = hex(SOFT);
    let stroke = format!(
        " fill=\"none\" stroke=\"{colour}\" stroke-width=\"0.8\" vector-effect=\"non-scaling-stroke\""
    );
    canvas.path(&stems, &stroke, None);
    canvas.open(&format!("class=\"h\" fill=\"{colour}\""));
    for head in heads {
        canvas.path(&head, "", None);
    }
    canvas.close();
}

/// Name of a thread beside its lane, with its number where others have the same name.
pub(super) fn draw_name(
    canvas: &mut Canvas,
    thread: &Thread<'_>,
    is_unique: bool,
    at: (f64, f64),
    size: f64,
) {
    const MOST_LETTERS: usize = 22;
    let (name, number) = (&thread.lane.name, thread.lane.thread);
    let text = match (name.is_empty(), is_unique) {
        (true, _) => format!("thread {number}"),
        (false, true) => name.clone(),
        (false, false) => format!("{name} {number}"),
    };
    let text: String = text.chars().take(MOST_LETTERS).collect();
    canvas.text(at, Font::ink(size).before(), &text);
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use bench_data::xray::Trace;

    fn drawn(trace: Trace, thread: usize) -> String {
        let picture = example::picture(vec![trace]);
        let views = View::all(&picture);
        let scale = Scale::of(&picture, 1_000.0, 0.25);
        let mut canvas = Canvas::default();
        let band = Band { top: 0.0, height: 20.0 };
        draw(&mut canvas, &views[0], scale, &views[0].threads.all[thread], band);
        canvas.finish((1_000.0, 20.0), "lane", "")
    }

    #[test]
    fn a_block_of_20_ms_is_as_wide_as_20_ms() {
        let svg = drawn(example::selector(), 0);
        // 20 of 21.5635 ms.
        assert!(svg.contains("h927.49v"), "{svg}");
        assert!(svg.contains("<title>heavy 1: work-block, 20.0 ms</title>"), "{svg}");
        assert!(svg.contains(">heavy 1</text>"), "{svg}");
    }

    #[test]
    fn waiting_for_a_request_is_not_drawn_as_work() {
        let known = example::without_scheduler(example::threaded());
        for (trace, word) in [(example::threaded(), "blocked"), (known, "waiting")] {
            let svg = drawn(trace, 1);
            let sky = "<g class=\"s\" fill=\"#56B4E9\">";
            let receive = svg.split(sky).nth(1).unwrap();
            let outline = receive.split("d=\"M").nth(1).unwrap();
            let width = outline.split(['h', 'v']).nth(1).unwrap();
            let width: f64 = width.parse().unwrap();
            assert!(width < 3.0, "{svg}");
            assert!(svg.contains(&format!("<title>{word}</title>")), "{svg}");
        }
    }

    #[test]
    fn an_arrow_points_from_the_waker_to_the_woken_thread() {
        let picture = example::picture(vec![example::threaded()]);
        let views = View::all(&picture);
        let scale = Scale::of(&picture, 1_000.0, 0.25);
        let band = |top| Band { top, height: 10.0 };
        let bands = HashMap::from([(20, band(0.0)), (22, band(30.0))]);
        let mut canvas = Canvas::default();
        draw_wake_ups(&mut canvas, &views[0], scale, &bands);
        let svg = canvas.finish((1.0, 1.0), "", "");
        assert!(svg.contains("M93.96 5V30\""), "{svg}");
        assert!(svg.contains("M93.96 30l-2.5 -4h5z"), "{svg}");
    }

    #[test]
    fn a_lane_shows_actions_and_states() {
        insta::assert_snapshot!(drawn(example::threaded(), 2));
    }
}
