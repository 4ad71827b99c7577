//! Temporary files: unnamed if the file system supports it, else under a name that no peer can
//! give.
//!
//! A named temporary is locked (`flock`) while a server writes it, so that a server that starts on
//! the same folder can distinguish it from one left by a killed server. One that is written within
//! moments has no lock: whoever publishes it copies it if it was removed.

use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::walk::walk;

/// Prefix of a temporary's name. A `FileName` has no control character, so no peer can read,
/// replace or list a temporary.
const PREFIX: &str = "\u{1}upload-";

/// Readable and writable for all, less the process's umask.
pub(super) const MODE: Mode = Mode::from_raw_mode(0o666);

/// Opens an unnamed temporary in a folder; `None` if the file system does not support it.
pub(super) fn unnamed(folder: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, MODE) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Creates a named temporary in a folder, without a lock.
pub(super) fn named(folder: BorrowedFd<'_>) -> Result<(OwnedFd, String), Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    loop {
        let name = name();
        match rustix::fs::openat(folder, name.as_str(), flags, MODE) {
            Ok(file) => return Ok((file, name)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Creates a named temporary in a folder, locked.
pub(super) fn named_and_locked(folder: BorrowedFd<'_>) -> Result<(OwnedFd, String), Errno> {
    loop {
        let (file, name) = named(folder)?;
        // A server that starts at this moment may remove it as stale.
        if lock(&file).is_ok() && rustix::fs::fstat(&file)?.st_nlink > 0 {
            return Ok((file, name));
        }
    }
}

/// Links an open file to a name that must be free.
pub(super) fn link(folder: BorrowedFd<'_>, file: &OwnedFd, name: &str) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, open_file, folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Removes the temporaries beneath a root that no living server holds.
pub(super) fn remove_stale(root: BorrowedFd<'_>) {
    let outcome = walk(root, |found| {
        if found.kind == FileType::RegularFile
            && found.name.to_bytes().starts_with(PREFIX.as_bytes())
        {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let removed = rustix::fs::openat(found.folder, found.name, flags, Mode::empty())
                .and_then(|file| {
                    lock(&file)?;
                    rustix::fs::unlinkat(found.folder, found.name, AtFlags::empty())
                });
            match removed {
                Ok(()) => tracing::info!("removed a temporary that a killed server left"),
                // In use, or published meanwhile.
                Err(Errno::WOULDBLOCK | Errno::NOENT) => {}
                Err(errno) => {
                    let error = std::io::Error::from(errno);
                    tracing::warn!("cannot remove a stale temporary: {error}");
                }
            }
        }
        ControlFlow::Continue(())
    });
    if let Err(errno) = outcome {
        // A root that may be entered but not listed still serves known names.
        tracing::warn!("cannot look for stale temporaries: {}", std::io::Error::from(errno));
    }
}

pub(super) fn lock(file: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Unlocks at once: closing alone leaves the lock with a child that is being forked meanwhile.
pub(super) fn unlock(file: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::Unlock)
}

fn name() -> String {
    format!("{PREFIX}{:016x}", fastrand::u64(..))
}
