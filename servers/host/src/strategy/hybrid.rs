//! A selector for the sockets, workers for what may block.

use std::io;
use std::sync::Arc;

use super::Strategy;
use super::parts::reactor::{ConnectionSource, Reactor};
use super::parts::workers;
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

/// One thread waits for all sockets; storage that may block goes to a pool of workers (rayon) and
/// comes back when it is done. Half-sync/half-async (Schmidt and Cranor, PLoP 1995); nginx with
/// `aio threads`. A heavy request never delays a light one.
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
        Reactor::new(source, server, shutdown, Some(workers))?.run()?;
        Ok(server.counters.report())
    }
}
