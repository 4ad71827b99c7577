//! Conversations word for word, and the parts of http replies.

use fileserver_proto::{Settings, Wire};

use super::{Conversation, DATE, MemoryStore, Outcome, pinned};

pub fn store() -> MemoryStore {
    MemoryStore::with(&[
        ("a.txt", b"alpha"),
        ("empty", b""),
        ("sub/two words.html", b"<p>"),
        ("large", &[b'x'; 300]),
    ])
}

/// Outcome of `input` on a connection whose wire is sniffed, in whatever pieces it arrives; the
/// same on one whose wire is pinned.
pub fn converse(wire: Wire, input: &[u8]) -> Outcome {
    converse_with(&store(), wire, input)
}

/// Outcome of `input` with another store.
pub fn converse_with(store: &MemoryStore, wire: Wire, input: &[u8]) -> Outcome {
    let store = || store.clone();
    let whole = Conversation::outcome(Settings::default(), store(), [input]);
    assert_eq!(whole.wire, Some(wire));
    let bytewise = Conversation::outcome(Settings::default(), store(), input.chunks(1));
    assert_eq!(whole, bytewise, "byte by byte");
    for at in 1..input.len() {
        let (first, second) = input.split_at(at);
        let split = Conversation::outcome(Settings::default(), store(), [first, second]);
        assert_eq!(whole, split, "split at {at}");
    }
    let pinned = Conversation::outcome(pinned(wire), store(), [input]);
    assert_eq!(whole, pinned, "with the wire pinned");
    whole
}

/// Answer to a request on a wire with persistent connections: sent twice, it is answered twice.
pub fn kept(wire: Wire, input: &[u8]) -> (String, MemoryStore) {
    let once = converse(wire, input);
    let twice = Conversation::outcome(Settings::default(), store(), [&*[input, input].concat()]);
    assert_eq!(twice.requests, 2 * once.requests);
    // Uploads find their names taken the second time.
    if once.store == store() {
        assert_eq!(twice.output, [&*once.output, &*once.output].concat());
    }
    (text(&once.output), once.store)
}

/// Answer to a request that ends its connection: following bytes change nothing.
pub fn last(wire: Wire, input: &[u8]) -> (String, MemoryStore) {
    let alone = converse(wire, input);
    for rest in [&b"x"[..], b"\r\n", b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", b"\x01\x00\x01a"] {
        assert_eq!(converse(wire, &[input, rest].concat()), alone, "followed by {rest:?}");
    }
    (text(&alone.output), alone.store)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A head of the http wire; `fields` and `end` are whole lines.
pub fn head(status: &str, fields: &str, end: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nServer: threads-vs-selectors\r\nX-Content-Type-Options: nosniff\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nDate: {DATE}\r\n{fields}{end}\r\n"
    )
}

pub fn file_head(media_type: &str, end: &str) -> String {
    let len = end.strip_prefix("Content-Length: ").expect("a length").split('\r').next();
    let len: u64 = len.expect("a length").parse().expect("a number");
    let policy = match media_type.starts_with("text/html") {
        true => "Content-Security-Policy: sandbox\r\n",
        false => "",
    };
    let fields = format!(
        "ETag: \"ae1b96b26a28005-{len:x}-7\"\r\nLast-Modified: Sun, 06 Nov 1994 08:48:00 GMT\r\n\
         Accept-Ranges: bytes\r\nContent-Type: {media_type}\r\n{policy}"
    );
    head("200 OK", &fields, end)
}

/// Fields before the listing's length.
pub const LISTING: &str =
    "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-cache\r\nVary: Accept\r\n";

pub fn text_reply(status: &str, fields: &str, body: &str, end: &str) -> String {
    let fields = format!(
        "{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n",
        body.len()
    );
    head(status, &fields, end) + body
}

pub const CLOSE: &str = "Connection: close\r\n";
