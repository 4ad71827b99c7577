//! One thread, one selector, all connections.

use std::io;
use std::sync::Arc;

use super::Strategy;
use super::parts::reactor::{ConnectionSource, Reactor};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

/// One thread waits for all sockets (epoll, through mio) and performs for each what can be done
/// without waiting. An operation that blocks the thread (storage) delays all connections.
#[derive(Debug)]
pub struct Selector;

impl Strategy for Selector {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let source = ConnectionSource::Listener(listener.clone());
        let reactor = Reactor::new(source, server, shutdown, None)?;
        server.readiness.report();
        reactor.run()?;
        Ok(server.counters.report())
    }
}
