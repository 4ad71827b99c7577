//! Picture of all servers for a slide: 16:9.

use bench_data::xray::Picture;

use super::bars;
use super::drawing::{self, Bars, LEFT, Layout, RIGHT};
use super::legend;
use super::sentence::why;
use super::svg::{Area, Canvas, Font};
use super::view::{Scale, View};
use crate::figures::lettering::wrapped;
use crate::figures::style::PAPER;

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 900.0;
const MARGIN: f64 = 24.0;
/// Width of the lanes with their labels.
const LANES: f64 = 1000.0;
/// Left edge of the bars, beside the lanes, and the right edge of their texts.
const BARS: (u32, u32) = (1_150, 1_575);
/// Most servers of a slide.
const MOST_SERVERS: usize = 4;
/// Most lanes of a server.
const MOST_LANES: usize = 12;
/// Share of the room of a server that its lanes get.
const LANES_SHARE: f64 = 0.6;

/// The picture as an SVG for slides and print, with title, sentences and legend.
pub fn svg(picture: &Picture) -> String {
    let views = View::all(picture);
    let drawn = &views[..views.len().min(MOST_SERVERS)];
    let mut canvas = Canvas::default();
    canvas.rect(Area { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT }, PAPER);
    let mut top = draw_words(&mut canvas, picture, views.len() - drawn.len());
    let legend_top = HEIGHT - MARGIN / 2.0 - legend_height(drawn);
    let room = (legend_top - top) / drawn.len().max(1) as f64;
    let scale = Scale::of(picture, LANES - LEFT - RIGHT, 0.5);
    for view in drawn {
        let layout = Layout {
            width: LANES,
            lanes: 0.0,
            most_lanes: MOST_LANES,
            requests: 0.0,
            bars: Bars::Beside(BARS.0, BARS.1),
            scale,
            longest: bars::longest(drawn),
        };
        let free = (room - drawing::fixed_height(view, &layout)).max(0.0);
        let lanes = free * LANES_SHARE;
        let layout = Layout { lanes, requests: free - lanes, ..layout };
        canvas.open(&format!("transform=\"translate({MARGIN} 0)\""));
        drawing::draw(&mut canvas, view, &layout, top);
        canvas.close();
        top += room;
    }
    canvas.open(&format!("transform=\"translate({MARGIN} 0)\""));
    legend::draw(&mut canvas, drawn, WIDTH - 2.0 * MARGIN, legend_top);
    canvas.close();
    canvas.finish((WIDTH, HEIGHT), &picture.title, "")
}

/// Draws title, scene and sentences, and returns their lower edge.
fn draw_words(canvas: &mut Canvas, picture: &Picture, hidden: usize) -> f64 {
    let mut y = 46.0;
    for line in wrapped(&picture.title, 84).iter().take(2) {
        canvas.text((MARGIN, y), Font::bold(32.0), line);
        y += 36.0;
    }
    y -= 8.0;
    let mut scene = format!("{}. {}.", picture.scene.trim_end_matches('.'), picture.host);
    if hidden > 0 {
        let all = picture.traces.len();
        scene += &format!(" Not drawn here: {hidden} of {all} servers.");
    }
    for line in wrapped(&scene, 190) {
        canvas.text((MARGIN, y), Font::soft(16.0), &line);
        y += 21.0;
    }
    y += 6.0;
    for sentence in why(picture).iter().take(2) {
        for line in wrapped(sentence, 165) {
            canvas.text((MARGIN, y), Font::ink(19.0), &line);
            y += 25.0;
        }
    }
    y
}

fn legend_height(views: &[View<'_>]) -> f64 {
    legend::draw(&mut Canvas::default(), views, WIDTH - 2.0 * MARGIN, 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use bench_data::xray::{Level, Trace};

    /// Lowest edge of a text or a plot.
    fn lowest(svg: &str) -> f64 {
        let number = |text: &str, key: &str| {
            let (_, rest) = text.split_once(key)?;
            rest.split_once('"')?.0.parse::<f64>().ok()
        };
        let texts = svg.split("<text x=").filter_map(|text| number(text, " y=\""));
        let plots = svg
            .split("<svg class=\"plot\"")
            .skip(1)
            .filter_map(|plot| Some(number(plot, " y=\"")? + number(plot, " height=\"")?));
        texts.chain(plots).fold(0.0, f64::max)
    }

    #[test]
    fn a_slide_of_two_servers() {
        let picture = example::picture(vec![example::selector(), example::threaded()]);
        let svg = svg(&picture);
        assert!(svg.starts_with("<svg ") && svg.contains("viewBox=\"0 0 1600 900\""));
        let (first, second) = (svg.find("selector</text>"), svg.find("threaded</text>"));
        assert!(first.is_some() && first < second);
        assert!(lowest(&svg) <= HEIGHT, "{}", lowest(&svg));
        crate::report::picture::tree(&svg).unwrap();
        insta::assert_snapshot!(svg);
    }

    #[test]
    fn a_slide_holds_any_number_of_servers() {
        let names = ["iterative", "threaded", "thread-pool", "selector", "hybrid", "nginx"];
        for count in 0..=names.len() {
            let traces = names[..count].iter().map(|name| example::loaded(name, 8, 64, 200));
            let svg = svg(&example::picture(traces.collect()));
            assert!(lowest(&svg) <= HEIGHT, "{count}: {}", lowest(&svg));
            assert_eq!(svg.contains("Not drawn here: 2 of 6 servers."), count == 6);
            crate::report::picture::tree(&svg).unwrap();
        }
    }

    #[test]
    fn a_server_without_threads_or_requests_has_a_place() {
        let empty = Trace::new("nginx", None, Level::Scheduler);
        let svg = svg(&example::picture(vec![example::selector(), empty]));
        assert!(svg.contains("nginx</text>") && svg.contains("0 threads, 0 requests"));
        crate::report::picture::tree(&svg).unwrap();
    }
}
