//! Limits on unfinished resumable uploads.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::notes::{self, Totals};

/// Limits on unfinished resumable uploads, which occupy space without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumableLimits {
    /// Most of them at once.
    pub number: u64,
    /// Most bytes of all of them together, as announced.
    pub bytes: u64,
    /// Time without use after which one is removed.
    pub lifetime: Duration,
}

impl Default for ResumableLimits {
    fn default() -> Self {
        Self { number: 1000, bytes: 1 << 40, lifetime: Duration::from_secs(24 * 60 * 60) }
    }
}

/// Unfinished uploads of a root.
#[derive(Debug)]
pub(super) struct Unfinished {
    root: Arc<OwnedFd>,
    limits: ResumableLimits,
    /// `None` if other processes of the server begin and finish uploads, too: then the notes are
    /// counted for each new upload.
    totals: Option<Mutex<Totals>>,
}

impl Unfinished {
    pub(super) fn new(root: &Arc<OwnedFd>, limits: ResumableLimits, is_alone: bool) -> Self {
        let totals = is_alone.then(Mutex::default);
        Self { root: Arc::clone(root), limits, totals }
    }

    /// Counts a new upload; false if the limits forbid it.
    pub(super) fn begin(&self, bytes: u64) -> bool {
        let Some(mut totals) = self.totals() else { return true };
        let more = totals.with(bytes);
        if !is_within(more, self.limits) {
            return false;
        }
        *totals = more;
        true
    }

    /// True if the notes on disk, with that of a new upload, exceed the limits.
    pub(super) fn is_exceeded(&self) -> bool {
        self.totals.is_none() && !is_within(notes::count(&self.root), self.limits)
    }

    /// Counts an upload as finished or removed.
    pub(super) fn end(&self, bytes: u64) {
        let Some(mut totals) = self.totals() else { return };
        totals.number = totals.number.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(bytes);
    }

    /// Removes uploads that were not used for their lifetime, and counts the others anew: another
    /// server may share the root.
    pub(super) fn expire(&self) {
        notes::remove_abandoned(&self.root, self.limits.lifetime);
        if let Some(mut totals) = self.totals() {
            *totals = notes::count(&self.root);
        }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.root.as_fd()
    }

    fn totals(&self) -> Option<MutexGuard<'_, Totals>> {
        self.totals.as_ref().map(|totals| totals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_within(totals: Totals, limits: ResumableLimits) -> bool {
    totals.number <= limits.number && totals.bytes <= limits.bytes
}

/// Period in which unused uploads are looked for.
pub(super) fn period(limits: ResumableLimits) -> Duration {
    (limits.lifetime / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
}
