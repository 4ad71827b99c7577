//! Limits on unfinished resumable uploads.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fileserver_proto::StoreError;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error;
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
    /// counted for each new upload. Otherwise notes are created, removed and counted under the lock,
    /// so that the totals are always those of the notes on disk.
    totals: Option<Mutex<Totals>>,
}

impl Unfinished {
    pub(super) fn new(root: &Arc<OwnedFd>, limits: ResumableLimits, is_alone: bool) -> Self {
        let totals = is_alone.then(Mutex::default);
        Self { root: Arc::clone(root), limits, totals }
    }

    /// Has `write` create the note of a new upload, and counts the upload.
    ///
    /// # Errors
    /// [`StoreError::Full`] if the limits forbid it, or the error of `write`.
    pub(super) fn begin(
        &self,
        bytes: u64,
        write: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), StoreError> {
        let Some(mut totals) = self.totals() else { return write().map_err(error::on_upload) };
        let more = totals.with(bytes);
        if !is_within(more, self.limits) {
            return Err(StoreError::Full);
        }
        write().map_err(error::on_upload)?;
        *totals = more;
        Ok(())
    }

    /// True if the notes on disk, with that of a new upload, exceed the limits.
    pub(super) fn is_exceeded(&self) -> bool {
        self.totals.is_none() && !is_within(notes::count(&self.root), self.limits)
    }

    /// Removes the note of an upload that is finished or abandoned, unless another thread was first.
    pub(super) fn end(&self, folder: BorrowedFd<'_>, note: &str, bytes: u64) -> Result<(), Errno> {
        let totals = self.totals();
        match rustix::fs::unlinkat(folder, note, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        if let Some(mut totals) = totals {
            *totals = totals.without(bytes);
        }
        Ok(())
    }

    /// Removes uploads that were not used for their lifetime, and counts the others anew: another
    /// server may share the root.
    pub(super) fn expire(&self) {
        self.remove_abandoned();
        if let Some(mut totals) = self.totals() {
            *totals = notes::count(&self.root);
        }
    }

    fn remove_abandoned(&self) {
        let end = |folder: BorrowedFd<'_>, note: &str, bytes| self.end(folder, note, bytes);
        notes::remove_abandoned(&self.root, self.limits.lifetime, &end);
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{Store, StoreOptions};
    use super::*;

    fn store(folder: &tempfile::TempDir, resumable: ResumableLimits) -> Store {
        Store::open(folder.path(), StoreOptions { resumable, ..StoreOptions::default() }).unwrap()
    }

    #[test]
    fn an_upload_that_expired_makes_room_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let limits = ResumableLimits { number: 1, ..ResumableLimits::default() };
        let store = store(&folder, limits);
        store.create_partial(None, 1).unwrap();
        assert_eq!(store.create_partial(None, 1), Err(StoreError::Full));
        let lifetime = Duration::ZERO;
        let expiring = Unfinished {
            root: Arc::clone(&store.root),
            limits: ResumableLimits { lifetime, ..limits },
            totals: Some(Mutex::new(notes::count(&store.root))),
        };
        // Without the recount, which comes later.
        expiring.remove_abandoned();
        assert_eq!(*expiring.totals().unwrap(), Totals::default());
    }

    #[test]
    fn a_recount_beside_new_and_finished_uploads_is_exact() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, ResumableLimits::default());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    store.unfinished.expire();
                }
            });
            let counts: Vec<_> = (1..=500)
                .map(|number| {
                    let id = store.create_partial(None, 0).unwrap();
                    store.open_partial(id).unwrap().0.commit(None).unwrap();
                    store.create_partial(None, 1).unwrap();
                    let expected = Totals { number, bytes: number };
                    (*store.unfinished.totals().unwrap(), expected)
                })
                .collect();
            is_over.store(true, Ordering::Relaxed);
            assert!(counts.iter().all(|(count, expected)| count == expected), "{counts:?}");
        });
    }
}
