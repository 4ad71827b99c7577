//! Processes that share the listening socket, each serving one connection at a time.

pub(crate) mod child;
mod link;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{self, Child as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::Strategy;
use super::parts::waker::EventfdWaker;
use crate::lab::console::Console;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState};

use link::{Command, Link, Message};

/// Processes wait in `accept` on one listening socket and serve whom they get to the end, one
/// connection each at a time: Apache's oldest way, and the only one here whose connections share
/// no memory. What breaks one process leaves the others alone.
///
/// The parent serves nobody. It keeps a few processes spare, up to the site's workers in all (and
/// no more than the gate admits), and puts another in the place of one that dies.
#[derive(Debug, Default)]
pub struct Prefork {
    program: Option<Program>,
}

/// How a further process is started.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Processes that wait for connections, at least (Apache's `MinSpareServers`): as many connections
/// as this can come at once without waiting for a process to start.
const SPARE: usize = 5;
/// What was heard from the processes is looked at no more often than this, so that clients that
/// come and go quickly do not have the parent woken twice for each.
const ROUND: Duration = Duration::from_millis(2);
/// A process that lives shorter than this and has served nobody is not replaced at once,
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// but after this time, and after twice the time for the next,
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// How long processes that were told to end at once may take.
const CLEARING: Duration = Duration::from_millis(500);

impl Prefork {
    /// A strategy whose processes run this very program with the arguments it was given, which
    /// must have been those of a server: see [`command::run`](crate::cli::run).
    ///
    /// # Errors
    /// The program's file cannot be told.
    pub(crate) fn of_this_program() -> io::Result<Self> {
        let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
        arguments.push(child::FLAG.into());
        Ok(Self { program: Some(Program { path: std::env::current_exe()?, arguments }) })
    }
}

impl Strategy for Prefork {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let Some(program) = &self.program else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "prefork starts further processes of its program, and this program is no server; \
                 start one with: server --strategy prefork",
            ));
        };
        let wake = Arc::new(EventfdWaker::new()?);
        let (closing, woken) = (listener.clone(), Arc::clone(&wake));
        shutdown.on_trigger(move |_| {
            // Of the socket that all share: whoever waits in accept returns.
            closing.close();
            woken.wake();
        });
        let mut pool = Pool {
            program,
            listener,
            console: &server.console,
            most: server.workers.min(server.limit.max()),
            wake,
            workers: Vec::new(),
            pause: None,
            back_off: FIRST_BACK_OFF,
            has_served: false,
            ended: ServeReport::default(),
        };
        let outcome = pool.run(shutdown);
        pool.end(shutdown, server.drain);
        outcome.map(|()| pool.ended)
    }
}

/// The processes and what is known of them.
struct Pool<'p> {
    program: &'p Program,
    listener: &'p Listener,
    console: &'p Console,
    /// How many processes there may be.
    most: usize,
    /// Readable once the shutdown is triggered.
    wake: Arc<EventfdWaker>,
    workers: Vec<Worker>,
    /// No process is started before then.
    pause: Option<Instant>,
    back_off: Duration,
    /// Whether any process ever came so far as to accept.
    has_served: bool,
    /// What those that have ended did.
    ended: ServeReport,
}

/// One process that serves.
struct Worker {
    process: Process,
    link: Link,
    started: Instant,
    state: ProcessState,
    /// What it did up to its last connection's end.
    report: ServeReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessState {
    Starting,
    Idle,
    Busy,
    Gone,
}

impl Pool<'_> {
    /// Keeps enough processes until the shutdown is triggered.
    fn run(&mut self, shutdown: &Shutdown) -> io::Result<()> {
        while !shutdown.is_triggered() {
            self.replenish()?;
            let poll_timeout =
                self.pause.map(|until| until.saturating_duration_since(Instant::now()));
            if self.wait_for_messages(poll_timeout)? {
                std::thread::sleep(ROUND);
            }
            for (status, worker) in self.reap()? {
                if shutdown.is_triggered() {
                    break;
                }
                tracing::warn!("a process ended: {status}; another takes its place");
                self.note_early_end(&worker, &status)?;
            }
        }
        Ok(())
    }

    /// Starts processes until enough of them wait for connections.
    fn replenish(&mut self) -> io::Result<()> {
        if self.pause.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        self.pause = None;
        let busy = self.workers.iter().filter(|worker| worker.state == ProcessState::Busy).count();
        let wanted = self.most.min(busy + SPARE);
        while self.workers.len() < wanted {
            match self.program.start(self.listener) {
                Ok(worker) => self.workers.push(worker),
                Err(error) if self.workers.is_empty() && !self.has_served => return Err(error),
                Err(error) => {
                    tracing::warn!("no further process can be started for now: {error}");
                    self.pause = Some(Instant::now() + EXHAUSTION_PAUSE);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits until a process has something to say, the shutdown is triggered, or the time is over.
    /// Tells whether anything was said.
    fn wait_for_messages(&mut self, poll_timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = poll_timeout.and_then(|poll_timeout| Timespec::try_from(poll_timeout).ok());
        let mut watched = Vec::with_capacity(1 + self.workers.len());
        watched.push(PollFd::new(&self.wake, PollFlags::IN));
        watched.extend(self.workers.iter().map(|w| PollFd::new(&w.link, PollFlags::IN)));
        match rustix::event::poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready: Vec<_> = watched[1..].iter().map(|fd| !fd.revents().is_empty()).collect();
        for (worker, _) in self.workers.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
            worker.receive(self.console);
            self.has_served |= matches!(worker.state, ProcessState::Idle | ProcessState::Busy);
        }
        Ok(ready.contains(&true))
    }

    /// Takes out the processes that have ended, and counts what they did.
    fn reap(&mut self) -> io::Result<Vec<(String, Worker)>> {
        let mut gone = Vec::new();
        for mut worker in self.workers.extract_if(.., |worker| worker.state == ProcessState::Gone) {
            let status = worker.process.wait()?;
            self.ended.add(worker.report);
            gone.push((status.to_string(), worker));
        }
        Ok(gone)
    }

    /// Has the next process wait a while where one ended that was of no use: it may be the same
    /// with the next.
    ///
    /// # Errors
    /// None ever was of any use.
    fn note_early_end(&mut self, worker: &Worker, status: &str) -> io::Result<()> {
        let useless = worker.report.connections == 0 && worker.started.elapsed() < SHORT_LIFE;
        if !useless {
            self.back_off = FIRST_BACK_OFF;
            return Ok(());
        }
        if !self.has_served {
            let message = format!("a process ended before it could serve: {status}");
            return Err(io::Error::other(message));
        }
        self.pause = Some(Instant::now() + self.back_off);
        self.back_off = (2 * self.back_off).min(LONGEST_BACK_OFF);
        Ok(())
    }

    /// Has all processes end: those that are busy after their request, and at once when it has
    /// taken too long or the shutdown is urgent.
    fn end(&mut self, shutdown: &Shutdown, drain: Duration) {
        self.listener.close();
        self.send_command(Command::Drain);
        self.wait_for_end(Instant::now() + drain, || shutdown.is_urgent());
        self.send_command(Command::End);
        self.wait_for_end(Instant::now() + CLEARING, || false);
        for mut worker in self.workers.drain(..) {
            // It may have ended by now.
            let _ = worker.process.kill();
            let _ = worker.process.wait();
            if worker.state == ProcessState::Busy {
                worker.report.connections += 1;
                worker.report.broken += 1;
            }
            self.ended.add(worker.report);
        }
    }

    fn send_command(&self, command: Command) {
        for worker in &self.workers {
            worker.link.send_command(command);
        }
    }

    fn wait_for_end(&mut self, deadline: Instant, is_over: impl Fn() -> bool) {
        while !self.workers.is_empty() {
            // Heard, so that only a further trigger wakes it; looked at after that.
            self.wake.clear();
            let left = deadline.saturating_duration_since(Instant::now());
            let is_over = is_over() || left.is_zero();
            if is_over || self.wait_for_messages(Some(left)).is_err() || self.reap().is_err() {
                break;
            }
        }
    }
}

impl Program {
    fn start(&self, listener: &Listener) -> io::Result<Worker> {
        let (ours, theirs) = link::pair()?;
        let listener = listener.as_fd().try_clone_to_owned()?;
        let process = process::Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::from(listener))
            .stdout(Stdio::from(theirs))
            .spawn()?;
        Ok(Worker {
            process,
            link: ours,
            started: Instant::now(),
            state: ProcessState::Starting,
            report: ServeReport::default(),
        })
    }
}

impl Worker {
    /// Takes in what it has said.
    fn receive(&mut self, console: &Console) {
        loop {
            match self.link.receive_message() {
                Some(Message::Busy) => self.state = ProcessState::Busy,
                Some(Message::Idle(report)) => {
                    self.state = ProcessState::Idle;
                    self.report = report;
                }
                Some(Message::Shown(line)) => console.show_line(&line),
                Some(Message::Gone) => {
                    // Its connection went with it.
                    if self.state == ProcessState::Busy {
                        tracing::error!(
                            "process {} ended while it served a connection; the others go on",
                            self.process.id(),
                        );
                        self.report.connections += 1;
                        self.report.panics += 1;
                    }
                    self.state = ProcessState::Gone;
                    return;
                }
                None => return,
            }
        }
    }
}
