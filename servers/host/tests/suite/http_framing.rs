//! Boundaries of requests: no part of one can be taken for another (request smuggling).

use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use fileserver_proto::{Wire, WirePin};

use crate::content::bytes;
use crate::peer::{http, http_get, http_put};
use crate::server::Server;

/// Requests with an ambiguous end, or with an invalid head.
const AMBIGUOUS: [(&str, u16); 31] = [
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", 400),
    ("PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 5\r\n\r\n", 400),
    ("PUT /x HTTP/1.1\r\nHost: h\r\n\r\n", 411),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n",
        400,
    ),
    ("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhellooo\r\n0\r\n\r\n",
        400,
    ),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        400,
    ),
    (
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;\u{0}\r\nhello\r\n0\r\n\r\n",
        400,
    ),
    ("GET /x HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\nHost: h\r\nA: b\u{0}c\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\nHost : h\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ("GET  /x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
];

/// Number of status lines in these bytes.
fn replies(received: &[u8]) -> usize {
    received.windows(9).filter(|bytes| bytes == b"HTTP/1.1 ").count()
}

pub(crate) fn an_ambiguous_request_is_answered_once(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("secret", "THE SECRET");
    let smuggled = [http_get("secret"), http_put("y", 0)].concat();
    let mut connections = 0;
    for (request, status) in AMBIGUOUS {
        for finishes in [true, false] {
            let mut peer = server.connect();
            connections += 1;
            peer.send([request, &smuggled].concat());
            if finishes {
                peer.finish_sending();
            }
            let reply = peer.reply();
            assert_eq!(reply.status, status, "{request:?}: {}", reply.head);
            assert_eq!(reply.header("connection"), Some("close"), "{request:?}");
            // Bytes sent after the reply are not a request either.
            if !finishes {
                peer.try_send(&smuggled);
            }
            let rest = peer.rest();
            assert_eq!(rest, b"", "{request:?}");
        }
    }
    assert_eq!(server.connect().get("secret"), b"THE SECRET");
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["secret"]);
    let report = server.stop();
    // Each was exactly one request.
    assert_eq!(report.requests, connections + 1);
}

pub(crate) fn content_of_a_read_is_no_request(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("file", "content");
    server.store("secret", "THE SECRET");
    let smuggled = http_get("secret");
    for method in ["GET", "HEAD", "OPTIONS"] {
        for chunked in [false, true] {
            let (framing, body) = match chunked {
                false => (format!("Content-Length: {}\r\n", smuggled.len()), smuggled.clone()),
                true => (
                    "Transfer-Encoding: chunked\r\n".to_owned(),
                    format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
                ),
            };
            let request = http(&format!("{method} /file"), &framing);
            let received = server.connect().send(request + &body).finish_sending().rest();
            assert_eq!(replies(&received), 1, "{}", received.escape_ascii());
            assert!(!received.windows(6).any(|bytes| bytes == b"SECRET"), "{method} {framing}");
        }
    }
    server.stop();
}

pub(crate) fn an_early_refusal_is_heard_and_its_body_skipped(kind: StrategyKind) {
    const LIMIT: u64 = 1000;
    let server = Server::with(kind, |options| options.settings.limits.upload_bytes = LIMIT);
    server.store("secret", "THE SECRET");
    // Every part of the body would be a valid request.
    let request = http_get("secret");
    for (declared, sent) in [(900_000, 900_000), (8 << 20, 8 << 20), (1 << 40, 3 << 20)] {
        let body = request.repeat(sent / request.len() + 1);
        let mut peer = server.connect();
        peer.send(http_put("large", declared));
        // The server may stop reading, but not before it has sent the refusal.
        for piece in body.as_bytes()[..sent].chunks(64 << 10) {
            if !peer.try_send(piece) {
                break;
            }
        }
        let reply = peer.reply();
        assert_eq!(reply.status, 413, "{declared}: {}", reply.head);
        assert_eq!(reply.header("connection"), Some("close"));
        assert_eq!(peer.rest(), b"", "{declared}");
    }
    // Refused by its actual size.
    let mut peer = server.connect();
    peer.send(http("PUT /large", "Transfer-Encoding: chunked\r\n"));
    let body = request.repeat(200);
    for _ in 0..100 {
        if !peer.try_send(format!("{:x}\r\n{body}\r\n", body.len())) {
            break;
        }
    }
    assert_eq!(peer.reply().status, 413);
    assert_eq!(peer.rest(), b"");
    drop(peer);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["secret"]);
    assert_eq!(server.stop().requests, 4);
}

pub(crate) fn a_refusal_is_heard_by_a_peer_that_sends_all_the_while(kind: StrategyKind) {
    let server = Server::with(kind, |options| {
        options.settings.timeouts.linger_total = Duration::from_millis(200);
    });
    let mut peer = server.connect();
    // Without `Expect`: a bad name and a large body.
    peer.send(http_put("%2e%2e/x", 1 << 40));
    let reply = peer.reply();
    assert_eq!(reply.status, 400, "{}", reply.head);
    let piece = bytes(1, 64 << 10);
    let begun = Instant::now();
    // The server reads for the time of a lingering close only.
    while peer.try_send(&piece) {
        assert!(begun.elapsed() < testkit::PATIENCE, "the server goes on reading a refused body");
    }
    drop(peer);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), [""; 0]);
    server.stop();
}

pub(crate) fn old_and_plain_requests_are_served(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("file", "content");
    let ask = |request: &str| server.connect().send(request).rest();
    // HTTP/1.0 closes by itself and needs no host.
    let answer = ask("GET /file HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with(b"\r\n\r\ncontent"), "{}", answer.escape_ascii());
    let mut kept = server.connect();
    for _ in 0..3 {
        let reply = kept.send("GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").reply();
        assert_eq!((reply.status, &*reply.body), (200, &b"content"[..]));
        assert_eq!(reply.header("connection"), Some("keep-alive"));
    }
    drop(kept);
    let closing = http("GET /file", "Connection: close\r\n") + &http_get("file");
    assert_eq!(replies(&ask(&closing)), 1);
    let absolute =
        "GET http://elsewhere/file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(ask(absolute).ends_with(b"content"));
    // Empty lines before a request are ignored once the wire is known to be http.
    let mut peer = server.connect();
    for _ in 0..2 {
        assert_eq!(peer.get("file"), b"content");
        peer.send("\r\n\r\n");
    }
    drop(peer);
    server.stop();
    let pinned = Server::with(kind, |options| {
        options.settings.wire = WirePin::Pinned(Wire::Http);
    });
    assert_eq!(pinned.connect().send("\r\n").send(http_get("file")).reply().status, 404);
}
