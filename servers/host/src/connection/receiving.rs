//! From a socket through a pipe to an upload's file, with one copy instead of two.

use std::cell::RefCell;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use fileserver_proto::StoreError;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};

use crate::store::Upload;

/// Least rest of a body for which the two calls are cheaper than a receive and a write.
pub(super) const WORTH_BYTES: u64 = 128 << 10;
/// Capacity of a pipe, for pages that hold a segment each. The larger a write, the larger the folios
/// that ext4 allocates.
const PIPE_BYTES: usize = 1 << 20;
/// Most pipes of a process; further threads receive and write. They may hold half of what Linux
/// allows an unprivileged user (`pipe-user-pages-soft`).
const MOST_PIPES: usize = 32;

/// Number of pipes open.
static PIPES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Empty between calls, so that all connections of a thread share it.
    static PIPE: RefCell<Option<Pipe>> = const { RefCell::new(None) };
}

/// Result of a transfer.
pub(super) enum Transfer {
    /// Bytes taken from the socket, and whether they were written.
    Done(u64, Result<(), StoreError>),
    /// The peer has ended its stream.
    Ended,
    /// No pipe is available, or socket or file do not support `splice`.
    Unavailable,
}

/// Moves up to `len` bytes; waits for the first if the socket blocks.
///
/// # Errors
/// Those of the socket.
pub(super) fn transfer(
    socket: BorrowedFd<'_>,
    upload: &mut Upload,
    len: u64,
) -> Result<Transfer, Errno> {
    PIPE.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Pipe::new();
        }
        let Some(pipe) = slot else { return Ok(Transfer::Unavailable) };
        let room = usize::try_from(len).unwrap_or(usize::MAX).min(PIPE_BYTES);
        let flags = SpliceFlags::MOVE;
        let filled = match rustix::pipe::splice(socket, None, &pipe.write, None, room, flags) {
            Ok(0) => return Ok(Transfer::Ended),
            Ok(filled) => filled,
            Err(Errno::INVAL) => return Ok(Transfer::Unavailable),
            Err(errno) => return Err(errno),
        };
        let written = upload.write_from(&pipe.read, filled);
        if written.is_err() {
            // Bytes are left in it.
            *slot = None;
        }
        Ok(Transfer::Done(filled as u64, written))
    })
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    fn new() -> Option<Self> {
        if PIPES.fetch_add(1, Ordering::Relaxed) >= MOST_PIPES {
            PIPES.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            PIPES.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        // A smaller one takes smaller steps.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Some(Self { read, write })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        PIPES.fetch_sub(1, Ordering::Relaxed);
    }
}
