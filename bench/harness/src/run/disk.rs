//! Folder on a disk for loads that store their uploads there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::machine::facts::file_system;
use crate::run::files::ScratchFolder;

/// File systems in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// Longest path of a folder on a disk: the path of a Unix domain socket below it has at most 107 bytes.
const MOST_BYTES: usize = 60;

/// Folder for files that survive a restart of the machine.
const LASTING: &str = "/var/tmp";

/// Temporary folder on the file system of the results, or else of `/var/tmp`, removed when dropped.
/// `for_others`: servers under another account use it as well.
///
/// # Errors
/// Both are in memory, or the folder cannot be created.
pub(crate) fn create(results: &Path, for_others: bool) -> anyhow::Result<ScratchFolder> {
    let beside = existing(results)?;
    let choices = [beside, PathBuf::from(LASTING)];
    let is_disk = |folder: &&PathBuf| !IN_MEMORY.contains(&&*file_system(folder));
    let mut disks = choices.iter().filter(is_disk).peekable();
    ensure!(
        disks.peek().is_some(),
        "uploads to a disk are part of the plan, and {} as well as {LASTING} are in memory: choose a \
         folder on a disk with --out, or --store memory",
        choices[0].display()
    );
    let parent = disks.find(|folder| is_short(folder) && (!for_others || is_open(folder))).with_context(|| {
        format!(
            "uploads to a disk are part of the plan, and reference servers, which do not run as root, \
             cannot reach {}, or its path is longer than {MOST_BYTES} bytes: choose another folder with \
             --out",
            choices[0].display()
        )
    })?;
    ScratchFolder::create_in(parent)
        .with_context(|| format!("cannot create a folder in {} for uploads", parent.display()))
}

/// The folder, or the nearest existing one that contains it.
fn existing(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(folder).context("cannot find the current folder")?;
    let found = folder.ancestors().find(|one| one.is_dir()).unwrap_or(Path::new("/"));
    Ok(found.canonicalize()?)
}

/// Returns true if a server can have a socket in the folder.
fn is_short(folder: &Path) -> bool {
    folder.as_os_str().len() <= MOST_BYTES
}

/// Returns true if every account can reach the folder.
fn is_open(folder: &Path) -> bool {
    folder.ancestors().all(|one| {
        fs::metadata(one).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_no_disk() {
        let memory = Path::new("/dev/shm");
        if file_system(memory) != "tmpfs" {
            return;
        }
        match create(&memory.join("no/such/folder"), false) {
            Ok(folder) => assert!(folder.path().starts_with(LASTING), "{folder:?}"),
            Err(error) => assert!(error.to_string().contains("--out"), "{error}"),
        }
    }

    #[test]
    fn a_folder_with_a_long_path_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let long = parent.path().join("x".repeat(MOST_BYTES));
        fs::create_dir(&long).unwrap();
        match create(&long, false) {
            Ok(folder) => assert!(folder.path().starts_with(LASTING), "{folder:?}"),
            Err(error) => assert!(error.to_string().contains("--out"), "{error}"),
        }
    }

    #[test]
    fn closed_folders_are_not_for_other_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed/inner");
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let before = is_open(&closed);
        fs::set_permissions(closed.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_open(&closed));
        assert_eq!(before, is_open(folder.path()));
    }
}
