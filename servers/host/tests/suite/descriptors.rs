//! More clients than the process may have descriptors.

use std::fs;
use std::time::{Duration, Instant};

use fileserver::{EXHAUSTION_PAUSE, StrategyKind};

use crate::content::bytes;
use crate::peer::{Peer, http_get};
use crate::process::{PATIENCE, Process};

/// Flags of a server that accepts on one thread.
fn arguments(kind: StrategyKind) -> Vec<&'static str> {
    let mut arguments = vec!["--strategy", kind.name(), "--quiet"];
    if kind == StrategyKind::MultiSelector {
        arguments.extend(["--accept", "dispatch"]);
    }
    arguments
}

pub(crate) fn more_clients_than_descriptors(kind: StrategyKind) {
    let mut server = Process::under("ulimit -n 64", &arguments(kind));
    let content = bytes(1, 100_000);
    fs::write(server.root().join("file"), &content).unwrap();
    // All connect and send a request; then each in turn reads its reply and closes.
    let mut peers: Vec<_> = (0..200).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        peer.send(http_get("file"));
    }
    for mut peer in peers {
        assert!(peer.reply().body == content);
    }
    assert!(Peer::connect(server.address()).get("file") == content);
    assert!(server.is_running());
    assert_eq!(server.stderr(), "");
}

pub(crate) fn descriptors_run_out_while_serving(kind: StrategyKind) {
    let mut server = Process::start(&[arguments(kind), vec!["--max-connections", "1000"]].concat());
    fs::write(server.root().join("file"), "content").unwrap();
    // The last one makes the server open its long-lived descriptors.
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    server.limit_descriptors(server.descriptors() + 8);
    let mut peers: Vec<_> = (0..40).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        peer.send(http_get("file"));
    }
    // The server pauses instead of spinning: every failed attempt is logged, and while no connection
    // closes there is one at the end of each pause.
    let pauses = || server.stderr().matches("accepting pauses").count();
    if !matches!(kind, StrategyKind::Iterative | StrategyKind::Prefork) {
        let begun = Instant::now();
        while pauses() < 2 {
            assert!(begun.elapsed() < PATIENCE, "no second attempt after {begun:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        let attempts = pauses();
        let at_most = 2 + begun.elapsed().div_duration_f64(EXHAUSTION_PAUSE) as usize;
        assert!(attempts <= at_most, "{attempts} attempts instead of {at_most}");
    }
    // Each is answered or refused in turn as others close.
    let mut served = 0;
    for mut peer in peers {
        let reply = peer.reply();
        match reply.status {
            200 => served += 1,
            503 => {}
            _ => panic!("{reply:?}"),
        }
    }
    assert!(served > 0);
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    assert!(server.is_running());
}
