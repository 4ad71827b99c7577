//! A server in the test process, or in its own for strategies with processes.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fileserver::store::{Durability, OnConflict, Store, StoreOptions};
use fileserver::{
    AcceptDistribution, Console, SendPath, ServeReport, ServerOptions, ServerState, StrategyKind,
};
use fileserver_proto::{Hosts, Service, Settings, Timeouts, Transform, Wire, WirePin};
use tempfile::TempDir;
use testkit::{ServerThread, names, until};

use crate::peer::Peer;
use crate::process::{PATIENCE, Process, has_connections};

/// A server on a free port with a new folder; ended when dropped.
pub(crate) enum Server {
    Within(Box<Within>),
    /// The `server` program.
    Beside(Process),
}

/// A server in the test process.
pub(crate) struct Within {
    folder: Arc<TempDir>,
    kind: StrategyKind,
    options: ServerOptions,
    state: Arc<ServerState>,
    screen: Screen,
    thread: ServerThread,
}

impl Server {
    pub(crate) fn start(kind: StrategyKind) -> Self {
        Self::with(kind, |_| {})
    }

    pub(crate) fn with(kind: StrategyKind, adjust: impl FnOnce(&mut ServerOptions)) -> Self {
        Self::start_with(kind, OnConflict::default(), adjust)
    }

    /// Starts a server with this policy for taken names.
    pub(crate) fn on_conflict(kind: StrategyKind, way: OnConflict) -> Self {
        Self::start_with(kind, way, |_| {})
    }

    fn start_with(
        kind: StrategyKind,
        on_conflict: OnConflict,
        adjust: impl FnOnce(&mut ServerOptions),
    ) -> Self {
        let mut options = ServerOptions {
            settings: Settings { server_name: kind.name().to_owned(), ..Settings::default() },
            workers: if kind == StrategyKind::Prefork { 64 } else { 4 },
            max_connections: 1000,
            // One accept queue, so that connections are accepted in order.
            accept: AcceptDistribution::Dispatch,
            send_path: SendPath::default(),
            drain: PATIENCE,
        };
        adjust(&mut options);
        if kind == StrategyKind::Prefork {
            let arguments = arguments(kind, on_conflict, &options);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            return Self::Beside(Process::start(&arguments));
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self::on(Arc::new(folder), kind, on_conflict, options)
    }

    fn on(
        folder: Arc<TempDir>,
        kind: StrategyKind,
        on_conflict: OnConflict,
        options: ServerOptions,
    ) -> Self {
        // Durability after a power failure is not tested.
        let options_of_store =
            StoreOptions { durability: Durability::None, on_conflict, ..StoreOptions::default() };
        let store = Store::open(&folder.path().join("root"), options_of_store).unwrap();
        let server_options = options.clone();
        let mut state = ServerState::new(store, options);
        let screen = Screen::default();
        state.console = Console::on(screen.clone());
        let state = Arc::new(state);
        let thread = ServerThread::start(kind, &state);
        Self::Within(Box::new(Within {
            folder,
            kind,
            options: server_options,
            state,
            screen,
            thread,
        }))
    }

    /// Starts another server with the same options on the same folder.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Within(server) => {
                let (folder, options) = (Arc::clone(&server.folder), server.options.clone());
                Self::on(folder, server.kind, OnConflict::default(), options)
            }
            Self::Beside(process) => Self::Beside(process.another()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Within(server) => server.thread.address,
            Self::Beside(process) => process.address(),
        }
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address())
    }

    /// The served folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.outside("root")
    }

    /// Path beside the served folder, out of reach for peers.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        match self {
            Self::Within(server) => server.folder.path().join(name),
            Self::Beside(process) => process.root().with_file_name(name),
        }
    }

    /// Puts a file into the served folder.
    pub(crate) fn store(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root().join(name), content).unwrap();
    }

    /// All entries of the served folder, hidden ones included.
    pub(crate) fn on_disk(&self) -> Vec<String> {
        names(&self.root())
    }

    /// Waits until the server has closed the connections of all peers.
    pub(crate) fn wait_until_deserted(&self) {
        let server = match self {
            Self::Within(server) => server,
            Self::Beside(process) => return process.wait_until_deserted(),
        };
        // A strategy that blocks in `accept` already holds the permit of the next connection.
        let places = match server.kind {
            StrategyKind::ThreadPool
            | StrategyKind::Selector
            | StrategyKind::Hybrid
            | StrategyKind::Uring
            | StrategyKind::Tokio => 0,
            StrategyKind::Threaded | StrategyKind::MultiSelector => 1,
            StrategyKind::Iterative => {
                // Served in order, so all connections before are closed.
                self.connect().finish_sending().rest();
                return;
            }
            StrategyKind::Prefork => unreachable!("it has processes of its own"),
        };
        let is_free = || server.state.limit.open() <= places;
        // Before the sockets, whose table can be long.
        until("no connection has a permit", is_free);
        // The permit of the next connection may not be held yet, so the sockets are checked as well.
        until("all is closed", || !has_connections(server.thread.address) && is_free());
    }

    /// Log lines, as soon as there are this number of them.
    pub(crate) fn console(&self, lines: usize) -> Vec<String> {
        let screen = match self {
            Self::Within(server) => &server.screen,
            Self::Beside(process) => process.screen(),
        };
        let begun = Instant::now();
        loop {
            let shown = String::from_utf8(screen.lines()).unwrap();
            let is_shown = |line: &&str| {
                ["Connected by ", "Sent back ", "127.0.0.1: "].iter().any(|p| line.starts_with(p))
            };
            let shown: Vec<_> = shown.lines().filter(is_shown).map(str::to_owned).collect();
            if shown.len() >= lines {
                return shown;
            }
            assert!(begun.elapsed() < PATIENCE, "only {shown:?} was shown");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Drains the server; checks that no connection panicked and nothing is left.
    pub(crate) fn stop(self) -> ServeReport {
        let (report, stderr): (ServeReport, _) = match self {
            Self::Within(server) => {
                let report = server.thread.stop();
                let state = Arc::downgrade(&server.state);
                drop(server.state);
                let begun = Instant::now();
                while state.strong_count() > 0 {
                    assert!(begun.elapsed() < PATIENCE, "something of the server is left");
                    std::thread::sleep(Duration::from_millis(1));
                }
                (report, String::new())
            }
            Self::Beside(mut process) => {
                process.terminate();
                let (status, stderr) = (process.wait(), process.stderr());
                assert_eq!(status.code(), Some(0), "{stderr}");
                (process.rest_of_stdout().parse().unwrap(), stderr)
            }
        };
        assert_eq!((report.panics, report.refused), (0, 0), "{report:?} {stderr}");
        report
    }
}

/// Log lines of a server.
#[derive(Clone, Default)]
pub(crate) struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    pub(crate) fn lines(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Command-line flags of the options.
fn arguments(kind: StrategyKind, on_conflict: OnConflict, options: &ServerOptions) -> Vec<String> {
    let ServerOptions { settings, workers, max_connections, accept: _, send_path, drain } = options;
    let Settings { service, work, wire, hosts, limits, timeouts, server_name: _ } = settings;
    let wire = match wire {
        WirePin::Auto => "auto",
        WirePin::Pinned(Wire::Framed) => "framed",
        WirePin::Pinned(Wire::Http) => "http",
        WirePin::Pinned(Wire::Text) => "text",
    };
    // Options without a flag keep their defaults; no test depends on them.
    let Timeouts { head, stall, body_rate, idle, quiet: _, quiet_name: _, linger: _, linger_total } =
        timeouts;
    let milliseconds = |time: &Duration| format!("{}ms", time.as_millis());
    let (service, transform) = match service {
        Service::Files => ("files", None),
        Service::Echo => ("echo", None),
        Service::Hello => ("hello", None),
        Service::GreetClose => ("greet-close", None),
        Service::Message => ("message", None),
        Service::Ack => ("ack", None),
        Service::Transform(Transform::Reverse) => ("transform", Some("reverse".to_owned())),
        Service::Transform(Transform::Upper) => ("transform", Some("upper".to_owned())),
        Service::Transform(Transform::Length) => ("transform", Some("length".to_owned())),
        Service::Transform(Transform::Prefix(text)) => {
            ("transform", Some(format!("prefix={text}")))
        }
        Service::Date => ("date", None),
        Service::DateLog => ("date-log", None),
        Service::Chat => ("chat", None),
    };
    let mut arguments = vec![
        format!("--service={service}"),
        format!("--strategy={}", kind.name()),
        format!("--max-connections={max_connections}"),
        format!("--send-path={}", send_path.name()),
        format!("--wire={wire}"),
        format!("--durability={}", Durability::None.name()),
        format!("--on-conflict={}", on_conflict.name()),
        format!("--max-upload={}", limits.upload_bytes),
        format!("--head-timeout={}", milliseconds(head)),
        format!("--stall-timeout={}", milliseconds(stall)),
        format!("--min-body-rate={body_rate}"),
        format!("--idle-timeout={}", milliseconds(idle)),
        format!("--linger-timeout={}", milliseconds(linger_total)),
        format!("--drain-timeout={}", milliseconds(drain)),
    ];
    if kind.has_workers() {
        arguments.push(format!("--workers={workers}"));
    }
    arguments.extend(transform.map(|transform| format!("--transform={transform}")));
    arguments.extend(work.then(|| "--work".to_owned()));
    arguments.extend((*hosts == Hosts::Any).then(|| "--allow-host=*".to_owned()));
    // Other messages are not checked.
    arguments.extend((service == "files").then(|| "--quiet".to_owned()));
    arguments
}
