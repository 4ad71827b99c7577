//! Start of each kind of server for a trial.

use crate::run::reference_config::places;
use crate::run::reference_config::threads_when_ready;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fileserver::{SendPath, ServeReport, StrategyKind};
use fileserver_proto::Wire;
use loadgen::Direction;
use rustix::process::{Resource, getrlimit};

use crate::machine::process_tree::ProcessSet;
use crate::run::account::Account;
use crate::run::build::Build;
use crate::run::probe;
use crate::run::reference_config::{Installed, Placement};
use crate::run::request_counter::RequestCounter;
use crate::run::server_process::{Launch, ReadyCheck, ServerProcess};
use bench_data::load::Load;
use bench_data::load::store::Store;
use bench_data::plan::Plan;
use bench_data::plan::service::LoadService;
use bench_data::servers::external::{ExternalServer, How};
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::target::Target;

/// Starter of servers.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// This program, which contains the built-in server.
    program: PathBuf,
    /// Folder of everything except the served files.
    folder: PathBuf,
    root: PathBuf,
    /// Folder on a disk with the folder of files stored there, if the plan has such loads.
    disk: Option<PathBuf>,
    /// Cores of the server, of which a load may use only the first ones.
    cores: Vec<usize>,
    send_path: SendPath,
    /// Check of the readiness of external servers.
    check: ReadyCheck,
    /// Service of the built-in server, unless it serves files.
    service: Option<LoadService>,
    account: Option<Account>,
    installed: Vec<Installed>,
    /// Addresses of running external servers, by name.
    addresses: HashMap<String, SocketAddr>,
    /// Other builds of the built-in server, by the name of their variant.
    builds: HashMap<String, Build>,
    /// File for the trace of built-in servers, if they write one.
    trace: Option<PathBuf>,
}

/// Requirements of the load on the start of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartHints {
    /// Number of connections.
    pub(crate) connections: usize,
    /// True if the load has heavy requests.
    pub(crate) work: bool,
    /// True if the load has uploads.
    pub(crate) uploads: bool,
    /// Place of the files.
    pub(crate) store: Store,
    /// Number of cores of the server.
    pub(crate) server_cores: usize,
}

impl StartHints {
    /// Requirements of a load.
    pub(crate) fn of(load: &Load) -> Self {
        let work = load.profile.heavy.total_percent() > 0;
        let uploads = load.direction == Direction::Upload;
        let (store, server_cores) = (load.profile.store, load.profile.server_cores);
        Self { connections: load.all_connections(), work, uploads, store, server_cores }
    }

    /// Requirements of a survey that checks whether a server supports these loads.
    pub(crate) fn of_survey(loads: &[Load]) -> Self {
        let uploads = loads.iter().any(|load| load.direction == Direction::Upload);
        let store = Store::Memory;
        Self { connections: 1, work: false, uploads, store, server_cores: 1 }
    }
}

/// Server that is ready for load.
#[derive(Debug)]
pub(crate) enum RunningServer {
    /// Started for the trial.
    Started {
        /// Its main process.
        process: ServerProcess,
        /// Server behind a proxy.
        behind: Option<ServerProcess>,
    },
    /// External server, already running.
    Running {
        /// Address on which it listens.
        address: SocketAddr,
        /// Process id, if known.
        pid: Option<u32>,
    },
}

/// Maximum number of starts of a server whose port is taken: another program may take a free port
/// before the server does.
const ATTEMPTS: u32 = 3;

/// Time within which a server ends whose port is taken.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Number of connections above which the built-in server gets a connection limit; below it the
/// defaults are measured.
const USUAL_CONNECTIONS: usize = 8000;
/// Maximum number of processes of `prefork`.
const MOST_PROCESSES: usize = 1000;
/// Connections beyond those of the load.
const SPARE_CONNECTIONS: u64 = 200;

impl Launcher {
    /// Launcher for the servers of a plan. Uploads go to `root`, all other files to `folder`.
    ///
    /// # Errors
    /// An unknown host, a server that does not run, a missing process, or no account to serve under.
    pub(crate) fn new(
        plan: &Plan,
        folder: &Path,
        root: &Path,
        cores: &[usize],
    ) -> anyhow::Result<Self> {
        let mut addresses = HashMap::new();
        for given in &plan.given {
            let How::Running { authority, pid } = given.how() else { continue };
            let address = resolve(authority)?;
            probe::listens(address).with_context(|| {
                format!("--target {}: nothing listens at {authority}: start it", given.name())
            })?;
            addresses.insert(given.name().to_owned(), address);
            if let Some(pid) = pid {
                let name = given.name();
                ensure!(
                    Path::new(&format!("/proc/{pid}")).is_dir(),
                    "--pid {name}={pid}: no such process"
                );
            }
        }
        let mut builds = HashMap::new();
        for variant in &plan.variants {
            if let Some(program) = variant.program() {
                builds.insert(variant.name().to_owned(), Build::of(program)?);
            }
        }
        let targets = plan.targets();
        let peers = || {
            targets.iter().filter_map(|target| match target {
                Target::Reference(peer) => Some(*peer),
                Target::Strategy(_) | Target::Variant(_) | Target::External(_) => None,
            })
        };
        let account = if peers().next().is_none() { None } else { Account::needed()? };
        if let Some(account) = &account {
            account.own(root)?;
        }
        Ok(Self {
            program: std::env::current_exe().context("cannot find the path of this program")?,
            folder: folder.to_owned(),
            root: root.to_owned(),
            disk: None,
            cores: cores.to_owned(),
            send_path: plan.send_path,
            check: match (plan.wire, plan.load_service()) {
                (Wire::Text, LoadService::Echo) => ReadyCheck::Echo,
                (Wire::Text, _) => ReadyCheck::Listening,
                (Wire::Http | Wire::Framed, _) => ReadyCheck::Http,
            },
            service: Some(plan.load_service()).filter(|service| *service != LoadService::Files),
            account,
            installed: peers().filter_map(Installed::find).collect(),
            addresses,
            builds,
            trace: None,
        })
    }

    /// Uses a folder on a disk for loads that store files there, and creates the folder of these files.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(crate) fn use_disk(&mut self, folder: &Path) -> anyhow::Result<()> {
        self.disk = Some(folder.to_owned());
        let root = self.root(Store::Disk);
        fs::create_dir(&root).context("cannot create the folder of uploaded files")?;
        self.account.as_ref().map_or(Ok(()), |account| account.own(&root))
    }

    /// Makes built-in servers write a trace of their actions to a file.
    pub(crate) fn trace_into(&mut self, file: &Path) {
        self.trace = Some(file.to_owned());
    }

    /// Returns true if some servers run under another account.
    pub(crate) fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// Cores of a server for a load.
    fn cores(&self, demand: StartHints) -> &[usize] {
        &self.cores[..demand.server_cores.min(self.cores.len())]
    }

    /// Folder of a server's own files. Temporary files of uploads are on the file system of the complete
    /// ones, so that they can be renamed.
    fn folder(&self, store: Store) -> &Path {
        self.disk.as_ref().filter(|_| store == Store::Disk).unwrap_or(&self.folder)
    }

    /// Folder of the served and uploaded files.
    pub(crate) fn root(&self, store: Store) -> PathBuf {
        match &self.disk {
            Some(disk) if store == Store::Disk => disk.join("root"),
            Some(_) | None => self.root.clone(),
        }
    }

    /// Starts a server for a load.
    ///
    /// # Errors
    /// The reason, with the last output of the server.
    pub(crate) fn start(
        &self,
        target: &Target,
        demand: StartHints,
    ) -> anyhow::Result<RunningServer> {
        let alone = |process| RunningServer::Started { process, behind: None };
        match target {
            Target::Strategy(kind) => self.strategy(self.own(), *kind, &[], demand).map(alone),
            Target::Variant(variant) => {
                let command = match self.builds.get(variant.name()) {
                    Some(build) => build.command(),
                    None => self.own(),
                };
                self.strategy(command, variant.strategy(), variant.flags(), demand).map(alone)
            }
            Target::Reference(ReferenceServer::NginxThreaded) => {
                let behind = self.strategy(self.own(), StrategyKind::Threaded, &[], demand)?;
                let upstream = Some(behind.address().port());
                let peer = ReferenceServer::NginxThreaded;
                let process = self.retry(demand, |port| self.peer(peer, demand, port, upstream))?;
                Ok(RunningServer::Started { process, behind: Some(behind) })
            }
            Target::Reference(peer) => {
                self.retry(demand, |port| self.peer(*peer, demand, port, None)).map(alone)
            }
            Target::External(given) => match given.how() {
                How::Command(_) => {
                    self.retry(demand, |port| self.command(given, demand.store, port)).map(alone)
                }
                How::Running { pid, .. } => {
                    let address = self.addresses.get(given.name());
                    let address = *address.context("the address of the server is not known")?;
                    Ok(RunningServer::Running { address, pid: *pid })
                }
            },
        }
    }

    /// Installed reference server.
    pub(crate) fn installed(&self, peer: ReferenceServer) -> Option<&Installed> {
        self.installed.iter().find(|installed| installed.peer == peer)
    }

    /// Reader of a reference server's own count of requests, if it has one.
    pub(crate) fn request_counter(&self, target: &Target, store: Store) -> Option<RequestCounter> {
        let Target::Reference(peer) = target else { return None };
        self.installed(*peer)?.request_counter(&self.own_files(store))
    }

    /// Parameters of a reference server's configuration.
    pub(crate) fn placement(&self, dir: &Path, demand: StartHints, port: u16) -> Placement {
        let connections = demand.connections;
        let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let account = self.account.as_ref();
        Placement {
            dir: dir.display().to_string(),
            root: self.root(demand.store).display().to_string(),
            port: port.to_string(),
            upstream: None,
            account: account.map(|account| (account.user.clone(), account.group.clone())),
            connections,
            uploads: demand.uploads,
            cores: self.cores(demand).len().max(1),
            // A connection with its file, and the same again for cached files.
            descriptors: (connections as u64 * 4 + 2048).min(limit),
        }
    }

    /// Command that starts the server in this program.
    fn own(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("serve");
        command
    }

    fn strategy(
        &self,
        mut command: Command,
        kind: StrategyKind,
        flags: &[String],
        demand: StartHints,
    ) -> anyhow::Result<ServerProcess> {
        let connections = demand.connections;
        command
            .args(["--strategy", kind.name()])
            .args(["--listen", "127.0.0.1:0", "--quiet"])
            .arg("--root")
            .arg(self.root(demand.store));
        // The server refuses duplicate flags: those of a variant replace these.
        let mut usual = |flag: &str, value: &str| {
            if !flags.iter().any(|own| own.split('=').next() == Some(flag)) {
                command.args([flag, value]);
            }
        };
        usual("--on-conflict", "overwrite");
        usual("--durability", demand.store.durability().name());
        usual("--send-path", self.send_path.name());
        if let Some(service) = self.service {
            usual("--service", service.name());
        }
        if kind == StrategyKind::Prefork {
            // As many as Apache, for a fair comparison.
            let processes = places(connections).min(MOST_PROCESSES);
            usual("--workers", &processes.to_string());
        }
        if connections > USUAL_CONNECTIONS {
            // Requested files are open once for all connections.
            let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
            let most = (connections as u64 + SPARE_CONNECTIONS).min(limit.saturating_sub(64));
            usual("--max-connections", &most.to_string());
        }
        if demand.work && !flags.iter().any(|own| own == "--work") {
            command.arg("--work");
        }
        if let Some(trace) = &self.trace {
            command.arg("--trace").arg(trace);
        }
        command.args(flags);
        let log = self.folder.join("server.log");
        ServerProcess::start(command, self.cores(demand), &log)
    }

    fn retry(
        &self,
        demand: StartHints,
        start: impl Fn(u16) -> anyhow::Result<Launch>,
    ) -> anyhow::Result<ServerProcess> {
        let mut attempt = 1;
        loop {
            let (port, begun) = (free_port()?, Instant::now());
            let started =
                start(port).and_then(|launch| ServerProcess::launch(launch, self.cores(demand)));
            match started {
                Ok(process) => return Ok(process),
                Err(error) => {
                    // An outgoing connection may have used the port for a moment.
                    let ended_at_once = begun.elapsed() < AT_ONCE;
                    if !(is_taken(port) || ended_at_once) || attempt == ATTEMPTS {
                        return Err(error);
                    }
                }
            }
            attempt += 1;
        }
    }

    fn peer(
        &self,
        peer: ReferenceServer,
        demand: StartHints,
        port: u16,
        upstream: Option<u16>,
    ) -> anyhow::Result<Launch> {
        let installed = self.installed(peer).with_context(|| peer.hint())?;
        let dir = self.fresh_folder(demand.store)?;
        let mut placement = self.placement(&dir, demand, port);
        placement.upstream = upstream.map(|port| port.to_string());
        let configuration = dir.join("server.conf");
        let error_log = dir.join("error.log");
        fs::write(&configuration, installed.configuration(&placement)?)?;
        let mut command = self.launcher();
        command.args(installed.command(&configuration, &error_log));
        Ok(Launch {
            command,
            address: loopback(port),
            check: ReadyCheck::Http,
            log: dir.join("output.log"),
            own_log: Some(error_log),
            threads: threads_when_ready(peer, &placement),
        })
    }

    fn command(&self, given: &ExternalServer, store: Store, port: u16) -> anyhow::Result<Launch> {
        let root = self.root(store).display().to_string();
        let words =
            given.how().words(port, &root).context("the server is not started by a command")?;
        let mut command = self.launcher();
        command.args(words);
        let log = self.fresh_folder(store)?.join("output.log");
        let (address, check) = (loopback(port), self.check);
        Ok(Launch { command, address, check, log, own_log: None, threads: 1 })
    }

    /// Command that starts another program so that it ends with this one.
    fn launcher(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["launch", "--"]);
        command
    }

    /// Folder of a server's own files.
    fn own_files(&self, store: Store) -> PathBuf {
        self.folder(store).join("server")
    }

    /// Creates an empty folder for a server's own files, and removes the previous one.
    fn fresh_folder(&self, store: Store) -> anyhow::Result<PathBuf> {
        let path = self.own_files(store);
        if path.exists() {
            fs::remove_dir_all(&path).context("cannot remove the files of the last server")?;
        }
        fs::create_dir(&path).context("cannot create a folder for the server")?;
        if let Some(account) = &self.account {
            account.own(&path)?;
        }
        Ok(path)
    }
}

impl RunningServer {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Started { process, .. } => process.address(),
            Self::Running { address, .. } => *address,
        }
    }

    /// Processes of the server, if known.
    pub(crate) fn processes(&self) -> Option<ProcessSet> {
        match self {
            Self::Started { process, behind } => {
                let all = std::iter::once(process).chain(behind);
                Some(ProcessSet::Trees(all.map(ServerProcess::pid).collect()))
            }
            Self::Running { pid, .. } => pid.map(|pid| ProcessSet::Trees(vec![pid])),
        }
    }

    /// Exit status and last output, if it exited early.
    pub(crate) fn death(&mut self) -> Option<String> {
        match self {
            Self::Started { process, behind } => {
                process.death().or_else(|| behind.as_mut()?.death())
            }
            Self::Running { .. } => None,
        }
    }

    /// Stops a server that was started for the trial, a proxy before the server behind it. Returns the
    /// final report of the built-in server.
    pub(crate) fn stop(self) -> Option<ServeReport> {
        match self {
            Self::Started { process, behind } => {
                let report = process.stop();
                report.or_else(|| behind?.stop())
            }
            Self::Running { .. } => None,
        }
    }
}

/// Address of a host and port; IPv4 is preferred.
///
/// # Errors
/// The host is unknown.
fn resolve(authority: &str) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = authority
        .to_socket_addrs()
        .with_context(|| format!("cannot find the address of {authority}"))?
        .collect();
    let found = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    found.copied().with_context(|| format!("{authority} has no address"))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Returns true if another program listens on a port.
fn is_taken(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(loopback(0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
