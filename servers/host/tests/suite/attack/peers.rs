//! Peers that do not read, read or send slowly, or reset.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use testkit::until;

use crate::attack::number;
use crate::attack::victim::{SMALL, SetOnDrop, Victim, crowd, is_held_by_slow_peers};
use crate::peer::{Peer, http_get, http_put};

/// Number of peers that do not read: more than the entries of a ring's submission queue.
const PEERS: usize = 129;
const BIG_BYTES: usize = 16 << 20;

pub(crate) fn half_closed_peers_that_do_not_read(kind: StrategyKind) -> String {
    peers_that_do_not_read(kind, &[], "big", 1, true)
}

pub(crate) fn half_closed_peers_of_files_in_memory(kind: StrategyKind) -> String {
    peers_that_do_not_read(kind, &["--send-path", "memory"], "medium", 16, true)
}

pub(crate) fn half_closed_peers_of_copied_files(kind: StrategyKind) -> String {
    peers_that_do_not_read(kind, &["--send-path", "copy"], "big", 1, true)
}

pub(crate) fn half_closed_peers_of_pipelined_small_files(kind: StrategyKind) -> String {
    peers_that_do_not_read(kind, &[], "16KiB", 600, true)
}

pub(crate) fn open_peers_that_do_not_read(kind: StrategyKind) -> String {
    peers_that_do_not_read(kind, &[], "big", 1, false)
}

/// Peers request a file many times and read nothing: others are served, the server uses no CPU time
/// and ends on SIGTERM.
fn peers_that_do_not_read(
    kind: StrategyKind,
    arguments: &[&str],
    file: &str,
    times: usize,
    half_closed: bool,
) -> String {
    let is_held = is_held_by_slow_peers(kind);
    let stall = if is_held { "2s" } else { "60s" };
    let timeouts = ["--stall-timeout", stall, "--drain-timeout", "1s"];
    let victim = Victim::start(kind, &[arguments, &timeouts[..]].concat());
    victim.folder.put("big", BIG_BYTES);
    victim.folder.put("medium", 1 << 20);
    victim.folder.put("16KiB", 16 << 10);
    victim.probe();
    let threads = victim.threads();
    let mut peers: Vec<Peer> = Vec::new();
    for _ in 0..crowd(kind, PEERS) {
        let mut peer = Peer::connect_narrow(victim.address());
        peer.send(http_get(file).repeat(times));
        if half_closed {
            peer.finish_sending();
        }
        // The peer is being served.
        wait_for_bytes(&peer);
        peers.push(peer);
    }
    let begun = Instant::now();
    let probe = victim.probe();
    let broken = peers.iter().filter(|peer| peer.stream.take_error().unwrap().is_some()).count();
    if is_held {
        assert!(broken > 0, "answered though every worker is held");
        return format!("{} ms", begun.elapsed().as_millis());
    }
    assert_eq!(broken, 0, "answered only after the stall timeout");
    let cpu = victim.idle_cpu();
    if kind == StrategyKind::Uring {
        assert_eq!(victim.threads(), threads, "the kernel waits with a thread per peer");
    }
    victim.terminate();
    format!("{} ms, {cpu}", probe.as_millis())
}

/// Waits for bytes without reading them.
fn wait_for_bytes(peer: &Peer) {
    assert_ne!(peer.stream.peek(&mut [0]).unwrap(), 0, "the server closed");
}

/// A slow download by a peer that has ended its stream uses almost no CPU time.
pub(crate) fn a_half_closed_peer_that_reads_slowly(kind: StrategyKind) -> String {
    let mut figures = Vec::new();
    for path in ["auto", "memory", "copy"] {
        let victim = Victim::start(kind, &["--send-path", path]);
        let content = victim.folder.put("medium", 1 << 20);
        let mut peer = Peer::connect_narrow(victim.address());
        let head = peer.send(http_get("medium")).finish_sending().reply_head();
        assert_eq!(head.status, 200);
        let (begun, before) = (Instant::now(), victim.cpu_time());
        let mut received = Vec::new();
        while received.len() < content.len() {
            let len = (content.len() - received.len()).min(8 << 10);
            received.extend(peer.bytes(len));
            std::thread::sleep(Duration::from_millis(8));
        }
        let cpu = victim.cpu_time() - before;
        assert!(received == content);
        let share = cpu.as_secs_f64() / begun.elapsed().as_secs_f64();
        assert!(share < 0.3, "{path}: {:.0} % of a core for 1 MiB/s", 100.0 * share);
        figures.push(format!("{:.0} %", 100.0 * share));
        assert_eq!(peer.rest(), b"");
    }
    figures.join(", ")
}

/// Heads sent byte by byte by many peers in turn.
pub(crate) fn requests_byte_by_byte(kind: StrategyKind) -> String {
    let victim = Victim::start(kind, &[]);
    let mut peers: Vec<Peer> =
        (0..crowd(kind, number(100, 500))).map(|_| victim.connect()).collect();
    let request = http_get("small");
    let (first, rest) = request.as_bytes().split_at(request.len() / 2);
    for byte in first {
        for peer in &mut peers {
            peer.send([*byte]);
        }
    }
    let probe = match is_held_by_slow_peers(kind) {
        true => "held".to_owned(),
        false => format!("{} ms", victim.probe().as_millis()),
    };
    for byte in rest {
        for peer in &mut peers {
            peer.send([*byte]);
        }
    }
    for peer in &mut peers {
        let reply = peer.reply();
        assert_eq!((reply.status, &reply.body[..]), (200, SMALL));
    }
    drop(peers);
    victim.probe();
    probe
}

pub(crate) fn heads_sent_slowly(kind: StrategyKind) -> String {
    peers_that_send_slowly(kind, "GET /small HTTP/1.1\r\nHost: localhost\r\nSlow: ")
}

pub(crate) fn bodies_sent_slowly(kind: StrategyKind) -> String {
    peers_that_send_slowly(kind, &http_put("slow", 1 << 20))
}

/// Peers send a byte each 100 ms: all are refused after the timeout, and meanwhile others are
/// served, unless the peers occupy all workers.
fn peers_that_send_slowly(kind: StrategyKind, beginning: &str) -> String {
    let timeouts = ["--head-timeout", "2s", "--stall-timeout", "2s", "--min-body-rate", "500"];
    let victim = Victim::start(kind, &timeouts);
    victim.probe();
    let mut peers: Vec<Peer> =
        (0..crowd(kind, number(100, 500))).map(|_| victim.connect()).collect();
    for peer in &mut peers {
        peer.send(beginning);
    }
    let senders: Vec<TcpStream> =
        peers.iter().map(|peer| peer.stream.try_clone().unwrap()).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = SetOnDrop(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                for mut sender in &senders {
                    // The server may have closed.
                    let _ = sender.write_all(b"x");
                }
            }
        });
        // Less than the timeout, unless the peers occupy all workers.
        let waited = victim.probe();
        for peer in &mut peers {
            assert_eq!(peer.reply_head().status, 408);
        }
        format!("{} ms beside {}", waited.as_millis(), peers.len())
    })
}

/// Connections that are reset before, during and after a transfer leave nothing behind.
pub(crate) fn resets(kind: StrategyKind) -> String {
    // The timeouts end connections of `uring` whose reset the ring does not report: see
    // `Ring::receive_all`.
    let timeouts = ["--head-timeout", "2s", "--idle-timeout", "2s", "--stall-timeout", "2s"];
    let mut victim = Victim::start(kind, &timeouts);
    victim.folder.put("big", BIG_BYTES);
    victim.probe();
    let before = victim.descriptors();
    let number = number(1000, 10_000);
    for index in 0..number {
        let mut peer = victim.connect();
        match index % 4 {
            0 => {}
            1 => drop(peer.send("GET /big HT")),
            2 => drop(peer.send(http_get("big"))),
            _ => {
                peer.send(http_get("big"));
                wait_for_bytes(&peer);
            }
        }
        peer.reset();
    }
    victim.probe();
    // Cached files and the probe's connection included.
    until("the descriptors are closed", || victim.descriptors() <= before + 3);
    assert!(victim.is_running());
    let cpu = victim.idle_cpu();
    assert!(TcpStream::connect(victim.address()).is_ok());
    format!("{number}, then {cpu}")
}
