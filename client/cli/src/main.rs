//! The `client` program.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::{Parser, Subcommand};

mod commands;
mod failure;
mod interrupt;
mod net;
mod terminal;

use failure::INTERRUPTED;
use interrupt::stop_on_interrupt;

/// Client of the file server: transfers files, exchanges lines, chats, and generates load
#[derive(Debug, Parser)]
#[command(name = "client", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Send(commands::send::Args),
    Get(commands::get::Args),
    Say(commands::say::Args),
    Knock(commands::knock::Args),
    Console(commands::console::Args),
    Chat(commands::chat::Args),
    Load(commands::load::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = match stop_on_interrupt() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("client: cannot handle Ctrl-C: {error}");
            return ExitCode::from(2);
        }
    };
    let done = match cli.command {
        Command::Send(args) => commands::send::run(args, &stop),
        Command::Get(args) => commands::get::run(&args, &stop),
        Command::Say(args) => commands::say::run(&args, &stop),
        Command::Knock(args) => commands::knock::run(&args, &stop),
        Command::Console(args) => commands::console::run(&args, &stop),
        Command::Chat(args) => commands::chat::run(&args, &stop),
        Command::Load(args) => commands::load::run(&args, &stop),
    };
    match done {
        Ok(()) if stop.load(Ordering::Relaxed) => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
