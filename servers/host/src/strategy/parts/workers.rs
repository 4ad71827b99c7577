//! Pool of worker threads for strategies that hand work over.

use std::fmt;
use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::server::state::ServerState;

/// Stack of a worker.
const STACK_BYTES: usize = 256 << 10;

/// Pool of as many workers as the server's options say. It is separate from rayon's global pool,
/// since its workers block.
///
/// # Errors
/// The threads cannot be created.
pub(crate) fn pool(server: &ServerState) -> io::Result<ThreadPool> {
    let trace = server.trace.clone();
    ThreadPoolBuilder::new()
        .num_threads(server.workers)
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("worker-{number}"))
        // With the first job its first wait ends.
        .start_handler(move |_| trace.wait_begins())
        .build()
        .map_err(|error| cannot_create(server.workers, error))
}

/// Error of worker threads that cannot be created.
pub(crate) fn cannot_create(threads: usize, error: impl fmt::Display) -> io::Error {
    io::Error::other(format!(
        "{threads} worker threads cannot be created: {error}; choose fewer with --workers or raise \
         the limit (ulimit -u)"
    ))
}
