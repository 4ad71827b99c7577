//! Processes that the harness starts: the built-in server, and reference servers.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use fileserver::cli::ServerArgs;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Becomes another program, which ends with the harness.
pub(super) fn launch(words: &[OsString]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = words.split_first().context("no command was given")?;
    // SIGTERM, so that a server can end its own processes.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Runs the built-in server, which ends with the harness even if that is killed.
pub(super) fn serve(arguments: &ServerArgs) -> ExitCode {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    fileserver::cli::run(arguments)
}
