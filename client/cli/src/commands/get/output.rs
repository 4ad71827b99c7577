//! Destination of a download: standard output, or a file that appears when it is complete.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use fileserver_proto::FileName;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::failure::{Failure, OrRemedy};
use crate::net::link::{Link, ReplyPart};
use crate::net::resume_state::ResumeState;
use crate::terminal::meter::Meter;
use crate::terminal::units::bytes;
use crate::terminal::{print, print_bytes};

/// Remedy for a path that cannot be written.
const OTHER_PATH: &str = "choose another path with -o";

/// Destination of the content.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File { path: PathBuf, force: bool, partial: Option<Partial> },
}

impl Output {
    /// Checks the destination without writing.
    ///
    /// # Errors
    /// The file exists and must not be overwritten.
    pub(crate) fn new(to: Option<&Path>, force: bool, name: &FileName) -> Result<Self, Failure> {
        let (_, last) = name.split();
        let path = match to {
            Some(path) if path.as_os_str() == "-" => return Ok(Self::Stdout),
            Some(path) if path.is_dir() => path.join(last),
            Some(path) => path.to_owned(),
            None => last.into(),
        };
        if !force && path.symlink_metadata().is_ok() {
            return Err(taken(&path));
        }
        Ok(Self::File { path, force, partial: None })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Opens or creates the partial file of a resumable download. Returns the position to resume
    /// from, if any.
    pub(super) fn resume(&mut self, server: &str, name: &str) -> Result<Option<Resume>, Failure> {
        let Self::File { path, partial, .. } = self else {
            return Err(Failure::Usage(anyhow!(
                "output to standard output cannot be resumed: use -o PATH, or remove --resume"
            )));
        };
        let kept = Partial::kept(path, server, name)?;
        let len_bytes = kept.file.metadata().map_or(0, |about| about.len());
        let etag = kept.state.as_ref().and_then(ResumeState::load);
        *partial = Some(kept);
        Ok(etag.filter(|_| len_bytes > 0).map(|etag| Resume { len_bytes, etag }))
    }

    /// Forgets the partial file, which is not part of the server's file.
    pub(super) fn discard(&mut self) {
        if let Self::File { partial: Some(Partial { state: Some(state), .. }), .. } = self {
            state.clear();
        }
    }

    /// Prepares for content from `offset` on, of the version `etag`.
    pub(crate) fn begin(&mut self, offset: u64, etag: Option<&str>) -> Result<(), Failure> {
        let Self::File { path, partial, .. } = self else { return Ok(()) };
        let partial = match partial {
            Some(partial) => partial,
            None => partial.insert(Partial::beside(path)?),
        };
        partial.begin(offset, etag)
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout | Self::File { partial: None, .. } => print_bytes(piece),
            Self::File { path, partial: Some(partial), .. } => {
                let written = partial.file.write_all(piece);
                Ok(written.or_remedy(cannot_write(path), OTHER_PATH)?)
            }
        }
    }

    /// Writes the rest of a reply's body; returns its length.
    pub(crate) fn receive(
        &mut self,
        link: &mut Link<'_>,
        mut meter: Option<&mut Meter<'_>>,
    ) -> Result<u64, Failure> {
        let mut received = 0;
        while let ReplyPart::Body(range) = link.next_part()? {
            let piece = link.bytes(range);
            self.write(piece)?;
            received += piece.len() as u64;
            if let Some(meter) = &mut meter {
                meter.advance(piece.len() as u64);
            }
        }
        Ok(received)
    }

    /// True if another attempt can resume this one.
    pub(super) fn can_be_resumed(&self) -> bool {
        match self {
            Self::File { partial: Some(partial), .. } => partial.is_of_use(),
            Self::Stdout | Self::File { partial: None, .. } => false,
        }
    }

    /// Renames the complete file to its final name.
    pub(crate) fn publish(self, len_bytes: u64) -> Result<(), Failure> {
        let Self::File { path, force, partial: Some(mut partial) } = self else { return Ok(()) };
        match partial.rename(&path, force) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&path)),
            renamed => renamed.or_remedy(cannot_write(&path), OTHER_PATH)?,
        }
        print(&format!("saved {} ({})\n", path.display(), bytes(len_bytes)))
    }
}

/// Position to resume from.
#[derive(Debug)]
pub(super) struct Resume {
    pub(super) len_bytes: u64,
    /// Version of the server's file.
    pub(super) etag: String,
}

/// Partial file next to its destination; removed unless it is completed or resumable.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
    /// Saved state, for resumable downloads.
    state: Option<ResumeState>,
}

impl Partial {
    fn beside(path: &Path) -> Result<Self, Failure> {
        let name = format!(".{}.part", std::process::id());
        let partial = with_affixes(path, ".", &name);
        let file = OpenOptions::new().write(true).create_new(true).open(&partial);
        let file = file.or_remedy(cannot_write(path), OTHER_PATH)?;
        Ok(Self { file, path: partial, state: None })
    }

    fn kept(path: &Path, server: &str, name: &str) -> Result<Self, Failure> {
        let partial = with_affixes(path, "", ".part");
        let shown = partial.display();
        let is_new = partial.symlink_metadata().is_err();
        let file = OpenOptions::new().write(true).create_new(is_new).open(&partial);
        let file = file.or_remedy(cannot_write(path), OTHER_PATH)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(Failure::Failed(anyhow!(
                "{shown} is being written by another client: wait for its end"
            )));
        }
        let absolute = partial.canonicalize().or_remedy(cannot_write(path), OTHER_PATH)?;
        let state = ResumeState::of("downloads", server, name, &absolute)?;
        if !is_new && state.load().is_none() {
            return Err(Failure::Failed(anyhow!(
                "{shown} exists and is not a part of this download: move or delete it"
            )));
        }
        Ok(Self { file, path: partial, state: Some(state) })
    }

    fn begin(&mut self, offset: u64, etag: Option<&str>) -> Result<(), Failure> {
        let Some(state) = &self.state else { return Ok(()) };
        if offset == 0 {
            // At each step, the saved version must match the content.
            state.clear();
            self.file.set_len(0).or_remedy(cannot_write(&self.path), OTHER_PATH)?;
            // A weak tag does not identify every byte.
            if let Some(etag) = etag.filter(|etag| etag.starts_with('"')) {
                state.save(etag)?;
            }
        }
        let position = self.file.seek(SeekFrom::Start(offset));
        position.or_remedy(cannot_write(&self.path), OTHER_PATH)?;
        Ok(())
    }

    fn is_of_use(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.load().is_some())
    }

    fn rename(&mut self, path: &Path, force: bool) -> io::Result<()> {
        let flags = if force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &self.path, CWD, path, flags) {
            // Without RENAME_NOREPLACE, another file can appear between the check and the rename.
            Err(Errno::INVAL | Errno::NOSYS) if !path.exists() => {
                std::fs::rename(&self.path, path)?;
            }
            renamed => renamed?,
        }
        self.path = PathBuf::new();
        if let Some(state) = self.state.take() {
            state.clear();
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() && !self.is_of_use() {
            // A failure here has no remedy.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn with_affixes(path: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

fn taken(path: &Path) -> Failure {
    let path = path.display();
    Failure::Failed(anyhow!(
        "{path} exists: choose another path with -o, or overwrite it with --force"
    ))
}

fn cannot_write(path: &Path) -> impl Display {
    std::fmt::from_fn(move |out| write!(out, "cannot write {}", path.display()))
}
