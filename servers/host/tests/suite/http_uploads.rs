//! Uploads over HTTP by PUT and POST, raw and as forms.

use std::fs;

use fileserver::StrategyKind;
use fileserver::store::OnConflict;

use crate::content::{base64, bytes, repr_digest, sha256};
use crate::peer::{Peer, Reply, http, http_put};
use crate::server::Server;

fn put(peer: &mut Peer, name: &str, fields: &str, content: &[u8]) -> Reply {
    let fields = format!("Content-Length: {}\r\n{fields}", content.len());
    peer.send(http(&format!("PUT /{name}"), &fields)).send(content).reply()
}

pub(crate) fn a_stored_upload_is_told_where_it_is(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for (stored, location) in [
        ("a b.txt", "/a%20b.txt"),
        ("a b_copy1.txt", "/a%20b_copy1.txt"),
        ("a b_copy2.txt", "/a%20b_copy2.txt"),
    ] {
        let reply = put(&mut peer, "a%20b.txt?ignored=1", "", stored.as_bytes());
        assert_eq!(reply.status, 201, "{}", reply.head);
        assert_eq!(reply.header("location"), Some(location));
        assert_eq!(reply.stored_name(), stored);
        assert_eq!(peer.get(&location[1..]), stored.as_bytes());
    }
    drop(peer);
    assert_eq!(server.on_disk(), ["a b.txt", "a b_copy1.txt", "a b_copy2.txt"]);
    server.stop();
}

pub(crate) fn a_taken_name_can_be_an_error(kind: StrategyKind) {
    let server = Server::on_conflict(kind, OnConflict::Error);
    let mut peer = server.connect();
    assert_eq!(put(&mut peer, "a", "", b"first").status, 201);
    let reply = put(&mut peer, "a", "", b"second");
    assert_eq!(reply.status, 409, "{}", reply.head);
    // The connection continues, and the first file is unchanged.
    assert_eq!(peer.get("a"), b"first");
    let form = Form::new(&[("a", b"third")]);
    assert_eq!(form.post(&mut peer).status, 409);
    drop(peer);
    assert_eq!(server.on_disk(), ["a"]);
    server.stop();
}

pub(crate) fn a_taken_name_can_be_overwritten(kind: StrategyKind) {
    let server = Server::on_conflict(kind, OnConflict::Overwrite);
    let mut peer = server.connect();
    assert_eq!(put(&mut peer, "a", "", b"first").status, 201);
    assert_eq!(peer.get("a"), b"first");
    let [second, third] = [bytes(1, 5), bytes(2, 100_000)];
    let reply = put(&mut peer, "a", "", &second);
    assert_eq!((reply.status, reply.stored_name()), (200, "a".to_owned()), "{}", reply.head);
    // Visible at once, since the server itself replaced it.
    assert!(peer.get("a") == second);
    assert_eq!(Form::new(&[("a", &third)]).post(&mut peer).status, 303);
    assert!(peer.get("a") == third);
    drop(peer);
    assert_eq!(server.on_disk(), ["a"]);
    server.stop();
}

pub(crate) fn content_that_is_not_what_its_digest_says_is_not_stored(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    let content = bytes(3, 100_000);
    let wrong = format!("sha-256=:{}:", base64(&sha256(b"something else")));
    for fields in [
        format!("Repr-Digest: {wrong}\r\n"),
        format!("Content-Digest: {wrong}\r\n"),
        format!("Content-Digest: {wrong}\r\n{}", repr_digest(&content)),
        "Repr-Digest: sha-256=nonsense\r\n".to_owned(),
    ] {
        let reply = put(&mut peer, "a", &fields, &content);
        assert_eq!(reply.status, 400, "{fields}: {}", reply.head);
    }
    let mut chunked =
        http("PUT /a", &format!("Repr-Digest: {wrong}\r\nTransfer-Encoding: chunked\r\n"));
    chunked.push_str("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(peer.send(chunked).reply().status, 400);
    assert_eq!(server.on_disk(), [""; 0]);
    let reply = put(&mut peer, "a", &repr_digest(&content), &content);
    assert_eq!(reply.status, 201, "{}", reply.head);
    assert!(peer.get("a") == content);
    drop(peer);
    assert_eq!(server.on_disk(), ["a"]);
    server.stop();
}

/// Multipart form in the format of browsers.
struct Form {
    body: Vec<u8>,
}

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

impl Form {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let mut body = b"--".to_vec();
        body.extend(BOUNDARY.as_bytes());
        for (name, content) in files {
            let head = format!(
                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            );
            body.extend(head.as_bytes());
            body.extend(*content);
            body.extend(format!("\r\n--{BOUNDARY}").as_bytes());
        }
        body.extend(b"--\r\n");
        Self { body }
    }

    fn head(framing: &str) -> String {
        let content_type = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        http("POST /", &(content_type + framing))
    }

    fn post(&self, peer: &mut Peer) -> Reply {
        let head = Self::head(&format!("Content-Length: {}\r\n", self.body.len()));
        peer.send(head).send(&self.body).reply()
    }

    fn post_chunked(&self, peer: &mut Peer, chunk_bytes: usize) -> Reply {
        let mut request = Self::head("Transfer-Encoding: chunked\r\n").into_bytes();
        for chunk in self.body.chunks(chunk_bytes) {
            request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        peer.send(request).reply()
    }
}

pub(crate) fn a_form_brings_files(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    let large = bytes(4, 400_000);
    // Almost a boundary is content.
    let tricky = format!(
        "\r\n--{BOUNDARY}x\r\n--\r\n--{}\r\n\r\r\n-\r\n--",
        &BOUNDARY[..BOUNDARY.len() - 1]
    )
    .replace(&format!("\r\n--{BOUNDARY}x"), &format!("--{BOUNDARY}\r--{BOUNDARY}"));
    let files: [(&str, &[u8]); 5] = [
        ("large.bin", &large),
        ("empty", b""),
        ("tricky.txt", tricky.as_bytes()),
        ("caf\u{e9} <1>.txt", b"\r\n"),
        ("large.bin", b"another"),
    ];
    let form = Form::new(&files);
    let copy = |name: &str, number: usize| match (name.rsplit_once('.'), number) {
        (_, 0) => name.to_owned(),
        (Some((stem, extension)), number) => format!("{stem}_copy{number}.{extension}"),
        (None, number) => format!("{name}_copy{number}"),
    };
    for round in 0..3 {
        let reply = match round {
            0 => form.post(&mut peer),
            1 => form.post_chunked(&mut peer, 1000),
            _ => form.post_chunked(&mut peer, 77_777),
        };
        assert_eq!(reply.status, 303, "{}", reply.head);
        assert_eq!(reply.header("location"), Some("/"));
        let stored = String::from_utf8(reply.body).unwrap();
        let stored: Vec<_> = stored.lines().collect();
        let expected: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(at, (name, _))| match *name {
                // Both copies exist.
                "large.bin" => copy(name, 2 * round + usize::from(at > 0)),
                name => copy(name, round),
            })
            .collect();
        assert_eq!(stored, expected);
        for (name, (_, content)) in stored.iter().zip(files) {
            assert!(fs::read(server.root().join(name)).unwrap() == content, "{name}");
        }
    }
    drop(peer);
    assert_eq!(server.on_disk().len(), 15);
    server.stop();
}

pub(crate) fn a_boundary_may_fall_anywhere(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    // Sizes around the server's buffer, split by the sender at every position.
    let content = bytes(5, 128 << 10);
    for missing in 0..BOUNDARY.len() + 8 {
        let content = &content[..content.len() - 300 - 5 * missing];
        let form = Form::new(&[("file", content), ("next", b"x")]);
        let head = Form::head(&format!("Content-Length: {}\r\n", form.body.len()));
        let at = content.len() + 150 + missing;
        let (first, second) = form.body.split_at(at.min(form.body.len()));
        let reply = peer.send(head).send(first).send(second).reply();
        assert_eq!(reply.status, 303, "{missing}: {}", reply.head);
        let stored = String::from_utf8(reply.body).unwrap();
        let (first, second) = stored.trim_end().split_once('\n').unwrap();
        assert!(fs::read(server.root().join(first)).unwrap() == content, "{missing}");
        assert_eq!(fs::read(server.root().join(second)).unwrap(), b"x", "{missing}");
    }
    let form = Form::new(&[("byte", &content[..500])]);
    let head = Form::head(&format!("Content-Length: {}\r\n", form.body.len()));
    assert_eq!(peer.send(head).send_byte_by_byte(&form.body).reply().status, 303);
    assert!(peer.get("byte") == content[..500]);
    let reply = form.post_chunked(&mut peer, 1);
    assert_eq!((reply.status, &*reply.body), (303, &b"byte_copy1\n"[..]));
    assert!(peer.get("byte_copy1") == content[..500]);
    drop(peer);
    server.stop();
}

pub(crate) fn a_faulty_form_is_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    fs::write(server.outside("secret"), "secret").unwrap();
    let whole = Form::new(&[("a", b"content")]).body;
    let escaped = |body: &[u8]| body.escape_ascii().to_string();
    for body in [
        // Cut within the final boundary, within the content, and before it.
        &whole[..whole.len() - 5],
        &whole[..whole.len() - 60],
        b"",
        b"--x\r\n",
        format!("--{BOUNDARY}--\r\n").as_bytes(),
        // No file was chosen.
        &Form::new(&[("", b"")]).body,
        &Form::new(&[("..", b"x")]).body,
        &Form::new(&[("../..", b"x")]).body,
        &Form::new(&[("nul\0", b"x")]).body,
        &Form::new(&[("tab\t", b"x")]).body,
        &whole.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }).collect::<Vec<_>>(),
    ] {
        let form = Form { body: body.to_vec() };
        let mut peer = server.connect();
        let status = form.post(&mut peer).status;
        assert!((400..500).contains(&status), "{status}: {}", escaped(body));
        drop(peer);
        let mut peer = server.connect();
        let status = form.post_chunked(&mut peer, 10).status;
        assert!((400..500).contains(&status), "{status}: {}", escaped(body));
    }
    assert_eq!(server.on_disk(), [""; 0]);
    // Only the last part of a path is the name.
    for path in ["../../secret", "..\\..\\secret", "/etc/secret", "C:\\secret"] {
        let reply = Form::new(&[(path, b"inside")]).post(&mut server.connect());
        assert_eq!(reply.status, 303, "{path}: {}", reply.head);
    }
    assert_eq!(fs::read(server.outside("secret")).unwrap(), b"secret");
    let stored = ["secret", "secret_copy1", "secret_copy2", "secret_copy3"];
    assert_eq!(server.on_disk(), stored);
    let mut cut = server.connect();
    let head = Form::head(&format!("Content-Length: {}\r\n", whole.len()));
    cut.send(head).send(&whole[..whole.len() - 50]).finish_sending().rest();
    drop(cut);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), stored);
    let mut other = server.connect();
    let urlencoded = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n";
    assert_eq!(other.send(http("POST /", urlencoded)).send("a=b").reply().status, 415);
    drop(other);
    server.stop();
}

pub(crate) fn pages_of_other_sites_cannot_upload(kind: StrategyKind) {
    let server = Server::start(kind);
    let form = Form::new(&[("a", b"intrus")]);
    let form_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let tus = "Tus-Resumable: 1.0.0\r\nUpload-Length: 6\r\n";
    for origin in [
        "Origin: http://evil.example\r\n",
        "Origin: http://localhost:81\r\n",
        "Origin: http://localhost.evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost\r\nOrigin: http://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: http://localhost\r\nSec-Fetch-Site: same-site\r\n",
    ] {
        let mut peer = server.connect();
        assert_eq!(put(&mut peer, "a", origin, b"intrus").status, 403, "{origin}");
        let fields =
            format!("{origin}Content-Type: {form_type}\r\nContent-Length: {}\r\n", form.body.len());
        assert_eq!(peer.send(http("POST /", &fields)).send(&form.body).reply().status, 403);
        let fields = format!("{origin}{tus}");
        assert_eq!(peer.send(http("POST /", &fields)).reply().status, 403, "{origin}");
        let fields = format!("{origin}{tus}Content-Length: 6\r\nUpload-Offset: 0\r\n");
        let patch = http(&format!("PATCH /.tus/{}", "0".repeat(32)), &fields);
        assert_eq!(peer.send(patch).send("intrus").reply().status, 403, "{origin}");
        // Reading is allowed: the browser hides the reply from the page.
        assert_eq!(peer.send(http("GET /", origin)).reply().status, 200);
    }
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), [""; 0]);
    let mut peer = server.connect();
    for (number, origin) in [
        "Origin: http://localhost\r\n",
        "Origin: http://LOCALHOST:80\r\n",
        "Origin: https://localhost\r\n",
        "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(put(&mut peer, &number.to_string(), origin, b"own").status, 201, "{origin}");
    }
    drop(peer);
    server.stop();
}

pub(crate) fn a_body_is_asked_for_where_its_sender_waits(kind: StrategyKind) {
    const EXPECT: &str = "Content-Length: 7\r\nExpect: 100-continue\r\n";
    let server = Server::on_conflict(kind, OnConflict::Error);
    let mut peer = server.connect();
    for name in ["a", "b"] {
        let invited = peer.send(http(&format!("PUT /{name}"), EXPECT)).reply_head();
        assert_eq!(invited.status, 100, "{}", invited.head);
        let reply = peer.send("content").reply();
        assert_eq!((reply.status, reply.stored_name()), (201, name.to_owned()));
    }
    // A client that does not wait for `100 Continue` gets correct replies.
    let head = http("PUT /c", EXPECT);
    assert_eq!(peer.send(head).send("content").reply_head().status, 100);
    assert_eq!(peer.reply().status, 201);
    drop(peer);
    // A refused body is not requested; if sent nevertheless, it is not taken for a request.
    for (target, fields, status) in [
        ("/a", EXPECT, 409),
        ("/missing/a", EXPECT, 409),
        ("/%2e%2e/a", EXPECT, 400),
        ("/", EXPECT, 405),
        ("/d", "Content-Length: 7\r\nExpect: 100-continue\r\nOrigin: http://evil\r\n", 403),
        ("/d", "Content-Length: 99999999999999\r\nExpect: 100-continue\r\n", 413),
        ("/d", "Content-Length: 0\r\nExpect: a miracle\r\n", 417),
    ] {
        let mut peer = server.connect();
        let reply = peer.send(http(&format!("PUT {target}"), fields)).reply();
        assert_eq!(reply.status, status, "{target}: {}", reply.head);
        if status != 417 {
            assert_eq!(reply.header("connection"), Some("close"), "{target}");
            peer.try_send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(peer.rest(), b"", "{target}");
        }
    }
    // HTTP/1.0 has no `Expect`.
    let mut old = server.connect();
    let head = "PUT /e HTTP/1.0\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(old.send(head).send("content").reply().status, 201);
    drop(old);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["a", "b", "c", "e"]);
    server.stop();
}

pub(crate) fn nothing_is_written_outside_by_any_way_to_upload(kind: StrategyKind) {
    let server = Server::start(kind);
    fs::create_dir(server.outside("elsewhere")).unwrap();
    std::os::unix::fs::symlink(server.outside("elsewhere"), server.root().join("link")).unwrap();
    let mut peer = server.connect();
    for name in ["../x", "../../x", "/x", "link/x", "a/../../x", "..", ".", "\\..\\x", "x\0y"] {
        let fields = format!(
            "Tus-Resumable: 1.0.0\r\nUpload-Length: 6\r\nUpload-Metadata: filename {}\r\n",
            base64(name.as_bytes())
        );
        let reply = peer.send(http("POST /", &fields)).reply();
        assert!((400..500).contains(&reply.status), "{name}: {}", reply.head);
        let fields = fields.replace("Length: 6", "Length: 0");
        let reply = peer.send(http("POST /", &fields)).reply();
        assert!((400..500).contains(&reply.status), "{name}: {}", reply.head);
    }
    for id in ["../../x", "..%2f..%2fx", "%2e%2e/x", &format!("../{}", "0".repeat(32)), "", "x"] {
        let fields = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 6\r\n\
                      Content-Type: application/offset+octet-stream\r\n";
        let reply = peer.send(http(&format!("PATCH /.tus/{id}"), fields)).send("intrus").reply();
        assert!((400..500).contains(&reply.status), "{id}: {}", reply.head);
    }
    assert_eq!(peer.send(http_put("link/x", 1)).send("x").reply().status, 409);
    drop(peer);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), ["link"]);
    assert_eq!(testkit::names(&server.outside("elsewhere")), [""; 0]);
    server.stop();
}

pub(crate) fn what_was_overwritten_has_another_tag(kind: StrategyKind) {
    let server = Server::on_conflict(kind, OnConflict::Overwrite);
    let mut peer = server.connect();
    // Same length, and within one tick of the file system's clock.
    for round in 0..20 {
        let [old, new] = [bytes(2 * round, 1000), bytes(2 * round + 1, 1000)];
        put(&mut peer, "a", "", &old);
        let first = peer.send(http("GET /a", "")).reply();
        assert!(first.body == old, "{}", first.head);
        put(&mut peer, "a", "", &new);
        let tag = first.header("etag").unwrap();
        let reply = peer.send(http("GET /a", &format!("If-None-Match: {tag}\r\n"))).reply_head();
        assert_eq!(reply.status, 200, "round {round}: {}", reply.head);
        assert!(peer.bytes(1000) == new, "round {round}");
        let range = format!("Range: bytes=500-\r\nIf-Range: {tag}\r\n");
        let reply = peer.send(http("GET /a", &range)).reply();
        assert!(reply.status == 200 && reply.body == new, "round {round}: {}", reply.head);
    }
    drop(peer);
    server.stop();
}
