//! One thread, one selector, all connections.

use std::io;
use std::sync::Arc;

use super::Strategy;
use super::parts::reactor::{Feed, Reactor};
use crate::server::listener::Endpoint;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::Site;

/// One thread waits for all sockets at once (epoll, through mio) and does for each what can be
/// done without waiting. No thread is ever added; what blocks in it (storage) stalls all.
#[derive(Debug)]
pub struct Selector;

impl Strategy for Selector {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        Reactor::new(Feed::Listener(endpoint.clone()), site, shutdown, None)?.run()?;
        Ok(site.counters.report())
    }
}
