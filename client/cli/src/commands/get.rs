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

use crate::commands::{WireArg, parse_time, transfer_wire};
use crate::failure::{Failure, refused};
use crate::net::address::{Address, none_left, split_front};
use crate::net::link::Link;
use crate::net::rate_limit::RateLimit;
use crate::terminal::meter::Meter;
use crate::terminal::{print, resuming};
use notify::Notification;
pub(crate) use output::Output;
use output::Resume;

/// Fetch a file from a server
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client get [OPTIONS] <NAME> <SERVER>\n       client get [OPTIONS] http://<HOST>:<PORT>/<NAME>",
    after_help = "Examples:
  client get meme.png localhost 8800
  client get docs/notes.txt 127.0.0.1 8800 -o notes-of-today.txt
  client get meme.png localhost 8800 --wire http -o - | sha256sum
  client get film.mkv localhost 8800 --resume
  client get http://localhost:8800/film.mkv --limit-rate 10MiB
  client get eagle.jpg localhost 6565 --wire text --report-to localhost:65432

The file appears under its name when it is complete. If the name exists already, the command fails
unless --force is given. The connection of --report-to is made before the transfer."
)]
pub(crate) struct Args {
    /// Name of the file on the server, then the server (HOST PORT or HOST:PORT); or a URL
    #[arg(value_name = "NAME SERVER", required = true, num_args = 1..=3)]
    operands: Vec<String>,
    /// Output file, or - for standard output [default: the last part of NAME, in this folder]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Protocol [default: framed, or http with --resume or a URL]
    #[arg(long, value_enum)]
    wire: Option<WireArg>,
    /// Continue an interrupted transfer; incomplete data are kept in OUTPUT.part
    #[arg(long)]
    resume: bool,
    /// Longest wait without progress (500ms, 30s, 2m)
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30s")]
    timeout: Duration,
    /// Maximum rate in bytes per second (1500, 64KiB, 10MiB)
    #[arg(long, value_name = "RATE", value_parser = RateLimit::parse)]
    limit_rate: Option<RateLimit>,
    /// Send `The size of NAME is BYTES` to this server afterwards, and print its reply
    #[arg(long, value_name = "HOST:PORT")]
    report_to: Option<Address>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let Source { name, server, is_url } = Source::parse(&args.operands)?;
    let wire = transfer_wire(args.wire, args.resume, is_url)?;
    let mut output = Output::new(args.output.as_deref(), args.force, &name)?;
    let notification =
        args.report_to.as_ref().map(|to| Notification::open(to, args.timeout, stop)).transpose()?;
    let is_stdout = output.is_stdout();
    let len_bytes = match fetch(args, &server, &name, wire, &mut output, stop) {
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

/// File to fetch.
struct Source {
    name: FileName,
    server: Address,
    is_url: bool,
}

impl Source {
    /// Parses `NAME HOST PORT`, `NAME HOST:PORT`, or a URL with the name.
    fn parse(operands: &[String]) -> Result<Self, Failure> {
        let (name, server) = match operands {
            [url] if url.starts_with("http://") || url.starts_with("https://") => {
                let (server, _) = split_front(operands)?;
                let path = server.path.as_deref().unwrap_or_default();
                (http::name(path).unwrap_or_else(|| path.to_owned()), server)
            }
            [name] => {
                return Err(Failure::Usage(anyhow!(
                    "no server after {name}: give NAME HOST PORT, or http://HOST:PORT/NAME"
                )));
            }
            [name, server @ ..] => {
                let (server, rest) = split_front(server)?;
                none_left(rest)?;
                server.clone().without_file()?;
                (name.clone(), server)
            }
            [] => unreachable!("clap requires an operand"),
        };
        let is_url = server.path.is_some();
        let name = FileName::new(&name).map_err(|error| {
            Failure::Usage(anyhow!("{name:?} is not a valid file name ({error}): check the name"))
        })?;
        Ok(Self { name, server: server.address, is_url })
    }
}

/// Fetches the missing part; returns the length of the whole file.
fn fetch(
    args: &Args,
    address: &Address,
    name: &FileName,
    wire: Wire,
    output: &mut Output,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let server = address.to_string();
    let earlier = if args.resume { output.resume(&server, name.as_str())? } else { None };
    let link = Link::open(address, wire, args.timeout, stop)?;
    let mut link = link.with_limit(args.limit_rate.clone());
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
            return Err(Failure::Failed(anyhow!("{}", refused(name.as_str(), &reason))));
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
