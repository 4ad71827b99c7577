//! Snapshots of the documents for other programs; accept changes with `cargo insta review`.

use std::collections::BTreeMap;

use bench_data::load::Direction;
use bench_data::mock::{MockExecutor, contents_of};
use bench_data::plan::sweep::SweepFlags;
use bench_data::plan::{Overrides, Plan};
use bench_report::analysis::metric::Better;
use bench_report::documents::trusted::Trusted;
use bench_report::documents::{bencher, github, json, markdown, openmetrics};
use bench_report::report::content::Report;

/// Two loads: under one of them, `iterative` serves one of the connections only.
fn report() -> Report {
    let sweeps = SweepFlags { connections: Some(vec![1, 16]), ..SweepFlags::default() };
    let overrides = Overrides { direction: Some(Direction::Download), ..Overrides::from(sweeps) };
    let plan = Plan::built_in("quick").unwrap().with(overrides);
    Report::of(contents_of(&plan, MockExecutor::default()))
}

fn trusted(report: &Report) -> Trusted {
    Trusted::of(&report.analysis)
}

#[test]
fn bencher_metric_format() {
    let report = report();
    let text = json(&bencher::metrics(&trusted(&report)));
    insta::assert_snapshot!(text);
    let read: BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>> =
        serde_json::from_str(&text).unwrap();
    assert!(read.values().flat_map(BTreeMap::values).all(|one| one.contains_key("value")));
    assert!(read.keys().all(|name| !name.starts_with("iterative/download-1KiB-16")));
}

#[test]
fn json_of_github_action_benchmark() {
    let trusted = trusted(&report());
    let [bigger, smaller] = [Better::Higher, Better::Lower]
        .map(|better| json(&github::entries(&trusted, better, "mock, Linux")));
    insta::assert_snapshot!(bigger);
    assert!(bigger.contains("/requests_per_s\"") && !bigger.contains("_us\""), "{bigger}");
    assert!(smaller.contains("/p99_us\"") && !smaller.contains("_per_s\""), "{smaller}");
}

#[test]
fn text_of_openmetrics() {
    let report = report();
    let text = openmetrics::text(&report.contents, &trusted(&report));
    insta::assert_snapshot!(text);
    check_openmetrics(&text);
}

/// Checks the rules of the text format: metadata once and before its samples, families not interleaved,
/// the end mark.
fn check_openmetrics(text: &str) {
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let mut families = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        if let ["#", "TYPE", name, kind] = words[..] {
            assert!(!families.contains(&name), "one TYPE of {name}");
            assert!(["gauge", "info"].contains(&kind), "{line}");
            families.push(name);
        } else if let ["#", _, name, _] = words[..] {
            assert_eq!(families.last(), Some(&name), "{line}");
        } else {
            let (name, rest) = line.split_once('{').unwrap();
            let family = *families.last().unwrap();
            assert!(name == family || name == format!("{family}_info"), "{line}");
            let value = rest.rsplit_once("} ").unwrap().1;
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        }
    }
    assert!(families.len() > 5, "{families:?}");
}

#[test]
fn a_run_as_markdown() {
    let text = markdown::markdown(&report());
    insta::assert_snapshot!(text);
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).map(columns).collect();
    assert!(rows.len() > 6 && rows.iter().all(|count| *count == rows[0]), "{text}");
}

#[test]
fn capacities_as_markdown_and_openmetrics() {
    let plan = Plan::built_in("load").unwrap();
    let report = Report::of(contents_of(&plan, MockExecutor::default()));
    let text = markdown::markdown(&report);
    insta::assert_snapshot!(text.split_once("\n| load | objective").unwrap().1);
    check_openmetrics(&openmetrics::text(&report.contents, &trusted(&report)));
}
