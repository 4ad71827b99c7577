//! Completions, man pages, colours and environment variables of the `client` program.

use std::time::Duration;

use testkit::command_line::ProgramUnderTest;
use testkit::mock::{Mock, Peer};

use crate::cli::support::client_program;

const CLIENT: ProgramUnderTest = ProgramUnderTest {
    path: env!("CARGO_BIN_EXE_client"),
    name: "client",
    shown: "send",
    hidden: &[],
};

#[test]
fn shells_and_man_get_a_description() {
    CLIENT.check_completions();
    CLIENT.check_man_pages();
    CLIENT.check_help(&["FILESERVER_TIMEOUT", "XDG_STATE_HOME"]);
    let help = CLIENT.run(&[], &["get", "--help"]).stdout;
    assert!(String::from_utf8(help).unwrap().contains("[env: FILESERVER_TIMEOUT]"));
}

#[test]
fn colors_can_be_chosen() {
    assert_eq!(CLIENT.path, client_program());
    CLIENT.check_colors(&["send", "no-such-file", "localhost", "1"]);
}

#[test]
fn a_variable_sets_the_timeout_and_the_flag_wins() {
    let silent = Mock::start(Peer::wait_for_close);
    let port = silent.address.port().to_string();
    let get = |flags: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = CLIENT.command(&["get", "a", "127.0.0.1", &port]);
        command.args(flags).env("FILESERVER_TIMEOUT", "70ms").current_dir(folder.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = |ms| humantime::format_duration(Duration::from_millis(ms)).to_string();
    let said = get(&[]);
    assert!(said.contains(&shown(70)), "{said}");
    let said = get(&["--timeout", "90ms"]);
    assert!(said.contains(&shown(90)), "{said}");
}

#[test]
fn an_invalid_variable_is_named_by_the_commands_that_read_it() {
    let environment = [("FILESERVER_TIMEOUT", "20")];
    for arguments in [&["get", "a", "h", "1"][..], &["send", "a", "h", "1"], &["load", "h", "1"]] {
        let said = CLIENT.refusal(&environment, arguments);
        let expected =
            "'20' for 'FILESERVER_TIMEOUT, the environment variable of --timeout <TIME>'";
        assert!(said.contains(expected) && said.contains("with a unit"), "{said}");
    }
    let said = CLIENT.refusal(&environment, &["say", "h"]);
    assert!(said.contains("no port after h"), "{said}");
}
