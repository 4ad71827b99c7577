//! Operations handed to the kernel, and their completions.

mod acceptor;
mod connection;
mod driver;
mod probe;
mod provided;
mod ring;
mod wakeups;

use std::io;
use std::sync::Arc;

use super::{Strategy, Unavailable};
use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;
use driver::Driver;

/// One thread tells the kernel what to do instead of asking what can be done: it queues
/// operations (accept, receive, send) and finds them completed later, many with each system call
/// (io_uring; Axboe, "Efficient IO with io_uring", 2019).
///
/// Accepting and receiving are asked for once and go on by themselves (multishot); received bytes
/// come in buffers from a common stock (provided buffers), so that an idle connection holds none.
/// A buffer that is sent belongs to the ring until that is completed.
///
/// Three things io_uring would do worse than a system call, and they are done by one:
/// - Large files go by `sendfile`, which io_uring does not know; its `splice` always runs on a
///   worker thread of the kernel. The ring tells when a full socket has room again.
/// - What opens, commits or lists files runs on this thread as in `selector`: a commit that waits
///   for the disk stalls the others.
/// - A socket is shut down and closed at once: neither waits.
#[derive(Debug, Clone, Copy)]
pub struct Uring;

impl Uring {
    /// Whether this system grants io_uring, with all that is needed of it.
    ///
    /// # Errors
    /// What is missing, and the remedy.
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
        Driver::new(listener, server, shutdown)?.run()?;
        Ok(server.counters.report())
    }
}
