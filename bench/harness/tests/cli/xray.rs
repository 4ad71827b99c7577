//! Pictures of the threads of servers.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use bench_data::xray::{Level, Picture, State, Step, Trace};
use procfs::process::{Process, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Scratch, bench, output, refusal, text};

/// Arguments that record without the kernel, whoever runs the tests.
const ACTIONS: [&str; 3] = ["xray", "--level", "actions"];

/// Steps of the connections of requests that begin with a label.
fn steps<'t>(trace: &'t Trace, label: &'t str) -> impl Iterator<Item = &'t Step> {
    let of_request = move |step: &&Step| {
        trace
            .requests
            .iter()
            .any(|request| request.label.starts_with(label) && request.peer_port == step.peer_port)
    };
    trace.lanes.iter().flat_map(|lane| &lane.steps).filter(of_request)
}

#[test]
fn every_server_is_drawn_under_the_same_requests() {
    let scratch = Scratch::new();
    let out = scratch.path("picture");
    let ran = bench(&ACTIONS)
        .args(["--scene", "block", "--strategies", "threaded,selector"])
        .args(["--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(!stderr.contains("warning"), "the level was chosen: {stderr}");
    for name in ["xray.html", "xray.svg", "xray-trace.json", "xray.json"] {
        assert!(out.join(name).is_file() && stdout.contains(name), "no {name}: {stdout}");
    }
    let picture = Picture::read(&out).unwrap();
    let servers: Vec<_> = picture.traces.iter().map(|trace| trace.server.as_str()).collect();
    assert_eq!(servers, ["threaded", "selector"]);
    assert!(picture.scene.contains("10 % of them block for 20 ms"), "{}", picture.scene);
    assert!(picture.command.starts_with("bench xray --level actions"), "{}", picture.command);
    let labels = |trace: &Trace| {
        let mut labels: Vec<_> = trace.requests.iter().map(|one| one.label.clone()).collect();
        labels.sort();
        labels
    };
    assert_eq!(labels(&picture.traces[0]), labels(&picture.traces[1]));
    for trace in &picture.traces {
        let server = &trace.server;
        assert_eq!((trace.level, trace.requests.len()), (Level::Actions, 64), "{server}");
        assert!(trace.requests.iter().all(|request| request.ok), "{server}: {trace:?}");
        for label in ["light ", "heavy "] {
            let count = steps(trace, label).filter(|step| step.kind == "receive").count();
            assert!(count > 0, "{server}: the connection of {label}has no action");
        }
        // A block is at least as long as it has to be, on the lane of one thread.
        let blocks: Vec<_> =
            steps(trace, "heavy ").filter(|step| step.kind.contains("block")).collect();
        let heavy = trace.requests.iter().filter(|request| request.heavy).count();
        assert_eq!(blocks.len(), heavy, "{server}: {blocks:?}");
        for block in blocks {
            assert!(block.to - block.from >= 20_000_000, "{server}: {block:?}");
        }
        assert!(steps(trace, "light ").all(|step| !step.kind.contains("block")), "{server}");
    }
}

#[test]
fn the_kernel_adds_the_states_of_threads() {
    let test = "the_kernel_adds_the_states_of_threads";
    let scratch = Scratch::new();
    let out = scratch.path("picture");
    let ran = output(&[
        "xray",
        "--level",
        "scheduler",
        "--strategies",
        "threaded,selector",
        "--out",
        out.to_str().unwrap(),
    ]);
    let stderr = text(&ran.stderr);
    if ran.status.code() == Some(2)
        && let Some((_, reason)) = stderr.split_once("--level scheduler: ")
    {
        return testkit::skip_unless("REQUIRE_TRACEFS", test, reason.trim());
    }
    assert_eq!(ran.status.code(), Some(0), "{stderr}");
    let picture = Picture::read(&out).unwrap();
    for (trace, call) in picture.traces.iter().zip(["recv", "epoll"]) {
        let server = &trace.server;
        assert_eq!(trace.level, Level::Scheduler, "{server}");
        let is_clean = |remark: &String| !remark.contains("kernel");
        assert!(trace.remarks.iter().all(is_clean), "{server}: {:?}", trace.remarks);
        let spans = || trace.lanes.iter().flat_map(|lane| &lane.spans);
        assert!(spans().any(|span| span.state == State::User), "{server}");
        let is_wait = |state: &State| match state {
            State::Blocked(name) => name.starts_with(call),
            State::User | State::Kernel(_) | State::Runnable => false,
        };
        assert!(spans().any(|span| is_wait(&span.state)), "{server}: no thread waits in {call}");
        assert!(!trace.wake_ups.is_empty(), "{server}");
        // Both sources use the same clock: a thread that performs actions has states meanwhile.
        let has_both = |lane: &bench_data::xray::Lane| {
            lane.steps.iter().any(|step| step.kind == "receive") && !lane.spans.is_empty()
        };
        assert!(trace.lanes.iter().any(has_both), "{server}");
    }
}

/// Starts a long recording of `threaded`, and waits until the server has written actions; returns the server
/// as well.
fn start_long_recording(scratch: &Scratch, flags: &[&str]) -> (Child, Process) {
    let child = bench(&ACTIONS)
        .args(["--strategies", "threaded", "--out", scratch.path("picture").to_str().unwrap()])
        .args(flags)
        .env("TMPDIR", scratch.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    testkit::until("a server that serves requests", || {
        traces(scratch.folder.path()).iter().any(|file| {
            fs::read_to_string(file).is_ok_and(|text| text.matches(",send").count() > 30)
        })
    });
    let parent = i32::try_from(child.id()).unwrap();
    let is_server = |process: &Process| {
        process.stat().is_ok_and(|stat| stat.ppid == parent)
            && process.cmdline().is_ok_and(|words| words.iter().any(|word| word == "serve"))
    };
    let server = all_processes().unwrap().flatten().find(is_server);
    (child, server.expect("the server is a child of the program"))
}

/// Trace files of servers in the scratch folders of a folder.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.path().join("actions.csv")).filter(|file| file.is_file()).collect()
}

#[test]
fn a_server_that_dies_leaves_the_picture_so_far() {
    let scratch = Scratch::new();
    let (child, server) = start_long_recording(&scratch, &["--requests", "100000"]);
    kill_process(Pid::from_raw(server.pid).unwrap(), Signal::KILL).unwrap();
    // The remaining requests would be due within five minutes.
    let ran = child.wait_with_output().unwrap();
    let stderr = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    let expected = "threaded: The server ended during the trace: killed by signal 9";
    assert!(stderr.contains(expected), "{stderr}");
    let picture = Picture::read(&scratch.path("picture")).unwrap();
    let trace = &picture.traces[0];
    assert!(trace.remarks.iter().any(|remark| remark.contains("killed by signal 9")), "{trace:?}");
    assert!(trace.requests.iter().any(|request| request.ok), "{:?}", trace.requests);
}

#[test]
fn ctrl_c_draws_the_picture_so_far_and_ends_the_server() {
    let scratch = Scratch::new();
    let (child, server) = start_long_recording(&scratch, &["--requests", "100000"]);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(130), "{}", text(&ran.stderr));
    assert!(!server.is_alive(), "the server was left behind");
    let picture = Picture::read(&scratch.path("picture")).unwrap();
    assert!(!picture.traces[0].requests.is_empty());
    let left: Vec<_> = fs::read_dir(scratch.folder.path()).unwrap().flatten().collect();
    let names: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
    assert_eq!(names, [OsStr::new("picture")]);
}

#[test]
fn a_live_picture_is_redrawn_until_ctrl_c() {
    let scratch = Scratch::new();
    let page = scratch.path("picture/xray.html");
    let child = bench(&ACTIONS)
        .args(["--live", "--out", scratch.path("picture").to_str().unwrap()])
        .env("TMPDIR", scratch.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    testkit::until("a page", || page.is_file());
    let first = fs::read_to_string(&page).unwrap();
    assert!(first.contains("http-equiv=\"refresh\""), "{first}");
    testkit::until("another page", || fs::read_to_string(&page).is_ok_and(|text| text != first));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = child.wait_with_output().unwrap();
    let stdout = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{stdout}\n{}", text(&ran.stderr));
    assert!(stdout.contains("server threaded at http://127.0.0.1:"), "{stdout}");
    assert!(!fs::read_to_string(&page).unwrap().contains("http-equiv=\"refresh\""));
    assert!(Picture::read(&scratch.path("picture")).is_ok());
}

#[test]
fn what_cannot_be_recorded_is_refused_with_the_remedy() {
    let scratch = Scratch::new();
    let out = scratch.path("picture");
    let shown = out.to_str().unwrap();
    for (flags, expected) in [
        (&["--scene", "storm"][..], "slow-reader"),
        (&["--heavy-block", "100"], "from 1 to 99"),
        (&["--scene", "polite", "--heavy-block", "10"], "choose --scene block"),
        (&["--scene", "burst", "--requests", "10"], "--requests has no effect"),
        (&["--scene", "upload", "--connections", "1"], "needs at least 2 connections"),
        (&["--connections", "100000"], "from 1 to 20000"),
        (&["--strategies", "none"], "there is no server to record"),
        (&["--live", "--strategies", "threaded,selector"], "--live draws one server"),
        (&["--live", "--seed", "2"], "cannot be used with"),
        (&["--pid", "mine=1"], "no --target has that name"),
        (&["--target", "mine=http://127.0.0.1:1"], "add --pid mine=PID"),
    ] {
        let said = refusal(&[&ACTIONS[..], &["--out", shown], flags].concat());
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
    let mine = "mine=python3 -m http.server {port}";
    let said = refusal(&[&ACTIONS[..], &["--out", shown, "--target", mine]].concat());
    assert!(said.contains("mine records no actions of its own"), "{said}");
    assert!(said.contains("--level actions"), "{said}");
    let file = scratch.file("file", "");
    let said = refusal(&[&ACTIONS[..], &["--strategies", "threaded", "--out", &file]].concat());
    assert!(said.contains("choose another folder with --out"), "{said}");
}
