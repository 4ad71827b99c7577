//! Downloads in steady state do not allocate in the server, under every strategy, traced or not.
#![expect(
    unsafe_code,
    reason = "counting allocations takes an allocator, and that trait is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fileserver::store::{Durability, OnConflict, Store, StoreOptions};
use fileserver::{
    AcceptDistribution, Listener, SendPath, ServerOptions, ServerState, Shutdown, StrategyKind,
    Trace,
};
use fileserver_proto::Settings;

/// Allocator that counts the allocations of all threads except those marked as peers.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_PEER: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_PEER.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting allocates nothing,
// as the thread's flag needs neither initialization nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps this method's contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const REQUESTS: u64 = 600;

/// Allocations of a server while a peer repeatedly downloads a file of this size, and the time.
fn allocations(
    kind: StrategyKind,
    send_path: SendPath,
    size: usize,
    root: &Path,
    trace: Trace,
) -> (u64, Duration) {
    let options = StoreOptions {
        durability: Durability::None,
        on_conflict: OnConflict::Error,
        ..StoreOptions::default()
    };
    std::fs::write(root.join("file"), vec![b'x'; size]).unwrap();
    let state = ServerOptions {
        settings: Settings::default(),
        workers: 2,
        max_connections: 100,
        accept: AcceptDistribution::Dispatch,
        send_path,
        drain: Duration::from_secs(30),
    };
    let mut state = ServerState::new(Store::open(root, options).unwrap(), state);
    state.trace = trace;
    let state = Arc::new(state);
    let endpoint = Listener::bind("127.0.0.1:0".parse().unwrap(), 100).unwrap();
    let address = endpoint.local_addr().unwrap();
    let shutdown = Shutdown::new();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| kind.build().serve(&endpoint, &state, &shutdown));
        let mut peer = TcpStream::connect(address).unwrap();
        let mut reply = vec![0; 1 << 20];
        IS_PEER.set(true);
        ask(&mut peer, REQUESTS / 10, size, &mut reply);
        let (before, begun) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
        ask(&mut peer, REQUESTS, size, &mut reply);
        let (after, took) = (ALLOCATIONS.load(Ordering::Relaxed), begun.elapsed());
        IS_PEER.set(false);
        drop(peer);
        shutdown.trigger();
        serving.join().unwrap().unwrap();
        (after - before, took)
    })
}

fn ask(peer: &mut TcpStream, requests: u64, size: usize, reply: &mut [u8]) {
    for _ in 0..requests {
        peer.write_all(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut received = peer.read(reply).unwrap();
        let head = reply.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        assert!(reply.starts_with(b"HTTP/1.1 200 "));
        while received < head + size {
            let more = peer.read(&mut reply[received..]).unwrap();
            assert!(more > 0);
            received += more;
        }
    }
}

/// One test for all strategies: concurrent tests would count each other's allocations.
#[test]
fn more_downloads_allocate_no_more() {
    let (folder, traces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trace = traces.path().join("trace.csv");
    for kind in StrategyKind::ALL {
        // Its processes have their own allocators, and serve like `iterative`.
        if kind == StrategyKind::Prefork {
            continue;
        }
        if let Err(reason) = kind.availability() {
            testkit::skip(kind.name(), reason);
            continue;
        }
        for (send_path, size, is_traced) in [
            (SendPath::Auto, 1000, false),
            (SendPath::Auto, 200_000, false),
            (SendPath::Copy, 1000, false),
            (SendPath::Splice, 200_000, false),
            (SendPath::Auto, 1000, true),
            (SendPath::Auto, 200_000, true),
        ] {
            // While it is on, each thread allocates its buffer, and nothing for an event.
            let trace = if is_traced { Trace::start(&trace).unwrap() } else { Trace::default() };
            let (allocated, took) = allocations(kind, send_path, size, folder.path(), trace);
            // The file is reopened twice a second, which allocates.
            let few = (REQUESTS / 20).max(20 * took.as_secs());
            // The pool allocates for each job passed to a worker.
            let hand_overs = if kind == StrategyKind::ThreadPool { 2 * REQUESTS } else { 0 };
            let allowed = few + hand_overs;
            let path = send_path.name();
            let traced = if is_traced { ", traced" } else { "" };
            assert!(allocated <= allowed, "{kind:?}, {path}, {size}{traced}: {allocated}");
        }
    }
}
