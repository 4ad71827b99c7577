//! Papers of runs: their length, and the texts and pictures of a user.

use std::path::Path;

use bench_data::mock::{MockExecutor, contents_of};
use bench_data::plan::Plan;
use bench_data::record::run_folder::RunFolder;
use bench_report::report::content::Report;
use bench_report::report::export::typeset;
use bench_report::report::lab_report::{self, Appendix, Cover, UserPicture, UserText};
use bench_report::report::paper::{Block, Paper};

fn mock(plan: &str) -> Report {
    Report::of(contents_of(&Plan::built_in(plan).unwrap(), MockExecutor::default()))
}

fn recorded() -> Report {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/2026-11-21-reference");
    Report::of(RunFolder::open(&folder).unwrap().read().unwrap())
}

fn signed() -> Cover {
    Cover {
        title: Some("Threads and events in a file server: a comparison by measurement".to_owned()),
        authors: vec!["Ada Lovelace".to_owned(), "Grace Hopper".to_owned()],
        course: Some("Networks II".to_owned()),
        links: vec!["https://example.org/ada/lab-3".to_owned()],
        ..Cover::default()
    }
}

fn headings(paper: &Paper) -> Vec<&str> {
    let mut headings = Vec::new();
    for block in &paper.blocks {
        if let Block::Heading(text) = block {
            headings.push(text.as_str());
        }
    }
    headings
}

#[test]
fn the_paper_of_the_default_run_has_at_most_six_pages() {
    let report = mock("default");
    let paper = lab_report::paper(&report, &signed()).unwrap();
    assert!(paper.pages() <= 6, "{} pages", paper.pages());
    assert!(report.figures().count() >= 7, "all charts are in it");
}

#[test]
fn a_brief_paper_has_one_page_with_answer_plot_and_set_up() {
    for report in [mock("default"), mock("quick"), recorded()] {
        let paper = lab_report::paper(&report, &Cover { brief: true, ..signed() }).unwrap();
        assert_eq!(paper.pages(), 1, "{}", report.contents.plan.name);
        let any = |is: fn(&Block) -> bool| paper.blocks.iter().any(is);
        assert!(any(|block| matches!(block, Block::Lead(_))), "the answer");
        assert!(any(|block| matches!(block, Block::Figure { .. })), "the plot");
        assert!(any(|block| matches!(block, Block::Terms(_))), "the set-up");
    }
}

#[test]
fn texts_pictures_and_sources_of_a_user_have_their_places() {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"50\"/>";
    let cover = Cover {
        notes: Some(UserText {
            file: "notes.md".to_owned(),
            text: "# Discussion\n\nThe *second* run differs.\n".to_owned(),
        }),
        pictures: vec![UserPicture {
            file: "network.svg".to_owned(),
            caption: "The network".to_owned(),
            data: svg.as_bytes().to_vec(),
        }],
        sources: vec![Appendix {
            heading: "Source: client.py".to_owned(),
            text: "import socket\n".to_owned(),
        }],
        appendices: vec![Appendix {
            heading: "Transcript: shown.txt".to_owned(),
            text: "hello".to_owned(),
        }],
        ..signed()
    };
    let report = mock("quick");
    let paper = lab_report::paper(&report, &cover).unwrap();
    let headings = headings(&paper);
    assert_eq!(headings[..3], ["Result", "Discussion", "Set-up"]);
    assert_eq!(headings[headings.len() - 2..], ["Source: client.py", "Transcript: shown.txt"]);
    let is_own = |block: &Block| matches!(block, Block::Figure { caption, width, .. } if caption == "The network" && *width == 75.0);
    assert!(paper.blocks.iter().any(is_own), "three quarters of a point per pixel");
    let (pdf, lacking) = typeset(&report, &cover).unwrap();
    assert_eq!(lacking, []);
    let pdf = String::from_utf8_lossy(&pdf);
    assert!(pdf.contains("/URI") && pdf.contains("https://example.org/ada/lab-3"));

    let only_picture = Cover { notes: None, ..cover.clone() };
    let paper = lab_report::paper(&report, &only_picture).unwrap();
    assert_eq!(self::headings(&paper)[1], "Notes");
}

#[test]
fn unusable_texts_and_pictures_are_named() {
    let report = mock("quick");
    let refused = |cover: Cover| format!("{:#}", lab_report::paper(&report, &cover).unwrap_err());
    let notes = Some(UserText { file: "n.md".to_owned(), text: "| a |\n| - |\n".to_owned() });
    assert_eq!(
        refused(Cover { notes, ..Cover::default() }),
        "cannot use n.md: line 1: tables are not supported; write the table as a code block"
    );
    let (file, caption) = ("n.gif".to_owned(), String::new());
    let pictures = vec![UserPicture { file, caption, data: b"GIF89a".to_vec() }];
    assert_eq!(
        refused(Cover { pictures, ..Cover::default() }),
        "cannot use n.gif: it is neither PNG nor SVG; convert it to one of them"
    );
}

#[test]
fn a_paper_lists_only_claims_that_the_run_can_test() {
    let count = |report: &Report| {
        let paper = lab_report::paper(report, &Cover::default()).unwrap();
        let position = paper
            .blocks
            .iter()
            .position(|one| matches!(one, Block::Heading(text) if text == "Published claims"));
        position.map(|at| {
            let Block::Definitions(claims) = &paper.blocks[at + 2] else { panic!("no claims") };
            claims.len()
        })
    };
    let report = mock("default");
    let testable = report.analysis.claims.iter().filter(|claim| claim.is_testable()).count();
    assert!(testable < report.analysis.claims.len(), "some cannot be tested");
    assert_eq!(count(&report), (testable > 0).then_some(testable));
    assert_eq!(count(&mock("idle")), None, "nothing is left of the section");
}
