//! JSON on standard output, and exports, as scripts use them.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{Scratch, TINY, output, recorded, refusal, text};

/// The single JSON document of standard output.
fn document(ran: &Output, code: i32) -> Value {
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(code), "{said}");
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Objects whose keys are names or are described elsewhere.
const MAPS: [&str; 3] = ["environment", "trials", "outcomes"];

/// Checks that every key of a document is described.
fn is_described(value: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = ["docs/json.md", "results/SCHEMA.md"];
    let pages = pages.map(|page| fs::read_to_string(folder.join(page)).unwrap()).concat();
    check_keys(value, &pages);
}

fn check_keys(value: &Value, pages: &str) {
    if let Value::Array(items) = value {
        items.iter().for_each(|item| check_keys(item, pages));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        assert!(pages.contains(&format!("`{key}`")), "{key} is not described in docs/json.md");
        if !MAPS.contains(&&**key) {
            check_keys(value, pages);
        }
    }
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_run_and_its_report_print_one_document() {
    let scratch = Scratch::new();
    let (plan, out) = (scratch.file("tiny.toml", TINY), scratch.path("run"));
    let arguments = ["run", "--plan", &plan, "--out", name(&out), "--format", "json"];
    let dry = document(&output(&[&arguments[..], &["--dry-run"]].concat()), 0);
    is_described(&dry);
    assert_eq!((&dry["document"], &dry["trials"]), (&"plan".into(), &6.into()));
    let ran = output(&arguments);
    let run = document(&ran, 0);
    assert!(text(&ran.stderr).contains("report.html"), "the files are on standard error");
    is_described(&run);
    assert_eq!((&run["document"], &run["plan"]), (&"run".into(), &"tiny".into()));
    assert_eq!(run["folder"], name(&out));
    assert!(Path::new(run["report"].as_str().unwrap()).is_file());
    assert_eq!(run["results"].as_array().unwrap().len(), 6);
    let server = &run["results"][0];
    assert!(server["values"]["requests_per_s"]["median"].as_f64().unwrap() > 0.0, "{server}");
    assert_eq!(server["values"]["requests_per_s"]["rounds"], 1);
    let report = document(&output(&["report", name(&out), "--format", "json"]), 0);
    assert_eq!(report, run, "a report is the document of the run");
    assert!(report["paper"].is_null() && report["pictures"].as_array().unwrap().is_empty());
    let files = ["report", name(&out), "--pdf", "--png", "--format", "json"];
    let with_files = document(&output(&files), 0);
    is_described(&with_files);
    assert_eq!(with_files["paper"], name(&out.join("report.pdf")));
    let pictures = with_files["pictures"].as_array().unwrap();
    let of_charts = fs::read_dir(out.join("plots")).unwrap().map(|entry| entry.unwrap().path());
    let of_charts = of_charts.filter(|path| path.extension() == Some("svg".as_ref()));
    assert_eq!(pictures.len(), of_charts.count());
    for path in pictures.iter().chain([&with_files["paper"]]) {
        assert!(Path::new(path.as_str().unwrap()).is_file(), "{path}");
    }
    let again = document(&output(&["run", "--resume", name(&out), "--format", "json"]), 0);
    assert_eq!(again, run, "a complete run");
}

#[test]
fn plans_strategies_and_servers_are_listed_as_a_document() {
    let list = document(&output(&["list", "--format", "json"]), 0);
    is_described(&list);
    let has =
        |key: &str, name: &str| list[key].as_array().unwrap().iter().any(|one| one["name"] == name);
    assert!(
        has("plans", "full") && has("strategies", "uring") && has("reference_servers", "nginx")
    );
    assert!(list["plans"].as_array().unwrap().iter().all(|plan| plan["trials"].as_u64() > Some(0)));
}

/// Halves the throughput of one server.
fn slow_down(folder: &Path, target: &str) {
    let path = folder.join("trials.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let index = |name: &str| headers.iter().position(|column| column == name).unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for row in reader.records().map(Result::unwrap) {
        let mut fields: Vec<_> = row.iter().map(str::to_owned).collect();
        for (column, factor) in [("window_s", 2.0), ("requests_per_s", 0.5), ("body_mb_per_s", 0.5)]
        {
            let field = &mut fields[index(column)];
            if let (true, Ok(value)) = (&row[index("target")] == target, field.parse::<f64>()) {
                *field = (value * factor).to_string();
            }
        }
        writer.write_record(&fields).unwrap();
    }
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

#[test]
fn a_comparison_is_a_document_or_markdown_with_the_same_exit_code() {
    let (old, new) = (Scratch::new(), Scratch::new());
    let [before, after] = [&old, &new].map(recorded);
    slow_down(&after, "selector");
    let diff = |flags: &[&str]| output(&[&["diff", name(&before), name(&after)], flags].concat());
    let limit = ["--fail-if", "throughput<-5%"];
    let compared = document(&diff(&[&limit[..], &["--format", "json"]].concat()), 1);
    is_described(&compared);
    assert_eq!(compared["limits"]["is_passed"], false);
    assert_eq!(compared["limits"]["exceeded"][0]["server"], "selector");
    assert!(compared["counts"]["slower"].as_u64().unwrap() > 0, "{compared}");
    let free = document(&diff(&["--format", "json"]), 0);
    assert!(free["limits"].is_null());

    let made = diff(&[&limit[..], &["--markdown"]].concat());
    let all = text(&made.stdout);
    assert_eq!(made.status.code(), Some(1), "{all}");
    assert!(all.starts_with("**0 faster, ") && all.contains("\n- Beyond throughput"), "{all}");
    let changed = text(&diff(&["--markdown", "--changed-only"]).stdout);
    for markdown in [&all, &changed] {
        same_columns(markdown);
    }
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("| ")).count() - 2;
    let (kept, every) = (rows(&changed), rows(&all));
    assert!(kept > 0 && kept < every, "{changed}");
    let left_out = format!("\nLeft out: {} of {every} changes", every - kept);
    assert!(changed.contains(&left_out), "{left_out}: {changed}");
    let shorter = text(&diff(&["--changed-only"]).stdout);
    let (tables, rest) = shorter.split_once("\nLeft out: ").unwrap();
    assert!(tables.contains("\n  selector") && !tables.contains("\n  nginx"), "{shorter}");
    assert!(rest.contains(" rows, without a shown difference."), "{shorter}");

    let folders = ["diff", name(&before), name(&after)];
    for flags in [["--markdown", "--format", "json"], ["--changed-only", "--format", "json"]] {
        refusal(&[&folders[..], &flags].concat());
    }
}

/// Checks that all rows of a Markdown text have the same number of cells.
fn same_columns(markdown: &str) {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<_> = markdown.lines().filter(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() > 2 && rows.iter().all(|count| *count == rows[0]), "{markdown}");
}

#[test]
fn a_run_is_exported_to_benchmark_services() {
    let scratch = Scratch::new();
    let folder = recorded(&scratch);
    let export = |flag: &str| output(&["export", name(&folder), flag]);
    let bencher = export("--bencher");
    let left_out = text(&bencher.stderr);
    assert!(left_out.contains("left out: iterative with 64 connections"), "{left_out}");
    let bencher = document(&bencher, 0);
    let measure = &bencher["selector/download-1KiB-64-connections"]["requests_per_s"];
    let at = |key: &str| measure[key].as_f64().unwrap();
    assert!(at("lower_value") <= at("value") && at("value") <= at("upper_value"), "{bencher}");
    assert!(bencher.get("iterative/download-1KiB-64-connections").is_none(), "not trusted");

    for (flag, key) in [
        ("--github", "p99_us"),
        ("--github=smaller", "p99_us"),
        ("--github=bigger", "requests_per_s"),
    ] {
        let entries = document(&export(flag), 0);
        let wanted = format!("selector/download-1KiB-64-connections/{key}");
        let entry = entries.as_array().unwrap().iter().find(|one| one["name"] == wanted[..]);
        let entry = entry.unwrap_or_else(|| panic!("{wanted}: {entries}"));
        assert!(entry["value"].is_number() && entry["unit"].is_string(), "{entry}");
        assert!(entry["extra"].as_str().unwrap().starts_with("rounds: "), "{entry}");
    }

    let metrics = text(&export("--openmetrics").stdout);
    assert!(metrics.ends_with("\n# EOF\n"), "{metrics}");
    let types: Vec<_> = metrics.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    for line in &types {
        assert_eq!(types.iter().filter(|other| *other == line).count(), 1, "{line}");
    }
    let untrusted = "bench_trusted{server=\"iterative\",direction=\"download\",size_bytes=\"1024\",\
                     connections=\"64\"} 0";
    assert!(metrics.lines().any(|line| line == untrusted), "{metrics}");

    let markdown = text(&export("--markdown").stdout);
    same_columns(&markdown);
    assert!(markdown.contains("served 1 of 64 connections"), "{markdown}");

    refusal(&["export", name(&folder)]);
    refusal(&["export", name(&folder), "--bencher", "--markdown"]);
    refusal(&["export", name(&folder), "--github=sideways"]);
    let said = refusal(&["export", "no-such-folder", "--bencher"]);
    assert!(said.contains("no-such-folder"), "{said}");
}
