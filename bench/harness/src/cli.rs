//! Command line of the program `bench`, a file per subcommand.

mod ab;
mod appendix;
mod busy;
mod calls;
mod command_line;
mod diff;
mod export;
mod files;
mod format;
mod gather;
mod list;
mod messages;
mod paper;
mod process;
mod progress;
mod report;
mod run;
mod serve;
mod xray;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;
use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use fileserver::cli::ServerArgs;
use program::message::print_error;
use program::{Document, ExitCodes, Program, Variable};

use crate::chat::{self, FanoutArgs, FanoutEnd};
use crate::cli::ab::BuildArgs;
use crate::cli::diff::DiffArgs;
use crate::cli::export::ExportArgs;
use crate::cli::gather::GatherArgs;
use crate::cli::list::ListArgs;
use crate::cli::process::{FAILED, INTERRUPTED, Second, UNUSABLE, stop_on_signals};
use crate::cli::report::ReportArgs;
use crate::cli::run::RunArgs;
use crate::cli::xray::XrayArgs;
use crate::witness::{self, WitnessArgs, WitnessEnd};

/// Examples of `bench` and `bench run`.
const HELP: &str = "Examples, from the folder of the repository:
  cargo run --release                          the default comparison, about 90 seconds
  cargo run --release -- run --quick           a first impression, about 25 seconds
  cargo run --release -- run --strategies all  the default comparison with every strategy
  cargo run --release -- run concurrency idle  two experiments; `list` shows their names
  cargo run --release -- run full --dry-run    the expected time of all experiments
  cargo run --release -- run --resume DIR      continue an interrupted run
  cargo run --release -- run --slo p99=5ms     the capacity of each server, for p99 <= 5 ms
  cargo run --release -- run --strategies threaded,selector --connections 1,64 --rounds 7
  cargo run --release -- run --against all     with nginx, Apache and lighttpd, if installed
  cargo run --release -- run --target mine='./server -p {port} -d {root}'
  cargo run --release -- report results/latest
  cargo run --release -- report results/latest --pdf --author 'Ada Lovelace' --course 'Networks II'

Durations have a unit (500ms, 2s, 1m); sizes are in bytes or have a unit (512, 64KiB, 1MiB).";

const PROGRAM: Program = Program {
    name: "bench",
    exit_codes: ExitCodes {
        done: "done",
        failed: "a trial failed, a server was never measured, or a limit is exceeded",
        unusable: "wrong usage or failed set-up",
        interrupted: "interrupted (completed trials are kept)",
    },
    // Only where results go: what is measured is on the command line and in the plan.
    variables: &[Variable { name: "BENCH_RESULTS", argument: "results" }],
    other_variables: &[
        ("TMPDIR", "folder of served files and of the servers' own files [default: in memory]"),
        ("COLUMNS", "width of tables and texts that do not go to a terminal [default: 80]"),
    ],
};

/// Threads or events? Compares the concurrency strategies of a file server by measurement
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
#[command(
    override_usage = "bench [OPTIONS]\n       bench run [OPTIONS] [PLAN]...\n       bench <COMMAND>"
)]
#[command(after_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run a comparison (the default without a subcommand)
    #[command(after_help = HELP)]
    Run {
        /// Built-in plans by name; several are combined into one run [default: the plan named default]
        #[arg(value_name = "PLAN", conflicts_with_all = ["quick", "plan", "resume"])]
        names: Vec<String>,
        #[command(flatten)]
        arguments: Box<RunArgs>,
    },
    Chat(FanoutArgs),
    Witness(WitnessArgs),
    Xray(Box<XrayArgs>),
    /// List plans, strategies and reference servers
    List(ListArgs),
    /// Regenerate the charts of a results folder from its CSV files
    Plot {
        /// Results folder
        folder: PathBuf,
    },
    /// Regenerate the report of a results folder from its CSV files
    Report(ReportArgs),
    /// Count system calls per request, separately from the trials, and regenerate the report; needs
    /// perf and permission to use it (usually root)
    Calls {
        /// Results folder
        folder: PathBuf,
    },
    /// Compare two results folders: the same servers under the same loads
    Diff(DiffArgs),
    /// Write the values of a results folder for a benchmark service, a monitoring system or a comment
    Export(ExportArgs),
    Ab(Box<BuildArgs>),
    /// Gather many runs, such as those of a class, in one report: the same two servers on each machine
    Gather(GatherArgs),
    /// Count in how many runs a difference is reported between a and b, two copies of one server: see
    /// scripts/check-noise.sh
    #[command(hide = true)]
    FalseAlarms {
        /// Results folders, each with the variants a and b
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Write the test files for a server that you start yourself
    Files {
        /// Folder that the server serves
        folder: PathBuf,
        /// Sizes of the files
        #[arg(long, value_name = "SIZE,…", value_delimiter = ',', required_unless_present = "mix")]
        sizes: Vec<ByteSize>,
        /// Mix of files to write
        #[arg(long, value_name = "MIX")]
        mix: Option<Mix>,
    },
    #[command(flatten)]
    Document(Document),
    /// Run the built-in server of a trial
    #[command(hide = true)]
    Serve(ServerArgs),
    /// Become another program that ends with the harness
    #[command(hide = true)]
    Launch {
        #[arg(last = true, required = true)]
        words: Vec<OsString>,
    },
}

impl Cli {
    /// Parses the command line; ends the process after `--help` and after an error.
    pub fn from_command_line() -> Self {
        let command = command().mut_subcommand("run", |run| PROGRAM.with_sections(run));
        let matches = PROGRAM.matches(command, &program::words());
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Executes the command; the exit code is for the calling process.
    pub fn execute(self) -> ExitCode {
        let done = match self.action {
            None => run::run_plan(&[], self.run),
            Some(Action::Run { names, arguments }) => run::run_plan(&names, *arguments),
            Some(Action::Chat(arguments)) => chat(&arguments),
            Some(Action::Witness(arguments)) => witness(&arguments),
            Some(Action::Xray(arguments)) => xray::xray(&arguments),
            Some(Action::List(arguments)) => list::list(&arguments),
            Some(Action::Plot { folder }) => report::replot(&folder),
            Some(Action::Report(arguments)) => report::rereport(arguments),
            Some(Action::Calls { folder }) => calls::count(&folder),
            Some(Action::Diff(arguments)) => diff::diff(&arguments),
            Some(Action::Export(arguments)) => export::export(&arguments),
            Some(Action::Ab(arguments)) => ab::compare(*arguments),
            Some(Action::Gather(arguments)) => gather::gather(arguments),
            Some(Action::FalseAlarms { folders }) => diff::false_alarms(&folders),
            Some(Action::Files { folder, sizes, mix }) => files::write_files(&folder, &sizes, mix),
            Some(Action::Launch { words }) => serve::launch(&words),
            Some(Action::Document(document)) => return PROGRAM.document(&document, command()),
            Some(Action::Serve(arguments)) => return serve::serve(&arguments),
        };
        done.unwrap_or_else(|error| {
            print_error(format_args!("{error:#}"));
            ExitCode::from(UNUSABLE)
        })
    }
}

/// Arguments of the program.
fn command() -> Command {
    run::with_exclusive_resume(Cli::command()).mut_subcommand("run", run::with_exclusive_resume)
}

fn chat(arguments: &FanoutArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals(Second::Ends)?;
    let end = chat::run(arguments, &stop)?;
    Ok(match end {
        FanoutEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        FanoutEnd { failed: true, .. } => ExitCode::from(FAILED),
        FanoutEnd { .. } => ExitCode::SUCCESS,
    })
}

fn witness(arguments: &WitnessArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals(Second::Ends)?;
    let end = witness::run(arguments, &stop)?;
    Ok(match end {
        WitnessEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        WitnessEnd { failed: true, .. } => ExitCode::from(FAILED),
        WitnessEnd { .. } => ExitCode::SUCCESS,
    })
}
