//! What replies say of a file.

use std::sync::Arc;

use crate::wire::http::reply;
use crate::{FileInfo, FileName};

/// One version of a file as replies describe it: composed once, when the file is opened, and shared
/// by all replies until the file is opened anew.
#[derive(Debug)]
pub struct FileDescription {
    info: FileInfo,
    /// The header fields of an http reply that depend on the file alone.
    fields: Box<[u8]>,
}

impl FileDescription {
    /// Describes the file of this name.
    pub fn new(name: &FileName, info: FileInfo) -> Arc<Self> {
        Arc::new(Self { info, fields: reply::file_fields(name, &info) })
    }

    /// What it was composed of.
    pub fn info(&self) -> FileInfo {
        self.info
    }

    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }
}
