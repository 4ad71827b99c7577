//! Bad input: exit code 2 and a remedy.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use crate::support::{Scratch, TINY, bench, output, refusal, text};

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
        ["run", "--aa-control", "nginx"],
    ] {
        assert!(refusal(&arguments).contains(arguments[1]), "{arguments:?}");
    }
    for (flag, value, expected) in [
        ("--baseline", "ghost", "--baseline ghost: no server of the run"),
        ("--variant", "two=threaded --workers 2", "variant two: --workers 2 has no effect"),
        ("--variant", "two=selector --accept dispatch", "variant two: --accept dispatch has no"),
    ] {
        let said = refusal(&["run", "--dry-run", flag, value]);
        assert!(said.contains(expected), "{said}");
    }
    for flag in ["--idle", "--slow-readers", "--rounds", "--seed", "--rate", "--connections"] {
        let said = refusal(&["run", flag, "many"]);
        assert!(said.contains(flag) && said.contains("not a whole number"), "{flag}: {said}");
    }
    let said = refusal(&["witness", "--rounds", "x"]);
    assert!(said.contains("--rounds") && said.contains("not a whole number"), "{said}");
    let strategies = ["run", "--strategies", "threaded", "--dry-run"];
    let said = refusal(&[&strategies[..], &["--baseline", "selector"]].concat());
    assert!(said.contains("--baseline selector: no server of the run"), "{said}");
    assert!(said.contains("choose from threaded"), "{said}");
    let said = refusal(&[&strategies[..], &["--aa-control", "selector"]].concat());
    assert!(said.contains("--aa-control selector: the strategy is not part of"), "{said}");
    assert!(said.contains("choose from threaded, none"), "{said}");
    let said = refusal(&["run", "--connections", "100000000"]);
    assert!(said.contains("ulimit") || said.contains("port"), "{said}");
    let said = refusal(&["run", "--direction", "upload", "--sizes", "900GiB"]);
    assert!(said.contains("choose smaller sizes"), "{said}");
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
fn settings_of_the_kernel_are_refused_with_a_remedy() {
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    let available = available.unwrap().split_whitespace().collect::<Vec<_>>().join(", ");
    let said = refusal(&["run", "--quick", "--dry-run", "--congestion-control", "ghost"]);
    assert!(said.contains(&format!("choose from {available}")), "{said}");
    assert!(refusal(&["run", "--resume", "x", "--loopback-rfs"]).contains("cannot be used with"));
    let now = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
    let mut as_user = bench(&["run", "--quick", "--dry-run", "--congestion-control", now.trim()]);
    if rustix::process::geteuid().is_root() {
        as_user.uid(65_534);
    }
    let output = as_user.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "what it already is: {}", text(&output.stderr));
    let Some(other) = available.split(", ").find(|name| *name != now.trim()) else { return };
    let mut as_user = bench(&["run", "--quick", "--dry-run", "--congestion-control", other]);
    if rustix::process::geteuid().is_root() {
        as_user.uid(65_534);
    }
    let output = as_user.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("run as root"), "{said}");
}

#[test]
fn a_busy_machine_is_refused_unless_that_is_allowed() {
    // One thread per core keeps the machine busy for as long as the test runs.
    struct Busy(Vec<Child>);
    impl Drop for Busy {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
    let cores = std::thread::available_parallelism().unwrap().get();
    let loop_for_ever = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let _busy = Busy((0..cores).map(|_| loop_for_ever()).collect());
    let scratch = Scratch::new();
    let (plan, out) = (scratch.file("tiny.toml", TINY), scratch.path("run"));
    let shown = out.to_str().unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["run", "--plan", &plan, "--out", shown])
        .output()
        .unwrap();
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for remedy in ["% of this machine's processor time", "--wait-idle", "--allow-busy"] {
        assert!(said.contains(remedy), "no {remedy} in {said}");
    }
    assert!(!out.exists());
    let one_trial = ["--strategies", "selector", "--direction", "upload"];
    let ran = output(&[&["run", "--plan", &plan, "--out", shown][..], &one_trial].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("Other programs used"), "{}", text(&ran.stderr));
    let environment = fs::read_to_string(out.join("environment.toml")).unwrap();
    for recorded in ["busy_percent = ", "busy_allowed = true", "kernel_command_line = "] {
        assert!(environment.contains(recorded), "no {recorded} in {environment}");
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("the run began nevertheless"), "not in the report");
}

#[test]
fn a_continued_run_has_the_recorded_plan() {
    for more in [["--rounds", "3"], ["--connections", "3"], ["--out", "x"], ["--wire", "http"]] {
        let said = refusal(&[&["run", "--resume", "x"][..], &more].concat());
        assert!(said.contains("cannot be used with"), "{said}");
    }
    assert!(refusal(&["run", "churn", "--resume", "x"]).contains("cannot be used with"));
    let said = refusal(&["run", "--resume", "no-such-folder"]);
    assert!(said.contains("is not a folder"), "{said}");
}
