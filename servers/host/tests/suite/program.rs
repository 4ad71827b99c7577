//! Completions, man pages, colours and environment variables of the `server` program.

use std::net::TcpListener;

use testkit::command_line::ProgramUnderTest;

const SERVER: ProgramUnderTest = ProgramUnderTest {
    path: env!("CARGO_BIN_EXE_server"),
    name: "server",
    shown: "man",
    hidden: &["help"],
};

#[test]
fn shells_and_man_get_a_description() {
    SERVER.check_completions();
    SERVER.check_man_pages();
    SERVER.check_help(&["[env: FILESERVER_STRATEGY]", "FILESERVER_LISTEN", "FILESERVER_ROOT"]);
}

#[test]
fn colors_can_be_chosen() {
    SERVER.check_colors(&["--strategy", "selector", "--workers", "7"]);
}

#[test]
fn variables_set_flags_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/root");
    let missing = missing.to_str().unwrap();
    let strategy = ("FILESERVER_STRATEGY", "threaded");
    let said = SERVER.refusal(&[strategy], &["--workers", "7"]);
    assert!(said.contains("no effect with --strategy threaded"), "{said}");
    let said = SERVER.refusal(&[strategy], &["--workers", "7", "--strategy", "iterative"]);
    assert!(said.contains("no effect with --strategy iterative"), "{said}");

    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let taken = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    let listen = ("FILESERVER_LISTEN", &*taken[0]);
    let said = SERVER.refusal(&[listen], &[]);
    assert!(said.contains(&format!("cannot listen on {}", taken[0])), "{said}");
    let said = SERVER.refusal(&[listen], &["--listen", &taken[1]]);
    assert!(said.contains(&format!("cannot listen on {}", taken[1])), "{said}");

    let root = [("FILESERVER_ROOT", missing), ("FILESERVER_LISTEN", "0")];
    let said = SERVER.refusal(&root, &[]);
    assert!(said.contains(&format!("cannot create root {missing:?}")), "{said}");
    let other = format!("{missing}-2");
    let said = SERVER.refusal(&root, &["--root", &other]);
    assert!(said.contains(&format!("cannot create root {other:?}")), "{said}");
}

#[test]
fn an_invalid_variable_is_named() {
    for (name, value, flag, reason) in [
        ("FILESERVER_STRATEGY", "ghost", "--strategy <NAME>", "thread-pool"),
        ("FILESERVER_STRATEGY", "", "--strategy <NAME>", "value is required"),
        ("FILESERVER_LISTEN", "70000", "--listen <ADDRESS>", "from 0 to 65535"),
        ("FILESERVER_ROOT", "", "--root <DIR>", "value is required"),
    ] {
        let said = SERVER.refusal(&[(name, value)], &[]);
        let expected = format!("for '{name}, the environment variable of {flag}'");
        assert!(said.contains(&expected) && said.contains(reason), "{said}");
        // Only a server reads it.
        let completions = SERVER.run(&[(name, value)], &["completions", "bash"]);
        assert_eq!(completions.status.code(), Some(0), "{completions:?}");
    }
    let environment = [("FILESERVER_STRATEGY", "ghost")];
    let said = SERVER.refusal(&environment, &["--strategy", "spirit"]);
    assert!(said.contains("'spirit' for '--strategy <NAME>'"), "{said}");
    let said = SERVER.refusal(&environment, &["--strategy", "threaded", "--workers", "7"]);
    assert!(said.contains("no effect"), "the flag replaces the invalid value: {said}");
}

#[test]
fn flags_and_subcommands_exclude_each_other() {
    let said = SERVER.refusal(&[], &["--strategy", "threaded", "completions", "bash"]);
    assert!(said.contains("completions") && said.contains("--strategy"), "{said}");
}
