//! Refusals: faults of requests, their answers, and the fate of the connection.

use fileserver_proto::{HostAddresses, Hosts, Limits, Service, Settings, StoreError, Wire};

use crate::support::{Conversation, Faults, MemoryStore, pinned};

fn store() -> MemoryStore {
    MemoryStore::with(&[("a.txt", b"alpha")])
}

/// All statuses in http output, and whether the connection is still open; the same in whatever
/// pieces the bytes arrive.
fn statuses(settings: &Settings, store: &MemoryStore, input: &[u8]) -> (Vec<u16>, bool) {
    let answers = [input.len().max(1), 1, 7].map(|size| {
        let mut conversation = Conversation::new(settings.clone(), store.clone());
        for piece in input.chunks(size) {
            conversation.deliver(piece);
        }
        let open = !conversation.finished_sending && !conversation.closed;
        conversation.end();
        let output = conversation.take_output();
        let statuses =
            output.split("HTTP/1.1 ").skip(1).map(|reply| reply[..3].parse().expect("a status"));
        (statuses.collect::<Vec<_>>(), open)
    });
    assert_eq!(answers[0], answers[1], "{}", input.escape_ascii());
    assert_eq!(answers[0], answers[2], "{}", input.escape_ascii());
    let [answer, ..] = answers;
    answer
}

#[test]
fn malformed_http_is_refused_and_the_connection_ends() {
    let next = "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    let cases: &[(u16, &str)] = &[
        // Request lines.
        (400, "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a  HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, " GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a HTTP/1.1 \r\nHost: h\r\n\r\n"),
        (400, "GET /a http/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a HTTP/1\r\nHost: h\r\n\r\n"),
        (400, "GET /a HTTP/11.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a\r\nHost: h\r\n\r\n"),
        (400, "G\u{e9}T /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "G(T /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\r\nHost: h\r\n\r\n"),
        (400, "\rGET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        (505, "GET /a HTTP/2.0\r\nHost: h\r\n\r\n"),
        (505, "GET /a HTTP/0.9\r\nHost: h\r\n\r\n"),
        (505, "PRI * HTTP/2.0\r\n\r\n"),
        // Header fields.
        (400, "GET /a HTTP/1.1\r\nHost : h\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost\t: h\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n folded\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\tfolded\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\n Host: h\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\x07c\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA\0B: c\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\n\u{e9}: c\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r \n\r\n"),
        // Host.
        (400, "GET /a HTTP/1.1\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
        (400, "GET /a HTTP/1.0\r\nHost: h\r\nHost: g\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET /a HTTP/1.0\r\nHost: \r\n\r\n"),
        (400, "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h g\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: h/g\r\n\r\n"),
        (400, "GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n"),
        // Lengths.
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: \u{661}\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\na"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"),
        (400, "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"),
        (411, "PUT /b HTTP/1.1\r\nHost: h\r\n\r\n"),
        (411, "PUT /b HTTP/1.0\r\n\r\na"),
        (413, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\na"),
        // Transfer codings.
        (
            400,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        ),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n"),
        (400, "PUT /b HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            400,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (501, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        (
            501,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
        (
            400,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        ),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"),
        (400, "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n"),
        (
            400,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
             fffffffffffffffff\r\n",
        ),
        (
            413,
            "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
             ffffffffffffffff\r\n",
        ),
        // A body of unknown length behind a refused request.
        (405, "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (405, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n"),
        // A body that was held back and may not come.
        (
            417,
            "PUT /b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nExpect: x\r\n\
             Content-Length: 1\r\n\r\na",
        ),
        (400, "PUT /.. HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"),
        (
            411,
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n",
        ),
        (411, "PATCH /.tus/0 HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nContent-Length: x\r\n\r\n"),
        (
            403,
            "PUT /b HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            403,
            "PUT /b HTTP/1.1\r\nHost: h\r\nOrigin: http://g\r\nExpect: 100-continue\r\n\
             Content-Length: 1\r\n\r\na",
        ),
        // Content that no request needs.
        (204, "OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /"),
        (200, "GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /"),
    ];
    for (status, request) in cases {
        for input in [(*request).to_owned(), format!("{request}{next}")] {
            let answer = statuses(&pinned(Wire::Http), &store(), input.as_bytes());
            assert_eq!(answer, (vec![*status], false), "{input:?}");
        }
    }
}

#[test]
fn http_requests_that_fail_alone_leave_the_connection_usable() {
    let cases: &[(u16, &str)] = &[
        (404, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /../a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /%2e%2e/a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET //a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET http:///a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET http://h#/a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "GET http://u@h/a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (400, "OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n"),
        (405, "POST * HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        (405, "PUT * HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        (403, "PUT /b HTTP/1.1\r\nHost: h\r\nOrigin: http://g\r\nContent-Length: 3\r\n\r\nabc"),
        (416, "GET /a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=5-\r\n\r\n"),
        (405, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        (405, "POST /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        (405, "DELETE /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (405, "TRACE * HTTP/1.1\r\nHost: h\r\n\r\n"),
        (405, "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
        (501, "BREW /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (501, "get /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        (417, "GET /a.txt HTTP/1.1\r\nHost: h\r\nExpect: coffee\r\n\r\n"),
        (201, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        (201, "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0000000000000000000003\r\n\r\nabc"),
        (200, "GET /a.txt HTTP/1.1\r\nHost: h\r\nX:\r\nY: \u{e9}\t\r\n\r\n"),
        (200, "GET http://h/a.txt HTTP/1.1\r\nHost:\r\n\r\n"),
    ];
    for (status, request) in cases {
        let input = format!("{request}GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        let answer = statuses(&pinned(Wire::Http), &store(), input.as_bytes());
        assert_eq!(answer, (vec![*status, 200], true), "{request:?}");
    }
    let long_name = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(256));
    let answer = statuses(&Settings::default(), &store(), long_name.as_bytes());
    assert_eq!(answer, (vec![414], true));
}

#[test]
fn requests_for_another_host_are_misdirected() {
    let names = vec!["files.example".to_owned()];
    let hosts = Hosts::Known { addresses: HostAddresses::Loopback, names };
    let settings = Settings { hosts, ..Settings::default() };
    for (host, is_own) in [
        ("127.0.0.1:8800", true),
        ("localhost", true),
        ("[::1]:8800", true),
        ("files.example", true),
        ("evil.example", false),
        ("192.0.2.1", false),
    ] {
        for (status, request) in [
            (200, format!("GET /a.txt HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            (200, format!("GET http://{host}/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")),
            (
                200,
                format!("HEAD /a.txt HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"),
            ),
            (204, format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            (
                201,
                format!(
                    "PUT /b HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\
                     Content-Length: 1\r\n\r\nb"
                ),
            ),
        ] {
            let status = if is_own { status } else { 421 };
            let answer = statuses(&settings, &store(), request.as_bytes());
            assert_eq!(answer, (vec![status], true), "{request}");
        }
    }
    // No browser sends a request without a host.
    let answer = statuses(&settings, &store(), b"GET /a.txt HTTP/1.0\r\n\r\n");
    assert_eq!(answer.0, [200]);
    let service = Settings { service: Service::Date, ..settings };
    let answer = statuses(&service, &store(), b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(answer, (vec![421], true));
}

#[test]
fn a_405_says_what_is_allowed() {
    let mut conversation = Conversation::new(Settings::default(), store());
    conversation.deliver(b"DELETE /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(conversation.take_output().contains("\r\nAllow: GET, HEAD, PUT, OPTIONS\r\n"));
}

#[test]
fn http_heads_have_limits() {
    let limits = Limits {
        request_line_bytes: 100,
        header_bytes: 50,
        headers_bytes: 200,
        headers: 5,
        ..Limits::default()
    };
    for settings in [Settings::default(), pinned(Wire::Http)] {
        let settings = Settings { limits: limits.clone(), ..settings };
        // Sniffing waits for a first line of up to a text line's length.
        let line = |length: usize| format!("GET /{} HTTP/1.1", "?".repeat(length - 14));
        let header = |length: usize| format!("A: {}\r\n", "x".repeat(length - 3));
        for (status, lines) in [
            (200, format!("{}\r\nHost: h\r\n", line(100))),
            (414, format!("{}\r\nHost: h\r\n", line(102))),
            (414, format!("{}\r\nHost: h\r\n", line(9000))),
            (200, format!("{}\r\nHost: h\r\n{}", line(20), header(50))),
            (431, format!("{}\r\nHost: h\r\n{}", line(20), header(52))),
            (200, format!("{}\r\nHost: h\r\n{}", line(20), header(40).repeat(4))),
            (431, format!("{}\r\nHost: h\r\n{}", line(20), header(48).repeat(4))),
            (431, format!("{}\r\nHost: h\r\n{}", line(20), header(10).repeat(5))),
        ] {
            let (answer, open) = statuses(&settings, &store(), format!("{lines}\r\n").as_bytes());
            assert_eq!((&answer[..], open), (&[status][..], status == 200), "{lines:?}");
        }
        // Refused before the head is complete.
        let endless = format!("{}\r\n{}", line(20), "x".repeat(100));
        assert_eq!(statuses(&settings, &store(), endless.as_bytes()), (vec![431], false));
    }
}

#[test]
fn http_tells_what_the_store_refuses() {
    let get = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    let put = b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\n\r\n";
    let list = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (error, status) in [
        (StoreError::NotFound, 404),
        (StoreError::NotAFile, 403),
        (StoreError::Denied, 403),
        (StoreError::NoFolder, 409),
        (StoreError::NameTaken, 409),
        (StoreError::NameTooLong, 414),
        (StoreError::Full, 507),
        (StoreError::Overloaded, 503),
        (StoreError::Failed, 500),
    ] {
        let fail_open = store().failing(Faults { open: Some(error), ..Faults::default() });
        let fail_create = store().failing(Faults { create: Some(error), ..Faults::default() });
        let fail_write = store().failing(Faults { write: Some((2, error)), ..Faults::default() });
        let fail_commit = store().failing(Faults { commit: Some(error), ..Faults::default() });
        let fail_list = store().failing(Faults { list: Some(error), ..Faults::default() });
        for (store, request, open) in [
            (&fail_open, &get[..], true),
            (&fail_list, list, true),
            (&fail_create, put, true),
            (&fail_write, put, true),
            (&fail_commit, put, true),
            (&fail_create, chunked, false),
            (&fail_write, chunked, false),
            (&fail_commit, chunked, true),
        ] {
            let answer = statuses(&Settings::default(), store, request);
            assert_eq!(answer, (vec![status], open), "{error}: {}", request.escape_ascii());
        }
    }
}

#[test]
fn uploads_over_the_limit_are_refused_before_a_byte_is_stored() {
    let limits = Limits { upload_bytes: 4, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let sized = b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345";
    assert_eq!(statuses(&settings, &store(), sized), (vec![413], false));
    let held_back = b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\
        Expect: 100-continue\r\n\r\n";
    assert_eq!(statuses(&settings, &store(), held_back), (vec![413], false));
    let fits = b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n1234";
    assert_eq!(statuses(&settings, &store(), fits), (vec![201], true));
    let chunked = b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\n123\r\n2\r\n45\r\n0\r\n\r\n";
    assert_eq!(statuses(&settings, &store(), chunked), (vec![413], false));

    let outcome = Conversation::outcome(settings, store(), [&b"\x02\x05\x02\x02\x02\x02\x02"[..]]);
    assert_eq!(outcome.output, b"\x08\x00\x2dthe upload is larger than this server accepts");
    assert_eq!(outcome.store, store(), "nothing was begun");
}

/// Answer to a framed conversation, and whether the connection is still open.
fn framed(store: &MemoryStore, input: &[u8]) -> (String, bool) {
    let answers = [input.len(), 1, 5].map(|size| {
        let mut conversation = Conversation::new(pinned(Wire::Framed), store.clone());
        for piece in input.chunks(size) {
            conversation.deliver(piece);
        }
        let open = !conversation.finished_sending;
        conversation.end();
        (conversation.take_output(), open)
    });
    assert_eq!(answers[0], answers[1], "{}", input.escape_ascii());
    assert_eq!(answers[0], answers[2], "{}", input.escape_ascii());
    let [answer, ..] = answers;
    answer
}

fn error(why: &str) -> String {
    format!("\x08\0{}{why}", char::from(u8::try_from(why.len()).expect("a short text")))
}

#[test]
fn framed_faults_are_answered_and_what_can_be_told_apart_goes_on() {
    let long_text = [&b"\x01\x10\x01"[..], &[b'x'; 4097]].concat();
    let long_get = [&b"\x07\xff\xff"[..], &[7; 65535]].concat();
    let long_name = [&b"\x01\x0f\xff"[..], "x/".repeat(2047).as_bytes(), b"x"].concat();
    let too_long = "the name is too long (255 bytes a component, 4096 in all)";
    let traversal = "the name has an empty, '.' or '..' component";
    for (input, why) in [
        (&b"\x07\x00\x00"[..], "the name is empty"),
        (b"\x01\x00\x00", "the name is empty"),
        (b"\x07\x00\x04none", "no such file: none"),
        (b"\x07\x00\x04../a", traversal),
        (b"\x01\x00\x04../a", traversal),
        (b"\x01\x00\x02/a", "the name is absolute"),
        (b"\x07\x00\x01\xff", "the name is not UTF-8"),
        (b"\x07\x00\x03a\nb", "the name has a backslash or a control character"),
        (b"\x08\x00\x02\x01\x02", "unexpected message type"),
        (b"\x08\x00\x00", "unexpected message type"),
        (&long_text, "the text is longer than 4096 bytes"),
        (&long_get, "the text is longer than 4096 bytes"),
        (&long_name, too_long),
    ] {
        let input = [input, b"\x07\x00\x05a.txt"].concat();
        let (output, open) = framed(&store(), &input);
        assert_eq!((output, open), (error(why) + "\x02\x05alpha", true), "{why}");
    }
}

#[test]
fn a_framed_message_of_unknown_type_ends_the_connection() {
    for first in (0..=255u8).filter(|first| !(1..=8).contains(first)) {
        let (output, open) = framed(&store(), &[first, 7, 0, 5, b'a', b'.', b't', b'x', b't']);
        assert_eq!((output, open), (error("unknown message type"), false));
        let later = [b"\x07\x00\x05a.txt", &[first][..]].concat();
        let (output, open) = framed(&store(), &later);
        assert_eq!(
            (output, open),
            ("\x02\x05alpha".to_owned() + &error("unknown message type"), false)
        );
    }
}

#[test]
fn a_refused_announcement_names_nothing() {
    let (output, _) = framed(&store(), b"\x01\x00\x01b\x01\x00\x02..\x02\x01x");
    let refused = error("the name has an empty, '.' or '..' component");
    assert_eq!(output, format!("\x01\0\x02OK{refused}\x01\0\x12SAVED random01.bin"));
}

#[test]
fn framed_tells_what_the_store_refuses() {
    let upload = b"\x01\x00\x01b\x02\x03abc\x07\x00\x05a.txt";
    let full = Some(StoreError::Full);
    for store in [
        store().failing(Faults { create: full, ..Faults::default() }),
        store().failing(Faults { write: Some((1, StoreError::Full)), ..Faults::default() }),
        store().failing(Faults { commit: full, ..Faults::default() }),
    ] {
        let (output, open) = framed(&store, upload);
        let refused = error("no space left: b");
        assert_eq!((output, open), (format!("\x01\0\x02OK{refused}\x02\x05alpha"), true));
        let (output, _) = framed(&store, &upload[4..]);
        assert_eq!(output, error("no space left") + "\x02\x05alpha");
    }
}

#[test]
fn a_large_refused_upload_ends_the_connection_instead_of_being_read() {
    let store = store().failing(Faults { create: Some(StoreError::Full), ..Faults::default() });
    let mib = [&b"\x04\x10\x00\x00"[..], &vec![0; 1 << 20], b"\x07\x00\x05a.txt"].concat();
    for (head, open, rest) in
        [(&b"\x04\x10\x00\x00"[..], true, "\x02\x05alpha"), (b"\x04\x10\x00\x01", false, "")]
    {
        let mut conversation = Conversation::new(Settings::default(), store.clone());
        let input = [head, &mib[4..]].concat();
        for piece in input.chunks(1 << 16) {
            conversation.deliver(piece);
        }
        assert_eq!(!conversation.finished_sending, open);
        assert_eq!(conversation.take_output(), error("no space left") + rest);
    }
}

#[test]
fn a_lingering_close_reads_a_large_upload_to_its_end() {
    let limits = Limits { upload_bytes: 1 << 20, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let mut conversation = Conversation::new(settings, store());
    let head = format!("PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 8 << 20);
    conversation.deliver(head.as_bytes());
    assert!(conversation.take_output().starts_with("HTTP/1.1 413 "));
    assert!(conversation.finished_sending);
    for _ in 0..128 {
        conversation.deliver(&[0; 1 << 16]);
        assert!(!conversation.closed);
    }
    conversation.end();
    assert!(conversation.closed);
}

#[test]
fn http_tells_at_once_that_an_upload_is_too_large() {
    let limits = Limits { upload_bytes: 4, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let mut conversation = Conversation::new(settings.clone(), store());
    conversation.deliver(b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    let output = conversation.take_output();
    assert!(output.starts_with("HTTP/1.1 413 ") && output.contains("\r\nConnection: close\r\n"));
    // A framed upload of this size is skipped, because another message may follow.
    let mut conversation = Conversation::new(settings, store());
    conversation.deliver(b"\x02\x05");
    assert_eq!(conversation.take_output(), "");
    conversation.deliver(b"12345\x07\x00\x05a.txt");
    let refused = error("the upload is larger than this server accepts");
    assert_eq!(conversation.take_output(), refused + "\x02\x05alpha");
}

#[test]
fn an_upload_that_its_stream_cuts_off_is_refused_and_leaves_nothing() {
    let form = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n\
        Content-Length: 900\r\n\r\n--b\r\nContent-Disposition: form-data; filename=f\r\n\r\nabc";
    for input in [
        "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc",
        "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
        "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        form,
    ] {
        let outcome = Conversation::outcome(pinned(Wire::Http), store(), [input.as_bytes()]);
        let output = String::from_utf8_lossy(&outcome.output);
        assert!(output.starts_with("HTTP/1.1 400 "), "{input:?}: {output}");
        assert!(output.contains("\r\nConnection: close\r\n"));
        assert_eq!((&outcome.store.files, outcome.store.aborted > 0), (&store().files, true));
    }
    let outcome = Conversation::outcome(pinned(Wire::Framed), store(), [&b"\x02\x05abc"[..]]);
    let cut_off = error("the stream ended before the request did");
    assert_eq!(String::from_utf8_lossy(&outcome.output), cut_off);
    assert_eq!(outcome.store.files, store().files);
    // The reason of a refusal comes before that.
    let refused = "DELETE /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc";
    assert_eq!(statuses(&pinned(Wire::Http), &store(), refused.as_bytes()), (vec![405], true));
}

#[test]
fn a_file_that_fails_midway_cuts_the_connection_off() {
    for input in [&b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"\x07\x00\x05a.txt", b"a.txt\n"]
    {
        let store = store().failing(Faults { read: Some(2), ..Faults::default() });
        let mut conversation = Conversation::new(Settings::default(), store);
        conversation.send_bytes = 2;
        conversation.deliver(input);
        assert!(conversation.cut_off && !conversation.finished_sending);
        assert!(conversation.take_output().ends_with("al"));
    }
}
