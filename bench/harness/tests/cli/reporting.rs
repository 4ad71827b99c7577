//! Reports, papers and comparisons of recorded runs.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Scratch, TINY, bench, contents, output, recorded, refusal, text};

#[test]
fn runs_of_the_first_schema_are_reported_again() {
    for old in ["2026-11-21T113905-vm", "2026-11-21T115843-vm"] {
        let scratch = Scratch::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(old);
        for name in ["trials.csv", "latency.csv", "timeseries.csv", "plan.toml", "environment.toml"]
        {
            fs::copy(from.join(name), scratch.path(name)).unwrap();
        }
        let folder = scratch.folder.path().to_str().unwrap();
        let reported = output(&["report", folder]);
        assert_eq!(reported.status.code(), Some(0), "{}", text(&reported.stderr));
        let page = fs::read_to_string(scratch.path("report.html")).unwrap();
        assert!(page.contains("selector has the highest throughput"), "{old}");
    }
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
    assert!(markdown.contains("\n| nginx (reference) | "), "{markdown}");
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

#[test]
fn runs_are_gathered_and_what_is_none_is_named() {
    let scratch = Scratch::new();
    let run = recorded(&scratch);
    let (run, out) = (run.to_str().unwrap(), scratch.path("all"));
    let out = out.to_str().unwrap();
    let gathered = output(&["gather", run, run, "--out", out]);
    let (stdout, stderr) = (text(&gathered.stdout), text(&gathered.stderr));
    assert_eq!(gathered.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains(" 2 runs") && stdout.contains("gathered.html"), "{stdout}");
    let table = fs::read_to_string(scratch.path("all/gathered.csv")).unwrap();
    assert!(table.lines().count() > 2 && table.contains(",threaded,selector,"), "{table}");
    // A folder that is no run is named; the others are gathered.
    let with = output(&["gather", run, "no-such-run", "--out", out, "--compare", "nginx,selector"]);
    assert_eq!(with.status.code(), Some(1));
    assert!(text(&with.stderr).contains("warning: left out: no-such-run"), "{with:?}");
    for arguments in [
        &["gather", "no-such-run", "--out", out][..],
        &["gather", run, "--out", out, "--compare", "ghost,selector"],
        &["gather", run, "--out", out, "--compare", "selector"],
        &["gather", run, "--out", run],
        &["gather"],
    ] {
        let _ = refusal(arguments);
    }
    assert_eq!(fs::read_dir(out).unwrap().count(), 3);
}

#[test]
fn a_paper_contains_the_text_the_pictures_and_the_sources_of_its_author() {
    let scratch = Scratch::new();
    let folder = recorded(&scratch);
    let report = |arguments: &[&str]| {
        let made = bench(&["report", folder.to_str().unwrap(), "--pdf"]).args(arguments).output();
        let made = made.unwrap();
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        assert!(made.stderr.is_empty(), "{}", text(&made.stderr));
        fs::read(folder.join("report.pdf")).unwrap()
    };
    let plain = report(&[]);
    let brief = report(&["--brief", "--link", "https://example.org/lab-3"]);
    assert!(brief.len() < plain.len() / 2, "{} and {} bytes", brief.len(), plain.len());
    let has_link = |pdf: &[u8]| text(pdf).contains("https://example.org/lab-3");
    assert!(has_link(&brief) && !has_link(&plain));
    let notes = scratch.file("notes.md", "# Discussion\n\n- *one*\n- `two`\n");
    let source = scratch.file("client.py", "import socket\n");
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>";
    let figure = scratch.file("network.svg", svg) + "=The network";
    let own = report(&["--notes", &notes, "--source", &source, "--figure", &figure]);
    assert!(own.len() > plain.len(), "{} and {} bytes", own.len(), plain.len());
}

#[test]
fn files_that_a_paper_cannot_use_are_named_and_nothing_is_written() {
    let scratch = Scratch::new();
    let folder = recorded(&scratch);
    let before = contents(&folder);
    let table = scratch.file("table.md", "text\n\n| a |\n| - |\n");
    let latin = scratch.path("latin.c");
    fs::write(&latin, b"/* caf\xe9 */\n").unwrap();
    let latin = latin.to_str().unwrap();
    let gif = scratch.file("shot.gif", "GIF89a");
    let large = scratch.file("large.txt", &"x".repeat((1 << 20) + 1));
    for (arguments, expected) in [
        (&["--notes", "no-such-file"][..], "cannot read no-such-file: No such file"),
        (&["--notes", &table], "table.md: line 3: tables are not supported"),
        (&["--source", latin], "latin.c is not UTF-8 in line 1"),
        (&["--source", &large], "large.txt is too large for a paper: the limit is 1.00 MiB"),
        (&["--figure", &gif], "shot.gif: it is neither PNG nor SVG"),
        (&["--figure", "none.png=Caption"], "cannot read none.png: No such file"),
        (&["--transcript", "no-such-file"], "cannot read no-such-file: No such file"),
        (&["--link", "example.org"], "begin it with http:// or https://"),
        (&["--brief", "--source", latin], "--source"),
    ] {
        let all = [&["report", folder.to_str().unwrap(), "--pdf"], arguments].concat();
        let said = refusal(&all);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(contents(&folder), before, "{arguments:?}");
    }
    let said = refusal(&["report", folder.to_str().unwrap(), "--brief"]);
    assert!(said.contains("--pdf"), "{said}");
}

/// Changes or removes the rows of one server.
fn edit(folder: &Path, target: &str, change: impl Fn(&mut Fields) -> bool) {
    let path = folder.join("trials.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for row in reader.records().map(Result::unwrap) {
        let all = headers.iter().zip(row.iter());
        let mut fields: Fields = all.map(|(name, value)| (name.into(), value.into())).collect();
        let is_kept = value(&mut fields, "target") != target || change(&mut fields);
        if is_kept {
            writer.write_record(fields.iter().map(|(_, value)| value)).unwrap();
        }
    }
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// A row of a table: names of columns, values.
type Fields = Vec<(String, String)>;

fn value<'f>(fields: &'f mut Fields, column: &str) -> &'f mut String {
    &mut fields.iter_mut().find(|(name, _)| name == column).expect(column).1
}

/// Multiplies a column of one server's rows.
fn scale(folder: &Path, target: &str, column: &str, factor: f64) {
    edit(folder, target, |fields| {
        let value = value(fields, column);
        if !value.is_empty() {
            *value = (value.parse::<f64>().unwrap() * factor).to_string();
        }
        true
    });
}

#[test]
fn a_server_that_died_or_is_missing_fails_the_comparison() {
    let (old, new) = (Scratch::new(), Scratch::new());
    let [before, after] = [&old, &new].map(recorded);
    let diff = |flags: &[&str]| {
        let ran = bench(&["diff", before.to_str().unwrap(), after.to_str().unwrap()])
            .args(flags)
            .output()
            .unwrap();
        (ran.status.code(), text(&ran.stdout) + &text(&ran.stderr))
    };
    let limit = ["--fail-if", "throughput<-5%"];
    edit(&after, "selector", |fields| {
        *value(fields, "outcome") = "died".to_owned();
        *value(fields, "outcome_reason") = "killed by signal 9".to_owned();
        *value(fields, "requests_per_s") = String::new();
        true
    });
    edit(&after, "nginx", |_| false);
    let (code, said) = diff(&limit);
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("No limit is broken"), "{said}");
    let died = "Not checked: selector with 64 connections and downloads of 1 KiB: server died in";
    assert!(said.contains(died), "{said}");
    let missing =
        "Not checked: nginx: only in the old run. To accept it, use --allow-missing nginx.";
    assert!(said.contains(missing), "{said}");
    assert!(!said.contains("Not checked: iterative"), "no number of the old run: {said}");

    let (code, said) = diff(&[&limit[..], &["--allow-missing", "nginx"]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(died) && !said.contains(missing), "{said}");
    let (code, said) = diff(&[&limit[..], &["--allow-missing", "nginx,selector"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("No limit is broken"), "{said}");
    assert_eq!(diff(&[]).0, Some(0), "without a limit nothing is checked");
    assert_eq!(diff(&["--allow-missing", "nginx"]).0, Some(2));

    for target in ["iterative", "threaded", "thread-pool", "lighttpd"] {
        edit(&after, target, |_| false);
    }
    let (code, said) = diff(&limit);
    assert_eq!(code, Some(1), "nothing is left to compare: {said}");
    assert!(said.contains(died), "{said}");
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
    assert!(said.contains("served 1 of 64 connections (in the old run)"), "{said}");

    // Columns that follow from each other change together.
    scale(&after, "selector", "window_s", 2.0);
    scale(&after, "selector", "requests_per_s", 0.5);
    scale(&after, "selector", "body_mb_per_s", 0.5);
    scale(&after, "nginx", "server_cpu_s", 3.0);
    scale(&after, "nginx", "server_cpu_us_per_request", 3.0);
    let (code, said) = diff(&limits);
    assert_eq!(code, Some(1), "{said}");
    let expected =
        "Beyond throughput<-5%: throughput of selector with 64 connections and downloads";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("Beyond cpu_per_request>+10%: CPU time per request of nginx"), "{said}");
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
    let small = ["--sizes", "3B", "--strategies", "selector", "--direction", "upload"];
    let to = ["--out", out.to_str().unwrap()];
    let ran = output(&[&["run", "--plan", &plan][..], &small, &to].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let said = refusal(&["diff", before.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(said.contains("there is nothing to compare"), "{said}");
}

#[test]
fn calls_are_not_counted_without_perf() {
    let output = bench(&["calls", "nowhere"]).env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot start perf: install it"), "{output:?}");
}

#[test]
fn plans_and_strategies_are_listed_also_to_a_closed_pipe() {
    let listed = output(&["list"]);
    let stdout = text(&listed.stdout);
    for name in ["default", "quick", "iterative", "threaded", "thread-pool", "selector", "nginx"] {
        assert!(stdout.contains(name), "{stdout}");
    }
    assert!(stdout.contains("download: 1, 64, 256 connections, files of 1KiB"), "{stdout}");
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
