//! The strategies within this process (`prefork`: beside it): files down, files up, and growing
//! numbers of connections.
//!
//! For comparisons between strategies use `bench run`, which gives each a process and a core of
//! its own; this is for seeing what a change of the code does.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
};
use fileserver::cli::ServerArgs;
use fileserver::store::{Durability, OnConflict, Store, StoreOptions};
use fileserver::{ServerOptions, ServerState, StrategyKind};
use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyReader, http};
use rustix::process::{Signal, set_parent_process_death_signal};
use testkit::{Folder, ServerProcess, ServerThread, server_options};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// First argument of this program as a server: `prefork` starts its own program again.
const SERVE: &str = "--serve";

criterion_group!(benches, download, upload, connections);

fn main() -> ExitCode {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(SERVE)) {
        // It ends with the benchmarks even if these are killed.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        return fileserver::cli::run(&Serve::parse_from(std::env::args_os().skip(1)).arguments);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    ExitCode::SUCCESS
}

/// Command line of this program as a server.
#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    arguments: ServerArgs,
}

fn download(criterion: &mut Criterion) {
    let mut group = group(criterion, "download");
    for strategy in available() {
        for (label, size) in [("1KiB", KIB), ("64KiB", 64 * KIB), ("1MiB", MIB)] {
            let mut load = Load::new(strategy, size, 4);
            group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: size });
            group.bench_function(BenchmarkId::new(strategy.name(), label), |bencher| {
                let client = load.client();
                bencher.iter_custom(|requests| client.download(requests, size));
            });
        }
    }
    group.finish();
}

fn upload(criterion: &mut Criterion) {
    let mut group = group(criterion, "upload");
    for strategy in available() {
        for (label, size) in [("1KiB", KIB), ("1MiB", MIB)] {
            let mut load = Load::new(strategy, size, 4);
            group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: size });
            group.bench_function(BenchmarkId::new(strategy.name(), label), |bencher| {
                let client = load.client();
                bencher.iter_custom(|requests| client.upload(requests, size));
            });
        }
    }
    group.finish();
}

fn connections(criterion: &mut Criterion) {
    let mut group = group(criterion, "connections");
    for strategy in available() {
        for count in [1, 64] {
            if concurrent(strategy, count) < count {
                continue;
            }
            let mut load = Load::new(strategy, KIB, count);
            group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: KIB });
            group.bench_function(BenchmarkId::new(strategy.name(), count), |bencher| {
                let client = load.client();
                bencher.iter_custom(|requests| client.download(requests, KIB));
            });
        }
    }
    group.finish();
}

/// A server and its client, started for the first measurement: a filter on the command line leaves
/// out most of them.
struct Load {
    strategy: StrategyKind,
    size: u64,
    connections: usize,
    /// The client first, which disconnects before its server ends.
    running: Option<(Client, Server)>,
}

impl Load {
    /// Load of a server with a file of this size, over as many connections as the strategy serves at a
    /// time.
    fn new(strategy: StrategyKind, size: u64, connections: usize) -> Self {
        Self { strategy, size, connections: concurrent(strategy, connections), running: None }
    }

    fn client(&mut self) -> &mut Client {
        let (client, _) = self.running.get_or_insert_with(|| {
            let server = Server::start(self.strategy, self.size);
            (Client::connect(server.address, self.connections), server)
        });
        client
    }
}

/// The strategies that this system can run; what is missing is said.
fn available() -> impl Iterator<Item = StrategyKind> {
    StrategyKind::ALL.into_iter().filter(|strategy| match strategy.availability() {
        Ok(()) => true,
        Err(reason) => {
            eprintln!("{}: skipped: {reason}", strategy.name());
            false
        }
    })
}

fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

/// As many connections as asked for, or the one that a strategy can serve at a time.
fn concurrent(strategy: StrategyKind, connections: usize) -> usize {
    if strategy == StrategyKind::Iterative { 1 } else { connections }
}

/// A server with one file; ends when dropped.
struct Server {
    address: SocketAddr,
    _running: Running,
    _folder: Folder,
}

/// The server itself, kept for its end.
enum Running {
    Thread {
        _server: ServerThread,
    },
    /// For the strategy that has processes of its own, which end with this one.
    Process {
        _server: ServerProcess,
    },
}

impl Server {
    fn start(strategy: StrategyKind, size: u64) -> Self {
        let folder = Folder::new();
        folder.put(FILE, size as usize);
        let (address, running) = if strategy == StrategyKind::Prefork {
            let server = serve(strategy, folder.path());
            (server.address, Running::Process { _server: server })
        } else {
            let options = StoreOptions {
                durability: Durability::None,
                on_conflict: OnConflict::Overwrite,
                ..StoreOptions::default()
            };
            let store = Store::open(folder.path(), options).expect("the folder exists");
            let options = ServerOptions { workers: 8, ..server_options() };
            let server = ServerThread::start(strategy, &Arc::new(ServerState::new(store, options)));
            (server.address, Running::Thread { _server: server })
        };
        Self { address, _running: running, _folder: folder }
    }
}

/// Starts this program as a server.
fn serve(strategy: StrategyKind, root: &Path) -> ServerProcess {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(program);
    command
        .args([SERVE, "--strategy", strategy.name(), "--listen", "127.0.0.1:0", "--quiet"])
        .args(["--on-conflict", "overwrite", "--durability", "none", "--root"])
        .arg(root);
    ServerProcess::start(&mut command).expect("it prints its address first")
}

const FILE: &str = "file.bin";

/// Blocking connections that are kept; on each, one request is under way at a time.
struct Client {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    reader: ReplyReader,
    name: String,
}

impl Client {
    fn connect(address: SocketAddr, connections: usize) -> Self {
        let connections = (0..connections)
            .map(|number| {
                let stream = TcpStream::connect(address).expect("the server listens");
                stream.set_nodelay(true).expect("the socket is new");
                let name = format!("upload-{number}.bin");
                Connection { stream, reader: ReplyReader::new(Wire::Http), name }
            })
            .collect();
        Self { connections }
    }

    /// Wall time of so many downloads over all connections.
    fn download(&mut self, requests: u64, size: u64) -> Duration {
        let mut request = Vec::new();
        http::get(&http::target(FILE), "localhost", true, &mut request);
        self.exchange(requests, size, |_| request.clone())
    }

    /// Wall time of so many uploads over all connections.
    fn upload(&mut self, requests: u64, size: u64) -> Duration {
        let body = vec![b'x'; size as usize];
        self.exchange(requests, 0, |name| {
            let mut request = Vec::new();
            http::put(&http::target(name), "localhost", size, true, &mut request);
            request.extend_from_slice(&body);
            request
        })
    }

    /// Sends a request on each connection, then takes the reply from each, and so on.
    fn exchange(
        &mut self,
        mut requests: u64,
        reply_bytes: u64,
        compose: impl Fn(&str) -> Vec<u8>,
    ) -> Duration {
        let composed: Vec<_> =
            self.connections.iter().map(|connection| compose(&connection.name)).collect();
        let mut buffer = vec![0; 128 << 10];
        let began = Instant::now();
        while requests > 0 {
            let batch = self.connections.len().min(usize::try_from(requests).unwrap_or(usize::MAX));
            for (connection, request) in self.connections[..batch].iter_mut().zip(&composed) {
                connection.stream.write_all(request).expect("the server reads");
            }
            for connection in &mut self.connections[..batch] {
                connection.take_reply(reply_bytes, &mut buffer);
            }
            requests -= batch as u64;
        }
        began.elapsed()
    }
}

impl Connection {
    fn take_reply(&mut self, expected_bytes: u64, buffer: &mut [u8]) {
        let mut body_bytes = 0;
        loop {
            let received = self.stream.read(buffer).expect("the server answers");
            assert_ne!(received, 0, "the server keeps the connection open");
            let mut input = &buffer[..received];
            loop {
                match self.reader.next(&mut input).expect("the reply is well-formed") {
                    ReplyEvent::NeedMore => break,
                    ReplyEvent::Head(head) => assert!(head.kind.is_success(), "{head:?}"),
                    ReplyEvent::Body(piece) => body_bytes += piece.len() as u64,
                    ReplyEvent::End => {
                        assert!(expected_bytes == 0 || body_bytes == expected_bytes);
                        return;
                    }
                }
            }
        }
    }
}
