//! A file open for reading.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use fileserver_proto::{FileDescription, FileInfo, FileName, Modified, StoreError};
use rustix::fs::{AtFlags, FileType, OFlags, Stat};

use super::content::{Content, Memory};
use super::{error, open_beneath};

/// Regular file open for reading, possibly shared with other downloads.
#[derive(Debug)]
pub struct Download(Arc<OpenFile>);

/// Open file, closed with its last user.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: OwnedFd,
    description: Arc<FileDescription>,
    content: OnceLock<Content>,
    memory: Arc<Memory>,
}

impl OpenFile {
    pub(super) fn open(
        root: BorrowedFd<'_>,
        name: &FileName,
        memory: &Arc<Memory>,
    ) -> Result<Self, StoreError> {
        // Without O_NONBLOCK, opening a FIFO waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open_beneath(root, name.as_str(), flags).map_err(error::on_download)?;
        let stat = rustix::fs::fstat(&file).map_err(error::on_download)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StoreError::NotAFile);
        }
        let description = FileDescription::new(name, info(&stat));
        let memory = Arc::clone(memory);
        Ok(Self { file, description, content: OnceLock::new(), memory })
    }

    /// True if the name still leads to this file, unchanged.
    pub(super) fn is_still(&self, root: BorrowedFd<'_>, name: &FileName) -> bool {
        // The inode number distinguishes it from the target of a link.
        rustix::fs::statat(root, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| info(&stat) == self.description.info())
    }

    /// True if the file has no name left, so that closing it frees its space.
    pub(super) fn is_deleted(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 0)
    }
}

impl Download {
    pub(super) fn new(file: Arc<OpenFile>) -> Self {
        Self(file)
    }

    /// Length and modification time at opening.
    pub fn info(&self) -> FileInfo {
        self.0.description.info()
    }

    /// Description of the file for replies.
    pub fn description(&self) -> Arc<FileDescription> {
        Arc::clone(&self.0.description)
    }

    /// Whole content from memory, for a file of at most `most_bytes`: read once, then kept as long
    /// as the file is kept open. `None` for a larger file, if reading fails, and if the memory for
    /// contents is full.
    pub(crate) fn content(&self, most_bytes: u64) -> Option<&[u8]> {
        let file = &*self.0;
        if let Some(content) = file.content.get() {
            return Some(content.bytes());
        }
        let len = file.description.info().len;
        if len > most_bytes {
            return None;
        }
        // Two threads may both read it, which is better than one waiting for the other.
        let content = Content::read(file.file.as_fd(), len, &file.memory)?;
        Some(file.content.get_or_init(|| content).bytes())
    }

    /// Part of the content, if [`content`](Self::content) has it; shorter at the end of the file.
    pub(crate) fn part(&self, most_bytes: u64, (offset, len): (u64, u64)) -> Option<Part> {
        let end = self.content(most_bytes)?.len() as u64;
        let (start, end) = (offset.min(end) as usize, offset.saturating_add(len).min(end) as usize);
        Some(Part { file: Arc::clone(&self.0), start, end })
    }

    /// True if the content is in memory already.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.content.get().is_some()
    }

    /// Open file, for `pread` and `sendfile` with an offset.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

/// Part of a file's content in memory, at a fixed address while this exists.
#[derive(Debug)]
pub(crate) struct Part {
    file: Arc<OpenFile>,
    start: usize,
    end: usize,
}

impl Part {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.content.get().map_or(&[], |content| &content.bytes()[self.start..self.end])
    }
}

/// Length, modification time and inode of a file.
pub(super) fn info(stat: &Stat) -> FileInfo {
    FileInfo {
        len: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Modified {
            unix_s: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        inode: stat.st_ino,
    }
}
