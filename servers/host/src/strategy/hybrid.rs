//! A selector for the sockets, workers for what may block.

use std::io;
use std::sync::Arc;

use rayon::ThreadPoolBuilder;

use super::Strategy;
use crate::endpoint::Endpoint;
use crate::reactor::{Feed, Reactor};
use crate::shutdown::Shutdown;
use crate::site::{ServeReport, Site};

/// One thread waits for all sockets; storage that may block goes to a pool of workers (rayon) and
/// comes back when it is done. Half-sync/half-async (Schmidt and Cranor, PLoP 1995); nginx with
/// `aio threads`. A heavy request never delays a light one.
#[derive(Debug)]
pub struct Hybrid;

/// Stack of a worker.
const STACK_BYTES: usize = 256 << 10;

impl Strategy for Hybrid {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let workers = ThreadPoolBuilder::new()
            .num_threads(site.workers)
            .stack_size(STACK_BYTES)
            .thread_name(|number| format!("worker-{number}"))
            .build()
            .map_err(io::Error::other)?;
        let feed = Feed::Listener(endpoint.clone());
        Reactor::new(feed, site, shutdown, Some(Arc::new(workers)))?.run()?;
        Ok(site.counters.report())
    }
}
