//! The `bench` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    bench::cli::Cli::parse().execute()
}
