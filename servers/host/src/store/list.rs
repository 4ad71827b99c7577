//! Listing of the files that a peer can name.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use fileserver_proto::{Entry, FileName, StoreError};
use rustix::fs::{AtFlags, FileType};

use super::download::info;
use super::error;
use super::walk::{WalkEntry, join, walk};

/// Most files of one listing.
const LIST_ENTRIES: usize = 10_000;

pub(super) fn list(root: BorrowedFd<'_>) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    walk(root, |found| {
        entries.extend(entry(&found));
        if entries.len() == LIST_ENTRIES {
            tracing::warn!("the listing stops after {LIST_ENTRIES} files");
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(|errno| error::in_general(errno, "listing the files"))?;
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Entry of a regular file with a name that peers can give; `None` for a temporary.
fn entry(found: &WalkEntry<'_>) -> Option<Entry> {
    if found.kind != FileType::RegularFile {
        return None;
    }
    let name = FileName::new(&join(found.path, found.name.to_str().ok()?)).ok()?;
    let stat = rustix::fs::statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let info = info(&stat);
    Some(Entry { name, len: info.len, modified: info.modified })
}
