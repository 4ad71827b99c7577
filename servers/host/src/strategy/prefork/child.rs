//! A process of `prefork`, which serves one connection at a time.

use std::io;
use std::os::fd::AsFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::SocketFlags;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::link::{Command, Link, LogScreen, Message, Screen};
use crate::connection::{io_buffers, isolate_panic};
use crate::server::listener::{AcceptError, Listener};
use crate::server::shutdown::Shutdown;
use crate::server::state::{EXHAUSTION_PAUSE, ServerState, StatusElsewhere};
use crate::strategy::parts::blocking::{ConnectionRegistry, serve_connection};
use crate::trace::event::Kind;

/// Flag that makes the program such a process.
pub(crate) const FLAG: &str = "--child";

/// Descriptors from the parent: the listener as standard input, the link to the parent as standard
/// output.
///
/// # Errors
/// They are something else: the process was not started by `prefork`.
pub(crate) fn inherited() -> io::Result<(Listener, Parent)> {
    let listener = io::stdin().as_fd().try_clone_to_owned()?;
    let link = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((Listener::inherited(listener)?, Parent(Link::inherited(link)?, Arc::default())))
}

/// The parent of this process.
#[derive(Debug)]
pub(crate) struct Parent(Link, Arc<StatusAnswer>);

/// Time for the parent to answer with the status.
const STATUS_TIME: Duration = Duration::from_secs(1);

/// Status from the parent, until it is taken.
#[derive(Debug, Default)]
struct StatusAnswer {
    status: Mutex<Option<String>>,
    arrived: Condvar,
}

impl Parent {
    /// Output for the operator, a line at a time: standard output is the link.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn screen(&self) -> io::Result<Screen> {
        self.0.screen()
    }

    /// Output for lines of the access log, which the parent writes.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn log_screen(&self) -> io::Result<LogScreen> {
        self.0.log_screen()
    }

    /// Source of the whole server's status, and the place where it arrives.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn status_source(&self) -> io::Result<StatusElsewhere> {
        let link = self.0.another()?;
        let answer = Arc::clone(&self.1);
        Ok(StatusElsewhere(Box::new(move || {
            link.send_message(Message::StatusWanted);
            let status = answer.status.lock().unwrap_or_else(PoisonError::into_inner);
            let waits = |status: &mut Option<String>| status.is_none();
            let waited = answer.arrived.wait_timeout_while(status, STATUS_TIME, waits);
            waited.unwrap_or_else(PoisonError::into_inner).0.take()
        })))
    }
}

/// Serves connections until the parent ends or ends this process.
///
/// # Errors
/// A thread cannot be created.
pub(crate) fn serve(
    listener: &Listener,
    server: &Arc<ServerState>,
    parent: Parent,
) -> io::Result<()> {
    let shutdown = Shutdown::new();
    let registry = Arc::new(ConnectionRegistry::default());
    let (connections, its_site) = (Arc::clone(&registry), Arc::clone(server));
    shutdown.on_trigger(move |request| {
        connections.begin_drain();
        if request.is_urgent() {
            connections.end_all(&its_site);
        }
    });
    let control = Arc::new(Control {
        link: parent.0,
        answer: parent.1,
        server: Arc::clone(server),
        shutdown: shutdown.clone(),
        draining: Once::new(),
        busy: AtomicBool::new(false),
        is_retired: AtomicBool::new(false),
    });
    control.watch_signals()?;
    control.watch_parent()?;
    let mut io = io_buffers(server);
    control.link.send_message(Message::Idle(server.counters.report()));
    while !shutdown.is_triggered() && !control.is_retired.load(Ordering::SeqCst) {
        let waiting = server.trace.wait(Kind::WaitAccept);
        let accepted = listener.accept(SocketFlags::empty());
        drop(waiting);
        match accepted {
            Ok(socket) => {
                control.busy.store(true, Ordering::SeqCst);
                let Some(mut permit) = server.limit.try_acquire() else { continue };
                permit.traced = server.trace.accepted(&socket);
                control.link.send_message(Message::Busy);
                io.clear();
                isolate_panic(server, || {
                    serve_connection(server, &registry, socket, permit, &mut io);
                });
                control.busy.store(false, Ordering::SeqCst);
                control.link.send_message(Message::Idle(server.counters.report()));
            }
            // After the listener's timeout, which the parent has set.
            Err(AcceptError::WouldBlock | AcceptError::Lost) => {}
            Err(AcceptError::Exhausted(error)) => {
                tracing::warn!("accepting pauses: {error}");
                thread::sleep(EXHAUSTION_PAUSE);
            }
            // The parent has closed it for all: no more connections come.
            Err(AcceptError::Ended(_)) => break,
        }
    }
    Ok(())
}

/// Commands of the parent and signals.
struct Control {
    link: Link,
    answer: Arc<StatusAnswer>,
    server: Arc<ServerState>,
    shutdown: Shutdown,
    draining: Once,
    /// True if a connection is being served.
    busy: AtomicBool,
    /// True if the process accepts no further connection.
    is_retired: AtomicBool,
}

impl Control {
    /// Ends the process after the request in progress. A signal and the parent may both ask for it,
    /// as when Ctrl-C reaches all processes of a terminal: together they count once.
    fn drain(&self) {
        self.draining.call_once(|| self.shutdown.trigger());
    }

    /// Handles signals: one to this process alone ends it, and the parent replaces it.
    fn watch_signals(self: &Arc<Self>) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let control = Arc::clone(self);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                control.drain();
                // The process waits in accept, and only the parent may close the shared listener.
                if !control.busy.load(Ordering::SeqCst) {
                    control.server.flush_logs();
                    exit(0);
                }
            }
        })?;
        Ok(())
    }

    /// Obeys the parent's commands, and ends with the parent.
    fn watch_parent(self: &Arc<Self>) -> io::Result<()> {
        let control = Arc::clone(self);
        thread::Builder::new().name("parent".to_owned()).spawn(move || {
            loop {
                match control.link.wait_for_command() {
                    Some(Command::Drain) => control.drain(),
                    Some(Command::End) => {
                        control.drain();
                        control.shutdown.trigger();
                    }
                    Some(Command::Retire) => control.is_retired.store(true, Ordering::SeqCst),
                    Some(Command::Status(status)) => {
                        let answer = &control.answer;
                        *answer.status.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(status);
                        answer.arrived.notify_all();
                    }
                    // The parent was killed: end at once.
                    None => exit(1),
                }
            }
        })?;
        Ok(())
    }
}
