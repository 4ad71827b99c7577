//! Files that loads request: names, content and disk space.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use loadgen::Direction;
use loadgen::content::Content;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;
use bench_data::load::store::Store;
use bench_data::plan::Plan;

/// Name of the file of a size that loads request; the content is generated from it.
pub fn download_name(size: ByteSize) -> String {
    format!("{size}.bin")
}

/// Name of the file of a size that loads upload.
pub fn upload_name(size: ByteSize) -> String {
    format!("upload-{size}.bin")
}

/// Writes the file of a size that loads request into a folder.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn write(folder: &Path, size: ByteSize) -> anyhow::Result<()> {
    let name = download_name(size);
    let path = folder.join(&name);
    write_content(&path, &name, size.bytes())
        .with_context(|| format!("cannot write the file to serve, {}", path.display()))
}

/// Writes the files of a mix into a folder, and returns their names.
///
/// # Errors
/// A file exists already, or cannot be written.
pub fn write_mix(folder: &Path, mix: Mix) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in mix.files() {
        let path = folder.join(&file.name);
        write_content(&path, &file.name, file.size.bytes())
            .with_context(|| format!("cannot write a file to serve, {}", path.display()))?;
        names.push(file.name);
    }
    Ok(names)
}

/// Temporary folder of a run, removed when dropped.
#[derive(Debug)]
pub(crate) struct ScratchFolder {
    folder: TempDir,
    /// The folder itself, locked while the process lives.
    _lock: File,
}

/// First part of the name of a scratch folder; the process id follows.
const SCRATCH: &str = "bench-";

impl ScratchFolder {
    /// Creates a temporary folder, in memory if possible, so that the disk does not influence the
    /// comparison. Servers under another account can traverse it, but not list it. Removes folders of
    /// killed runs.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        if std::env::var_os("TMPDIR").is_none()
            && let Ok(folder) = Self::create_in(memory)
        {
            return Ok(folder);
        }
        Self::create_in(&std::env::temp_dir())
            .context("cannot create a temporary folder; set TMPDIR to one that can be written to")
    }

    /// Creates a folder in a given one; otherwise as [`ScratchFolder::create`].
    pub(crate) fn create_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{SCRATCH}{}-", std::process::id()))
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::LockShared)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the scratch folders of processes that have ended. A process of another container is not
/// visible, but its lock is.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.split_once('-'));
        let Some(pid) = owner.and_then(|(pid, _)| pid.parse::<u32>().ok()) else { continue };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || Path::new(&format!("/proc/{pid}")).exists() {
            continue;
        }
        let lock = File::open(entry.path()).ok();
        let is_free = |file: &File| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if lock.as_ref().is_some_and(is_free) {
            // A folder of another user stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Checks the space for the files of all sizes and for two copies of the largest upload of every
/// connection, the partial file and the complete one, in one place of the files.
///
/// # Errors
/// Too little space.
pub(crate) fn check_room(plan: &Plan, store: Store, folder: &Path) -> anyhow::Result<()> {
    let bytes = |load: &Load| match load.direction {
        // Lines are sent from memory.
        Direction::Echo => 0,
        Direction::Download => load.profile.mix.map_or_else(|| load.size.bytes(), Mix::total_bytes),
        Direction::Upload => {
            load.size.bytes().saturating_mul(load.connections as u64).saturating_mul(2)
        }
    };
    let of = |direction| {
        let is_its = move |load: &Load| load.direction == direction && load.profile.store == store;
        plan.loads().into_iter().filter(is_its)
    };
    let downloads: u64 = of(Direction::Download).map(|load| bytes(&load)).sum();
    let uploads = of(Direction::Upload).map(|load| bytes(&load)).max().unwrap_or(0);
    let needed = downloads.saturating_add(uploads);
    let room = rustix::fs::statvfs(folder)?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if needed > free / 2 {
        bail!(
            "the plan's files need {}, {} are free in {}: choose smaller sizes, fewer \
             connections, or another folder by TMPDIR",
            bench_data::units::bytes(needed as f64),
            bench_data::units::bytes(free as f64),
            folder.display()
        );
    }
    Ok(())
}

/// Removes uploaded files, so that no trial has files of another one or fills the disk.
pub(crate) fn clear_uploads(folder: &Path, kept: &HashSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|name| kept.contains(name)) {
            // Remaining files are removed with the whole folder at the end.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_content(path: &Path, name: &str, size: u64) -> io::Result<()> {
    let content = Content::of_name(name);
    let mut file = BufWriter::new(File::create_new(path)?);
    let mut piece = vec![0; 64 << 10];
    let mut at = 0;
    while at < size {
        let len = piece.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        content.fill(at, &mut piece[..len]);
        file.write_all(&piece[..len])?;
        at += len as u64;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn folders_of_ended_processes_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let create = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir_all(path.join("root")).unwrap();
            path
        };
        let abandoned = create(&format!("bench-{}-abc", ended.id()));
        let locked = create(&format!("bench-{}-def", ended.id()));
        let lock = File::open(&locked).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        let others = [create("bench-x1y2z3"), create("bench-data-1"), create("bench-1-init")];
        let own = ScratchFolder::create_in(parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(locked.exists() && others.iter().all(|other| other.exists()));
        let path = own.path().to_owned();
        drop(own);
        assert!(!path.exists());
    }
}
