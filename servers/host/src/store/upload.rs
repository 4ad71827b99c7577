//! An upload: written to a temporary, then published in one step.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use fileserver_proto::{Digest, FileName, StoreError, Stored};
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;
use sha2::{Digest as _, Sha256};

use super::copies::place_copy;
use super::open_files::OpenFiles;
use super::partial::{Opened, Partial};
use super::space::Space;
use super::{Durability, OnConflict, Store, StoreOptions, error, temporary};

/// Most bytes of an upload for which space is reserved ahead: writing to reserved space costs ext4
/// half as much. It is also never more than has arrived, so a peer that announces much and sends
/// little occupies little.
const RESERVED_BYTES: u64 = 16 << 20;
/// Largest upload for which no space is reserved. Up to this size, publishing so that ext4 need not
/// allocate blocks at once costs less.
const UNRESERVED_BYTES: u64 = 256 << 10;
/// Largest upload whose temporary has no lock. A server that starts meanwhile removes it as stale;
/// publishing then costs a copy.
const UNLOCKED_BYTES: u64 = 1 << 20;
/// Bytes that a copy moves at a time.
const COPIED_BYTES: usize = 1 << 30;

/// Upload in progress. Dropping it removes it, unless it is resumable: then the written bytes
/// remain for [`Store::open_partial`].
#[derive(Debug)]
pub struct Upload {
    folder: Arc<OwnedFd>,
    file: OwnedFd,
    /// Name of the temporary in the folder, if it has one.
    temporary: Option<String>,
    /// Name to publish under; `None` for a random one.
    target: Option<FileName>,
    options: StoreOptions,
    /// Cache to update when a name leads to another file.
    open_files: Arc<OpenFiles>,
    /// Note of a resumable upload.
    partial: Option<Partial>,
    /// Bytes still expected, as announced by the peer.
    expected: u64,
    /// Bytes of them for which space is reserved.
    reserved: u64,
    /// True if a rename over another file would write this one out, which was not asked for.
    is_exchanged: bool,
    /// Bytes written through this value.
    written: u64,
    /// Limit of the space that uploads take.
    space: Arc<Space>,
}

impl Upload {
    pub(super) fn create(
        store: &Store,
        target: Option<&FileName>,
        size_hint: Option<u64>,
    ) -> Result<Self, StoreError> {
        let options = store.options;
        let (path, last) = target.map_or(("", ""), FileName::split);
        let folder = store.folder(path).map_err(error::on_folder)?;
        if options.on_conflict == OnConflict::Error
            && target.is_some()
            && is_taken(&folder, last).map_err(error::on_upload)?
        {
            return Err(StoreError::NameTaken);
        }
        // An unnamed temporary cannot replace a file: it would need a name first.
        let unnamed = match store.unnamed && options.on_conflict != OnConflict::Overwrite {
            true => temporary::unnamed(folder.as_fd()).map_err(error::on_upload)?,
            false => None,
        };
        let (file, temporary) = match unnamed {
            Some(file) => (file, None),
            None => {
                let is_short = size_hint.is_some_and(|size| size <= UNLOCKED_BYTES);
                let (file, name) = match is_short {
                    true => temporary::named(folder.as_fd()),
                    false => temporary::named_and_locked(folder.as_fd()),
                }
                .map_err(error::on_upload)?;
                (file, Some(name))
            }
        };
        let mut upload = Self::on(store, folder, file);
        upload.temporary = temporary;
        upload.target = target.cloned();
        let size = size_hint.unwrap_or(0);
        if !store.space.has_room(&upload.file, size) {
            return Err(StoreError::Full);
        }
        if size <= UNRESERVED_BYTES {
            upload.is_exchanged =
                store.mount.writes_out_renamed && options.durability == Durability::None;
        } else if store.mount.delays_allocation {
            upload.expected = size;
        }
        Ok(upload)
    }

    /// Continues a resumable upload.
    pub(super) fn resume(store: &Store, opened: Opened) -> Self {
        let Opened { folder, file, name, target, partial } = opened;
        let mut upload = Self::on(store, folder, file);
        (upload.temporary, upload.target, upload.partial) = (Some(name), target, Some(partial));
        upload
    }

    /// An upload to this file, of which nothing else is known.
    pub(super) fn on(store: &Store, folder: Arc<OwnedFd>, file: OwnedFd) -> Self {
        Self {
            folder,
            file,
            temporary: None,
            target: None,
            options: store.options,
            open_files: Arc::clone(&store.open_files),
            partial: None,
            expected: 0,
            reserved: 0,
            is_exchanged: false,
            written: 0,
            space: Arc::clone(&store.space),
        }
    }

    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Overloaded`] or [`StoreError::Failed`]; an unknown
    /// number of bytes is then written, and the upload cannot continue.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        self.prepare(bytes.len() as u64)?;
        while !bytes.is_empty() {
            match rustix::io::write(&self.file, bytes) {
                Ok(0) => return Err(error::on_upload(Errno::IO)),
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error::on_upload(errno)),
            }
        }
        Ok(())
    }

    /// True if [`write_from`](Self::write_from) can be used.
    pub(crate) fn takes_pipes(&self) -> bool {
        // A file opened for appending takes no splice.
        self.partial.is_none()
    }

    /// Appends `len` bytes, which are in the pipe.
    ///
    /// # Errors
    /// As for [`write`](Self::write); some of the bytes may then still be in the pipe.
    pub(crate) fn write_from(&mut self, pipe: &OwnedFd, len: usize) -> Result<(), StoreError> {
        self.prepare(len as u64)?;
        let mut left = len;
        while left > 0 {
            match rustix::pipe::splice(pipe, None, &self.file, None, left, SpliceFlags::MOVE) {
                Ok(0) => return Err(error::on_upload(Errno::IO)),
                Ok(written) => left -= written,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error::on_upload(errno)),
            }
        }
        Ok(())
    }

    /// Checks and reserves the space for the next `len` bytes.
    fn prepare(&mut self, len: u64) -> Result<(), StoreError> {
        if !self.space.has_room_left(&self.file, len) {
            return Err(StoreError::Full);
        }
        self.reserve_for(len);
        Ok(())
    }

    /// Reserves space for the next `len` bytes and for some of those that follow them.
    fn reserve_for(&mut self, len: u64) {
        if self.reserved < len && self.expected > 0 {
            let ahead = (self.written + len).min(RESERVED_BYTES).max(len);
            let missing = self.expected.min(ahead) - self.reserved;
            let from = self.written + self.reserved;
            let outcome =
                rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, missing);
            match outcome {
                Ok(()) => self.reserved += missing,
                // An optimization that not every file system supports. If there is no space,
                // writing fails.
                Err(_) => self.expected = 0,
            }
        }
        self.reserved = self.reserved.saturating_sub(len);
        self.expected = self.expected.saturating_sub(len);
        self.written += len;
    }

    /// Checks the content against its digest, if there is one, makes the file durable as the
    /// options say, then publishes it in one step.
    ///
    /// # Errors
    /// As for [`Store::create_upload`], [`StoreError::DigestMismatch`], and
    /// [`StoreError::NameTooLong`] if a `_copyN` does not fit. Nothing remains, with one exception:
    /// if only the last step of [`Durability::Full`], syncing the folder, fails, the file is
    /// complete and has its name.
    pub fn commit(mut self, digest: Option<&Digest>) -> Result<Stored, StoreError> {
        if let Some(digest) = digest
            && sha256(&self.file).map_err(error::on_upload)? != *digest
        {
            // Appending more cannot repair it.
            self.discard_partial();
            return Err(StoreError::DigestMismatch);
        }
        self.sync()?;
        let mut replaced = false;
        let name = match self.target.take() {
            None => self.publish_at_random()?,
            Some(name) => match self.options.on_conflict {
                OnConflict::Rename => self.publish_beside(name)?,
                OnConflict::Overwrite => {
                    replaced = self.publish_over(&name)?;
                    name
                }
                OnConflict::Error => {
                    if !self.publish(name.split().1)? {
                        return Err(StoreError::NameTaken);
                    }
                    name
                }
            },
        };
        // Also if the name was free: a file removed by others may still be kept open.
        self.open_files.forget(&name);
        self.discard_partial();
        self.sync_folder()?;
        Ok(Stored { name, replaced })
    }

    /// Releases an upload that is not committed. The content of a resumable one remains, as durable
    /// as the options say: its length is what the peer is told to continue from.
    ///
    /// # Errors
    /// The content may not survive a power cut.
    pub fn release(self) -> Result<(), StoreError> {
        if self.partial.is_some() { self.sync() } else { Ok(()) }
    }

    /// Makes the content as durable as the options say.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.sync_file().map_err(error::on_upload)
    }

    fn sync_file(&self) -> Result<(), Errno> {
        match self.options.durability {
            Durability::None => Ok(()),
            Durability::Data => rustix::fs::fdatasync(&self.file),
            Durability::Full => rustix::fs::fsync(&self.file),
        }
    }

    /// Makes the name as durable as the options say.
    pub(super) fn sync_folder(&self) -> Result<(), StoreError> {
        match self.options.durability {
            Durability::None | Durability::Data => Ok(()),
            Durability::Full => sync_folder(&self.folder).map_err(error::on_upload),
        }
    }

    /// Makes the upload no longer resumable, and removes what is not published of it.
    fn discard_partial(&mut self) {
        if let Some(partial) = self.partial.take() {
            self.remove_temporary();
            partial.remove(self.folder.as_fd());
        }
    }

    fn remove_temporary(&mut self) {
        let Some(temporary) = self.temporary.take() else { return };
        if let Err(errno) = rustix::fs::unlinkat(&self.folder, temporary, AtFlags::empty()) {
            let error = std::io::Error::from(errno);
            tracing::warn!("cannot remove the temporary of an unfinished upload: {error}");
        }
    }

    /// Publishes under 8 random letters and digits.
    fn publish_at_random(&mut self) -> Result<FileName, StoreError> {
        loop {
            let stem: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
            let name = FileName::new(&format!("{stem}.bin"))
                .expect("letters, digits and a dot are a file name");
            if self.publish(name.as_str())? {
                return Ok(name);
            }
        }
    }

    /// Publishes under the name, or under the first `_copyN` of it that is free.
    fn publish_beside(&mut self, name: FileName) -> Result<FileName, StoreError> {
        if self.publish(name.split().1)? {
            return Ok(name);
        }
        let copy = |number| name.copy(number).map_err(|_| StoreError::NameTooLong);
        let folder = Arc::clone(&self.folder);
        let number = place_copy(
            |number| self.publish(copy(number)?.split().1),
            |number| is_taken(&folder, copy(number)?.split().1).map_err(error::on_upload),
        )?
        .ok_or(StoreError::NameTaken)?;
        copy(number)
    }

    /// Publishes under the name, replacing the file that has it. Returns whether there was one.
    fn publish_over(&mut self, name: &FileName) -> Result<bool, StoreError> {
        let (_, last) = name.split();
        let replaced = kind(&self.folder, last).map_err(error::on_upload)?;
        if self.is_exchanged
            && replaced == Some(FileType::RegularFile)
            && self.exchange(last).map_err(error::on_upload)?
        {
            return Ok(true);
        }
        self.place(|folder, temporary| rustix::fs::renameat(folder, temporary, folder, last))
            .map_err(error::on_upload)?;
        self.temporary = None;
        Ok(replaced.is_some())
    }

    /// Exchanges the temporary with the file of this name, and removes that; false if they cannot be
    /// exchanged. ext4 allocates and writes out the delayed blocks of a file that is renamed over
    /// another one, but not of one that is exchanged: cheaper, but after a power cut the file may be
    /// empty.
    pub(super) fn exchange(&mut self, last: &str) -> Result<bool, Errno> {
        let folder = &*self.folder;
        let Some(temporary) = self.temporary.as_deref() else { return Ok(false) };
        let exchange =
            || rustix::fs::renameat_with(folder, temporary, folder, last, RenameFlags::EXCHANGE);
        if exchange().is_err() {
            return Ok(false);
        }
        match rustix::fs::unlinkat(folder, temporary, AtFlags::empty()) {
            // A server that started meanwhile has removed it.
            Ok(()) | Err(Errno::NOENT) => {}
            // A folder has taken the name meanwhile.
            Err(errno) => {
                exchange()?;
                return Err(errno);
            }
        }
        self.temporary = None;
        Ok(true)
    }

    /// Gives the file this name in its folder; false if the name is taken.
    pub(super) fn publish(&mut self, last: &str) -> Result<bool, StoreError> {
        let outcome = match &self.temporary {
            None => temporary::link(self.folder.as_fd(), &self.file, last),
            Some(_) => self.place(|folder, temporary| rename_exclusively(folder, temporary, last)),
        };
        match outcome {
            Ok(()) => {
                self.temporary = None;
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(error::on_upload(errno)),
        }
    }

    /// Renames the temporary by `rename`. If a server that has started meanwhile removed it as
    /// stale, which happens to those without a lock, a locked copy replaces it.
    fn place(&mut self, rename: impl Fn(&OwnedFd, &str) -> Result<(), Errno>) -> Result<(), Errno> {
        match rename(&self.folder, self.temporary.as_deref().unwrap_or_default()) {
            Err(Errno::NOENT) if self.partial.is_none() => {
                let name = self.copy_to_locked()?;
                rename(&self.folder, &name)
            }
            outcome => outcome,
        }
    }

    /// Copies the content to a locked temporary, and continues with that. Returns its name.
    fn copy_to_locked(&mut self) -> Result<String, Errno> {
        self.temporary = None;
        let (file, name) = temporary::named_and_locked(self.folder.as_fd())?;
        self.temporary = Some(name.clone());
        let removed = std::mem::replace(&mut self.file, file);
        let mut offset = 0;
        while rustix::fs::sendfile(&self.file, &removed, Some(&mut offset), COPIED_BYTES)? > 0 {}
        self.sync_file()?;
        Ok(name)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.partial.is_some() {
            // If this fails, closing the file unlocks it.
            let _ = temporary::unlock(&self.file);
            return;
        }
        self.remove_temporary();
    }
}

/// SHA-256 of a whole file.
fn sha256(file: &OwnedFd) -> Result<Digest, Errno> {
    const BLOCK_BYTES: usize = 128 << 10;
    let mut block = vec![0; BLOCK_BYTES];
    let mut hasher = Sha256::new();
    let mut offset = 0;
    loop {
        let read =
            rustix::io::retry_on_intr(|| rustix::io::pread(file, block.as_mut_slice(), offset))?;
        if read == 0 {
            return Ok(Digest(hasher.finalize().into()));
        }
        hasher.update(&block[..read]);
        offset += read as u64;
    }
}

/// True if the name is taken; a link counts itself, not its target.
fn is_taken(folder: &OwnedFd, last: &str) -> Result<bool, Errno> {
    Ok(kind(folder, last)?.is_some())
}

/// Type of the file that has the name, if one has; of a link itself, not of its target.
fn kind(folder: &OwnedFd, last: &str) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(folder, last, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Renames if the new name is free.
fn rename_exclusively(folder: &OwnedFd, old: &str, new: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(folder, old, folder, new, RenameFlags::NOREPLACE) {
        // NFS has neither unnamed files nor exclusive renames, but its links are exclusive.
        Err(Errno::INVAL) => {
            rustix::fs::linkat(folder, old, folder, new, AtFlags::empty())?;
            rustix::fs::unlinkat(folder, old, AtFlags::empty())
        }
        outcome => outcome,
    }
}

fn sync_folder(folder: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::fsync(rustix::fs::openat(folder, ".", flags, Mode::empty())?)
}

#[cfg(test)]
impl Upload {
    /// Has another limit of space from now on.
    pub(super) fn limit_space(&mut self, space: Space) {
        self.space = Arc::new(space);
    }

    /// Length of the file, and the space reserved for it.
    pub(super) fn extent(&self) -> (u64, u64) {
        let stat = rustix::fs::fstat(&self.file).unwrap();
        (stat.st_size as u64, stat.st_blocks as u64 * 512)
    }
}
