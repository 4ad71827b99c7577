//! Several selectors, a thread each, as many as cores.

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::accept_each;
use super::parts::reactor::{Feed, Inbox, Reactor};
use crate::server::listener::Endpoint;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::{Accept, Site};

/// Each thread waits for its own share of the sockets and never touches another's: nginx's worker
/// processes, as threads. The kernel deals new connections by their addresses (`SO_REUSEPORT`),
/// or an acceptor deals them in turn.
#[derive(Debug)]
pub struct MultiSelector;

impl Strategy for MultiSelector {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        match site.accept {
            Accept::Reuseport => {
                let mut reactors = Vec::with_capacity(site.workers);
                reactors.push(reactor(Feed::Listener(endpoint.clone()), site, shutdown)?);
                for _ in 1..site.workers {
                    reactors.push(reactor(Feed::Listener(endpoint.sibling()?), site, shutdown)?);
                }
                run_all(reactors, shutdown, || Ok(()))?;
            }
            Accept::Dispatch => {
                let reactors = (0..site.workers)
                    .map(|_| reactor(Feed::Inbox, site, shutdown))
                    .collect::<io::Result<Vec<_>>>()?;
                let inboxes: Vec<_> =
                    reactors.iter().map(|reactor| Arc::clone(reactor.inbox())).collect();
                run_all(reactors, shutdown, || deal(endpoint, site, shutdown, &inboxes))?;
            }
        }
        Ok(site.counters.report())
    }
}

fn reactor(feed: Feed, site: &Arc<Site>, shutdown: &Shutdown) -> io::Result<Reactor> {
    Reactor::new(feed, site, shutdown, None)
}

/// Runs each reactor on a thread of its own and `accept` on this one. The first error counts, and
/// ends the others.
fn run_all(
    reactors: Vec<Reactor>,
    shutdown: &Shutdown,
    accept: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let run = |reactor: Reactor| reactor.run().inspect_err(|_| shutdown.trigger());
    thread::scope(|scope| {
        let mut outcome = Ok(());
        let mut threads = Vec::with_capacity(reactors.len());
        for reactor in reactors {
            match thread::Builder::new().spawn_scoped(scope, || run(reactor)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shutdown.trigger();
                    outcome = Err(error);
                    break;
                }
            }
        }
        outcome = outcome.and_then(|()| accept());
        for thread in threads {
            let ended = thread.join();
            outcome = outcome.and(ended.unwrap_or_else(|_| Err(io::Error::other("panicked"))));
        }
        outcome
    })
}

/// Accepts connections and deals them in turn.
fn deal(
    endpoint: &Endpoint,
    site: &Site,
    shutdown: &Shutdown,
    inboxes: &[Arc<Inbox>],
) -> io::Result<()> {
    let closing = endpoint.clone();
    shutdown.on_trigger(move |_| closing.close());
    let mut next = inboxes.iter().cycle();
    accept_each(endpoint, site, shutdown, SocketFlags::NONBLOCK, |socket, ticket| {
        if let Some(inbox) = next.next() {
            inbox.deal(socket, ticket);
        }
    })
}
