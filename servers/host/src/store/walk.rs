//! Walk over the entries beneath the root, bounded and without following links.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use fileserver_proto::FileName;
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::open_beneath;

/// Most directory entries of one walk.
const WALK_ENTRIES: usize = 100_000;

/// Entry found by a [`walk`]: no folder, or one that is not entered.
pub(super) struct WalkEntry<'a> {
    /// Folder of the entry, open.
    pub folder: BorrowedFd<'a>,
    /// Path of the folder beneath the root; empty for the root itself.
    pub path: &'a str,
    /// Name in the folder.
    pub name: &'a CStr,
    /// Type of the entry.
    pub kind: FileType,
}

/// Calls `visit` for each entry beneath the root but folders, until it breaks or the bound is
/// reached. A folder that no peer can name is visited and not entered. One that cannot be read is
/// omitted.
///
/// # Errors
/// The root cannot be read.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    mut visit: impl FnMut(WalkEntry<'_>) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = Dir::new(open_beneath(root, ".", flags)?)?;
    let mut path = String::new();
    let mut waiting = VecDeque::new();
    let mut entries = 0;
    loop {
        while let Some(Ok(entry)) = dir.read() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            entries += 1;
            if entries > WALK_ENTRIES {
                tracing::warn!(
                    "the root has more than {WALK_ENTRIES} entries; the rest is ignored"
                );
                return Ok(());
            }
            let folder = dir.fd()?;
            let Some(kind) = kind_of(folder, name, entry.file_type()) else { continue };
            let is_folder = kind == FileType::Directory;
            let below = name.to_str().ok().filter(|_| is_folder).map(|name| join(&path, name));
            if let Some(below) = below.filter(|below| FileName::new(below).is_ok()) {
                waiting.push_back(below);
            } else if visit(WalkEntry { folder, path: &path, name, kind }).is_break() {
                return Ok(());
            }
        }
        // The next folder that can still be opened.
        dir = loop {
            let Some(next) = waiting.pop_front() else { return Ok(()) };
            if let Ok(next_dir) = open_beneath(root, &next, flags).and_then(Dir::new) {
                path = next;
                break next_dir;
            }
        };
    }
}

/// Name with the path of its folder before it.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Type of an entry, queried if the listing does not include it.
fn kind_of(folder: BorrowedFd<'_>, name: &CStr, told: FileType) -> Option<FileType> {
    if told != FileType::Unknown {
        return Some(told);
    }
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}
