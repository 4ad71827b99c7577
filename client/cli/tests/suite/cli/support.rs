//! Server and client program of the tests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use fileserver::store::{Store, StoreOptions};
use fileserver::{ServerOptions, ServerState, StrategyKind};
use testkit::{Folder, ServerThread, server_options};

/// Server over a temporary folder.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Folder,
    _thread: ServerThread,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with_limit(u64::MAX)
    }

    /// A server with a limit of upload bytes.
    pub(crate) fn with_limit(upload_bytes: u64) -> Self {
        Self::over(Folder::new(), upload_bytes)
    }

    /// A server over a folder that others may have served before.
    pub(crate) fn over(folder: Folder, upload_bytes: u64) -> Self {
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let mut options = ServerOptions { max_connections: 100, ..server_options() };
        options.settings.limits.upload_bytes = upload_bytes;
        let thread = ServerThread::start(
            StrategyKind::Selector,
            &Arc::new(ServerState::new(store, options)),
        );
        Self { address: thread.address, folder, _thread: thread }
    }
}

/// Path of the program.
pub(crate) fn client_program() -> &'static str {
    env!("CARGO_BIN_EXE_client")
}

/// Command that runs the program in a folder.
pub(crate) fn client(folder: &Path) -> Command {
    let mut command = Command::new(client_program());
    testkit::isolate(&mut command).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs `client` with these arguments; HOST and PORT stand for the address.
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

/// The single line of standard error of a command with this exit code.
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
