//! Resumable uploads: temporaries that outlive connections and restarts.
//!
//! The content lies in a folder beside its target. A note in such a folder of the root holds the
//! total length and the target's name. No peer can name these folders, and a walk does not enter
//! them. Appending requires the content's lock.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fileserver_proto::{FileName, PartialId, PartialInfo, StoreError};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::notes::{content_path, not_found, note_path, read_note, remove_folder, write_in_folder};
use super::unfinished::Unfinished;
use super::{Store, error, temporary};

/// Note of a resumable upload.
#[derive(Debug)]
pub(super) struct Partial {
    unfinished: Arc<Unfinished>,
    /// Path of the note beneath the root.
    note: String,
    len: u64,
}

impl Partial {
    /// Removes the note, and the folders if nothing is left in them: the content, if any, cannot be
    /// found any more. `folder` is that of the target.
    pub(super) fn remove(self, folder: BorrowedFd<'_>) {
        let root = self.unfinished.root();
        if let Err(errno) = self.unfinished.end(root, &self.note, self.len) {
            let error = std::io::Error::from(errno);
            tracing::warn!("cannot remove the note of a resumable upload: {error}");
        }
        remove_folder(folder);
        remove_folder(root);
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
    let note = note_path(id);
    let write = || write_in_folder(store.root.as_fd(), &note, text.as_bytes());
    store.unfinished.begin(len, write)?;
    let partial = Partial { unfinished: Arc::clone(&store.unfinished), note, len };
    let created = match store.unfinished.is_exceeded() {
        true => Err(StoreError::Full),
        false => write_in_folder(folder.as_fd(), &content_path(id), b"").map_err(error::on_upload),
    };
    if let Err(error) = created {
        partial.remove(folder.as_fd());
        return Err(error);
    }
    Ok(id)
}

/// Content of a resumable upload, opened for appending and locked.
pub(super) struct Opened {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) file: OwnedFd,
    /// Path of the content beneath the folder.
    pub(super) name: String,
    /// Name to publish under; `None` for a random one.
    pub(super) target: Option<FileName>,
    pub(super) partial: Partial,
}

/// Opens the content for appending, locked.
pub(super) fn open(store: &Store, id: PartialId) -> Result<(Opened, PartialInfo), StoreError> {
    let note = note_path(id);
    let (len, target) = read_note(store.root.as_fd(), &note)?;
    let (path, _) = target.as_ref().map_or(("", ""), FileName::split);
    let folder = store.folder(path).map_err(|_| StoreError::NotFound)?;
    let name = content_path(id);
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
    let partial = Partial { unfinished: Arc::clone(&store.unfinished), note, len };
    Ok((Opened { folder, file, name, target, partial }, PartialInfo { len, offset }))
}

fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    let filled =
        rustix::io::retry_on_intr(|| getrandom(bytes.as_mut_slice(), GetRandomFlags::empty()))?;
    if filled < bytes.len() { Err(Errno::IO) } else { Ok(bytes) }
}
