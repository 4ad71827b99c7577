//! Served folders and the contents of their files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use loadgen::content::Content;
use tempfile::TempDir;

/// A temporary folder that servers serve, one after the other or together; removed with its last
/// handle.
#[derive(Debug, Clone)]
pub struct Folder(Arc<TempDir>);

impl Folder {
    /// An empty folder.
    #[expect(
        clippy::new_without_default,
        reason = "a default with an effect on the disk surprises"
    )]
    pub fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().expect("the system has a folder for temporary files")))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file of the generated [`content`] and returns its bytes.
    pub fn put(&self, name: &str, len: usize) -> Vec<u8> {
        let content = content(name, len);
        fs::write(self.path().join(name), &content).expect("the folder is writable");
        content
    }

    /// The bytes of a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name))
            .unwrap_or_else(|error| panic!("cannot read {name}: {error}"))
    }

    /// The names of all entries, sorted, hidden ones included.
    pub fn names(&self) -> Vec<String> {
        names(self.path())
    }
}

/// The first `len` bytes of the generated content of this name.
pub fn content(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Content::of_name(name).fill(0, &mut bytes);
    bytes
}

/// The names of all entries of a folder, sorted, hidden ones included.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder exists");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("the folder is readable").file_name().into_string().expect("names are UTF-8")
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}
