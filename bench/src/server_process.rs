//! A server as a process of its own: started, awaited, stopped, and never left behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use procfs::process::{FDTarget, Process};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Pinned;

/// What the first line of a server's standard output begins with.
const READY: &str = "listening on ";

/// For a server to say that it is ready.
const START_TIME: Duration = Duration::from_secs(10);

/// For a server to end after SIGTERM, before it is killed.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts a server that prints `listening on ADDRESS` when it is ready, on the given cores
    /// (none: on any); what it writes to standard error goes to `log`.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time; or another process answers on its
    /// port.
    pub fn start(mut command: Command, cores: &[usize], log: &Path) -> anyhow::Result<Self> {
        let stderr = File::create(log)
            .with_context(|| format!("cannot create the server's log {}", log.display()))?;
        // A group of its own: Ctrl-C on the terminal is for the harness, which ends the server
        // when the trial is on disk.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        let mut child = {
            let _pinned = Pinned::to(cores).context("cannot choose the server's cores")?;
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?
        };
        let stdout = child.stdout.take().expect("it was asked for");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // Whoever waited may have gone; the pipe must be emptied all the same.
            let _ = tell.send(lines.next());
            lines.take_while(Result::is_ok).for_each(drop);
        });
        // From here on the child is ended whatever happens.
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, address: unspecified, log: log.to_owned() };
        server.address = match told.recv_timeout(START_TIME) {
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended and what it said last, if it ended though nobody told it to.
    pub fn death(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{}: {}", in_words(status), self.last_line()))
    }

    /// Ends it: politely, then by force.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let pid = Pid::from_child(&self.child);
        // A signal can only fail to reach a child that has ended and waits to be reaped.
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

    /// How it ended, now that it has or soon will.
    fn last_words(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            match self.death() {
                Some(death) => return death,
                None if Instant::now() > deadline => {
                    return format!("it closed its output: {}", self.last_line());
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn last_line(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(|| "without a word".to_owned(), |line| line.trim().to_owned())
    }

    /// Whether the listening socket on its port is its own, and not an old server's.
    fn owns_its_port(&self) -> bool {
        let sockets =
            || {
                let process = Process::new(i32::try_from(self.child.id()).ok()?).ok()?;
                let listening = process.tcp().ok()?.into_iter().chain(process.tcp6().ok()?);
                let inodes: Vec<u64> = listening
                    .filter(|entry| {
                        entry.state == procfs::net::TcpState::Listen
                            && entry.local_address.port() == self.address.port()
                    })
                    .map(|entry| entry.inode)
                    .collect();
                Some(process.fd().ok()?.flatten().any(
                    |fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)),
                ))
            };
        sockets().unwrap_or(false)
    }
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
    fn an_old_server_on_the_port_is_noticed() {
        let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = old.local_addr().unwrap();
        let message = refusal(&format!("echo listening on {address}; sleep 30"));
        assert!(message.contains("answered by another process"), "{message}");
    }
}
