//! Command line of the server: flags, set-up, signals and messages to the operator.

mod descriptors;
mod greeting;
mod hosts;
mod service;
mod signals;
mod values;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use fileserver_proto::{Limits, Service, Settings, Timeouts, Wire, WirePin};
use program::exit::{INTERRUPTED, UNUSABLE};
use program::message::print_error;
use rustix::io::Errno;
use tracing::level_filters::LevelFilter;

pub use service::{ServiceArgs, ServiceChoice};
pub use values::whole_number;

use crate::store::{Durability, OnConflict, ResumableLimits, Store, StoreOptions};
use crate::strategy::{Prefork, prefork};
use crate::{
    AcceptDistribution, AccessLog, AccessLogFormat, ConnectionLimit, Console, Listener, Readiness,
    SendPath, ServeReport, ServerOptions, ServerState, Shutdown, Strategy, StrategyKind, Trace,
};

/// Default folder to serve.
const DEFAULT_ROOT: &str = "./shared-files";
/// Worker threads per core in strategies whose workers block: some run while others wait for a peer
/// or the disk.
const BLOCKING_WORKERS_PER_CORE: usize = 4;

/// Most processes of `prefork`, as Apache's `MaxRequestWorkers`: each has one connection.
const MOST_PROCESSES: usize = 256;

/// Name of a file that means standard output.
const STANDARD_OUTPUT: &str = "-";

/// Flags of a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Concurrency strategy
    #[arg(long, value_enum, default_value_t = StrategyKind::Selector, value_name = "NAME")]
    pub strategy: StrategyKind,
    /// ADDRESS:PORT to listen on, or PORT alone for loopback; port 0 chooses a free port [default: 127.0.0.1 with the port of the service, 8800 for files]
    #[arg(long, value_name = "ADDRESS", value_parser = values::listen)]
    pub listen: Option<SocketAddr>,
    /// Number of worker threads (thread-pool, hybrid, multi-selector, tokio), or maximum number of processes (prefork) [default: 4 per core, multi-selector and tokio 1 per core, prefork 256]
    #[arg(long, value_name = "N", value_parser = values::whole_number::<u16>(1..=4096))]
    pub workers: Option<u16>,
    /// Distribution of new connections over the threads of `multi-selector` [default: reuseport]
    #[arg(long, value_enum, value_name = "WAY")]
    pub accept: Option<AcceptDistribution>,
    /// Method of sending the data of files
    #[arg(long, value_enum, default_value_t = SendPath::Auto, value_name = "PATH")]
    pub send_path: SendPath,
    /// Protocol of all connections
    #[arg(long, value_enum, default_value_t = WireChoice::Auto, value_name = "WIRE")]
    pub wire: WireChoice,

    /// Further host name accepted in the Host field of http requests, besides localhost and IP addresses; `*` for any (repeatable)
    #[arg(long, value_name = "NAME", value_parser = hosts::name)]
    pub allow_host: Vec<String>,

    /// Service.
    #[command(flatten)]
    pub service: ServiceArgs,

    /// Folder to serve; created if it is missing and its parent exists [default: ./shared-files]
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub root: Option<PathBuf>,
    /// Parts forced to disk before an upload is acknowledged
    #[arg(long, value_enum, default_value_t = Durability::Data, value_name = "LEVEL", help_heading = "Files")]
    pub durability: Durability,
    /// Reaction to an upload whose name is taken
    #[arg(long, value_enum, default_value_t = OnConflict::Rename, value_name = "WAY", help_heading = "Files")]
    pub on_conflict: OnConflict,
    /// Space to keep free on the file system; an upload that would leave less is refused
    #[arg(long, default_value = "0", value_name = "SIZE", value_parser = values::size, help_heading = "Files")]
    pub min_free: u64,

    /// Limits on size and number.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Limits on time.
    #[command(flatten)]
    pub timeouts: TimeoutArgs,

    /// Runs as a process of `prefork`, which alone starts such processes
    #[arg(long, hide = true)]
    pub child: bool,
    /// Print only machine-readable lines: `listening on ADDRESS` and, at the end, the counts
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// File to which a line per request is appended, or - for standard output; if the file is renamed, a new one is created
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub access_log: Option<PathBuf>,
    /// Format of the access log
    #[arg(long, value_enum, default_value_t = AccessLogFormat::Common, value_name = "FORMAT", help_heading = "Output")]
    pub access_log_format: AccessLogFormat,
    /// CSV file to which every action and wait of every thread is appended, with its times (docs/trace.md)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub trace: Option<PathBuf>,
    /// Lowest level of messages logged to standard error
    #[arg(long, value_enum, default_value_t = LogLevel::Warn, value_name = "LEVEL", help_heading = "Output")]
    pub log_level: LogLevel,
}

/// Limits on size and number.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits (sizes: 1500 is bytes; 64KiB, 10MiB, 1GiB)")]
pub struct LimitArgs {
    /// Maximum number of open connections; further ones wait in the accept queue [default: half of the limit on open files]
    #[arg(long, value_name = "N", value_parser = values::whole_number::<u32>(1..=u32::MAX))]
    pub max_connections: Option<u32>,
    /// Maximum number of open connections from one client address; further ones are closed unserved [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::whole_number::<u32>(1..=u32::MAX))]
    pub max_connections_per_address: Option<u32>,
    /// Length limit of the accept queue; the kernel caps it at net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = values::whole_number::<i32>(1..=65_535))]
    pub backlog: i32,
    /// Maximum size of an upload
    #[arg(long, default_value = "1TiB", value_name = "SIZE", value_parser = values::size)]
    pub max_upload: u64,
    /// Maximum number of unfinished resumable uploads; a further one is refused
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = values::whole_number::<u64>(0..=u64::MAX))]
    pub max_resumable: u64,
    /// Maximum total size of unfinished resumable uploads, as announced
    #[arg(long, default_value = "1TiB", value_name = "SIZE", value_parser = values::size)]
    pub max_resumable_size: u64,
    /// Maximum length of a request line (http)
    #[arg(long, default_value = "8KiB", value_name = "SIZE", value_parser = values::head_size)]
    pub max_request_line: usize,
    /// Maximum size of a header field (http)
    #[arg(long, default_value = "8KiB", value_name = "SIZE", value_parser = values::head_size)]
    pub max_header: usize,
    /// Maximum size of all header fields together (http)
    #[arg(long, default_value = "32KiB", value_name = "SIZE", value_parser = values::head_size)]
    pub max_head: usize,
    /// Maximum number of header fields of a request (http)
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = values::whole_number::<u16>(1..=256))]
    pub max_headers: u16,
}

/// Limits on time.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Timeouts (durations with a unit: 500ms, 20s, 2m)")]
pub struct TimeoutArgs {
    /// Maximum time for the header of a request, from its first byte
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = values::timeout)]
    pub head_timeout: Duration,
    /// Maximum time without progress of an upload or a reply
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = values::timeout)]
    pub stall_timeout: Duration,
    /// Minimum rate of an upload in bytes per second (500, 64KiB), averaged over --stall-timeout; 0 disables the check
    #[arg(long, default_value = "500", value_name = "RATE", value_parser = values::size)]
    pub min_body_rate: u64,
    /// Maximum time to read and discard the rest of a refused upload, so that its client can read the reply
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = values::timeout)]
    pub linger_timeout: Duration,
    /// Maximum idle time of a connection
    #[arg(long, default_value = "75s", value_name = "TIME", value_parser = values::timeout)]
    pub idle_timeout: Duration,
    /// Time after which an unfinished resumable upload that is not used is removed
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = values::timeout)]
    pub resumable_timeout: Duration,
    /// Maximum time for requests in progress after SIGTERM or SIGINT; a second signal ends the server at once
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = values::grace)]
    pub drain_timeout: Duration,
}

impl ServerArgs {
    /// Checks that the strategy uses the flags that apply to some strategies only.
    ///
    /// # Errors
    /// The first flag that the strategy would ignore, with the remedy.
    pub fn check_strategy(&self) -> anyhow::Result<()> {
        let strategy = self.strategy.name();
        if let Some(workers) = self.workers
            && !self.strategy.has_workers()
        {
            let all = StrategyKind::ALL.into_iter().filter(|kind| kind.has_workers());
            let all: Vec<_> = all.map(StrategyKind::name).collect();
            let (last, others) = all.split_last().expect("there are such strategies");
            anyhow::bail!(
                "--workers {workers} has no effect with --strategy {strategy}; remove it, or choose \
                 {} or {last} with --strategy",
                others.join(", ")
            );
        }
        if let Some(way) = self.accept
            && self.strategy != StrategyKind::MultiSelector
        {
            let way = way.to_possible_value();
            let way = way.as_ref().map_or("", PossibleValue::get_name);
            anyhow::bail!(
                "--accept {way} has no effect with --strategy {strategy}; remove it, or choose \
                 --strategy multi-selector"
            );
        }
        Ok(())
    }
}

/// Protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WireChoice {
    /// Detected from the first bytes of each connection
    Auto,
    /// Only typed, length-prefixed messages
    Framed,
    /// Only HTTP/1.1 and HTTP/1.0
    Http,
    /// Only lines of text, as typed into telnet
    Text,
}

impl WireChoice {
    fn pin(self) -> WirePin {
        match self {
            Self::Auto => WirePin::Auto,
            Self::Framed => WirePin::Pinned(Wire::Framed),
            Self::Http => WirePin::Pinned(Wire::Http),
            Self::Text => WirePin::Pinned(Wire::Text),
        }
    }
}

/// Lowest level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Failures of the server
    Error,
    /// Also problems that the server survives: files that cannot be read, refused connections, failed clean-up
    Warn,
    /// Also files left by a killed server and removed at the start
    Info,
    /// Also each connection: accepted, refused, closed
    Debug,
    /// Also each request
    Trace,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Runs the server to its end, and returns the exit code of the process.
///
/// 0 after a drain; 1 if serving failed, or connections were broken off at the end of the drain
/// timeout; 2 if it could not start; 130 if a second signal ended it. Handles SIGTERM and SIGINT,
/// raises the descriptor limit and sets up the log of the process.
pub fn run(args: &ServerArgs) -> ExitCode {
    start_log(args.log_level);
    if args.child {
        return match serve_as_child(args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                print_error(format_args!("{error:#}"));
                ExitCode::from(UNUSABLE)
            }
        };
    }
    let server = match Server::new(args) {
        Ok(server) => server,
        Err(error) => {
            print_error(format_args!("{error:#}"));
            return ExitCode::from(UNUSABLE);
        }
    };
    let outcome = strategy(args.strategy)
        .and_then(|strategy| strategy.serve(&server.listener, &server.state, &server.shutdown));
    match outcome {
        Ok(report) => {
            server.print_end(args, &report);
            match (server.shutdown.is_urgent(), report.broken) {
                (true, _) => ExitCode::from(INTERRUPTED),
                (false, 0) => ExitCode::SUCCESS,
                (false, _) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            let strategy = args.strategy.name();
            if !server.state.readiness.is_reported() {
                print_error(format_args!("strategy {strategy} cannot start: {error}"));
                return ExitCode::from(UNUSABLE);
            }
            print_error(format_args!("strategy {strategy} failed: {error}"));
            server.state.flush_logs();
            ExitCode::FAILURE
        }
    }
}

/// Implementation of a strategy for this program, which can start further processes of itself.
fn strategy(kind: StrategyKind) -> io::Result<Box<dyn Strategy>> {
    if kind == StrategyKind::Prefork {
        return Ok(Box::new(Prefork::of_this_program()?));
    }
    Ok(kind.build())
}

/// Runs a process of `prefork`: it has the parent's arguments and listener, and sets up all else
/// itself.
fn serve_as_child(args: &ServerArgs) -> anyhow::Result<()> {
    let (listener, parent) = prefork::child::inherited()
        .context("--child is only for processes that --strategy prefork starts; remove it")?;
    signals::survive_size_limit()?;
    let store = if args.service.service.has_files() {
        Store::open_beside_others(root(args), store_options(args))?
    } else {
        Store::without_files()?
    };
    // The parent limits the number of processes.
    let mut state = state(args, store, 1)?;
    if !args.quiet {
        state.console = Console::directly_on(parent.screen()?);
    }
    state.access_log = match args.access_log.as_deref() {
        Some(path) if path == Path::new(STANDARD_OUTPUT) => {
            Some(AccessLog::on(parent.log_screen()?, args.access_log_format))
        }
        Some(path) => Some(AccessLog::append_to(path, args.access_log_format)?),
        None => None,
    }
    .map(Arc::new);
    state.trace = trace(args)?;
    state.status_elsewhere = Some(parent.status_source()?);
    let state = Arc::new(state);
    prefork::child::serve(&listener, &state, parent)?;
    state.flush_logs();
    Ok(())
}

/// Listener, state and shutdown, ready for a strategy.
struct Server {
    listener: Listener,
    state: Arc<ServerState>,
    shutdown: Shutdown,
}

impl Server {
    fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        args.check_strategy()?;
        args.strategy.availability().with_context(|| {
            format!("strategy {} is not available on this system", args.strategy.name())
        })?;
        if args.service.service()? == Service::Chat && args.strategy == StrategyKind::Prefork {
            anyhow::bail!(
                "--service chat does not work with --strategy prefork, whose processes share no memory; \
                 choose another strategy with --strategy"
            );
        }
        if args.limits.max_connections_per_address.is_some() {
            anyhow::ensure!(
                args.strategy != StrategyKind::Prefork,
                "--max-connections-per-address does not work with --strategy prefork, whose \
                 processes share no memory; choose another strategy with --strategy"
            );
        }
        let max_connections = max_connections(args)?;
        let trace = trace(args)?;
        // First, so that a port that is taken leaves no new folder behind.
        let listener = listen(address(args), args.limits.backlog)?;
        let address = listener.local_addr().context("cannot read the listener's address")?;
        let store = if args.service.service.has_files() {
            create_root(args.root.as_deref())?;
            Store::open(root(args), store_options(args))?
        } else {
            Store::without_files()?
        };
        let mut state = state(args, store, max_connections)?;
        if let Some(max) = args.limits.max_connections_per_address {
            let limit = ConnectionLimit::new(max_connections);
            state.limit = Arc::new(limit.per_address(max as usize));
        }
        state.access_log = access_log(args)?.map(Arc::new);
        state.trace = trace;
        let mut start = format!("listening on {address}\n");
        if !args.quiet {
            state.console = Console::on(io::stdout());
            start.push_str(&greeting::greeting(args, address, &state));
        }
        state.readiness = Readiness::calling(move || print(&start));
        let shutdown = Shutdown::new();
        signals::watch(&shutdown, INTERRUPTED).context(
            "cannot install signal handlers; check the restrictions of the sandbox or container",
        )?;
        Ok(Self { listener, state: Arc::new(state), shutdown })
    }

    /// Prints the counts: a line for programs, unless a person reads it, and one for people.
    fn print_end(&self, args: &ServerArgs, report: &ServeReport) {
        let line = format!("{report}\n");
        if args.quiet {
            self.state.flush_logs();
            return print(&line);
        }
        let console = &self.state.console;
        if !io::stdout().is_terminal() {
            console.show_line(&line);
        }
        self.state.flush_logs();
        print_line(format_args!("{}", greeting::farewell(report)));
    }
}

fn state(args: &ServerArgs, store: Store, max_connections: usize) -> anyhow::Result<ServerState> {
    Ok(ServerState::new(
        store,
        ServerOptions {
            settings: settings(args, args.service.service()?),
            workers: args.workers.map_or_else(|| default_workers(args.strategy), usize::from),
            max_connections,
            accept: args.accept.unwrap_or_default(),
            send_path: args.send_path,
            drain: args.timeouts.drain_timeout,
        },
    ))
}

fn access_log(args: &ServerArgs) -> anyhow::Result<Option<AccessLog>> {
    let Some(path) = args.access_log.as_deref() else { return Ok(None) };
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Some(AccessLog::on(io::stdout(), args.access_log_format)));
    }
    let log = AccessLog::append_to(path, args.access_log_format).with_context(|| {
        format!("cannot open access log {path:?}; choose a writable file with --access-log")
    })?;
    Ok(Some(log))
}

fn trace(args: &ServerArgs) -> anyhow::Result<Trace> {
    let Some(path) = args.trace.as_deref() else { return Ok(Trace::default()) };
    let trace = if args.child { Trace::join(path) } else { Trace::start(path) };
    trace.with_context(|| {
        format!("cannot write the trace to {path:?}; choose a writable file with --trace")
    })
}

fn max_connections(args: &ServerArgs) -> anyhow::Result<usize> {
    descriptors::max_connections(
        descriptors::raise_limit(),
        args.limits.max_connections.map(|max| max as usize),
    )
}

/// Address to listen on.
fn address(args: &ServerArgs) -> SocketAddr {
    args.listen.unwrap_or(args.service.service.default_address())
}

fn root(args: &ServerArgs) -> &Path {
    args.root.as_deref().unwrap_or(Path::new(DEFAULT_ROOT))
}

fn store_options(args: &ServerArgs) -> StoreOptions {
    StoreOptions {
        durability: args.durability,
        on_conflict: args.on_conflict,
        min_free: args.min_free,
        resumable: ResumableLimits {
            number: args.limits.max_resumable,
            bytes: args.limits.max_resumable_size,
            lifetime: args.timeouts.resumable_timeout,
        },
    }
}

fn settings(args: &ServerArgs, service: Service) -> Settings {
    let (limits, timeouts) = (&args.limits, &args.timeouts);
    Settings {
        service,
        work: args.service.work,
        wire: args.wire.pin(),
        hosts: hosts::hosts(address(args).ip(), &args.allow_host),
        limits: Limits {
            request_line_bytes: limits.max_request_line,
            header_bytes: limits.max_header,
            headers_bytes: limits.max_head,
            headers: usize::from(limits.max_headers),
            upload_bytes: limits.max_upload,
        },
        timeouts: Timeouts {
            head: timeouts.head_timeout,
            stall: timeouts.stall_timeout,
            body_rate: timeouts.min_body_rate,
            idle: timeouts.idle_timeout,
            linger_total: timeouts.linger_timeout,
            ..Timeouts::default()
        },
        server_name: args.strategy.name().to_owned(),
    }
}

fn default_workers(strategy: StrategyKind) -> usize {
    let per_core = match strategy {
        StrategyKind::Prefork => return MOST_PROCESSES,
        StrategyKind::MultiSelector | StrategyKind::Tokio => 1,
        StrategyKind::Iterative
        | StrategyKind::Threaded
        | StrategyKind::ThreadPool
        | StrategyKind::Selector
        | StrategyKind::Hybrid
        | StrategyKind::Uring => BLOCKING_WORKERS_PER_CORE,
    };
    std::thread::available_parallelism().map_or(1, usize::from) * per_core
}

/// Creates a missing root, but not its parents. Reports it unless it is the default root.
fn create_root(named: Option<&Path>) -> anyhow::Result<()> {
    let root = named.unwrap_or(Path::new(DEFAULT_ROOT));
    match std::fs::create_dir(root) {
        Ok(()) => {
            if named.is_some() {
                print_line(format_args!("created folder {root:?}"));
            }
            Ok(())
        }
        // If it is no folder, opening it fails.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow::bail!(
                "cannot create root {root:?}: its parent does not exist; \
                 create the parent, or choose another root with --root"
            )
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot create root {root:?}; choose a writable folder with --root")
        }),
    }
}

fn listen(address: SocketAddr, backlog: i32) -> anyhow::Result<Listener> {
    Listener::bind(address, backlog).map_err(|error| {
        let remedy = match Errno::from_io_error(&error) {
            Some(Errno::ADDRINUSE) => format!(
                "the port is in use; stop the program that uses it (ss -ltnp sport = :{}) \
                 or choose another port with --listen, 0 for a free one",
                address.port()
            ),
            Some(Errno::ACCESS | Errno::PERM) => {
                "permission denied; choose a port of at least 1024 with --listen".to_owned()
            }
            Some(Errno::ADDRNOTAVAIL) => format!(
                "this machine has no address {}; choose one of its addresses with --listen, \
                 0.0.0.0 for all",
                address.ip()
            ),
            _ => format!("{error}; choose another address with --listen"),
        };
        anyhow::anyhow!("cannot listen on {address}: {remedy}")
    })
}

/// Logs to standard error, unless the process has set up a log before.
fn start_log(level: LogLevel) {
    let _ = tracing_subscriber::fmt()
        .with_max_level(level.filter())
        .with_writer(io::stderr)
        .with_target(false)
        // It would report a closed standard error to standard error, and panic.
        .log_internal_errors(false)
        .try_init();
}

/// Prints text to standard output; a closed one (`| head -1`) is ignored.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a line for the operator; a closed standard error is ignored.
fn print_line(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
