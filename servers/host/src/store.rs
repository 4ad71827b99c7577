//! Served folder: opened once, and nothing outside it is ever accessed.
//!
//! Every name is resolved beneath the root by the kernel (`openat2`), without symbolic links. An
//! upload is written to a temporary and appears under its name by one atomic step that never
//! replaces a file by accident: a name on disk is complete or absent.

mod content;
mod copies;
mod download;
mod error;
mod list;
mod log;
mod mount;
mod notes;
mod open_files;
mod partial;
mod space;
mod temporary;
mod unfinished;
mod upkeep;
mod upload;
mod walk;

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use fileserver_proto::{Entry, FileName, Now, PartialId, PartialInfo, StoreError};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub use download::Download;
pub(crate) use download::Part;
pub use error::OpenStoreError;
pub use unfinished::ResumableLimits;
pub use upload::Upload;

use mount::Mount;
use open_files::{Freshness, OpenFiles};
use space::Space;
use unfinished::Unfinished;
use upkeep::Upkeep;

/// Served folder, shared by all threads. Keeps the folder and recently requested files open.
#[derive(Debug)]
pub struct Store {
    root: Arc<OwnedFd>,
    options: StoreOptions,
    open_files: Arc<OpenFiles>,
    space: Arc<Space>,
    mount: Mount,
    unfinished: Arc<Unfinished>,
    log_numbers: log::Numbers,
    /// True if to try unnamed temporaries (`O_TMPFILE`).
    unnamed: bool,
    /// Periodic work; none without files.
    upkeep: Option<Upkeep>,
}

/// Period in which deleted and unused files are closed.
const CLOSING_PERIOD: Duration = Duration::from_secs(2);

/// Options for storing uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Data forced to disk before an upload is acknowledged.
    pub durability: Durability,
    /// Reaction to an upload whose name is taken.
    pub on_conflict: OnConflict,
    /// Bytes that uploads leave free on the file system.
    pub min_free: u64,
    /// Limits on unfinished resumable uploads.
    pub resumable: ResumableLimits,
}

/// Data forced to disk before an upload is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Durability {
    /// Nothing: a power cut may lose acknowledged uploads and the files they replaced
    None,
    /// The file's data: after a power cut a file may be missing, but never incomplete
    #[default]
    Data,
    /// The file and its folder: an acknowledged upload survives a power cut, name and content
    Full,
}

impl Durability {
    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Data => "data",
            Self::Full => "full",
        }
    }
}

/// Reaction to an upload whose name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OnConflict {
    /// Store it as `name_copy1.ext`, `name_copy2.ext`, …; the reply names it
    #[default]
    Rename,
    /// Replace the existing file in one step
    Overwrite,
    /// Refuse the upload
    Error,
}

impl OnConflict {
    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Overwrite => "overwrite",
            Self::Error => "error",
        }
    }
}

impl Store {
    /// Opens an existing folder, and removes temporaries that a killed server left in it.
    ///
    /// # Errors
    /// The folder is missing, is no folder or cannot be entered, or the kernel lacks `openat2`
    /// (Linux 5.6), which resolves names safely.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, OpenStoreError> {
        let folder = rustix::fs::openat(CWD, root, FOLDER, Mode::empty())
            .map_err(|errno| OpenStoreError::new(root, errno))?;
        // Checks that the folder may be searched and that the kernel has openat2.
        open_beneath(&folder, ".", FOLDER).map_err(|errno| OpenStoreError::new(root, errno))?;
        temporary::remove_stale(folder.as_fd());
        notes::remove_orphans(folder.as_fd());
        let mut store = Self::on(folder, options, true);
        store.unfinished.expire();
        let (files, unfinished) = (Arc::clone(&store.open_files), Arc::clone(&store.unfinished));
        let period = unfinished::period(options.resumable);
        let mut expires = Instant::now() + period;
        store.upkeep = Some(Upkeep::start(CLOSING_PERIOD.min(period), move || {
            let now = Instant::now();
            files.close_unneeded(now);
            if now >= expires {
                unfinished.expire();
                expires = now + period;
            }
        }));
        Ok(store)
    }

    /// Store without a folder, for services without files. All its operations fail.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn without_files() -> Result<Self, OpenStoreError> {
        // No name can lie beneath this.
        let path = Path::new("/dev/null");
        let nothing = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| OpenStoreError::new(path, errno))?;
        Ok(Self::on(nothing, StoreOptions::default(), true))
    }

    /// Opens a folder that another process of the same server has opened, without removing stale
    /// temporaries. If uploads replace files, each request checks whether the file kept open is
    /// still current, since another process may have replaced it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_beside_others(root: &Path, options: StoreOptions) -> Result<Self, OpenStoreError> {
        let folder = rustix::fs::openat(CWD, root, FOLDER, Mode::empty())
            .map_err(|errno| OpenStoreError::new(root, errno))?;
        let mut store = Self::on(folder, options, false);
        let files = Arc::clone(&store.open_files);
        let close = move || files.close_unneeded(Instant::now());
        store.upkeep = Some(Upkeep::start(CLOSING_PERIOD, close));
        Ok(store)
    }

    /// Store on an open folder; `is_alone` unless other processes of the server have it open.
    fn on(root: OwnedFd, options: StoreOptions, is_alone: bool) -> Self {
        let freshness = match options.on_conflict {
            OnConflict::Overwrite if !is_alone => Freshness::IsAsked,
            OnConflict::Overwrite | OnConflict::Rename | OnConflict::Error => Freshness::Lasts,
        };
        let mount = Mount::of(&root);
        let root = Arc::new(root);
        Self {
            unfinished: Arc::new(Unfinished::new(&root, options.resumable, is_alone)),
            root,
            options,
            open_files: Arc::new(OpenFiles::new(freshness)),
            space: Arc::new(Space::new(options.min_free)),
            mount,
            log_numbers: log::Numbers::default(),
            // A nameless temporary gets its name through /proc.
            unnamed: Path::new("/proc/self/fd").exists(),
            upkeep: None,
        }
    }

    /// Opens a regular file for reading; a FIFO or device is refused without waiting for it.
    ///
    /// The file may be open from an earlier request; a change by other programs shows within a
    /// second.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAFile`], [`StoreError::Denied`],
    /// [`StoreError::NameTooLong`], [`StoreError::Overloaded`] or [`StoreError::Failed`].
    pub fn open_download(&self, name: &FileName) -> Result<Download, StoreError> {
        self.open_files.open(self.root.as_fd(), name)
    }

    /// True if the file is open from an earlier request, so that opening it does not block.
    pub fn is_open(&self, name: &FileName) -> bool {
        self.open_files.has(name)
    }

    /// Creates the temporary of an upload to `name`, or to a random name.
    ///
    /// # Errors
    /// [`StoreError::Full`] if less than `size_hint` bytes are free, [`StoreError::NoFolder`],
    /// [`StoreError::NameTaken`] under [`OnConflict::Error`], [`StoreError::Denied`],
    /// [`StoreError::NameTooLong`], [`StoreError::Overloaded`] or [`StoreError::Failed`].
    pub fn create_upload(
        &self,
        name: Option<&FileName>,
        size_hint: Option<u64>,
    ) -> Result<Upload, StoreError> {
        Upload::create(self, name, size_hint)
    }

    /// Creates an empty resumable upload to `name`, or to a random name, of `len` bytes in all. It
    /// remains until it is committed or expires.
    ///
    /// # Errors
    /// As for [`create_upload`](Self::create_upload), and [`StoreError::Full`] beyond the
    /// [`ResumableLimits`].
    pub fn create_partial(
        &self,
        name: Option<&FileName>,
        len: u64,
    ) -> Result<PartialId, StoreError> {
        partial::create(self, name, len)
    }

    /// Opens a resumable upload for appending, exclusively until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none (any more) with this id, [`StoreError::Busy`] if
    /// it is open elsewhere, else as for [`create_upload`](Self::create_upload).
    pub fn open_partial(&self, id: PartialId) -> Result<(Upload, PartialInfo), StoreError> {
        let (opened, info) = partial::open(self, id)?;
        Ok((Upload::resume(self, opened), info))
    }

    /// Regular files that a peer can name, in all folders, sorted by name. Temporaries and links
    /// are omitted. Stops after 10,000 files, in no particular order, and logs that.
    ///
    /// # Errors
    /// The root cannot be read. Folders that cannot be read are omitted.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        list::list(self.root.as_fd())
    }

    /// Stores a line about a request in a new file of the root: `log0.txt`, `log1.txt`, and so on
    /// after the highest number. Numbers have no gaps and none is used twice, even by several
    /// servers on one folder. Beyond 10,000 files, each line removes the oldest.
    ///
    /// # Errors
    /// As for [`create_upload`](Self::create_upload), and if the root cannot be read.
    pub fn log(
        &self,
        now: Now,
        peer: Option<SocketAddr>,
        message: &[u8],
    ) -> Result<(), StoreError> {
        log::store(self, now, peer, message)
    }

    /// Folder of a name, without its last component.
    fn folder(&self, path: &str) -> Result<Arc<OwnedFd>, Errno> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        open_beneath(&self.root, path, FOLDER).map(Arc::new)
    }
}

/// Flags of a folder that is only a starting point for names.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens what `path` leads to beneath `folder`, following no link anywhere.
fn open_beneath(folder: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::io::retry_on_intr(|| {
        rustix::fs::openat2(folder.as_fd(), path, flags, Mode::empty(), resolve)
    })
}

#[cfg(test)]
mod tests;
