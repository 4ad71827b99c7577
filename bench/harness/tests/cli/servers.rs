//! Reference servers and external servers.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::{
    Scratch, TINY, assert_served, at_once, bench, column, output, refusal, rows, text,
};

/// Runs the tiny plan with `selector` and a reference server; returns the folder and the output.
fn against(scratch: &Scratch, server: &str, path: Option<&str>) -> (PathBuf, Output) {
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let arguments = ["run", "--plan", &plan, "--against", server, "--strategies", "selector"];
    let mut command = bench(&arguments);
    command.args(["--out", out.to_str().unwrap()]).envs(path.map(|path| ("PATH", path)));
    (out, command.output().unwrap())
}

#[test]
fn a_reference_server_is_measured_beside_ours() {
    if !is_installed("nginx") {
        testkit::skip("a_reference_server_is_measured_beside_ours", "nginx is not installed");
        return;
    }
    let scratch = Scratch::new();
    let (out, ran) = against(&scratch, "nginx", None);
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(rows(&out).len(), 6);
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    for known in ["kind = \"peer\"", "version = \"nginx/", "keep_alive = true"] {
        assert!(environment.contains(known), "no {known} in {environment}");
    }
    let configuration = fs::read_to_string(out.join("peers/nginx.conf")).unwrap();
    assert!(configuration.contains("root {root};"), "{configuration}");
}

#[test]
fn apache_runs_webdav_only_under_uploads() {
    if !is_installed("apache-event") {
        testkit::skip("apache_runs_webdav_only_under_uploads", "Apache is not installed");
        return;
    }
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    at_once([("download", false), ("upload", true)], |(direction, has_webdav)| {
        let out = scratch.path(direction);
        let ran = bench(&["run", "--plan", &plan, "--against", "apache-event"])
            .args(["--strategies", "none", "--direction", direction])
            .args(["--out", out.to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
        assert_served(&out);
        let configuration = fs::read_to_string(out.join("peers/apache-event.conf")).unwrap();
        assert_eq!(configuration.contains("Dav On"), has_webdav, "{configuration}");
        assert_eq!(configuration.contains("mod_dav.so"), has_webdav, "{configuration}");
    });
}

#[test]
fn a_missing_reference_server_is_named_and_the_others_are_measured() {
    let all = ["nginx", "apache-event", "lighttpd"];
    let Some(missing) = all.into_iter().find(|server| !is_installed(server)) else {
        // Not `testkit::skip`: the test needs a machine that lacks a reference server.
        eprintln!("skipped: all of {all:?} are installed");
        return;
    };
    let scratch = Scratch::new();
    let (out, ran) = against(&scratch, missing, None);
    let stderr = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{stderr}");
    let hint = format!("{missing}: not installed; scripts/install-reference-servers.sh");
    assert!(stderr.contains(&hint), "{stderr}");
    assert_eq!(rows(&out).len(), 3);
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    let expected = format!("not_installed = [\"{missing}\"]");
    assert!(environment.contains(&expected), "{environment}");
    let said = refusal(&["run", "--strategies", "none", "--against", missing]);
    assert!(said.contains("no server to measure"), "{said}");
}

#[test]
fn a_reference_server_that_does_not_start_fails_its_trials_alone() {
    let scratch = Scratch::new();
    let program = scratch.file("nginx", "#!/bin/sh\n[ \"$1\" = -v ] || exit 1\necho nginx/0.0\n");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        scratch.folder.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let (out, ran) = against(&scratch, "nginx", Some(&path));
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let outcomes = column(&out, "outcome");
    let targets = column(&out, "target");
    for (target, outcome) in targets.iter().zip(&outcomes) {
        assert_eq!(outcome == "not-started", target == "nginx", "{target}: {outcome}");
    }
    assert_eq!(targets.iter().filter(|target| *target == "nginx").count(), 3, "{targets:?}");
}

fn is_installed(server: &str) -> bool {
    let list = text(&output(&["list"]).stdout);
    let line = list.lines().find(|line| line.trim_start().starts_with(&format!("{server} ")));
    !line.expect("every reference server is listed").contains("not installed")
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
    // Other programs disturb trials, and starve servers.
    let was_measured = |outcome: &str| ["ok", "starved", "too-few", "disturbed"].contains(&outcome);
    for row in reader.records().map(Result::unwrap) {
        match &row[target] {
            "mine" => assert!(&row[kind] == "command" && was_measured(&row[outcome]), "{row:?}"),
            "theirs" => assert!(&row[kind] == "running" && was_measured(&row[outcome]), "{row:?}"),
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
    assert_eq!(ran.status.code(), Some(1), "never measured: {stdout}\n{}", text(&ran.stderr));
    assert!(stdout.contains("Never measured: bare supports none of its loads"), "{stdout}");
    let expected = "GET is answered with 404: place 1KiB.bin there; 'cargo run --release -- \
                    files DIR --sizes";
    assert!(stdout.contains(expected), "{stdout}");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("bare (external)"), "{report}");
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
        &["run", "--service", "echo", "--mix", "web"],
        &["run", "--service", "echo", "--direction", "upload"],
        &["run", "--service", "echo", "--idle", "10"],
    ] {
        let said = refusal(arguments);
        assert!(said.contains("echo"), "{arguments:?}: {said}");
    }
    let said = refusal(&["run", "--wire", "smoke"]);
    assert!(said.contains("smoke") && said.contains("http"), "{said}");
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
fn a_server_that_closes_after_each_reply_is_measured_with_a_connection_per_request() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let run = |flags: &[&str], out: &str| {
        let out = scratch.path(out);
        let ran = bench(&["run", "--plan", &plan, "--strategies", "selector"])
            .args(["--direction", "download", "--connections", "2"])
            .args(["--target", "mine=python3 -m http.server {port} -d {root}"])
            .args(flags)
            .args(["--out", out.to_str().unwrap()])
            .output()
            .unwrap();
        (out, text(&ran.stdout), text(&ran.stderr))
    };
    let (out, stdout, stderr) = run(&[], "kept");
    assert_eq!(column(&out, "outcome")[1], "unsupported", "{stdout}\n{stderr}");
    assert!(
        column(&out, "outcome_reason")[1].contains("add --no-keep-alive"),
        "{stdout}\n{stderr}"
    );
    let (out, stdout, stderr) = run(&["--no-keep-alive"], "per-request");
    assert_eq!(column(&out, "target"), ["selector", "mine"]);
    assert_eq!(column(&out, "errors"), ["0", "0"], "{stdout}\n{stderr}");
    for requests in column(&out, "requests") {
        assert!(requests.parse::<u64>().unwrap() > 0, "{stdout}\n{stderr}");
    }
    // Bodies are compared as a whole: they are short.
    assert_eq!(column(&out, "verified_bytes"), column(&out, "body_bytes"));
    let note = "Compared with the expected content: all bytes of downloads of 1 KiB.";
    assert!(stdout.contains(note), "{stdout}");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains(note), "{report}");
}

#[test]
fn a_server_that_is_down_is_refused_at_once() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = format!("mine=http://127.0.0.1:{port}");
    let out = scratch.path("run");
    let out = out.to_str().unwrap();
    let said = refusal(&["run", "--plan", &plan, "--target", &target, "--out", out]);
    let expected = format!("--target mine: nothing listens at 127.0.0.1:{port}: start it");
    assert!(said.contains(&expected), "{said}");
    assert!(!scratch.path("run").exists());
}

#[test]
fn another_reply_than_the_echoed_line_is_quoted() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let out = scratch.path("run");
    let server = scratch.file(
        "hello.py",
        "import socketserver, sys\n\
         class Hello(socketserver.StreamRequestHandler):\n    \
             def handle(self):\n        \
                 self.rfile.readline()\n        \
                 self.wfile.write(b'Hello!\\n')\n\
         socketserver.TCPServer(('127.0.0.1', int(sys.argv[1])), Hello).serve_forever()\n",
    );
    let ran = bench(&["run", "--plan", &plan, "--service", "echo", "--strategies", "none"])
        .args(["--target", &format!("mine=python3 {server} {{port}}")])
        .args(["--connections", "1", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let reason = &column(&out, "outcome_reason")[0];
    assert!(reason.contains("with \"Hello!\\n\", not with the same line"), "{reason}");
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
}

const FILES: &str = "import socketserver, sys, os
class Files(socketserver.StreamRequestHandler):
    def handle(self):
        name = self.rfile.readline().strip().decode()
        self.wfile.write(open(os.path.join(sys.argv[2], name), 'rb').read())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64
Server(('127.0.0.1', int(sys.argv[1])), Files).serve_forever()
";

const LINES: &str = "import socketserver, sys
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b'I got ' + line)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
Server(('127.0.0.1', int(sys.argv[1])), Lines).serve_forever()
";

#[test]
fn servers_of_lines_are_measured_beside_ours() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let files = scratch.file("files.py", FILES);
    let lines = scratch.file("lines.py", LINES);
    let commands = [
        ("files", format!("python3 {files} {{port}} {{root}}")),
        ("hello", format!("python3 {lines} {{port}}")),
        ("transform", format!("python3 {lines} {{port}}")),
        ("date", format!("python3 {lines} {{port}}")),
    ];
    at_once(commands, |(service, command)| {
        let out = scratch.path(service);
        let ran = bench(&["run", "--plan", &plan, "--service", service, "--wire", "text"])
            .args(["--strategies", "threaded", "--target", &format!("mine={command}")])
            .args(["--connections", "2", "--out", out.to_str().unwrap()])
            .output()
            .unwrap();
        let said = text(&ran.stdout) + &text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{service}: {said}");
        assert_eq!(column(&out, "target"), ["threaded", "mine"], "{service}: {said}");
        assert_eq!(column(&out, "errors"), ["0", "0"], "{service}: {said}");
        for requests in column(&out, "requests") {
            assert!(requests.parse::<u64>().unwrap() > 0, "{service}: {said}");
        }
        let compared = column(&out, "verified_bytes");
        if service == "date" {
            assert_eq!(compared, ["0", "0"], "{said}");
        } else {
            assert_eq!(compared, column(&out, "body_bytes"), "{service}: {said}");
        }
        let plan = fs::read_to_string(out.join("plan.toml")).unwrap();
        assert!(plan.contains(&format!("service = \"{service}\"")), "{plan}");
    });
}

const SLEEPY: &str = "import socketserver, sys, time
class Sleepy(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            time.sleep(0.05)
            self.wfile.write(b'I got ' + line)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
Server(('127.0.0.1', int(sys.argv[1])), Sleepy).serve_forever()
";

#[test]
fn a_server_that_stalls_is_waiting_and_not_compared() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let sleepy = scratch.file("sleepy.py", SLEEPY);
    let out = scratch.path("run");
    let ran = bench(&["run", "--plan", &plan, "--service", "hello", "--wire", "text"])
        .args(["--strategies", "none", "--target", &format!("mine=python3 {sleepy} {{port}}")])
        .args(["--connections", "2", "--duration", "700ms", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let busy = column(&out, "busy_share")[0].clone();
    if busy.is_empty() {
        // On a busy machine the two clocks of the server's processor time can contradict each other.
        assert_ne!(column(&out, "server_cpu_fault"), [""], "{said}");
        return;
    }
    let busy: f64 = busy.parse().unwrap();
    let used: f64 = column(&out, "server_cpu_share")[0].parse().unwrap();
    assert!(busy >= used, "{busy} {used}");
    // Other programs may have delayed each step on a busy machine.
    let expected = if busy < 0.5 { "waiting" } else { "ok" };
    assert_eq!(column(&out, "outcome"), [expected], "{said}");
    let is_told = said.contains("Server and load generator idle for most of the time");
    assert_eq!(is_told, expected == "waiting", "{said}");
}
