//! A selector for the sockets, workers for what may block.

use std::io;
use std::sync::Arc;

use super::Strategy;
use super::parts::reactor::{Feed, Reactor};
use super::parts::workers;
use crate::server::listener::Endpoint;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::Site;

/// One thread waits for all sockets; storage that may block goes to a pool of workers (rayon) and
/// comes back when it is done. Half-sync/half-async (Schmidt and Cranor, PLoP 1995); nginx with
/// `aio threads`. A heavy request never delays a light one.
#[derive(Debug)]
pub struct Hybrid;

impl Strategy for Hybrid {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let workers = Arc::new(workers::pool(site)?);
        let feed = Feed::Listener(endpoint.clone());
        Reactor::new(feed, site, shutdown, Some(workers))?.run()?;
        Ok(site.counters.report())
    }
}
