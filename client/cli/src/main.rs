//! The `client` program.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use program::exit::{INTERRUPTED, UNUSABLE};
use program::message::print_labelled;
use program::{Document, ExitCodes, Program, Variable};

mod commands;
mod failure;
mod interrupt;
mod net;
mod terminal;

use failure::Failure;
use interrupt::stop_on_interrupt;
use net::address::end_with_server;
use terminal::quoted;

/// Client of the file server: transfers files, exchanges lines, chats, and generates load
#[derive(Debug, Parser)]
#[command(
    name = "client",
    version,
    arg_required_else_help = true,
    override_usage = "client <COMMAND>\n       client <FILE> <SERVER>   (as client send)",
    after_help = "A server is given as HOST PORT, HOST:PORT or http://HOST:PORT."
)]
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
    #[command(flatten)]
    Document(Document),
}

const PROGRAM: Program = Program {
    name: "client",
    exit_codes: ExitCodes {
        done: "done",
        failed: "the command failed, in part or as a whole",
        unusable: "wrong usage, or nothing could be begun",
        interrupted: "interrupted",
    },
    variables: &[Variable { name: "FILESERVER_TIMEOUT", argument: "timeout" }],
    other_variables: &[(
        "XDG_STATE_HOME",
        "folder in which --resume remembers uploads [default: ~/.local/state]",
    )],
};

/// Inserts `send` before a file in place of a command, as in `client FILE HOST PORT`.
///
/// # Errors
/// A server follows a word that is neither a command nor a file.
fn with_command(mut words: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let is_command = |word: &str| word == "help" || Cli::command().find_subcommand(word).is_some();
    let Some(first) = words.get(1).map(|word| word.to_string_lossy().into_owned()) else {
        return Ok(words);
    };
    if first.starts_with('-') || is_command(&first) {
        return Ok(words);
    }
    let shown: Vec<String> =
        words[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if Path::new(&words[1]).is_file() {
        words.insert(1, "send".into());
    } else if end_with_server(&shown) && shown.len() <= 3 {
        let typed: Vec<_> = shown.iter().map(|word| quoted(word)).collect();
        let typed = typed.join(" ");
        return Err(Failure::Usage(anyhow::anyhow!(
            "{first:?} is neither a command nor a file: to send a file, check its path; to fetch \
             one, use: client get {typed}"
        )));
    }
    Ok(words)
}

fn main() -> ExitCode {
    let words = match with_command(program::words()) {
        Ok(words) => words,
        Err(failure) => return failure.report(),
    };
    let matches = PROGRAM.matches(Cli::command(), &words);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let stop = match stop_on_interrupt() {
        Ok(stop) => stop,
        Err(error) => {
            print_labelled("client", format_args!("cannot handle Ctrl-C: {error}"));
            return ExitCode::from(UNUSABLE);
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
        Command::Document(document) => return PROGRAM.document(&document, Cli::command()),
    };
    match done {
        Ok(()) if stop.load(Ordering::Relaxed) => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
