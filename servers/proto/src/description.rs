//! Description of a file in replies.

use std::sync::Arc;

use crate::wire::http::reply;
use crate::{FileInfo, FileName};

/// Description of one version of a file. It is composed when the file is opened, and shared by all
/// replies until the file is opened anew.
#[derive(Debug)]
pub struct FileDescription {
    info: FileInfo,
    /// Header fields of an http reply that depend on the file alone.
    fields: Box<[u8]>,
}

impl FileDescription {
    /// Describes a file.
    pub fn new(name: &FileName, info: FileInfo) -> Arc<Self> {
        Arc::new(Self { info, fields: reply::file_fields(name, &info) })
    }

    /// Attributes of the file.
    pub fn info(&self) -> FileInfo {
        self.info
    }

    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }
}
