//! A thread per connection.

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::{
    ConnectionRegistry, accept_each, drain_when_triggered, serve_connection, wait_for_drain,
};
use crate::connection::{isolate_panic, lone_io_buffers};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

/// Each connection has a thread that blocks on its socket. The kernel's scheduler does the
/// multiplexing, at the cost of a stack per connection and a context switch per wait.
#[derive(Debug)]
pub struct Threaded;

/// Stack of a connection's thread. Buffers are on the heap, so calls are shallow; only touched
/// pages cost memory.
pub(crate) const STACK_BYTES: usize = 128 << 10;

impl Strategy for Threaded {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let registry = Arc::new(ConnectionRegistry::default());
        drain_when_triggered(listener, server, &registry, shutdown);
        server.readiness.report();
        accept_each(listener, server, shutdown, SocketFlags::empty(), |socket, permit| {
            let (thread_site, registry) = (Arc::clone(server), Arc::clone(&registry));
            let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
                let server = &thread_site;
                let mut io = lone_io_buffers();
                isolate_panic(server, || {
                    serve_connection(server, &registry, socket, permit, &mut io);
                });
            });
            // The closure that owned the socket is dropped with the error, which closes it.
            if let Err(error) = spawned {
                server.counters.refused();
                tracing::warn!("a connection is refused: no thread can be created: {error}");
            }
        })?;
        wait_for_drain(server, shutdown);
        Ok(server.counters.report())
    }
}
