//! `bench xray`: threads of each server, drawn while it serves the same requests.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use bench_data::load::byte_size::ByteSize;
use bench_data::names::{self, Entry};
use bench_data::servers::external::ExternalServer;
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::target::Target;
use bench_data::units::counted;
use bench_data::xray::{Level, Picture, Trace};
use bench_report::xray::{chrome_trace, html, svg, text};
use clap::{Args, ValueEnum};
use fileserver::StrategyKind;
use fileserver::cli::whole_number;
use jiff::Timestamp;
use program::message::print_error;

use crate::cli::command_line::command_line;
use crate::cli::process::{FAILED, INTERRUPTED, Second, say, stop_on_signals, warn};
use crate::cli::run::pid;
use crate::machine::facts;
use crate::run::files::download_name;
use crate::xray::live::{Live, SHOWN_SECONDS};
use crate::xray::recorder::{Recorder, Servers};
use crate::xray::scene::{Scene, Shape};

/// Default number of connections and of requests.
const CONNECTIONS: usize = 8;
const REQUESTS: usize = 64;
/// Default number of connections of a burst, each with one request.
const BURST_CONNECTIONS: usize = 64;
/// Default share of requests that block, in percent.
const HEAVY_PERCENT: u8 = 10;

/// Files of a picture besides its data.
const PAGE: &str = "xray.html";
const SLIDE: &str = "xray.svg";
const CHROME_TRACE: &str = "xray-trace.json";

/// Draw the threads of each server while it serves the same requests: which runs, which waits, and for what
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bench xray
  sudo bench xray --scene block --strategies threaded,selector,hybrid
  sudo bench xray --against nginx,apache-event
  bench xray --live --strategies selector

Each server runs alone on a core of its own, if the machine has two, and receives the same requests at
the same times. Built-in servers record the actions of their sessions. As root, the kernel's scheduler
records the states of all threads as well, also those of other servers: running, ready to run, blocked in
a system call. docs/xray.md explains the picture.")]
pub(super) struct XrayArgs {
    /// Strategies to record, or all, or none [default: threaded,selector; with --live: threaded]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Entry::<StrategyKind>::parser())]
    strategies: Option<Vec<Entry<StrategyKind>>>,
    /// Reference servers to record, or all; needs root
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Entry::<ReferenceServer>::parser())]
    against: Vec<Entry<ReferenceServer>>,
    /// Server of your own: NAME='COMMAND with {port} and {root}', or NAME=http://HOST:PORT, already running
    /// and serving the files written by `bench files`; needs root
    #[arg(long = "target", value_name = "NAME=…", value_parser = ExternalServer::parse)]
    given: Vec<ExternalServer>,
    /// Process ID of a --target that is already running
    #[arg(long, value_name = "NAME=PID", value_parser = pid)]
    pid: Vec<(String, u32)>,
    /// Requests that every server receives [default: polite; with --heavy-block: block]
    #[arg(long, value_name = "NAME", value_enum)]
    scene: Option<Scene>,
    /// Number of connections [default: 8; for a burst 64]
    #[arg(long, value_name = "N", value_parser = whole_number::<u16>(1..=20_000))]
    connections: Option<u16>,
    /// Number of requests [default: 64; a burst has one per connection]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=100_000))]
    requests: Option<u32>,
    /// Percentage of requests that block for 20 ms in the scene block [default: 10]
    #[arg(long, value_name = "PERCENT", value_parser = whole_number::<u8>(1..=99))]
    heavy_block: Option<u8>,
    /// Size of the requested file
    #[arg(long, value_name = "SIZE", default_value = "16KiB")]
    size: ByteSize,
    /// Seed of the times of the requests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole_number::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Sources of the picture [default: scheduler, if the kernel's tracing can be used, or else actions]
    #[arg(long, value_name = "LEVEL", value_enum)]
    level: Option<LevelFlag>,
    /// Folder for the files of the picture; existing ones of the same names are replaced
    #[arg(long, value_name = "DIR", default_value = "results/xray")]
    out: PathBuf,
    /// Keep one server running for requests by hand, and redraw its last seconds every second into a page
    /// that reloads itself. The page is a file to open in a browser. Ctrl-C ends
    #[arg(long, conflicts_with_all = ["scene", "connections", "requests", "heavy_block", "seed"])]
    live: bool,
}

/// Sources of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LevelFlag {
    /// Actions that built-in servers record
    Actions,
    /// Also the states of threads that the kernel's scheduler records; needs root
    Scheduler,
}

/// Records and draws.
pub(super) fn xray(arguments: &XrayArgs) -> anyhow::Result<ExitCode> {
    let shape = shape(arguments)?;
    let level = arguments.level.map(|level| match level {
        LevelFlag::Actions => Level::Actions,
        LevelFlag::Scheduler => Level::Scheduler,
    });
    // A recording of the kernel must be removed before the end.
    let stop = stop_on_signals(Second::IsIgnored)?;
    let recorder = Recorder::new(servers(arguments)?, arguments.size, level)?;
    if let Some(reason) = recorder.without_states().filter(|_| level.is_none()) {
        warn(&format!("only actions are recorded, not the states of threads: {reason}"));
    }
    if !arguments.live {
        recorder.prepare(&shape)?;
    }
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| {
        format!("cannot create {}: choose another folder with --out", out.display())
    })?;
    if arguments.live { live(&recorder, out, &stop) } else { record(&recorder, &shape, out, &stop) }
}

/// Records all servers, and writes one picture of them.
fn record(
    recorder: &Recorder,
    shape: &Shape,
    out: &Path,
    stop: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let (mut traces, mut has_failed) = (Vec::new(), false);
    for target in recorder.targets() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let _ = writeln!(io::stderr(), "recording {target}");
        match recorder.record(&target, shape, stop) {
            Ok(recorded) => {
                if let Some(failure) = recorded.failure {
                    print_error(format_args!("{target}: {failure}"));
                    has_failed = true;
                }
                traces.push(recorded.trace);
            }
            // Without any trace there is nothing to draw.
            Err(error) if traces.is_empty() => return Err(error),
            Err(error) => {
                print_error(format_args!("{error:#}"));
                has_failed = true;
            }
        }
    }
    let is_interrupted = stop.load(Ordering::SeqCst);
    if !traces.is_empty() {
        let picture = picture(shape.words(), traces);
        let files = write(&picture, out)?;
        say(&text(&picture));
        say(&listed(&files));
    }
    Ok(match (is_interrupted, has_failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::from(FAILED),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Draws a server that receives requests by hand, until it is stopped.
fn live(recorder: &Recorder, out: &Path, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    let targets = recorder.targets();
    let [target] = &targets[..] else {
        let names: Vec<_> = targets.iter().map(Target::name).collect();
        anyhow::bail!("--live draws one server, not {}: leave out the others", names.join(", "));
    };
    let mut live = Live::start(recorder, target, stop)?;
    say(&introduction(recorder, target, &live, out));
    let scene = format!("Requests by hand, the last {}", counted(SHOWN_SECONDS as usize, "second"));
    loop {
        let mut trace = live.next(stop)?;
        let death = live.death();
        if let Some(death) = &death {
            trace.remarks.push(format!("The server has ended: {death}."));
        }
        let picture = picture(scene.clone(), vec![trace]);
        let is_stopped = stop.load(Ordering::SeqCst);
        if !is_stopped && death.is_none() {
            replace(&out.join(PAGE), &reloading(&html(&picture)))?;
            continue;
        }
        let files = write(&picture, out)?;
        say(&listed(&files));
        return Ok(match death {
            Some(death) => {
                print_error(format_args!("{target}: the server has ended: {death}"));
                ExitCode::from(FAILED)
            }
            // The usual end.
            None => ExitCode::SUCCESS,
        });
    }
}

/// First message of a live picture: the server, the page, and requests to try.
fn introduction(recorder: &Recorder, target: &Target, live: &Live, out: &Path) -> String {
    let (address, page) = (live.address(), out.join(PAGE));
    let file = recorder.root().join(download_name(recorder.size()));
    let name = download_name(recorder.size());
    let mut text = format!(
        "server {target} at http://{address}/ with the file {}\n\
         page   {}, redrawn every second: open the file in a browser\n\n\
         curl -o /dev/null http://{address}/{name}\n",
        file.display(),
        page.display()
    );
    if target.works() {
        text += &format!("curl 'http://{address}/.work?block=20ms'\n");
    }
    text + "\nCtrl-C ends.\n"
}

/// Servers of the command line.
fn servers(arguments: &XrayArgs) -> anyhow::Result<Servers> {
    let against = names::values(&arguments.against);
    let mut given = arguments.given.clone();
    for (name, pid) in &arguments.pid {
        let server = given.iter_mut().find(|server| server.name() == name);
        let server = server.with_context(|| {
            format!("--pid {name}={pid}: no --target has that name; write NAME as in --target NAME=http://HOST:PORT")
        })?;
        *server = server.clone().with_pid(*pid)?;
    }
    let strategies = match &arguments.strategies {
        Some(named) => names::values(named),
        None if !arguments.live => vec![StrategyKind::Threaded, StrategyKind::Selector],
        None if against.is_empty() && given.is_empty() => vec![StrategyKind::Threaded],
        None => Vec::new(),
    };
    Ok(Servers { strategies, against, given })
}

/// Scene of the command line.
fn shape(arguments: &XrayArgs) -> anyhow::Result<Shape> {
    let usual = if arguments.heavy_block.is_some() { Scene::Block } else { Scene::Polite };
    let scene = arguments.scene.unwrap_or(usual);
    ensure!(
        arguments.heavy_block.is_none() || scene == Scene::Block,
        "--heavy-block has no effect in the scene {}: remove it, or choose --scene block",
        scene.name()
    );
    let is_burst = scene == Scene::Burst;
    ensure!(
        arguments.requests.is_none() || !is_burst,
        "--requests has no effect in the scene burst, which has a request per connection: remove it"
    );
    let few = if is_burst { BURST_CONNECTIONS } else { CONNECTIONS };
    let connections = arguments.connections.map_or(few, usize::from);
    let requests = match arguments.requests {
        Some(requests) => usize::try_from(requests)?,
        None if is_burst => connections,
        None => REQUESTS,
    };
    let heavy_percent = arguments.heavy_block.unwrap_or(HEAVY_PERCENT);
    let (size, seed) = (arguments.size, arguments.seed);
    Ok(Shape { scene, connections, requests, heavy_percent, size, seed })
}

/// Picture of traces of this machine.
fn picture(scene: String, traces: Vec<Trace>) -> Picture {
    let names: Vec<_> = traces.iter().map(|trace| trace.server.as_str()).collect();
    let title = format!("Threads of {}", names.join(", "));
    let machine = facts::machine();
    let processor = machine.processor.unwrap_or_else(|| "unknown processor".to_owned());
    let host = format!("{processor}, {}, {}", counted(machine.cores, "core"), machine.kernel);
    let (command, measured) = (command_line(), Timestamp::now());
    Picture { scene, title, command, host, measured, traces }
}

/// Writes all files of a picture; returns their kinds and paths.
fn write(picture: &Picture, out: &Path) -> anyhow::Result<[(&'static str, PathBuf); 4]> {
    let [page, slide, chrome] = [PAGE, SLIDE, CHROME_TRACE].map(|name| out.join(name));
    let data = picture.write(out)?;
    replace(&page, &html(picture))?;
    replace(&slide, &svg(picture))?;
    replace(&chrome, &chrome_trace(picture))?;
    Ok([("page", page), ("slide", slide), ("Perfetto", chrome), ("data", data)])
}

fn listed(files: &[(&'static str, PathBuf)]) -> String {
    let mut text = String::from("\n");
    for (kind, path) in files {
        text += &format!("{kind:<9} {}\n", path.display());
    }
    text
}

/// Writes a file at once, so that a browser never reads a part of it.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A page that a browser reloads every second.
fn reloading(page: &str) -> String {
    page.replacen("<head>", "<head>\n<meta http-equiv=\"refresh\" content=\"1\">", 1)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct Command {
        #[command(flatten)]
        arguments: XrayArgs,
    }

    fn parsed(words: &[&str]) -> XrayArgs {
        Command::try_parse_from(words).unwrap().arguments
    }

    #[test]
    fn flags_choose_the_scene_and_its_numbers() {
        let usual = shape(&parsed(&[])).unwrap();
        assert_eq!((usual.scene, usual.connections, usual.requests), (Scene::Polite, 8, 64));
        let heavy = shape(&parsed(&["--heavy-block", "20"])).unwrap();
        assert_eq!((heavy.scene, heavy.heavy_percent), (Scene::Block, 20));
        let burst = shape(&parsed(&["--scene", "burst", "--connections", "9"])).unwrap();
        assert_eq!((burst.connections, burst.requests), (9, 9));
        for (flags, expected) in [
            (["--scene", "polite", "--heavy-block", "20"], "--heavy-block has no effect"),
            (["--scene", "burst", "--requests", "20"], "--requests has no effect"),
        ] {
            let message = shape(&parsed(&flags)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_live_picture_has_one_server_by_default() {
        let strategies = |words: &[&str]| servers(&parsed(words)).unwrap().strategies;
        assert_eq!(strategies(&[]), [StrategyKind::Threaded, StrategyKind::Selector]);
        assert_eq!(strategies(&["--live"]), [StrategyKind::Threaded]);
        assert_eq!(strategies(&["--live", "--strategies", "uring"]), [StrategyKind::Uring]);
        assert!(strategies(&["--live", "--against", "nginx"]).is_empty());
        let message = servers(&parsed(&["--pid", "mine=7"])).unwrap_err().to_string();
        assert!(message.contains("no --target has that name"), "{message}");
    }

    #[test]
    fn a_page_of_a_live_picture_reloads_itself() {
        let picture = picture("A scene".to_owned(), vec![Trace::new("a", None, Level::Actions)]);
        let page = reloading(&html(&picture));
        assert_eq!(page.matches("http-equiv=\"refresh\"").count(), 1, "{page}");
    }

    #[test]
    fn all_files_of_a_picture_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let picture = picture("A scene".to_owned(), vec![Trace::new("a", None, Level::Actions)]);
        let files = write(&picture, folder.path()).unwrap();
        assert!(files.iter().all(|(_, path)| path.is_file()), "{files:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
        assert_eq!(Picture::read(folder.path()).unwrap(), picture);
    }
}
