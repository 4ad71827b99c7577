//! Limits on lengths, sizes and connections: requests beyond them are refused.

use std::time::Duration;

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Message, Peer, framed_data, framed_get, framed_name, http_get, http_put};
use crate::process::{PATIENCE, Process};
use crate::server::Server;
use testkit::names;

pub(crate) fn an_over_long_head_is_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("file", "good");
    let long = "x".repeat(10_000);
    let fields = |count: usize, len: usize| {
        let field = format!("X-Field: {}\r\n", "y".repeat(len));
        format!("GET /file HTTP/1.1\r\nHost: localhost\r\n{}\r\n", field.repeat(count))
    };
    for (head, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414),
        (format!("GET /file HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"), 431),
        (fields(101, 10), 431),
        (fields(9, 4000), 431),
        (fields(3, 4000), 200),
    ] {
        let mut peer = server.connect();
        assert_eq!(peer.send(head).reply().status, status);
        if status != 200 {
            assert_eq!(peer.rest(), b"", "a head of unknown length must end the connection");
        }
    }
    // An endless head is refused while the client is still sending, and the refusal arrives.
    for beginning in ["GET /", "GET /file HTTP/1.1\r\nHost: localhost\r\nX-Endless: "] {
        let mut endless = server.connect();
        endless.send(beginning).send("x".repeat(100_000));
        let status = endless.reply().status;
        assert!(status == 414 || status == 431, "{status}");
        endless.try_send("x".repeat(100_000));
        endless.rest();
    }
    assert_eq!(server.connect().get("file"), b"good");
    server.wait_until_deserted();
    server.stop();
}

pub(crate) fn an_over_long_name_is_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    let mut http = server.connect();
    assert_eq!(http.send(http_get(&too_long)).reply().status, 414);
    assert_eq!(http.send(http_put(&too_long, 1)).send("x").reply().status, 414);
    assert_eq!(http.put(&longest, b"fits"), longest);
    // With a number the name becomes too long.
    assert_eq!(http.send(http_put(&longest, 1)).send("x").reply().status, 414);
    drop(http);
    let mut framed = server.connect();
    assert!(framed.send(framed_get(&too_long)).message().is_error());
    assert!(framed.send(framed_get(&"n".repeat(5000))).message().is_error());
    assert_eq!(framed.send(framed_get(&longest)).message(), Message::Data(b"fits".into()));
    drop(framed);
    for line in ["n".repeat(256) + "\n", "n".repeat(5000) + "\n", "n".repeat(10_000)] {
        assert!(server.connect().send(line).rest().starts_with(b"ERROR "));
    }
    assert_eq!(server.on_disk(), [longest]);
}

pub(crate) fn an_over_large_upload_is_refused(kind: StrategyKind) {
    let server = Server::with(kind, |options| options.settings.limits.upload_bytes = 1000);
    let (largest, too_large) = (bytes(1, 1000), bytes(1, 1001));
    assert_eq!(server.connect().put("a", &largest), "a");
    // Refused at once by its declared size.
    for declared in [1001, 1 << 40] {
        let mut http = server.connect();
        assert_eq!(http.send(http_put("b", declared)).reply().status, 413);
        assert_eq!(http.rest(), b"");
    }
    // A peer that sends everything before reading gets the reply as well.
    let mut http = server.connect();
    http.send(http_put("b", 24 << 20));
    let piece = bytes(3, 1 << 20);
    for _ in 0..24 {
        http.send(&piece);
    }
    assert_eq!(http.reply().status, 413);
    drop(http);
    // Refused by its actual size.
    let mut chunked = server.connect();
    chunked.send("PUT /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..3 {
        chunked.send("190\r\n").send(bytes(2, 400)).send("\r\n");
    }
    assert_eq!(chunked.reply().status, 413);
    drop(chunked);
    let mut framed = server.connect();
    assert!(framed.send(framed_data(1001)).send(&too_large).message().is_error());
    assert_eq!(framed.send(framed_name("d")).message(), Message::Text("OK".to_owned()));
    assert_eq!(framed.send(framed_data(1000)).send(&largest).message().stored_name(), "d");
    drop(framed);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["a", "d"]);
    server.stop();
}

pub(crate) fn an_upload_beyond_the_free_space_is_refused(kind: StrategyKind) {
    const BEYOND_ANY_DISK: u64 = 1 << 60;
    let server = Server::with(kind, |options| options.settings.limits.upload_bytes = u64::MAX);
    let mut http = server.connect();
    assert_eq!(http.send(http_put("a", BEYOND_ANY_DISK)).reply().status, 507);
    assert_eq!(http.rest(), b"");
    drop(http);
    let mut framed = server.connect();
    assert!(framed.send(framed_data(BEYOND_ANY_DISK)).message().is_error());
    drop(framed);
    assert_eq!(server.connect().put("a", b"fits"), "a");
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["a"]);
}

pub(crate) fn a_disk_that_fills_up_is_told(kind: StrategyKind) {
    // A limit on file sizes fails a write in the middle, like a full disk. Shells count it in units
    // of 512 or 1024 bytes.
    let args = ["--strategy", kind.name(), "--quiet"];
    let mut server = Process::under("ulimit -f 1000", &args);
    let content = bytes(3, 1_400_000);
    let mut sized = Peer::connect(server.address());
    assert_eq!(sized.send(http_put("a", 1_400_000)).send(&content).reply().status, 507);
    drop(sized);
    let mut chunked = Peer::connect(server.address());
    chunked.send("PUT /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in content.chunks(100_000) {
        if !chunked.try_send(format!("{:x}\r\n", chunk.len())) || !chunked.try_send(chunk) {
            break;
        }
        chunked.try_send("\r\n");
    }
    assert_eq!(chunked.reply().status, 507);
    drop(chunked);
    let mut framed = Peer::connect(server.address());
    assert!(framed.send(framed_data(1_400_000)).send(&content).message().is_error());
    drop(framed);
    assert_eq!(Peer::connect(server.address()).put("a", b"fits"), "a");
    assert_eq!(names(&server.root()), ["a"]);
    assert!(server.is_running());
}

pub(crate) fn connections_beyond_the_limit_wait(kind: StrategyKind) {
    let server = Server::with(kind, |options| options.max_connections = 3);
    server.store("file", "content");
    let mut open: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for peer in &mut open {
        assert_eq!(peer.get("file"), b"content");
    }
    let mut waiting: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for peer in &mut waiting {
        peer.send(http_get("file"));
    }
    assert!(waiting[0].hears_nothing_for(Duration::from_millis(200)));
    assert_eq!(open[1].get("file"), b"content");
    // Each free place goes to the connection that has waited longest.
    for (peer, next) in open.into_iter().zip(&mut waiting) {
        drop(peer);
        assert_eq!(next.reply().body, b"content");
    }
    assert!(waiting[3].hears_nothing_for(Duration::from_millis(100)));
    for mut peer in waiting.drain(..3) {
        assert_eq!(peer.get("file"), b"content");
    }
    for peer in &mut waiting {
        assert_eq!(peer.reply().body, b"content");
    }
    drop(waiting);
    assert_eq!(server.stop().connections, 9);
}

pub(crate) fn one_address_has_so_many_connections_and_others_have_theirs(kind: StrategyKind) {
    let args = ["--strategy", kind.name(), "--max-connections-per-address", "2"];
    if kind == StrategyKind::Prefork {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_server"));
        let output = testkit::isolate(&mut program).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8(output.stderr).unwrap().contains("--max-connections-per-address")
        );
        return;
    }
    let server = Process::start(&args);
    std::fs::write(server.root().join("file"), "content").unwrap();
    for _ in 0..3 {
        let mut open = [(); 2].map(|()| Peer::connect(server.address()));
        for peer in &mut open {
            // Connections of the last round may still be closing.
            let begun = std::time::Instant::now();
            while peer.try_send(http_get("file")) && !peer.is_answered() {
                assert!(begun.elapsed() < PATIENCE);
                *peer = Peer::connect(server.address());
            }
        }
        let mut third = Peer::connect(server.address());
        third.try_send(http_get("file"));
        assert!(!third.is_answered(), "one connection too many is served");
        let mut other = Peer::connect_from("127.0.0.9", server.address());
        assert_eq!(other.get("file"), b"content");
        for peer in &mut open {
            assert_eq!(peer.get("file"), b"content");
        }
    }
}
