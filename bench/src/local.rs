//! Carries out trials on this machine: a server process here, the load generator there.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use loadgen::content::Content;
use loadgen::load::{
    Arrival, ConnectionUse, Direction, LoadSpec, Progress, RequestFile, ThinkTime, run,
};
use tempfile::TempDir;

use crate::cores::Cores;
use crate::executor::{Ending, Executor, Measurement};
use crate::plan::Plan;
use crate::procstat;
use crate::schedule::{Cell, Trial, cells};
use crate::server_process::ServerProcess;
use crate::size::ByteSize;
use crate::target::Target;

/// Carries out trials with a server process of their own each.
#[derive(Debug)]
pub struct LocalExecutor {
    plan: Plan,
    cores: Cores,
    program: PathBuf,
    /// Holds the served files and the server's log; gone with the executor.
    folder: TempDir,
    served: BTreeSet<OsString>,
}

impl LocalExecutor {
    /// Prepares the files to serve and makes sure that the plan can run here.
    ///
    /// # Errors
    /// More connections than descriptors or ports, or no room for the files.
    pub fn new(plan: &Plan, cores: Cores) -> anyhow::Result<Self> {
        for cell in cells(plan) {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
            load(plan, &cores, cell, nobody, 0).check()?;
        }
        let folder = scratch_folder()?;
        check_room(plan, folder.path())?;
        let mut executor = Self {
            plan: plan.clone(),
            cores,
            program: std::env::current_exe().context("cannot tell where this program is")?,
            folder,
            served: BTreeSet::new(),
        };
        fs::create_dir(executor.root()).context("cannot create the folder of served files")?;
        for cell in cells(plan) {
            if cell.direction == Direction::Download {
                executor.serve_file(cell.size)?;
            }
        }
        Ok(executor)
    }

    /// The folder of the served files.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn serve_file(&mut self, size: ByteSize) -> anyhow::Result<()> {
        let name = download_name(size);
        if self.served.contains(OsStr::new(&name)) {
            return Ok(());
        }
        let path = self.root().join(&name);
        write_content(&path, &name, size.bytes())
            .with_context(|| format!("cannot write the file to serve, {}", path.display()))?;
        self.served.insert(name.into());
        Ok(())
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        match target {
            Target::Strategy(kind) => command
                .args(["serve", "--strategy", kind.name()])
                .args(["--listen", "127.0.0.1:0", "--quiet"])
                .args(["--on-conflict", "overwrite", "--durability", "none"])
                .arg("--root")
                .arg(self.root()),
        };
        command
    }

    fn measure(&self, trial: &Trial, stop: &AtomicBool) -> anyhow::Result<Measurement> {
        let started_at = Timestamp::now();
        let log = self.folder.path().join("server.log");
        let mut server =
            ServerProcess::start(self.command(&trial.target), &self.cores.server, &log)?;
        let seed = self.plan.seed.unwrap_or(0) ^ u64::from(trial.number);
        let spec = load(&self.plan, &self.cores, trial.cell, server.address(), seed);
        let progress = Progress::default();
        let done = AtomicBool::new(false);
        let pid = server.pid();
        let (load, watched) = thread::scope(|scope| {
            let watcher =
                scope.spawn(|| procstat::watch(pid, &progress, spec.warm_up, spec.duration, &done));
            let load = run(&spec, stop, Some(&progress));
            done.store(true, Ordering::Relaxed);
            (load, watcher.join().unwrap_or(None))
        });
        let ending = server.death().map_or(Ending::Completed, Ending::Died);
        server.stop();
        let load = load?;
        let server = watched.and_then(|watched| watched.within(load.window));
        Ok(Measurement { started_at, load: Some(load), server, ending })
    }

    /// Removes what uploads have left, so that no trial meets another's files or fills the disk.
    fn clear_uploads(&self) {
        for entry in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            if !self.served.contains(&entry.file_name()) {
                // Whatever cannot be removed now goes with the whole folder at the end.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Executor for LocalExecutor {
    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement {
        let started_at = Timestamp::now();
        let measurement = self.measure(trial, stop).unwrap_or_else(|error| Measurement {
            started_at,
            load: None,
            server: None,
            ending: Ending::NotStarted(format!("{error:#}")),
        });
        self.clear_uploads();
        measurement
    }
}

fn load(plan: &Plan, cores: &Cores, cell: Cell, target: SocketAddr, seed: u64) -> LoadSpec {
    let name = match cell.direction {
        Direction::Download => download_name(cell.size),
        Direction::Upload => format!("upload-{}.bin", cell.size),
    };
    LoadSpec {
        target,
        wire: plan.wire,
        direction: cell.direction,
        files: vec![RequestFile { name, size_bytes: cell.size.bytes(), weight: 1.0 }],
        connections: cell.connections,
        threads: plan.generator_threads.min(cell.connections),
        cores: cores.generator.clone(),
        connection_use: ConnectionUse::KeepAlive,
        arrival: Arrival::Closed { think: ThinkTime::None },
        warm_up: plan.warm_up(),
        duration: plan.window(),
        timeout: Duration::from_millis(plan.timeout_ms),
        verify_every: plan.verify_every,
        seed,
    }
}

fn download_name(size: ByteSize) -> String {
    format!("{size}.bin")
}

/// In memory where that can be had, so that the servers are compared and not the disk.
fn scratch_folder() -> anyhow::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("bench-");
    if std::env::var_os("TMPDIR").is_none()
        && let Ok(folder) = builder.tempdir_in(memory)
    {
        return Ok(folder);
    }
    let folder = builder.tempdir();
    folder.context("cannot create a temporary folder; set TMPDIR to one that can be written to")
}

/// Files of all sizes, and the largest upload of every connection twice over: as it is written
/// and as it stands.
fn check_room(plan: &Plan, folder: &Path) -> anyhow::Result<()> {
    let bytes = |cell: &Cell| match cell.direction {
        Direction::Download => cell.size.bytes(),
        Direction::Upload => {
            cell.size.bytes().saturating_mul(cell.connections as u64).saturating_mul(2)
        }
    };
    let of =
        |direction| cells(plan).into_iter().filter(move |cell: &Cell| cell.direction == direction);
    let downloads: u64 = of(Direction::Download).map(|cell| bytes(&cell)).sum();
    let uploads = of(Direction::Upload).map(|cell| bytes(&cell)).max().unwrap_or(0);
    let needed = downloads.saturating_add(uploads);
    let room = rustix::fs::statvfs(folder)?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if needed > free / 2 {
        bail!(
            "the plan's files need {}, {} are free in {}: choose smaller sizes, fewer \
             connections, or another folder by TMPDIR",
            crate::units::bytes(needed as f64),
            crate::units::bytes(free as f64),
            folder.display()
        );
    }
    Ok(())
}

fn write_content(path: &Path, name: &str, size: u64) -> std::io::Result<()> {
    let content = Content::of_name(name);
    let mut file = BufWriter::new(File::create_new(path)?);
    let mut piece = vec![0; 64 << 10];
    let mut at = 0;
    while at < size {
        let len = piece.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        content.fill(at, &mut piece[..len]);
        file.write_all(&piece[..len])?;
        at += len as u64;
    }
    file.flush()
}
