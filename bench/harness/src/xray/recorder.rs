//! Recording of each server alone on its core, under the same requests.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bench_data::load::byte_size::ByteSize;
use bench_data::load::store::Store;
use bench_data::plan::{AaControl, Plan};
use bench_data::servers::external::{ExternalServer, How};
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::target::{Target, TargetKind};
use bench_data::units::counted;
use bench_data::xray::{Level, Trace};
use fileserver::StrategyKind;

use super::actions::ActionLog;
use super::client::{Clients, Played};
use super::clock::{self, MILLISECOND};
use super::recording::Recording;
use super::scene::{SLOW_FILE, Scene, Shape};
use super::threads;
use super::tracefs::{KernelTrace, Tracefs};
use crate::machine::cores::{Cores, Pinned};
use crate::machine::process_tree::ProcessSet;
use crate::machine::usage;
use crate::run::files::{self, ScratchFolder, download_name};
use crate::run::launcher::{Launcher, RunningServer, StartHints};
use crate::run::reference_config::Installed;

/// Plan with one load; servers and size come from the arguments.
const PLAN: &str = "\
name = \"xray\"
question = \"What do the threads do?\"
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

/// Longest wait until a server is idle before its recording begins.
const REST: Duration = Duration::from_secs(2);

/// Time between two checks that the server still runs.
const WATCH_TIME: Duration = Duration::from_millis(20);

/// Time in the picture after the last reply.
const TAIL: u64 = MILLISECOND;

/// Servers to record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Servers {
    /// Strategies of the built-in server.
    pub(crate) strategies: Vec<StrategyKind>,
    /// Reference servers.
    pub(crate) against: Vec<ReferenceServer>,
    /// External servers.
    pub(crate) given: Vec<ExternalServer>,
}

/// Common parts of all recordings.
#[derive(Debug)]
pub(crate) struct Recorder {
    plan: Plan,
    cores: Cores,
    launcher: Launcher,
    /// The kernel's tracing, or the reason why it is not used.
    tracefs: Result<Tracefs, String>,
    size: ByteSize,
    /// Removed at the end.
    folder: ScratchFolder,
}

/// Trace of a server.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Trace, complete or until the failure.
    pub(crate) trace: Trace,
    /// Reason why the trace is not as planned: failed requests, or the end of the server.
    pub(crate) failure: Option<String>,
}

impl Recorder {
    /// Prepares recordings of servers that serve a file of a size. Without `level`, the kernel's trace is
    /// used if it can be.
    ///
    /// # Errors
    /// A server is not available, or cannot be recorded at this level.
    pub(crate) fn new(
        servers: Servers,
        size: ByteSize,
        level: Option<Level>,
    ) -> anyhow::Result<Self> {
        let mut plan = Plan::parse(PLAN, "xray")?;
        plan.aa_control = AaControl::None;
        plan.strategies = servers.strategies;
        plan.against = servers.against;
        plan.given = servers.given;
        plan.sweeps[0].sizes = vec![size];
        let tracefs = match level {
            Some(Level::Actions) => Err("it is switched off by --level actions".to_owned()),
            Some(Level::Scheduler) | None => Tracefs::find(),
        };
        if let (Some(Level::Scheduler), Err(reason)) = (level, &tracefs) {
            bail!("--level scheduler: {reason}");
        }
        ensure!(
            !plan.targets().is_empty(),
            "there is no server to record: name some with --strategies, --against or --target"
        );
        for target in plan.targets() {
            check(&target, tracefs.as_ref().err())?;
        }
        let cores = Cores::apart(1);
        let folder = ScratchFolder::create()?;
        files::check_room(&plan, Store::Memory, folder.path())?;
        let root = folder.path().join("root");
        fs::create_dir(&root).context("cannot create the folder of served files")?;
        files::write(&root, size)?;
        let mut launcher = Launcher::new(&plan, folder.path(), &root, &cores.server)?;
        launcher.trace_into(&folder.path().join(TRACE));
        Ok(Self { plan, cores, launcher, tracefs, size, folder })
    }

    /// Servers in the order of their recordings.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.plan.targets()
    }

    /// Reason why states of threads are not recorded; `None` if they are.
    pub(crate) fn without_states(&self) -> Option<&str> {
        self.tracefs.as_ref().err().map(String::as_str)
    }

    /// Size of the file that every server serves.
    pub(crate) fn size(&self) -> ByteSize {
        self.size
    }

    /// Folder of the served files.
    pub(crate) fn root(&self) -> PathBuf {
        self.launcher.root(Store::Memory)
    }

    /// Checks that every server can serve a scene, and writes its further files.
    ///
    /// # Errors
    /// A server that cannot, or a scene that cannot be.
    pub(crate) fn prepare(&self, shape: &Shape) -> anyhow::Result<()> {
        shape.arrivals()?;
        for target in self.targets() {
            ensure!(
                !shape.has_work() || target.works(),
                "{}: it has no requests that block: choose another --scene",
                target.name()
            );
        }
        if shape.scene == Scene::SlowReader && self.size != SLOW_FILE {
            files::write(&self.root(), SLOW_FILE)?;
        }
        Ok(())
    }

    /// Starts a server, sends it the requests of a scene, and returns its trace. Returns the trace so far
    /// after `stop` is set, and after the server has ended.
    ///
    /// # Errors
    /// The server cannot be started, its traces cannot be read, or the clients cannot run.
    pub(crate) fn record(
        &self,
        target: &Target,
        shape: &Shape,
        stop: &AtomicBool,
    ) -> anyhow::Result<Recorded> {
        let hints = StartHints {
            connections: shape.connections,
            work: shape.has_work(),
            uploads: shape.scene == Scene::Upload,
            store: Store::Memory,
            server_cores: 1,
        };
        let mut server = self.start(target, hints)?;
        let mut recording = Recording::new(target);
        let clients = Clients::open(shape, server.address(), &self.cores.generator)?;
        let kernel = self.begin(&server, &mut recording, stop)?;
        let (played, death) = self.play(clients, &mut server, stop)?;
        if let Some(mut kernel) = kernel {
            kernel.stop()?;
            recording.add_events(&kernel.read()?);
        }
        // The server completes its trace at its end.
        server.stop();
        self.read_actions(target, &mut recording, death.is_some())?;
        self.clear_uploads();
        let failed = played.faults.len();
        let failure = match (&death, played.faults.first()) {
            (Some(death), _) => Some(format!("The server ended during the trace: {death}.")),
            (None, Some(fault)) => {
                Some(format!("{} failed, for example {fault}.", counted(failed, "request")))
            }
            (None, None) => None,
        };
        failure.iter().chain(&self.placement(target)).for_each(|one| recording.remark(one.clone()));
        let last = played.requests.iter().map(|request| request.received).max();
        let end = last.unwrap_or(played.beginning) + TAIL;
        let trace = recording.trace(played.beginning, end, &played.requests);
        trace.check().map_err(anyhow::Error::msg).with_context(|| target.name().to_owned())?;
        Ok(Recorded { trace, failure })
    }

    /// Sends the requests until the server ends; returns its last words then.
    fn play(
        &self,
        clients: Clients<'_>,
        server: &mut RunningServer,
        stop: &AtomicBool,
    ) -> anyhow::Result<(Played, Option<String>)> {
        let (ended, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let (played, death) = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                // Beside the clients, away from the server.
                let _pinned = Pinned::to(&self.cores.generator).ok();
                loop {
                    let death = server.death();
                    ended.store(death.is_some(), Ordering::SeqCst);
                    if death.is_some() || done.load(Ordering::SeqCst) {
                        return death;
                    }
                    thread::sleep(WATCH_TIME);
                }
            });
            let played = clients.play([stop, &ended]);
            done.store(true, Ordering::SeqCst);
            (played, watcher.join().unwrap_or(None))
        });
        Ok((played?, death))
    }

    /// Starts a server without a trace of earlier ones.
    pub(super) fn start(
        &self,
        target: &Target,
        hints: StartHints,
    ) -> anyhow::Result<RunningServer> {
        // Built-in servers append to the file.
        let _ = fs::remove_file(self.trace_file());
        self.launcher.start(target, hints).with_context(|| target.name().to_owned())
    }

    /// Begins to record the states of an idle server's threads, if that is possible.
    pub(super) fn begin(
        &self,
        server: &RunningServer,
        recording: &mut Recording,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<KernelTrace>> {
        let processes = server.processes();
        if let Some(processes) = &processes {
            usage::rests(processes, REST, stop);
        }
        let Ok(tracefs) = &self.tracefs else { return Ok(None) };
        let processes = processes.as_ref().map(ProcessSet::processes).unwrap_or_default();
        let found = threads::of(&processes);
        ensure!(!found.is_empty(), "the server has no threads: has it ended?");
        let numbers: Vec<u32> = found.iter().map(|one| one.thread).collect();
        let kernel = KernelTrace::create(tracefs)?;
        kernel.start(&numbers)?;
        recording.begin_states(clock::now(), &found);
        Ok(Some(kernel))
    }

    /// Trace file of built-in servers.
    pub(super) fn trace_file(&self) -> PathBuf {
        self.folder.path().join(TRACE)
    }

    /// Restrictions of the traces of a server on this machine.
    pub(super) fn placement(&self, target: &Target) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.cores.server.is_empty() {
            remarks.push("Server and clients share the only core.".to_owned());
        }
        if target.kind() == TargetKind::Running {
            remarks.push("The server was running before and uses any core.".to_owned());
        }
        if *target == Target::Reference(ReferenceServer::NginxThreaded) {
            remarks.push(
                "Actions are those of the server behind the proxy, on connections of the proxy."
                    .to_owned(),
            );
        }
        remarks
    }

    /// Reads the actions of a server that has ended.
    fn read_actions(
        &self,
        target: &Target,
        recording: &mut Recording,
        is_killed: bool,
    ) -> anyhow::Result<()> {
        // Targets without a built-in server write no file.
        if !target.works() {
            return Ok(());
        }
        let rows = ActionLog::new(&self.trace_file()).read()?;
        ensure!(is_killed || !rows.is_cut, "the last line of the server's trace is incomplete");
        recording.add_actions(rows);
        Ok(())
    }

    /// Removes uploaded files, so that every server stores its own.
    fn clear_uploads(&self) {
        let kept = HashSet::from([self.size, SLOW_FILE].map(download_name));
        files::clear_uploads(&self.root(), &kept);
    }
}

/// Name of the trace file of built-in servers.
const TRACE: &str = "actions.csv";

/// Checks that a server is available and can be recorded; `without_kernel` is the reason why the kernel's trace is
/// not used.
fn check(target: &Target, without_kernel: Option<&String>) -> anyhow::Result<()> {
    let name = target.name();
    if let Some((kind, _)) = target.strategy() {
        return kind.availability().with_context(|| format!("{name} is not available"));
    }
    match target {
        Target::Reference(server) => {
            ensure!(Installed::find(*server).is_some(), "{}", server.hint());
        }
        Target::External(server) => {
            if let How::Running { pid: None, .. } = server.how() {
                bail!("{name}: its threads are not known: add --pid {name}=PID");
            }
        }
        Target::Strategy(_) | Target::Variant(_) => {}
    }
    match without_kernel {
        Some(reason) => bail!(
            "{name} records no actions of its own, and the kernel's trace is not used: {reason}"
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_any_trace_is_refused_with_the_reason() {
        let reason = "no root".to_owned();
        let mine = ExternalServer::parse("mine=http://127.0.0.1:81").unwrap();
        let message = check(&Target::External(mine.clone()), None).unwrap_err().to_string();
        assert!(message.contains("add --pid mine=PID"), "{message}");
        let mine = Target::External(mine.with_pid(1).unwrap());
        assert!(check(&mine, None).is_ok());
        let message = check(&mine, Some(&reason)).unwrap_err().to_string();
        assert!(message.contains("mine records no actions") && message.contains("no root"));
        assert!(check(&Target::Strategy(StrategyKind::Selector), Some(&reason)).is_ok());
    }
}
