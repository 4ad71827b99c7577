//! The pool of worker threads that some strategies hand work to.

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::server::state::ServerState;

/// Stack of a worker.
const STACK_BYTES: usize = 256 << 10;

/// As many workers as the site has; a pool of their own, since they block.
///
/// # Errors
/// The threads cannot be had.
pub(crate) fn pool(server: &ServerState) -> io::Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(server.workers)
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("worker-{number}"))
        .build()
        .map_err(io::Error::other)
}
