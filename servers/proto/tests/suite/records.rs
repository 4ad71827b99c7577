//! Records of requests, for an access log.

use fileserver_proto::{FileName, Record, Settings, Wire};

use crate::support::{Conversation, MemoryStore};

fn records(input: &[u8]) -> Vec<(Option<Wire>, String, u16, u64, u64)> {
    let mut store = MemoryStore::default();
    let mut name = FileName::default();
    name.assign(b"a").unwrap();
    store.files.insert(name, b"abc".to_vec());
    let mut peer = Conversation::new(Settings::default(), store);
    peer.session.keep_records();
    peer.deliver(input);
    let fields = |record: Record| {
        let line = String::from_utf8(record.line).unwrap();
        (record.wire, line, record.status, record.sent, record.received)
    };
    std::iter::from_fn(|| peer.session.take_record()).map(fields).collect()
}

#[test]
fn every_request_has_a_record() {
    let http = |line: &str, status, sent, received| {
        (Some(Wire::Http), line.to_owned(), status, sent, received)
    };
    assert_eq!(
        records(
            b"GET /a?x HTTP/1.1\r\nHost: h\r\n\r\n\r\nHEAD /a HTTP/1.1\r\nHost: h\r\n\r\n\
              GET /none HTTP/1.1\r\nHost: h\r\n\r\n\
              PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
              GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-\r\n\r\n\
              nonsense /a HTTP/1.1\r\nHost: h\r\n\r\n"
        ),
        [
            http("GET /a?x HTTP/1.1", 200, 3, 0),
            http("HEAD /a HTTP/1.1", 200, 0, 0),
            http("GET /none HTTP/1.1", 404, 13, 0),
            http("PUT /b HTTP/1.1", 201, 2, 5),
            http("GET /a HTTP/1.1", 206, 2, 0),
            http("nonsense /a HTTP/1.1", 501, 22, 0),
        ]
    );
    let text = |line: &str, status, sent| (Some(Wire::Text), line.to_owned(), status, sent, 0);
    assert_eq!(records(b"a\n"), [text("GET a", 200, 3)]);
    assert_eq!(records(b"a.none\n"), [text("GET a.none", 404, 0)]);
    let framed = records(b"\x01\x00\x01b\x02\x03abc\x07\x00\x01a");
    let lines: Vec<_> = framed.iter().map(|record| record.1.as_str()).collect();
    assert_eq!(lines, ["NAME b", "PUT b", "GET a"]);
}
