//! `client load`: the load generator without a harness.

mod json;
mod live;
mod table;
mod target;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::{Args as ClapArgs, ValueEnum};
use fileserver_proto::Wire;
use loadgen::{
    Arrival, ConnectionUse, Direction, EngineChoice, LoadReport, LoadSpec, Pacing, RaisedLimit,
    RequestFile, RunError, SpecError, ThinkTime, Verification, run as run_load,
};

use crate::commands::{WireArg, parse_time, parse_whole};
use crate::failure::{Failure, OrRemedy};
use crate::terminal::print;
use target::Target;

/// Put a server under load and measure it
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "client load [OPTIONS] <SERVER>\n       client load [OPTIONS] http://<HOST>:<PORT>/<NAME>",
    after_help = "Examples:
  client load http://127.0.0.1:8800/meme.png
  client load 127.0.0.1 8800 --wire framed --file meme.png:1KiB --connections 64 --duration 10s
  client load http://127.0.0.1:8800/a.bin --rate 5000 --poisson --csv seconds.csv
  client load http://127.0.0.1:8800/a.bin --connections 1000 --think 100ms
  client load 127.0.0.1 8800 --file up.bin:64KiB --upload --verify-every 0
  client load 127.0.0.1 65432 --service echo --file line:64
  client load 127.0.0.1 6565 --service files --file eagle.jpg
  client load 127.0.0.1 6015 --service date

A file given as NAME:SIZE must be one written by `bench files`; for other files add
--verify-every 0. A file given by a URL is requested once to determine its length, and only its
length is checked.

--service measures a server that exchanges plain lines, such as one of your own. Each request is a
line. The reply of an echo must be the same line (its size is that of --file, 64 bytes by default).
The reply of any other service is requested twice before the load to determine its length and its
bytes. If the server closes the connection after each reply, each request opens a connection."
)]
pub(crate) struct Args {
    /// Server: HOST PORT or HOST:PORT; or the URL of a file, http://HOST:PORT/NAME
    #[arg(value_name = "SERVER", required = true, num_args = 1..=2)]
    server: Vec<String>,
    /// File to request or send, with its size (1000, 64KiB) and its relative frequency among several
    /// --file [default: 1]; required unless the server is a URL. With --service files the name alone
    /// suffices
    #[arg(long = "file", value_name = "NAME:SIZE[:WEIGHT]", value_parser = parse_file)]
    files: Vec<FileArg>,
    /// Protocol [default: framed, or http for a URL]
    #[arg(long)]
    wire: Option<WireArg>,
    /// Service to measure over the text wire [default with --wire text: echo]
    #[arg(long, value_enum)]
    service: Option<ServiceArg>,
    /// Line to send with --service hello, transform or date [default: what time is it? for date,
    /// else hello]
    #[arg(long, value_name = "TEXT", requires = "service")]
    line: Option<String>,
    /// Send the files instead of requesting them
    #[arg(long)]
    upload: bool,
    /// Concurrent connections
    #[arg(long, short = 'c', default_value_t = 64, value_parser = parse_whole::<usize>)]
    connections: usize,
    /// Threads of the load generator
    #[arg(long, short = 't', default_value_t = 1, value_parser = parse_whole::<usize>)]
    threads: usize,
    /// I/O engine of the load generator: epoll (readiness, one system call per send or receive),
    /// uring (one system call per batch), or auto (uring if the kernel supports it)
    #[arg(long, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,
    /// Cores to pin the threads to, in turn (0,2)
    #[arg(long, value_delimiter = ',', value_name = "CORE,…", value_parser = parse_whole::<usize>)]
    cores: Vec<usize>,
    /// Open loop: requests per second, regardless of the replies
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: Option<f64>,
    /// With --rate: random intervals (exponential), as from many independent users
    #[arg(long, requires = "rate")]
    poisson: bool,
    /// Closed loop: pause between a reply and the next request; TIME is the mean of an
    /// exponential distribution, constant:TIME is a constant pause
    #[arg(long, value_name = "[constant:]TIME", value_parser = parse_think, conflicts_with = "rate")]
    think: Option<ThinkTime>,
    /// Measured window (500ms, 10s, 2m). Afterwards the load goes on, uncounted, until the requests
    /// of the window are answered, for at most --timeout
    #[arg(long, short = 'd', value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    duration: Duration,
    /// Warm-up before the window
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "1s")]
    warm_up: Duration,
    /// Maximum time without progress; then the request counts as failed
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    timeout: Duration,
    /// Open a connection per request
    #[arg(long)]
    no_keep_alive: bool,
    /// Compare the whole body of one in N replies, drawn at random; 1: all, 0: none [default: 16 KiB
    /// at a random place of every body, all of a shorter one; nothing for a URL]
    #[arg(long, value_name = "N", value_parser = parse_whole::<u32>)]
    verify_every: Option<u32>,
    /// Seed of all random choices
    #[arg(long, default_value_t = 1, value_parser = parse_whole::<u64>)]
    seed: u64,
    /// Write one CSV row per second to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the histograms to this file, in the log format of HdrHistogram
    #[arg(long, value_name = "FILE")]
    hdr_log: Option<PathBuf>,
    /// Format of standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Format of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// A table
    #[default]
    Text,
    /// One JSON document, described in docs/json.md; messages go to standard error
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args, stop: &AtomicBool) -> Result<(), Failure> {
    let target = Target::parse(&args.server, wire(args)?)?;
    // Output files are created before the load, so that it does not run in vain.
    let csv = create(args.csv.as_deref(), "--csv")?;
    let hdr_log = create(args.hdr_log.as_deref(), "--hdr-log")?;
    let spec = spec(args, &target, stop)?;
    spec.check().map_err(|error| failure(error.into()))?;
    if let Some(RaisedLimit { from, to }) = spec.raise_descriptor_limit() {
        eprintln!("client: raised the soft limit of descriptors from {from} to {to}");
    }
    let ran = live::watch(&spec, |progress| run_load(&spec, stop, progress));
    let report = ran.map_err(failure)?;
    if let Some(file) = csv {
        write_seconds(file, &report).context("cannot write the --csv file")?;
    }
    if let Some(file) = hdr_log {
        write_histograms(file, &report).context("cannot write the --hdr-log file")?;
    }
    print(&match args.format {
        Format::Text => table::of(&spec, &report),
        Format::Json => json::of(&spec, &report),
    })?;
    judge(&report)
}

/// A load that cannot run as specified is a usage error; a refusal of the system is not.
fn failure(error: RunError) -> Failure {
    match error {
        RunError::Spec(SpecError::Core { .. }) => {
            Failure::Usage(anyhow::Error::from(error).context("--cores"))
        }
        RunError::Spec(_) => Failure::Usage(error.into()),
        RunError::System { .. } => Failure::Failed(error.into()),
    }
}

fn spec(args: &Args, target: &Target, stop: &AtomicBool) -> Result<LoadSpec, Failure> {
    if target.wire == Wire::Text {
        return line_spec(args, target, stop);
    }
    let mut files = args.files.iter().map(FileArg::with_size).collect::<Result<Vec<_>, _>>()?;
    // Only files given with their size have known content.
    let mut verification = args.verify_every.map_or(Verification::EveryBody, Verification::one_in);
    match (&target.path, files.is_empty()) {
        (Some(path), true) => {
            if args.upload {
                return Err(Failure::Usage(anyhow!(
                    "--upload needs the size of the file: use --file NAME:SIZE"
                )));
            }
            let size_bytes = target.ask_length(path, args.timeout, stop)?;
            files.push(RequestFile::new(path.clone(), size_bytes));
            verification = Verification::Off;
        }
        (Some(path), false) if path != "/" => {
            return Err(Failure::Usage(anyhow!(
                "both the URL ({path}) and --file name a file: remove one of them"
            )));
        }
        (None, true) => {
            return Err(Failure::Usage(anyhow!(
                "no file to request: use --file NAME:SIZE, or a URL with a path"
            )));
        }
        _ => {}
    }
    let direction = if args.upload { Direction::Upload } else { Direction::Download };
    Ok(common_spec(args, target, direction, files, verification))
}

/// Load of lines over the text wire.
fn line_spec(args: &Args, target: &Target, stop: &AtomicBool) -> Result<LoadSpec, Failure> {
    let service = args.service.unwrap_or(ServiceArg::Echo);
    if args.upload {
        return Err(usage("the text wire carries no uploads: remove --upload".to_owned()));
    }
    if let (Some(line), ServiceArg::Echo | ServiceArg::Files) = (&args.line, service) {
        return Err(usage(format!(
            "--line {line:?} applies to --service hello, transform and date: use --file instead"
        )));
    }
    let takes_files = matches!(service, ServiceArg::Echo | ServiceArg::Files);
    if let (Some(file), false) = (args.files.first(), takes_files) {
        return Err(usage(format!("--file {} applies to other services: use --line", file.name)));
    }
    let verification = args.verify_every.map_or(Verification::EveryBody, Verification::one_in);
    let mut closes = false;
    let mut learn = |line: &str, may_differ| {
        let learned = target.learn_reply(line, args.timeout, stop)?;
        closes |= learned.closes;
        learned.file(line, may_differ)
    };
    let (direction, files) = match service {
        ServiceArg::Echo if args.files.is_empty() => {
            (Direction::Echo, vec![RequestFile::new("line", 64)])
        }
        ServiceArg::Echo => {
            let files = args.files.iter().map(FileArg::with_size).collect::<Result<_, _>>()?;
            (Direction::Echo, files)
        }
        ServiceArg::Files if args.files.is_empty() => {
            return Err(usage("no file to request: use --file NAME".to_owned()));
        }
        ServiceArg::Files => {
            let mut files = Vec::new();
            for file in &args.files {
                files.push(match file.size_bytes {
                    Some(_) => file.with_size()?,
                    None => learn(&file.name, false)?,
                });
            }
            (Direction::Download, files)
        }
        ServiceArg::Hello | ServiceArg::Transform => {
            let line = args.line.as_deref().unwrap_or("hello");
            (Direction::Download, vec![learn(line, false)?])
        }
        ServiceArg::Date => {
            let line = args.line.as_deref().unwrap_or("what time is it?");
            (Direction::Download, vec![learn(line, true)?])
        }
    };
    let mut spec = common_spec(args, target, direction, files, verification);
    if closes && spec.connection_use == ConnectionUse::KeepAlive {
        eprintln!(
            "client: the server closes the connection after a reply: one per request is opened"
        );
        spec.connection_use = ConnectionUse::PerRequest;
    }
    Ok(spec)
}

/// Wire of the load, if it is given or follows from the service.
fn wire(args: &Args) -> Result<Option<WireArg>, Failure> {
    match (args.wire, args.service) {
        (Some(WireArg::Framed | WireArg::Http), Some(_)) => {
            Err(usage("--service is measured over the text wire: remove --wire".to_owned()))
        }
        (None, Some(_)) => Ok(Some(WireArg::Text)),
        (wire, _) => Ok(wire),
    }
}

fn usage(what: String) -> Failure {
    Failure::Usage(anyhow!(what))
}

/// The parts of a load that do not depend on the wire.
fn common_spec(
    args: &Args,
    target: &Target,
    direction: Direction,
    files: Vec<RequestFile>,
    verification: Verification,
) -> LoadSpec {
    let arrival = match (args.rate, args.think) {
        (Some(rate_per_s), _) => {
            let pacing = if args.poisson { Pacing::Poisson } else { Pacing::Constant };
            Arrival::Open { rate_per_s, pacing }
        }
        (None, think) => Arrival::Closed { think: think.unwrap_or(ThinkTime::None) },
    };
    LoadSpec {
        target: target.address,
        wire: target.wire,
        direction,
        files,
        connections: args.connections,
        threads: args.threads,
        engine: args.engine,
        cores: args.cores.clone(),
        connection_use: if args.no_keep_alive {
            ConnectionUse::PerRequest
        } else {
            ConnectionUse::KeepAlive
        },
        arrival,
        warm_up: args.warm_up,
        longest_warm_up: args.warm_up,
        duration: args.duration,
        timeout: args.timeout,
        drain: args.timeout,
        verification,
        seed: args.seed,
    }
}

/// Fails if no request succeeded or any request failed, unless the load was interrupted.
fn judge(report: &LoadReport) -> Result<(), Failure> {
    if report.interrupted {
        return Ok(());
    }
    let errors = report.errors.total();
    if report.requests == 0 {
        let why = report.error_examples.first().map_or("no reply in time", String::as_str);
        let remedy = if report.errors.content > 0 {
            "if the server's files have other content, add --verify-every 0"
        } else {
            "check that the server runs, and that it serves this file or service"
        };
        return Err(Failure::Failed(anyhow!("no request succeeded ({why}): {remedy}")));
    }
    if errors > 0 {
        return Err(Failure::Failed(anyhow!("{errors} requests failed: see the table")));
    }
    Ok(())
}

/// Creates the file named by an option.
fn create(path: Option<&Path>, option: &str) -> Result<Option<File>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path).or_remedy(
        format_args!("cannot write {}", path.display()),
        &format!("choose another {option} file"),
    );
    file.map(Some).map_err(Failure::Usage)
}

fn write_histograms(file: File, report: &LoadReport) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    report.write_hdr_log(&mut out)?;
    out.flush()
}

fn write_seconds(file: File, report: &LoadReport) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    writeln!(out, "second,requests,body_bytes,errors,p50_ns,p99_ns,max_ns")?;
    for row in &report.seconds {
        write!(out, "{},{},{},{}", row.second, row.requests, row.body_bytes, row.errors)?;
        // A second without requests has no percentiles.
        if row.requests > 0 {
            writeln!(out, ",{},{},{}", row.p50_ns, row.p99_ns, row.max_ns)?;
        } else {
            writeln!(out, ",,,")?;
        }
    }
    out.flush()
}

/// `TIME` or `constant:TIME`.
fn parse_think(text: &str) -> Result<ThinkTime, &'static str> {
    match text.strip_prefix("constant:") {
        Some(time) => parse_time(time).map(ThinkTime::Constant),
        None => parse_time(text).map(ThinkTime::Exponential),
    }
}

/// Requests per second, checked with the rest of the load.
fn parse_rate(text: &str) -> Result<f64, &'static str> {
    text.parse().map_err(|_| "write a number of requests per second: 5000")
}

/// Service of a server that speaks lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServiceArg {
    /// The reply to a line is the same line
    Echo,
    /// The reply to the name of a file is its bytes
    Files,
    /// The reply is a sentence
    Hello,
    /// The reply is the line, transformed
    Transform,
    /// The reply is the time; only its length is checked
    Date,
}

/// File of `--file`.
#[derive(Debug, Clone, PartialEq)]
struct FileArg {
    name: String,
    size_bytes: Option<u64>,
    weight: f64,
}

impl FileArg {
    /// File with generated content.
    fn with_size(&self) -> Result<RequestFile, Failure> {
        let size_bytes = self.size_bytes.ok_or_else(|| {
            usage(format!("--file {0} has no size: use {0}:SIZE, for example {0}:64KiB", self.name))
        })?;
        let weight = self.weight;
        Ok(RequestFile { weight, ..RequestFile::new(self.name.clone(), size_bytes) })
    }
}

/// `NAME:SIZE[:WEIGHT]`, or a name without colons; the other names may contain colons.
fn parse_file(text: &str) -> Result<FileArg, String> {
    let bad = || format!("{text:?} is not NAME:SIZE or NAME:SIZE:WEIGHT, for example a.bin:64KiB");
    let Some((front, last)) = text.rsplit_once(':') else {
        let named = FileArg { name: text.to_owned(), size_bytes: None, weight: 1.0 };
        return if text.is_empty() { Err(bad()) } else { Ok(named) };
    };
    let with_weight = front.rsplit_once(':').and_then(|(name, size)| {
        Some((name, size.parse::<ByteSize>().ok()?, last.parse::<f64>().ok()?))
    });
    let (name, size, weight) = match with_weight {
        Some(parts) => parts,
        None => (front, last.parse().map_err(|_| bad())?, 1.0),
    };
    if name.is_empty() {
        return Err(bad());
    }
    Ok(FileArg { name: name.to_owned(), size_bytes: Some(size.as_u64()), weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_engine_is_a_usage_error_and_a_refused_thread_is_none() {
        let refused = || std::io::Error::from_raw_os_error(1);
        let engine = RunError::Spec(SpecError::Engine(refused()));
        assert!(matches!(failure(engine), Failure::Usage(_)));
        let thread = RunError::System { what: "start a thread".to_owned(), source: refused() };
        let thread = failure(thread);
        assert!(matches!(thread, Failure::Failed(_)));
        let line = "client: cannot start a thread: Operation not permitted (os error 1)\n";
        assert_eq!(thread.line(), line);
    }

    #[test]
    fn think_time_is_exponential_by_default() {
        let millis = Duration::from_millis;
        assert_eq!(parse_think("5ms"), Ok(ThinkTime::Exponential(millis(5))));
        assert_eq!(parse_think("constant:1s"), Ok(ThinkTime::Constant(millis(1_000))));
        for text in ["constant", "constant:", "constant:x", "poisson:1s", "", "20"] {
            assert!(parse_think(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_have_a_size_and_perhaps_a_weight() {
        let file = |name: &str, size_bytes, weight| {
            Ok(FileArg { name: name.to_owned(), size_bytes: Some(size_bytes), weight })
        };
        let unsized_file = FileArg { name: "a".to_owned(), size_bytes: None, weight: 1.0 };
        assert_eq!(parse_file("a"), Ok(unsized_file));
        assert_eq!(parse_file("a:5"), file("a", 5, 1.0));
        assert_eq!(parse_file("a:5:2.5"), file("a", 5, 2.5));
        assert_eq!(parse_file("a:64KiB"), file("a", 65_536, 1.0));
        assert_eq!(parse_file("a:1.5MB:2"), file("a", 1_500_000, 2.0));
        assert_eq!(parse_file("a:b:5"), file("a:b", 5, 1.0));
        for text in ["", "a:", ":5", "a:x", "a:-1", "a:5:x"] {
            assert!(parse_file(text).is_err(), "{text}");
        }
    }
}
