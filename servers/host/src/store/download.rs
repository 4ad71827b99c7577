//! A file open for reading.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fileserver_proto::{FileInfo, FileName, Modified, StoreError};
use rustix::fs::{FileType, OFlags, Stat};

use super::{error, open_beneath};

/// A regular file open for reading; other downloads may share it.
#[derive(Debug)]
pub struct Download(Arc<OpenFile>);

/// An open file; closed when nobody holds it any more.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: OwnedFd,
    info: FileInfo,
}

impl OpenFile {
    pub(super) fn open(root: BorrowedFd<'_>, name: &FileName) -> Result<Self, StoreError> {
        // Without O_NONBLOCK a FIFO would be waited for until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open_beneath(root, name.as_str(), flags).map_err(error::on_download)?;
        let stat = rustix::fs::fstat(&file).map_err(error::on_download)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StoreError::NotAFile);
        }
        Ok(Self { file, info: info(&stat) })
    }
}

impl Download {
    pub(super) fn new(file: Arc<OpenFile>) -> Self {
        Self(file)
    }

    /// Length and modification time when it was opened.
    pub fn info(&self) -> FileInfo {
        self.0.info
    }

    /// The open file, for `pread` and `sendfile` with an offset of the caller's own.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

/// What a session needs to know of a file.
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
