//! A selector for the sockets, workers for blocking operations.

use std::io;
use std::sync::Arc;

use super::Strategy;
use super::parts::reactor::{ConnectionSource, Reactor};
use super::parts::workers;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

/// One thread waits for all sockets; operations on storage that may block go to a pool of workers
/// (rayon). Half-sync/half-async (Schmidt and Cranor, PLoP 1995); nginx with `aio threads`. A heavy
/// request does not delay a light one.
#[derive(Debug)]
pub struct Hybrid;

impl Strategy for Hybrid {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let workers = Arc::new(workers::pool(server)?);
        let source = ConnectionSource::Listener(listener.clone());
        let reactor = Reactor::new(source, server, shutdown, Some(workers))?;
        server.readiness.report();
        reactor.run()?;
        Ok(server.counters.report())
    }
}
