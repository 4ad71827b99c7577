//! The `bench` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::cli::Cli::from_command_line().execute()
}
