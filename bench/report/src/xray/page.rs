//! The pictures as one self-contained page.

use bench_data::xray::{Level, Picture};
use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;

use super::bars;
use super::chosen::Choice;
use super::drawing::{self, Bars, LEFT, Layout, RIGHT};
use super::legend;
use super::parts::Part;
use super::sentence::{time, why};
use super::svg::{Canvas, number, plain};
use super::view::{Scale, View};
use crate::report::page::STYLE;

const TEMPLATE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const OWN_STYLE: &str = include_str!("page.css");

const WIDTH: f64 = 1200.0;
const MOST_LANES: usize = 40;
/// Room for the lanes and for the requests of a server, in pixels.
const LANES: f64 = 400.0;
const REQUESTS: f64 = 480.0;
/// Merging of short blocks in pixels, so that a zoom shows more than the whole.
const RESOLUTION: f64 = 0.25;
/// Greatest merging.
const MOST_RESOLUTION: f64 = 32.0;
/// Most bytes of a page.
const MOST_BYTES: usize = 1_000_000;

#[derive(Debug, Serialize)]
struct Page<'p> {
    title: &'p str,
    sentences: Vec<String>,
    scene: &'p str,
    host: &'p str,
    measured: String,
    command: &'p str,
    legend: String,
    servers: Vec<Server>,
    parts: Vec<(&'static str, &'static str)>,
    resolution: String,
    least: String,
    style: &'static str,
    own_style: &'static str,
    script: &'static str,
}

#[derive(Debug, Serialize)]
struct Server {
    svg: String,
    parts: [&'static str; 5],
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    label: String,
    rank: String,
    total: String,
    parts: [String; 5],
}

/// Page with a picture per server on one time axis, and the decompositions as bars and tables. Blocks
/// are merged until the page has at most a million bytes, as far as merging can achieve that.
pub fn html(picture: &Picture) -> String {
    let views = View::all(picture);
    let mut resolution = RESOLUTION;
    loop {
        let scale = Scale::of(picture, WIDTH - LEFT - RIGHT, resolution);
        let page = page(picture, &views, scale);
        if page.len() <= MOST_BYTES || resolution >= MOST_RESOLUTION {
            return page;
        }
        resolution *= 2.0;
    }
}

fn page(picture: &Picture, views: &[View<'_>], scale: Scale) -> String {
    let mut templates = Templates::new();
    // The name enables HTML escapes.
    templates.add_template("xray.html", TEMPLATE).expect("the template is valid");
    let level = match views.iter().any(|view| view.trace.level == Level::Scheduler) {
        true => Level::Scheduler,
        false => Level::Actions,
    };
    let longest = bars::longest(views);
    let page = Page {
        title: &picture.title,
        sentences: why(picture),
        scene: picture.scene.trim_end_matches('.'),
        host: &picture.host,
        measured: picture.measured.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        command: &picture.command,
        legend: legend_svg(views),
        servers: views.iter().map(|view| server(view, scale, longest)).collect(),
        parts: Part::ALL.map(|part| (part.name(level), part.meaning(level))).to_vec(),
        resolution: time(scale.resolution),
        least: time(scale.least()),
        style: STYLE,
        own_style: OWN_STYLE,
        script: SCRIPT,
    };
    let template = templates.get_template("xray.html").expect("it was just added");
    template.render(Serde(&page)).expect("the template fits its data")
}

fn legend_svg(views: &[View<'_>]) -> String {
    let mut canvas = Canvas::default();
    let bottom = legend::draw(&mut canvas, views, WIDTH, 0.0);
    canvas.finish((WIDTH, bottom), "Legend", "")
}

fn server(view: &View<'_>, scale: Scale, longest: u64) -> Server {
    let layout = Layout {
        width: WIDTH,
        lanes: LANES,
        most_lanes: MOST_LANES,
        requests: REQUESTS,
        bars: Bars::Below,
        scale,
        longest,
    };
    let mut canvas = Canvas::default();
    let bottom = drawing::draw(&mut canvas, view, &layout, 0.0);
    let labels = list(view.trace.requests.iter().map(|request| request.label.as_str()));
    let kinds = list(view.kinds.iter().copied());
    let attributes = format!(
        " class=\"xray\" data-end=\"{}\" data-left=\"{}\" data-plot=\"{}\" data-kinds=\"{kinds}\" \
         data-requests=\"{labels}\"",
        scale.end,
        number(LEFT),
        number(scale.width)
    );
    let label = format!("{}: threads and requests over time", view.trace.server);
    Server {
        svg: canvas.finish((WIDTH, bottom), &label, &attributes),
        parts: Part::ALL.map(|part| part.name(view.trace.level)),
        rows: view.choices.iter().map(row).collect(),
    }
}

/// Words for the script, separated by a sign that none of them has.
fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| word.replace('|', " ")).collect();
    plain(&words.join("|"))
}

fn row(choice: &Choice<'_>) -> Row {
    Row {
        name: choice.name(),
        label: choice.request.label.clone(),
        rank: format!("{} of {}", choice.rank, choice.of),
        total: time(choice.parts.total()),
        parts: Part::ALL.map(|part| match choice.is_decomposed {
            true => time(choice.parts.of(part)),
            false => "–".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_page_needs_nothing_else() {
        for part in [TEMPLATE, SCRIPT, OWN_STYLE] {
            for outside in ["http://", "https://", "src=", "@import", "url(", "fetch(", "import("] {
                assert!(!part.contains(outside), "{outside}");
            }
        }
        assert!(!SCRIPT.contains("</script"), "it would end its element");
    }

    #[test]
    fn the_page_has_a_picture_and_a_table_per_server() {
        let picture = example::picture(vec![example::selector(), example::threaded()]);
        let page = html(&picture);
        assert_eq!(page.matches("<svg class=\"plot\"").count(), 2);
        for part in [
            "<p class=\"answer-of-run\">selector: the slowest light request waits 19.2 of 19.4 ms",
            "<td>light p99: light 1</td><td>1 of 1</td><td>19.4 ms</td>",
            "data-end=\"21563500\"",
            "data-requests=\"heavy 1|light 1\"",
            "its thread works for other connections",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn no_text_of_a_trace_is_markup() {
        let hostile = "</script><script>alert(1)</script>|\"";
        let mut trace = example::selector();
        trace.server = hostile.to_owned();
        trace.strategy = None;
        trace.lanes[0].name = hostile.to_owned();
        trace.lanes[0].steps[2].kind = hostile.to_owned();
        trace.requests[0].label = hostile.to_owned();
        trace.remarks.push(hostile.to_owned());
        let mut picture = example::picture(vec![trace]);
        picture.title = hostile.to_owned();
        picture.command = hostile.to_owned();
        let page = html(&picture);
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</script").count(), 1);
    }

    #[test]
    fn a_page_of_a_load_is_small() {
        let names = ["threaded", "selector"];
        let traces = names.map(|name| example::loaded(name, 64, 64, 200));
        let page = html(&example::picture(traces.to_vec()));
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
        assert!(page.contains("not drawn"), "24 threads are counted instead");
        let all = ["iterative", "prefork", "threaded", "thread-pool", "selector", "hybrid"];
        let traces = all.map(|name| example::loaded(name, 4, 64, 2_000));
        let page = html(&example::picture(traces.to_vec()));
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
    }
}
