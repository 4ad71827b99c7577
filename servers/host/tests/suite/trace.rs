//! Trace of actions and waits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fileserver::StrategyKind;
use rustix::time::{ClockId, clock_gettime};

use crate::peer::{Peer, http};
use crate::process::Process;

const HEADER: &str = "process,thread,name,connection,peer_port,kind,from_ns,to_ns";
const FILES: [(&str, usize); 2] = [("small", 1000), ("large", 100_000)];
const CONNECTIONS: usize = 3;
const BLOCK_NS: u64 = 20_000_000;

#[derive(Debug)]
struct Row {
    process: u32,
    thread: u32,
    name: String,
    connection: u32,
    peer_port: u16,
    kind: String,
    from: u64,
    to: u64,
}

impl Row {
    fn parse(line: &str) -> Self {
        let columns: Vec<_> = line.split(',').collect();
        let [process, thread, name, connection, peer_port, kind, from, to] = columns[..] else {
            panic!("not eight columns: {line}");
        };
        Self {
            process: process.parse().unwrap(),
            thread: thread.parse().unwrap(),
            name: name.to_owned(),
            connection: connection.parse().unwrap(),
            peer_port: peer_port.parse().unwrap(),
            kind: kind.to_owned(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }
    }
}

/// Complete rows of a trace that may be written meanwhile.
fn rows(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap();
    let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut lines = complete.lines();
    assert_eq!(lines.next(), Some(HEADER));
    lines.map(Row::parse).collect()
}

/// Nanoseconds of the clock that a trace uses.
fn clock() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Begin and end of a request, as its client knows them.
#[derive(Debug, Clone, Copy)]
struct Request {
    sent: u64,
    received: u64,
}

impl Request {
    fn contains(&self, time: u64) -> bool {
        (self.sent..=self.received).contains(&time)
    }
}

struct Conversation {
    port: u16,
    begun: u64,
    downloads: Vec<Request>,
    blocked: Request,
}

/// Downloads each file and sends a request that blocks, over one connection.
fn converse(server: &Process) -> Conversation {
    let begun = clock();
    let mut peer = Peer::connect(server.address());
    let downloads = FILES.map(|(name, len)| {
        let sent = clock();
        assert_eq!(peer.get(name), testkit::content(name, len));
        Request { sent, received: clock() }
    });
    let sent = clock();
    assert_eq!(peer.send(http("GET /.work?block=20ms", "")).reply().status, 200);
    let blocked = Request { sent, received: clock() };
    Conversation { port: peer.address().port(), begun, downloads: downloads.to_vec(), blocked }
}

/// Checks that no row of a thread begins before the one before it has ended.
fn assert_no_overlap(rows: &[Row]) {
    let mut ends = HashMap::new();
    for row in rows {
        assert_ne!(row.kind, "lost", "{row:?}");
        assert!(row.from <= row.to, "{row:?}");
        let end = ends.insert((row.process, row.thread), row.to).unwrap_or(0);
        assert!(end <= row.from, "{row:?} begins before {end}");
    }
}

/// Checks the rows of one connection.
fn assert_complete(rows: &[&Row], conversation: &Conversation, ended: u64) {
    for row in rows {
        assert!(row.connection > 0, "{row:?}");
        assert!(conversation.begun <= row.from && row.to <= ended, "{row:?}");
    }
    for kind in ["accept", "close"] {
        assert_eq!(rows.iter().filter(|row| row.kind == kind).count(), 1, "{kind}: {rows:#?}");
    }
    let has = |kinds: &[&str], holds: &dyn Fn(&Row) -> bool| {
        let found = rows.iter().any(|row| kinds.contains(&row.kind.as_str()) && holds(row));
        assert!(found, "no {kinds:?}: {rows:#?}");
    };
    for request in &conversation.downloads {
        // A blocked receive begins before the request is sent.
        has(&["receive"], &|row| request.contains(row.to));
        has(&["open-download"], &|row| request.contains(row.from) && request.contains(row.to));
        // The client may have the reply before the call returns.
        has(&["send", "send-file"], &|row| request.contains(row.from));
    }
    let blocked = conversation.blocked;
    has(&["lab-block"], &|row| {
        blocked.contains(row.from) && blocked.contains(row.to) && row.to - row.from >= BLOCK_NS
    });
}

pub(crate) fn every_request_is_in_the_trace(kind: StrategyKind) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.csv");
    let trace = path.to_str().unwrap();
    let args = ["--strategy", kind.name(), "--quiet", "--work", "--trace", trace];
    let mut server = Process::start(&args);
    for (name, len) in FILES {
        fs::write(server.root().join(name), testkit::content(name, len)).unwrap();
    }
    let conversations: Vec<_> = (0..CONNECTIONS).map(|_| converse(&server)).collect();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let (rows, ended) = (rows(&path), clock());
    assert_no_overlap(&rows);

    let mut connections = HashSet::new();
    for conversation in &conversations {
        let own: Vec<_> = rows.iter().filter(|row| row.peer_port == conversation.port).collect();
        assert_complete(&own, conversation, ended);
        let numbers: HashSet<_> = own.iter().map(|row| (row.process, row.connection)).collect();
        assert_eq!(numbers.len(), 1, "{own:#?}");
        connections.extend(numbers);
    }
    assert_eq!(connections.len(), CONNECTIONS);

    let waits: Vec<_> = rows.iter().filter(|row| row.kind.starts_with("wait-")).collect();
    assert!(waits.iter().all(|row| (row.connection, row.peer_port) == (0, 0)), "{waits:#?}");
    let kinds: BTreeSet<_> = waits.iter().map(|row| row.kind.as_str()).collect();
    let is_digit = |c: char| c.is_ascii_digit();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name.trim_end_matches(is_digit)).collect();
    let (expected_kinds, expected_names) = match kind {
        StrategyKind::Iterative | StrategyKind::Prefork => (vec!["wait-accept"], vec!["main"]),
        StrategyKind::Threaded => (vec!["wait-accept"], vec!["connection", "main"]),
        StrategyKind::ThreadPool | StrategyKind::Hybrid => {
            (vec!["wait-queue", "wait-ready"], vec!["main", "worker-"])
        }
        StrategyKind::Selector => (vec!["wait-ready"], vec!["main"]),
        StrategyKind::MultiSelector => (vec!["wait-ready"], vec!["selector-"]),
        StrategyKind::Uring => (vec!["wait-completion"], vec!["main"]),
        StrategyKind::Tokio => (vec!["wait-ready"], vec!["worker"]),
    };
    assert_eq!(kinds, BTreeSet::from_iter(expected_kinds));
    assert_eq!(names, BTreeSet::from_iter(expected_names));
}

#[test]
fn a_trace_can_be_read_while_the_server_runs_and_survives_its_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.csv");
    let args = ["--strategy", "threaded", "--quiet", "--trace", path.to_str().unwrap()];
    let mut server = Process::start(&args);
    fs::write(server.root().join("file"), "content").unwrap();
    let mut ports = Vec::new();
    // The second server appends to the trace of the first.
    for _ in 0..2 {
        let mut peer = Peer::connect(server.address());
        let port = peer.address().port();
        assert_eq!(peer.get("file"), b"content");
        drop(peer);
        let is_closed = |row: &Row| row.peer_port == port && row.kind == "close";
        testkit::until("the end of the connection is in the trace", || {
            rows(&path).iter().any(is_closed)
        });
        ports.push(port);
        server = server.killed_and_replaced(&args);
    }
    let rows = rows(&path);
    assert_no_overlap(&rows);
    for port in ports {
        assert!(rows.iter().any(|row| row.peer_port == port && row.kind == "send-file"));
    }
}

#[test]
fn serving_continues_when_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.csv");
    // A limit on file sizes fails a write in the middle, like a full disk.
    let mut server = Process::under("ulimit -f 8", &["--quiet", "--trace", path.to_str().unwrap()]);
    fs::write(server.root().join("file"), "content").unwrap();
    let mut peer = Peer::connect(server.address());
    let message = "cannot write the trace, which ends here";
    testkit::until("the failure is reported", || {
        assert_eq!(peer.get("file"), b"content");
        server.stderr().contains(message)
    });
    for _ in 0..100 {
        assert_eq!(peer.get("file"), b"content");
    }
    drop(peer);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let stderr = server.stderr();
    assert_eq!(stderr.matches(message).count(), 1, "{stderr}");
}

#[test]
fn a_trace_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for path in [folder.path().join("missing/trace.csv"), PathBuf::from("/dev/full")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        testkit::isolate(&mut command).args(["--listen", "127.0.0.1:0", "--root"]).arg(&root);
        command.arg("--trace").arg(&path);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        for part in ["cannot write the trace to", "choose a writable file with --trace"] {
            assert!(stderr.contains(part), "{stderr}");
        }
        assert!(!root.exists(), "the folder is created after the trace is opened");
    }
}
