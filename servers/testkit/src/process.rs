//! A server in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use program::environment::isolate;

/// A server process that listens; killed and reaped when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    /// The process.
    pub child: Child,
    /// Address it listens on.
    pub address: SocketAddr,
    /// Standard output after the line with the address; `None` closes it.
    pub stdout: Option<BufReader<ChildStdout>>,
}

impl ServerProcess {
    /// Runs a command that prints `listening on ADDRESS` first, without settings of the surroundings.
    ///
    /// # Errors
    /// The first line, if it is another one. The process has ended then.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let spawned = isolate(command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("the program can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let address = line.strip_prefix("listening on ").and_then(|line| line.trim().parse().ok());
        match address.filter(|_| read.is_ok()) {
            Some(address) => Ok(Self { child, address, stdout: Some(stdout) }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(line)
            }
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Fails only for a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `server` program beside the running test program. Cargo builds it for `cargo test` of the
/// workspace, and not for tests of another package alone.
///
/// # Panics
/// It is missing, or older than one of its source files.
pub fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the test program has a path");
        let program = test.ancestors().nth(2).expect("it lies in deps/").join("server");
        let built = modified(&program);
        // Cargo lists the sources of a program beside it: `PROGRAM: SOURCE SOURCE …`.
        let sources = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
        let is_current = sources.split_whitespace().skip(1).all(|source| modified(source) <= built);
        assert!(
            built.is_some() && is_current,
            "{} is missing or out of date: run cargo build -p fileserver{}, or test the whole \
             workspace",
            program.display(),
            if cfg!(debug_assertions) { "" } else { " --release" }
        );
        program
    })
}

fn modified(path: impl AsRef<Path>) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}
