//! Counters of a running load for a live view.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a running load for a live view. [`run`](super::run) updates them; any thread can
/// read them.
///
/// They include the warm-up and lag by up to 50 ms. The results are in the
/// [`LoadReport`](super::LoadReport).
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests answered correctly.
    pub requests: AtomicU64,
    /// Body bytes of those requests.
    pub body_bytes: AtomicU64,
    /// Requests and connection attempts that failed.
    pub errors: AtomicU64,
    /// Connections opened.
    pub connections_opened: AtomicU64,
    /// Longest response time so far, in nanoseconds.
    pub max_ns: AtomicU64,
    /// Start of the window on the monotonic clock, in nanoseconds; 0 until it is fixed, an eighth of the
    /// warm-up before it comes (with a warm-up shorter than 80 ms, at its start).
    pub window_ns: AtomicU64,
    /// Nanoseconds since the warm-up began; 0 while connections are being opened.
    pub elapsed_ns: AtomicU64,
}

impl Progress {
    /// Adds the counts of one thread since its last call.
    pub(crate) fn add(&self, delta: &ProgressDelta) {
        self.requests.fetch_add(delta.requests, Relaxed);
        self.body_bytes.fetch_add(delta.body_bytes, Relaxed);
        self.errors.fetch_add(delta.errors, Relaxed);
        self.connections_opened.fetch_add(delta.connections_opened, Relaxed);
        self.max_ns.fetch_max(delta.max_ns, Relaxed);
        self.elapsed_ns.fetch_max(delta.elapsed_ns, Relaxed);
    }
}

/// Counts of one thread since it last published them.
#[derive(Debug, Default)]
pub(crate) struct ProgressDelta {
    pub(crate) requests: u64,
    pub(crate) body_bytes: u64,
    pub(crate) errors: u64,
    pub(crate) connections_opened: u64,
    pub(crate) max_ns: u64,
    pub(crate) elapsed_ns: u64,
}
