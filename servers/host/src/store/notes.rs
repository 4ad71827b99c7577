//! Notes and contents of resumable uploads on disk.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use fileserver_proto::{FileName, PartialId, StoreError};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::walk;
use super::{error, open_beneath, temporary};

/// Name of the folders; `temporary.rs` explains why no peer can give it.
const FOLDER: &str = "\u{1}resumable";
/// Prefixes of the names in such a folder.
const CONTENT: &str = "content-";
const NOTE: &str = "note-";
/// Readable and writable for all, less the process's umask.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
/// Longest note: a length, a line end and a name.
const NOTE_BYTES: usize = 20 + 1 + 4096;

/// Number and announced bytes of unfinished uploads.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl Totals {
    /// The totals with another upload.
    pub(super) fn with(self, bytes: u64) -> Self {
        Self { number: self.number + 1, bytes: self.bytes.saturating_add(bytes) }
    }

    /// The totals without one of the uploads.
    pub(super) fn without(self, bytes: u64) -> Self {
        let number = self.number.saturating_sub(1);
        Self { number, bytes: self.bytes.saturating_sub(bytes) }
    }
}

/// Removal of a note from its folder, given with the upload's announced bytes.
type End<'e> = dyn Fn(BorrowedFd<'_>, &str, u64) -> Result<(), Errno> + 'e;

/// Removes the uploads that were not used for `lifetime`; `end` removes their notes.
pub(super) fn remove_abandoned(root: &OwnedFd, lifetime: Duration, end: &End<'_>) {
    each_entry(root.as_fd(), |folder, name| {
        if !name.starts_with(NOTE) {
            return;
        }
        let outcome = remove_if_abandoned(root, folder, name, lifetime, end);
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
    end: &End<'_>,
) -> Result<(), Errno> {
    let is_old = |stat: &Stat| age(stat.st_mtime).is_some_and(|age| age > lifetime);
    match rustix::fs::statat(notes, note, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_old(&stat) => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    // A note that names no folder, or none that exists, has no content any more.
    let (len, target) = read_note(root.as_fd(), &format!("{FOLDER}/{note}")).unwrap_or((0, None));
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
    end(notes, note, len)
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
pub(super) fn remove_folder(parent: BorrowedFd<'_>) {
    let _ = rustix::fs::unlinkat(parent, FOLDER, AtFlags::REMOVEDIR);
}

/// Time since a modification; `None` if that lies in the future.
fn age(modified_unix_s: i64) -> Option<Duration> {
    let modified = Duration::from_secs(u64::try_from(modified_unix_s).unwrap_or(0));
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + modified).ok()
}

pub(super) fn read_note(
    root: BorrowedFd<'_>,
    note: &str,
) -> Result<(u64, Option<FileName>), StoreError> {
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
pub(super) fn write_in_folder(
    parent: BorrowedFd<'_>,
    path: &str,
    content: &[u8],
) -> Result<(), Errno> {
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

pub(super) fn not_found(errno: Errno, attempt: &str) -> StoreError {
    match errno {
        Errno::NOENT => StoreError::NotFound,
        errno => error::in_general(errno, attempt),
    }
}

pub(super) fn content_path(id: PartialId) -> String {
    format!("{FOLDER}/{CONTENT}{:032x}", id.0)
}

pub(super) fn note_path(id: PartialId) -> String {
    format!("{FOLDER}/{NOTE}{:032x}", id.0)
}
