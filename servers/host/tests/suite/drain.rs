//! Shutdown: draining, exit codes and signals.

use std::fs;

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Peer, framed_get, http_get, http_put};
use crate::process::Process;

/// A drain timeout longer than any test waits, so that no test ends because of it.
const LONG: &str = "60s";
/// More than socket buffers hold.
const LARGE: usize = 16 << 20;

fn start(kind: StrategyKind, drain: &str) -> Process {
    Process::start(&["--strategy", kind.name(), "--durability", "none", "--drain-timeout", drain])
}

pub(crate) fn a_download_in_progress_is_finished(kind: StrategyKind) {
    let mut server = start(kind, LONG);
    let content = bytes(1, LARGE);
    fs::write(server.root().join("file"), &content).unwrap();
    let mut peer = Peer::connect_narrow(server.address());
    assert_eq!(peer.send(http_get("file")).reply_head().status, 200);
    let mut received = peer.bytes(100_000);
    server.terminate();
    server.wait_until_closed();
    received.extend(peer.bytes(LARGE - 100_000));
    assert!(received == content);
    assert_eq!(peer.rest(), b"");
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.stderr().contains("served 1 request "), "{}", server.stderr());
}

pub(crate) fn an_upload_in_progress_is_finished(kind: StrategyKind) {
    let mut server = start(kind, LONG);
    let content = bytes(2, LARGE);
    let mut peer = Peer::connect(server.address());
    peer.send(http_put("up", LARGE as u64)).send(&content[..LARGE / 2]);
    server.terminate();
    server.wait_until_closed();
    let reply = peer.send(&content[LARGE / 2..]).reply();
    assert_eq!(reply.stored_name(), "up");
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(peer.rest(), b"");
    drop(peer);
    assert_eq!(server.wait().code(), Some(0));
    assert!(fs::read(server.root().join("up")).unwrap() == content);
}

pub(crate) fn idle_connections_do_not_delay_the_end(kind: StrategyKind) {
    let mut server = start(kind, LONG);
    fs::write(server.root().join("file"), "content").unwrap();
    let served = if kind == StrategyKind::Iterative { 1 } else { 20 };
    let mut peers: Vec<_> = (0..served).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("file"), b"content");
    }
    let mut silent = Peer::connect(server.address());
    server.terminate();
    for peer in &mut peers {
        assert_eq!(peer.rest(), b"");
    }
    assert_eq!(silent.rest(), b"");
    assert_eq!(server.wait().code(), Some(0));
}

pub(crate) fn a_second_signal_ends_at_once(kind: StrategyKind) {
    let mut server = start(kind, LONG);
    fs::write(server.root().join("file"), bytes(3, LARGE)).unwrap();
    let mut unread = Peer::connect_narrow(server.address());
    unread.send(framed_get("file")).bytes(1);
    server.terminate();
    server.wait_until_closed();
    assert!(server.is_running());
    server.terminate();
    assert_eq!(server.wait().code(), Some(130));
    assert!(server.stderr().contains(", 1 broken off"), "{}", server.stderr());
    assert!(unread.rest().len() < LARGE);
}

pub(crate) fn a_drain_is_limited_in_time(kind: StrategyKind) {
    let mut server = start(kind, "300ms");
    fs::write(server.root().join("file"), bytes(4, LARGE)).unwrap();
    let mut unread = Peer::connect_narrow(server.address());
    unread.send(http_get("file")).bytes(1);
    server.terminate();
    // The exit code reports the interrupted connection.
    assert_eq!(server.wait().code(), Some(1));
    assert!(server.stderr().contains(", 1 broken off"), "{}", server.stderr());
    assert!(unread.rest().len() < LARGE);
}
