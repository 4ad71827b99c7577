//! A server process, for tests of signals, limits and threads.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;
pub(crate) use testkit::PATIENCE;
use testkit::{ServerProcess, until};

use crate::server::Screen;

/// A running `server`; killed when dropped.
pub(crate) struct Process {
    process: ServerProcess,
    arguments: Vec<String>,
    /// Lines of standard output after the first request for them.
    screen: OnceLock<Screen>,
    folder: Arc<TempDir>,
}

impl Process {
    /// Starts a server with these arguments, a free port and a new folder.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::under(":", args)
    }

    /// Starts a server after a shell command that sets limits.
    pub(crate) fn under(limits: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self::on(Arc::new(folder), limits, args)
    }

    /// Kills the server without notice and starts another on the same folder.
    pub(crate) fn killed_and_replaced(self, args: &[&str]) -> Self {
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::on(folder, ":", args)
    }

    fn on(folder: Arc<TempDir>, limits: &str, args: &[&str]) -> Self {
        let root = folder.path().join("root");
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(r#"{limits}; exec "$0" "$@""#))
            .arg(env!("CARGO_BIN_EXE_server"))
            .args(["--listen", "127.0.0.1:0"])
            .arg("--root")
            .arg(&root)
            .args(args)
            .stderr(File::create(folder.path().join("stderr")).unwrap());
        let process = ServerProcess::start(&mut command).unwrap_or_else(|line| {
            let stderr = fs::read_to_string(folder.path().join("stderr")).unwrap();
            panic!("no address in {line:?}; standard error: {stderr}");
        });
        let arguments = args.iter().map(|&argument| argument.to_owned()).collect();
        let screen = OnceLock::new();
        Self { process, arguments, screen, folder }
    }

    /// Starts another server with the same arguments on the same folder.
    pub(crate) fn another(&self) -> Self {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        Self::on(Arc::clone(&self.folder), ":", &arguments)
    }

    /// Lines of its standard output after the first, as they appear.
    pub(crate) fn screen(&self) -> &Screen {
        self.screen.get_or_init(|| {
            let screen = Screen::default();
            let stdout = self.process.stdout.as_ref().unwrap();
            screen.clone().write_all(stdout.buffer()).unwrap();
            let mut rest = File::from(stdout.get_ref().as_fd().try_clone_to_owned().unwrap());
            let mut shown = screen.clone();
            std::thread::spawn(move || std::io::copy(&mut rest, &mut shown));
            screen
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// The served folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Content of its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Standard output after the first line, up to the end.
    pub(crate) fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        rest
    }

    /// Stops reading its standard output.
    pub(crate) fn close_stdout(&mut self) {
        self.process.stdout = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Suspends the process until it is resumed.
    pub(crate) fn suspend(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Waits until the server no longer listens.
    pub(crate) fn wait_until_closed(&self) {
        let begun = Instant::now();
        while TcpStream::connect(self.process.address).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "the server still listens");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        end_of(&mut self.process.child)
    }

    /// Number of its threads.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(self.proc("task")).unwrap().count()
    }

    /// Number of its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Limits the number of its descriptors.
    pub(crate) fn limit_descriptors(&self, descriptors: usize) {
        let limit = Some(descriptors as u64);
        let limit = Rlimit { current: limit, maximum: limit };
        prlimit(Some(self.pid()), Resource::Nofile, limit).unwrap();
    }

    /// Ids of its child processes.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let parent = format!("PPid:\t{}", self.process.child.id());
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let entry = entry.unwrap();
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(pid) = id.and_then(Pid::from_raw) else { continue };
            // The process may end meanwhile.
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if status.lines().any(|line| line == parent) {
                children.push(pid);
            }
        }
        children
    }

    /// Waits until its processes have no connections and are in `accept`.
    pub(crate) fn wait_until_deserted(&self) {
        let waits = |child: &Pid| {
            let path = format!("/proc/{}/wchan", child.as_raw_nonzero());
            fs::read_to_string(path).is_ok_and(|function| function.contains("accept"))
        };
        let all_wait = || self.children().iter().all(waits);
        // Before the sockets, whose table can be long.
        until("the processes wait", all_wait);
        // In this order: a connection accepted before the first check is closed at the second.
        until("all is closed", || !has_connections(self.process.address) && all_wait());
    }

    fn proc(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.process.child.id()))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process.child)
    }
}

/// True if a server has connections, accepted or not.
pub(crate) fn has_connections(address: SocketAddr) -> bool {
    const LISTEN: &str = "0A";
    let SocketAddr::V4(address) = address else { panic!("tests use IPv4") };
    let local =
        format!(" {:08X}:{:04X} ", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        // Closed connections of all tests remain for a minute, in thousands of lines.
        let own = line.split_once(':').and_then(|(_, fields)| fields.strip_prefix(local.as_str()));
        let fields: Vec<_> = own.into_iter().flat_map(str::split_whitespace).collect();
        let [_, state, queues, _, _, _, _, inode, ..] = fields[..] else { return false };
        // For the listening socket: the length of the accept queue. A connection without an inode
        // has been closed by the process.
        let waiting = queues.rsplit(':').next().is_some_and(|queue| queue != "00000000");
        if state == LISTEN { waiting } else { inode != "0" }
    })
}

/// Waits for the end of a process.
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "the server does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}
