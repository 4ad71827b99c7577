//! Interrupted runs, and their continuation.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Scratch, TINY, at_once, bench, output, recorded, refusal, rows, text};

#[test]
fn ctrl_c_keeps_what_was_measured_and_ends_the_server() {
    is_ended_cleanly_by(Signal::INT);
}

#[test]
fn sigterm_and_a_closed_terminal_leave_neither_servers_nor_folders() {
    at_once([Signal::TERM, Signal::HUP], is_ended_cleanly_by);
}

/// Commands in a network namespace of their own, whose settings are those of no other program.
const IN_NAMESPACE: &str = r#"
ip link set lo up
setting=/proc/sys/net/ipv4/tcp_congestion_control
before=$(cat $setting)
other=reno
[ "$before" = reno ] && other=cubic
"$1" run --plan "$2" --out "$3" --allow-busy --congestion-control $other >/dev/null 2>&1 &
child=$!
while [ "$(wc -l 2>/dev/null <"$3/trials.csv" || echo 0)" -lt 3 ] && kill -0 $child; do sleep 0.05; done
[ "$(cat $setting)" = $other ] && echo changed
kill -TERM $child
wait $child
echo $?
[ "$(cat $setting)" = "$before" ] && echo restored
grep "congestion_control = \"$other\"" "$3/environment.toml"
"#;

#[test]
fn settings_of_the_kernel_are_restored_after_a_signal() {
    let is_possible = Command::new("unshare").args(["-n", "ip", "link"]).output();
    if !is_possible.is_ok_and(|output| output.status.success()) {
        // Only root may have such a namespace.
        assert!(!rustix::process::geteuid().is_root() || Command::new("ip").output().is_err());
        return;
    }
    let scratch = Scratch::new();
    let plan = scratch.file("long.toml", &TINY.replace("rounds = 1", "rounds = 500"));
    let out = scratch.path("run");
    let ended = Command::new("unshare")
        .args(["-n", "sh", "-c", IN_NAMESPACE, "sh", env!("CARGO_BIN_EXE_bench"), &plan])
        .arg(&out)
        .output()
        .unwrap();
    let said = text(&ended.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["changed", "130", "restored"], "{said}{}", text(&ended.stderr));
    // The value in effect, and the setting of the run.
    assert_eq!(lines.len(), 5, "{said}");
}

#[test]
fn the_folder_of_a_killed_run_is_removed_by_the_next_one() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let (mut child, _) = start_long_run(&scratch);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(scratch_folders(&scratch).len(), 1);
    let out = scratch.path("next");
    let next =
        bench(&["run", "--plan", &plan, "--strategies", "selector", "--direction", "upload"])
            .args(["--out", out.to_str().unwrap()])
            .env("TMPDIR", scratch.folder.path())
            .output()
            .unwrap();
    assert_eq!(next.status.code(), Some(0), "{}", text(&next.stderr));
    assert!(scratch_folders(&scratch).is_empty());
}

fn scratch_folders(scratch: &Scratch) -> Vec<OsString> {
    let names =
        fs::read_dir(scratch.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("bench-")).collect()
}

/// Starts a long run, and waits until it has measured something; returns its results folder as well.
fn start_long_run(scratch: &Scratch) -> (Child, PathBuf) {
    let plan = scratch.file("long.toml", &TINY.replace("rounds = 1", "rounds = 500"));
    let out = scratch.path("run");
    let child = bench(&["run", "--plan", &plan, "--out", out.to_str().unwrap()])
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
    (child, out)
}

fn is_ended_cleanly_by(signal: Signal) {
    let scratch = Scratch::new();
    let (mut child, out) = start_long_run(&scratch);
    kill_process(Pid::from_child(&child), signal).unwrap();
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
    let kept = scratch_folders(&scratch);
    assert!(kept.is_empty(), "{kept:?}");
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

    // State after a kill while the last trial was being written.
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
