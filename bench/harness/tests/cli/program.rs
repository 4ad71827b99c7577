//! Completions, man pages, colours and environment variables of the `bench` program.

use std::fs;

use testkit::command_line::ProgramUnderTest;

use crate::support::{Scratch, TINY, at_once, column, text};

const BENCH: ProgramUnderTest = ProgramUnderTest {
    path: env!("CARGO_BIN_EXE_bench"),
    name: "bench",
    shown: "run",
    hidden: &["serve", "launch", "false-alarms"],
};

/// One trial: an upload to `selector`.
const ONE_TRIAL: [&str; 6] =
    ["run", "--allow-busy", "--strategies", "selector", "--direction", "upload"];

#[test]
fn shells_and_man_get_a_description() {
    BENCH.check_completions();
    BENCH.check_man_pages();
    BENCH.check_help(&["[env: BENCH_RESULTS]", "TMPDIR", "COLUMNS"]);
    let help = text(&BENCH.run(&[], &["run", "--help"]).stdout);
    assert!(help.contains("Exit codes: 0 ") && help.contains("[env: BENCH_RESULTS]"), "{help}");
}

#[test]
fn colors_can_be_chosen() {
    BENCH.check_colors(&["report", "no-such-folder"]);
}

#[test]
fn a_variable_chooses_the_folder_of_runs_and_the_flag_wins() {
    let scratch = Scratch::new();
    let plan = scratch.file("tiny.toml", TINY);
    let run = |flags: &[&str]| {
        let mut command = BENCH.command(&ONE_TRIAL);
        command.args(["--plan", &plan]).args(flags).env("BENCH_RESULTS", "by-variable");
        let output = command.current_dir(scratch.folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    };
    at_once([&[][..], &["--results", "by-flag"], &["--out", "alone"]], run);
    for folder in ["by-variable/latest", "by-flag/latest", "alone"] {
        assert_eq!(column(&scratch.path(folder), "outcome").len(), 1, "{folder}");
    }
    assert_eq!(fs::read_dir(scratch.path("by-variable")).unwrap().count(), 2, "run and link");
    assert!(!scratch.path("results").exists());
    // The run to continue has its folder already.
    let mut resumed = BENCH.command(&["run", "--allow-busy", "--resume", "alone"]);
    resumed.env("BENCH_RESULTS", "by-variable").current_dir(scratch.folder.path());
    let output = resumed.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("alone is complete"), "{output:?}");
}

#[test]
fn an_invalid_variable_is_named_by_the_commands_that_read_it() {
    let environment = [("BENCH_RESULTS", "")];
    for arguments in
        [&["--dry-run"][..], &["run", "--dry-run"], &["ab", "--old", "a", "--new", "b"]]
    {
        let said = BENCH.refusal(&environment, arguments);
        let expected = "for 'BENCH_RESULTS, the environment variable of --results <DIR>'";
        assert!(said.contains(expected), "{said}");
    }
    let output = BENCH.run(&environment, &["list"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn servers_are_configured_by_the_plan_alone() {
    let scratch = Scratch::new();
    let (plan, out) = (scratch.file("tiny.toml", TINY), scratch.path("run"));
    // Any of these would end a server, or let it serve another folder.
    let surroundings = [
        ("FILESERVER_STRATEGY", "ghost"),
        ("FILESERVER_LISTEN", "nowhere"),
        ("FILESERVER_ROOT", "/dev/null"),
        ("BENCH_RESULTS", "elsewhere"),
        ("CLICOLOR_FORCE", "1"),
    ];
    let clean = "test -z \"$FILESERVER_STRATEGY$FILESERVER_LISTEN$FILESERVER_ROOT$BENCH_RESULTS\" \
                 && test \"$NO_COLOR\" = 1";
    let serve = format!("'{}' serve --listen 127.0.0.1:$0 --root $1 --quiet", BENCH.path);
    let mine =
        format!("mine=sh -c '{clean} && exec {}' {{port}} {{root}}", serve.replace('\'', ""));
    let output = BENCH
        .command(&ONE_TRIAL)
        .args(["--plan", &plan, "--target", &mine, "--out", out.to_str().unwrap()])
        .args(["--variant", "copying=selector --send-path copy"])
        .envs(surroundings)
        .current_dir(scratch.folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(column(&out, "target"), ["selector", "copying", "mine"]);
    // On a busy machine trials are disturbed, so that their outcome differs.
    let requests = column(&out, "requests");
    assert!(requests.iter().all(|count| count.parse::<u64>().unwrap() > 0), "{requests:?}");
}
