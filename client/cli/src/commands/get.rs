//! `client get`: downloads a file.

mod notify;
mod output;
mod text;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args as ClapArgs;
use fileserver_proto::client::{ReplyKind, framed, http};
use fileserver_proto::{FileName, Wire};

use crate::commands::{WireArg, transfer_wire};
use crate::failure::Failure;
use crate::net::link::Link;
use crate::terminal::meter::Meter;
use crate::terminal::{print, resuming};
use notify::{Authority, Notification};
pub(crate) use output::Output;
use output::Resume;

/// Fetch a file from a server
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  client get meme.png localhost 8800
  client get docs/notes.txt 127.0.0.1 8800 -o notes-of-today.txt
  client get meme.png localhost 8800 --wire http -o - | sha256sum
  client get film.mkv localhost 8800 --resume
  client get eagle.jpg localhost 6565 --wire text --report-to localhost:65432

The file appears under its name when it is complete. An existing file is kept, unless --force is
given. With --report-to, the client connects to a second server before the transfer, sends it the
name and size of the file afterwards, and prints its reply.")]
pub(crate) struct Args {
    /// Name of the file on the server
    name: String,
    /// Name or address of the server
    host: String,
    /// Port of the server
    port: u16,
    /// Output file, or - for standard output [default: the last part of NAME, in this folder]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Protocol [default: framed, or http with --resume]
    #[arg(long, value_enum)]
    wire: Option<WireArg>,
    /// Continue an interrupted transfer; incomplete data are kept in PATH.part
    #[arg(long)]
    resume: bool,
    /// Longest wait without progress (500ms, 30s, 2m)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    timeout: Duration,
    /// Send `The size of NAME is BYTES` to this server afterwards, and print its reply
    #[arg(long, value_name = "HOST:PORT")]
    report_to: Option<Authority>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let name = FileName::new(&args.name).map_err(|error| {
        let name = &args.name;
        Failure::Usage(anyhow!("{name:?} is not a valid file name ({error}): check the name"))
    })?;
    let wire = transfer_wire(args.wire, args.resume)?;
    let mut output = Output::new(args.output.as_deref(), args.force, &name)?;
    let notification =
        args.report_to.as_ref().map(|to| Notification::open(to, args.timeout, stop)).transpose()?;
    let is_stdout = output.is_stdout();
    let len_bytes = match fetch(args, &name, wire, &mut output, stop) {
        Ok(len_bytes) => len_bytes,
        Err(Failure::Failed(error)) if output.can_be_resumed() => {
            return Err(Failure::Failed(anyhow!("{error:#}; repeat the command to resume")));
        }
        Err(Failure::Interrupted) if output.can_be_resumed() => {
            eprintln!("client: interrupted; repeat the command to resume");
            return Err(Failure::Interrupted);
        }
        Err(failure) => return Err(failure),
    };
    output.publish(len_bytes)?;
    match notification {
        Some(notification) => {
            let answer = notification.send(&format!("The size of {name} is {len_bytes}"))?;
            // Standard output carries the file itself.
            if is_stdout {
                eprint!("{answer}");
                return Ok(());
            }
            print(&answer)
        }
        None => Ok(()),
    }
}

/// Fetches the missing part; returns the length of the whole file.
fn fetch(
    args: &Args,
    name: &FileName,
    wire: Wire,
    output: &mut Output,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let server = format!("{}:{}", args.host, args.port);
    let earlier = if args.resume { output.resume(&server, name.as_str())? } else { None };
    let mut link = Link::open(&args.host, args.port, wire, args.timeout, stop)?;
    if wire == Wire::Text {
        return text::fetch(name, &mut link, output);
    }

    let mut request = Vec::new();
    let target = http::target(name.as_str());
    match (wire, &earlier) {
        (Wire::Http, Some(Resume { len_bytes, etag })) => {
            http::get_rest(&target, &server, *len_bytes, etag, &mut request);
        }
        (Wire::Http, None) => http::get(&target, &server, false, &mut request),
        (Wire::Framed | Wire::Text, _) => framed::get(name, &mut request),
    }
    link.send(&request)?;
    let head = link.read_head()?;
    let range = link.field("content-range").unwrap_or_default();
    let offset = match (head.kind, earlier) {
        (ReplyKind::Status(206), Some(earlier))
            if range.starts_with(&format!("bytes {}-", earlier.len_bytes)) =>
        {
            earlier.len_bytes
        }
        // The file was complete except for its name.
        (ReplyKind::Status(416), Some(earlier))
            if range == format!("bytes */{}", earlier.len_bytes) =>
        {
            return Ok(earlier.len_bytes);
        }
        (ReplyKind::Status(206 | 416), _) => {
            output.discard();
            return Err(Failure::Failed(anyhow!(
                "the server sent another part of {name} than requested: repeat the command to \
                 fetch the whole file"
            )));
        }
        (kind, _) if !kind.is_success() => {
            if matches!(kind, ReplyKind::Status(404 | 410)) {
                output.discard();
            }
            let reason = link.refusal(head)?;
            return Err(Failure::Failed(anyhow!("the server refused {name}: {reason}")));
        }
        (_, Some(_)) => {
            print(&format!("{name}: changed since the interrupted transfer, starting again\n"))?;
            0
        }
        (_, None) => 0,
    };
    let total = head.body_bytes.map(|rest| offset + rest);
    if let Some(total) = total.filter(|_| offset > 0) {
        print(&resuming(name.as_str(), offset, total))?;
    }
    output.begin(offset, link.field("etag"))?;
    let mut meter = Meter::new(name.as_str(), total, offset, output.is_stdout());
    let received = output.receive(&mut link, Some(&mut meter))?;
    meter.finish();
    Ok(offset + received)
}
