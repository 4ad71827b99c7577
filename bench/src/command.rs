//! The command line: `bench run`, `list`, `plot`, `report`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use fileserver::command::ServerArgs;
use jiff::Timestamp;
use loadgen::load::Direction;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cores::Cores;
use crate::environment::{Environment, command_line};
use crate::local::LocalExecutor;
use crate::plan::{BUILT_IN, Order, Overrides, Plan};
use crate::progress::Display;
use crate::publish::{Published, plot, publish};
use crate::run::{RunEnd, run};
use crate::run_folder::RunFolder;
use crate::schedule::{cells, schedule};
use crate::size::ByteSize;
use crate::target::Target;

/// Some trial failed.
const FAILED: u8 = 1;
/// Wrong usage, or the run could not be set up.
const UNUSABLE: u8 = 2;
/// Ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Threads or events? Measures the file server's concurrency strategies against each other
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  bench                                        the default comparison, in about 90 seconds
  bench run --quick                            a first impression, in under 30
  bench run --strategies threaded,selector --connections 1,64,512 --rounds 7
  bench report results/latest                  make charts and report again from the CSV files

Exit codes: 0 done, 1 a trial failed, 2 wrong usage or set-up, 130 interrupted (what was measured is kept)")]
pub struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run a comparison (what happens without a subcommand, too)
    Run(RunArgs),
    /// Show the plans and strategies there are
    List,
    /// Draw the charts of a results folder again, from its CSV files alone
    Plot {
        /// A folder that bench has made
        folder: PathBuf,
    },
    /// Make the report of a results folder again, with its charts, from its CSV files alone
    Report {
        /// A folder that bench has made
        folder: PathBuf,
    },
    /// Be the server of a trial
    #[command(hide = true)]
    Serve(ServerArgs),
}

/// What to run.
#[derive(Debug, Args)]
struct RunArgs {
    /// A first impression in under 30 seconds: the plan named quick
    #[arg(long, conflicts_with = "plan")]
    quick: bool,
    /// A plan of one's own
    #[arg(long, value_name = "FILE.toml")]
    plan: Option<PathBuf>,
    /// Strategies to compare
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    strategies: Option<Vec<fileserver::StrategyKind>>,
    /// Connection counts, in place of those of every part of the plan
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    connections: Option<Vec<usize>>,
    /// File sizes, in place of those of every part of the plan
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',')]
    sizes: Option<Vec<ByteSize>>,
    /// Which way the files travel
    #[arg(long, value_name = "WAY")]
    direction: Option<Way>,
    /// Length of each measured window
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// How often everything is measured; three or more give intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Order in which the strategies take their turns
    #[arg(long, value_name = "ORDER")]
    order: Option<Order>,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder for the results, new or empty [default: results/<time>-<host>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Which way the files travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Server to client only
    Download,
    /// Client to server only
    Upload,
    /// As the plan says
    Both,
}

impl Cli {
    /// Does what was asked; the exit code is for the calling process.
    pub fn execute(self) -> ExitCode {
        let done = match self.action {
            None => run_plan(self.run),
            Some(Action::Run(arguments)) => run_plan(arguments),
            Some(Action::List) => list(),
            Some(Action::Plot { folder }) => replot(&folder),
            Some(Action::Report { folder }) => rereport(&folder),
            Some(Action::Serve(arguments)) => return serve(&arguments),
        };
        done.unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(UNUSABLE)
        })
    }
}

fn run_plan(arguments: RunArgs) -> anyhow::Result<ExitCode> {
    let out = arguments.out.clone();
    let plan = chosen_plan(arguments)?;
    let trials = schedule(&plan).len();
    let cores = Cores::apart(plan.generator_threads);
    let stop = stop_on_signals()?;
    let mut executor = LocalExecutor::new(&plan, cores.clone())?;
    let planned = u32::try_from(trials).context("too many trials")?;
    let mut environment = Environment::survey(command_line(), planned, &cores, &executor.root());
    let folder = RunFolder::create(out.as_deref(), &environment.machine.host)?;
    folder.write_plan(&plan)?;
    folder.write_environment(&environment)?;
    announce(&plan, trials, &environment);

    let mut display = Display::new(trials);
    let end = run(&plan, &mut executor, &folder, &mut display, &stop)?;
    display.finish();
    environment.finished_at = Some(Timestamp::now());
    environment.interrupted = end.interrupted;
    folder.write_environment(&environment)?;

    let published = publish(&folder)?;
    say(&conclusion(&published, &folder, end));
    Ok(match end {
        RunEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        RunEnd { failures: 0, .. } => ExitCode::SUCCESS,
        RunEnd { .. } => ExitCode::from(FAILED),
    })
}

fn chosen_plan(arguments: RunArgs) -> anyhow::Result<Plan> {
    let plan = match (&arguments.plan, arguments.quick) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the plan {}", path.display()))?;
            Plan::parse(&text, &path.display().to_string())?
        }
        (None, quick) => Plan::built_in(if quick { "quick" } else { "default" })
            .expect("both plans are in the program"),
    };
    Ok(plan.with(Overrides {
        targets: arguments
            .strategies
            .map(|kinds| kinds.into_iter().map(Target::Strategy).collect()),
        connections: arguments.connections,
        sizes: arguments.sizes,
        direction: arguments.direction.and_then(|way| match way {
            Way::Download => Some(Direction::Download),
            Way::Upload => Some(Direction::Upload),
            Way::Both => None,
        }),
        window: arguments.duration,
        rounds: arguments.rounds,
        order: arguments.order,
        seed: arguments.seed,
    }))
}

fn announce(plan: &Plan, trials: usize, environment: &Environment) {
    let least = plan.least_time(trials).as_secs_f64();
    let placement = &environment.placement;
    let pinned = match (placement.server_cores.as_slice(), placement.generator_cores.as_slice()) {
        ([], _) | (_, []) => "nothing is pinned: there is one core only".to_owned(),
        (server, generator) => format!("server on core {server:?}, generator on {generator:?}"),
    };
    let _ = writeln!(
        io::stderr(),
        "{}: {} strategies x {} loads x {} rounds = {trials} trials, at least {least:.0} s; {pinned}",
        plan.name,
        plan.targets.len(),
        cells(plan).len(),
        plan.rounds,
    );
    if environment.machine.was_busy() {
        let load = environment.machine.load_average.as_deref().unwrap_or_default();
        let _ = writeln!(
            io::stderr(),
            "warning: other programs keep this machine busy (load average {load}): expect wide \
             intervals, or wait and run again"
        );
    }
    if !environment.optimised {
        let _ = writeln!(
            io::stderr(),
            "warning: built without optimisation, so the figures mean little: use --release"
        );
    }
}

fn conclusion(published: &Published, folder: &RunFolder, end: RunEnd) -> String {
    let mut text = published.table();
    text += &format!("\n{}\n", published.verdict.sentence);
    for note in &published.verdict.notes {
        text += &format!("  note: {note}\n");
    }
    if end.interrupted {
        text += "\nInterrupted: what was measured until then is kept.\n";
    }
    let path = folder.path().display();
    text += &format!(
        "\nreport  {}\ncharts  {path}/plots/\nrecords {path}/trials.csv\n",
        folder.report().display()
    );
    text
}

fn replot(folder: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(folder)?;
    let published = plot(&folder)?;
    ensure!(
        !published.figures.is_empty(),
        "{} has no trial that a chart could be drawn from",
        folder.path().display()
    );
    for figure in published.figures {
        say(&format!("{}/plots/{}\n", folder.path().display(), figure.file));
    }
    Ok(ExitCode::SUCCESS)
}

fn rereport(folder: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(folder)?;
    let published = publish(&folder)?;
    say(&format!("{}\n{}\n", published.verdict.sentence, folder.report().display()));
    Ok(ExitCode::SUCCESS)
}

fn list() -> anyhow::Result<ExitCode> {
    let mut text = "Plans:\n".to_owned();
    for (name, _) in BUILT_IN {
        let plan = Plan::built_in(name).expect("it is in the program");
        let trials = schedule(&plan).len();
        let seconds = plan.least_time(trials).as_secs();
        text +=
            &format!("  {name:<12} {} ({trials} trials, {seconds} s and more)\n", plan.question);
    }
    text += "\nStrategies:\n";
    for target in Target::all() {
        text += &format!("  {:<12} {}\n", target.name(), target.description());
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}

/// Should the harness be killed, its servers must not go on for ever.
fn serve(arguments: &ServerArgs) -> ExitCode {
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    fileserver::command::run(arguments)
}

/// The first Ctrl-C or SIGTERM sets the flag, the second ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals; is a sandbox in the way?")?;
    }
    Ok(stop)
}

/// To standard output; that nobody reads it (`| head -1`) is no failure.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be more than zero".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".to_owned()),
    }
}

/// `2s`, `500ms`, `1.5s`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err("write for example 500ms, 2s, 1m".to_owned()),
    };
    let seconds =
        number.parse::<f64>().map_err(|_| "write for example 500ms, 2s, 1m".to_owned())?;
    if seconds * factor < 0.001 {
        return Err("must be at least 1ms".to_owned());
    }
    Duration::try_from_secs_f64(seconds * factor).map_err(|error| error.to_string())
}
