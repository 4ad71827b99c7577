//! Meaning of the operating system's errors for an operator and a peer.

use std::path::{Path, PathBuf};

use fileserver_proto::StoreError;
use rustix::io::Errno;

/// Failure to open the root.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The name does not exist.
    #[error("root {path:?} does not exist; create the folder or choose another with --root")]
    NotFound {
        /// The root as given.
        path: PathBuf,
    },
    /// The root is a file, device or the like.
    #[error("root {path:?} is not a folder; choose a folder with --root")]
    NotAFolder {
        /// The root as given.
        path: PathBuf,
    },
    /// The user may not enter it.
    #[error(
        "no permission to enter root {path:?}; change its mode or owner, or choose another with --root"
    )]
    Denied {
        /// The root as given.
        path: PathBuf,
    },
    /// The kernel lacks `openat2`, or a sandbox forbids it.
    #[error(
        "cannot resolve names safely beneath root {path:?}: openat2 is missing; \
         use Linux 5.6 or newer, or allow that system call in the sandbox"
    )]
    Unsupported {
        /// The root as given.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot open root {path:?}; check the path and its file system")]
    Io {
        /// The root as given.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl OpenStoreError {
    pub(super) fn new(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT => Self::NotFound { path },
            Errno::NOTDIR => Self::NotAFolder { path },
            Errno::ACCESS | Errno::PERM => Self::Denied { path },
            Errno::NOSYS => Self::Unsupported { path },
            _ => Self::Io { path, source: errno.into() },
        }
    }
}

/// Meaning of an error when a download is opened.
pub(super) fn on_download(errno: Errno) -> StoreError {
    match errno {
        // EXDEV: the path would have left the root.
        Errno::NOENT | Errno::NOTDIR | Errno::XDEV => StoreError::NotFound,
        // ELOOP: a link on the way. ENXIO, ENODEV: a socket or a device without a driver.
        Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ISDIR => StoreError::NotAFile,
        _ => in_general(errno, "opening a download"),
    }
}

/// Meaning of an error when an upload's folder is opened.
pub(super) fn on_folder(errno: Errno) -> StoreError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => StoreError::NoFolder,
        _ => in_general(errno, "opening an upload's folder"),
    }
}

/// Meaning of an error when an upload is written or published.
pub(super) fn on_upload(errno: Errno) -> StoreError {
    match errno {
        // The folder was removed meanwhile.
        Errno::NOENT => StoreError::NoFolder,
        // Overwriting a folder.
        Errno::ISDIR | Errno::NOTEMPTY => StoreError::NotAFile,
        _ => in_general(errno, "storing an upload"),
    }
}

/// Meaning of an error in any operation; unexpected ones are logged.
pub(super) fn in_general(errno: Errno, attempt: &str) -> StoreError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => StoreError::Denied,
        Errno::NAMETOOLONG => StoreError::NameTooLong,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::Full,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => StoreError::Overloaded,
        _ => {
            tracing::warn!("{attempt} failed: {}", std::io::Error::from(errno));
            StoreError::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expected_refusal_has_its_meaning() {
        for (errno, download, folder, upload) in [
            (Errno::NOENT, StoreError::NotFound, StoreError::NoFolder, StoreError::NoFolder),
            (Errno::LOOP, StoreError::NotAFile, StoreError::NoFolder, StoreError::Failed),
            (Errno::XDEV, StoreError::NotFound, StoreError::NoFolder, StoreError::Failed),
            (Errno::NXIO, StoreError::NotAFile, StoreError::Failed, StoreError::Failed),
            (Errno::ISDIR, StoreError::NotAFile, StoreError::Failed, StoreError::NotAFile),
        ] {
            assert_eq!(on_download(errno), download, "{errno:?}");
            assert_eq!(on_folder(errno), folder, "{errno:?}");
            assert_eq!(on_upload(errno), upload, "{errno:?}");
        }
        for (errno, meaning) in [
            (Errno::ACCESS, StoreError::Denied),
            (Errno::PERM, StoreError::Denied),
            (Errno::ROFS, StoreError::Denied),
            (Errno::NAMETOOLONG, StoreError::NameTooLong),
            (Errno::NOSPC, StoreError::Full),
            (Errno::DQUOT, StoreError::Full),
            (Errno::FBIG, StoreError::Full),
            (Errno::MFILE, StoreError::Overloaded),
            (Errno::NFILE, StoreError::Overloaded),
            (Errno::NOMEM, StoreError::Overloaded),
            (Errno::IO, StoreError::Failed),
        ] {
            assert_eq!(on_download(errno), meaning, "{errno:?}");
            assert_eq!(on_folder(errno), meaning, "{errno:?}");
            assert_eq!(on_upload(errno), meaning, "{errno:?}");
        }
    }
}
