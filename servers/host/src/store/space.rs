//! Free space of the file system, and the part of it that uploads leave.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sizes from which the file system is asked for each upload.
const LARGE_BYTES: u64 = 1 << 20;
/// Age up to which an answer serves further small uploads.
const FRESH: Duration = Duration::from_millis(100);

/// Space that uploads may take.
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

impl Space {
    /// Space of which `reserve` bytes are to stay free.
    pub(super) fn new(reserve: u64) -> Self {
        Self {
            reserve,
            begun: Instant::now(),
            free: AtomicU64::new(u64::MAX),
            seen_ms: AtomicU64::new(0),
        }
    }

    /// True if there is room for an upload of `bytes` to this file. Where the file system does not
    /// say how much is free, the first write that fails does.
    pub(super) fn has_room(&self, file: impl AsFd, bytes: u64) -> bool {
        let free = if bytes < LARGE_BYTES { self.lately_free(file) } else { free(file) };
        free >= self.reserve && free - self.reserve >= bytes
    }

    /// True if the next bytes of an upload leave the reserve untouched.
    pub(super) fn has_room_left(&self, file: impl AsFd, bytes: u64) -> bool {
        self.reserve == 0 || self.lately_free(file).saturating_sub(self.reserve) >= bytes
    }

    /// Free bytes, at most [`FRESH`] ago.
    fn lately_free(&self, file: impl AsFd) -> u64 {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let seen_ms = self.seen_ms.load(Ordering::Relaxed);
        if seen_ms > 0 && now_ms.saturating_sub(seen_ms) < FRESH.as_millis() as u64 {
            return self.free.load(Ordering::Relaxed);
        }
        let free = free(file);
        self.free.store(free, Ordering::Relaxed);
        self.seen_ms.store(now_ms, Ordering::Relaxed);
        free
    }
}

/// Free bytes of the file system, as many as can be if it does not say.
fn free(file: impl AsFd) -> u64 {
    match rustix::fs::fstatvfs(file) {
        Ok(space) if space.f_blocks > 0 => space.f_bavail.saturating_mul(space.f_frsize),
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let free = free(&file);
        let space = Space::new(free / 2);
        for bytes in [1, LARGE_BYTES] {
            assert!(space.has_room(&file, bytes) && space.has_room_left(&file, bytes));
        }
        assert!(!space.has_room(&file, free / 2 + free / 4));
        let space = Space::new(u64::MAX);
        for bytes in [0, 1, LARGE_BYTES] {
            assert!(!space.has_room(&file, bytes));
        }
        assert!(!space.has_room_left(&file, 1));
        assert!(Space::new(0).has_room_left(&file, u64::MAX));
    }

    #[test]
    fn small_uploads_share_an_answer() {
        let file = tempfile::tempfile().unwrap();
        let space = Space::new(0);
        space.free.store(5, Ordering::Relaxed);
        space.seen_ms.store(u64::MAX, Ordering::Relaxed);
        assert!(space.has_room(&file, 5) && !space.has_room(&file, 6));
        assert!(space.has_room(&file, LARGE_BYTES));
        // Not seen yet.
        space.seen_ms.store(0, Ordering::Relaxed);
        assert!(space.has_room(&file, 6));
    }
}
