//! Resumable uploads: temporaries that outlive connections and restarts.
//!
//! The content lies in a folder beside its target. A note in such a folder of the root holds the
//! total length and the target's name. No peer can name these folders, and a walk does not enter
//! them. Appending requires the content's lock.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fileserver_proto::{FileName, PartialId, PartialInfo, StoreError};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::unfinished::{Totals, Unfinished};
use super::walk::walk;
use super::{Store, error, open_beneath, temporary};

/// Name of the folders; `temporary.rs` explains why no peer can give it.
const FOLDER: &str = "\u{1}resumable";
/// Prefixes of the names in such a folder.
const CONTENT: &str = "content-";
const NOTE: &str = "note-";
/// Readable and writable for all, less the process's umask.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
/// Longest note: a length, a line end and a name.
const NOTE_BYTES: usize = 20 + 1 + 4096;

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
        if let Err(errno) = rustix::fs::unlinkat(root, &self.note, AtFlags::empty()) {
            let error = std::io::Error::from(errno);
            tracing::warn!("cannot remove the note of a resumable upload: {error}");
        }
        self.unfinished.end(self.len);
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
    if !store.unfinished.begin(len) {
        return Err(StoreError::Full);
    }
    let note = note_path(id);
    if let Err(errno) = write_in_folder(store.root.as_fd(), &note, text.as_bytes()) {
        store.unfinished.end(len);
        return Err(error::on_upload(errno));
    }
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

/// Removes the uploads that were not used for `lifetime`.
pub(super) fn remove_abandoned(root: &OwnedFd, lifetime: Duration) {
    each_entry(root.as_fd(), |folder, name| {
        if !name.starts_with(NOTE) {
            return;
        }
        let outcome = remove_if_abandoned(root, folder, name, lifetime);
        if let Err(errno) = outcome {
            let error = std::io::Error::from(errno);
            tracing::warn!("cannot remove an abandoned upload: {error}");
        }
    });
    remove_folder(root.as_fd());
}

/// Removes an upload, content and note, if it was not used for `lifetime` and is not open.
fn remove_if_abandoned(
    root: &OwnedFd,
    notes: BorrowedFd<'_>,
    note: &str,
    lifetime: Duration,
) -> Result<(), Errno> {
    let is_old = |stat: &Stat| age(stat.st_mtime).is_some_and(|age| age > lifetime);
    match rustix::fs::statat(notes, note, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_old(&stat) => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    // A note that names no folder, or none that exists, has no content any more.
    let target = read_note(root.as_fd(), &format!("{FOLDER}/{note}")).ok().and_then(|note| note.1);
    let (path, _) = target.as_ref().map_or(("", ""), FileName::split);
    let path = if path.is_empty() { "." } else { path };
    if let Ok(folder) = open_beneath(root, path, super::FOLDER) {
        let content = format!("{FOLDER}/{CONTENT}{}", &note[NOTE.len()..]);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, &content, flags, Mode::empty()) {
            Ok(file) => {
                // Locked while a connection appends.
                if temporary::lock(&file).is_err() || !is_old(&rustix::fs::fstat(&file)?) {
                    return Ok(());
                }
                rustix::fs::unlinkat(&folder, &content, AtFlags::empty())?;
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        remove_folder(folder.as_fd());
    }
    match rustix::fs::unlinkat(notes, note, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}

/// Removes contents beneath the whole root that have no note any more.
pub(super) fn remove_orphans(root: BorrowedFd<'_>) {
    let outcome = walk(root, |found| {
        if found.kind == FileType::Directory && found.name.to_bytes() == FOLDER.as_bytes() {
            each_entry(found.folder, |folder, name| {
                let Some(id) = name.strip_prefix(CONTENT) else { return };
                let note = format!("{FOLDER}/{NOTE}{id}");
                let stat = rustix::fs::statat(root, &note, AtFlags::SYMLINK_NOFOLLOW);
                if stat.is_err_and(|errno| errno == Errno::NOENT) {
                    // If this fails, it lies in nobody's way.
                    let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
                }
            });
            remove_folder(found.folder);
        }
        ControlFlow::Continue(())
    });
    if let Err(errno) = outcome {
        tracing::warn!("cannot look for abandoned uploads: {}", std::io::Error::from(errno));
    }
}

/// Number and announced bytes of unfinished uploads.
pub(super) fn count(root: &OwnedFd) -> Totals {
    let mut totals = Totals::default();
    each_entry(root.as_fd(), |_, name| {
        if name.starts_with(NOTE) {
            let note = read_note(root.as_fd(), &format!("{FOLDER}/{name}"));
            totals = totals.with(note.map_or(0, |(len, _)| len));
        }
    });
    totals
}

/// Calls `visit` for each name in the folder of resumable uploads beside a target, if it exists.
fn each_entry(parent: BorrowedFd<'_>, mut visit: impl FnMut(BorrowedFd<'_>, &str)) {
    let Ok(folder) = open_folder(parent) else { return };
    let Ok(dir) = Dir::read_from(&folder) else { return };
    for entry in dir.flatten() {
        if let Ok(name) = entry.file_name().to_str() {
            visit(folder.as_fd(), name);
        }
    }
}

fn open_folder(parent: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, FOLDER, flags, Mode::empty())
}

/// Removes the folder of resumable uploads beside a target, if it is empty.
fn remove_folder(parent: BorrowedFd<'_>) {
    let _ = rustix::fs::unlinkat(parent, FOLDER, AtFlags::REMOVEDIR);
}

/// Time since a modification; `None` if that lies in the future.
fn age(modified_unix_s: i64) -> Option<Duration> {
    let modified = Duration::from_secs(u64::try_from(modified_unix_s).unwrap_or(0));
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + modified).ok()
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

/// Writes a new file in the folder of resumable uploads beside a target, and creates that folder.
fn write_in_folder(parent: BorrowedFd<'_>, path: &str, content: &[u8]) -> Result<(), Errno> {
    loop {
        match write_new(parent, path, content) {
            // Whoever finishes the last upload removes the folder.
            Err(Errno::NOENT) => match rustix::fs::mkdirat(parent, FOLDER, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            },
            outcome => return outcome,
        }
    }
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

fn content_path(id: PartialId) -> String {
    format!("{FOLDER}/{CONTENT}{:032x}", id.0)
}

fn note_path(id: PartialId) -> String {
    format!("{FOLDER}/{NOTE}{:032x}", id.0)
}

fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    let filled =
        rustix::io::retry_on_intr(|| getrandom(bytes.as_mut_slice(), GetRandomFlags::empty()))?;
    if filled < bytes.len() { Err(Errno::IO) } else { Ok(bytes) }
}
