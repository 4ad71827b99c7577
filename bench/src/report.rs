//! The report: one page that needs nothing else.

mod matrix;

use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;

use crate::claims::Claim;
use crate::comparison::describe;
use crate::environment::typed;
use crate::figures::{Data, Figure};
use crate::guide;
use crate::limit::counted;
use crate::outliers::{Metric, outliers};
use crate::publish::Published;
use crate::run_folder::Contents;
use crate::scalability::{self, Scalability};
use crate::section::Section;
use crate::summary::Line;
use crate::table::{self, Table};
use crate::target::TargetKind;
use crate::units;
use matrix::Matrix;

const TEMPLATE: &str = include_str!("report.html");
const SCRIPT: &str = include_str!("report.js");

/// What the page shows.
#[derive(Debug, Serialize)]
struct Page<'p> {
    question: &'p str,
    verdict: &'p str,
    notes: &'p [String],
    setup: Vec<(&'static str, String)>,
    servers: Vec<Server>,
    matrix: Matrix,
    sections: Vec<Part<'p>>,
    claims: &'p [Claim],
    outliers: Vec<String>,
    columns: [&'static str; table::COLUMNS.len()],
    scalability_columns: [&'static str; scalability::COLUMNS.len()],
    methods: Vec<String>,
    glossary: &'static [(&'static str, &'static str)],
    data: String,
    script: &'static str,
}

/// A section as the page shows it.
#[derive(Debug, Serialize)]
struct Part<'p> {
    name: &'p str,
    question: &'p str,
    answer: &'p str,
    why: Option<&'p str>,
    scalability: Option<&'p Scalability>,
    refusals: String,
    figures: Vec<Still<'p>>,
    tables: Vec<Rows>,
}

/// A chart as it stands in the page, until a script draws it again.
#[derive(Debug, Serialize)]
struct Still<'p> {
    id: String,
    file: &'p str,
    caption: &'p str,
    svg: &'p str,
}

/// A table whose rows are told apart by their server.
#[derive(Debug, Serialize)]
struct Rows {
    heading: String,
    rows: Vec<Row>,
    ratios: String,
}

#[derive(Debug, Serialize)]
struct Row {
    server: String,
    values: Vec<String>,
    remark: String,
}

/// What the script draws.
#[derive(Debug, Serialize)]
struct Live<'p> {
    servers: Vec<&'p str>,
    figures: Vec<LiveFigure<'p>>,
}

#[derive(Debug, Serialize)]
struct LiveFigure<'p> {
    id: String,
    title: &'p str,
    #[serde(flatten)]
    data: &'p Data,
}

/// The page.
///
/// # Errors
/// The template does not fit its data.
pub fn html(contents: &Contents, published: &Published) -> anyhow::Result<String> {
    let mut templates = Templates::new();
    // The name decides that values are escaped as HTML wants it.
    templates.add_template("report.html", TEMPLATE)?;
    let page = Page {
        question: &contents.plan.question,
        verdict: &published.verdict.sentence,
        notes: &published.verdict.notes,
        setup: setup(contents, published),
        servers: servers(contents),
        matrix: Matrix::of(published),
        sections: published.sections.iter().map(|section| part(section, published)).collect(),
        claims: &published.claims,
        outliers: outliers_in_words(contents),
        columns: table::COLUMNS,
        scalability_columns: scalability::COLUMNS,
        methods: guide::methods(&contents.plan),
        glossary: &guide::GLOSSARY,
        data: data(published)?,
        script: SCRIPT,
    };
    Ok(templates.get_template("report.html")?.render(Serde(&page))?)
}

fn part<'p>(section: &'p Section, published: &Published) -> Part<'p> {
    let targets = section.part.targets();
    let rows = |table: Table| Rows {
        heading: table.heading,
        rows: table
            .rows
            .into_iter()
            .map(|(values, remark)| {
                // The first column is the name with a remark on its kind.
                let names = targets.iter().filter(|name| values[0].starts_with(**name));
                let server = names.max_by_key(|name| name.len()).map_or("", |name| *name);
                Row { server: server.to_owned(), values, remark }
            })
            .collect(),
        ratios: table.ratios,
    };
    Part {
        name: &section.name,
        question: &section.question,
        answer: &section.answer,
        why: section.why.as_deref(),
        scalability: section.scalability.as_ref(),
        refusals: section.scalability.as_ref().map(Scalability::refusals).unwrap_or_default(),
        figures: section
            .figures
            .iter()
            .map(|figure| Still {
                id: id(figure),
                file: &figure.file,
                caption: &figure.caption,
                svg: &figure.svg,
            })
            .collect(),
        tables: table::tables(&section.part, &published.baseline).into_iter().map(rows).collect(),
    }
}

/// What the script draws, so written that it cannot end its element.
fn data(published: &Published) -> anyhow::Result<String> {
    let figures = published.figures();
    let live = Live {
        servers: published.summary.targets(),
        figures: figures
            .map(|figure| LiveFigure { id: id(figure), title: &figure.title, data: &figure.data })
            .collect(),
    };
    Ok(serde_json::to_string(&live)?.replace('<', "\\u003c"))
}

fn id(figure: &Figure) -> String {
    figure.file.trim_end_matches(".svg").to_owned()
}

/// Trials far from the others of their server and load, each in a sentence.
pub(crate) fn outliers_in_words(contents: &Contents) -> Vec<String> {
    outliers(&contents.records)
        .into_iter()
        .map(|one| {
            let (what, write): (_, fn(f64) -> String) = match one.metric {
                Metric::Throughput => ("requests/s", units::count),
                Metric::P99 => ("99th percentile", units::microseconds),
            };
            let unusual = if one.unusual.is_empty() {
                "nothing else was unusual".to_owned()
            } else {
                one.unusual.join(", ")
            };
            format!(
                "Trial {} (round {}), {} with {}: {what} {}, the median is {}; {unusual}.",
                one.trial,
                one.round,
                one.target,
                describe(one.cell),
                write(one.value),
                write(one.median)
            )
        })
        .collect()
}

/// The page for those who come to the folder first.
pub fn readme(contents: &Contents, published: &Published) -> String {
    let environment = &contents.environment;
    let mut text = format!(
        "# {}\n\n{}\n\n```sh\n{}\n```\n\nBegun {}, on {}. `report.html` has everything on one \
         page; `cargo run --release -- report DIR` makes it again from the CSV files, whose columns \
         `results/SCHEMA.md` explains.\n",
        contents.plan.question,
        published.verdict.sentence,
        typed(&environment.command),
        environment.started_at.strftime("%Y-%m-%d %H:%M UTC"),
        environment.machine.host,
    );
    for note in &published.verdict.notes {
        text += &format!("\n- {note}");
    }
    for figure in published.figures() {
        text += &format!("\n\n![{}](plots/{})", figure.title, figure.file);
    }
    text.push('\n');
    text
}

/// What the setup card says, line by line.
pub(crate) fn setup(contents: &Contents, published: &Published) -> Vec<(&'static str, String)> {
    let (plan, environment) = (&contents.plan, &contents.environment);
    let (machine, placement) = (&environment.machine, &environment.placement);
    let pinned = |cores: &[usize]| match cores {
        [] => "not pinned".to_owned(),
        cores => {
            let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
            format!("core {}", cores.join(", "))
        }
    };
    let done = contents.records.trials.len();
    let planned = environment.trials_planned;
    let stopped = if environment.interrupted { ", then interrupted" } else { "" };
    let mut lines = vec![
        ("Command", typed(&environment.command)),
        ("Begun", environment.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("Trials", format!("{done} of {planned}, {} rounds{stopped}", plan.rounds)),
        (
            "Each",
            format!(
                "{} ms measured after {} ms of warm-up; closed loop and keep-alive, where not told \
                 otherwise; {} wire",
                plan.window_ms,
                plan.warm_up_ms,
                plan.wire.name()
            ),
        ),
        (
            "Limited by",
            match counted(&contents.records.trials) {
                none if none.is_empty() => "not recorded".to_owned(),
                some => some,
            },
        ),
        ("Machine", {
            let processor = machine.processor.as_deref().unwrap_or("unknown processor");
            format!("{}, {} cores, {processor}", machine.host, machine.cores)
        }),
        ("Kernel", {
            let congestion = machine.congestion_control.as_ref();
            let congestion =
                congestion.map(|name| format!(", TCP with {name}")).unwrap_or_default();
            let governor = machine.frequency_governor.as_ref();
            let governor = governor.map(|name| format!(", governor {name}")).unwrap_or_default();
            format!("{}{congestion}{governor}", machine.kernel)
        }),
        ("Before", {
            let load = machine.load_average.as_deref().unwrap_or("unknown");
            let busy = if machine.was_busy() { ": the machine was busy" } else { "" };
            format!("load average {load}{busy}")
        }),
        ("Server", pinned(&placement.server_cores)),
        ("Generator", {
            let engines = distinct(published, |line| &line.engines);
            let engine = if engines.is_empty() { String::new() } else { format!(", {engines}") };
            pinned(&placement.generator_cores) + &engine
        }),
        ("Send path", {
            let ran = distinct(published, |line| &line.send_paths);
            let ran = if ran.is_empty() { String::new() } else { format!(" (what ran: {ran})") };
            format!("{}{ran}", plan.send_path.name())
        }),
        (
            "Files on",
            format!(
                "{}, uploads with durability {}",
                placement.file_system, placement.upload_durability
            ),
        ),
    ];
    if let Some(bytes) = machine.memory_bytes {
        lines.insert(6, ("Memory", units::bytes(bytes as f64)));
    }
    let revision = environment.revision.as_deref().unwrap_or("unknown");
    let build = if environment.optimised { "" } else { ", built without optimisation" };
    let compiler = environment.compiler.as_ref().map(|name| format!(", built by {name}"));
    let compiler = compiler.unwrap_or_default();
    lines.push((
        "Version",
        format!("{}, revision {revision}{compiler}{build}", environment.version),
    ));
    if let Some(seed) = plan.seed {
        lines.push(("Seed", seed.to_string()));
    }
    lines
}

/// What trials recorded, each value once.
fn distinct<'p>(published: &'p Published, of: fn(&'p Line) -> &'p Vec<String>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for value in published.summary.lines.iter().flat_map(of) {
        if !seen.contains(&value.as_str()) {
            seen.push(value);
        }
    }
    seen.join(", ")
}

/// The servers: name, what sets it apart, and what is known of it.
pub(crate) fn servers(contents: &Contents) -> Vec<Server> {
    let infos = &contents.environment.targets;
    let mut servers: Vec<Server> = contents
        .plan
        .targets()
        .iter()
        // Runs of before there was such a pair have none.
        .filter(|target| {
            target.kind() != TargetKind::Twin || infos.iter().any(|info| info.name == target.name())
        })
        .map(|target| {
            let info = infos.iter().find(|info| info.name == target.name());
            let mut known = vec![target.description()];
            let mut configuration = None;
            if let Some(info) = info {
                let version = info.version.iter().filter(|_| !info.kind.is_ours());
                known.extend(version.cloned());
                known.extend(Some(info.abilities()).filter(|text| !text.is_empty()));
                known.extend(info.problems.iter().cloned());
                configuration.clone_from(&info.configuration);
            }
            let name = format!("{}{}", target.name(), target.kind().remark());
            Server { name, known: known.join("; "), configuration }
        })
        .collect();
    servers.extend(contents.environment.not_installed.iter().map(|name| Server {
        name: name.clone(),
        known: "Asked for, but not installed".to_owned(),
        configuration: None,
    }));
    servers
}

/// A server as the page introduces it.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) known: String,
    /// A file within the folder.
    configuration: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockExecutor;
    use crate::plan::Plan;

    #[test]
    fn the_page_needs_nothing_else() {
        for part in [TEMPLATE, SCRIPT] {
            for outside in ["http://", "https://", "src=", "@import", "url(", "fetch(", "import("] {
                // The name of a namespace is no address.
                let names = part.matches("http://www.w3.org/2000/svg").count();
                let allowed = if outside == "http://" { names } else { 0 };
                assert!(part.matches(outside).count() <= allowed, "{outside}");
            }
        }
        assert!(!SCRIPT.contains("</script"), "it would end its element");
    }

    #[test]
    fn no_text_of_a_run_ends_the_element_that_holds_the_data() {
        let plan = Plan::built_in("quick").unwrap();
        let mut records = crate::mock::records_of(&plan, MockExecutor::default());
        let hostile = "</script><script>alert(1)</script>";
        for row in records.trials.iter_mut().filter(|row| row.target == "selector") {
            row.target = hostile.to_owned();
            row.target_kind = TargetKind::Command;
        }
        let summary = crate::summary::Summary::of(&records);
        let published = Published {
            verdict: crate::verdict::Verdict::of(&summary),
            sections: crate::section::sections(&plan, &summary),
            summary,
            claims: Vec::new(),
            baseline: Vec::new(),
        };
        let data = data(&published).unwrap();
        assert!(!data.contains('<') && data.contains("\\u003c/script>"), "{data}");
        let read: serde_json::Value = serde_json::from_str(&data).unwrap();
        let servers = read["servers"].as_array().unwrap();
        assert!(servers.iter().any(|name| name == hostile), "{servers:?}");
        assert!(!read["figures"].as_array().unwrap().is_empty());
    }
}
