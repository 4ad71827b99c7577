//! Server processes: start, readiness, end, and cleanup.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use fileserver::ServeReport;
use procfs::process::{FDTarget, Process};
use program::environment::isolate;
use rustix::process::{Pid, Signal, kill_process};

use crate::machine::cores::Pinned;
use crate::machine::process_tree;
use crate::run::probe;
use crate::run::probe::NotReady;

/// Prefix of the first line on the built-in server's standard output.
const READY: &str = "listening on ";

/// Maximum time until a server is ready.
const START_TIME: Duration = Duration::from_secs(10);

/// Maximum time from SIGTERM to the end of a server; then it is killed.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Maximum time until the last line of an ended server arrives.
const END_TIME: Duration = Duration::from_secs(1);

/// Number of last lines of output in an error message.
const LAST_LINES: usize = 3;

/// Running server process; dropped, it is ended.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    /// Receiver of the last line on its standard output, if that is read.
    last_line: Option<mpsc::Receiver<String>>,
    /// Log files, the most relevant last.
    logs: Vec<PathBuf>,
}

/// Start of a server that does not report its readiness.
#[derive(Debug)]
pub struct Launch {
    /// Command, which stays in the foreground.
    pub command: Command,
    /// Address on which it is to listen.
    pub address: SocketAddr,
    /// Check of its readiness.
    pub check: ReadyCheck,
    /// File for its standard output and standard error.
    pub log: PathBuf,
    /// Log file that the server itself writes.
    pub own_log: Option<PathBuf>,
    /// Number of threads of its process tree at which it counts as ready.
    pub threads: usize,
}

/// Check of a server's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyCheck {
    /// It answers in HTTP.
    Http,
    /// It sends a line back unchanged.
    Echo,
    /// It listens on its port. No connection is opened, which a server of one request may not survive.
    Listening,
}

impl ServerProcess {
    /// Starts a server that prints `listening on ADDRESS` when it is ready, on the given cores (none:
    /// on any). Its standard error goes to `log`.
    ///
    /// # Errors
    /// The server cannot be started, exits, or is not ready in time; or another process listens on
    /// its port.
    pub fn start(mut command: Command, cores: &[usize], log: &Path) -> anyhow::Result<Self> {
        let _ = fs::remove_file(log);
        command.stdout(Stdio::piped());
        let mut child = spawn(command, cores, log)?;
        let stdout = child.stdout.take().expect("it was asked for");
        let (send, received) = mpsc::channel();
        let (send_last, last_line) = mpsc::channel();
        read_lines(stdout, send, send_last);
        // From here on dropping the value ends the child.
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        let logs = vec![log.to_owned()];
        let mut server = Self { child, address: unspecified, last_line: Some(last_line), logs };
        server.address = match received.recv_timeout(START_TIME) {
            Ok(Some(Ok(line))) => line
                .strip_prefix(READY)
                .and_then(|address| address.trim().parse().ok())
                .with_context(|| format!("the server's first line is '{line}', not '{READY}…'"))?,
            Ok(_) => bail!("the server ended before it was ready: {}", server.last_words()),
            Err(_) => bail!("the server was not ready within {} s", START_TIME.as_secs()),
        };
        TcpStream::connect_timeout(&server.address, START_TIME)
            .with_context(|| format!("the server does not answer on {}", server.address))?;
        ensure!(
            server.owns_its_port(),
            "{} is answered by another process than the server just started",
            server.address
        );
        Ok(server)
    }

    /// Starts a server with a given address, and waits until it replies there and all its workers
    /// run.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn launch(launch: Launch, cores: &[usize]) -> anyhow::Result<Self> {
        let Launch { mut command, address, check, log, own_log, threads } = launch;
        let outputs = File::create(&log)
            .with_context(|| format!("cannot create the server's log {}", log.display()))?;
        command.stdout(outputs);
        let child = spawn(command, cores, &log)?;
        let logs = [Some(log), own_log].into_iter().flatten().collect();
        let mut server = Self { child, address, last_line: None, logs };
        let deadline = Instant::now() + START_TIME;
        loop {
            if server.has_ended() {
                bail!("the server ended before it was ready: {}", server.last_words());
            }
            let checked = match check {
                ReadyCheck::Http => probe::answers(address),
                ReadyCheck::Echo => probe::echoes(address),
                ReadyCheck::Listening if server.owns_its_port() => Ok(()),
                ReadyCheck::Listening => {
                    Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
                }
            };
            if let Err(NotReady::Other(what)) = &checked
                && server.owns_its_port()
            {
                bail!("{what}: choose --service and --wire that it supports");
            }
            if checked.is_ok() {
                let tree = process_tree::of(server.pid());
                ensure!(
                    server.has_ended() || server.owns_its_port(),
                    "{address} is answered by another process than the server just started: \
                     Address already in use"
                );
                if process_tree::threads(&tree) >= threads as u64 {
                    return Ok(server);
                }
            }
            if Instant::now() > deadline {
                let seconds = START_TIME.as_secs();
                bail!("the server was not ready within {seconds} s: {}", server.last_lines());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Exit status and last output, if it exited early.
    pub fn death(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{}: {}", in_words(status), self.last_lines()))
    }

    /// Ends the server by SIGTERM, then by SIGKILL. Returns the final report of a built-in server.
    pub fn stop(mut self) -> Option<ServeReport> {
        self.end();
        self.last_line.take()?.recv_timeout(END_TIME).ok()?.parse().ok()
    }

    fn end(&mut self) {
        let tree = process_tree::of(self.pid());
        self.end_first();
        // Children may outlive it.
        process_tree::kill_what_is_left(tree.get(1..).unwrap_or_default());
    }

    fn end_first(&mut self) {
        if self.has_ended() {
            return;
        }
        let pid = Pid::from_child(&self.child);
        // The signal fails only if the child has ended and is not reaped yet.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + STOP_TIME;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Exit status and last output of a server that has ended or is about to.
    fn last_words(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            match self.death() {
                Some(death) => return death,
                None if Instant::now() > deadline => {
                    return format!("it closed its output: {}", self.last_lines());
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Last lines of its logs, joined.
    fn last_lines(&self) -> String {
        let mut lines = Vec::new();
        for log in &self.logs {
            let text = fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let said = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let said: Vec<_> = said.map(str::to_owned).collect();
            lines.extend_from_slice(&said[said.len().saturating_sub(LAST_LINES)..]);
        }
        if lines.is_empty() {
            return "it printed nothing".to_owned();
        }
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }

    /// Returns true if it or one of its children owns the listening socket on its port, and not an
    /// earlier server.
    fn owns_its_port(&self) -> bool {
        process_tree::of(self.pid()).iter().any(|process| listens(process, self.address.port()))
    }
}

/// Sends the first line at once and the last one at the end.
fn read_lines(
    stdout: ChildStdout,
    send_first: mpsc::Sender<Option<io::Result<String>>>,
    send_last: mpsc::Sender<String>,
) {
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        // The receiver may be gone; the pipe must be drained nevertheless.
        let _ = send_first.send(lines.next());
        let last = lines.map_while(Result::ok).last();
        let _ = send_last.send(last.unwrap_or_default());
    });
}

fn spawn(mut command: Command, cores: &[usize], log: &Path) -> anyhow::Result<Child> {
    let stderr = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot create the server's log {}", log.display()))?;
    // A process group of its own: Ctrl-C on the terminal reaches only the harness, which ends the
    // server.
    isolate(&mut command).stdin(Stdio::null()).stderr(stderr).process_group(0);
    let _pinned = Pinned::to(cores).context("cannot pin the server to its cores")?;
    command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))
}

fn listens(process: &Process, port: u16) -> bool {
    let sockets = || {
        let listening = process.tcp().ok()?.into_iter().chain(process.tcp6().ok()?);
        let inodes: Vec<u64> = listening
            .filter(|entry| {
                entry.state == procfs::net::TcpState::Listen && entry.local_address.port() == port
            })
            .map(|entry| entry.inode)
            .collect();
        let mut descriptors = process.fd().ok()?.flatten();
        Some(
            descriptors
                .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode))),
        )
    };
    sockets().unwrap_or(false)
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn refusal(script: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let started = ServerProcess::start(shell(script), &[], &folder.path().join("log"));
        format!("{:#}", started.unwrap_err())
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_last_words() {
        let message = refusal("echo error: no such folder >&2; exit 2");
        assert!(message.contains("ended with exit code 2: error: no such folder"), "{message}");
    }

    #[test]
    fn a_server_that_says_something_else_is_refused() {
        let message = refusal("echo hello; sleep 30");
        assert!(message.contains("first line is 'hello'"), "{message}");
    }

    #[test]
    fn what_a_server_tells_at_its_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo ended requests=5 sendfile_bytes=9; exit' TERM\n\
                      echo listening on 127.0.0.1:1; echo more; while :; do sleep 0.01; done";
        let log = folder.path().join("log");
        let mut command = shell(script);
        command.stdout(Stdio::piped());
        // Nothing listens there, so the parts are assembled here.
        let mut child = spawn(command, &[], &log).unwrap();
        let (send, received) = mpsc::channel();
        let (send_last, last_line) = mpsc::channel();
        read_lines(child.stdout.take().unwrap(), send, send_last);
        assert_eq!(received.recv().unwrap().unwrap().unwrap(), "listening on 127.0.0.1:1");
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let server = ServerProcess { child, address, last_line: Some(last_line), logs: vec![log] };
        let report = server.stop().unwrap();
        assert_eq!((report.requests, report.sent.sendfile), (5, 9));
    }

    #[test]
    fn an_old_server_on_the_port_is_noticed() {
        let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = old.local_addr().unwrap();
        let message = refusal(&format!("echo listening on {address}; sleep 30"));
        assert!(message.contains("answered by another process"), "{message}");
    }
}
