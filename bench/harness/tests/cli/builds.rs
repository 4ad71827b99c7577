//! Comparison of two builds.

use crate::support::{Scratch, bench, output, refusal, rows, text};

#[test]
fn two_builds_run_in_the_same_rounds_and_are_compared() {
    let scratch = Scratch::new();
    let out = scratch.path("ab");
    let build = env!("CARGO_BIN_EXE_bench");
    let compared = output(&[
        "ab",
        "--allow-busy",
        "--old",
        build,
        "--new",
        build,
        "--rounds",
        "2",
        "--duration",
        "50ms",
        "--connections",
        "2",
        "--sizes",
        "1KiB",
        "--out",
        out.to_str().unwrap(),
    ]);
    let (stdout, stderr) = (text(&compared.stdout), text(&compared.stderr));
    assert_eq!(compared.status.code(), Some(0), "{stdout}\n{stderr}");
    // On a busy machine all trials may be disturbed.
    let is_compared = stdout.contains("With 2 connections and downloads of 1 KiB");
    assert!(is_compared || stdout.contains("Not compared:"), "{stdout}");
    assert!(stdout.contains(&format!("records {}", out.display())), "{stdout}");
    // Two loads, two rounds, two builds.
    assert_eq!(rows(&out).len(), 8);
    let records = std::fs::read_to_string(out.join("trials.csv")).unwrap();
    for target in [",selector-old,", ",selector-new,"] {
        assert_eq!(records.matches(target).count(), 4, "{records}");
    }
}

#[test]
fn programs_that_are_no_builds_are_refused() {
    let build = env!("CARGO_BIN_EXE_bench");
    let said = refusal(&["ab", "--allow-busy", "--old", "/bin/true", "--new", build]);
    assert!(said.contains("/bin/true is neither a build of server nor of bench"), "{said}");
    let said = refusal(&["ab", "--allow-busy", "--old", build, "--new", "/no/such/program"]);
    assert!(said.contains("cannot find /no/such/program"), "{said}");
    let said = refusal(&["ab", "--old", build, "--new", build, "--strategies", "none"]);
    assert!(said.contains("name a strategy with --strategies"), "{said}");
    let said = refusal(&["ab", "--old", build]);
    assert!(said.contains("--new <PROGRAM>"), "{said}");
    let help = bench(&["ab", "--help"]).output().unwrap();
    assert!(text(&help.stdout).contains("Exit codes"), "{help:?}");
}
