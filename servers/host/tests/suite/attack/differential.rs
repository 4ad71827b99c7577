//! Equal inputs, whole or cut at any position, get equal replies from every strategy.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use fileserver::StrategyKind;
use testkit::Folder;

use crate::attack::number;
use crate::attack::victim::Victim;
use crate::peer::{framed_data, framed_get, framed_name, http, http_get, http_put};

/// Inputs of a client before it ends its stream.
fn inputs() -> Vec<Vec<u8>> {
    let form =
        "--b\r\nContent-Disposition: form-data; name=f; filename=\"form\"\r\n\r\nx\r\n--b--\r\n";
    let form_fields = format!(
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n",
        form.len()
    );
    let mut inputs: Vec<Vec<u8>> = [
        http_get("file"),
        http_get("large"),
        http_get("missing"),
        http_get("file").repeat(3),
        http("HEAD /file", ""),
        http("GET /file", "Range: bytes=10-19\r\n"),
        http("GET /file", "Range: bytes=900-\r\nConnection: close\r\n"),
        http("DELETE /file", ""),
        http("OPTIONS *", ""),
        "GET /file HTTP/1.0\r\n\r\n".to_owned(),
        "GET /file HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET /../file HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET /file HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(),
        "GARBAGE\r\n\r\n".to_owned(),
        "file\r\n".to_owned(),
        "missing\n".to_owned(),
        "file".to_owned(),
        String::new(),
        http_put("up", 5) + "hello" + &http_get("up"),
        http("PUT /chunked", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        http("PUT /chunked", "Transfer-Encoding: chunked\r\n") + "5;\r\nhello\r\n0\r\n\r\n",
        http("PUT /both", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n",
        http_put("short", 50) + "hello",
        http("POST /", &form_fields) + form,
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    inputs.extend([
        framed_get("file"),
        framed_get("missing"),
        [framed_name("framed"), framed_data(5), b"hello".to_vec(), framed_get("framed")].concat(),
        framed_name("../framed"),
        vec![0x09, 0, 0],
        vec![0x07, 0xff, 0xff],
    ]);
    inputs
}

/// Every input, whole and cut, gets the same reply as from `selector`.
pub(crate) fn the_same_replies_as_selector(kind: StrategyKind) -> String {
    let expected = replies(StrategyKind::Selector);
    let replies = replies(kind);
    assert_eq!(expected.len(), replies.len());
    for (expected, reply) in expected.iter().zip(&replies) {
        assert!(
            expected == reply,
            "selector: {}\n{kind}: {}",
            expected.escape_ascii(),
            reply.escape_ascii()
        );
    }
    format!("{} replies", replies.len())
}

fn replies(kind: StrategyKind) -> Vec<Vec<u8>> {
    let victim =
        Victim::on(folder(), kind, &["--durability", "none", "--on-conflict", "overwrite"]);
    let mut replies = Vec::new();
    for input in inputs() {
        // Evenly spaced positions; the first one is uncut.
        let cuts = number(4, input.len()).clamp(1, input.len().max(1));
        for cut in 0..cuts {
            let (first, second) = input.split_at(input.len() * cut / cuts);
            let mut peer = victim.connect();
            if cut > 0 {
                peer.send(first);
                std::thread::sleep(Duration::from_millis(1));
            }
            // The server may have refused and closed.
            peer.try_send(second);
            let _ = peer.stream.shutdown(std::net::Shutdown::Write);
            replies.push(without_variable_fields(&peer.rest()));
        }
    }
    replies
}

fn folder() -> Folder {
    let folder = Folder::new();
    for (name, len) in [("file", 1000), ("large", 300_000)] {
        folder.put(name, len);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(long_ago)).unwrap();
    }
    folder
}

/// A reply without the lines that depend on the time or on the file's identity.
fn without_variable_fields(reply: &[u8]) -> Vec<u8> {
    let is_variable = |line: &[u8]| {
        ["date:", "etag:", "last-modified:", "server:"].iter().any(|field| {
            line.len() >= field.len() && line[..field.len()].eq_ignore_ascii_case(field.as_bytes())
        })
    };
    reply
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !is_variable(line))
        .collect::<Vec<_>>()
        .concat()
}
