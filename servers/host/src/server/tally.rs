//! Running counts of open connections.
//!
//! The thread that serves a connection writes its counts by plain stores; whoever reads them adds
//! up all connections. A request costs neither a lock nor an atomic addition.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fileserver_proto::{Phase, Session};
use slab::Slab;

/// Counts of all open connections.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Arc<Mutex<Slab<Arc<Tally>>>>);

/// Counts of one connection.
#[derive(Debug, Default)]
struct Tally {
    phase: AtomicU8,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// Counts of one connection, in the list of all until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenTally {
    all: Arc<Mutex<Slab<Arc<Tally>>>>,
    tally: Arc<Tally>,
    key: usize,
}

/// Sums over all open connections.
#[derive(Debug, Default)]
pub(crate) struct TallySums {
    /// Number of connections in each phase, in the order of [`Phase::ALL`].
    pub(crate) phases: [u64; Phase::ALL.len()],
    pub(crate) requests: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Tallies {
    /// Adds a connection.
    pub(crate) fn open(&self) -> OpenTally {
        let tally = Arc::new(Tally::default());
        let key = lock(&self.0).insert(Arc::clone(&tally));
        OpenTally { all: Arc::clone(&self.0), tally, key }
    }

    /// Sums at present.
    pub(crate) fn sums(&self) -> TallySums {
        let mut sums = TallySums::default();
        for (_, tally) in lock(&self.0).iter() {
            sums.phases[usize::from(tally.phase.load(Ordering::Relaxed))] += 1;
            sums.requests += tally.requests.load(Ordering::Relaxed);
            sums.sent += tally.sent.load(Ordering::Relaxed);
            sums.received += tally.received.load(Ordering::Relaxed);
        }
        sums
    }
}

impl OpenTally {
    /// Stores the connection's present counts: bytes of files and uploads.
    pub(crate) fn store(&self, session: &Session, sent: u64, received: u64) {
        self.tally.phase.store(session.phase() as u8, Ordering::Relaxed);
        self.tally.requests.store(session.requests(), Ordering::Relaxed);
        self.tally.sent.store(sent, Ordering::Relaxed);
        self.tally.received.store(received, Ordering::Relaxed);
    }
}

impl Drop for OpenTally {
    fn drop(&mut self) {
        lock(&self.all).remove(self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
