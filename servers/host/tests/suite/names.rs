//! Names never refer to files outside the root, over every wire.

use std::fs;
use std::os::unix::fs::symlink;

use fileserver::StrategyKind;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::peer::{Message, framed_data, framed_get, framed_name, http_get, http_put};
use crate::server::Server;

/// Names outside the root, or outside it after wrong decoding.
const ESCAPES: [&str; 14] = [
    "../secret",
    "../../../../../../../../etc/passwd",
    "a/../../secret",
    "./../secret",
    "a/./../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "..",
    ".",
    "a/..",
    "..\\secret",
    "\\..\\secret",
    "a//b",
    "a/",
];

/// Percent-encoded names for the http wire, which decodes once.
const ENCODED_ESCAPES: [&str; 11] = [
    "%2e%2e/secret",
    "%2E%2E%2Fsecret",
    "..%2fsecret",
    "a/%2e%2e/%2e%2e/secret",
    "%2fetc%2fpasswd",
    "..%5csecret",
    "secret%00",
    "%00",
    "a%0ab",
    "%ff%fe",
    "%c0%ae%c0%ae/secret",
];

pub(crate) fn no_name_leaves_the_root(kind: StrategyKind) {
    let server = Server::start(kind);
    fs::write(server.outside("secret"), "secret").unwrap();
    fs::create_dir(server.root().join("a")).unwrap();
    let mut http = server.connect();
    for name in ESCAPES.into_iter().chain(ENCODED_ESCAPES) {
        let reply = http.send(http_get(name)).reply();
        assert!((400..500).contains(&reply.status), "{name}: {}", reply.head);
        let reply = http.send(http_put(name, 6)).send("intrus").reply();
        assert!((400..500).contains(&reply.status), "{name}: {}", reply.head);
    }
    // Decoded once, not twice: a literal name that does not exist.
    assert_eq!(http.send(http_get("%252e%252e%252fsecret")).reply().status, 404);
    drop(http);
    let mut framed = server.connect();
    for name in ESCAPES {
        assert!(framed.send(framed_get(name)).message().is_error(), "{name}");
        assert!(framed.send(framed_name(name)).message().is_error(), "{name}");
    }
    let not_utf8 = framed.send(b"\x07\x00\x02\xff\xfe").message();
    assert!(not_utf8.is_error());
    drop(framed);
    for name in ESCAPES {
        let answer = server.connect().send(format!("{name}\r\n")).rest();
        assert!(answer.starts_with(b"ERROR "), "{name}: {}", answer.escape_ascii());
    }
    assert_eq!(fs::read(server.outside("secret")).unwrap(), b"secret");
    assert_eq!(server.on_disk(), ["a"]);
    server.stop();
}

pub(crate) fn no_link_leaves_the_root(kind: StrategyKind) {
    let server = Server::start(kind);
    fs::create_dir(server.outside("elsewhere")).unwrap();
    fs::write(server.outside("elsewhere/secret"), "secret").unwrap();
    symlink(server.outside("elsewhere"), server.root().join("folder")).unwrap();
    symlink(server.outside("elsewhere/secret"), server.root().join("file")).unwrap();
    symlink("../elsewhere/secret", server.root().join("relative")).unwrap();
    symlink(server.outside("elsewhere/new"), server.root().join("dangling")).unwrap();
    let mut http = server.connect();
    for name in ["folder/secret", "file", "relative", "dangling"] {
        let status = http.send(http_get(name)).reply().status;
        assert!((400..500).contains(&status), "{name}: {status}");
    }
    assert_eq!(http.send(http_put("folder/new", 1)).send("x").reply().status, 409);
    // A symbolic link occupies its name and is not followed.
    assert_eq!(http.put("dangling", b"inside"), "dangling_copy1");
    assert_eq!(http.put("file", b"inside"), "file_copy1");
    drop(http);
    let mut framed = server.connect();
    assert!(framed.send(framed_get("folder/secret")).message().is_error());
    let ok = framed.send(framed_name("folder/new")).message();
    assert_eq!(ok, Message::Text("OK".to_owned()));
    assert!(framed.send(framed_data(1)).send("x").message().is_error());
    drop(framed);
    assert!(server.connect().send("folder/secret\n").rest().starts_with(b"ERROR "));
    assert_eq!(testkit::names(&server.outside("elsewhere")), ["secret"]);
    server.stop();
}

pub(crate) fn only_regular_files_are_served(kind: StrategyKind) {
    let server = Server::start(kind);
    mknodat(CWD, server.root().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir(server.root().join("folder")).unwrap();
    let mut http = server.connect();
    for name in ["fifo", "folder"] {
        assert_eq!(http.send(http_get(name)).reply().status, 403, "{name}");
    }
    assert_eq!(http.put("file", b"still here"), "file");
    assert_eq!(http.get("file"), b"still here");
}

pub(crate) fn unusual_names_are_kept(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut http = server.connect();
    for (encoded, name) in [
        ("-rf", "-rf"),
        ("two%20words", "two words"),
        ("caf%C3%A9", "caf\u{e9}"),
        ("cafe%CC%81", "cafe\u{301}"),
        ("100%25", "100%"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("a%3Fb", "a?b"),
    ] {
        assert_eq!(http.put(encoded, name.as_bytes()), name);
        assert_eq!(fs::read(server.root().join(name)).unwrap(), name.as_bytes());
        assert_eq!(http.get(encoded), name.as_bytes());
    }
    drop(http);
    let mut framed = server.connect();
    assert_eq!(framed.send(framed_get("two words")).message(), Message::Data(b"two words".into()));
    drop(framed);
    assert_eq!(server.connect().send("caf\u{e9}\n").rest(), "caf\u{e9}".as_bytes());
}
