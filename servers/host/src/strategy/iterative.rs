//! One connection at a time.

use std::io;
use std::sync::Arc;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::{
    Roster, accept_each, drain_when_triggered, serve_connection, wait_for_drain,
};
use crate::connection::{contained, io_buffers};
use crate::server::listener::Endpoint;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::Site;

/// One thread accepts a connection, serves it to its end and accepts the next. Whoever comes
/// meanwhile waits in the backlog: the textbook's first server, and the baseline.
#[derive(Debug)]
pub struct Iterative;

impl Strategy for Iterative {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let roster = Arc::new(Roster::default());
        drain_when_triggered(endpoint, site, &roster, shutdown);
        let mut io = io_buffers(site);
        accept_each(endpoint, site, shutdown, SocketFlags::empty(), |socket, ticket| {
            io.clear();
            contained(site, || serve_connection(site, &roster, socket, ticket, &mut io));
        })?;
        wait_for_drain(site, shutdown);
        Ok(site.counters.report())
    }
}
