//! Operations queued to the kernel, and their completions.

mod acceptor;
mod connection;
mod driver;
mod probe;
mod provided;
mod ring;
mod room;
mod wakeups;

use std::io;
use std::sync::Arc;

use super::{Strategy, Unavailable};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;
use driver::Driver;

/// One thread queues operations (accept, receive, send) to the kernel and later reads their
/// completions, many with each system call (io_uring; Axboe, "Efficient IO with io_uring", 2019).
///
/// Accept and receive are submitted once and repeat (multishot). Received bytes arrive in buffers
/// that all connections share (provided buffers), so an idle connection has none. The ring owns a
/// buffer from the submission of a send to its completion.
///
/// Four operations are system calls, which are better here than io_uring:
/// - Large uploads are read when the ring reports bytes: by `recv` into the one buffer, which stays in
///   the processor's cache, or by `splice` to the file.
/// - Large files go by `sendfile`, which io_uring lacks; its `splice` always runs on a kernel
///   worker thread. The ring reports when a full socket has room again.
/// - Opening, committing and listing files runs on this thread, as in `selector`: a commit that
///   waits for the disk delays all connections.
/// - Shutting down and closing a socket does not wait.
#[derive(Debug, Clone, Copy)]
pub struct Uring;

impl Uring {
    /// Checks that this system permits io_uring and has the required operations.
    ///
    /// # Errors
    /// The missing requirement and the remedy.
    pub fn availability() -> Result<(), Unavailable> {
        probe::probe()
    }
}

impl Strategy for Uring {
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let driver = Driver::new(listener, server, shutdown)?;
        server.readiness.report();
        driver.run()?;
        Ok(server.counters.report())
    }
}
