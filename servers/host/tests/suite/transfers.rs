//! Uploads and downloads of whole files over every wire.

use fileserver::{SendPath, SentBytes, StrategyKind};

use crate::content::{bytes, sha256, sha256_of_file};
use crate::peer::{Message, Peer, framed_data, framed_get, framed_name, http, http_get, http_put};
use crate::server::Server;

/// Sizes around those of buffers and of message types.
const SIZES: [usize; 8] = [0, 1, 255, 256, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 300_000];
const LARGE: usize = 16 << 20;

pub(crate) fn every_size_over_http(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for size in SIZES {
        let content = bytes(size as u64, size);
        let name = format!("{size}.bin");
        assert_eq!(peer.put(&name, &content), name);
        assert_eq!(sha256_of_file(&server.root().join(&name)), sha256(&content));
        assert!(peer.get(&name) == content, "{size} bytes");
        let head =
            peer.send(format!("HEAD /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n")).reply_head();
        assert_eq!(head.header("content-length"), Some(size.to_string().as_str()));
    }
    drop(peer);
    assert_eq!(server.stop().connections, 1);
}

pub(crate) fn every_size_over_framed(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for size in SIZES {
        let content = bytes(size as u64, size);
        let name = format!("{size}.bin");
        assert_eq!(upload_framed(&mut peer, &name, &content), name);
        assert_eq!(sha256_of_file(&server.root().join(&name)), sha256(&content));
        assert!(peer.send(framed_get(&name)).message() == Message::Data(content), "{size} bytes");
    }
    drop(peer);
    assert_eq!(server.stop().connections, 1);
}

/// Uploads of changing size over one connection, between downloads; all requests are sent before the
/// first reply is read, some of them byte by byte.
pub(crate) fn uploads_and_downloads_over_one_connection(kind: StrategyKind) {
    const SIZES: [usize; 12] =
        [70_000, 10, 1_000_000, 300_000, 9000, 9000, 400_000, 0, 128 << 10, 300_000, 1, 3_000_000];
    let server = Server::start(kind);
    server.store("down.bin", bytes(99, 2000));
    let mut peer = server.connect();
    let mut sender = Peer::new(peer.stream.try_clone().unwrap());
    let content = |number: usize| bytes(number as u64, SIZES[number]);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (number, size) in SIZES.into_iter().enumerate() {
                let mut request = http_put(&format!("{number}.bin"), size as u64).into_bytes();
                if number % 3 == 2 {
                    sender.send_byte_by_byte(&request);
                    request.clear();
                }
                request.extend(content(number));
                let download = http_get("down.bin");
                match number % 2 {
                    0 => sender.send(&request).send(download),
                    _ => sender.send([request.as_slice(), download.as_bytes()].concat()),
                };
            }
        });
        for number in 0..SIZES.len() {
            assert_eq!(peer.reply().status, 201, "{number}");
            assert!(peer.reply().body == bytes(99, 2000), "after {number}");
        }
    });
    for number in 0..SIZES.len() {
        let stored = server.root().join(format!("{number}.bin"));
        assert_eq!(sha256_of_file(&stored), sha256(&content(number)), "{number}");
    }
    let status = peer.send(http("GET /.status", "")).reply().body;
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    // Processes do not share it.
    if kind != StrategyKind::Prefork {
        assert_eq!(status["bytes"]["received"], SIZES.iter().sum::<usize>(), "{status}");
    }
}

fn upload_framed(peer: &mut Peer, name: &str, content: &[u8]) -> String {
    assert_eq!(peer.send(framed_name(name)).message(), Message::Text("OK".to_owned()));
    peer.send(framed_data(content.len() as u64)).send(content).message().stored_name()
}

pub(crate) fn a_large_file_up_over_http_and_down_over_framed(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(1, LARGE);
    assert_eq!(server.connect().put("large.bin", &content), "large.bin");
    assert_eq!(sha256_of_file(&server.root().join("large.bin")), sha256(&content));
    let down = server.connect().send(framed_get("large.bin")).message();
    assert!(matches!(down, Message::Data(down) if sha256(&down) == sha256(&content)));
}

pub(crate) fn a_large_file_up_over_framed_and_down_over_http(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(2, LARGE);
    assert_eq!(upload_framed(&mut server.connect(), "large.bin", &content), "large.bin");
    assert_eq!(sha256_of_file(&server.root().join("large.bin")), sha256(&content));
    assert_eq!(sha256(&server.connect().get("large.bin")), sha256(&content));
}

/// The peer reads only after all requests, so that the socket buffers are full meanwhile.
pub(crate) fn every_send_path_delivers_the_same(kind: StrategyKind) {
    const SIZES: [usize; 7] = [1, 1000, 4096, 4097, 70_000, 300_000, 3_000_000];
    const PART: std::ops::Range<usize> = 4090..69_999;
    for path in SendPath::ALL {
        let server = Server::with(kind, |options| options.send_path = path);
        let files: Vec<_> =
            SIZES.iter().map(|size| (format!("{size}.bin"), bytes(*size as u64, *size))).collect();
        let mut requests = Vec::new();
        for (name, content) in &files {
            server.store(name, content);
            requests.extend_from_slice(http_get(name).as_ref());
        }
        let (name, content) = &files[4];
        let (first, last) = (PART.start, PART.end - 1);
        let range = format!(
            "GET /{name} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={first}-{last}\r\n\r\n"
        );
        let mut peer = server.connect();
        peer.send(requests).send(range);
        for (name, content) in &files {
            let reply = peer.reply();
            assert!(reply.status == 200 && reply.body == *content, "{path:?}: {name}");
        }
        let reply = peer.reply();
        assert!(reply.status == 206 && reply.body == content[PART], "{path:?}");
        drop(peer);
        let SentBytes { copy, memory, sendfile, splice } = server.stop().sent;
        let total = (SIZES.iter().sum::<usize>() + PART.len()) as u64;
        let large = SIZES[6] as u64;
        match path {
            SendPath::Auto => assert!(memory > 0 && sendfile > large, "{memory} {sendfile}"),
            SendPath::Copy => assert_eq!(copy, total),
            SendPath::Memory => assert_eq!((memory, sendfile), (total - large, large)),
            SendPath::Sendfile => assert_eq!(sendfile, total),
            SendPath::Splice => assert_eq!(splice, total),
        }
        assert_eq!(copy + memory + sendfile + splice, total, "{path:?}");
    }
}

pub(crate) fn a_hundred_uploads_of_one_name(kind: StrategyKind) {
    let server = Server::start(kind);
    let barrier = std::sync::Barrier::new(100);
    let mut stored: Vec<(String, [u8; 32])> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..100)
            .map(|number: usize| {
                let (server, barrier) = (&server, &barrier);
                scope.spawn(move || {
                    let content = bytes(number as u64, 10_000 + number * 1000);
                    barrier.wait();
                    let mut peer = server.connect();
                    let name = match number % 2 {
                        0 => peer.put("same.png", &content),
                        _ => upload_framed(&mut peer, "same.png", &content),
                    };
                    (name, sha256(&content))
                })
            })
            .collect();
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    });
    for (name, sent) in &stored {
        assert_eq!(sha256_of_file(&server.root().join(name)), *sent, "{name}");
    }
    stored.sort();
    stored.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(stored.len(), 100);
    let names: Vec<_> = stored.into_iter().map(|(name, _)| name).collect();
    assert_eq!(server.on_disk(), names);
    for number in 1..100 {
        assert!(names.contains(&format!("same_copy{number}.png")), "{number}");
    }
}

pub(crate) fn an_upload_without_a_name_is_told_its_name(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for number in 1..=3 {
        let name = peer.send(framed_data(6)).send(b"binary").message().stored_name();
        let (stem, extension) = name.split_once('.').unwrap();
        assert!(stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
        assert_eq!(extension, "bin");
        assert_eq!(std::fs::read(server.root().join(name)).unwrap(), b"binary");
        assert_eq!(server.on_disk().len(), number);
    }
}

pub(crate) fn a_chunked_upload(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(3, 200_000);
    let mut peer = server.connect();
    peer.send("PUT /chunked HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in content.chunks(7777) {
        peer.send(format!("{:x}\r\n", chunk.len())).send(chunk).send("\r\n");
    }
    assert_eq!(peer.send("0\r\n\r\n").reply().stored_name(), "chunked");
    assert!(peer.get("chunked") == content);
}

pub(crate) fn a_line_of_text_names_a_file(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(4, 100_000);
    server.store("eagle.jpg", &content);
    server.store("empty", b"");
    for line in ["eagle.jpg\r\n", "eagle.jpg\n", "\u{feff}", "empty\r\n", "no such.jpg\r\n"] {
        let answer = server.connect().send(line).finish_sending().rest();
        match line.trim_end() {
            "eagle.jpg" => assert!(answer == content),
            "empty" => assert_eq!(answer, b""),
            name => assert_eq!(
                String::from_utf8(answer).unwrap(),
                format!("ERROR no such file: {name}\r\n")
            ),
        }
    }
    // Options sent by a telnet client.
    let negotiating = b"\xff\xfb\x1f\xff\xfd\x03eagle.jpg\r\n";
    assert!(server.connect().send(negotiating).rest() == content);
}

pub(crate) fn all_wires_on_one_port_at_once(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(5, 150_000);
    server.store("file", &content);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(server.connect().get("file") == content));
            scope.spawn(|| {
                let message = server.connect().send(framed_get("file")).message();
                assert!(message == Message::Data(content.clone()));
            });
            scope.spawn(|| assert!(server.connect().send("file\r\n").rest() == content));
            scope.spawn(|| {
                server.connect().put("over-http", &content);
            });
            scope.spawn(|| upload_framed(&mut server.connect(), "over-framed", &content));
        }
    });
    let stored = server.on_disk();
    assert_eq!(stored.len(), 9, "{stored:?}");
    for name in stored {
        assert_eq!(sha256_of_file(&server.root().join(name)), sha256(&content));
    }
}

pub(crate) fn the_root_is_a_listing(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    peer.put("b", b"2");
    peer.put("a", b"1");
    // An upload in progress is not listed.
    let mut other = None;
    if kind != StrategyKind::Iterative {
        other = Some(server.connect());
        other.as_mut().unwrap().send(http_put("c", 10)).send("half");
    }
    assert_eq!(peer.get(""), b"a\nb\n");
    assert_eq!(peer.send(http_get("c")).reply().status, 404);
    if let Some(mut other) = other {
        assert_eq!(other.send("+half+").reply().stored_name(), "c");
        assert_eq!(peer.get(""), b"a\nb\nc\n");
    }
}
