//! Clients that are more than the process may have descriptors for.

use std::fs;
use std::time::Duration;

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Peer, http_get};
use crate::process::Process;

pub(crate) fn more_clients_than_descriptors(kind: StrategyKind) {
    let args = ["--strategy", kind.name(), "--accept", "dispatch", "--quiet"];
    let mut server = Process::under("ulimit -n 64", &args);
    let content = bytes(1, 100_000);
    fs::write(server.root().join("file"), &content).unwrap();
    // All connect and ask; then each in turn reads its answer and goes.
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
    let args =
        ["--strategy", kind.name(), "--accept", "dispatch", "--quiet", "--max-connections", "1000"];
    let mut server = Process::start(&args);
    fs::write(server.root().join("file"), "content").unwrap();
    // The last lets the server open whatever it opens once.
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    server.limit_descriptors(server.descriptors() + 8);
    let mut peers: Vec<_> = (0..40).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        peer.send(http_get("file"));
    }
    // It waits; it does not spin. (A server that did would use most of a second.)
    let before = server.cpu_ticks();
    std::thread::sleep(Duration::from_secs(1));
    let ticks = server.cpu_ticks() - before;
    assert!(ticks < 50, "{ticks} ticks of processor time in a second of waiting");
    // Answered or refused, each gets its turn as others go.
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
