//! A thread per connection.

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::net::SocketFlags;

use super::Strategy;
use super::parts::blocking::{
    Roster, accept_each, drain_when_triggered, serve_connection, wait_for_drain,
};
use crate::connection::{contained, lone_io_buffers};
use crate::server::listener::Endpoint;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::Site;

/// Each connection gets a thread that blocks on its socket. The kernel's scheduler does the
/// multiplexing; the price is a stack per connection and a context switch per wait.
#[derive(Debug)]
pub struct Threaded;

/// Stack of a connection's thread. Buffers live on the heap, so calls are shallow; only pages
/// that are touched cost memory.
pub(crate) const STACK_BYTES: usize = 128 << 10;

impl Strategy for Threaded {
    fn serve(
        &self,
        endpoint: &Endpoint,
        site: &Arc<Site>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport> {
        let roster = Arc::new(Roster::default());
        drain_when_triggered(endpoint, site, &roster, shutdown);
        accept_each(endpoint, site, shutdown, SocketFlags::empty(), |socket, ticket| {
            let (thread_site, roster) = (Arc::clone(site), Arc::clone(&roster));
            let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
                let site = &thread_site;
                let mut io = lone_io_buffers();
                contained(site, || serve_connection(site, &roster, socket, ticket, &mut io));
            });
            // The closure that owned the socket is dropped with the error: the peer sees a close.
            if let Err(error) = spawned {
                site.counters.refused();
                tracing::warn!("a connection is refused, no thread can be had: {error}");
            }
        })?;
        wait_for_drain(site, shutdown);
        Ok(site.counters.report())
    }
}
