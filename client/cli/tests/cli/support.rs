//! A real server, and the program run against it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use fileserver::store::{Store, StoreOptions};
use fileserver::{
    AcceptDistribution, Listener, SendPath, ServerOptions, ServerState, Shutdown, StrategyKind,
};
use loadgen::content::Content;
use tempfile::TempDir;

/// A real server over a temporary folder.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Arc<TempDir>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with_limit(u64::MAX)
    }

    /// A server that takes uploads of so many bytes at most.
    pub(crate) fn with_limit(upload_bytes: u64) -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), upload_bytes)
    }

    /// The same over a folder that other servers may have served before.
    pub(crate) fn over(folder: Arc<TempDir>, upload_bytes: u64) -> Self {
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let mut settings = fileserver_proto::Settings::default();
        settings.limits.upload_bytes = upload_bytes;
        let options = ServerOptions {
            settings,
            workers: 2,
            accept: AcceptDistribution::default(),
            send_path: SendPath::default(),
            max_connections: 100,
            drain: Duration::from_secs(1),
        };
        let site = Arc::new(ServerState::new(store, options));
        let endpoint = Listener::bind("127.0.0.1:0".parse().unwrap(), 128).unwrap();
        let address = endpoint.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || {
            StrategyKind::Selector.build().serve(&endpoint, &site, &stop).unwrap();
        });
        Self { address, folder, shutdown, thread: Some(thread) }
    }

    pub(crate) fn put(&self, name: &str, len: usize) -> Vec<u8> {
        let content = content(name, len);
        fs::write(self.folder.path().join(name), &content).unwrap();
        content
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.trigger();
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(crate) fn content(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Content::of_name(name).fill(0, &mut bytes);
    bytes
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The program, to be run in a folder.
pub(crate) fn client(folder: &Path) -> Command {
    let mut command = Command::new(cargo_bin("client"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs `client` with these arguments, HOST and PORT standing for the address.
pub(crate) fn run(folder: &Path, address: SocketAddr, arguments: &str) -> Output {
    client(folder).args(arguments_of(address, arguments)).output().unwrap()
}

pub(crate) fn arguments_of(address: SocketAddr, arguments: &str) -> Vec<String> {
    arguments
        .split_whitespace()
        .map(|word| {
            word.replace("HOST", &address.ip().to_string())
                .replace("PORT", &address.port().to_string())
        })
        .collect()
}

pub(crate) fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line of an error that ended with this exit code.
pub(crate) fn error(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

pub(crate) fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}
