//! `bench witness`: the same servers under the built-in load generator and under those of other
//! projects.
//!
//! A comparison by one generator could be an artefact of it. The processor time of a *server* per
//! request does not depend on the generator's own cost. If every generator gives the same ratio
//! between two servers, the ratio is a property of the servers.

mod generator;
mod table;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::names::{self, Entry};
use bench_data::plan::Plan;
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::target::Target;
use bench_data::units::counted;
use clap::Args;
use fileserver::StrategyKind;
use fileserver::cli::whole_number;
use loadgen::{Engine, EngineChoice, LoadSpec, Verification, run as run_load};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

use crate::alternation::in_turn;
use crate::machine::cores::{Cores, Pinned};
use crate::machine::process_tree::ProcessSet;
use crate::run::files::{self, ScratchFolder, download_name};
use crate::run::launcher::{Launcher, StartHints};
use crate::run::local::load_spec;
use crate::run::reference_config::Installed;
use crate::terminal::columns_of_stdout;
use generator::{Counted, Generator};

/// Plan with one load; servers, connections and size come from the arguments.
const PLAN: &str = "\
name = \"witness\"
question = \"Do other load generators confirm the comparison?\"
rounds = 1
order = \"mirrored\"
wire = \"http\"
warm_up_ms = 0
window_ms = 1000

[[sweep]]
direction = \"download\"
connections = [1]
sizes = [\"1KiB\"]
";

/// Compare servers under several load generators: the built-in one, and wrk, h2load, ab and oha if
/// installed
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bench witness
  bench witness --strategies selector,uring --against apache-event --csv witness.csv

Each round starts every server once, and all generators load it in turn (A B C, C B A), with
one thread on a core of its own if the machine has two. The server's CPU time per request
does not depend on the cost of the generator; requests per second do. ab uses HTTP/1.0, the others
use HTTP/1.1.")]
pub struct WitnessArgs {
    /// Strategies to load, or all, or none
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "selector,threaded", value_parser = Entry::<StrategyKind>::parser())]
    strategies: Vec<Entry<StrategyKind>>,
    /// Reference servers to load, or all, or none [default: nginx, if installed]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Entry::<ReferenceServer>::parser())]
    against: Option<Vec<Entry<ReferenceServer>>>,
    /// Number of connections
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole_number::<u16>(1..=1000))]
    connections: u16,
    /// Size of the requested file
    #[arg(long, value_name = "SIZE", default_value = "1KiB")]
    size: ByteSize,
    /// Length of each load, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = whole_seconds)]
    duration: Duration,
    /// Repetitions of every server and generator; intervals need five or more
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole_number::<u32>(1..=u32::MAX))]
    rounds: u32,
    /// Write a row per load to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Load of one server by one generator: a row of the CSV file.
#[derive(Debug, Clone, Serialize)]
struct WitnessRow {
    round: u32,
    server: String,
    generator: &'static str,
    generator_version: String,
    connections: u16,
    size_bytes: u64,
    duration_s: f64,
    /// `ok`, or `failed` with a reason.
    outcome: &'static str,
    reason: String,
    requests: Option<u64>,
    requests_per_s: Option<f64>,
    server_cpu_us_per_request: Option<f64>,
    generator_cpu_us_per_request: Option<f64>,
}

/// Ending of the comparison.
#[derive(Debug, Clone, Copy)]
pub struct WitnessEnd {
    /// Interrupted by a signal.
    pub interrupted: bool,
    /// At least one load failed.
    pub failed: bool,
}

/// Measures, and prints the results.
///
/// # Errors
/// The measurement cannot start.
pub fn run(args: &WitnessArgs, stop: &AtomicBool) -> anyhow::Result<WitnessEnd> {
    let bench = Bench::new(args)?;
    let mut csv = match &args.csv {
        Some(path) => Some(csv::Writer::from_path(path).with_context(|| {
            format!("cannot write {}: choose another --csv file", path.display())
        })?),
        None => None,
    };
    say(&bench.outlook(args));
    let mut rows = Vec::new();
    let mut interrupted = false;
    'all: for round in 1..=args.rounds {
        for target in in_turn(&bench.plan.targets(), round) {
            for row in bench.round(args, round, &target, stop) {
                if stop.load(Ordering::SeqCst) {
                    interrupted = true;
                    break 'all;
                }
                say(&table::progress(&row));
                if let Some(csv) = &mut csv {
                    csv.serialize(&row)?;
                    csv.flush()?;
                }
                rows.push(row);
            }
        }
    }
    let tables = table::text(&rows, columns_of_stdout());
    let _ = io::stdout().write_all(tables.as_bytes());
    Ok(WitnessEnd { interrupted, failed: rows.iter().any(|row| row.outcome != "ok") })
}

/// Common parts of all loads.
struct Bench {
    plan: Plan,
    load: Load,
    cores: Cores,
    launcher: Launcher,
    generators: Vec<(Generator, String)>,
    missing: Vec<&'static str>,
    /// Removed at the end.
    _folder: ScratchFolder,
}

impl Bench {
    fn new(args: &WitnessArgs) -> anyhow::Result<Self> {
        let mut plan = Plan::parse(PLAN, "witness")?;
        plan.strategies = names::values(&args.strategies);
        plan.aa_control = bench_data::plan::AaControl::None;
        plan.against = match &args.against {
            Some(named) => names::values(named),
            None => vec![ReferenceServer::Nginx],
        };
        plan.sweeps[0].connections = vec![usize::from(args.connections)];
        plan.sweeps[0].sizes = vec![args.size];
        let (present, absent): (Vec<_>, Vec<_>) =
            plan.against.iter().partition(|peer| Installed::find(**peer).is_some());
        plan.against = present;
        for peer in absent {
            say(&format!("{}\n", peer.hint()));
        }
        ensure!(
            !plan.targets().is_empty(),
            "there is no server to load: name some with --strategies or --against"
        );
        let load = plan.loads().into_iter().next().context("the plan has no load")?;
        let cores = Cores::apart(1);
        let folder = ScratchFolder::create()?;
        let root = folder.path().join("root");
        fs::create_dir(&root).context("cannot create the folder of served files")?;
        files::write(&root, args.size)?;
        let launcher = Launcher::new(&plan, folder.path(), &root, &cores.server)?;
        let engines = [Engine::Epoll, Engine::Uring];
        let has_uring = StrategyKind::Uring.availability().is_ok();
        let built_in = engines.into_iter().filter(|engine| *engine == Engine::Epoll || has_uring);
        let (mut generators, mut missing) = (Vec::new(), Vec::new());
        for generator in built_in.map(Generator::BuiltIn).chain(Generator::EXTERNAL) {
            match generator.version() {
                Some(version) => generators.push((generator, version)),
                None => missing.push(generator.name()),
            }
        }
        Ok(Self { plan, load, cores, launcher, generators, missing, _folder: folder })
    }

    fn outlook(&self, args: &WitnessArgs) -> String {
        let (servers, generators) = (self.plan.targets().len(), self.generators.len());
        let loads = servers * generators * args.rounds as usize;
        let missing = match &self.missing[..] {
            [] => String::new(),
            names => format!("; not installed: {}", names.join(", ")),
        };
        format!(
            "{} x {} x {} = {}, at least {} s{missing}\n",
            counted(servers, "server"),
            counted(generators, "generator"),
            counted(args.rounds as usize, "round"),
            counted(loads, "load"),
            loads as u64 * args.duration.as_secs(),
        )
    }

    /// One server under every generator.
    fn round(
        &self,
        args: &WitnessArgs,
        round: u32,
        target: &Target,
        stop: &AtomicBool,
    ) -> Vec<WitnessRow> {
        let row = |generator: Generator, version: &str| WitnessRow {
            round,
            server: target.name().to_owned(),
            generator: generator.name(),
            generator_version: version.to_owned(),
            connections: args.connections,
            size_bytes: args.size.bytes(),
            duration_s: args.duration.as_secs_f64(),
            outcome: "ok",
            reason: String::new(),
            requests: None,
            requests_per_s: None,
            server_cpu_us_per_request: None,
            generator_cpu_us_per_request: None,
        };
        let mut rows = Vec::new();
        let started = self.launcher.start(target, StartHints::of(&self.load));
        for (generator, version) in in_turn(&self.generators, round) {
            let mut row = row(generator, &version);
            let measured = match &started {
                Ok(server) => {
                    let processes = server.processes();
                    self.measure(generator, server.address(), processes.as_ref(), args, stop)
                }
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            match measured {
                Ok(measured) => measured.enter(&mut row),
                Err(error) => (row.outcome, row.reason) = ("failed", format!("{error:#}")),
            }
            rows.push(row);
            if stop.load(Ordering::SeqCst) {
                break;
            }
        }
        if let Ok(server) = started {
            server.stop();
        }
        rows
    }

    fn measure(
        &self,
        generator: Generator,
        server: SocketAddr,
        processes: Option<&ProcessSet>,
        args: &WitnessArgs,
        stop: &AtomicBool,
    ) -> anyhow::Result<Measured> {
        let server_cpu = || processes.and_then(ProcessSet::cpu);
        let before = server_cpu();
        let (counted, generator_cpu) = match generator {
            Generator::BuiltIn(engine) => {
                let plan = Plan { engine: EngineChoice::Only(engine), ..self.plan.clone() };
                let spec = LoadSpec {
                    duration: args.duration,
                    // The processor time is that of the counted requests.
                    drain: Duration::ZERO,
                    // As the other generators, which compare no bytes.
                    verification: Verification::one_in(0),
                    ..load_spec(&plan, &self.cores, self.load, server, 0)
                };
                let report = run_load(&spec, stop, None)?;
                let failed = report.errors.total();
                let requests = report.requests + failed;
                (Counted { requests, failed }, Some(report.cpu.total()))
            }
            Generator::Wrk | Generator::H2load | Generator::Ab | Generator::Oha => {
                let _pinned = Pinned::to(&self.cores.generator)
                    .context("cannot pin the generator to its core")?;
                let before = children_cpu();
                let (file, connections) = (download_name(args.size), self.load.connections);
                let counted = generator.run(server, &file, connections, args.duration, stop)?;
                let used = children_cpu().zip(before);
                (counted, used.map(|(after, before)| after.saturating_sub(before)))
            }
        };
        ensure!(counted.requests > 0, "no request was answered");
        let server_cpu = server_cpu().zip(before);
        let server_cpu = server_cpu.map(|(after, before)| after.saturating_sub(before));
        Ok(Measured { counted, server_cpu, generator_cpu, duration: args.duration })
    }
}

/// Measurement of one load.
struct Measured {
    counted: Counted,
    server_cpu: Option<Duration>,
    generator_cpu: Option<Duration>,
    duration: Duration,
}

impl Measured {
    fn enter(&self, row: &mut WitnessRow) {
        let Counted { requests, failed } = self.counted;
        let per_request = |cpu: Duration| cpu.as_secs_f64() * 1e6 / requests as f64;
        row.requests = Some(requests);
        row.requests_per_s = Some(requests as f64 / self.duration.as_secs_f64());
        row.server_cpu_us_per_request = self.server_cpu.map(per_request);
        row.generator_cpu_us_per_request = self.generator_cpu.map(per_request);
        if failed > 0 {
            (row.outcome, row.reason) =
                ("failed", format!("{failed} of {requests} requests failed"));
        }
    }
}

/// Processor time of all ended child processes.
fn children_cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|_| "write a number with a unit: 3s, 1m")?;
    let is_whole = time.subsec_nanos() == 0 && (1..=3600).contains(&time.as_secs());
    is_whole.then_some(time).ok_or_else(|| "must be whole seconds, from 1s to 1h".to_owned())
}

fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
