//! The `bench` program as its users meet it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    bench(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to a usage error and returns what it says.
fn refusal(arguments: &[&str]) -> String {
    let output = output(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }
}

const TINY: &str = r#"
name = "tiny"
question = "Does it work?"
strategies = ["threaded", "selector"]
twin = "none"
rounds = 1
order = "mirrored"
wire = "http"
warm_up_ms = 40
window_ms = 150

[[sweep]]
direction = "download"
connections = [1, 4]
sizes = ["1KiB"]

[[sweep]]
direction = "upload"
connections = [2]
sizes = ["16KiB"]
"#;

/// A run that is committed, with the real servers.
fn recorded(scratch: &Scratch) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/2026-11-21T115843-vm");
    let to = scratch.path("recorded");
    fs::create_dir(&to).unwrap();
    for name in ["trials.csv", "latency.csv", "timeseries.csv", "plan.toml", "environment.toml"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to
}

/// Every file of a folder with its content, charts included.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in [folder.to_owned(), folder.join("plots")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                files.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn rows(folder: &Path) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let outcome = reader.headers().unwrap().iter().position(|name| name == "outcome").unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert!(rows.iter().all(|row| !row[outcome].is_empty()));
    rows
}

#[test]
fn a_tiny_run_measures_reports_and_can_be_reported_again() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let ran = output(&["run", "--plan", &plan, "--out", out.to_str().unwrap()]);
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("requests/s") && stdout.contains("selector"), "{stdout}");
    assert!(stdout.contains("With 4 connections and downloads of 1 KiB"), "{stdout}");
    assert!(stdout.contains("report.html"), "{stdout}");
    for quarter in ["  0 %  6 trials", " 25 %  2/6 ", " 50 %  3/6 ", " 75 %  5/6 ", "100 %  6/6 "] {
        assert_eq!(stderr.matches(quarter).count(), 1, "{quarter}: {stderr}");
    }

    let rows = rows(&out);
    assert_eq!(rows.len(), 6);
    let column = |name: &str| {
        let mut reader = csv::Reader::from_path(out.join("trials.csv")).unwrap();
        reader.headers().unwrap().iter().position(|column| column == name).unwrap()
    };
    for row in &rows {
        let number = |name| row[column(name)].parse::<f64>().unwrap();
        assert!(number("requests") > 0.0, "{row:?}");
        assert_eq!(number("errors"), 0.0, "{row:?}");
    }
    // On a busy machine a short window may be over before it is noticed, but not every one.
    for name in ["server_cpu_s", "server_memory_bytes", "server_threads"] {
        let mut seen = rows.iter().filter_map(|row| row[column(name)].parse::<f64>().ok());
        assert!(seen.any(|value| value > 0.0), "{name}");
    }

    let readme = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(readme.contains("cargo run --release -- run --plan "), "{readme}");

    let before = contents(&out);
    for entry in fs::read_dir(out.join("plots")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_file(out.join("report.html")).unwrap();
    let again = output(&["report", out.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(contents(&out) == before, "the files differ");
}

/// The values of a column, row by row.
fn column(folder: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let index = reader.headers().unwrap().iter().position(|column| column == name).expect(name);
    reader.records().map(|row| row.unwrap()[index].to_owned()).collect()
}

#[test]
fn other_manners_of_load_are_put_on_and_recorded() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let ran = bench(&["run", "--plan", &plan, "--direction", "download", "--connections", "2"])
        .args(["--strategies", "selector", "--twin", "selector", "--idle", "0,40"])
        .args(["--slow-readers", "3", "--slow-senders", "3", "--rate", "200"])
        .args(["--variant", "copied=threaded --send-path copy", "--send-path", "sendfile"])
        .args(["--engine", "epoll", "--sizes", "64KiB", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    let targets = column(&out, "target");
    assert_eq!(targets[..3], ["selector", "copied", "selector-again"]);
    let kinds = column(&out, "target_kind");
    assert_eq!(kinds[..3], ["strategy", "strategy", "twin"]);
    assert_eq!(column(&out, "idle_connections"), ["0", "0", "0", "40", "40", "40"]);
    assert_eq!(column(&out, "crowd_held"), ["6", "6", "6", "46", "46", "46"]);
    assert_eq!(column(&out, "offered_per_s"), ["200"; 6]);
    assert_eq!(column(&out, "generator_engine"), ["epoll"; 6]);
    let path = column(&out, "server_send_path");
    assert_eq!(path[..3], ["sendfile", "copy", "sendfile"], "of each server's own flags");
    assert!(out.join("hdr/trial-6.hlog").is_file());
    let latency = fs::read_to_string(out.join("latency.csv")).unwrap();
    assert!(latency.contains("1,send-delay,") && latency.contains("1,service,"), "{latency}");
    assert!(stdout.contains("200 requests/s offered, beside 40 idle connections, beside 3 slow"));

    let out = scratch.path("churn");
    let ran = bench(&["run", "--plan", &plan, "--direction", "download", "--no-keep-alive"])
        .args(["--connections", "2", "--baseline", "threaded", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let stdout = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{}", text(&ran.stderr));
    assert_eq!(column(&out, "keep_alive"), ["false"; 2]);
    for (requests, opened) in
        column(&out, "requests").iter().zip(column(&out, "connections_opened"))
    {
        let (requests, opened): (u64, u64) = (requests.parse().unwrap(), opened.parse().unwrap());
        assert!(requests > 0 && opened >= requests, "{opened} for {requests}");
    }
    assert!(stdout.contains("requests/s ÷ threaded: selector "), "{stdout}");
}

const HEAVY: &str = r#"
name = "heavy"
question = "Who waits?"
strategies = ["threaded", "selector"]
twin = "none"
against = ["nginx"]
rounds = 1
order = "mirrored"
wire = "http"
warm_up_ms = 50
window_ms = 400

[[sweep]]
direction = "download"
connections = [4]
sizes = ["1KiB"]
heavy_block_percent = [5]
against = ["nginx-threaded"]

[[sweep]]
direction = "download"
connections = [4]
mix = "web"
"#;

#[test]
fn heavy_requests_are_told_apart_and_a_mix_is_served() {
    let scratch = Scratch::new();
    let plan = scratch.file("plan.toml", HEAVY);
    let folder = scratch.path("out");
    let output = output(&["run", "--plan", &plan, "--out", &folder.display().to_string()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let all = rows(&folder);
    let value = |row: &csv::StringRecord, name: &str| {
        let header = csv::Reader::from_path(folder.join("trials.csv")).unwrap().headers().cloned();
        let at = header.unwrap().iter().position(|column| column == name).unwrap();
        row[at].to_owned()
    };
    let latency = fs::read_to_string(folder.join("latency.csv")).unwrap();
    let mut servers = Vec::new();
    for row in &all {
        let (target, outcome) = (value(row, "target"), value(row, "outcome"));
        servers.push(target.clone());
        if value(row, "heavy_block_percent") == "0" {
            assert_eq!(value(row, "mix"), "web");
            assert_ne!(target, "nginx-threaded", "it meets the loads of its own sweep alone");
            assert_eq!(value(row, "errors"), "0", "{target}: {row:?}");
            assert!(value(row, "verified").parse::<u64>().unwrap() > 0, "{target}: {row:?}");
            continue;
        }
        if target == "nginx" {
            assert_eq!(outcome, "unsupported");
            assert!(value(row, "outcome_reason").contains("only our own servers"), "{row:?}");
            continue;
        }
        assert_eq!(value(row, "errors"), "0", "{target}: {row:?}");
        let number = |name: &str| value(row, name).parse::<u64>().unwrap();
        let (requests, heavy) = (number("requests"), number("heavy_requests"));
        assert!(heavy > 0 && heavy < requests / 5, "{target}: {heavy} of {requests}");
        let median = |distribution: &str| {
            let start = format!("{},{distribution},50.0,", value(row, "trial"));
            let line = latency.lines().find_map(|line| line.strip_prefix(&start));
            line.map(|us| us.parse::<f64>().unwrap())
        };
        assert!(median("heavy").is_some_and(|us| us >= 20_000.0), "{target}");
        if target == "nginx-threaded" {
            // Both of them: nginx alone has a process without and one with a part in it.
            assert!(number("server_processes") >= 3, "{row:?}");
            assert!(number("server_threads") >= 2 + 4, "{row:?}");
            let kept = fs::read_to_string(folder.join("peers/nginx-threaded.conf")).unwrap();
            assert!(kept.contains("proxy_pass") && kept.contains("{upstream}"), "{kept}");
        }
    }
    let installed = !said.contains("nginx: not installed");
    assert_eq!(servers.contains(&"nginx-threaded".to_owned()), installed, "{said}");
    assert!(folder.join("plots/waits-beside-heavy-block.svg").is_file() || !installed);
}

#[test]
fn the_files_of_a_mix_are_written_for_other_servers() {
    let scratch = Scratch::new();
    let folder = scratch.path("files");
    fs::create_dir(&folder).unwrap();
    let output = output(&["files", &folder.display().to_string(), "--mix", "web"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 720);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes > 90 << 20 && bytes <= 100 << 20, "{bytes}");
}

#[test]
fn loads_that_cannot_be_put_on_are_refused_with_the_remedy() {
    for (flags, expected) in [
        (&["--heavy-cpu-percent", "101"][..], "101"),
        (&["--heavy-cpu-percent", "50", "--heavy-block-percent", "50"], "100 % of requests"),
        (&["--heavy-cpu-percent", "1", "--wire", "framed"], "over http"),
        (&["--mix", "web", "--sizes", "1KiB"], "cannot be used with"),
        (&["--mix", "everything"], "web"),
    ] {
        let mut arguments = vec!["run", "--quick", "--direction", "download"];
        arguments.extend(flags);
        let said = refusal(&arguments);
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
    let said = refusal(&["run", "--quick", "--mix", "web"]);
    assert!(said.contains("only downloaded"), "{said}");
}

#[test]
fn runs_of_the_first_schema_are_reported_again() {
    for old in ["2026-11-21T113905-vm", "2026-11-21T115843-vm"] {
        let scratch = Scratch::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results").join(old);
        for name in ["trials.csv", "latency.csv", "timeseries.csv", "plan.toml", "environment.toml"]
        {
            fs::copy(from.join(name), scratch.path(name)).unwrap();
        }
        let folder = scratch.folder.path().to_str().unwrap();
        let reported = output(&["report", folder]);
        assert_eq!(reported.status.code(), Some(0), "{}", text(&reported.stderr));
        let page = fs::read_to_string(scratch.path("report.html")).unwrap();
        assert!(page.contains("selector is fastest"), "{old}");
    }
}

#[test]
fn plans_of_the_program_are_run_by_name() {
    let said = refusal(&["run", "concurrency", "chrun"]);
    assert!(said.contains("there is no plan 'chrun': choose from default"), "{said}");
    assert!(refusal(&["run", "churn", "--quick"]).contains("--quick"));
    let said = refusal(&["run", "churn", "--strategies", "none"]);
    assert!(said.contains("no server to measure"), "{said}");
}

#[test]
fn a_recorded_run_becomes_a_paper_pictures_and_tables() {
    let scratch = Scratch::new();
    let folder = recorded(&scratch);
    let transcript =
        scratch.file("client.txt", "client> send meme.png\n\u{1b}[32mdone\u{1b}[0m 100 %\n");
    let made = bench(&["report", folder.to_str().unwrap(), "--pdf", "--png"])
        .args(["--title", "Lab 3", "--author", "Ada Lovelace", "--author", "某人"])
        .args(["--course", "Networks", "--transcript", &transcript, "--listing"])
        .arg(scratch.folder.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&made.stdout), text(&made.stderr));
    assert_eq!(made.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("fonts lack '人' '某'"), "{stderr}");
    assert!(stdout.contains("report.pdf"), "{stdout}");
    let pdf = fs::read(folder.join("report.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.") && pdf.len() > 50_000, "{} bytes", pdf.len());
    for svg in fs::read_dir(folder.join("plots")).unwrap().map(|entry| entry.unwrap().path()) {
        let png = fs::read(svg.with_extension("png")).unwrap();
        assert!(png.starts_with(b"\x89PNG"), "{}", svg.display());
    }
    let markdown = fs::read_to_string(folder.join("table.md")).unwrap();
    assert!(markdown.contains("\n| nginx (real) | "), "{markdown}");
    let latex = fs::read_to_string(folder.join("table.tex")).unwrap();
    assert!(latex.contains("\\toprule") && latex.is_ascii(), "{latex}");
    let again = output(&["report", folder.to_str().unwrap(), "--pdf"]);
    assert_eq!(again.status.code(), Some(0));
    let pngs =
        contents(&folder).into_iter().filter(|(path, _)| path.extension() == Some("png".as_ref()));
    assert_eq!(pngs.count(), 0, "charts that were not asked for again are not kept");

    for arguments in [
        &["--author", "Ada Lovelace"][..],
        &["--pdf", "--transcript", "no-such-file"],
        &["--pdf", "--listing", "no-such-folder"],
    ] {
        let said = refusal(&[&["report", folder.to_str().unwrap()], arguments].concat());
        assert!(said.contains("--pdf") || said.contains("no-such-f"), "{said}");
    }
}

/// Multiplies a column of one server's rows.
fn scale(folder: &Path, target: &str, column: &str, factor: f64) {
    let path = folder.join("trials.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name| headers.iter().position(|header| header == name).unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for row in reader.records().map(Result::unwrap) {
        let mut fields: Vec<String> = row.iter().map(str::to_owned).collect();
        if fields[at("target")] == target && !fields[at(column)].is_empty() {
            let value: f64 = fields[at(column)].parse().unwrap();
            fields[at(column)] = (value * factor).to_string();
        }
        writer.write_record(&fields).unwrap();
    }
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

#[test]
fn two_runs_are_compared_and_a_regression_fails() {
    let (old, new) = (Scratch::new(), Scratch::new());
    let [before, after] = [&old, &new].map(recorded);
    let diff = |flags: &[&str]| {
        let made = bench(&["diff", before.to_str().unwrap(), after.to_str().unwrap()])
            .args(flags)
            .output()
            .unwrap();
        let said = text(&made.stdout) + &text(&made.stderr);
        (made.status.code(), said)
    };
    let limits = ["--fail-if", "throughput<-5%,p99>+20%", "--fail-if", "cpu_per_request>+10%"];
    let (code, said) = diff(&limits);
    assert_eq!(code, Some(0), "the same run twice: {said}");
    assert!(said.contains("No limit is broken.") && said.contains("+0.0 %"), "{said}");
    assert!(said.contains("iterative with 64 connections"), "what is not compared: {said}");
    assert!(said.contains("in the old run it served 1 of 64 connections"), "{said}");

    scale(&after, "selector", "requests_per_s", 0.5);
    scale(&after, "nginx", "server_cpu_us_per_request", 3.0);
    let (code, said) = diff(&limits);
    assert_eq!(code, Some(1), "{said}");
    let expected =
        "Beyond throughput<-5%: throughput of selector with 64 connections and downloads";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("Beyond cpu_per_request>+10%: cpu_per_request of nginx"), "{said}");
    assert!(said.contains("-50.0 % ("), "{said}");
    assert!(!said.contains("Beyond p99"), "{said}");
    assert_eq!(diff(&[]).0, Some(0), "nothing was to fail");
    assert_eq!(diff(&["--fail-if", "throughput<-80%"]).0, Some(0));

    for limit in ["throughput", "throughput>5%", "speed<-5%", "p99>much%"] {
        let (code, said) = diff(&["--fail-if", limit]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("write for example throughput<-5%"), "{said}");
    }
    let said = refusal(&["diff", before.to_str().unwrap(), new.folder.path().to_str().unwrap()]);
    assert!(said.contains("is not a results folder"), "{said}");
    let plan = new.file("tiny.toml", TINY);
    let out = new.path("other");
    let ran = output(&["run", "--plan", &plan, "--sizes", "3B", "--out", out.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let said = refusal(&["diff", before.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(said.contains("there is nothing to compare"), "{said}");
}

#[test]
fn a_real_server_is_measured_beside_ours_or_named_as_missing() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let arguments = ["run", "--plan", &plan, "--against", "nginx", "--strategies", "selector"];
    let ran = bench(&arguments).args(["--out", out.to_str().unwrap()]).output().unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    if stderr.contains("nginx: not installed; scripts/install-reference-servers.sh") {
        assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
        assert_eq!(rows(&out).len(), 3);
        assert!(environment.contains("not_installed = [\"nginx\"]"), "{environment}");
        let said = refusal(&["run", "--strategies", "none", "--against", "nginx"]);
        assert!(said.contains("no server to measure"), "{said}");
        return;
    }
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("nginx (real)"), "{stdout}");
    assert_eq!(rows(&out).len(), 6);
    for known in ["kind = \"peer\"", "version = \"nginx/", "keep_alive = true"] {
        assert!(environment.contains(known), "no {known} in {environment}");
    }
    let configuration = fs::read_to_string(out.join("peers/nginx.conf")).unwrap();
    assert!(configuration.contains("root {root};"), "{configuration}");
}

#[test]
fn a_server_of_ones_own_is_started_or_met_where_it_runs() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let bench_program = env!("CARGO_BIN_EXE_bench");
    let served = scratch.path("served");
    fs::create_dir(&served).unwrap();
    let wrote = output(&["files", served.to_str().unwrap(), "--sizes", "1KiB"]);
    assert_eq!(wrote.status.code(), Some(0), "{}", text(&wrote.stderr));
    let mut running = bench(&["serve", "--listen", "127.0.0.1:0", "--quiet", "--root"])
        .arg(&served)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();

    let mine =
        format!("mine='{bench_program}' serve --listen 127.0.0.1:{{port}} --root {{root}} --quiet");
    let theirs = format!("theirs=http://{address}");
    let out = scratch.path("run");
    let ran = bench(&["run", "--plan", &plan, "--strategies", "none", "--sizes", "1KiB"])
        .args(["--direction", "download", "--target", &mine, "--target", &theirs])
        .args(["--target", "broken=sh -c 'echo no such luck >&2; exit 3' {port}"])
        .args(["--pid", &format!("theirs={}", running.id())])
        .args(["--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "one is broken: {stdout}\n{stderr}");
    let mut reader = csv::Reader::from_path(out.join("trials.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name| headers.iter().position(|column| column == name).unwrap();
    let (target, kind) = (column("target"), column("target_kind"));
    let (outcome, reason) = (column("outcome"), column("outcome_reason"));
    for row in reader.records().map(Result::unwrap) {
        match &row[target] {
            "mine" => assert_eq!((&row[kind], &row[outcome]), ("command", "ok"), "{row:?}"),
            "theirs" => assert_eq!((&row[kind], &row[outcome]), ("running", "ok"), "{row:?}"),
            _ => {
                assert_eq!(&row[outcome], "not-started", "{row:?}");
                assert!(row[reason].contains("exit code 3: no such luck"), "{row:?}");
            }
        }
    }
}

#[test]
fn what_a_server_does_not_have_is_skipped_with_the_remedy() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let mut running = bench(&["serve", "--listen", "127.0.0.1:0", "--quiet", "--root"])
        .arg(scratch.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let ran = bench(&["run", "--plan", &plan, "--strategies", "none", "--direction", "download"])
        .args(["--target", &format!("bare=http://{address}"), "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    let stdout = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{}", text(&ran.stderr));
    let expected = "GET is answered with 404: place 1KiB.bin there, which 'cargo run --release -- \
                    files DIR --sizes";
    assert!(stdout.contains(expected), "{stdout}");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("bare (given)"), "{report}");
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_ends_the_server() {
    let scratch = Scratch::new();
    let plan = scratch.file("long.toml", &TINY.replace("rounds = 1", "rounds = 500"));
    let out = scratch.path("run");
    let mut child = bench(&["run", "--plan", &plan, "--out", out.to_str().unwrap()])
        .env("TMPDIR", scratch.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(out.join("trials.csv")).map_or(0, |text| text.lines().count()) < 3 {
        assert!(Instant::now() < deadline, "no trial within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stdout}");
    assert!(stdout.contains("Interrupted"), "{stdout}");
    assert!(rows(&out).len() >= 2);
    assert!(out.join("report.html").is_file());
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    assert!(environment.contains("interrupted = true"), "{environment}");
    // The served files' folder is named on the server's command line.
    let served = scratch.folder.path().as_os_str().as_encoded_bytes().to_vec();
    let left = procfs::process::all_processes().unwrap().flatten().filter(|process| {
        let words = process.cmdline().unwrap_or_default();
        words.iter().any(|word| word == "serve")
            && words.iter().any(|word| word.as_bytes().starts_with(&served))
    });
    assert_eq!(left.count(), 0, "a server was left behind");
    let kept: Vec<_> = fs::read_dir(scratch.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("bench-"))
        .collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn a_plan_with_a_fault_is_refused_by_file_line_and_key() {
    let scratch = Scratch::new();
    let plan = scratch.file("bad.toml", &TINY.replace("rounds = 1", "rounds = 0"));
    let said = refusal(&["run", "--plan", &plan]);
    assert!(said.contains("bad.toml, line 6: rounds: must be more than zero"), "{said}");
    let plan = scratch.file("bad.toml", &TINY.replace("window_ms", "widnow_ms"));
    let said = refusal(&["run", "--plan", &plan]);
    assert!(said.contains("line 10: unknown field `widnow_ms`"), "{said}");
    let said = refusal(&["run", "--plan", &scratch.path("none.toml").display().to_string()]);
    assert!(said.contains("cannot read the plan") && said.contains("none.toml"), "{said}");
    assert!(said.contains("results/*/plan.toml can be copied"), "{said}");
}

#[test]
fn wrong_flags_are_refused_with_what_would_be_right() {
    let said = refusal(&["run", "--strategies", "threaded,apache"]);
    assert!(said.contains("thread-pool") && said.contains("none"), "{said}");
    assert_eq!(said.matches("'apache'").count(), 1, "{said}");
    for arguments in [
        ["run", "--connections", "0"],
        ["run", "--rounds", "0"],
        ["run", "--sizes", "0"],
        ["run", "--sizes", "big"],
        ["run", "--duration", "0s"],
        ["run", "--duration", "soon"],
        ["run", "--direction", "sideways"],
        ["run", "--against", "iis"],
        ["run", "--target", "mine"],
        ["run", "--pid", "mine=x"],
        ["run", "--variant", "selector"],
        ["run", "--send-path", "post"],
        ["run", "--engine", "steam"],
        ["run", "--rate", "0"],
        ["run", "--twin", "nginx"],
    ] {
        assert!(refusal(&arguments).contains(arguments[1]), "{arguments:?}");
    }
    let said = refusal(&["run", "--connections", "100000000"]);
    assert!(said.contains("ulimit") || said.contains("port"), "{said}");
    let said = refusal(&["run", "--direction", "upload", "--sizes", "900GiB"]);
    assert!(said.contains("choose smaller sizes"), "{said}");
}

#[test]
fn calls_are_not_counted_without_perf() {
    let output = bench(&["calls", "nowhere"]).env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot start perf: install it"), "{output:?}");
}

#[test]
fn folders_that_do_not_fit_are_refused() {
    let scratch = Scratch::new();
    scratch.file("precious.txt", "mine");
    let folder = scratch.folder.path().to_str().unwrap();
    let said = refusal(&["run", "--quick", "--out", folder]);
    assert!(said.contains("is not empty") && said.contains("--out"), "{said}");
    for action in ["plot", "report"] {
        let said = refusal(&[action, folder]);
        assert!(said.contains("is not a results folder: it lacks trials.csv"), "{said}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing was added");
}

#[test]
fn plans_and_strategies_are_listed_also_to_a_closed_pipe() {
    let listed = output(&["list"]);
    let stdout = text(&listed.stdout);
    for name in ["default", "quick", "iterative", "threaded", "thread-pool", "selector", "nginx"] {
        assert!(stdout.contains(name), "{stdout}");
    }
    assert!(stdout.contains("download: 1, 16, 64, 256 connections, files of 1KiB"), "{stdout}");
    for name in ["concurrency", "churn", "idle", "slow", "marks-download", "full"] {
        assert!(stdout.contains(&format!("\n  {name} ")), "{stdout}");
    }
    assert!(stdout.contains("a new connection per request"), "{stdout}");
    assert!(stdout.contains("beside 0, 1000, 9900 idle connections"), "{stdout}");
    let mut child = bench(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success(), "{stderr}");
    assert!(stderr.is_empty(), "{stderr}");
}

#[test]
fn an_echo_is_measured_of_our_servers_and_of_a_given_one() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/labs/selector_server.py");
    let given = format!("python=python3 '{}' {{port}}", script.display());
    let ran = output(&[
        "run",
        "--plan",
        &plan,
        "--service",
        "echo",
        "--wire",
        "text",
        "--target",
        &given,
        "--strategies",
        "selector",
        "--connections",
        "2",
        "--out",
        out.to_str().unwrap(),
    ]);
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("python"), "{stdout}");
    let plan = fs::read_to_string(out.join("plan.toml")).unwrap();
    assert!(plan.contains("wire = \"text\""), "{plan}");
    for row in rows(&out) {
        assert!(row.iter().any(|value| value == "ok"), "{row:?}");
        assert!(row.iter().any(|value| value == "64"), "lines of 64 bytes: {row:?}");
    }

    for arguments in [
        &["run", "--service", "echo", "--wire", "http"][..],
        &["run", "--service", "files", "--wire", "text"],
        &["run", "--service", "echo", "--direction", "upload"],
        &["run", "--service", "echo", "--idle", "10"],
    ] {
        let said = refusal(arguments);
        assert!(said.contains("echo"), "{arguments:?}: {said}");
    }
    assert!(refusal(&["run", "--wire", "smoke"]).contains("choose http, framed, or text"));
}

#[test]
fn a_chat_is_measured_to_every_receiver() {
    let scratch = Scratch::new();
    let csv = scratch.path("chat.csv");
    let ran = output(&[
        "chat",
        "--strategies",
        "iterative,threaded,selector",
        "--receivers",
        "3,20",
        "--rounds",
        "1",
        "--messages",
        "5",
        "--rate",
        "100",
        "--csv",
        csv.to_str().unwrap(),
    ]);
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stderr.contains("skipped iterative: it serves one connection at a time"), "{stderr}");
    assert!(stdout.contains("From one sender to 20 receivers, 5 lines of 64 bytes"), "{stdout}");
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let headers = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let value = |name: &str| &row[headers.iter().position(|column| column == name).unwrap()];
        let receivers: u64 = value("receivers").parse().unwrap();
        assert_eq!(value("deliveries"), (5 * receivers).to_string(), "{row:?}");
        assert_eq!((value("outcome"), value("lost")), ("ok", "0"));
        let [p50, max] = ["p50_us", "max_us"].map(|name| value(name).parse::<f64>().unwrap());
        assert!(0.0 < p50 && p50 <= max, "{row:?}");
    }
    assert!(refusal(&["chat", "--strategies", "iterative"]).contains("no strategy is left"));
    assert!(refusal(&["chat", "--rate", "0"]).contains("must be more than 0"));
}

#[test]
fn an_interrupted_run_is_continued_and_a_complete_one_left_alone() {
    let scratch = Scratch::new();
    let message = refusal(&["run", "--resume", recorded(&scratch).to_str().unwrap()]);
    assert!(message.contains("was written by version 1 "), "{message}");

    let folder = scratch.path("run");
    let shown = folder.to_str().unwrap();
    let plan = scratch.file("tiny.toml", TINY);
    assert_eq!(output(&["run", "--plan", &plan, "--out", shown]).status.code(), Some(0));
    let before = rows(&folder);
    let done = output(&["run", "--resume", shown]);
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stdout).contains("nothing left to do"), "{}", text(&done.stdout));
    assert_eq!(rows(&folder), before);

    // As if it had been killed while it wrote its last trial.
    let trials = folder.join("trials.csv");
    let whole = fs::read_to_string(&trials).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap();
    fs::write(&trials, &whole[..last + 9]).unwrap();
    let done = output(&["run", "--resume", shown]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let after = rows(&folder);
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before[0], &before[1], &before[3]), (&after[0], &after[1], &after[3]));
    }
    let message = refusal(&["run", "--resume", scratch.path("none").to_str().unwrap()]);
    assert!(message.contains("is not a folder"), "{message}");
}
