//! The command line: `bench run`, `list`, `plot`, `report`, `calls`, `diff`.

mod appendix;
mod calls;
mod choice;
mod command_line;
mod progress;

use crate::machine::facts;
use crate::run::reference_config::Installed;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use fileserver::cli::ServerArgs;
use fileserver::{SendPath, StrategyKind};
use fileserver_proto::Wire;
use jiff::Timestamp;
use loadgen::{Direction, EngineChoice};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::chat;
use crate::chat::{FanoutArgs, FanoutEnd};
use crate::cli::choice::{Choice, without_missing};
use crate::cli::command_line::command_line;
use crate::cli::progress::Display;
use crate::machine::cores::Cores;
use crate::run::files;
use crate::run::local::LocalExecutor;
use crate::run::resume;
use crate::run::{CompletedTrials, RunEnd, run};
use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;
use bench_data::load::objective::Objective;
use bench_data::plan::built_in;
use bench_data::plan::loads::check;
use bench_data::plan::{Order, Overrides, Plan};
use bench_data::record::environment::TargetInfo;
use bench_data::record::environment::{Environment, Resumption, SCHEMA};
use bench_data::record::rows::Records;
use bench_data::record::run_folder::RunFolder;
use bench_data::schedule::expected;
use bench_data::servers::reference::ReferenceServer;
use bench_report::analysis::diff::{Diff, Judgement, Limit};
use bench_report::analysis::false_alarms;
use bench_report::report::content::Report;
use bench_report::report::export::{plot, print_charts, print_paper, publish};
use bench_report::report::lab_report::Cover;

/// What to do without a plan.
const PLANS: &str = "`cargo run --release -- list` shows the built-in plans; results/*/plan.toml can \
                     be copied";

/// Bytes of a line where none are given: what a person types.
const LINE_SIZE: ByteSize = ByteSize::new(64);

/// Some trial failed.
const FAILED: u8 = 1;
/// Wrong usage, or the run could not be set up.
const UNUSABLE: u8 = 2;
/// Ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Threads or events? Measures the file server's concurrency strategies against each other
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples, from the folder of the repository:
  cargo run --release                        the default comparison, in about 90 seconds
  cargo run --release -- run --quick         a first impression, in under 30
  cargo run --release -- run --strategies all the same with every strategy
  cargo run --release -- run concurrency idle some experiments, by name: see `list`
  cargo run --release -- run full --dry-run  how long every experiment would take
  cargo run --release -- run --resume DIR    go on with a run that was interrupted
  cargo run --release -- run --slo p99=5ms   the highest rate that each server bears so well
  cargo run --release -- run --strategies threaded,selector --connections 1,64 --rounds 7
  cargo run --release -- run --against all   with nginx, Apache and lighttpd, if installed
  cargo run --release -- run --target mine='./server -p {port} -d {root}'
  cargo run --release -- report results/latest
  cargo run --release -- report results/latest --pdf --author 'Ada Lovelace' --course 'Networks II'

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
    Run {
        /// Plans that come with the program, by name: several become one run [default: default]
        #[arg(value_name = "PLAN", conflicts_with_all = ["quick", "plan"])]
        names: Vec<String>,
        #[command(flatten)]
        arguments: Box<RunArgs>,
    },
    Chat(FanoutArgs),
    /// Show the plans, strategies and real servers there are
    List,
    /// Draw the charts of a results folder again, from its CSV files alone
    Plot {
        /// A folder that bench has made
        folder: PathBuf,
    },
    /// Make the report of a results folder again, with its charts, from its CSV files alone
    Report(ReportArgs),
    /// Count the system calls per request of the servers of a results folder, apart from what was
    /// measured, and make its report again; needs perf and the rights to use it
    Calls {
        /// A folder that bench has made
        folder: PathBuf,
    },
    /// Show what changed between two results folders: the same servers under the same loads
    Diff(DiffArgs),
    /// Count in how many runs a difference is claimed between a and b, two copies of one server: see
    /// scripts/check-noise.sh
    #[command(hide = true)]
    FalseAlarms {
        /// Folders that bench has made, each with the variants a and b
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Write the files that loads ask for, for a server that runs already
    Files {
        /// The folder that it serves
        folder: PathBuf,
        /// Their sizes
        #[arg(long, value_name = "SIZE,…", value_delimiter = ',', required_unless_present = "mix")]
        sizes: Vec<ByteSize>,
        /// The files of this mix
        #[arg(long, value_name = "MIX")]
        mix: Option<Mix>,
    },
    /// Be the server of a trial
    #[command(hide = true)]
    Serve(ServerArgs),
    /// Become another program, which ends when the harness does
    #[command(hide = true)]
    Launch {
        #[arg(last = true, required = true)]
        words: Vec<OsString>,
    },
}

/// What to run.
#[derive(Debug, Args)]
struct RunArgs {
    /// A first impression in under 30 seconds: the plan named quick
    #[arg(long, conflicts_with = "plan")]
    quick: bool,
    /// A plan of one's own; start from results/latest/plan.toml
    #[arg(long, value_name = "FILE.toml")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Connection counts, in place of those of every part of the plan
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    connections: Option<Vec<usize>>,
    /// File sizes, in place of those of every part of the plan
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',')]
    sizes: Option<Vec<ByteSize>>,
    /// Which way the files travel
    #[arg(long, value_name = "WAY")]
    direction: Option<Way>,
    /// What the servers are asked for: files, or an echo of lines, whose sizes are those of --sizes
    #[arg(long, value_name = "SERVICE")]
    service: Option<LoadService>,
    /// Which protocol is spoken: http or framed for files, text for the echo
    #[arg(long, value_name = "WIRE")]
    wire: Option<Wire>,
    /// Open a new connection for every request, in every part of the plan
    #[arg(long)]
    no_keep_alive: bool,
    /// Requests per second that arrive whatever the server does (open loop)
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<Vec<u32>>,
    /// Look for the highest rate that meets an objective, such as p99=5ms,errors=0.1%
    #[arg(long, value_name = "OBJECTIVE", value_parser = Objective::parse, conflicts_with = "rate")]
    slo: Option<Objective>,
    /// Idle connections beside those that ask
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    idle: Option<Vec<usize>>,
    /// Connections beside them that take a large file in drops
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    slow_readers: Option<Vec<usize>>,
    /// Connections beside them that send a request in drops
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    slow_senders: Option<Vec<usize>>,
    /// Percentages of requests that burn 20 ms of processor time in the server (our own only)
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = percent())]
    heavy_cpu_percent: Option<Vec<u8>>,
    /// Percentages of requests that block for 20 ms in the server (our own only)
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = percent())]
    heavy_block_percent: Option<Vec<u8>>,
    /// A set of files in place of one of each size: web, with sizes and popularity as on web servers
    #[arg(long, value_name = "MIX", conflicts_with = "sizes")]
    mix: Option<Mix>,
    /// The way in which our servers send files: auto, copy, memory, sendfile or splice
    #[arg(long, value_name = "PATH")]
    send_path: Option<SendPath>,
    /// What the load generator waits with: epoll, uring, or auto for the faster one there is
    #[arg(long, value_name = "ENGINE")]
    engine: Option<EngineChoice>,
    /// Time before each measured window whose requests are not counted
    #[arg(long, value_name = "TIME", value_parser = duration)]
    warm_up: Option<Duration>,
    /// Length of each measured window, such as 500ms or 2s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// How often everything is measured; three or more give intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Order in which the servers take their turns
    #[arg(long, value_name = "ORDER")]
    order: Option<Order>,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder for the results, new or empty [default: results/<time>-<host>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue a run that was interrupted, in its folder, and as it was asked for
    #[arg(long, value_name = "DIR", exclusive = true)]
    resume: Option<PathBuf>,
    /// Only tell which trials there would be, and how long they would take
    #[arg(long)]
    dry_run: bool,
}

/// What to make of a results folder.
#[derive(Debug, Args)]
struct ReportArgs {
    /// A folder that bench has made
    folder: PathBuf,
    /// A paper to hand in as well: report.pdf
    #[arg(long)]
    pdf: bool,
    /// The charts as pixels as well, at print resolution: plots/*.png
    #[arg(long)]
    png: bool,
    /// Title of the paper, in place of the plan's question
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    title: Option<String>,
    /// Who hands the paper in; may be given several times
    #[arg(long, value_name = "NAME", requires = "pdf")]
    author: Vec<String>,
    /// The course that the paper is for
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    course: Option<String>,
    /// A transcript for the paper's end, such as of the client; may be given several times
    #[arg(long, value_name = "FILE", requires = "pdf")]
    transcript: Vec<PathBuf>,
    /// A listing for the paper's end: a file that holds one, or a folder to list as ls -la does
    #[arg(long, value_name = "PATH", requires = "pdf")]
    listing: Vec<PathBuf>,
}

/// Which runs to compare.
#[derive(Debug, Args)]
#[command(
    after_help = "Changes are of medians, with 95 % intervals; a star marks those beyond doubt \
                        (the interval excludes 0, and it is 5 % or more, and more than a server differed from itself in \
                        either run).

Exit codes: 0 no limit broken, 1 a limit broken with the whole interval beyond it, 2 wrong usage"
)]
struct DiffArgs {
    /// The results folder of the earlier run
    old: PathBuf,
    /// The results folder of the later run
    new: PathBuf,
    /// Exit with 1 where it became that much worse: throughput<-5%, p99>+20%, cpu_per_request>+10%
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',', value_parser = Limit::parse)]
    fail_if: Vec<Limit>,
}

/// What the servers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LoadService {
    /// Files, down and up
    Files,
    /// Each line back as it is
    Echo,
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
            None => run_plan(&[], self.run),
            Some(Action::Run { names, arguments }) => run_plan(&names, *arguments),
            Some(Action::Chat(arguments)) => chat(&arguments),
            Some(Action::List) => list(),
            Some(Action::Plot { folder }) => replot(&folder),
            Some(Action::Report(arguments)) => rereport(arguments),
            Some(Action::Calls { folder }) => calls::count(&folder),
            Some(Action::Diff(arguments)) => diff(&arguments),
            Some(Action::FalseAlarms { folders }) => false_alarms(&folders),
            Some(Action::Files { folder, sizes, mix }) => write_files(&folder, &sizes, mix),
            Some(Action::Launch { words }) => launch(&words),
            Some(Action::Serve(arguments)) => return serve(&arguments),
        };
        done.unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(UNUSABLE)
        })
    }
}

fn run_plan(names: &[String], arguments: RunArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &arguments.resume {
        return resume_run(folder);
    }
    let (out, dry_run) = (arguments.out.clone(), arguments.dry_run);
    let mut plan = chosen_plan(names, arguments)?;
    let missing = without_missing(&mut plan);
    for peer in &missing {
        let _ = writeln!(io::stderr(), "{}", peer.hint());
    }
    ensure!(
        !plan.targets().is_empty(),
        "there is no server to measure: name some with --strategies, --against or --target"
    );
    let trials = expected(&plan).trials;
    if dry_run {
        say(&outlook(&plan));
        return Ok(ExitCode::SUCCESS);
    }
    let cores = Cores::apart(plan.generator_threads);
    let stop = stop_on_signals()?;
    let mut executor = LocalExecutor::new(&plan, cores.clone())?;
    let planned = u32::try_from(trials).context("too many trials")?;
    let mut environment = facts::survey(command_line(), planned, &cores, &executor.root());
    let folder = RunFolder::create(out.as_deref(), &environment.machine.host)?;
    folder.write_plan(&plan)?;
    folder.write_environment(&environment)?;
    environment.not_installed = missing.iter().map(|peer| peer.name().to_owned()).collect();
    announce(&plan, trials, &environment);
    environment.ceiling = Some(executor.measure_copy_bandwidth()?);
    environment.targets = executor.survey(&folder, &stop)?;
    introduce(&environment);
    folder.write_environment(&environment)?;
    carry_out(&plan, &CompletedTrials::default(), trials, executor, environment, &folder, &stop)
}

/// Goes on with a run that was interrupted.
fn resume_run(path: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(path)?;
    let (plan, mut environment) = (folder.plan()?, folder.environment()?);
    let shown = path.display();
    ensure!(
        environment.schema == SCHEMA,
        "{shown} was written by version {} of the format of results, and this is {SCHEMA}: begin a \
         new run, such as with --plan {shown}/plan.toml",
        environment.schema
    );
    let removed = resume::mend(path)?;
    if removed > 0 {
        let _ = writeln!(io::stderr(), "{shown}: {removed} lines of an unfinished trial removed");
    }
    let known = CompletedTrials::of(Records::read(path)?);
    let trials = known.to_come(&plan);
    if trials == 0 && environment.finished_at.is_some() {
        say(&format!("{shown} is complete: nothing left to do\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let cores = Cores::apart(plan.generator_threads);
    let stop = stop_on_signals()?;
    let mut executor = LocalExecutor::new(&plan, cores.clone())?;
    executor.set_copy_bandwidth(environment.ceiling);
    let planned = environment.trials_planned;
    let now = facts::survey(command_line(), planned, &cores, &executor.root());
    resume::check_same(&environment, &now)?;
    announce(&plan, trials, &now);
    let targets = executor.survey(&folder, &stop)?;
    resume::check_same_servers(&environment.targets, &targets)?;
    environment.targets = targets;
    environment.resumed.push(Resumption {
        at: now.started_at,
        trials_to_come: trials,
        load_average: now.machine.load_average,
    });
    folder.write_environment(&environment)?;
    carry_out(&plan, &known, trials, executor, environment, &folder, &stop)
}

/// Runs what is not known yet, and makes of it what people read.
fn carry_out(
    plan: &Plan,
    known: &CompletedTrials,
    trials: usize,
    mut executor: LocalExecutor,
    mut environment: Environment,
    folder: &RunFolder,
    stop: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let mut display = Display::new(trials);
    let end = run(plan, known, &mut executor, folder, &mut display, stop)?;
    display.finish();
    environment.finished_at = Some(Timestamp::now());
    environment.interrupted = end.interrupted;
    folder.write_environment(&environment)?;

    let published = publish(folder)?;
    say(&conclusion(&published, folder, end));
    Ok(match end {
        RunEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        RunEnd { failures: 0, .. } => ExitCode::SUCCESS,
        RunEnd { .. } => ExitCode::from(FAILED),
    })
}

fn chosen_plan(names: &[String], arguments: RunArgs) -> anyhow::Result<Plan> {
    let plan = match (&arguments.plan, arguments.quick) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the plan {} ({PLANS})", path.display()))?;
            Plan::parse(&text, &path.display().to_string())?.with_included()?
        }
        (None, false) if !names.is_empty() => Plan::combined(names)?,
        (None, quick) => Plan::built_in(if quick { "quick" } else { "default" })
            .expect("both plans are in the program"),
    };
    let mut overrides = Overrides {
        connections: arguments.connections,
        sizes: arguments.sizes,
        direction: arguments.direction.and_then(|way| match way {
            Way::Download => Some(Direction::Download),
            Way::Upload => Some(Direction::Upload),
            Way::Both => None,
        }),
        per_request: arguments.no_keep_alive,
        rates_per_s: arguments.rate,
        objective: arguments.slo,
        idle: arguments.idle,
        slow_readers: arguments.slow_readers,
        slow_senders: arguments.slow_senders,
        heavy_cpu_percent: arguments.heavy_cpu_percent,
        heavy_block_percent: arguments.heavy_block_percent,
        mix: arguments.mix,
        send_path: arguments.send_path,
        engine: arguments.engine,
        warm_up: arguments.warm_up,
        window: arguments.duration,
        rounds: arguments.rounds,
        order: arguments.order,
        seed: arguments.seed,
        ..Overrides::default()
    };
    arguments.choice.enter(&plan, &mut overrides)?;
    overrides.wire = load_wire(arguments.service, arguments.wire)?;
    if overrides.wire == Some(Wire::Text) {
        ensure!(overrides.direction.is_none(), "an echo has no direction: leave --direction out");
        overrides.direction = Some(Direction::Echo);
        overrides.sizes.get_or_insert_with(|| vec![LINE_SIZE]);
    }
    let plan = plan.with(overrides);
    check(&plan)?;
    let has_crowd = plan.loads().iter().any(|load| load.profile.background.total() > 0);
    ensure!(
        plan.wire != Wire::Text || !has_crowd,
        "a crowd beside the load asks for files: leave it out with an echo"
    );
    match plan.obstacle() {
        Some(obstacle) => bail!("{}: {obstacle}", plan.name),
        None => Ok(plan),
    }
}

/// The wire that a service and a wire amount to, where either was asked for.
fn load_wire(service: Option<LoadService>, wire: Option<Wire>) -> anyhow::Result<Option<Wire>> {
    let wire = match service {
        Some(LoadService::Echo) => Some(wire.unwrap_or(Wire::Text)),
        Some(LoadService::Files) | None => wire,
    };
    let is_text = wire == Some(Wire::Text);
    ensure!(
        service.is_none() || is_text == (service == Some(LoadService::Echo)),
        "an echo is carried by the wire text, and files by http or framed: change --service or --wire"
    );
    Ok(wire)
}

/// How many trials there would be, and about how long they would take.
fn outlook(plan: &Plan) -> String {
    let mut text = format!("{}: {}\n", plan.name, plan.question);
    let targets: Vec<_> = plan.targets().iter().map(|target| target.name().to_owned()).collect();
    text += &format!("servers  {}\n", targets.join(", "));
    for sweep in &plan.sweeps {
        let experiment = sweep.experiment.as_deref().unwrap_or(&plan.name);
        text += &format!("{experiment:<12} {}\n", sweep.description());
    }
    let searches = match plan.searches().len() {
        0 => String::new(),
        count => format!(", and {count} searches of about 5 trials each per server and round"),
    };
    let expected = expected(plan);
    text += &format!(
        "{} loads, {} servers, {} rounds{searches}: about {} trials in {}\n",
        plan.loads().len(),
        targets.len(),
        plan.rounds,
        expected.trials,
        in_minutes(expected.time),
    );
    text
}

fn announce(plan: &Plan, trials: usize, environment: &Environment) {
    let whole = expected(plan);
    let time = in_minutes(whole.time.mul_f64(trials as f64 / whole.trials.max(1) as f64));
    let placement = &environment.placement;
    let pinned = match (placement.server_cores.as_slice(), placement.generator_cores.as_slice()) {
        ([], _) | (_, []) => "nothing is pinned: there is one core only".to_owned(),
        (server, generator) => format!("server on core {server:?}, generator on {generator:?}"),
    };
    let _ = writeln!(
        io::stderr(),
        "{}: {} servers, {} loads, {} rounds: about {trials} trials in {time}; {pinned}",
        plan.name,
        plan.targets().len(),
        plan.loads().len(),
        plan.rounds,
    );
    if let Some(warning) = environment.machine.warning() {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    if !environment.optimised {
        let _ = writeln!(
            io::stderr(),
            "warning: built without optimisation, so the figures mean little: use --release"
        );
    }
}

/// What was found out about servers that are not ours, and about those of ours that do not run
/// here.
fn introduce(environment: &Environment) {
    let is_news = |target: &&TargetInfo| !target.kind.is_ours() || !target.problems.is_empty();
    for target in environment.targets.iter().filter(is_news) {
        let version = target.version.as_deref().map(|version| format!(" ({version})"));
        let known = [target.abilities()].into_iter().filter(|text| !text.is_empty());
        let all: Vec<_> = known.chain(target.problems.iter().cloned()).collect();
        let version = version.unwrap_or_default();
        let _ = writeln!(io::stderr(), "{}{version}: {}", target.name, all.join("; "));
    }
}

fn conclusion(published: &Report, folder: &RunFolder, end: RunEnd) -> String {
    let mut text = published.table();
    text += &format!("\n{}\n", published.analysis.verdict.sentence);
    for note in &published.analysis.verdict.notes {
        text += &format!("  note: {note}\n");
    }
    if end.interrupted {
        let path = folder.path().display();
        text += &format!(
            "\nInterrupted: what was measured until then is kept. Continue with\n  cargo run \
             --release -- run --resume {path}\n"
        );
    }
    let path = folder.path().display();
    text += &format!(
        "\nreport  {}\ncharts  {path}/plots/\nrecords {path}/trials.csv\n",
        folder.report().display()
    );
    text
}

fn chat(arguments: &FanoutArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals()?;
    let end = chat::run(arguments, &stop)?;
    Ok(match end {
        FanoutEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        FanoutEnd { failed: true, .. } => ExitCode::from(FAILED),
        FanoutEnd { .. } => ExitCode::SUCCESS,
    })
}

fn replot(folder: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(folder)?;
    let published = plot(&folder)?;
    ensure!(
        published.figures().next().is_some(),
        "{} has no trial that a chart could be drawn from",
        folder.path().display()
    );
    for figure in published.figures() {
        say(&format!("{}/plots/{}\n", folder.path().display(), figure.file));
    }
    Ok(ExitCode::SUCCESS)
}

fn rereport(arguments: ReportArgs) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(&arguments.folder)?;
    let published = publish(&folder)?;
    let mut text =
        format!("{}\n{}\n", published.analysis.verdict.sentence, folder.report().display());
    if arguments.png {
        for path in print_charts(&folder, &published)? {
            text += &format!("{}\n", path.display());
        }
    }
    if arguments.pdf {
        let transcripts = arguments.transcript.iter().map(|path| appendix::transcript(path));
        let listings = arguments.listing.iter().map(|path| appendix::listing(path));
        let cover = Cover {
            title: arguments.title,
            authors: arguments.author,
            course: arguments.course,
            appendices: transcripts.chain(listings).collect::<Result<_, _>>()?,
        };
        let (path, lacking) = print_paper(&folder, &published, &cover)?;
        text += &format!("{}\n", path.display());
        if !lacking.is_empty() {
            let _ = writeln!(
                io::stderr(),
                "warning: the paper's fonts lack {}: a box stands for each",
                lacking.iter().map(|letter| format!("'{letter}'")).collect::<Vec<_>>().join(" ")
            );
        }
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}

fn diff(arguments: &DiffArgs) -> anyhow::Result<ExitCode> {
    let [old, new] = [&arguments.old, &arguments.new].map(|path| RunFolder::open(path)?.read());
    let diff = Diff::between(&old?, &new?);
    ensure!(
        !diff.changes.is_empty(),
        "there is nothing to compare: no server was measured without fault under the same load in \
         both runs{}",
        diff.incomparable.first().map(|first| format!(" (such as {first})")).unwrap_or_default()
    );
    let mut text = diff.text();
    let mut broken = false;
    for (change, limit, judgement) in diff.beyond(&arguments.fail_if) {
        text += &match judgement {
            Judgement::Broken => {
                broken = true;
                format!("\nBeyond {limit}: {change}")
            }
            Judgement::Doubtful | Judgement::Kept => format!(
                "\nBeyond {limit} perhaps, but not with the whole interval, so it does not fail: \
                 {change}"
            ),
        };
    }
    if !arguments.fail_if.is_empty() && !broken {
        text += "\nNo limit is broken.";
    }
    say(&(text.trim_end().to_owned() + "\n"));
    Ok(if broken { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn list() -> anyhow::Result<ExitCode> {
    let mut text = "Plans (bench run NAME…):\n".to_owned();
    for (name, _) in built_in::ALL {
        let plan = Plan::built_in(name).expect("it is in the program");
        let expected = expected(&plan);
        let (trials, time) = (expected.trials, in_minutes(expected.time));
        text += &format!("  {name:<14} {} (about {trials} trials, {time})\n", plan.question);
        let strategies: Vec<_> = plan.strategies.iter().map(|kind| kind.name()).collect();
        let mut all = strategies;
        for peer in plan.against.iter().chain(plan.sweeps.iter().flat_map(|sweep| &sweep.against)) {
            if !all.contains(&peer.name()) {
                all.push(peer.name());
            }
        }
        text += &format!("  {:<14} {}\n", "", all.join(", "));
        if !plan.experiments.is_empty() {
            let parts: Vec<_> = plan.experiments.iter().map(|one| one.name.as_str()).collect();
            text += &format!("  {:<14} all of {}\n", "", parts.join(", "));
            continue;
        }
        for sweep in &plan.sweeps {
            text += &format!("  {:<14} {}\n", "", sweep.description());
        }
    }
    text += "\nStrategies:\n";
    for kind in StrategyKind::ALL {
        text += &format!("  {:<14} {}\n", kind.name(), kind.summary());
        if let Err(reason) = kind.availability() {
            text += &format!("  {:<14} not on this system: {reason}\n", "");
        }
    }
    text += "\nReal servers:\n";
    for peer in ReferenceServer::ALL {
        let found = Installed::find(peer);
        let version = found.map(|found| found.version.unwrap_or_else(|| "installed".to_owned()));
        let version = version.unwrap_or_else(|| "not installed".to_owned());
        text += &format!("  {:<14} {version:<15} {}\n", peer.name(), peer.description());
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}

fn false_alarms(folders: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut alarms, mut compared) = ([0; 2], [0; 2]);
    let mut text = String::new();
    for path in folders {
        let records = RunFolder::open(path)?.read()?.records;
        for comparison in false_alarms::comparisons(&records) {
            let index = usize::from(comparison.quantity != "throughput");
            alarms[index] += usize::from(comparison.is_claimed);
            compared[index] += usize::from(comparison.ratio.is_some());
            text += &format!("{}: {}\n", path.display(), comparison.text());
        }
    }
    for (quantity, index) in [("throughput", 0), ("p99", 1)] {
        let (alarms, compared) = (alarms[index], compared[index]);
        text +=
            &format!("{quantity}: no difference claimed in {} of {compared}\n", compared - alarms);
    }
    say(&text);
    ensure!(compared[0] > 0, "there is nothing to compare: run scripts/check-noise.sh");
    // One in twenty is what intervals of 95 % promise.
    let keeps_its_promise = alarms[0] * 20 <= compared[0];
    Ok(if keeps_its_promise { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn in_minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=180 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

fn write_files(folder: &Path, sizes: &[ByteSize], mix: Option<Mix>) -> anyhow::Result<ExitCode> {
    for size in sizes {
        files::write(folder, *size)?;
        say(&format!("{}\n", folder.join(files::download_name(*size)).display()));
    }
    if let Some(mix) = mix {
        for name in files::write_mix(folder, mix)? {
            say(&format!("{}\n", folder.join(name).display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn launch(words: &[OsString]) -> anyhow::Result<ExitCode> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let (program, arguments) = words.split_first().context("no command was given")?;
    // Not with force, so that a server with processes of its own can end them.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Should the harness be killed, its servers must not go on for ever.
fn serve(arguments: &ServerArgs) -> ExitCode {
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    fileserver::cli::run(arguments)
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

fn percent() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(0..=100)
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
