//! Peers that are slow, half closed, reset or pipelining.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Message, Peer, framed_data, framed_get, framed_name, http_get, http_put};
use crate::server::Server;

pub(crate) fn a_cut_off_upload_leaves_nothing(kind: StrategyKind) {
    let server = Server::start(kind);
    let chunked =
        "PUT /cut HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf";
    let requests = [
        http_put("cut", 1_000_000).into_bytes(),
        chunked.as_bytes().to_vec(),
        [framed_name("cut"), framed_data(1_000_000)].concat(),
    ];
    for request in &requests {
        for part in [0, 1000, 200_000] {
            // Closed, reset or ended early: the upload cannot be completed.
            let mut closed = server.connect();
            closed.send(request).send(bytes(1, part.min(200)));
            drop(closed);
            let mut reset = server.connect();
            reset.send(request).send(bytes(2, part.min(200)));
            reset.reset();
            let mut finished = server.connect();
            finished.send(request);
            if !request.ends_with(b"half") {
                finished.send(bytes(3, part));
            }
            let answer = finished.finish_sending().rest();
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.starts_with("HTTP/1.1 400 ")
                    || answer.ends_with("the stream ended before the request did"),
                "{answer}"
            );
        }
    }
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), [""; 0]);
    assert_eq!(server.connect().put("cut", b"whole"), "cut");
    server.stop();
}

pub(crate) fn requests_that_come_byte_by_byte(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(6, 500);
    let mut http = server.connect();
    http.send_byte_by_byte(http_put("http", 500)).send_byte_by_byte(&content);
    assert_eq!(http.reply().stored_name(), "http");
    assert!(http.send_byte_by_byte(http_get("http")).reply().body == content);
    drop(http);
    let mut framed = server.connect();
    framed.send_byte_by_byte(framed_name("framed")).send_byte_by_byte(framed_data(500));
    framed.send_byte_by_byte(&content);
    assert_eq!(framed.message(), Message::Text("OK".to_owned()));
    assert_eq!(framed.message().stored_name(), "framed");
    let down = framed.send_byte_by_byte(framed_get("framed")).message();
    assert!(down == Message::Data(content.clone()));
    drop(framed);
    assert!(server.connect().send_byte_by_byte("http\r\n").rest() == content);
    server.stop();
}

pub(crate) fn a_slow_reader_gets_every_byte(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(7, 3_000_000);
    server.store("file", &content);
    let mut http = Peer::connect_narrow(server.address());
    assert_eq!(http.send(http_get("file")).reply_head().status, 200);
    assert!(read_slowly(&mut http, content.len()) == content);
    // The connection accepts another request.
    assert!(http.get("file") == content);
    drop(http);
    let mut framed = Peer::connect_narrow(server.address());
    let head = framed.send(framed_get("file")).bytes(4);
    assert_eq!(head, framed_data(3_000_000));
    assert!(read_slowly(&mut framed, content.len()) == content);
    drop(framed);
    let mut text = Peer::connect_narrow(server.address());
    assert!(read_slowly(text.send("file\n"), content.len()) == content);
}

fn read_slowly(peer: &mut Peer, len: usize) -> Vec<u8> {
    let mut received = Vec::with_capacity(len);
    let pieces = 30;
    for piece in 0..pieces {
        std::thread::sleep(Duration::from_millis(3));
        let until = len * (piece + 1) / pieces;
        received.extend(peer.bytes(until - received.len()));
    }
    received
}

pub(crate) fn half_closed_peers_are_answered(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(8, 1_000_000);
    let mut up = server.connect();
    up.send(http_put("file", 1_000_000)).send(&content).finish_sending();
    assert_eq!(up.reply().stored_name(), "file");
    assert_eq!(up.rest(), b"");
    let mut down = server.connect();
    let reply = down.send(http_get("file")).finish_sending().reply();
    assert!(reply.body == content && down.rest().is_empty());
    let mut both = server.connect();
    both.send(framed_name("framed")).send(framed_data(1_000_000)).send(&content);
    both.send(framed_get("framed")).finish_sending();
    assert_eq!(both.message(), Message::Text("OK".to_owned()));
    assert_eq!(both.message().stored_name(), "framed");
    assert!(both.message() == Message::Data(content.clone()) && both.rest().is_empty());
    // The end of the stream ends the line.
    assert!(server.connect().send("file").finish_sending().rest() == content);
    // No request, no reply.
    assert_eq!(server.connect().finish_sending().rest(), b"");
    let mut half_a_head = server.connect();
    half_a_head.send("GET /file HTTP/1.1\r\nHost").finish_sending();
    assert!(!half_a_head.rest().starts_with(b"HTTP/1.1 200"));
    server.wait_until_deserted();
    server.stop();
}

pub(crate) fn pipelined_requests_are_answered_in_order(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut http = server.connect();
    let mut requests = Vec::new();
    for number in 0..50_usize {
        requests.extend(http_put(&format!("{number}"), number as u64 * 100).into_bytes());
        requests.extend(bytes(number as u64, number * 100));
        requests.extend(http_get(&format!("{number}")).into_bytes());
        requests.extend(http_get("missing").into_bytes());
    }
    http.send(requests);
    for number in 0..50_usize {
        assert_eq!(http.reply().stored_name(), number.to_string());
        assert!(http.reply().body == bytes(number as u64, number * 100), "{number}");
        assert_eq!(http.reply().status, 404);
    }
    drop(http);
    let mut framed = server.connect();
    for number in 0..50 {
        framed.send(framed_get(&number.to_string())).send(framed_get("missing"));
    }
    for number in 0..50_usize {
        assert!(framed.message() == Message::Data(bytes(number as u64, number * 100)), "{number}");
        assert_eq!(framed.message(), Message::Error("no such file: missing".to_owned()));
    }
}

pub(crate) fn resets_during_transfers_hurt_nobody_else(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(9, 5_000_000);
    server.store("file", &content);
    let mut bystander = (kind != StrategyKind::Iterative).then(|| server.connect());
    for round in 0..20 {
        let mut down = Peer::connect_narrow(server.address());
        down.send(http_get("file")).bytes(1000 * round);
        down.reset();
        let mut unread = Peer::connect_narrow(server.address());
        unread.send(framed_get("file"));
        unread.reset();
        let mut up = server.connect();
        up.send(http_put("up", 5_000_000)).send(&content[..10_000 * round]);
        up.reset();
        if let Some(bystander) = &mut bystander {
            assert!(bystander.get("file") == content);
        }
    }
    drop(bystander);
    assert!(server.connect().get("file") == content);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["file"]);
    server.stop();
}

pub(crate) fn garbage_is_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("file", "good");
    for (garbage, answer) in [
        (&b"GET\0/ HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 400"),
        (b"GET file HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /file HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /file HTTP/9.9\r\nHost: localhost\r\n\r\n", "HTTP/1.1 505"),
        (b"BREW /file HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 501"),
        (b"DELETE /file HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405"),
        (b"PUT /up HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 411"),
        (b"PUT /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400"),
        (
            b"PUT /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 400",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "ERROR "),
        (b"\x00\x00\x00\x00\n", "ERROR "),
        (b"\x08\x00\x01x\x09", "\u{8}"),
    ] {
        let shown = garbage.escape_ascii();
        let received = server.connect().send(garbage).finish_sending().rest();
        assert!(received.starts_with(answer.as_bytes()), "{shown}: {}", received.escape_ascii());
        assert_eq!(server.connect().get("file"), b"good", "{shown}");
    }
    assert_eq!(server.on_disk(), ["file"]);
    server.stop();
}

pub(crate) fn a_peer_that_does_not_listen_is_not_listened_to(kind: StrategyKind) {
    // More than the socket buffers of both sides hold.
    const MOST_BYTES: usize = 64 << 20;
    let server = Server::start(kind);
    server.store("file", bytes(11, 20_000_000));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let requests = http_get("file").repeat(1000);
    let mut sent = 0;
    while sent < MOST_BYTES {
        match stream.write(requests.as_bytes()) {
            Ok(bytes) => sent += bytes,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                break;
            }
        }
    }
    assert!(sent < MOST_BYTES, "a server must not take in what it cannot answer");
    drop(stream);
    assert_eq!(server.connect().get("file").len(), 20_000_000);
}

pub(crate) fn a_stalled_peer_holds_nobody_up(kind: StrategyKind) {
    // The pool has four workers, more than there are stalled peers.
    let server = Server::start(kind);
    let content = bytes(10, 20_000_000);
    server.store("file", &content);
    server.store("small", "small");
    let mut unread = Peer::connect_narrow(server.address());
    unread.send(http_get("file")).bytes(1);
    let mut unsent = server.connect();
    unsent.send(http_put("up", 20_000_000)).send(&content[..1000]);
    let mut silent = server.connect();
    silent.send("GET /fi");
    for _ in 0..20 {
        assert_eq!(server.connect().get("small"), b"small");
        assert!(server.connect().send(framed_get("missing")).message().is_error());
    }
    assert_eq!(silent.send("le HTTP/1.1\r\nHost: localhost\r\n\r\n").reply_head().status, 200);
    assert_eq!(unsent.send(&content[1000..]).reply().stored_name(), "up");
}
