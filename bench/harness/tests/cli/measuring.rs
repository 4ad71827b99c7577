//! Runs of plans and their records.

use std::fs;
use std::path::Path;

use testkit::busy_core::{BusyCore, allowed_cores};

use crate::support::{Scratch, TINY, bench, column, contents, output, refusal, rows, text};

#[test]
fn a_tiny_run_measures_reports_and_can_be_reported_again() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let ran = output(&["run", "--plan", &plan, "--out", out.to_str().unwrap()]);
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("requests/s") && stdout.contains("selector"), "{stdout}");
    assert!(stdout.contains("downloads of 1 KiB, 4 connections: "), "{stdout}");
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
    for name in ["server_memory_bytes", "server_threads"] {
        let mut seen = rows.iter().filter_map(|row| row[column(name)].parse::<f64>().ok());
        assert!(seen.any(|value| value > 0.0), "{name}");
    }
    // The servers' own counts agree with the generator's, unless they had to be killed.
    let counts = ["server_requests", "replies_total", "abandoned_total"].map(column);
    let counts = rows.iter().filter_map(|row| {
        let [server, replies, abandoned] = counts.map(|index| row[index].parse::<u64>().ok());
        Some((server?, replies?, abandoned?))
    });
    let counts: Vec<_> = counts.collect();
    assert!(!counts.is_empty(), "{rows:?}");
    for (server, replies, abandoned) in counts {
        assert!(
            (replies..=replies + abandoned).contains(&server),
            "{server} {replies} {abandoned}"
        );
    }
    let (cpu, fault) = (column("server_cpu_s"), column("server_cpu_fault"));
    let is_read = |row: &csv::StringRecord| match row[cpu].parse::<f64>() {
        Ok(seconds) => seconds > 0.0 && row[fault].is_empty(),
        Err(_) => &row[fault] == "window-missed",
    };
    assert!(rows.iter().any(is_read), "{rows:?}");

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

#[test]
fn a_program_on_the_generators_core_disturbs_every_trial() {
    // The server has the first core.
    let Some(core) = allowed_cores().get(1).copied() else {
        eprintln!("skipped: a single core");
        return;
    };
    if !Path::new("/proc/self/schedstat").exists() {
        eprintln!("skipped: the kernel does not record run delays");
        return;
    }
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", &TINY.replace("run_delay_limit = 100.0\n", ""));
    let out = scratch.path("run");
    let neighbour = BusyCore::start(core);
    let ran = bench(&["run", "--plan", &plan, "--direction", "download"])
        .args(["--connections", "16", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    drop(neighbour);
    let stdout = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{}", text(&ran.stderr));
    assert_eq!(column(&out, "outcome"), ["disturbed", "disturbed"], "{stdout}");
    // Where other programs leave the server little of its core, the generator mostly waits for
    // replies. The reason of the trial then names the server, or the host.
    for (share, reason) in
        column(&out, "generator_delay_share").iter().zip(column(&out, "outcome_reason"))
    {
        let is_elsewhere = ["the server waited ", "the host took "];
        let is_elsewhere = is_elsewhere.iter().any(|part| reason.starts_with(part));
        assert!(is_elsewhere || share.parse::<f64>().unwrap() > 0.05, "{share}: {reason}");
    }
    assert!(stdout.contains("Excluded, the machine was disturbed: 2 of 2 trials"), "{stdout}");
}

#[test]
fn other_manners_of_load_are_put_on_and_recorded() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let ran = bench(&["run", "--plan", &plan, "--direction", "download", "--connections", "2"])
        .args(["--strategies", "selector", "--aa-control", "selector", "--idle", "0,40"])
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
    assert_eq!(kinds[..3], ["strategy", "strategy", "aa-control"]);
    assert_eq!(column(&out, "idle_connections"), ["0", "0", "0", "40", "40", "40"]);
    // On a busy machine a server may be too slow for one of them, and then the trial says so.
    let held = column(&out, "crowd_held");
    let is_complete: Vec<_> =
        held.iter().zip(["6", "6", "6", "46", "46", "46"]).map(|(all, of)| all == of).collect();
    assert!(is_complete[..3].contains(&true) && is_complete[3..].contains(&true), "{held:?}");
    for (is_complete, outcome) in is_complete.iter().zip(column(&out, "outcome")) {
        assert!(*is_complete || outcome != "ok", "{held:?}");
    }
    assert_eq!(column(&out, "offered_per_s"), ["200"; 6]);
    assert_eq!(column(&out, "generator_engine"), ["epoll"; 6]);
    // Of each server's own flags. A server that had to be killed reports none.
    let paths = column(&out, "server_send_path");
    for (target, path) in targets.iter().zip(&paths) {
        let expected = if target == "copied" { "copy" } else { "sendfile" };
        assert!(path == expected || path.is_empty(), "{target}: {path}");
    }
    assert!(paths.iter().any(|path| path == "copy"), "{paths:?}");
    assert!(out.join("hdr/trial-6.hlog").is_file());
    let latency = fs::read_to_string(out.join("latency.csv")).unwrap();
    assert!(latency.contains("1,send-delay,") && latency.contains("1,service,"), "{latency}");
    assert!(stdout.contains("200 requests/s offered, beside 40 idle connections, beside 3 slow"));
}

#[test]
fn a_connection_per_request_is_opened_and_recorded() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
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
    // A disturbed trial has no ratio.
    let has_ratio = stdout.contains("requests/s relative to threaded (exploratory): selector ");
    assert!(has_ratio || stdout.contains("Excluded, "), "{stdout}");
}

const HEAVY: &str = r#"
name = "heavy"
question = "Who waits?"
strategies = ["threaded", "selector"]
aa_control = "none"
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
            if target == "nginx" {
                let counted = value(row, "server_requests");
                let kept = fs::read_to_string(folder.join("peers/nginx.conf")).unwrap();
                assert_eq!(kept.contains("stub_status;"), !counted.is_empty(), "{row:?}");
                let number = |name: &str| value(row, name).parse::<u64>().unwrap();
                let (replies, abandoned) = (number("replies_total"), number("abandoned_total"));
                let counted = counted.parse().unwrap_or(replies);
                assert!((replies..=replies + abandoned).contains(&counted), "{row:?}");
            }
            continue;
        }
        if target == "nginx" {
            assert_eq!(outcome, "unsupported");
            assert!(
                value(row, "outcome_reason").contains("heavy requests need the built-in server"),
                "{row:?}"
            );
            continue;
        }
        assert_eq!(value(row, "errors"), "0", "{target}: {row:?}");
        let number = |name: &str| value(row, name).parse::<u64>().unwrap();
        let (requests, heavy) = (number("requests"), number("heavy_requests"));
        assert!(heavy > 0 && heavy < requests / 5, "{target}: {heavy} of {requests}");
        let median = |distribution: &str| {
            let start = format!("{},{distribution},50.0,", value(row, "trial"));
            let line = latency.lines().find_map(|line| line.strip_prefix(&start));
            line.map(|rest| rest.split(',').next().unwrap().parse::<f64>().unwrap())
        };
        assert!(median("heavy").is_some_and(|us| us >= 20_000.0), "{target}");
        if target == "nginx-threaded" {
            // nginx has two processes (master and worker); the built-in server behind it counts too.
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
fn plans_of_the_program_are_run_by_name() {
    let said = refusal(&["run", "concurrency", "chrun"]);
    assert!(said.contains("unknown plan 'chrun': choose from default"), "{said}");
    assert!(refusal(&["run", "churn", "--quick"]).contains("--quick"));
    let said = refusal(&["run", "churn", "--strategies", "none"]);
    assert!(said.contains("no server to measure"), "{said}");
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
    assert!(refusal(&["chat", "--strategies", "iterative"]).contains("no strategy to measure"));
    assert!(refusal(&["chat", "--rate", "0"]).contains("must be more than 0"));
}

#[test]
fn other_generators_are_witnesses() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    for (name, script) in [
        (
            "wrk",
            "[ $1 = -v ] && echo 'wrk debian/4.1.0-3 [epoll]'; echo '  10 requests in 1.00s, 1MB read'",
        ),
        (
            "ab",
            "[ $1 = -V ] && echo 'Version 2.3' && exit; echo 'apr_socket_recv: reset' >&2; exit 104",
        ),
    ] {
        let path = scratch.file(name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let csv = scratch.path("witness.csv");
    let ran = bench(&["witness", "--strategies", "selector", "--against", "none", "--rounds", "1"])
        .args(["--connections", "2", "--duration", "1s", "--csv", csv.to_str().unwrap()])
        .env("PATH", scratch.folder.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "ab failed: {stdout}\n{stderr}");
    assert!(stderr.contains("not installed: h2load, oha"), "{stderr}");
    assert!(stderr.contains("ab failed: apr_socket_recv: reset"), "{stderr}");
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |column: &str| headers.iter().position(|name| name == column).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let row = |generator: &str| rows.iter().find(|row| &row[at("generator")] == generator).unwrap();
    assert_eq!((&row("wrk")[at("requests")], &row("wrk")[at("requests_per_s")]), ("10", "10.0"));
    assert_eq!(&row("wrk")[at("generator_version")], "4.1.0-3");
    assert_eq!(&row("ab")[at("outcome")], "failed");
    let built_in = row("built-in (epoll)");
    assert_eq!(&built_in[at("outcome")], "ok", "{built_in:?}");
    for column in ["requests", "server_cpu_us_per_request", "generator_cpu_us_per_request"] {
        assert!(built_in[at(column)].parse::<f64>().unwrap() > 0.0, "{column}: {built_in:?}");
    }
    let message = refusal(&["witness", "--duration", "1500ms"]);
    assert!(message.contains("must be whole seconds"), "{message}");
}

#[test]
fn uploads_to_a_disk_are_forced_there_and_leave_nothing_behind() {
    // The folder of the build is on a disk, or the harness chooses another one.
    let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let scratch = Scratch::new();
    let (plan, out) = (scratch.file("tiny.toml", TINY), beside.path().join("run"));
    let shown = out.to_str().unwrap();
    let disk = [
        "--direction",
        "upload",
        "--store",
        "disk",
        "--variant",
        "full=threaded --durability full",
    ];
    let ran = output(&[&["run", "--plan", &plan, "--out", shown], &disk[..]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert_eq!(column(&out, "store"), ["disk"; 3]);
    assert_eq!(column(&out, "durability"), ["data", "data", "full"]);
    assert!(column(&out, "outcome").iter().all(|outcome| outcome != "waiting"));
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    assert!(environment.contains("disk_file_system = "), "{environment}");
    assert_eq!(fs::read_dir(beside.path()).unwrap().count(), 1, "only the results");
    let table = fs::read_to_string(out.join("table.md")).unwrap();
    assert!(table.contains("other durability: full"), "{table}");
}

#[test]
fn lines_fit_the_width_of_the_terminal() {
    let scratch = Scratch::new();
    let (plan, out) = (scratch.file("tiny.toml", TINY), scratch.path("run"));
    let out = out.to_str().unwrap();
    let ran = bench(&["run", "--plan", &plan, "--out", out]).env("COLUMNS", "80").output().unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    // Paths are not broken.
    let lines = stdout.lines().chain(stderr.lines()).filter(|line| !line.contains(out));
    for line in lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let left_out = stdout.lines().find(|line| line.starts_with("Left out at this width: "));
    assert!(left_out.unwrap().contains("generator CPU/req"), "{stdout}");
    assert!(stdout.contains(&format!("\ntables  {out}/table.md\n")), "{stdout}");
    let tables = fs::read_to_string(scratch.path("run").join("table.md")).unwrap();
    assert!(tables.contains("| generator CPU/req |"), "{tables}");
}
