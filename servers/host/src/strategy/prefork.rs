//! Processes that share the listener, each serving one connection at a time.

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
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState};
use crate::server::status::{self, Bytes};

use link::{Command, Link, Message};

/// Processes wait in `accept` on one listener, and each serves one connection at a time to its end,
/// as Apache's prefork MPM. Connections share no memory: a crash ends one process and leaves the
/// others alone.
///
/// The parent serves no connection. It keeps a few processes spare, up to the server's number of
/// workers in all (and no more than the connection limit), replaces those that end, and retires those
/// that have waited long while others are spare.
#[derive(Debug, Default)]
pub struct Prefork {
    program: Option<Program>,
}

/// Command that starts a further process.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Least number of processes that wait for connections (Apache's `MinSpareServers`): as many
/// connections can come at once without waiting for a process to start.
const SPARE: usize = 5;
/// Time that a process waits for a connection, while more than [`SPARE`] wait, before it is retired.
/// The kernel wakes waiting processes in turn, so a load that needs them all lets none wait as long.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Interval at which a process that waits in `accept` checks whether it is retired.
const RETIREMENT_CHECK: Duration = Duration::from_secs(1);
/// Shortest time between two looks at the processes' messages, so that short connections do not
/// wake the parent twice each.
const ROUND: Duration = Duration::from_millis(2);
/// Lifetime below which a process that has served no connection is not replaced at once,
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// but after this time, which doubles for each further one
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Time for processes to end at once.
const CLEARING: Duration = Duration::from_millis(500);
/// Remedy where the first process cannot serve.
const REMEDY: &str = "if threads or processes are lacking, raise the limit (ulimit -u)";

impl Prefork {
    /// Strategy whose processes run this program with the same arguments, which must be those of a
    /// server: see [`cli::run`](crate::cli::run).
    ///
    /// # Errors
    /// The path of the program is unknown.
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
                "prefork starts further processes of its own program, which must be a server; \
                 use: server --strategy prefork",
            ));
        };
        let wake = Arc::new(EventfdWaker::new()?);
        let (closing, woken) = (listener.clone(), Arc::clone(&wake));
        shutdown.on_trigger(move |_| {
            // Processes that wait in accept on the shared socket return.
            closing.close();
            woken.wake();
        });
        listener.set_accept_timeout(RETIREMENT_CHECK)?;
        let mut pool = Pool {
            program,
            listener,
            server,
            most: server.workers.min(server.limit.max()),
            wake,
            workers: Vec::new(),
            pause: None,
            back_off: FIRST_BACK_OFF,
            can_serve: false,
            ended: ServeReport::default(),
        };
        let outcome = pool.run(shutdown);
        pool.end(shutdown, server.drain);
        outcome.map(|()| pool.ended)
    }
}

/// Processes and their states.
struct Pool<'p> {
    program: &'p Program,
    listener: &'p Listener,
    server: &'p ServerState,
    /// Most processes.
    most: usize,
    /// Readable once the shutdown is triggered.
    wake: Arc<EventfdWaker>,
    workers: Vec<Worker>,
    /// Time before which no process is started.
    pause: Option<Instant>,
    back_off: Duration,
    /// True once a process has waited for connections.
    can_serve: bool,
    /// Counts of the processes that have ended.
    ended: ServeReport,
}

/// One process that serves.
struct Worker {
    process: Process,
    link: Link,
    started: Instant,
    state: ProcessState,
    /// Time at which its last wait for a connection began.
    since: Instant,
    /// True once it was told to end when it next has no connection.
    is_retiring: bool,
    wants_status: bool,
    /// Counts up to the end of its last connection.
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
    ///
    /// The first process starts alone: where threads are scarce, several at once could take from each
    /// other the ones that one of them needs.
    fn run(&mut self, shutdown: &Shutdown) -> io::Result<()> {
        while !shutdown.is_triggered() {
            self.replenish()?;
            let next = [self.pause, self.retire()].into_iter().flatten().min();
            let poll_timeout = next.map(|next| next.saturating_duration_since(Instant::now()));
            let has_messages = self.wait_for_messages(poll_timeout)?;
            self.report_readiness();
            if has_messages {
                std::thread::sleep(ROUND);
            }
            for (status, worker) in self.reap()? {
                if shutdown.is_triggered() {
                    break;
                }
                if worker.is_retiring {
                    continue;
                }
                tracing::warn!("a process ended: {status}; another one replaces it");
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
        let staying = self.workers.iter().filter(|worker| !worker.is_retiring);
        let busy = staying.clone().filter(|worker| worker.state == ProcessState::Busy).count();
        let wanted = if self.can_serve { busy + SPARE } else { 1 };
        let mut missing = wanted.saturating_sub(staying.count());
        while missing > 0 && self.workers.len() < self.most {
            missing -= 1;
            match self.program.start(self.listener) {
                Ok(worker) => self.workers.push(worker),
                Err(error) if !self.can_serve => {
                    return Err(io::Error::other(format!(
                        "its first process cannot be created: {error}; {REMEDY}"
                    )));
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot start a further process now, trying again later: {error}"
                    );
                    self.pause = Some(Instant::now() + EXHAUSTION_PAUSE);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Retires processes that have waited long and are not needed. Returns the time of the next check.
    fn retire(&mut self) -> Option<Instant> {
        let is_idle = |w: &Worker| w.state == ProcessState::Idle && !w.is_retiring;
        let mut excess = self.workers.iter().filter(|w| is_idle(w)).count().saturating_sub(SPARE);
        for worker in self.workers.iter_mut().filter(|w| is_idle(w)) {
            if excess > 0 && worker.since.elapsed() >= LONGEST_WAIT {
                worker.link.send_command(Command::Retire);
                worker.is_retiring = true;
                excess -= 1;
            }
        }
        let first = self.workers.iter().filter(|w| is_idle(w)).map(|w| w.since).min();
        first.filter(|_| excess > 0).map(|since| since + LONGEST_WAIT)
    }

    /// Waits for a message, the trigger or the timeout. Returns whether a message came.
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
            worker.receive(self.server);
        }
        self.answer_status();
        Ok(ready.contains(&true))
    }

    /// Reports once that a process waits for connections. Not while the processes are being ended.
    fn report_readiness(&mut self) {
        let accepts = |w: &Worker| matches!(w.state, ProcessState::Idle | ProcessState::Busy);
        if !self.can_serve && self.workers.iter().any(accepts) {
            self.can_serve = true;
            self.server.readiness.report();
        }
    }

    /// Sends the status to the processes that want it.
    fn answer_status(&mut self) {
        if !self.workers.iter().any(|worker| worker.wants_status) {
            return;
        }
        let count = |state| self.workers.iter().filter(|w| w.state == state).count() as u64;
        let busy = count(ProcessState::Busy);
        let states = [("serving", busy)];
        let mut report = self.ended;
        for worker in &self.workers {
            report.add(worker.report);
        }
        // Those being served.
        report.connections += busy;
        let workers = [
            ("processes", self.workers.len() as u64),
            ("processes_idle", count(ProcessState::Idle)),
            ("processes_starting", count(ProcessState::Starting)),
        ];
        let bytes = Bytes { sent: report.sent.total(), received: None };
        let status = status::json(self.server, &states, &report, &bytes, &workers);
        for worker in &mut self.workers {
            if std::mem::take(&mut worker.wants_status) {
                worker.link.send_command(Command::Status(status.clone()));
            }
        }
    }

    /// Removes the processes that have ended, and adds their counts.
    fn reap(&mut self) -> io::Result<Vec<(String, Worker)>> {
        let mut gone = Vec::new();
        for mut worker in self.workers.extract_if(.., |worker| worker.state == ProcessState::Gone) {
            let status = worker.process.wait()?;
            self.ended.add(worker.report);
            gone.push((status.to_string(), worker));
        }
        Ok(gone)
    }

    /// Delays the next process after one that ended early: the next may do the same.
    ///
    /// # Errors
    /// No process has ever waited for connections.
    fn note_early_end(&mut self, worker: &Worker, status: &str) -> io::Result<()> {
        if !self.can_serve {
            return Err(io::Error::other(format!(
                "its first process ended before it could serve: {status}; {REMEDY}"
            )));
        }
        let useless = worker.report.connections == 0 && worker.started.elapsed() < SHORT_LIFE;
        if !useless {
            self.back_off = FIRST_BACK_OFF;
            return Ok(());
        }
        self.pause = Some(Instant::now() + self.back_off);
        self.back_off = (2 * self.back_off).min(LONGEST_BACK_OFF);
        Ok(())
    }

    /// Ends all processes: busy ones after their request, and at once at the end of the drain
    /// timeout or on a second trigger.
    fn end(&mut self, shutdown: &Shutdown, drain: Duration) {
        self.listener.close();
        self.send_command(&Command::Drain);
        self.wait_for_end(Instant::now() + drain, || shutdown.is_urgent());
        self.send_command(&Command::End);
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

    fn send_command(&self, command: &Command) {
        for worker in &self.workers {
            worker.link.send_command(command.clone());
        }
    }

    fn wait_for_end(&mut self, deadline: Instant, is_over: impl Fn() -> bool) {
        while !self.workers.is_empty() {
            // Cleared, so that only a further trigger wakes it.
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
            since: Instant::now(),
            is_retiring: false,
            wants_status: false,
            report: ServeReport::default(),
        })
    }
}

impl Worker {
    /// Handles its messages.
    fn receive(&mut self, server: &ServerState) {
        loop {
            match self.link.receive_message() {
                Some(Message::Busy) => self.state = ProcessState::Busy,
                Some(Message::Idle(report)) => {
                    self.state = ProcessState::Idle;
                    self.since = Instant::now();
                    self.report = report;
                }
                Some(Message::Shown(line)) => server.console.show_line(&line),
                Some(Message::Logged(lines)) => {
                    if let Some(log) = &server.access_log {
                        log.write_lines(&lines);
                    }
                }
                Some(Message::StatusWanted) => self.wants_status = true,
                Some(Message::Gone) => {
                    // Its connection ended with it.
                    if self.state == ProcessState::Busy {
                        tracing::error!(
                            "process {} ended while it served a connection; the others continue",
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
