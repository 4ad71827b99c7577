//! `client send`: uploads files.

mod resume;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use fileserver_proto::client::{ReplyHead, framed, http};
use fileserver_proto::wire::framed::{OK, SAVED};
use fileserver_proto::{FileName, Wire};

use crate::commands::{WireArg, parse_time};
use crate::failure::{Failure, OrRemedy, refused};
use crate::net::address::{Address, split_back};
use crate::net::link::Link;
use crate::net::rate_limit::RateLimit;
use crate::terminal::meter::Meter;
use crate::terminal::transcript::Transcript;
use crate::terminal::units::bytes;

const BLOCK_BYTES: usize = 256 << 10;

/// Send files to a server over one connection
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client send [OPTIONS] <FILE>... <SERVER>",
    after_help = "Examples:
  client send meme.png localhost 8800
  client send a.png b.png c.png 127.0.0.1 8800 --wire http
  client send notes.txt localhost 8800 --as 'notes of today.txt'
  client send film.mkv localhost 8800 --resume
  client send film.mkv http://localhost:8800 --limit-rate 10MiB
  client send meme.png localhost 8800 --transcript progress.txt

Progress is a bar on a terminal, and lines at 0, 25, 50, 75 and 100 % elsewhere; a transcript has a
line about every 10 %. The last line is the name under which the server stored the file.

With --resume, a transfer that was interrupted continues when the command is repeated, even after
a restart of either side. The server verifies the whole file by its SHA-256 hash. --resume needs a
server with resumable uploads (tus 1.0.0) at /. This project's server keeps an unfinished upload
for a day."
)]
pub(crate) struct Args {
    /// Files to send, then the server: HOST PORT, HOST:PORT or http://HOST:PORT
    #[arg(value_name = "FILE… SERVER", required = true, num_args = 1..)]
    operands: Vec<String>,
    /// Protocol [default: framed, or http with --resume or a URL]
    #[arg(long, value_enum)]
    wire: Option<WireArg>,
    /// Make the upload resumable: repeat the command to continue it; the whole file is verified
    #[arg(long)]
    resume: bool,
    /// Name of the file on the server (with a single FILE) [default: the file's own name]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Longest wait without progress (500ms, 30s, 2m)
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30s")]
    timeout: Duration,
    /// Maximum rate in bytes per second (1500, 64KiB, 10MiB)
    #[arg(long, value_name = "RATE", value_parser = RateLimit::parse)]
    limit_rate: Option<RateLimit>,
    /// Write a plain-text copy of the output, with progress, to this file
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args, stop: &AtomicBool) -> Result<(), Failure> {
    let (operands, server) = split_back(&args.operands)?;
    let is_url = server.path.is_some();
    let address = server.without_file()?;
    if operands.is_empty() {
        return Err(usage(format!("no file to send: add a FILE before {address}")));
    }
    if args.name.is_some() && operands.len() > 1 {
        return Err(usage("--as applies to one file: send the other files separately".to_owned()));
    }
    let wire = crate::commands::transfer_wire(args.wire, args.resume, is_url)?;
    if wire == Wire::Text {
        return Err(usage(
            "the text wire only fetches files: use --wire framed or http".to_owned(),
        ));
    }
    let block_bytes = args.limit_rate.as_ref().map_or(BLOCK_BYTES, RateLimit::piece_bytes);
    let files = operands
        .iter()
        .map(|path| Upload::open(path.into(), args.name.as_deref(), block_bytes))
        .collect::<Result<Vec<_>, _>>()?;

    let opened: Vec<&File> = files.iter().map(|upload| &upload.file).collect();
    let transcript = Transcript::create(args.transcript.as_deref(), &opened)?;
    let (timeout, limit) = (args.timeout, args.limit_rate);
    let server = Server { address, wire, timeout, limit, stop, transcript: &transcript };
    let resumed = args.resume.then_some(Resumed { operands, name: args.name.as_deref() });
    let done = send_all(files, &server, resumed.as_ref());
    if let Err(failure) = &done {
        transcript.record(&failure.line());
    }
    done
}

/// Sends the files in order.
fn send_all(
    files: Vec<Upload>,
    server: &Server<'_>,
    resumed: Option<&Resumed<'_>>,
) -> Result<(), Failure> {
    let mut spare = None;
    for (at, mut file) in files.into_iter().enumerate() {
        // An empty file has no part to resume.
        spare = match resumed.filter(|_| file.len > 0) {
            Some(resumed) => {
                let command = resumed.command(at, server);
                resume::send(&mut file, server, spare, &command)?
            }
            None => send(file, server.link(spare)?, server)?,
        };
    }
    Ok(())
}

/// Arguments for the command that resumes an interrupted transfer.
#[derive(Debug)]
struct Resumed<'a> {
    operands: &'a [String],
    name: Option<&'a str>,
}

impl Resumed<'_> {
    /// Command that sends the files from this one on.
    fn command(&self, from: usize, server: &Server<'_>) -> String {
        let mut words: Vec<&str> = self.operands[from..].iter().map(String::as_str).collect();
        let Address { host, port } = &server.address;
        let port = port.to_string();
        words.extend([host, port.as_str(), "--resume"]);
        words.extend(self.name.iter().flat_map(|name| ["--as", name]));
        resume::command_line(words)
    }
}

/// Server and connection options.
#[derive(Debug)]
struct Server<'a> {
    address: Address,
    wire: Wire,
    timeout: Duration,
    limit: Option<RateLimit>,
    stop: &'a AtomicBool,
    transcript: &'a Transcript,
}

impl<'a> Server<'a> {
    fn authority(&self) -> String {
        self.address.to_string()
    }

    fn open(&self) -> Result<Link<'a>, Failure> {
        let link = Link::open(&self.address, self.wire, self.timeout, self.stop)?;
        Ok(link.with_limit(self.limit.clone()))
    }

    /// The open connection, if any, or a new one.
    fn link(&self, spare: Option<Link<'a>>) -> Result<Link<'a>, Failure> {
        spare.map_or_else(|| self.open(), Ok)
    }
}

/// File to send.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    name: FileName,
    file: File,
    len: u64,
    modified: SystemTime,
    /// Upper bound of bytes that are sent at a time.
    block_bytes: usize,
}

impl Upload {
    fn open(path: PathBuf, name: Option<&str>, block_bytes: usize) -> Result<Self, Failure> {
        let shown = path.display();
        let file = File::open(&path)
            .or_remedy(format_args!("cannot read {shown}"), "check the path and permissions")?;
        let about = file.metadata().with_context(|| format!("cannot read {shown}"))?;
        if about.is_dir() {
            return Err(Failure::Failed(anyhow!(
                "{shown} is a folder: give its files instead, {shown}/*"
            )));
        }
        if !about.is_file() {
            return Err(Failure::Failed(anyhow!(
                "{shown} is not a regular file and has no length: save its content to a file first"
            )));
        }
        let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.map(str::to_owned).or(last).unwrap_or_default();
        let name = FileName::new(&name).map_err(|error| {
            usage(format!("{name:?} is not a valid file name ({error}): choose another with --as"))
        })?;
        let modified = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self { name, file, len: about.len(), modified, path, block_bytes })
    }

    /// Iterates over the next `len` bytes in blocks.
    fn blocks(&mut self, len: u64) -> Blocks<'_> {
        Blocks {
            path: &self.path,
            file: &mut self.file,
            left: len,
            block: vec![0; self.block_bytes],
        }
    }
}

/// Part of a file in blocks.
struct Blocks<'u> {
    path: &'u Path,
    file: &'u mut File,
    left: u64,
    block: Vec<u8>,
}

impl Blocks<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        let most = self.block.len();
        let want = usize::try_from(self.left).unwrap_or(most).min(most);
        let block = &mut self.block[..want];
        self.file.read_exact(block).map_err(|error| {
            let shown = self.path.display();
            Failure::Failed(if error.kind() == io::ErrorKind::UnexpectedEof {
                anyhow!("{shown} became shorter during the transfer: send it again")
            } else {
                anyhow::Error::new(error).context(format!("cannot read {shown}"))
            })
        })?;
        self.left -= want as u64;
        Ok((want > 0).then_some(block))
    }
}

/// Sends one file; returns the connection if it is reusable.
fn send<'a>(
    mut upload: Upload,
    mut link: Link<'a>,
    server: &Server<'a>,
) -> Result<Option<Link<'a>>, Failure> {
    let wire = server.wire;
    let mut request = Vec::new();
    match wire {
        Wire::Http => {
            let target = http::target(upload.name.as_str());
            http::put(&target, &server.authority(), upload.len, true, &mut request);
        }
        Wire::Framed | Wire::Text => {
            framed::announce(&upload.name, &mut request);
            link.send(&request)?;
            let head = link.read_head()?;
            if !head.kind.is_success() {
                return Err(refusal(&mut link, head, &upload.path));
            }
            let text = link.text();
            if text != OK {
                return Err(Failure::Failed(anyhow!(
                    "the reply to the file name was {text:?} instead of {OK:?}: check that the \
                     port is that of a file server"
                )));
            }
            link.skip_rest()?;
            request.clear();
            framed::data(upload.len, &mut request);
        }
    }
    let shown = upload.path.display().to_string();
    let mut meter = Meter::with_transcript(&shown, upload.len, 0, server.transcript);
    let sent = link.send(&request)? && send_body(&mut upload, &mut link, &mut meter)?;
    let head = link.read_head()?;
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
    link.skip_rest()?;
    server.transcript.print(&format!("saved as {stored} ({})\n", bytes(upload.len)))?;
    Ok(head.keep_alive.then_some(link))
}

/// Sends the content; false if the server replied before its end.
fn send_body(
    upload: &mut Upload,
    link: &mut Link<'_>,
    meter: &mut Meter<'_>,
) -> Result<bool, Failure> {
    let mut blocks = upload.blocks(upload.len);
    while let Some(block) = blocks.next()? {
        if !link.send(block)? {
            return Ok(false);
        }
        meter.advance(block.len() as u64);
    }
    Ok(true)
}

fn refusal(link: &mut Link<'_>, head: ReplyHead, path: &Path) -> Failure {
    match link.refusal(head) {
        Ok(reason) => Failure::Failed(anyhow!("{}", refused(&path.display().to_string(), &reason))),
        Err(failure) => failure,
    }
}

fn usage(what: String) -> Failure {
    Failure::Usage(anyhow!(what))
}
