//! The report as one self-contained page.

use crate::report::setup::Server;
use crate::report::setup::servers;
use crate::report::setup::{machine_in_one_line, setup};
use crate::report::setup::{no_outliers, outliers_in_words, trials};
use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;
use std::collections::BTreeMap;

use super::matrix::Matrix;
use crate::analysis::claims::{Claim, Judgement};
use crate::analysis::metric::Unit;
use crate::analysis::scalability;
use crate::analysis::scalability::Scalability;
use crate::analysis::section::Section;
use crate::analysis::sentence::advice::{self, AdviceWords};
use crate::analysis::sentence::answer;
use crate::figures::forest::{self, ForestPlot};
use crate::figures::{Data, Figure};
use crate::report::content::Report;
use crate::report::glossary;
use crate::report::table;
use crate::report::table::Table;
use bench_data::record::environment::typed;
use bench_data::units::Scale;

const TEMPLATE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
/// Style of all pages.
pub(crate) const STYLE: &str = include_str!("page.css");

#[derive(Debug, Serialize)]
struct Page<'p> {
    question: &'p str,
    answer: &'p str,
    forest: Option<&'p ForestPlot>,
    machine: String,
    validity: &'p str,
    advice: Vec<AdviceWords>,
    notes: &'p [String],
    setup: Vec<(&'static str, String)>,
    servers: Vec<Server>,
    matrix: Matrix,
    sections: Vec<Part<'p>>,
    claims: Vec<ClaimPart>,
    /// Claims that the run cannot test.
    untestable: Vec<ClaimPart>,
    outliers: Vec<String>,
    /// Text in place of outliers.
    no_outliers: &'static str,
    table_note: String,
    scalability_columns: [&'static str; scalability::COLUMNS.len()],
    methods: Vec<String>,
    glossary: Vec<(&'static str, &'static str)>,
    data: String,
    script: &'static str,
    style: &'static str,
}

/// Section of the page.
#[derive(Debug, Serialize)]
struct Part<'p> {
    name: &'p str,
    question: &'p str,
    /// The compared pair in one line, of a run with several experiments.
    line: Option<String>,
    answer: &'p str,
    cost: Option<&'p str>,
    scalability: Option<&'p Scalability>,
    refusals: String,
    figures: Vec<Still<'p>>,
    tables: Vec<Table>,
}

/// Claim of the page.
#[derive(Debug, Serialize)]
struct ClaimPart {
    source: &'static str,
    claim: &'static str,
    test: &'static str,
    measured: String,
    conclusion: String,
    /// The conclusion on the direction, or else on the magnitude.
    class: Judgement,
}

/// Chart of the page, until the script redraws it.
#[derive(Debug, Serialize)]
struct Still<'p> {
    id: String,
    file: &'p str,
    caption: &'p str,
    svg: &'p str,
}

/// Data of the script.
#[derive(Debug, Serialize)]
struct Live<'p> {
    servers: Vec<&'p str>,
    /// Compared servers, which charts highlight; empty if none.
    pair: Vec<&'p str>,
    /// Factors and names of the units.
    scales: BTreeMap<Unit, Scale>,
    figures: Vec<LiveFigure<'p>>,
}

#[derive(Debug, Serialize)]
struct LiveFigure<'p> {
    id: String,
    title: &'p str,
    subtitle: &'p str,
    #[serde(flatten)]
    data: &'p Data,
}

/// Page of a report.
///
/// # Errors
/// The template does not fit its data.
pub fn html(report: &Report) -> anyhow::Result<String> {
    let Report { contents, analysis, .. } = report;
    let mut templates = Templates::new();
    // The name enables HTML escapes.
    templates.add_template("report.html", TEMPLATE)?;
    let (untestable, claims) = analysis
        .claims
        .iter()
        .map(claim_part)
        .partition(|claim: &ClaimPart| claim.class == Judgement::NotTestable);
    let forest = analysis.forest.as_ref().filter(|_| analysis.sections.len() > 1);
    let line = |section: &Section| answer::in_section(forest?, &section.name);
    let page = Page {
        question: &contents.plan.question,
        answer: &analysis.answer,
        forest: report.forest.as_ref(),
        machine: machine_in_one_line(contents),
        validity: &analysis.validity,
        advice: advice::words(&analysis.advice),
        notes: &analysis.notes,
        setup: setup(report),
        servers: servers(contents),
        matrix: Matrix::of(analysis),
        sections: report
            .sections()
            .map(|(section, figures)| part(section, line(section), figures, &analysis.baseline))
            .collect(),
        claims,
        untestable,
        outliers: outliers_in_words(contents),
        no_outliers: no_outliers(contents),
        table_note: table::note(),
        scalability_columns: scalability::COLUMNS,
        methods: glossary::methods(&contents.plan),
        glossary: glossary::all(),
        data: data(report)?,
        script: SCRIPT,
        style: STYLE,
    };
    Ok(templates.get_template("report.html")?.render(Serde(&page))?)
}

fn claim_part(claim: &Claim) -> ClaimPart {
    let has_direction = claim.direction != Judgement::NotClaimed;
    let class = if has_direction { claim.direction } else { claim.magnitude };
    let (source, test, conclusion) = (claim.source, claim.test, claim.conclusion());
    ClaimPart {
        source,
        claim: claim.claim,
        test,
        measured: claim.measured.clone(),
        conclusion,
        class,
    }
}

fn part<'p>(
    section: &'p Section,
    line: Option<String>,
    figures: &'p [Figure],
    baseline: &[String],
) -> Part<'p> {
    Part {
        name: &section.name,
        question: &section.question,
        line,
        answer: &section.answer,
        cost: section.cost.as_deref(),
        scalability: section.scalability.as_ref(),
        refusals: section.scalability.as_ref().map(Scalability::refusals).unwrap_or_default(),
        figures: figures
            .iter()
            .map(|figure| Still {
                id: id(figure),
                file: &figure.file,
                caption: &figure.caption,
                svg: &figure.svg,
            })
            .collect(),
        tables: table::tables(&section.part, baseline),
    }
}

/// Data of the script, so written that it cannot end its element.
fn data(report: &Report) -> anyhow::Result<String> {
    let figures = report.figures().filter(|figure| figure.data.is_drawn());
    let pair = report.analysis.forest.as_ref().map(|forest| &forest.pair);
    let live = Live {
        servers: report.analysis.summary.targets(),
        pair: pair.map(|pair| vec![&*pair.first, &*pair.second]).unwrap_or_default(),
        scales: Unit::OF_CHARTS.map(|unit| (unit, unit.scale())).into(),
        figures: figures
            .map(|figure| LiveFigure {
                id: id(figure),
                title: &figure.title,
                subtitle: &figure.subtitle,
                data: &figure.data,
            })
            .collect(),
    };
    Ok(serde_json::to_string(&live)?.replace('<', "\\u003c"))
}

fn id(figure: &Figure) -> String {
    figure.file.trim_end_matches(".svg").to_owned()
}

/// README of the folder.
pub fn readme(report: &Report) -> String {
    let Report { contents, analysis, .. } = report;
    let environment = &contents.environment;
    let mut text = format!(
        "# {}\n\n{}\n\n```sh\n{}\n```\n\nStarted {} on {}. Trials: {}.\n\n`report.html` is the \
         full report; `cargo run --release -- report DIR` regenerates it from the CSV files. Their \
         columns are described in `results/SCHEMA.md` of the repository.\n",
        contents.plan.question,
        analysis.answer,
        typed(&environment.command),
        environment.started_at.strftime("%Y-%m-%d %H:%M UTC"),
        environment.machine.host,
        trials(report),
    );
    for note in &analysis.notes {
        text += &format!("\n- {note}");
    }
    let forest = report.forest.iter().map(|plot| (&*plot.title, forest::FILE));
    let charts = report.figures().map(|figure| (&*figure.title, &*figure.file));
    for (title, file) in forest.chain(charts) {
        text += &format!("\n\n![{title}](plots/{file})");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::over_time::replace_seconds;
    use bench_data::mock::MockExecutor;
    use bench_data::plan::Plan;
    use bench_data::servers::target::TargetKind;

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
    fn the_script_leaves_a_heat_map_as_it_is() {
        let plan = Plan::built_in("default").unwrap();
        let mut contents = bench_data::mock::contents_of(&plan, MockExecutor::default());
        replace_seconds(&mut contents.records, |_, _| 2_000.0);
        let report = Report::of(contents);
        let page = html(&report).unwrap();
        assert_eq!(page.matches("id=\"latency-over-time\"").count(), 1);
        assert!(page.contains("Second by second, the p99 response time is 2.00 ms with threaded"));
        assert!(!data(&report).unwrap().contains("latency-over-time"));
        assert!(readme(&report).contains("(plots/latency-over-time.svg)"));
    }

    #[test]
    fn no_text_of_a_run_ends_the_element_that_holds_the_data() {
        let plan = Plan::built_in("quick").unwrap();
        let mut records = bench_data::mock::records_of(&plan, MockExecutor::default());
        let hostile = "</script><script>alert(1)</script>";
        for row in records.trials.iter_mut().filter(|row| row.target == "selector") {
            row.target = hostile.to_owned();
            row.target_kind = TargetKind::Command;
        }
        let mut contents = bench_data::mock::contents_of(&plan, MockExecutor::default());
        contents.records = records;
        let data = data(&Report::of(contents)).unwrap();
        assert!(!data.contains('<') && data.contains("\\u003c/script>"), "{data}");
        let read: serde_json::Value = serde_json::from_str(&data).unwrap();
        let servers = read["servers"].as_array().unwrap();
        assert!(servers.iter().any(|name| name == hostile), "{servers:?}");
        assert!(!read["figures"].as_array().unwrap().is_empty());
    }
}
