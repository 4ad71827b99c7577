//! Snapshots of every sentence of a report; accept changes with `cargo insta review`.

use std::path::Path;

use bench_data::mock::{MockExecutor, contents_of};
use bench_data::plan::{Overrides, Plan};
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::TrialRow;
use bench_data::record::run_folder::{Contents, RunFolder};
use bench_data::servers::reference::ReferenceServer;
use bench_report::analysis::sentence::advice;
use bench_report::analysis::sentence::answer::{MOST_WORDS, rows};
use bench_report::figures::Figure;
use bench_report::report::content::Report;
use bench_report::report::lab_report::{self, Cover};
use bench_report::report::page;
use bench_report::report::paper::{Block, Group};

/// The text of a page from one of its headings (`id="…"`) to another, a line for each element.
fn text(html: &str, from: &str, to: &str) -> String {
    let start = html.find(from).expect("the page has this part");
    let part = &html[start..start + html[start..].find(to).expect("the page has this part")];
    let part = &part[part.find('>').expect("an element ends") + 1..];
    let mut lines = String::new();
    for line in pictures_left_out(part)
        .replace("</td>", " | ")
        .replace("</th>", " | ")
        .replace("</span>", " ")
        .split("</")
        .flat_map(|text| text.split('\n'))
    {
        let mut plain = String::new();
        let mut rest = line;
        while let Some((before, tag)) = rest.split_once('<') {
            plain += before;
            rest = tag.split_once('>').map_or("", |(tag, after)| {
                if let Some((_, title)) = tag.split_once(" title=\"") {
                    plain += &format!("[{}] ", title.trim_end_matches('"'));
                }
                after
            });
        }
        plain += rest;
        // Text after a closing tag.
        let plain = plain.split_once('>').map_or(&*plain, |(_, after)| after).trim();
        if !plain.is_empty() {
            lines += &(plain.split_whitespace().collect::<Vec<_>>().join(" ") + "\n");
        }
    }
    unescaped(&lines)
}

fn pictures_left_out(html: &str) -> String {
    let mut parts = html.split("<svg ");
    let first = parts.next().expect("a split has a first part").to_owned();
    parts.fold(first, |text, part| text + part.split_once("</svg>").expect("a picture ends").1)
}

fn unescaped(text: &str) -> String {
    let letters =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/")];
    letters
        .into_iter()
        .fold(text.to_owned(), |text, (code, letter)| text.replace(code, letter))
        .replace("&amp;", "&")
}

/// Texts of a chart: title, labels, ticks and caption.
fn words(figure: &Figure) -> String {
    let data = serde_json::to_value(&figure.data).unwrap();
    let mut lines = format!("{}\n  {}\n  {}\n", figure.file, figure.title, figure.subtitle);
    for panel in data["panels"].as_array().unwrap() {
        let label = |axis: &str| panel[axis]["label"].as_str().unwrap().to_owned();
        let ticks = panel["x"]["ticks"].as_array().unwrap();
        let ticks: Vec<_> = ticks.iter().filter_map(|tick| tick["text"].as_str()).collect();
        lines += &format!("  {} by {}: {}\n", label("y"), label("x"), ticks.join(", "));
    }
    let hollow = data["hollow_means"].as_str().unwrap();
    lines + &format!("  hollow: {hollow}\n  {}\n", figure.caption)
}

fn charts(report: &Report) -> String {
    report.figures().map(words).collect()
}

fn run(name: &str, overrides: Overrides, executor: MockExecutor) -> Report {
    // The page shows the seed, which is random by default.
    let overrides = Overrides { seed: Some(1), ..overrides };
    Report::of(contents_of(&Plan::built_in(name).unwrap().with(overrides), executor))
}

fn beside(servers: &[ReferenceServer]) -> Overrides {
    Overrides { against: Some(bench_data::names::entries(servers)), ..Overrides::default() }
}

fn recorded() -> Contents {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/2026-11-21-reference");
    RunFolder::open(&folder).unwrap().read().unwrap()
}

#[test]
fn the_whole_page_of_a_run_without_experiments() {
    let speed =
        [("nginx", 70_000.0), ("lighttpd", 107_500.0)].map(|(name, rate)| (name.to_owned(), rate));
    let overrides = Overrides {
        baseline: Some(vec!["nginx".to_owned()]),
        ..beside(&[ReferenceServer::Nginx, ReferenceServer::Lighttpd])
    };
    let report =
        run("default", overrides, MockExecutor { speed: speed.into(), ..MockExecutor::default() });
    let html = page::html(&report).unwrap();
    insta::assert_snapshot!("page", text(&html, "<header", "<script type"));
    insta::assert_snapshot!("charts", charts(&report));
    insta::assert_snapshot!("readme", page::readme(&report));
}

#[test]
fn every_experiment_of_a_mock_run() {
    let report = run("full", beside(&[ReferenceServer::Nginx]), MockExecutor::default());
    let html = page::html(&report).unwrap();
    insta::assert_snapshot!("full_page", text(&html, "<header", "id=\"tables\""));
    insta::assert_snapshot!("full_answer", answer(&report));
    insta::assert_snapshot!("full_charts", charts(&report));
}

#[test]
fn the_reference_run() {
    let report = Report::of(recorded());
    let html = page::html(&report).unwrap();
    insta::assert_snapshot!("reference_answer", answer(&report));
    insta::assert_snapshot!("reference_page", text(&html, "<header", "id=\"tables\""));
    insta::assert_snapshot!("reference_outliers", text(&html, "id=\"outliers\"", "id=\"methods\""));
    insta::assert_snapshot!("reference_charts", charts(&report));
}

/// The answer of a run, and its forest plot in words.
fn answer(report: &Report) -> String {
    let analysis = &report.analysis;
    let mut text = format!("{}\n", analysis.answer);
    assert!(text.split_whitespace().count() <= MOST_WORDS, "{text}");
    let rows = analysis.forest.iter().flat_map(rows);
    for row in rows {
        let figure = row.figure.unwrap_or_default();
        text += &format!("- {} | {} | {figure} | {}\n", row.name, row.condition, row.verdict);
    }
    for one in advice::words(&analysis.advice) {
        let parts = [one.situation, &one.choice, &one.alike, &one.lead, &one.cost, &one.condition];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        text += &format!("* {}\n", parts.join(" | "));
    }
    text += &format!("  {}\n", analysis.validity);
    let plot = report.forest.iter().map(|plot| format!("  {}\n  {}\n", plot.title, plot.caption));
    text + &plot.collect::<String>()
}

#[test]
fn the_answers_of_runs() {
    let mut all = String::new();
    let mut add = |name: &str, report: &Report| all += &format!("# {name}\n{}\n", answer(report));
    for name in ["default", "quick", "idle", "heavy", "latency"] {
        add(name, &run(name, Overrides::default(), MockExecutor::default()));
    }
    let mut contents = contents_of(&Plan::built_in("default").unwrap(), MockExecutor::default());
    contents.plan.compare = Some(["selector", "thread-pool"].map(str::to_owned));
    add("another pair", &Report::of(contents));
    let bound = |row: &mut TrialRow| {
        if row.target.starts_with("selector") && row.connections != 64 {
            row.outcome = Outcome::GeneratorBound;
        }
        if row.target == "threaded" && row.connections == 1 {
            row.outcome = Outcome::Died;
        }
    };
    let mut contents = contents_of(&Plan::built_in("default").unwrap(), MockExecutor::default());
    contents.records.trials.iter_mut().for_each(bound);
    add("bounds and deaths", &Report::of(contents));
    let speed = [("selector", 50e3), ("selector-again", 70e3)];
    let speed = speed.map(|(name, speed)| (name.to_owned(), speed)).into();
    let void = MockExecutor { speed, ..MockExecutor::default() };
    add("void", &run("default", Overrides::default(), void));
    insta::assert_snapshot!("answers", all);
}

#[test]
fn what_is_wrong_with_a_run() {
    let mut all = String::new();
    let mut add = |name: &str, report: &Report| {
        all += &format!("# {name}\n{}\n", report.analysis.answer);
        report.analysis.notes.iter().for_each(|note| all += &format!("- {note}\n"));
        let captions =
            report.figures().map(|figure| format!("  {}\n    {}\n", figure.title, figure.caption));
        all += &(captions.collect::<String>() + "\n");
    };
    let quick = |executor| run("quick", Overrides::default(), executor);
    let one_round = Overrides { rounds: Some(1), ..beside(&[ReferenceServer::Nginx]) };
    add("one round", &run("quick", one_round, MockExecutor::default()));
    add(
        "generator-bound",
        &quick(MockExecutor { generator_share: 0.97, ..MockExecutor::default() }),
    );
    add(
        "the servers die",
        &quick(MockExecutor { dies_in: (1..=1000).collect(), ..MockExecutor::default() }),
    );
    let lacks = [("nginx".to_owned(), "PUT is answered with 405".to_owned())].into();
    let executor = MockExecutor { lacks, ..MockExecutor::default() };
    add("unsupported", &run("quick", beside(&[ReferenceServer::Nginx]), executor));
    let speed =
        ["threaded", "thread-pool", "selector"].map(|name| (name.to_owned(), 50_000.0)).into();
    add("all alike", &quick(MockExecutor { speed, ..MockExecutor::default() }));
    // Trials of a mock run that are changed after it.
    let mut changed = |name: &str, change: &dyn Fn(&mut TrialRow)| {
        let mut contents = contents_of(&Plan::built_in("quick").unwrap(), MockExecutor::default());
        contents.records.trials.iter_mut().for_each(change);
        add(name, &Report::of(contents));
    };
    changed("the best one is generator-bound", &|row| {
        if row.target == "selector" {
            row.outcome = Outcome::GeneratorBound;
        }
    });
    changed("one load is generator-bound", &|row| {
        if row.target == "selector" && row.connections == 64 {
            row.outcome = Outcome::GeneratorBound;
        }
    });
    changed("one server dies once", &|row| {
        if row.target == "threaded" && row.round == 1 {
            row.outcome = Outcome::Died;
            row.outcome_reason = "killed by signal 9".to_owned();
        }
    });
    changed("one connection is not served in one round", &|row| {
        if row.target == "threaded" && row.round == 2 {
            row.connections_served = row.connections_served.map(|served| served - 1);
            row.outcome = Outcome::Starved;
        }
    });
    insta::assert_snapshot!("trouble", all);
}

#[test]
fn the_paper_of_a_run() {
    let report = run(
        "concurrency",
        Overrides { rounds: Some(3), ..Overrides::default() },
        MockExecutor::default(),
    );
    let paper = lab_report::paper(&report, &Cover::default()).unwrap();
    let mut text = format!("{}\n{}\n", paper.title, paper.below_title.join("\n"));
    for block in &paper.blocks {
        text += &match block {
            Block::Heading(line) => format!("\n# {line}\n"),
            Block::Subheading(line) => format!("## {line}\n"),
            Block::Paragraph(line)
            | Block::Lead(line)
            | Block::Verbatim(line)
            | Block::Source(line) => {
                format!("{line}\n")
            }
            Block::Rich(runs) | Block::Entry { runs, .. } => {
                runs.iter().map(|run| run.text.as_str()).collect::<String>() + "\n"
            }
            Block::Items(items) => items.iter().map(|item| format!("- {item}\n")).collect(),
            Block::Terms(terms) => {
                terms.iter().map(|(term, line)| format!("{term}: {line}\n")).collect()
            }
            Block::Definitions(all) => {
                all.iter().map(|(term, line)| format!("{term} {line}\n")).collect()
            }
            Block::Figure { caption, .. } => format!("figure: {caption}\n"),
            Block::Table { caption, columns, groups, notes } => {
                let group = |group: &Group| {
                    let rows = group.rows.len();
                    let lines = std::iter::once(format!("{} ({rows} rows)", group.heading));
                    lines.chain(group.remarks.clone()).map(|line| line + "\n").collect::<String>()
                };
                let groups: String = groups.iter().map(group).collect();
                format!("table: {caption}\n{}\n{groups}{}\n", columns.join(" | "), notes.join("\n"))
            }
        };
    }
    insta::assert_snapshot!("paper", text);
}
