//! `client send`: uploads files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use fileserver_proto::client::{ReplyHead, framed, http};
use fileserver_proto::wire::framed::{OK, SAVED};
use fileserver_proto::{FileName, Wire};

use super::link::Link;
use super::meter::Meter;
use super::{Failure, WireArg, bytes, print};

const BLOCK_BYTES: usize = 256 << 10;

/// Send files to a server, all over one connection
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client send [OPTIONS] <FILE>... <HOST> <PORT>",
    after_help = "Examples:
  client send meme.png localhost 8800
  client send a.png b.png c.png 127.0.0.1 8800 --wire http
  client send notes.txt localhost 8800 --as 'notes of today.txt'

Shows a progress bar on a terminal, and lines at 0, 25, 50, 75 and 100 % elsewhere; then prints
the name under which the server stored the file."
)]
pub(crate) struct Args {
    /// The files, then the server's host and port
    #[arg(value_name = "FILE… HOST PORT", required = true, num_args = 1..)]
    operands: Vec<String>,
    /// Which protocol to speak
    #[arg(long, value_enum, default_value = "framed")]
    wire: WireArg,
    /// The name to store the file under (one FILE only); its own otherwise
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Give up after this many seconds without any progress
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Runs the command.
pub(crate) fn run(args: Args, stop: &AtomicBool) -> Result<(), Failure> {
    let mut operands = args.operands;
    let (Some(port), Some(host)) = (operands.pop(), operands.pop()) else {
        return Err(usage("give at least one FILE, then HOST and PORT".to_owned()));
    };
    let port: u16 = port.parse().map_err(|_| {
        usage(format!("{port:?} is no port: the last two arguments are HOST and PORT"))
    })?;
    if operands.is_empty() {
        return Err(usage(format!("no file to send: name one before {host} {port}")));
    }
    if args.name.is_some() && operands.len() > 1 {
        return Err(usage("--as names one file: send the others by themselves".to_owned()));
    }
    let files = operands
        .iter()
        .map(|path| Upload::open(path.into(), args.name.as_deref()))
        .collect::<Result<Vec<_>, _>>()?;

    let wire = Wire::from(args.wire);
    let timeout = Duration::from_secs(args.timeout.max(1));
    let mut link = None;
    for file in files {
        let open = match link.take() {
            Some(link) => link,
            None => Link::open(&host, port, wire, timeout, stop)?,
        };
        link = send(file, open, wire, &format!("{host}:{port}"))?;
    }
    Ok(())
}

/// A file to be sent.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    name: FileName,
    file: File,
    len: u64,
}

impl Upload {
    fn open(path: PathBuf, name: Option<&str>) -> Result<Self, Failure> {
        let shown = path.display();
        let file = File::open(&path)
            .with_context(|| format!("cannot read {shown}: check the path and permissions"))?;
        let about = file.metadata().with_context(|| format!("cannot read {shown}"))?;
        if about.is_dir() {
            return Err(Failure::Failed(anyhow!(
                "{shown} is a folder: name the files in it instead, {shown}/*"
            )));
        }
        if !about.is_file() {
            return Err(Failure::Failed(anyhow!(
                "{shown} is no regular file, so its length is unknown: store it in a file first"
            )));
        }
        let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.map(str::to_owned).or(last).unwrap_or_default();
        let name = FileName::new(&name)
            .with_context(|| format!("no server stores {name:?}: give another name with --as"));
        let name = name.map_err(Failure::Usage)?;
        Ok(Self { name, file, len: about.len(), path })
    }
}

/// Sends one file; returns the connection if it can be used again.
fn send<'a>(
    mut upload: Upload,
    mut link: Link<'a>,
    wire: Wire,
    host: &str,
) -> Result<Option<Link<'a>>, Failure> {
    let mut request = Vec::new();
    match wire {
        Wire::Http => {
            let target = http::target(upload.name.as_str());
            http::put(&target, host, upload.len, true, &mut request);
        }
        Wire::Framed | Wire::Text => {
            framed::announce(&upload.name, &mut request);
            link.send(&request)?;
            let head = link.hear_head()?;
            if !head.kind.is_success() || link.text() != OK {
                return Err(refusal(&mut link, head, &upload.path));
            }
            link.hear_out()?;
            request.clear();
            framed::data(upload.len, &mut request);
        }
    }
    let mut meter = Meter::new(&upload.path.display().to_string(), Some(upload.len), false);
    let sent = link.send(&request)? && send_body(&mut upload, &mut link, &mut meter)?;
    let head = link.hear_head()?;
    meter.finish();
    if !head.kind.is_success() || !sent {
        return Err(refusal(&mut link, head, &upload.path));
    }
    let text = link.text();
    let stored = match wire {
        Wire::Http => http::name(&text).filter(|name| !name.is_empty()),
        Wire::Framed | Wire::Text => text.strip_prefix(SAVED).map(str::to_owned),
    };
    let stored = stored.unwrap_or_else(|| upload.name.to_string());
    link.hear_out()?;
    print(&format!("saved as {stored} ({})\n", bytes(upload.len)))?;
    Ok(head.keep_alive.then_some(link))
}

/// Sends the content; false if the server spoke up before its end.
fn send_body(upload: &mut Upload, link: &mut Link<'_>, meter: &mut Meter) -> Result<bool, Failure> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut left = upload.len;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let read = upload.file.read(&mut block[..want]);
        let read = read.with_context(|| format!("cannot read {}", upload.path.display()))?;
        if read == 0 {
            return Err(Failure::Failed(anyhow!(
                "{} became shorter while it was sent: send it again",
                upload.path.display()
            )));
        }
        if !link.send(&block[..read])? {
            return Ok(false);
        }
        left -= read as u64;
        meter.advance(read as u64);
    }
    Ok(true)
}

fn refusal(link: &mut Link<'_>, head: ReplyHead, path: &Path) -> Failure {
    match link.refusal(head) {
        Ok(reason) => Failure::Failed(anyhow!("the server refused {}: {reason}", path.display())),
        Err(failure) => failure,
    }
}

fn usage(what: String) -> Failure {
    Failure::Usage(anyhow!(what))
}
