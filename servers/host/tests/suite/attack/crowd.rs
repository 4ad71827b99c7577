//! More connections than the server admits, or has descriptors for.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use fileserver::StrategyKind;

use crate::attack::number;
use crate::attack::victim::{SMALL, Victim, crowd};
use crate::peer::Peer;

/// Connections beyond the limit wait in the accept queue and are served in turn.
pub(crate) fn connections_beyond_the_limit(kind: StrategyKind) -> String {
    // More than the backlog, so that the ring first accepts by itself.
    let limits = ["--max-connections", "96", "--backlog", "64", "--idle-timeout", "60s"];
    let victim = Victim::start(kind, &limits);
    victim.probe();
    let number = crowd(kind, number(150, 150));
    let address = victim.address();
    let peers: Vec<TcpStream> = std::thread::scope(|scope| {
        let connecting: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| -> Vec<_> {
                    let each = number.div_ceil(6);
                    (0..each).map(|_| TcpStream::connect(address).unwrap()).collect()
                })
            })
            .collect();
        connecting.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let cpu = victim.idle_cpu();
    // Each connection that closes makes room for the next.
    let begun = Instant::now();
    let served = peers.len();
    std::thread::scope(|scope| {
        for stream in peers {
            scope.spawn(|| assert_eq!(Peer::new(stream).get("small"), SMALL));
        }
    });
    let took = begun.elapsed().as_millis();
    victim.probe();
    format!("{served} in {took} ms, before that {cpu}")
}

/// Clients wait while no descriptors are left; all are served in the end.
pub(crate) fn more_connections_than_descriptors(kind: StrategyKind) -> String {
    let victim = Victim::under(
        &["prlimit", "--nofile=96:96"],
        testkit::Folder::new(),
        kind,
        &["--idle-timeout", "2s", "--head-timeout", "2s"],
    )
    .unwrap();
    std::fs::write(victim.folder.path().join("small"), SMALL).unwrap();
    let mut silent: Vec<Peer> =
        (0..crowd(kind, number(100, 400))).map(|_| victim.connect()).collect();
    let cpu = victim.idle_cpu();
    let begun = Instant::now();
    victim.probe();
    let probe = begun.elapsed().as_millis();
    for peer in &mut silent {
        peer.rest();
    }
    assert!(victim.probe() < Duration::from_secs(20));
    format!("{probe} ms among {} silent, {cpu}", silent.len())
}
