//! Execution of trials on this machine, with a server process and the load generator.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use fileserver_proto::Wire;
use jiff::Timestamp;
use loadgen::{
    Arrival, ConnectionUse, Direction, LoadSpec, Pacing, Progress, RequestClass, RequestFile,
    ThinkTime, Verification, run, run_observed,
};

use crate::machine::at_rest::AtRest;
use crate::machine::cores::{Cores, Pinned};
use crate::machine::disturbance::Watch;
use crate::machine::{copy_bandwidth, kernel_memory, tcp_counters, usage, wake_up};
use crate::run::background::{OpenConnections, RequestedFiles};
use crate::run::count_calls;
use crate::run::disk;
use crate::run::files;
use crate::run::files::{ScratchFolder, download_name, upload_name};
use crate::run::launcher::{Launcher, StartHints};
use crate::run::probe;
use crate::run::request_counter::RequestCounter;
use crate::run::survey::{Requirement, Unsupported, for_all, lacks_of_lines, look};
use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::load::heavy::{ANSWER_BYTES, Work};
use bench_data::load::mix::MixFile;
use bench_data::load::store::Store;
use bench_data::plan::Plan;
use bench_data::plan::service::LoadService;
use bench_data::record::environment::CopyBandwidth;
use bench_data::record::environment::TargetInfo;
use bench_data::record::run_folder::RunFolder;
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::target::{Target, TargetKind};
use bench_data::trial::Trial;
use bench_data::trial::{Disturbance, Ending, Executor, Measurement, ServerUsage, WakeUpDelay};

/// Size of the file that idle connections request.
const IDLE_FILE: ByteSize = ByteSize::new(1 << 10);
/// Size of the file that slow readers request: it exceeds all buffers on the path.
const SLOW_FILE: ByteSize = ByteSize::new(64 << 20);

/// Duration of the measurement of the wake-up delay before each round.
const WAKE_UP_TIME: Duration = Duration::from_secs(1);

/// Maximum time until the buffers between server and slow readers are full, before the load begins.
const SETTLING: Duration = Duration::from_secs(5);

/// Longest warm-up, as a multiple of the planned one.
const LONGEST_WARM_UP: u32 = 4;

/// Executor that starts a server process for each trial.
#[derive(Debug)]
pub struct LocalExecutor {
    plan: Plan,
    cores: Cores,
    /// Folder of the served files and of the server's own files; removed with the executor.
    folder: ScratchFolder,
    served: HashSet<String>,
    /// Folder of files stored on a disk, if the plan has such loads.
    disk: Option<ScratchFolder>,
    launcher: Launcher,
    /// Copy bandwidth, once measured.
    ceiling: Option<CopyBandwidth>,
    /// Versions by name of the server.
    versions: Vec<(String, String)>,
    /// Unsupported loads by name of the server.
    lacks: Vec<(String, Unsupported)>,
    /// Reasons of failed starts by name of the server.
    broken: Vec<(String, String)>,
}

impl LocalExecutor {
    /// Prepares the files to serve, and checks that the plan can run on this machine. Files on a disk are
    /// on the file system of the results, if it is one.
    ///
    /// # Errors
    /// More connections than descriptors or ports, too little space for the files, no disk for loads that
    /// need one, or servers that are not available.
    pub fn new(plan: &Plan, cores: Cores, results: &Path) -> anyhow::Result<Self> {
        for load in plan.loads() {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
            // Background connections need descriptors and ports as well.
            let connections = load.all_connections();
            load_spec(plan, &cores, Load { connections, ..load }, nobody, 0).check()?;
        }
        let folder = ScratchFolder::create()?;
        files::check_room(plan, Store::Memory, folder.path())?;
        let root = folder.path().join("root");
        fs::create_dir(&root).context("cannot create the folder of served files")?;
        let mut served = HashSet::new();
        let mut mixes = Vec::new();
        for load in plan.loads() {
            if let Some(mix) = load.profile.mix.filter(|mix| !mixes.contains(mix)) {
                served.extend(files::write_mix(&root, mix)?);
                mixes.push(mix);
            }
            let name = download_name(load.size);
            let is_one = load.direction == Direction::Download && load.profile.mix.is_none();
            let wanted = [
                (name, load.size, is_one),
                (download_name(IDLE_FILE), IDLE_FILE, load.profile.background.total() > 0),
                (download_name(SLOW_FILE), SLOW_FILE, load.profile.background.slow_readers > 0),
            ];
            for (name, size, is_wanted) in wanted {
                if is_wanted && !served.contains(&name) {
                    files::write(&root, size)?;
                    served.insert(name);
                }
            }
        }
        let mut launcher = Launcher::new(plan, folder.path(), &root, &cores.server)?;
        let mut disk = None;
        if plan.loads().iter().any(|load| load.profile.store == Store::Disk) {
            let folder = disk::create(results, launcher.has_account())?;
            files::check_room(plan, Store::Disk, folder.path())?;
            launcher.use_disk(folder.path())?;
            disk = Some(folder);
        }
        Ok(Self {
            launcher,
            disk,
            plan: plan.clone(),
            cores,
            folder,
            served,
            ceiling: None,
            versions: Vec::new(),
            lacks: Vec::new(),
            broken: Vec::new(),
        })
    }

    /// Folder of the served files.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Folder of files stored on a disk, if the plan has such loads.
    pub fn disk(&self) -> Option<&Path> {
        self.disk.as_ref().map(ScratchFolder::path)
    }

    /// Starts every server once to check its capabilities, and stores the configurations of reference
    /// servers in the results folder. Returns early after `stop` is set.
    ///
    /// # Errors
    /// A configuration cannot be written.
    pub fn survey(
        &mut self,
        folder: &RunFolder,
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<TargetInfo>> {
        let loads = self.plan.loads();
        let mut infos = Vec::new();
        for target in self.plan.targets() {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let mut info = TargetInfo {
                name: target.name().to_owned(),
                kind: target.kind(),
                version: match &target {
                    Target::Strategy(_) | Target::Variant(_) => {
                        Some(env!("CARGO_PKG_VERSION").to_owned())
                    }
                    Target::Reference(peer) => self.version_of(*peer),
                    Target::External(_) => None,
                },
                configuration: self.keep_configuration(&target, &loads, folder)?,
                problems: Vec::new(),
                supports: None,
            };
            if let Some(reason) = unavailable(&target) {
                info.problems.push(reason);
                infos.push(info);
                continue;
            }
            match self.launcher.start(&target, StartHints::of_survey(&loads)) {
                Ok(running) => {
                    let (support, lacks) = match self.plan.wire {
                        Wire::Text => {
                            let service = self.plan.load_service();
                            (None, lacks_of_lines(&target, &running, service, &loads))
                        }
                        Wire::Http => look(&target, &running, &loads),
                        Wire::Framed if target.kind().is_ours() => look(&target, &running, &loads),
                        Wire::Framed => (None, for_all(&loads, "it supports only http")),
                    };
                    running.stop();
                    info.supports = support;
                    for (_, reason) in &lacks {
                        if !info.problems.contains(reason) {
                            info.problems.push(reason.clone());
                        }
                    }
                    self.lacks.push((info.name.clone(), lacks));
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    info.problems.push(error.clone());
                    self.broken.push((info.name.clone(), error));
                }
            }
            self.clear_uploads();
            if let Some(version) = &info.version {
                self.versions.push((info.name.clone(), version.clone()));
            }
            infos.push(info);
        }
        Ok(infos)
    }

    fn version_of(&self, peer: ReferenceServer) -> Option<String> {
        let version = self.launcher.installed(peer)?.version.clone()?;
        Some(match peer {
            ReferenceServer::NginxThreaded => {
                format!("{version} and {}", env!("CARGO_PKG_VERSION"))
            }
            ReferenceServer::Nginx
            | ReferenceServer::ApachePrefork
            | ReferenceServer::ApacheWorker
            | ReferenceServer::ApacheEvent
            | ReferenceServer::Lighttpd => version,
        })
    }

    /// Sets the copy bandwidth measured at the start of a resumed run.
    pub fn set_copy_bandwidth(&mut self, ceiling: Option<CopyBandwidth>) {
        self.ceiling = ceiling;
    }

    /// Measures the copy bandwidth of the cores of server and generator.
    ///
    /// # Errors
    /// As of [`copy_bandwidth::measure`].
    pub fn measure_copy_bandwidth(&mut self) -> anyhow::Result<CopyBandwidth> {
        let ceiling =
            copy_bandwidth::measure(&self.cores).context("cannot measure the copy bandwidth")?;
        self.ceiling = Some(ceiling);
        Ok(ceiling)
    }

    fn keep_configuration(
        &self,
        target: &Target,
        loads: &[Load],
        folder: &RunFolder,
    ) -> anyhow::Result<Option<String>> {
        let Target::Reference(peer) = target else { return Ok(None) };
        let Some(installed) = self.launcher.installed(*peer) else { return Ok(None) };
        let connections = loads.iter().map(Load::all_connections).max().unwrap_or(1);
        let demand = StartHints { connections, ..StartHints::of_survey(loads) };
        let placement = self.launcher.placement(self.folder.path(), demand, 0);
        let text = installed.kept_configuration(&placement)?;
        folder.write_configuration(peer.name(), &text).map(Some)
    }

    fn measure(&self, trial: &Trial, stop: &AtomicBool) -> anyhow::Result<Measurement> {
        let started_at = Timestamp::now();
        let mut server = self.launcher.start(&trial.target, StartHints::of(&trial.load))?;
        let counter = self.launcher.request_counter(&trial.target, trial.load.profile.store);
        let counted_before = counter.as_ref().and_then(RequestCounter::read);
        let seed = self.plan.seed.unwrap_or(0) ^ u64::from(trial.number);
        let spec = self.learned_spec(trial.load, server.address(), seed)?;
        let progress = Progress::default();
        let done = AtomicBool::new(false);
        let processes = server.processes();
        let kernel_before = kernel_memory::now();
        let background = self.open_background(trial.load, server.address(), stop);
        let kernel_memory =
            background.as_ref().and_then(|_| Some(kernel_memory::now()?.since(&kernel_before?)));
        if let Some(processes) =
            processes.as_ref().filter(|_| trial.load.profile.background.slow_readers > 0)
        {
            // First the buffers between server and slow readers fill up.
            usage::rests(processes, SETTLING, stop);
        }
        let disturbance = Watch::begin(&self.cores);
        let mut at_rest = AtRest::default();
        let (load, watched, tcp) = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let _pinned = self.beside_generator();
                usage::watch(processes.as_ref()?, &progress, spec.duration, &done)
            });
            let counter = scope.spawn(|| {
                let _pinned = self.beside_generator();
                tcp_counters::watch(&progress, spec.duration, &done)
            });
            if let Some(background) = &background {
                scope.spawn(|| {
                    let _pinned = self.beside_generator();
                    background.run_slow(&done);
                });
            }
            let load = run_observed(&spec, stop, Some(&progress), &mut |rest| {
                if let Some(processes) = &processes {
                    at_rest.read(rest, processes);
                }
            });
            done.store(true, Ordering::Relaxed);
            (load, watcher.join().unwrap_or(None), counter.join().unwrap_or(None))
        });
        let disturbance = disturbance.end();
        let background_held = background.as_ref().map(OpenConnections::held);
        drop(background);
        let ending = server.death().map_or(Ending::Completed, Ending::Died);
        let counted_after = counter.as_ref().and_then(RequestCounter::read);
        let report = server.stop();
        let load = load?;
        // A server that ran before is pinned nowhere: it may delay the generator itself.
        let is_pinned = trial.target.kind() != TargetKind::Running;
        let pinned_to =
            if is_pinned { self.cores.of_server(trial.load.profile.server_cores) } else { &[] };
        let server = watched.and_then(|watched| watched.within(load.window, pinned_to, &at_rest));
        let delay = server.as_ref().and_then(ServerUsage::foreign_delay);
        let disturbance = Some(Disturbance {
            server_delay_share: delay.map(|delay| delay.div_duration_f64(load.window)),
            generator_delay_share: load.run_delay_share().filter(|_| !pinned_to.is_empty()),
            delay_limit: self.plan.run_delay_limit,
            ..disturbance
        });
        let version = self.version(&trial.target);
        // The second reading is a request as well.
        let counted = counted_after.zip(counted_before).map(|(after, before)| after - before - 1);
        let counted = match trial.target.strategy() {
            Some(_) => report.map(|report| report.requests),
            None => counted,
        };
        let send_path = report.and_then(|report| report.sent.main_path());
        Ok(Measurement {
            started_at,
            version,
            load: Some(load),
            server,
            background_held,
            kernel_memory,
            send_path,
            server_requests: counted.filter(|_| self.all_of_load(trial)),
            tcp,
            server_cores: self.cores.of_server(trial.load.profile.server_cores).len(),
            copy_bandwidth_bytes_per_s: self
                .ceiling
                .and_then(|ceiling| ceiling.of(trial.load.direction)),
            disturbance,
            ending,
        })
    }

    /// Counts the system calls of a server under a load, outside of any trial because counting slows
    /// the server down. `None` if the server does not support the load.
    ///
    /// # Errors
    /// `perf` cannot count, the server has too many threads, or it cannot be started.
    pub fn count_calls(
        &mut self,
        target: &Target,
        load: Load,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<(u64, f64)>> {
        if self.obstacle(target, &load).is_some() {
            return Ok(None);
        }
        let server = self.launcher.start(target, StartHints::of(&load))?;
        let spec = LoadSpec {
            warm_up: Duration::ZERO,
            longest_warm_up: Duration::ZERO,
            duration: count_calls::LOAD,
            // Calls for requests that are not counted would be attributed to the others.
            drain: Duration::ZERO,
            ..self.learned_spec(load, server.address(), self.plan.seed.unwrap_or(0))?
        };
        let processes =
            server.processes().context("the process id of the server is not known; give --pid")?;
        let done = AtomicBool::new(false);
        let background = self.open_background(load, server.address(), stop);
        let (load, calls) = thread::scope(|scope| {
            if let Some(background) = &background {
                scope.spawn(|| {
                    let _pinned = self.beside_generator();
                    background.run_slow(&done);
                });
            }
            let counted = count_calls::count(&processes, || run(&spec, stop, None));
            done.store(true, Ordering::Relaxed);
            counted
        });
        drop(background);
        server.stop();
        self.clear_uploads();
        let (load, calls) = (load?, calls?);
        ensure!(load.requests > 0, "no request was answered");
        Ok(Some((load.requests, calls)))
    }

    /// Specification of a load. Replies of unknown length are requested from the server before.
    fn learned_spec(&self, load: Load, server: SocketAddr, seed: u64) -> anyhow::Result<LoadSpec> {
        let spec = load_spec(&self.plan, &self.cores, load, server, seed);
        let service = self.plan.load_service();
        let Some(line) = service.line(load.size) else { return Ok(spec) };
        let (file, _) = probe::learn(server, &line, service == LoadService::Date)?;
        Ok(LoadSpec { files: vec![file], ..spec })
    }

    /// Keeps this thread away from the server: among its threads an observer would run late. If the system
    /// refuses, it runs on any core.
    fn beside_generator(&self) -> Option<Pinned> {
        Pinned::to(&self.cores.generator).ok()
    }

    /// Opens the background connections of a load, if any.
    fn open_background(
        &self,
        load: Load,
        server: SocketAddr,
        stop: &AtomicBool,
    ) -> Option<OpenConnections> {
        let background = load.profile.background;
        let (small, large) = (download_name(IDLE_FILE), download_name(SLOW_FILE));
        let files = RequestedFiles { small: &small, large: &large };
        (background.total() > 0).then(|| OpenConnections::open(server, background, files, stop))
    }

    /// True if the server receives no requests but those of the load itself, so that both can compare
    /// their counts.
    fn all_of_load(&self, trial: &Trial) -> bool {
        let has_background = trial.load.profile.background.total() > 0;
        let is_learned = self.plan.load_service().line(trial.load.size).is_some();
        !has_background && !is_learned
    }

    fn version(&self, target: &Target) -> Option<String> {
        let known = self.versions.iter().find(|(name, _)| name == target.name());
        known.map(|(_, version)| version.clone())
    }

    /// Ending of a trial that cannot run.
    fn obstacle(&self, target: &Target, load: &Load) -> Option<Ending> {
        let name = target.name();
        if let Some(reason) = unavailable(target) {
            return Some(Ending::Unsupported(reason));
        }
        if let Some((_, why)) = self.broken.iter().find(|(broken, _)| broken == name) {
            return Some(Ending::NotStarted(why.clone()));
        }
        let (_, lacks) = self.lacks.iter().find(|(lacking, _)| lacking == name)?;
        let requirement = Requirement::by(load);
        let (_, reason) = lacks.iter().find(|(lacking, _)| *lacking == requirement)?;
        Some(Ending::Unsupported(reason.clone()))
    }

    fn clear_uploads(&self) {
        files::clear_uploads(&self.root(), &self.served);
        if let Some(disk) = &self.disk {
            files::clear_uploads(&self.launcher.root(Store::Disk), &HashSet::new());
            // No trial waits for the data of the one before it.
            let _ = File::open(disk.path()).map(rustix::fs::syncfs);
        }
    }
}

impl Executor for LocalExecutor {
    fn wake_up_delay(&mut self) -> Option<WakeUpDelay> {
        wake_up::measure(&self.cores.server, WAKE_UP_TIME)
    }

    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement {
        let started_at = Timestamp::now();
        let version = self.version(&trial.target);
        let without = |ending| Measurement::none(started_at, version, ending);
        if let Some(ending) = self.obstacle(&trial.target, &trial.load) {
            return without(ending);
        }
        let measured = self.measure(trial, stop);
        self.clear_uploads();
        measured.unwrap_or_else(|error| without(Ending::NotStarted(format!("{error:#}"))))
    }
}

/// Reason why this system cannot run a strategy.
fn unavailable(target: &Target) -> Option<String> {
    let (kind, _) = target.strategy()?;
    kind.availability().err().map(|reason| reason.to_string())
}

/// Specification of a load on a server.
pub(crate) fn load_spec(
    plan: &Plan,
    cores: &Cores,
    load: Load,
    target: SocketAddr,
    seed: u64,
) -> LoadSpec {
    LoadSpec {
        target,
        wire: plan.wire,
        // Over text only an echo returns the line; other replies are learned.
        direction: match (load.direction, plan.load_service()) {
            (Direction::Echo, LoadService::Hello | LoadService::Transform | LoadService::Date) => {
                Direction::Download
            }
            (direction, _) => direction,
        },
        files: requested(load),
        connections: load.connections,
        threads: plan.generator_threads.min(load.connections),
        engine: plan.engine,
        cores: cores.generator.clone(),
        connection_use: match load.profile.keep_alive {
            true => ConnectionUse::KeepAlive,
            false => ConnectionUse::PerRequest,
        },
        arrival: match load.profile.rate_per_s {
            Some(rate) => Arrival::Open { rate_per_s: f64::from(rate), pacing: Pacing::Poisson },
            None => Arrival::Closed { think: ThinkTime::None },
        },
        warm_up: plan.warm_up_of(&load),
        longest_warm_up: LONGEST_WARM_UP * plan.warm_up_of(&load),
        duration: plan.window_of(&load),
        timeout: Duration::from_millis(plan.timeout_ms),
        drain: plan.drain_of(&load),
        verification: plan.verify_every.map_or(Verification::EveryBody, Verification::one_in),
        seed,
    }
}

/// Files that requests name, with their weights.
fn requested(load: Load) -> Vec<RequestFile> {
    let heavy = load.profile.heavy;
    let light = f64::from(100_u32.saturating_sub(heavy.total_percent()));
    let mut files = match load.profile.mix {
        Some(mix) => {
            let files = mix.files();
            let all: f64 = files.iter().map(|file| file.weight).sum();
            let of_all = |file: MixFile| RequestFile {
                weight: light * file.weight / all,
                ..RequestFile::new(file.name, file.size.bytes())
            };
            files.into_iter().map(of_all).collect()
        }
        None => {
            let name = match load.direction {
                Direction::Download | Direction::Echo => download_name(load.size),
                Direction::Upload => upload_name(load.size),
            };
            vec![RequestFile { weight: light, ..RequestFile::new(name, load.size.bytes()) }]
        }
    };
    for work in Work::ALL.into_iter().filter(|work| heavy.percent(*work) > 0) {
        files.push(RequestFile {
            weight: f64::from(heavy.percent(work)),
            class: RequestClass::Heavy,
            ..RequestFile::new(work.target(), ANSWER_BYTES)
        });
    }
    files
}
