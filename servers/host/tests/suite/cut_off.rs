//! Interrupted transfers are never reported as complete, and waiting connections are served.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use fileserver::StrategyKind;

use crate::peer::{Peer, framed_get, http_get, http_put};
use crate::process::{PATIENCE, Process};
use crate::server::Server;

const LARGE: u64 = 64 << 20;

pub(crate) fn a_file_that_shrinks_meanwhile_ends_with_a_reset(kind: StrategyKind) {
    let server = Server::start(kind);
    for (name, request) in [
        ("a", http_get("a").into_bytes()),
        ("b", framed_get("b")),
        // For this peer only the end of the stream marks the end of the content.
        ("c", b"c\n".to_vec()),
    ] {
        let file = File::create(server.root().join(name)).unwrap();
        file.set_len(LARGE).unwrap();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&request).unwrap();
        let mut received = vec![0; 1000];
        stream.read_exact(&mut received).unwrap();
        file.set_len(9).unwrap();
        let error = stream.read_to_end(&mut received).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}");
        assert!((received.len() as u64) < LARGE);
    }
    server.stop();
}

pub(crate) fn held_workers_keep_no_idle_connection_open(kind: StrategyKind) {
    for is_drain in [true, false] {
        let idle_timeout = if is_drain { "60s" } else { "300ms" };
        let arguments = ["--strategy", kind.name(), "--durability", "none"];
        let workers: &[_] = if kind.has_workers() { &["--workers", "1"] } else { &[] };
        let timeouts = ["--drain-timeout", "60s", "--idle-timeout", idle_timeout];
        let mut server = Process::start(&[&arguments[..], workers, &timeouts].concat());
        let mut slow: Vec<_> = (0..8).map(|_| Peer::connect(server.address())).collect();
        for peer in &mut slow {
            peer.send(http_put("up", 2)).send(b"a");
        }
        let mut idle: Vec<_> = (0..8).map(|_| Peer::connect(server.address())).collect();
        // Long enough for the server to accept everything it can.
        assert!(idle[0].hears_nothing_for(Duration::from_millis(100)));
        if is_drain {
            server.terminate();
        }
        for peer in &mut idle {
            assert_eq!(peer.rest(), b"");
        }
        for peer in &mut slow {
            let _ = peer.try_send(b"b");
        }
        drop(slow);
        if !is_drain {
            server.terminate();
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}
