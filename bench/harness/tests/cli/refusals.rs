//! Bad input: exit code 2 and a remedy.

use std::fs;

use crate::support::{Scratch, TINY, refusal};

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
