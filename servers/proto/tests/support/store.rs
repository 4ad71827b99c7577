//! A store in memory that fails on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use fileserver_proto::{
    Digest, Entry, FileDescription, FileInfo, FileName, Modified, PartialId, PartialInfo,
    StoreError, Stored,
};

/// Digest that the store accepts for a content: its first bytes, padded with zeros, in place of a
/// hash.
pub fn digest_of(content: &[u8]) -> Digest {
    let mut digest = Digest([0; 32]);
    let len = content.len().min(32);
    digest.0[..len].copy_from_slice(&content[..len]);
    digest
}

/// A resumable upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    pub name: Option<FileName>,
    pub len: u64,
    pub content: Vec<u8>,
}

/// Files by name, with the one download and the one upload that a session may hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MemoryStore {
    pub files: BTreeMap<FileName, Vec<u8>>,
    /// Number of uploads that were created and aborted.
    pub aborted: usize,
    /// The declared sizes of uploads, in order.
    pub size_hints: Vec<Option<u64>>,
    /// Resumable uploads that are not complete.
    pub partials: BTreeMap<u128, Partial>,
    /// Taken names are overwritten.
    pub overwrites: bool,
    pub faults: Faults,
    download: Option<FileName>,
    upload: Option<Upload>,
    failed_upload: bool,
    random_names: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Upload {
    name: Option<FileName>,
    content: Vec<u8>,
    partial: Option<u128>,
}

/// Operations that fail, and their errors.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Opening fails, also of resumable uploads.
    pub open: Option<StoreError>,
    /// Creating fails, also of resumable uploads.
    pub create: Option<StoreError>,
    /// Writing fails once an upload is this long.
    pub write: Option<(usize, StoreError)>,
    /// Making the content of a resumable upload durable fails.
    pub sync: Option<StoreError>,
    /// Committing fails.
    pub commit: Option<StoreError>,
    /// Reading fails from this offset on.
    pub read: Option<u64>,
    /// Listing fails.
    pub list: Option<StoreError>,
}

impl MemoryStore {
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, content)| (name_of(name), content.to_vec()));
        Self { files: files.collect(), ..Self::default() }
    }

    pub fn failing(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    pub fn content(&self, name: &str) -> Option<&[u8]> {
        self.files.get(&name_of(name)).map(Vec::as_slice)
    }

    pub(super) fn open(&mut self, name: &FileName) -> Result<Arc<FileDescription>, StoreError> {
        assert_eq!(self.download, None, "one download at a time");
        fail(self.faults.open)?;
        let content = self.files.get(name).ok_or(StoreError::NotFound)?;
        self.download = Some(name.clone());
        // 1994-11-06 08:48:00 UTC.
        let modified = Modified { unix_s: 784_111_680, nanos: 5 };
        let info = FileInfo { len: content.len() as u64, modified, inode: 7 };
        Ok(FileDescription::new(name, info))
    }

    pub(super) fn read(&mut self, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        let name = self.download.as_ref().expect("an open download");
        if self.faults.read.is_some_and(|from| offset >= from) {
            return Err(StoreError::Failed);
        }
        Ok(self.files[name][offset as usize..][..len as usize].to_vec())
    }

    pub(super) fn close(&mut self) {
        self.download.take().expect("an open download");
    }

    pub(super) fn create(
        &mut self,
        name: Option<&FileName>,
        size_hint: Option<u64>,
    ) -> Result<(), StoreError> {
        assert_eq!((&self.download, &self.upload), (&None, &None), "one transfer at a time");
        self.size_hints.push(size_hint);
        fail(self.faults.create)?;
        self.upload = Some(Upload { name: name.cloned(), content: Vec::new(), partial: None });
        Ok(())
    }

    pub(super) fn create_partial(
        &mut self,
        name: Option<&FileName>,
        len: u64,
    ) -> Result<PartialId, StoreError> {
        fail(self.faults.create)?;
        let id = 0xab << 120 | self.partials.len() as u128;
        self.partials.insert(id, Partial { name: name.cloned(), len, content: Vec::new() });
        Ok(PartialId(id))
    }

    pub(super) fn open_partial(&mut self, id: PartialId) -> Result<PartialInfo, StoreError> {
        assert_eq!((&self.download, &self.upload), (&None, &None), "one transfer at a time");
        fail(self.faults.open)?;
        let Partial { name, len, content } =
            self.partials.get(&id.0).cloned().ok_or(StoreError::NotFound)?;
        let info = PartialInfo { len, offset: content.len() as u64 };
        self.upload = Some(Upload { name, content, partial: Some(id.0) });
        Ok(info)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let upload = self.upload.as_mut().expect("an upload");
        let content = &mut upload.content;
        if let Some((at, error)) = self.faults.write
            && content.len() + bytes.len() > at
        {
            return Err(error);
        }
        content.extend_from_slice(bytes);
        if let Some(id) = upload.partial {
            let partial = self.partials.get_mut(&id).expect("a resumable upload");
            partial.content.clone_from(content);
            assert!(partial.content.len() as u64 <= partial.len, "no more than was announced");
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, digest: Option<&Digest>) -> Result<Stored, StoreError> {
        let Upload { name, content, partial } = self.upload.take().expect("an upload");
        let mismatch = digest.is_some_and(|digest| *digest != digest_of(&content));
        if mismatch && let Some(id) = partial {
            self.partials.remove(&id);
        }
        if let Some(error) = mismatch.then_some(StoreError::DigestMismatch).or(self.faults.commit) {
            self.failed_upload = true;
            return Err(error);
        }
        if let Some(id) = partial {
            let partial = self.partials.remove(&id).expect("a resumable upload");
            assert_eq!(partial.len, content.len() as u64, "a whole upload");
        }
        let name = name.unwrap_or_else(|| {
            self.random_names += 1;
            name_of(&format!("random{:02}.bin", self.random_names))
        });
        if self.overwrites {
            let replaced = self.files.insert(name.clone(), content).is_some();
            return Ok(Stored { name, replaced });
        }
        let copies = (1..).map(|number| name.copy(number).expect("a short name"));
        let free = std::iter::once(name.clone())
            .chain(copies)
            .find(|name| !self.files.contains_key(name))
            .expect("endless names");
        self.files.insert(free.clone(), content);
        Ok(Stored { name: free, replaced: false })
    }

    pub(super) fn abort(&mut self) -> Result<(), StoreError> {
        let upload = self.upload.take();
        assert!(upload.is_some() || std::mem::take(&mut self.failed_upload), "an upload to abort");
        self.aborted += 1;
        match upload {
            Some(Upload { partial: Some(_), .. }) => fail(self.faults.sync),
            _ => Ok(()),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Entry>, StoreError> {
        fail(self.faults.list)?;
        Ok(self
            .files
            .iter()
            .map(|(name, content)| Entry {
                name: name.clone(),
                len: content.len() as u64,
                modified: Modified::default(),
            })
            .collect())
    }

    pub fn assert_nothing_is_held(&self) {
        assert_eq!((&self.download, &self.upload), (&None, &None), "everything was let go of");
        assert!(!self.failed_upload, "a failed upload was aborted");
    }
}

fn name_of(name: &str) -> FileName {
    FileName::new(name).expect("a good name")
}

fn fail(error: Option<StoreError>) -> Result<(), StoreError> {
    error.map_or(Ok(()), Err)
}
