//! The two programs of the exercises.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use testkit::{Folder, PATIENCE, ServerProcess, server_program, until};

/// Every strategy.
pub(crate) fn all() -> impl Iterator<Item = StrategyKind> {
    StrategyKind::ALL.into_iter()
}

/// Strategies that serve several connections at once.
pub(crate) fn concurrent() -> impl Iterator<Item = StrategyKind> {
    all().filter(|kind| *kind != StrategyKind::Iterative)
}

/// Strategies whose connections can reach each other.
pub(crate) fn connected() -> impl Iterator<Item = StrategyKind> {
    concurrent().filter(|kind| kind.name() != "prefork")
}

/// Runs a case for all these strategies at the same time.
pub(crate) fn at_once(
    strategies: impl Iterator<Item = StrategyKind>,
    case: impl Fn(StrategyKind) + Sync,
) {
    let case = &case;
    std::thread::scope(|scope| {
        for kind in strategies {
            scope.spawn(move || case(kind));
        }
    });
}

/// Running `server` over its own folder.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Folder,
    process: ServerProcess,
    shown: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Server {
    /// Starts it with a strategy and further arguments, separated by spaces.
    pub(crate) fn start(kind: StrategyKind, arguments: &str) -> Self {
        Self::over(Folder::new(), kind, arguments)
    }

    /// Starts it over an existing folder.
    pub(crate) fn over(folder: Folder, kind: StrategyKind, arguments: &str) -> Self {
        let mut command = Command::new(server_program());
        command.args(["--strategy", kind.name(), "--listen", "127.0.0.1:0", "--root"]);
        command.arg(folder.path()).args(arguments.split_whitespace());
        let mut process = ServerProcess::start(&mut command).unwrap();
        let lines = process.stdout.take().unwrap().lines();
        let shown = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&shown);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                shared.0.lock().unwrap().push(line);
                shared.1.notify_all();
            }
        });
        Self { address: process.address, folder, process, shown }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Connects; reads wait for at most [`PATIENCE`].
    pub(crate) fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(BufReader::new(stream))
    }

    /// Waits until the server prints this line.
    pub(crate) fn shows(&self, line: &str) {
        let (lines, more) = &*self.shown;
        let begun = Instant::now();
        let mut lines = lines.lock().unwrap();
        while !lines.iter().any(|shown| shown == line) {
            assert!(begun.elapsed() < PATIENCE, "{line:?} is not in {lines:#?}");
            lines = more.wait_timeout(lines, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Runs `client` in `folder`; HOST and PORT stand for the server.
    pub(crate) fn client(&self, folder: &Path, arguments: &[&str]) -> Output {
        self.client_with_input(folder, arguments, "")
    }

    /// Runs `client` with these lines as its standard input.
    pub(crate) fn client_with_input(
        &self,
        folder: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Output {
        let mut child = self.client_process(folder, arguments);
        // It can end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts `client` and leaves its input open.
    pub(crate) fn client_process(&self, folder: &Path, arguments: &[&str]) -> Child {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let arguments = arguments.iter().map(|word| match *word {
            "HOST" => &*host,
            "PORT" => &*port,
            word => word,
        });
        testkit::isolate(&mut Command::new(env!("CARGO_BIN_EXE_client")))
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Sends SIGTERM and checks that the server ends successfully.
    pub(crate) fn stop(mut self) {
        signal(&self.process.child, rustix::process::Signal::TERM);
        assert_eq!(self.process.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM first, since it may have processes of its own to end.
        signal(&self.process.child, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3)
            && matches!(self.process.child.try_wait(), Ok(None))
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Connection of a test.
pub(crate) struct Peer(BufReader<TcpStream>);

impl Peer {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Closes the sending direction.
    pub(crate) fn finish(&self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Reads the next line with its end.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        line
    }

    pub(crate) fn exactly(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Bytes that have already arrived, up to 64 KiB.
    pub(crate) fn arrived(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 << 10];
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let arrived = stream.peek(&mut bytes).unwrap_or(0);
        stream.set_nonblocking(false).unwrap();
        bytes.truncate(arrived);
        bytes
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.get_ref().local_addr().unwrap()
    }
}

/// Makes a chat client say lines until another one, which says nothing, receives one: then both
/// are members. A connected client becomes one only when the server has handled it.
pub(crate) fn until_members(mut say: impl FnMut(&[u8]), silent: &mut Peer) {
    until("the silent client is a member", || {
        say(b"?\r\n");
        !silent.arrived().is_empty()
    });
    say(b"joined\r\n");
    while silent.line() != b"joined\r\n" {}
}

/// Standard output of a successful command.
pub(crate) fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error of a command that failed with this code.
pub(crate) fn error(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    // Fails only for a child that has been waited for.
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(child), signal);
}

/// Number from `/proc/<pid>/status`.
pub(crate) fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}
