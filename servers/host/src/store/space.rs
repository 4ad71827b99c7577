//! Free space of the file system, and the part of it that uploads may take.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sizes from which the file system is asked for each upload.
const LARGE_BYTES: u64 = 1 << 20;
/// Age up to which an answer serves further small uploads.
const FRESH: Duration = Duration::from_millis(100);
/// File system type of tmpfs (`statfs(2)`).
const TMPFS: i64 = 0x0102_1994;

/// Limit of the space that uploads take.
#[derive(Debug)]
pub(super) struct Space {
    /// Bytes that stay free.
    reserve: u64,
    begun: Instant,
    /// Free bytes, as last seen.
    free: AtomicU64,
    /// Time of that, in milliseconds since `begun`; 0 before the first look.
    seen_ms: AtomicU64,
}

/// What a file system says of itself.
struct Look {
    /// `None` where it does not say.
    free: Option<u64>,
    is_tmpfs: bool,
}

/// Answer to an upload that wants space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is enough. `pays` says whether reserving space makes writing cheaper.
    Enough { pays: bool },
    /// There is too little.
    TooLittle,
}

impl Space {
    pub(super) fn new(reserve: u64) -> Self {
        Self {
            reserve,
            begun: Instant::now(),
            free: AtomicU64::new(u64::MAX),
            seen_ms: AtomicU64::new(0),
        }
    }

    /// Decides on an upload of `bytes` to a file of this file system. Where the file system does not
    /// say how much is free, the first write that fails does.
    pub(super) fn room(&self, file: impl AsFd, bytes: u64) -> Room {
        if bytes < LARGE_BYTES {
            return match self.allows(self.free(file), bytes) {
                true => Room::Enough { pays: true },
                false => Room::TooLittle,
            };
        }
        let look = look(file);
        match self.allows(look.free.unwrap_or(u64::MAX), bytes) {
            // There, reserving finds and allocates the pages, and writing finds them again.
            true => Room::Enough { pays: !look.is_tmpfs },
            false => Room::TooLittle,
        }
    }

    /// Whether the next bytes of an upload leave the reserve untouched.
    pub(super) fn has_room(&self, file: impl AsFd, bytes: u64) -> bool {
        self.reserve == 0 || self.allows(self.free(file), bytes)
    }

    fn allows(&self, free: u64, bytes: u64) -> bool {
        free.saturating_sub(self.reserve) >= bytes && free >= self.reserve
    }

    /// Free bytes, at most [`FRESH`] ago.
    fn free(&self, file: impl AsFd) -> u64 {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let seen_ms = self.seen_ms.load(Ordering::Relaxed);
        if seen_ms > 0 && now_ms.saturating_sub(seen_ms) < FRESH.as_millis() as u64 {
            return self.free.load(Ordering::Relaxed);
        }
        let free = look(file).free.unwrap_or(u64::MAX);
        self.free.store(free, Ordering::Relaxed);
        self.seen_ms.store(now_ms, Ordering::Relaxed);
        free
    }
}

fn look(file: impl AsFd) -> Look {
    let Ok(space) = rustix::fs::fstatfs(file) else { return Look { free: None, is_tmpfs: false } };
    let free = (space.f_blocks > 0).then(|| {
        let block = u64::try_from(space.f_bsize).unwrap_or(0);
        space.f_bavail.saturating_mul(block)
    });
    Look { free, is_tmpfs: space.f_type == TMPFS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_stay_free_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let free = look(&file).free.unwrap();
        let space = Space::new(free / 2);
        for bytes in [1, LARGE_BYTES] {
            assert!(matches!(space.room(&file, bytes), Room::Enough { .. }));
        }
        assert!(space.has_room(&file, 1));
        assert_eq!(space.room(&file, free / 2 + free / 4), Room::TooLittle);
        let space = Space::new(u64::MAX);
        for bytes in [0, 1, LARGE_BYTES] {
            assert_eq!(space.room(&file, bytes), Room::TooLittle);
        }
        assert!(!space.has_room(&file, 1));
        assert!(Space::new(0).has_room(&file, u64::MAX));
    }

    #[test]
    fn small_uploads_share_an_answer() {
        let file = tempfile::tempfile().unwrap();
        let space = Space::new(0);
        space.free.store(5, Ordering::Relaxed);
        space.seen_ms.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(space.room(&file, 6), Room::TooLittle);
        assert!(matches!(space.room(&file, LARGE_BYTES), Room::Enough { .. }));
        // Too old.
        space.seen_ms.store(0, Ordering::Relaxed);
        assert!(matches!(space.room(&file, 6), Room::Enough { .. }));
    }
}
