//! Splicing a file through a pipe to a socket, without a copy.

use std::cell::RefCell;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};

use super::STEP_BYTES;

thread_local! {
    /// Empty between calls, so that all connections of a thread share it.
    static PIPE: RefCell<Option<Pipe>> = const { RefCell::new(None) };
}

/// Sends a part of the file; returns the number of bytes, 0 at the end of the file.
///
/// # Errors
/// Those of the socket and of the file; `EINVAL` also if no pipe can be created.
pub(super) fn splice(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    len: usize,
) -> Result<usize, Errno> {
    PIPE.with_borrow_mut(|slot| {
        let pipe = match slot {
            Some(pipe) => pipe,
            None => slot.insert(Pipe::new().map_err(|_| Errno::INVAL)?),
        };
        let sent = pipe.splice(socket, file, offset, len);
        if pipe.is_clogged {
            *slot = None;
        }
        sent
    })
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Receives the bytes that the socket did not take.
    null: OwnedFd,
    /// True if it could not be emptied.
    is_clogged: bool,
}

impl Pipe {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A smaller pipe takes smaller steps. A part of a file may begin and end within a page.
        let _ = fcntl_setpipe_size(&write, 2 * STEP_BYTES as usize);
        let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { read, write, null, is_clogged: false })
    }

    fn splice(
        &mut self,
        socket: BorrowedFd<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
    ) -> Result<usize, Errno> {
        let mut position = offset;
        let (read, write) = (&self.read, &self.write);
        let filled = rustix::pipe::splice(
            file,
            Some(&mut position),
            write,
            None,
            len,
            SpliceFlags::empty(),
        )?;
        if filled == 0 {
            return Ok(0);
        }
        let sent = rustix::pipe::splice(read, None, socket, None, filled, SpliceFlags::empty());
        let mut left = filled - sent.unwrap_or(0);
        while left > 0 {
            match rustix::pipe::splice(read, None, &self.null, None, left, SpliceFlags::empty()) {
                Ok(dropped) if dropped > 0 => left -= dropped,
                Ok(_) | Err(_) => {
                    self.is_clogged = true;
                    break;
                }
            }
        }
        // 0 bytes sent must not look like the end of the file.
        match sent {
            Ok(0) => Err(Errno::AGAIN),
            sent => sent,
        }
    }
}
