//! One connection at a time.

use std::io;
use std::sync::Arc;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::{
    ConnectionRegistry, accept_each, drain_when_triggered, serve_connection, wait_for_drain,
};
use crate::connection::{io_buffers, isolate_panic};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

/// One thread accepts a connection, serves it to its end and accepts the next; the others wait in
/// the accept queue. The textbook's first server, and the baseline.
#[derive(Debug)]
pub struct Iterative;

impl Strategy for Iterative {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let registry = Arc::new(ConnectionRegistry::default());
        drain_when_triggered(listener, server, &registry, shutdown);
        let mut io = io_buffers(server);
        server.readiness.report();
        accept_each(listener, server, shutdown, SocketFlags::empty(), |socket, permit| {
            io.clear();
            isolate_panic(server, || serve_connection(server, &registry, socket, permit, &mut io));
        })?;
        wait_for_drain(server, shutdown);
        Ok(server.counters.report())
    }
}
