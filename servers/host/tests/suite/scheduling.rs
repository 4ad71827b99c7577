//! Fairness between connections, and the number of threads.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Peer, http_get};
use crate::process::Process;
use crate::server::Server;

pub(crate) fn many_keep_alive_clients_all_make_progress(kind: StrategyKind) {
    const WORKERS: usize = 2;
    let server = Server::with(kind, |options| {
        // One process per connection.
        options.workers = if kind == StrategyKind::Prefork { 4 * WORKERS } else { WORKERS };
    });
    let content = bytes(1, 10_000);
    server.store("file", &content);
    let mut peers: Vec<_> = (0..4 * WORKERS).map(|_| server.connect()).collect();
    // In turns, so that each is idle while the others are served,
    for _ in 0..10 {
        for peer in &mut peers {
            assert!(peer.get("file") == content);
        }
    }
    // all at once,
    for _ in 0..10 {
        for peer in &mut peers {
            peer.send(http_get("file"));
        }
        for peer in &mut peers {
            assert!(peer.reply().body == content);
        }
    }
    // and with some that never pause beside one with occasional requests.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also after a failed assertion, since the scope waits for all.
        let _stopped = StopOnDrop(&stop);
        let mut occasional = peers.pop().unwrap();
        for mut peer in peers {
            let (stop, content) = (&stop, &content);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..8 {
                        peer.send(http_get("file"));
                    }
                    for _ in 0..8 {
                        assert!(peer.reply().body == *content);
                    }
                }
            });
        }
        for _ in 0..10 {
            assert!(occasional.get("file") == content);
        }
    });
    server.stop();
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn a_large_transfer_does_not_starve_small_ones(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("large", vec![0; 64 << 20]);
    server.store("small", "small");
    let (mut large, mut small) = (server.connect(), server.connect());
    assert_eq!(large.send(http_get("large")).reply_head().status, 200);
    std::thread::scope(|scope| {
        let done = scope.spawn(|| large.bytes(64 << 20).len());
        for _ in 0..100 {
            assert_eq!(small.get("small"), b"small");
        }
        assert_eq!(done.join().unwrap(), 64 << 20);
    });
}

#[test]
fn heavy_requests_that_hold_all_workers_do_not_delay_a_file_that_is_known() {
    let server = Process::start(&["--strategy", "hybrid", "--workers", "1", "--work", "--quiet"]);
    fs::write(server.root().join("file"), "content").unwrap();
    let mut light = Peer::connect(server.address());
    assert_eq!(light.get("file"), b"content");
    // The single worker would need half a minute for all.
    let mut heavy: Vec<_> = (0..30).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut heavy {
        peer.send("GET /.work?block=1s HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    // Long enough for the cached file to be checked against the file system.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(light.get("file"), b"content");
    let mut last = heavy.pop().unwrap();
    assert!(last.hears_nothing_for(Duration::from_millis(1)), "it was served after all of them");
    assert_eq!(heavy[0].reply().status, 200);
}

/// Serves this number of connections and waits for the number of threads before and meanwhile.
fn check_threads(kind: StrategyKind, connections: usize, before: usize, meanwhile: usize) {
    let workers: &[_] = if kind.has_workers() { &["--workers", "3"] } else { &[] };
    let server = Process::start(&[&["--strategy", kind.name(), "--quiet"], workers].concat());
    fs::write(server.root().join("file"), "content").unwrap();
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    testkit::until("the threads before", || server.threads() == before);
    let mut peers: Vec<_> = (0..connections).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("file"), b"content");
    }
    testkit::until("the threads meanwhile", || server.threads() == meanwhile);
}

#[test]
fn the_selector_keeps_its_one_thread_under_200_connections() {
    // The serving thread, the signal thread and the store's upkeep.
    check_threads(StrategyKind::Selector, 200, 3, 3);
}

#[test]
fn the_thread_pool_keeps_its_workers_under_200_connections() {
    // Three workers, the dispatcher, the signal thread and the store's upkeep.
    check_threads(StrategyKind::ThreadPool, 200, 6, 6);
}

#[test]
fn the_threaded_strategy_has_a_thread_per_connection() {
    check_threads(StrategyKind::Threaded, 50, 3, 3 + 50);
}

#[test]
fn several_selectors_keep_their_threads_under_200_connections() {
    // Three serving threads, the main thread, the signal thread and the store's upkeep.
    check_threads(StrategyKind::MultiSelector, 200, 6, 6);
}

#[test]
fn tasks_share_a_few_threads_under_200_connections() {
    let server = Process::start(&["--strategy", "tokio", "--workers", "3", "--quiet"]);
    fs::write(server.root().join("file"), "content").unwrap();
    let mut peers: Vec<_> = (0..200).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("file"), b"content");
    }
    // Three serving threads, the main thread and the signal thread. A few more take over before one
    // blocks, and remain for a while: the scheduler decides.
    let threads = server.threads();
    assert!((5..50).contains(&threads), "{threads}");
}

#[test]
fn uring_keeps_its_one_thread_under_200_connections() {
    if let Err(reason) = StrategyKind::Uring.availability() {
        testkit::skip("uring_keeps_its_one_thread_under_200_connections", reason);
        return;
    }
    check_threads(StrategyKind::Uring, 200, 3, 3);
}

/// Number of requests beyond the ring's receive buffers and queue entries.
#[test]
fn uring_answers_more_requests_at_once_than_it_has_buffers() {
    if let Err(reason) = StrategyKind::Uring.availability() {
        testkit::skip("uring_answers_more_requests_at_once_than_it_has_buffers", reason);
        return;
    }
    let server = Process::start(&["--strategy", "uring", "--quiet"]);
    let content = bytes(5, 9000);
    fs::write(server.root().join("file"), &content).unwrap();
    let mut peers: Vec<_> = (0..1500).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert!(peer.get("file") == content);
    }
    for _ in 0..3 {
        server.suspend();
        for peer in &mut peers {
            peer.send(http_get("file"));
        }
        server.resume();
        for peer in &mut peers {
            assert!(peer.reply().body == content);
        }
    }
}
