//! Requests cause no allocations in the generator: a dozen times as many requests allocate no
//! more.
#![expect(
    unsafe_code,
    reason = "counting allocations takes an allocator, and that trait is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fileserver_proto::Wire;
use loadgen::content::Content;
use loadgen::{
    Arrival, ConnectionUse, Direction, Engine, EngineChoice, LoadSpec, Pacing, RequestClass,
    RequestFile, ThinkTime, Verification, run,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps this method's contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const CONNECTIONS: usize = 4;
const SIZE: usize = 700;

/// Answers `limit` requests and then none, without allocations.
fn serve(limit: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    let head = reply.len();
    reply.resize(head + SIZE, 0);
    Content::of_name("a").fill(0, &mut reply[head..]);
    let answered: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    std::thread::spawn(move || {
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = listener.accept().unwrap();
            let reply = reply.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                // The generator sends a request in one piece and only when it has its reply.
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    if answered.fetch_add(1, Ordering::Relaxed) < limit
                        && stream.write_all(&reply).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Allocations of the whole process while this many requests are answered.
fn allocations(requests: u64, engine: Engine, arrival: Arrival) -> u64 {
    // One of the two files counts as heavy.
    let classes = [RequestClass::Light, RequestClass::Heavy];
    let files = classes.map(|class| RequestFile { class, ..RequestFile::new("a", SIZE as u64) });
    let spec = LoadSpec {
        target: serve(requests),
        wire: Wire::Http,
        direction: Direction::Download,
        files: files.into(),
        connections: CONNECTIONS,
        threads: 2,
        engine: EngineChoice::Only(engine),
        cores: Vec::new(),
        connection_use: ConnectionUse::KeepAlive,
        arrival,
        warm_up: Duration::ZERO,
        longest_warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        timeout: Duration::from_secs(20),
        drain: Duration::from_millis(50),
        verification: Verification::EveryBody,
        seed: 1,
    };
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let report = run(&spec, &AtomicBool::new(false), None).unwrap();
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(report.requests, requests);
    assert_eq!(report.errors.total(), 0);
    after - before
}

/// One test, since concurrent tests of one process would count each other's allocations.
#[test]
fn more_requests_allocate_no_more() {
    for engine in [Engine::Epoll, Engine::Uring] {
        if let Err(refused) = EngineChoice::Only(engine).resolve() {
            let _ = writeln!(std::io::stderr(), "{} skipped: {refused}", engine.name());
            continue;
        }
        for arrival in [
            Arrival::Closed { think: ThinkTime::None },
            Arrival::Closed { think: ThinkTime::Exponential(Duration::from_nanos(500)) },
            Arrival::Open { rate_per_s: 20_000.0, pacing: Pacing::Poisson },
        ] {
            let few = allocations(50, engine, arrival);
            let many = allocations(600, engine, arrival);
            // Threads and channels cause a few allocations more or less from run to run.
            let name = engine.name();
            assert!(many <= few + 40, "{name}, {arrival:?}: {few} for 50, {many} for 600 requests");
        }
    }
}
