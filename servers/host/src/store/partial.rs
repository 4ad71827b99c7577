//! Resumable uploads: temporaries that outlive connections and restarts.
//!
//! The content lies beside its target under a name that no peer can give. A note in the root holds
//! the total length and the target's name. Appending requires the content's lock.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fileserver_proto::{FileName, PartialId, PartialInfo, StoreError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::walk::walk;
use super::{Store, error, open_beneath, temporary};

/// Prefixes of the names; `temporary.rs` explains why no peer can give them.
const CONTENT: &str = "\u{1}partial-";
const NOTE: &str = "\u{1}partial-note-";
/// Longest note: a length, a line end and a name.
const NOTE_BYTES: usize = 20 + 1 + 4096;
/// Time without use after which an upload is abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Note of a resumable upload.
#[derive(Debug)]
pub(super) struct Partial {
    root: Arc<OwnedFd>,
    note: String,
}

impl Partial {
    /// Removes the note: the content cannot be found any more.
    pub(super) fn remove(self) {
        if let Err(errno) = rustix::fs::unlinkat(&self.root, &self.note, AtFlags::empty()) {
            let error = std::io::Error::from(errno);
            tracing::warn!("cannot remove the note of a resumable upload: {error}");
        }
    }
}

/// Creates the content, empty, and the note.
pub(super) fn create(
    store: &Store,
    target: Option<&FileName>,
    len: u64,
) -> Result<PartialId, StoreError> {
    let (path, _) = target.map_or(("", ""), FileName::split);
    let folder = store.folder(path).map_err(error::on_folder)?;
    let id = PartialId(u128::from_ne_bytes(random().map_err(error::on_upload)?));
    let text = format!("{len}\n{}", target.map_or("", FileName::as_str));
    let note = note_name(id);
    write_new(store.root.as_fd(), &note, text.as_bytes()).map_err(error::on_upload)?;
    let partial = Partial { root: Arc::clone(&store.root), note };
    match write_new(folder.as_fd(), &content_name(id), b"") {
        Ok(()) => Ok(id),
        Err(errno) => {
            partial.remove();
            Err(error::on_upload(errno))
        }
    }
}

/// Content of a resumable upload, opened for appending and locked.
pub(super) struct Opened {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) file: OwnedFd,
    /// Name of the content in the folder.
    pub(super) name: String,
    /// Name to publish under; `None` for a random one.
    pub(super) target: Option<FileName>,
    pub(super) partial: Partial,
}

/// Opens the content for appending, locked.
pub(super) fn open(store: &Store, id: PartialId) -> Result<(Opened, PartialInfo), StoreError> {
    let note = note_name(id);
    let (len, target) = read_note(store.root.as_fd(), &note)?;
    let (path, _) = target.as_ref().map_or(("", ""), FileName::split);
    let folder = store.folder(path).map_err(|_| StoreError::NotFound)?;
    let name = content_name(id);
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, &name, flags, Mode::empty())
        .map_err(|errno| not_found(errno, "opening a resumable upload"))?;
    match temporary::lock(&file) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(StoreError::Busy),
        Err(errno) => return Err(error::on_upload(errno)),
    }
    let stat = rustix::fs::fstat(&file).map_err(error::on_upload)?;
    // Published or removed between the opening and the locking.
    if stat.st_nlink == 0 || read_note(store.root.as_fd(), &note).is_err() {
        return Err(StoreError::NotFound);
    }
    // The note's time is that of the last use of the content.
    let now = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::utimensat(&store.root, &note, &now, AtFlags::empty()).map_err(error::on_upload)?;
    let offset = u64::try_from(stat.st_size).unwrap_or(0);
    let partial = Partial { root: Arc::clone(&store.root), note };
    Ok((Opened { folder, file, name, target, partial }, PartialInfo { len, offset }))
}

/// Removes abandoned uploads beneath the whole root.
pub(super) fn remove_abandoned(root: BorrowedFd<'_>) {
    let outcome = walk(root, |found| {
        if found.kind == FileType::RegularFile
            && found.name.to_bytes().starts_with(CONTENT.as_bytes())
        {
            let removed = rustix::fs::statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW)
                .and_then(|stat| match is_abandoned(stat.st_mtime) {
                    true => rustix::fs::unlinkat(found.folder, found.name, AtFlags::empty()),
                    false => Ok(()),
                });
            if let Err(errno) = removed {
                let error = std::io::Error::from(errno);
                tracing::warn!("cannot remove an abandoned upload: {error}");
            }
        }
        ControlFlow::Continue(())
    });
    if let Err(errno) = outcome {
        tracing::warn!("cannot look for abandoned uploads: {}", std::io::Error::from(errno));
    }
}

fn is_abandoned(modified_unix_s: i64) -> bool {
    let modified = Duration::from_secs(u64::try_from(modified_unix_s).unwrap_or(0));
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + modified)
        .is_ok_and(|age| age > ABANDONED_AFTER)
}

fn read_note(root: BorrowedFd<'_>, note: &str) -> Result<(u64, Option<FileName>), StoreError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open_beneath(root, note, flags)
        .map_err(|errno| not_found(errno, "reading the note of a resumable upload"))?;
    let mut bytes = [0; NOTE_BYTES];
    let read = rustix::io::read(&file, &mut bytes).map_err(error::on_upload)?;
    std::str::from_utf8(&bytes[..read])
        .ok()
        .and_then(|text| text.split_once('\n'))
        .and_then(|(len, name)| {
            let name = if name.is_empty() { None } else { Some(FileName::new(name).ok()?) };
            Some((len.parse().ok()?, name))
        })
        .ok_or(StoreError::NotFound)
}

fn write_new(folder: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, temporary::MODE)?;
    match rustix::io::write(&file, content) {
        Ok(written) if written == content.len() => Ok(()),
        Ok(_) => Err(Errno::NOSPC),
        Err(errno) => Err(errno),
    }
    .inspect_err(|_| {
        // Nothing refers to it; what cannot be removed now is removed when it is abandoned.
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    })
}

fn not_found(errno: Errno, attempt: &str) -> StoreError {
    match errno {
        Errno::NOENT => StoreError::NotFound,
        errno => error::in_general(errno, attempt),
    }
}

fn content_name(id: PartialId) -> String {
    format!("{CONTENT}{:032x}", id.0)
}

fn note_name(id: PartialId) -> String {
    format!("{NOTE}{:032x}", id.0)
}

fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    let filled =
        rustix::io::retry_on_intr(|| getrandom(bytes.as_mut_slice(), GetRandomFlags::empty()))?;
    if filled < bytes.len() { Err(Errno::IO) } else { Ok(bytes) }
}
