//! Access log, log messages and status.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use serde_json::Value;

use crate::peer::{Peer, http, http_get};
use crate::process::{PATIENCE, Process};

/// Lines of a file, as soon as it has this number of them.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count && text.ends_with('\n') {
            return lines;
        }
        assert!(begun.elapsed() < PATIENCE, "only {lines:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a few requests.
fn converse(server: &Process) {
    let mut peer = Peer::connect(server.address());
    assert_eq!(peer.put("file", b"content"), "file");
    assert_eq!(peer.get("file"), b"content");
    assert_eq!(peer.send(http_get("none")).reply().status, 404);
    drop(peer);
    assert_eq!(Peer::connect(server.address()).send("file\n").finish_sending().rest(), b"content");
}

pub(crate) fn each_request_is_a_line_of_the_access_log(kind: StrategyKind) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = path.to_str().unwrap();
    let mut server = Process::start(&["--strategy", kind.name(), "--access-log", log]);
    converse(&server);
    let requests = |lines: &[String]| {
        let request = |line: &String| {
            let (before, rest) = line.split_once(" [").unwrap();
            assert_eq!(before, "127.0.0.1 - -");
            let (time, request) = rest.split_once("] ").unwrap();
            assert!(time.ends_with(" +0000") && time.matches(':').count() == 3, "{time}");
            request.to_owned()
        };
        lines.iter().map(request).collect::<Vec<_>>()
    };
    let mut shown = requests(&lines(&path, 4));
    // Each process of `prefork` writes its own lines.
    shown.sort();
    assert_eq!(
        shown,
        [
            "\"GET /file HTTP/1.1\" 200 7",
            "\"GET /none HTTP/1.1\" 404 13",
            "\"GET file\" 200 7",
            "\"PUT /file HTTP/1.1\" 201 5",
        ]
    );
    // Rotation renames the log.
    fs::rename(&path, folder.path().join("old.log")).unwrap();
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    assert_eq!(requests(&lines(&path, 1)), ["\"GET /file HTTP/1.1\" 200 7"]);
    // Requests answered before the end are in the log.
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(lines(&path, 0).len(), 2);

    let args = ["--strategy", kind.name(), "--quiet", "--access-log=-", "--access-log-format=json"];
    let mut server = Process::start(&args);
    converse(&server);
    server.terminate();
    server.wait();
    let output = server.rest_of_stdout();
    let records: Vec<Value> =
        output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(records.len(), 4, "{output}");
    let put = records.iter().find(|record| record["request"] == "PUT /file HTTP/1.1").unwrap();
    assert_eq!(put["received"], 7);
    assert_eq!(put["complete"], true);
    assert!(records.iter().any(|record| record["wire"] == "text"));
}

pub(crate) fn connections_and_requests_are_logged_at_their_levels(kind: StrategyKind) {
    for (level, requests) in [("debug", 0), ("trace", 4), ("info", 0)] {
        let args = ["--strategy", kind.name(), "--log-level", level, "--quiet"];
        let mut server = Process::start(&args);
        converse(&server);
        server.terminate();
        server.wait();
        let log = server.stderr();
        let count = |part: &str| log.matches(part).count();
        let connections = if level == "info" { 0 } else { 2 };
        assert_eq!(count(": accepted"), connections, "{log}");
        assert_eq!(count(": closed after "), connections, "{log}");
        assert_eq!(
            count(" bytes sent, 0 received, ") + count(" sent, 7 received, "),
            requests + connections,
            "{log}"
        );
        assert_eq!(count("GET /none HTTP/1.1 404"), requests / 4, "{log}");
    }
}

pub(crate) fn the_status_counts_connections_requests_and_bytes(kind: StrategyKind) {
    let server = Process::start(&["--strategy", kind.name()]);
    converse(&server);
    let mut peer = Peer::connect(server.address());
    let mut status = || {
        let reply = peer.send(http("GET /.status", "")).reply();
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    // Earlier connections may still be closing.
    let begun = Instant::now();
    let shown = loop {
        let shown = status();
        if shown["connections"]["open"] == 1 && shown["requests"].as_u64() >= Some(4) {
            break shown;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown}");
    };
    assert_eq!(shown["strategy"], kind.name());
    assert!(shown["uptime_s"].as_f64() > Some(0.0));
    assert_eq!(shown["connections"]["accepted"], 3);
    assert!(shown["bytes"]["sent"].as_u64() >= Some(14), "{shown}");
    if kind == StrategyKind::Prefork {
        assert_eq!(shown["states"]["serving"], 1);
        assert!(shown["processes"].as_u64() >= Some(1), "{shown}");
    } else {
        assert_eq!(shown["states"]["working"], 1, "{shown}");
        assert_eq!(shown["bytes"]["received"], 7);
        assert!(shown["threads"].as_u64() >= Some(1), "{shown}");
    }
    drop(peer);
}
