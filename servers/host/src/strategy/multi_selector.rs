//! A selector and a thread per core.

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::accept_each;
use super::parts::reactor::{ConnectionSource, Inbox, Reactor};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{AcceptDistribution, ServerState};

/// Each thread serves its own share of the connections, as nginx's worker processes do. The kernel
/// distributes new connections by a hash of their addresses (`SO_REUSEPORT`), or an acceptor
/// distributes them in turn.
#[derive(Debug)]
pub struct MultiSelector;

impl Strategy for MultiSelector {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        match server.accept {
            AcceptDistribution::Reuseport => {
                let mut reactors = Vec::with_capacity(server.workers);
                reactors.push(reactor(
                    ConnectionSource::Listener(listener.clone()),
                    server,
                    shutdown,
                )?);
                for _ in 1..server.workers {
                    reactors.push(reactor(
                        ConnectionSource::Listener(listener.sibling()?),
                        server,
                        shutdown,
                    )?);
                }
                run_all(reactors, server, shutdown, || Ok(()))?;
            }
            AcceptDistribution::Dispatch => {
                let reactors = (0..server.workers)
                    .map(|_| reactor(ConnectionSource::Inbox, server, shutdown))
                    .collect::<io::Result<Vec<_>>>()?;
                let inboxes: Vec<_> =
                    reactors.iter().map(|reactor| Arc::clone(reactor.inbox())).collect();
                run_all(reactors, server, shutdown, || deal(listener, server, shutdown, &inboxes))?;
            }
        }
        Ok(server.counters.report())
    }
}

fn reactor(
    source: ConnectionSource,
    server: &Arc<ServerState>,
    shutdown: &Shutdown,
) -> io::Result<Reactor> {
    Reactor::new(source, server, shutdown, None)
}

/// Runs each reactor on its own thread and `accept` on this one. The first error ends the others
/// and is returned.
fn run_all(
    reactors: Vec<Reactor>,
    server: &ServerState,
    shutdown: &Shutdown,
    accept: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let run = |reactor: Reactor| reactor.run().inspect_err(|_| shutdown.trigger());
    thread::scope(|scope| {
        let mut outcome = Ok(());
        let mut threads = Vec::with_capacity(reactors.len());
        for (number, reactor) in reactors.into_iter().enumerate() {
            let builder = thread::Builder::new().name(format!("selector-{number}"));
            match builder.spawn_scoped(scope, || run(reactor)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shutdown.trigger();
                    outcome = Err(error);
                    break;
                }
            }
        }
        if outcome.is_ok() {
            server.readiness.report();
            outcome = accept();
        }
        for thread in threads {
            let ended = thread.join();
            outcome = outcome.and(
                ended.unwrap_or_else(|_| Err(io::Error::other("a selector's thread panicked"))),
            );
        }
        outcome
    })
}

/// Accepts connections and distributes them in turn.
fn deal(
    listener: &Listener,
    server: &ServerState,
    shutdown: &Shutdown,
    inboxes: &[Arc<Inbox>],
) -> io::Result<()> {
    let closing = listener.clone();
    shutdown.on_trigger(move |_| closing.close());
    let mut next = inboxes.iter().cycle();
    accept_each(listener, server, shutdown, SocketFlags::NONBLOCK, |socket, permit| {
        if let Some(inbox) = next.next() {
            inbox.deal(socket, permit);
        }
    })
}
