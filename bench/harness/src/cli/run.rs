//! `bench run`: plan, trials, report.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail, ensure};
use bench_data::plan::loads::check;
use bench_data::plan::service::LoadService;
use bench_data::plan::{Overrides, Plan};
use bench_data::record::environment::{Environment, KernelSettings, Resumption, SCHEMA};
use bench_data::record::rows::Records;
use bench_data::record::run_folder::RunFolder;
use bench_data::schedule::expected;
use bench_data::servers::reference::ReferenceServer;
use bench_report::analysis::Analysis;
use bench_report::documents::run::RunDocument;
use bench_report::report::export::publish;
use clap::{Arg, Args, Command, Id, ValueEnum};
use fileserver_proto::Wire;
use jiff::Timestamp;
use loadgen::Direction;

use crate::cli::busy::busy_before;
use crate::cli::command_line::command_line;
use crate::cli::format::{Format, say_json};
use crate::cli::list::PlanDocument;
use crate::cli::messages::{announce, conclusion, introduce, outlook, remarks};
use crate::cli::process::{FAILED, INTERRUPTED, Second, say, stop_on_signals};
use crate::cli::progress::Display;
use crate::machine::busy::WhenBusy;
use crate::machine::cores::{Cores, available};
use crate::machine::facts;
use crate::machine::settings::{self, ChangedSettings};
use crate::run::local::LocalExecutor;
use crate::run::reference_config::Installed;
use crate::run::resume;
use crate::run::{CompletedTrials, RunEnd, run};
use crate::terminal::{columns_of_stderr, columns_of_stdout};

const PLAN: &str = "Plan";
const MEASUREMENT: &str = "Measurement";
const MACHINE: &str = "Machine";

/// Arguments that `--resume` can be combined with.
const WITH_RESUME: [&str; 5] = ["resume", "wait_idle", "allow_busy", "results", "format"];

/// Default folder of the folders of runs.
const RESULTS: &str = "results";

/// Remedy for a missing plan.
const PLANS: &str = "`cargo run --release -- list` shows the built-in plans; results/*/plan.toml can \
                     be copied";

/// Arguments of `bench run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// First impression in about 25 seconds: the plan named quick
    #[arg(long, help_heading = PLAN, conflicts_with = "plan")]
    quick: bool,
    /// Your own plan; a copy of results/latest/plan.toml is a starting point
    #[arg(long, value_name = "FILE.toml", help_heading = PLAN)]
    plan: Option<PathBuf>,
    /// Continue the interrupted run in DIR, with the plan recorded there
    #[arg(long, value_name = "DIR", help_heading = PLAN)]
    resume: Option<PathBuf>,
    /// Print the trials and the expected time, and run nothing
    #[arg(long, help_heading = PLAN)]
    dry_run: bool,
    #[command(flatten)]
    overrides: Overrides,
    /// Process ID of a --target that is already running, to measure its CPU time and memory
    #[arg(long, value_name = "NAME=PID", help_heading = "Servers", value_parser = pid)]
    pid: Vec<(String, u32)>,
    /// Direction of the transfers
    #[arg(long, value_name = "DIRECTION", help_heading = "Load")]
    direction: Option<Way>,
    #[command(flatten)]
    idle: IdleFlags,
    #[command(flatten)]
    settings: SettingsFlags,
    #[command(flatten)]
    output: OutputFlags,
    /// Format of standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    format: Format,
}

/// Flags for the folder of the results.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputFlags {
    /// Folder for the results, new or empty [default: <time>-<host> in the folder of --results]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(super) out: Option<PathBuf>,
    /// Folder in which runs without --out create their own, and the link `latest` to the last one
    #[arg(long, value_name = "DIR", default_value = RESULTS, help_heading = "Output")]
    pub(super) results: PathBuf,
}

impl OutputFlags {
    /// Folder on the file system of the results.
    fn place(&self) -> &Path {
        self.out.as_deref().unwrap_or(&self.results)
    }
}

/// Flags for a busy machine.
#[derive(Debug, Args)]
pub(super) struct IdleFlags {
    /// Wait until other programs use at most 40 % of the processor time, for up to ten minutes
    #[arg(long, help_heading = MEASUREMENT, conflicts_with = "allow_busy")]
    wait_idle: bool,
    /// Run although other programs use more than 40 % of the processor time; the report says so
    #[arg(long, help_heading = MEASUREMENT)]
    allow_busy: bool,
}

impl IdleFlags {
    pub(super) fn when_busy(&self) -> WhenBusy {
        match (self.wait_idle, self.allow_busy) {
            (true, _) => WhenBusy::Wait,
            (false, true) => WhenBusy::Allow,
            (false, false) => WhenBusy::Refuse,
        }
    }
}

/// Flags for settings of the kernel during a run.
#[derive(Debug, Args)]
struct SettingsFlags {
    /// TCP congestion control of all connections during the run, such as cubic [default: the kernel's].
    /// Another one than the kernel's needs root. The former one is restored at the end, also after
    /// Ctrl-C, SIGTERM and errors, but not after SIGKILL: its name is printed at the start
    #[arg(long, value_name = "NAME", help_heading = MACHINE)]
    congestion_control: Option<String>,
    /// Process the packets of the loopback interface on the core of their receiver (RFS), so that each
    /// side pays for its own receive path; needs root. Restored like --congestion-control
    #[arg(long, help_heading = MACHINE)]
    loopback_rfs: bool,
    /// Leave the processor's idle states in use. Without this flag, and as root, idle cores poll until
    /// the end of the run instead of sleeping: a core of a virtual machine that sleeps is woken by the
    /// host, which can take longer than a small request
    #[arg(long, help_heading = MACHINE)]
    idle_states: bool,
}

impl SettingsFlags {
    fn settings(&self) -> KernelSettings {
        KernelSettings {
            congestion_control: self.congestion_control.clone(),
            loopback_rfs: self.loopback_rfs,
            idle_states: self.idle_states,
        }
    }
}

/// Direction of the transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Server to client only
    Download,
    /// Client to server only
    Upload,
    /// Those of the plan
    Both,
}

/// Makes `--resume` of a command with [`RunArgs`] exclude all flags that change a plan.
pub(super) fn with_exclusive_resume(command: Command) -> Command {
    let others = command.get_arguments().map(Arg::get_id);
    let others: Vec<Id> =
        others.filter(|id| !WITH_RESUME.contains(&id.as_str())).cloned().collect();
    command.mut_arg("resume", |resume| resume.conflicts_with_all(others))
}

pub(super) fn run_plan(names: &[String], arguments: RunArgs) -> anyhow::Result<ExitCode> {
    let (when_busy, settings) = (arguments.idle.when_busy(), arguments.settings.settings());
    let format = arguments.format;
    if let Some(folder) = &arguments.resume {
        return resume_run(folder, when_busy, format);
    }
    let (output, dry_run) = (arguments.output.clone(), arguments.dry_run);
    let mut plan = chosen_plan(names, arguments)?;
    let missing = without_missing(&mut plan);
    for server in &missing {
        let _ = writeln!(io::stderr(), "{}", server.hint());
    }
    ensure!(
        !plan.targets().is_empty(),
        "there is no server to measure: name some with --strategies, --against or --target"
    );
    settings::check(&settings, &Cores::of(&plan))?;
    if dry_run {
        match format {
            Format::Text => say(&outlook(&plan, columns_of_stdout())),
            Format::Json => say_json(&PlanDocument::of(&plan)),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_on_signals(second(&settings))?;
    let Some((folder, end)) = measure(&plan, &missing, &output, when_busy, &settings, &stop)?
    else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    conclude(&folder, &end, format)
}

/// Effect of a second Ctrl-C: it must not prevent the settings from being restored.
fn second(settings: &KernelSettings) -> Second {
    if settings.is_empty() { Second::Ends } else { Second::IsIgnored }
}

/// Measures a plan into a new folder; `None` if it was interrupted before its first trial.
pub(super) fn measure(
    plan: &Plan,
    missing: &[ReferenceServer],
    output: &OutputFlags,
    when_busy: WhenBusy,
    settings: &KernelSettings,
    stop: &AtomicBool,
) -> anyhow::Result<Option<(RunFolder, RunEnd)>> {
    let trials = expected(plan).trials;
    let cores = Cores::of(plan);
    let Some(busy) = busy_before(when_busy, stop)? else { return Ok(None) };
    let mut executor = LocalExecutor::new(plan, cores.clone(), output.place())?;
    let changed = ChangedSettings::of(settings, &cores)?;
    let planned = u32::try_from(trials).context("too many trials")?;
    let mut environment = facts::survey(command_line(), planned, &cores, &executor.root());
    environment.placement.disk_file_system = executor.disk().map(facts::file_system);
    busy.enter(&mut environment.machine);
    environment.settings = settings.clone();
    environment.conditions.wake_up_limit_us = changed.wake_up_limit_us();
    let host = &environment.machine.host;
    let folder = match &output.out {
        Some(out) => RunFolder::create(out)?,
        None => RunFolder::create_in(&output.results, host)?,
    };
    folder.write_plan(plan)?;
    folder.write_environment(&environment)?;
    environment.not_installed = missing.iter().map(|server| server.name().to_owned()).collect();
    announce(plan, trials, &environment);
    environment.ceiling = Some(executor.measure_copy_bandwidth()?);
    environment.targets = executor.survey(&folder, stop)?;
    introduce(&environment);
    folder.write_environment(&environment)?;
    let known = CompletedTrials::default();
    let end = carry_out(plan, &known, trials, executor, environment, &folder, stop)?;
    Ok(Some((folder, end)))
}

/// Continues an interrupted run.
fn resume_run(path: &Path, when_busy: WhenBusy, format: Format) -> anyhow::Result<ExitCode> {
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
        let complete = format!("{shown} is complete: nothing left to do\n");
        match format {
            Format::Text => say(&complete),
            Format::Json => {
                let _ = io::stderr().write_all(complete.as_bytes());
                let contents = folder.read()?;
                say_json(&RunDocument::of(&folder, &contents, &Analysis::of(&contents)));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cores = Cores::of(&plan);
    let stop = stop_on_signals(second(&environment.settings))?;
    let Some(busy) = busy_before(when_busy, &stop)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let mut executor = LocalExecutor::new(&plan, cores.clone(), path)?;
    let changed = ChangedSettings::of(&environment.settings, &cores)?;
    executor.set_copy_bandwidth(environment.ceiling);
    let planned = environment.trials_planned;
    let mut now = facts::survey(command_line(), planned, &cores, &executor.root());
    now.placement.disk_file_system = executor.disk().map(facts::file_system);
    now.conditions.wake_up_limit_us = changed.wake_up_limit_us();
    busy.enter(&mut now.machine);
    resume::check_same(&environment, &now)?;
    announce(&plan, trials, &now);
    let targets = executor.survey(&folder, &stop)?;
    resume::check_same_servers(&environment.targets, &targets)?;
    environment.targets = targets;
    environment.resumed.push(Resumption {
        at: now.started_at,
        trials_to_come: trials,
        load_average: now.machine.load_average,
        busy_percent: now.machine.busy_percent,
    });
    environment.machine.busy_allowed |= now.machine.busy_allowed;
    folder.write_environment(&environment)?;
    let end = carry_out(&plan, &known, trials, executor, environment, &folder, &stop)?;
    drop(changed);
    conclude(&folder, &end, format)
}

/// Runs the trials to come.
fn carry_out(
    plan: &Plan,
    known: &CompletedTrials,
    trials: usize,
    mut executor: LocalExecutor,
    mut environment: Environment,
    folder: &RunFolder,
    stop: &AtomicBool,
) -> anyhow::Result<RunEnd> {
    let mut display = Display::new(trials);
    let end = run(plan, known, &mut executor, folder, &mut display, stop)?;
    display.finish();
    environment.finished_at = Some(Timestamp::now());
    environment.interrupted = end.interrupted;
    folder.write_environment(&environment)?;
    Ok(end)
}

/// Writes the report, and prints its answer.
fn conclude(folder: &RunFolder, end: &RunEnd, format: Format) -> anyhow::Result<ExitCode> {
    let published = publish(folder)?;
    match format {
        Format::Text => say(&conclusion(&published, folder, end, columns_of_stdout())),
        Format::Json => {
            let remarks = remarks(folder, end, columns_of_stderr());
            let _ = io::stderr().write_all(remarks.as_bytes());
            say_json(&RunDocument::of(folder, &published.contents, &published.analysis));
        }
    }
    Ok(exit_code(end))
}

/// Exit code of a run.
pub(super) fn exit_code(end: &RunEnd) -> ExitCode {
    match end {
        RunEnd { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        RunEnd { failures: 0, never_measured, .. } if never_measured.is_empty() => {
            ExitCode::SUCCESS
        }
        RunEnd { .. } => ExitCode::from(FAILED),
    }
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
    let RunArgs { mut overrides, pid, direction, .. } = arguments;
    overrides.direction = direction.and_then(|way| match way {
        Way::Download => Some(Direction::Download),
        Way::Upload => Some(Direction::Upload),
        Way::Both => None,
    });
    watch(pid, &plan, &mut overrides)?;
    overrides.wire = load_wire(overrides.service, overrides.wire)?;
    if overrides.wire == Some(Wire::Text) {
        let service = overrides.service.or(plan.service).unwrap_or(LoadService::Echo);
        let fits = overrides.direction.is_none_or(|direction| direction == service.direction());
        let name = service.name();
        ensure!(fits, "--service {name} over text has one direction: leave --direction out");
        ensure!(
            service != LoadService::Date || overrides.sweeps.sizes.is_none(),
            "--service date has one request: leave --sizes out"
        );
        ensure!(
            overrides.sweeps.mix.is_none(),
            "--service {name} over text has no mix: leave it out"
        );
        overrides.direction = Some(service.direction());
        // The reply of the text wire to the name of a file ends with the connection.
        overrides.sweeps.no_keep_alive |= service == LoadService::Files;
        if let Some(size) = service.line_size() {
            overrides.sweeps.sizes.get_or_insert_with(|| vec![size]);
        }
    }
    let mut plan = plan.with(overrides);
    check(&plan)?;
    let left_out = plan.fit_cores(available()).map_err(anyhow::Error::msg)?;
    if !left_out.is_empty() {
        let counts: Vec<_> = left_out.iter().map(usize::to_string).collect();
        let _ = writeln!(
            io::stderr(),
            "left out, because the machine has {} cores: {} cores for the server",
            available(),
            counts.join(", ")
        );
    }
    let has_background = plan.loads().iter().any(|load| load.profile.background.total() > 0);
    ensure!(
        plan.wire != Wire::Text || !has_background,
        "background connections request files over http or framed: leave them out with --service {}",
        plan.load_service().name()
    );
    match plan.obstacle() {
        Some(obstacle) => bail!("{}: {obstacle}", plan.name),
        None => Ok(plan),
    }
}

/// Enters the processes of external servers.
///
/// # Errors
/// A server that the plan does not have, or one that bench starts itself.
fn watch(pids: Vec<(String, u32)>, plan: &Plan, overrides: &mut Overrides) -> anyhow::Result<()> {
    for (name, pid) in pids {
        let given = overrides.given.get_or_insert_with(|| plan.given.clone());
        let target = given.iter_mut().find(|target| target.name() == name);
        let target =
            target.with_context(|| format!("--pid {name}={pid}: no --target has that name; write NAME as in --target NAME=http://HOST:PORT"))?;
        *target = target.clone().with_pid(pid)?;
    }
    Ok(())
}

/// Wire that a service and a wire determine together, if either is given.
fn load_wire(service: Option<LoadService>, wire: Option<Wire>) -> anyhow::Result<Option<Wire>> {
    let Some(lines) = service.filter(|service| *service != LoadService::Files) else {
        return Ok(wire);
    };
    ensure!(
        wire.is_none_or(|wire| wire == Wire::Text),
        "--service {} needs the wire text: change --service or --wire",
        lines.name()
    );
    Ok(Some(Wire::Text))
}

/// Removes reference servers that are not installed from the plan, and returns them.
fn without_missing(plan: &mut Plan) -> Vec<ReferenceServer> {
    let mut missing = Vec::new();
    let further = plan.sweeps.iter_mut().map(|sweep| &mut sweep.against);
    for against in std::iter::once(&mut plan.against).chain(further) {
        against.retain(|server| {
            let found = Installed::find(*server).is_some();
            if !found && !missing.contains(server) {
                missing.push(*server);
            }
            found
        });
    }
    missing
}

/// Parses NAME=PID.
pub(super) fn pid(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
    let pid: u32 = pid.parse().ok().filter(|pid| *pid > 0).ok_or("the pid is not a number")?;
    Ok((name.to_owned(), pid))
}
