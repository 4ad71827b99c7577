//! Files kept open between requests, so that a popular file is opened without a system call.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use fileserver_proto::{FileName, StoreError};
use rustix::process::{Resource, getrlimit};

use super::Download;
use super::content::Memory;
use super::download::OpenFile;

/// Time for which a file is served without checking whether its name still leads to it. A change by
/// another program shows within this time.
const FRESH: Duration = Duration::from_millis(500);
/// Time for which an unused file stays open (as nginx's `inactive`).
const INACTIVE: Duration = Duration::from_secs(60);
/// Most files kept open.
const MOST_FILES: usize = 1024;
/// Divisor of the descriptor limit: the share that may be kept open.
const LIMIT_SHARE: u64 = 16;

/// Direct-mapped cache: a name has one slot, and the last file opened occupies it. A hit takes no
/// lock and allocates nothing.
#[derive(Debug)]
pub(super) struct OpenFiles {
    slots: Box<[Slot]>,
    hasher: RandomState,
    /// Memory for the content of small files.
    memory: Arc<Memory>,
    freshness: Freshness,
}

/// Way to know that a name still leads to the file opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Assumed for a while: uploads of this process that replace a file remove it here.
    Lasts,
    /// Checked in the file system each time: other processes replace files, too.
    IsAsked,
}

#[derive(Debug, Default)]
struct Slot {
    kept: ArcSwapOption<Kept>,
    /// Number of replacements of a file of this slot. A file opened before the last one is invalid,
    /// even if stored afterwards.
    replaced: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    name: FileName,
    file: Arc<OpenFile>,
    opened: Instant,
    /// Count of the slot before the file was opened.
    replaced: u64,
}

impl OpenFiles {
    pub(super) fn new(freshness: Freshness) -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(limit / LIMIT_SHARE).unwrap_or(MOST_FILES).clamp(1, MOST_FILES);
        Self {
            slots: (0..most).map(|_| Slot::default()).collect(),
            hasher: RandomState::new(),
            memory: Arc::default(),
            freshness,
        }
    }

    /// File of this name, from the cache or opened now.
    pub(super) fn open(
        &self,
        root: BorrowedFd<'_>,
        name: &FileName,
    ) -> Result<Download, StoreError> {
        self.open_at(root, name, Instant::now())
    }

    fn open_at(
        &self,
        root: BorrowedFd<'_>,
        name: &FileName,
        now: Instant,
    ) -> Result<Download, StoreError> {
        let slot = self.slot(name);
        if let Some(kept) = &*slot.kept.load()
            && slot.is_fresh(kept, name, now)
            && (self.freshness == Freshness::Lasts || kept.file.is_still(root, name))
        {
            return Ok(Download::new(Arc::clone(&kept.file)));
        }
        let replaced = slot.replaced.load(Ordering::SeqCst);
        let file = match OpenFile::open(root, name, &self.memory) {
            Err(StoreError::Overloaded) => {
                self.forget_all();
                OpenFile::open(root, name, &self.memory)
            }
            opened => opened,
        };
        let file = match file {
            Ok(file) => Arc::new(file),
            Err(error) => {
                slot.kept.store(None);
                return Err(error);
            }
        };
        let kept = Kept { name: name.clone(), file: Arc::clone(&file), opened: now, replaced };
        slot.kept.store(Some(Arc::new(kept)));
        Ok(Download::new(file))
    }

    /// True if the file is in the cache. If [`open`](Self::open) has to check it in the file
    /// system, that does not wait for the disk: the inode of an open file is in memory.
    pub(super) fn has(&self, name: &FileName) -> bool {
        let slot = self.slot(name);
        (*slot.kept.load()).as_ref().is_some_and(|kept| slot.is_of(kept, name))
    }

    /// Removes the file, so that the next request opens it anew.
    pub(super) fn forget(&self, name: &FileName) {
        let slot = self.slot(name);
        slot.replaced.fetch_add(1, Ordering::SeqCst);
        slot.kept.store(None);
    }

    fn forget_all(&self) {
        for slot in &self.slots {
            slot.kept.store(None);
        }
    }

    /// Closes files that are deleted, since they occupy space, or unused for long.
    pub(super) fn close_unneeded(&self, now: Instant) {
        for slot in &self.slots {
            let is_unneeded = (*slot.kept.load()).as_ref().is_some_and(|kept| {
                now.saturating_duration_since(kept.opened) >= INACTIVE || kept.file.is_deleted()
            });
            if is_unneeded {
                slot.kept.store(None);
            }
        }
    }

    fn slot(&self, name: &FileName) -> &Slot {
        let hash = self.hasher.hash_one(name.as_str());
        &self.slots[(hash % self.slots.len() as u64) as usize]
    }
}

impl Slot {
    fn is_fresh(&self, kept: &Kept, name: &FileName, now: Instant) -> bool {
        now.saturating_duration_since(kept.opened) < FRESH && self.is_of(kept, name)
    }

    fn is_of(&self, kept: &Kept, name: &FileName) -> bool {
        kept.name == *name && kept.replaced == self.replaced.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_change_by_others_shows_when_the_kept_file_is_no_longer_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        let (name, path) = (FileName::new("a").unwrap(), folder.path().join("a"));
        let files = OpenFiles::new(Freshness::Lasts);
        let mut now = Instant::now();
        let content = |now| {
            let file = files.open_at(root.as_fd(), &name, now).unwrap();
            let content = file.content(100).unwrap().to_vec();
            assert_eq!(content.len() as u64, file.info().len);
            content
        };
        std::fs::write(&path, "old").unwrap();
        assert_eq!(content(now), b"old");
        // In place, to a longer and to a shorter file.
        for (old, new) in [("old", "longer"), ("longer", "new")] {
            std::fs::write(&path, new).unwrap();
            now += FRESH - Duration::from_nanos(1);
            assert_eq!(content(now), old.as_bytes());
            now += Duration::from_nanos(1);
            assert_eq!(content(now), new.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(content(now), b"new");
        now += FRESH;
        assert_eq!(files.open_at(root.as_fd(), &name, now).unwrap_err(), StoreError::NotFound);
        assert!(!files.has(&name));
    }

    #[test]
    fn deleted_and_unused_files_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        let names =
            ["deleted", "replaced", "unused", "used"].map(|name| FileName::new(name).unwrap());
        let mut files = OpenFiles::new(Freshness::Lasts);
        // Until no two of them share a slot.
        while names
            .iter()
            .map(|name| std::ptr::from_ref(files.slot(name)))
            .collect::<HashSet<_>>()
            .len()
            < names.len()
        {
            files = OpenFiles::new(Freshness::Lasts);
        }
        let begun = Instant::now();
        for name in &names {
            std::fs::write(folder.path().join(name.as_str()), "content").unwrap();
            files.open_at(root.as_fd(), name, begun).unwrap();
        }
        let kept = |files: &OpenFiles| names.each_ref().map(|name| files.has(name));
        files.close_unneeded(begun + INACTIVE - Duration::from_nanos(1));
        assert_eq!(kept(&files), [true; 4]);
        std::fs::remove_file(folder.path().join("deleted")).unwrap();
        std::fs::write(folder.path().join("other"), "other").unwrap();
        std::fs::rename(folder.path().join("other"), folder.path().join("replaced")).unwrap();
        files.close_unneeded(begun);
        assert_eq!(kept(&files), [false, false, true, true]);
        files.open_at(root.as_fd(), &names[3], begun + FRESH).unwrap();
        files.close_unneeded(begun + INACTIVE);
        assert_eq!(kept(&files), [false, false, false, true]);
    }

    #[test]
    fn a_file_opened_before_it_was_replaced_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        let name = FileName::new("a").unwrap();
        std::fs::write(folder.path().join("a"), "old").unwrap();
        let files = OpenFiles::new(Freshness::Lasts);
        // One request opens the file, another replaces it, then the first goes on.
        let slot = files.slot(&name);
        let slow = Kept {
            name: name.clone(),
            replaced: slot.replaced.load(Ordering::SeqCst),
            file: Arc::new(OpenFile::open(root.as_fd(), &name, &files.memory).unwrap()),
            opened: Instant::now(),
        };
        std::fs::write(folder.path().join("b"), "newer").unwrap();
        std::fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
        files.forget(&name);
        slot.kept.store(Some(Arc::new(slow)));
        assert!(!files.has(&name));
        assert_eq!(files.open(root.as_fd(), &name).unwrap().info().len, 5);
        assert!(files.has(&name));
    }
}
