//! Saved state of resumable transfers.

use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, OrRemedy};

/// Saved line about one transfer, in a file of its own.
#[derive(Debug)]
pub(crate) struct ResumeState {
    path: PathBuf,
}

impl ResumeState {
    /// State of the transfer of `kind` between this server's file `name` and a local file.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(crate) fn of(kind: &str, server: &str, name: &str, local: &Path) -> Result<Self, Failure> {
        let folder = state_home()?.join("threads-vs-selectors").join(kind);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).or_remedy(
            format_args!("cannot save the state of transfers in {}", folder.display()),
            "set XDG_STATE_HOME to another folder, or remove --resume",
        )?;
        let mut hash = Sha256::new();
        for part in [server.as_bytes(), name.as_bytes(), local.as_os_str().as_bytes()] {
            hash.update(part);
            // No part contains a NUL.
            hash.update([0]);
        }
        let mut file = String::new();
        for byte in &hash.finalize()[..16] {
            write!(file, "{byte:02x}").expect("a string takes any text");
        }
        Ok(Self { path: folder.join(file) })
    }

    /// Saved line; `None` if there is none or it was written incompletely.
    pub(crate) fn load(&self) -> Option<String> {
        let mut text = std::fs::read_to_string(&self.path).ok()?;
        (text.pop() == Some('\n')).then_some(text)
    }

    /// Saves a line.
    pub(crate) fn save(&self, line: &str) -> Result<(), Failure> {
        let failed = format_args!("cannot write {}", self.path.display());
        let written = std::fs::write(&self.path, format!("{line}\n"));
        Ok(written.or_remedy(failed, "free space, or remove --resume")?)
    }

    /// Removes the saved line.
    pub(crate) fn clear(&self) {
        // A line that remains is recognised as outdated by the next attempt.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Folder for state of programs (XDG Base Directory Specification).
fn state_home() -> Result<PathBuf, Failure> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Failure::Usage(anyhow!(
                "no folder for the state of transfers: set XDG_STATE_HOME, or remove --resume"
            ))
        })
}
