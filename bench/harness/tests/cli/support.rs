//! Helpers: the program, scratch folders, a small plan, a recorded run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    // Texts are checked without line breaks.
    testkit::isolate(&mut command).args(arguments).env("COLUMNS", "1000").stdin(Stdio::null());
    // Other tests run meanwhile.
    if arguments.first() == Some(&"run") {
        command.arg("--allow-busy");
    }
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    bench(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard error of a run that ends with a usage error.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let output = output(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

pub(crate) struct Scratch {
    pub(crate) folder: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }
}

pub(crate) const TINY: &str = r#"
name = "tiny"
question = "Does it work?"
strategies = ["threaded", "selector"]
aa_control = "none"
rounds = 1
order = "mirrored"
wire = "http"
warm_up_ms = 40
window_ms = 150
run_delay_limit = 100.0

[[sweep]]
direction = "download"
connections = [1, 4]
sizes = ["1KiB"]

[[sweep]]
direction = "upload"
connections = [2]
sizes = ["16KiB"]
"#;

/// Committed run with reference servers.
pub(crate) fn recorded(scratch: &Scratch) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/2026-11-21T115843-vm");
    let to = scratch.path("recorded");
    fs::create_dir(&to).unwrap();
    for name in ["trials.csv", "latency.csv", "timeseries.csv", "plan.toml", "environment.toml"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to
}

/// Every file of a folder with its content, charts included.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in [folder.to_owned(), folder.join("plots")] {
        // A run that was never reported has no charts.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_file() {
                files.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn rows(folder: &Path) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let outcome = reader.headers().unwrap().iter().position(|name| name == "outcome").unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert!(rows.iter().all(|row| !row[outcome].is_empty()));
    rows
}

/// The values of a column, row by row.
pub(crate) fn column(folder: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let index = reader.headers().unwrap().iter().position(|column| column == name).expect(name);
    reader.records().map(|row| row.unwrap()[index].to_owned()).collect()
}

/// Asserts that requests were answered in every trial, and none failed. The outcomes say more only on
/// a quiet machine: other programs disturb trials, and starve servers.
pub(crate) fn assert_served(folder: &Path) {
    let (outcomes, errors) = (column(folder, "outcome"), column(folder, "errors"));
    let replies = column(folder, "replies_total");
    assert!(!outcomes.is_empty());
    for ((outcome, errors), replies) in outcomes.iter().zip(errors).zip(replies) {
        let was_served = errors == "0" && replies.parse::<u64>().is_ok_and(|replies| replies > 0);
        assert!(was_served, "{outcome}: {errors} errors, {replies} replies");
    }
}

/// Runs a case for all these values at the same time: runs wait most of the time.
pub(crate) fn at_once<T: Send>(values: impl IntoIterator<Item = T>, case: impl Fn(T) + Sync) {
    let case = &case;
    std::thread::scope(|scope| {
        for value in values {
            scope.spawn(move || case(value));
        }
    });
}
