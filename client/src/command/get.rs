//! `client get`: downloads a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use fileserver_proto::client::{framed, http};
use fileserver_proto::{FileName, Wire};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::link::{Heard, Link};
use super::meter::Meter;
use super::{Failure, WireArg, bytes, print, print_bytes};

/// Fetch a file from a server
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client get meme.png localhost 8800
  client get docs/notes.txt 127.0.0.1 8800 -o notes-of-today.txt
  client get meme.png localhost 8800 --wire http -o - | sha256sum

The file appears under its name when it is complete; one that is there already is kept, unless
--force is given.")]
pub(crate) struct Args {
    /// The file's name on the server
    name: String,
    /// The server's name or address
    host: String,
    /// The server's port
    port: u16,
    /// Where to put it (- for standard output); the last part of NAME in this folder otherwise
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrite a file that is there already
    #[arg(long)]
    force: bool,
    /// Which protocol to speak
    #[arg(long, value_enum, default_value = "framed")]
    wire: WireArg,
    /// Give up after this many seconds without any progress
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let name = FileName::new(&args.name)
        .with_context(|| format!("no server has a file {:?}: check the name", args.name));
    let name = name.map_err(Failure::Usage)?;
    let mut output = Output::new(args, &name)?;
    let timeout = Duration::from_secs(args.timeout.max(1));
    let wire = Wire::from(args.wire);
    let mut link = Link::open(&args.host, args.port, wire, timeout, stop)?;

    let mut request = Vec::new();
    match wire {
        Wire::Http => {
            let host = format!("{}:{}", args.host, args.port);
            http::get(&http::target(name.as_str()), &host, false, &mut request);
        }
        Wire::Framed | Wire::Text => framed::get(&name, &mut request),
    }
    link.send(&request)?;
    let head = link.hear_head()?;
    if !head.kind.is_success() {
        let reason = link.refusal(head)?;
        return Err(Failure::Failed(anyhow!("the server refused {name}: {reason}")));
    }
    output.begin()?;
    let mut meter = Meter::new(name.as_str(), head.body_bytes, 0, output.is_stdout());
    let mut received = 0;
    loop {
        match link.hear()? {
            Heard::Body(range) => {
                let piece = link.bytes(range);
                output.write(piece)?;
                received += piece.len() as u64;
                meter.advance(piece.len() as u64);
            }
            Heard::Head(_) => {}
            Heard::End => break,
        }
    }
    meter.finish();
    output.publish(received)
}

/// Where the content goes.
#[derive(Debug)]
enum Output {
    Stdout,
    File { path: PathBuf, force: bool, partial: Option<Partial> },
}

impl Output {
    fn new(args: &Args, name: &FileName) -> Result<Self, Failure> {
        let (_, last) = name.split();
        let path = match &args.output {
            Some(path) if path.as_os_str() == "-" => return Ok(Self::Stdout),
            Some(path) if path.is_dir() => path.join(last),
            Some(path) => path.clone(),
            None => last.into(),
        };
        if !args.force && path.symlink_metadata().is_ok() {
            return Err(taken(&path));
        }
        Ok(Self::File { path, force: args.force, partial: None })
    }

    fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        if let Self::File { path, partial, .. } = self {
            *partial = Some(Partial::beside(path)?);
        }
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout | Self::File { partial: None, .. } => print_bytes(piece),
            Self::File { path, partial: Some(partial), .. } => {
                let written = partial.file.write_all(piece);
                Ok(written.with_context(|| cannot_write(path))?)
            }
        }
    }

    fn publish(self, received: u64) -> Result<(), Failure> {
        let Self::File { path, force, partial: Some(mut partial) } = self else { return Ok(()) };
        match partial.rename(&path, force) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&path)),
            renamed => renamed.with_context(|| cannot_write(&path))?,
        }
        print(&format!("saved {} ({})\n", path.display(), bytes(received)))
    }
}

/// A file beside its later place, removed unless it gets there.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn beside(path: &Path) -> Result<Self, Failure> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let partial = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&partial);
        Ok(Self { file: file.with_context(|| cannot_write(path))?, path: partial })
    }

    fn rename(&mut self, path: &Path, force: bool) -> io::Result<()> {
        let flags = if force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &self.path, CWD, path, flags) {
            // A file system that cannot tell leaves a moment between looking and renaming.
            Err(Errno::INVAL | Errno::NOSYS) if !path.exists() => {
                std::fs::rename(&self.path, path)?;
            }
            renamed => renamed?,
        }
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nothing more can be done where this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn taken(path: &Path) -> Failure {
    let path = path.display();
    Failure::Failed(anyhow!("{path} exists already: give -o PATH, or --force to overwrite it"))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}: choose another place with -o", path.display())
}
