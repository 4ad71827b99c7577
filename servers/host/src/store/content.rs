//! Content of small files, kept in a limited amount of memory.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// Most memory for the content of all files.
const MOST_BYTES: u64 = 32 << 20;

/// Memory in use for contents.
#[derive(Debug, Default)]
pub(super) struct Memory {
    taken_bytes: AtomicU64,
}

/// Whole content of a file; dropping it frees its memory for others.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Box<[u8]>,
    memory: Arc<Memory>,
}

impl Content {
    /// Reads all `len` bytes of the file; `None` if it has fewer, cannot be read, or the memory
    /// limit is reached.
    pub(super) fn read(file: BorrowedFd<'_>, len: u64, memory: &Arc<Memory>) -> Option<Self> {
        if memory.taken_bytes.load(Ordering::Relaxed).saturating_add(len) > MOST_BYTES {
            return None;
        }
        memory.taken_bytes.fetch_add(len, Ordering::Relaxed);
        // From here on, dropping it returns the memory.
        let mut content = Self { bytes: vec![0; len as usize].into(), memory: Arc::clone(memory) };
        let mut filled = 0;
        while filled < content.bytes.len() {
            match rustix::io::pread(file, &mut content.bytes[filled..], filled as u64) {
                Ok(0) => return None,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        Some(content)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.memory.taken_bytes.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(MOST_BYTES).unwrap();
        let memory = Arc::default();
        let read = |len| Content::read(file.as_fd(), len, &memory);
        let most = read(MOST_BYTES).unwrap();
        assert_eq!(most.bytes().len() as u64, MOST_BYTES);
        assert!(read(1).is_none());
        drop(most);
        // What the file does not have takes nothing either.
        file.set_len(5).unwrap();
        assert!(read(6).is_none());
        assert_eq!(read(5).unwrap().bytes(), [0; 5]);
        assert_eq!(memory.taken_bytes.load(Ordering::Relaxed), 0);
    }
}
