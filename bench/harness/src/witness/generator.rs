//! Load generators: the built-in one and those of other projects.

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use loadgen::Engine;
use program::environment::isolate;

/// Load generator that keeps its connections open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generator {
    /// The built-in one.
    BuiltIn(Engine),
    /// wrk.
    Wrk,
    /// h2load of nghttp2, with HTTP/1.1.
    H2load,
    /// ab of Apache httpd, with HTTP/1.0 and keep-alive.
    Ab,
    /// oha.
    Oha,
}

/// Result of an external generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// Completed requests, failed ones included.
    pub(super) requests: u64,
    /// Requests without a successful reply.
    pub(super) failed: u64,
}

/// Time that a generator may take longer than its load.
const GRACE: Duration = Duration::from_secs(15);

impl Generator {
    /// External generators.
    pub(super) const EXTERNAL: [Self; 4] = [Self::Wrk, Self::H2load, Self::Ab, Self::Oha];

    /// Name in tables and records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BuiltIn(Engine::Epoll) => "built-in (epoll)",
            Self::BuiltIn(Engine::Uring) => "built-in (uring)",
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
            Self::Ab => "ab",
            Self::Oha => "oha",
        }
    }

    /// Version; `None` if the program is not installed.
    pub(super) fn version(self) -> Option<String> {
        let flag = match self {
            Self::BuiltIn(_) => return Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Wrk => "-v",
            Self::Ab => "-V",
            Self::H2load | Self::Oha => "--version",
        };
        let output = Command::new(self.name()).arg(flag).stdin(Stdio::null()).output().ok()?;
        // wrk prints its version and exits with 1.
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let word = printed
            .split_whitespace()
            .map(|word| word.rsplit('/').next().unwrap_or(word))
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Some(word.unwrap_or("unknown version").to_owned())
    }

    /// Runs an external generator with one thread, on the cores of the calling thread.
    ///
    /// # Errors
    /// It cannot be started, fails, prints no number of requests, or is interrupted by `stop`.
    pub(super) fn run(
        self,
        server: SocketAddr,
        file: &str,
        connections: usize,
        duration: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Counted> {
        let child = isolate(&mut Command::new(self.name()))
            .args(self.arguments(&format!("http://{server}/{file}"), connections, duration))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.name()))?;
        let output = finished(child, duration + GRACE, stop)?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{} failed: {}",
            self.name(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        self.counted(&printed)
            .with_context(|| format!("{} printed no number of requests", self.name()))
    }

    fn arguments(self, url: &str, connections: usize, duration: Duration) -> Vec<String> {
        let (connections, seconds) = (connections.to_string(), duration.as_secs().to_string());
        let words = match self {
            Self::BuiltIn(_) => return Vec::new(),
            Self::Wrk => format!("-t1 -c{connections} -d{seconds}s {url}"),
            Self::H2load => format!("--h1 -t1 -c{connections} -D{seconds} {url}"),
            // `-t` sets `-n` to 50,000: a later `-n` replaces it. ab allocates memory for as many.
            Self::Ab => {
                let most = duration.as_secs() * 500_000;
                format!("-q -k -c{connections} -t{seconds} -n{most} {url}")
            }
            Self::Oha => format!("--no-tui -c{connections} -z{seconds}s {url}"),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    fn counted(self, printed: &str) -> Option<Counted> {
        // The number before the first of some words.
        let before = |words: &str| -> Option<u64> {
            let (text, _) = printed.split_once(words)?;
            text.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let after = |words: &str| -> Option<u64> {
            let (_, text) = printed.split_once(words)?;
            let text = text.trim_start();
            text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
        };
        match self {
            Self::BuiltIn(_) => None,
            Self::Wrk => {
                let refused = after("Non-2xx or 3xx responses:").unwrap_or(0);
                let broken: u64 = ["Socket errors: connect", ", read", ", write", ", timeout"]
                    .into_iter()
                    .filter(|_| printed.contains("Socket errors:"))
                    .filter_map(after)
                    .sum();
                Some(Counted { requests: before(" requests in ")?, failed: refused + broken })
            }
            Self::H2load => {
                let (done, succeeded) = (before(" done,")?, before(" succeeded,")?);
                Some(Counted { requests: done, failed: done.saturating_sub(succeeded) })
            }
            Self::Ab => {
                let failed = after("Failed requests:")? + after("Non-2xx responses:").unwrap_or(0);
                Some(Counted { requests: after("Complete requests:")?, failed })
            }
            Self::Oha => {
                let (_, codes) = printed.split_once("Status code distribution:")?;
                let lines = codes.lines().map(str::trim).filter(|line| line.ends_with("responses"));
                let each = lines.filter_map(|line| {
                    let (code, count) = line.strip_prefix('[')?.split_once("] ")?;
                    Some((code.starts_with('2'), count.split(' ').next()?.parse::<u64>().ok()?))
                });
                let each: Vec<_> = each.collect();
                let requests = each.iter().map(|(_, count)| count).sum();
                let failed = each.iter().filter(|(good, _)| !good).map(|(_, count)| count).sum();
                (!each.is_empty()).then_some(Counted { requests, failed })
            }
        }
    }
}

/// Output of a child, which is killed at the end of `patience` or when `stop` is set.
fn finished(
    mut child: Child,
    patience: Duration,
    stop: &AtomicBool,
) -> anyhow::Result<std::process::Output> {
    let deadline = Instant::now() + patience;
    loop {
        // The output of a generator fits into the pipe: a few lines.
        if child.try_wait()?.is_some() {
            return Ok(child.wait_with_output()?);
        }
        let is_late = Instant::now() > deadline;
        if is_late || stop.load(Ordering::SeqCst) {
            let _ = child.kill();
            let _: io::Result<_> = child.wait();
            if is_late {
                bail!("the generator did not end within {} s", patience.as_secs());
            }
            bail!("interrupted");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_output_of_each_generator() {
        let wrk = "Running 1s test @ http://127.0.0.1:1/f\n  1 threads and 8 connections\n  \
                   27472 requests in 1.01s, 35.45MB read\nRequests/sec:  27149.97\n";
        assert_eq!(Generator::Wrk.counted(wrk), Some(Counted { requests: 27472, failed: 0 }));
        let refused = format!(
            "{wrk}  Socket errors: connect 0, read 2, write 0, timeout 1\n  \
             Non-2xx or 3xx responses: 28796\n"
        );
        let counted = Generator::Wrk.counted(&refused).unwrap();
        assert_eq!(counted.failed, 28796 + 3);
        let h2load = "finished in 1.00s, 123.00 req/s\nrequests: 9 total, 12 started, 9 done, \
                      7 succeeded, 2 failed, 0 errored, 0 timeout\n";
        assert_eq!(Generator::H2load.counted(h2load), Some(Counted { requests: 9, failed: 2 }));
        let ab = "Complete requests:      27792\nFailed requests:        1\n   (Connect: 0)\n\
                  Non-2xx responses:      4\nKeep-Alive requests:    27792\n";
        assert_eq!(Generator::Ab.counted(ab), Some(Counted { requests: 27792, failed: 5 }));
        let oha = "Summary:\n  Success rate:\t100.00%\n\nStatus code distribution:\n  [200] 12 \
                   responses\n  [404] 3 responses\n\nError distribution:\n  [8] aborted due to \
                   deadline\n";
        assert_eq!(Generator::Oha.counted(oha), Some(Counted { requests: 15, failed: 3 }));
        for generator in Generator::EXTERNAL {
            assert_eq!(generator.counted("unable to connect"), None, "{generator:?}");
        }
    }

    #[test]
    fn a_generator_that_hangs_is_ended() {
        let sleeper = || {
            let mut command = Command::new("sleep");
            command.arg("600").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let late = finished(sleeper(), Duration::ZERO, &AtomicBool::new(false)).unwrap_err();
        assert!(late.to_string().contains("within 0 s"), "{late}");
        let stopped = finished(sleeper(), GRACE, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(stopped.to_string(), "interrupted");
    }
}
