//! Figures of a running load, for a live view.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Figures of a running load, for a live view: give one to [`run`](super::run) and read it from
/// another thread at leisure.
///
/// All of them count from the very start (the warm-up included) and lag behind by up to 50 ms;
/// the [`LoadReport`](super::LoadReport) is what counts.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests answered correctly.
    pub requests: AtomicU64,
    /// Body bytes of those.
    pub body_bytes: AtomicU64,
    /// Requests and connection attempts that failed.
    pub errors: AtomicU64,
    /// Connections opened.
    pub connections_opened: AtomicU64,
    /// The longest response time so far, in nanoseconds.
    pub max_ns: AtomicU64,
    /// Nanoseconds since warm-up began; 0 while connections are still being opened.
    pub elapsed_ns: AtomicU64,
}

impl Progress {
    /// Adds what one thread has seen since it last told.
    pub(crate) fn add(&self, seen: &Seen) {
        self.requests.fetch_add(seen.requests, Relaxed);
        self.body_bytes.fetch_add(seen.body_bytes, Relaxed);
        self.errors.fetch_add(seen.errors, Relaxed);
        self.connections_opened.fetch_add(seen.connections_opened, Relaxed);
        self.max_ns.fetch_max(seen.max_ns, Relaxed);
        self.elapsed_ns.fetch_max(seen.elapsed_ns, Relaxed);
    }
}

/// What one thread has seen since it last told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) body_bytes: u64,
    pub(crate) errors: u64,
    pub(crate) connections_opened: u64,
    pub(crate) max_ns: u64,
    pub(crate) elapsed_ns: u64,
}
