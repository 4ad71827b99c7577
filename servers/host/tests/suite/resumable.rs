//! Uploads resumed over another connection or by another server.

use std::fs;

use fileserver::StrategyKind;

use crate::content::{base64, bytes, repr_digest};
use crate::peer::{Peer, Reply, http};
use crate::process::Process;
use crate::server::Server;
use testkit::names;

const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

/// Begins an upload; returns its path.
fn create(peer: &mut Peer, name: &str, len: usize) -> String {
    let fields = format!(
        "{TUS}Upload-Length: {len}\r\nUpload-Metadata: filename {},type {}\r\n\
         Content-Length: 0\r\n",
        base64(name.as_bytes()),
        base64(b"image/png")
    );
    let reply = peer.send(http("POST /", &fields)).reply();
    assert_eq!(reply.status, 201, "{}", reply.head);
    assert_eq!(reply.header("tus-resumable"), Some("1.0.0"));
    reply.header("location").unwrap().to_owned()
}

fn patch_head(path: &str, offset: usize, len: usize, fields: &str) -> String {
    let fields = format!(
        "{TUS}Content-Type: application/offset+octet-stream\r\n\
         Upload-Offset: {offset}\r\nContent-Length: {len}\r\n{fields}"
    );
    http(&format!("PATCH {path}"), &fields)
}

fn patch(peer: &mut Peer, path: &str, offset: usize, piece: &[u8], fields: &str) -> Reply {
    peer.send(patch_head(path, offset, piece.len(), fields)).send(piece).reply()
}

/// Offset of the upload, or the error status.
fn offset(peer: &mut Peer, path: &str) -> Result<usize, u16> {
    let reply = peer.send(http(&format!("HEAD {path}"), TUS)).reply_head();
    match reply.status {
        200 => {
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            Ok(reply.header("upload-offset").unwrap().parse().unwrap())
        }
        status => Err(status),
    }
}

pub(crate) fn an_upload_goes_on_after_its_connection_broke(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(1, 1_000_000);
    let len = content.len();
    let mut first = server.connect();
    let path = create(&mut first, "sea.png", len);
    assert_eq!(offset(&mut first, &path), Ok(0));
    let reply = patch(&mut first, &path, 0, &content[..300_000], "");
    assert_eq!(reply.status, 204, "{}", reply.head);
    assert_eq!(reply.header("upload-offset"), Some("300000"));
    // The connection ends within the next part.
    first.send(patch_head(&path, 300_000, 400_000, "")).send(&content[300_000..512_345]);
    drop(first);
    server.wait_until_deserted();

    let mut second = server.connect();
    // Received bytes are kept, and are not a file yet.
    assert_eq!(offset(&mut second, &path), Ok(512_345));
    assert_eq!(second.send(http("GET /sea.png", "")).reply().status, 404);
    assert_eq!(second.get(""), b"");
    // A reset may lose bytes in flight, never stored ones.
    second.send(patch_head(&path, 512_345, 400_000, "")).send(&content[512_345..600_000]);
    second.reset();
    server.wait_until_deserted();

    let mut third = server.connect();
    let at = offset(&mut third, &path).unwrap();
    assert!((512_345..=600_000).contains(&at), "{at}");
    let reply = patch(&mut third, &path, at, &content[at..], &repr_digest(&content));
    assert_eq!(reply.status, 204, "{}", reply.head);
    assert_eq!(reply.header("upload-offset"), Some("1000000"));
    assert_eq!(reply.header("content-location"), Some("/sea.png"));
    assert!(third.get("sea.png") == content);
    assert_eq!(offset(&mut third, &path), Err(404));
    drop(third);
    assert_eq!(server.on_disk(), ["sea.png"]);
    server.stop();
}

pub(crate) fn a_taken_name_is_numbered_when_the_upload_is_whole(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    let path = create(&mut peer, "a.txt", 3);
    assert_eq!(peer.put("a.txt", b"rival"), "a.txt");
    let reply = patch(&mut peer, &path, 0, b"new", "");
    assert_eq!((reply.status, reply.header("content-location")), (204, Some("/a_copy1.txt")));
    // An empty file is complete at once; without a name it gets one.
    let empty = create(&mut peer, "empty", 0);
    assert_eq!((&*empty, peer.get("empty")), ("/empty", Vec::new()));
    let fields = format!("{TUS}Upload-Length: 3\r\n");
    let nameless = peer.send(http("POST /", &fields)).reply();
    let path = nameless.header("location").unwrap().to_owned();
    let reply = patch(&mut peer, &path, 0, b"abc", "");
    let stored = reply.header("content-location").unwrap();
    assert!(stored.len() == "/12345678.bin".len() && stored.ends_with(".bin"), "{stored}");
    assert_eq!(peer.get(&stored[1..]), b"abc");
    drop(peer);
    assert_eq!(server.on_disk().len(), 4);
    server.stop();
}

pub(crate) fn a_piece_that_does_not_fit_is_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(2, 1000);
    let mut peer = server.connect();
    let path = create(&mut peer, "a", 1000);
    assert_eq!(patch(&mut peer, &path, 0, &content[..400], "").status, 204);
    for (at, piece) in [(0, &content[..400]), (399, &content[399..]), (401, &content[401..])] {
        assert_eq!(patch(&mut peer, &path, at, piece, "").status, 409, "{at}");
    }
    assert_eq!(patch(&mut peer, &path, 400, &bytes(3, 601), "").status, 413);
    // That closes the connection.
    drop(peer);
    let mut peer = server.connect();
    let foreign = http(
        &format!("PATCH {path}"),
        &format!("{TUS}Content-Type: text/plain\r\nUpload-Offset: 400\r\nContent-Length: 1\r\n"),
    );
    assert_eq!(peer.send(foreign).send("x").reply().status, 415);
    let other_version = patch_head(&path, 400, 1, "").replace("1.0.0", "0.2.2");
    let reply = peer.send(other_version).send("x").reply();
    assert_eq!((reply.status, reply.header("tus-version")), (412, Some("1.0.0")));
    let unknown = format!("/.tus/{}", "0123456789abcdef".repeat(2));
    assert_eq!(patch(&mut peer, &unknown, 0, b"x", "").status, 404);
    assert_eq!(offset(&mut peer, &unknown), Err(404));
    assert_eq!(offset(&mut peer, &path), Ok(400));
    // More than declared, in chunks.
    let chunked =
        patch_head(&path, 400, 0, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let reply =
        peer.send(chunked).send("259\r\n").send(bytes(3, 601)).send("\r\n0\r\n\r\n").reply();
    assert_eq!(reply.status, 413, "{}", reply.head);
    drop(peer);
    let mut peer = server.connect();
    let at = offset(&mut peer, &path).unwrap();
    let reply = patch(&mut peer, &path, at, &content[at..], &repr_digest(&content));
    assert_eq!(reply.status, 204, "{}", reply.head);
    assert!(peer.get("a") == content);
    drop(peer);
    assert_eq!(server.on_disk(), ["a"]);
    server.stop();
}

pub(crate) fn a_whole_that_is_not_what_its_digest_says_is_gone(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(4, 200_000);
    let mut peer = server.connect();
    let path = create(&mut peer, "a", content.len());
    assert_eq!(patch(&mut peer, &path, 0, &content[..100_000], "").status, 204);
    let damaged = bytes(5, 100_000);
    let reply = patch(&mut peer, &path, 100_000, &damaged, &repr_digest(&content));
    assert_eq!(reply.status, 400, "{}", reply.head);
    assert_eq!(offset(&mut peer, &path), Err(404));
    assert_eq!(peer.send(http("GET /a", "")).reply().status, 404);
    drop(peer);
    assert_eq!(server.on_disk(), [""; 0]);
    server.stop();
}

pub(crate) fn an_upload_survives_the_server(kind: StrategyKind) {
    let args = ["--strategy", kind.name(), "--quiet"];
    let server = Process::start(&args);
    let content = bytes(6, 3_000_000);
    fs::create_dir(server.root().join("folder")).unwrap();
    let mut peer = Peer::connect(server.address());
    let path = create(&mut peer, "folder/sea.png", content.len());
    assert_eq!(patch(&mut peer, &path, 0, &content[..1_000_000], "").status, 204);
    peer.send(patch_head(&path, 1_000_000, 2_000_000, "")).send(&content[1_000_000..1_500_000]);
    // The server is killed during the upload.
    let server = server.killed_and_replaced(&args);
    drop(peer);

    let mut peer = Peer::connect(server.address());
    let at = offset(&mut peer, &path).unwrap();
    assert!((1_000_000..=1_500_000).contains(&at), "{at}");
    assert_eq!(patch(&mut peer, &path, at, &content[at..at + 100_000], "").status, 204);
    drop(peer);
    let server = server.killed_and_replaced(&args);
    let at = at + 100_000;
    let mut peer = Peer::connect(server.address());
    assert_eq!(offset(&mut peer, &path), Ok(at));
    let reply = patch(&mut peer, &path, at, &content[at..], &repr_digest(&content));
    assert_eq!(reply.header("content-location"), Some("/folder/sea.png"), "{}", reply.head);
    assert!(peer.get("folder/sea.png") == content);
    assert_eq!(names(&server.root()), ["folder"]);
    assert_eq!(names(&server.root().join("folder")), ["sea.png"]);
}

pub(crate) fn what_is_kept_of_an_upload_is_no_file(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    let path = create(&mut peer, "a", 10);
    assert_eq!(patch(&mut peer, &path, 0, b"hidden", "").status, 204);
    let kept = server.on_disk();
    assert!(!kept.is_empty());
    assert_eq!(peer.get(""), b"");
    for name in &kept {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let request = http(&format!("GET /{encoded}"), "");
        assert_eq!(peer.send(request).reply().status, 400, "{name:?}");
        let reply = peer.send(crate::peer::http_put(&encoded, 1)).send("x").reply();
        assert_eq!(reply.status, 400, "{name:?}");
    }
    // The path of an upload is not a file name.
    assert_eq!(peer.send(http(&format!("GET {path}"), "")).reply().status, 404);
    drop(peer);
    for name in &kept {
        let framed = server.connect().send(crate::peer::framed_get(name)).message();
        assert!(framed.is_error(), "{framed:?}");
        let text = server.connect().send(format!("{name}\n")).finish_sending().rest();
        assert!(!text.windows(6).any(|bytes| bytes == b"hidden"));
    }
    assert_eq!(server.on_disk(), kept);
    server.stop();
}

pub(crate) fn one_connection_at_a_time_appends(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(7, 100_000);
    let mut first = server.connect();
    let path = create(&mut first, "a", content.len());
    first.send(patch_head(&path, 0, 50_000, "Expect: 100-continue\r\n"));
    // The second connection owns the upload.
    assert_eq!(first.reply_head().status, 100);
    first.send(&content[..20_000]);
    let mut second = server.connect();
    for _ in 0..3 {
        assert_eq!(patch(&mut second, &path, 0, &content[..50_000], "").status, 423);
        assert_eq!(offset(&mut second, &path), Err(423));
    }
    assert_eq!(first.send(&content[20_000..50_000]).reply().status, 204);
    let reply = patch(&mut second, &path, 50_000, &content[50_000..], &repr_digest(&content));
    assert_eq!(reply.status, 204, "{}", reply.head);
    assert!(first.get("a") == content);

    // Of concurrent attempts exactly one provides the content.
    let path = create(&mut first, "race", content.len());
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| patch(&mut server.connect(), &path, 0, &content, "").status))
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204, "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| matches!(status, 423 | 404)), "{statuses:?}");
    assert!(first.get("race") == content);
    drop((first, second));
    assert_eq!(server.on_disk(), ["a", "race"]);
    server.stop();
}

pub(crate) fn unfinished_uploads_are_limited_and_expire_while_the_server_runs(kind: StrategyKind) {
    let server = Process::start(&[
        "--strategy",
        kind.name(),
        "--quiet",
        "--max-resumable",
        "3",
        "--max-resumable-size",
        "100B",
        "--resumable-timeout",
        "1s",
    ]);
    fs::write(server.root().join("file"), "content").unwrap();
    let mut peer = Peer::connect(server.address());
    let fields = |len| format!("{TUS}Upload-Length: {len}\r\nContent-Length: 0\r\n");
    let refused = peer.send(http("POST /", &fields(101))).reply();
    assert_eq!(refused.status, 507, "{}", refused.head);
    // Some may expire meanwhile, but not always.
    let most = (0..100).map(|_| {
        let statuses = [(); 4].map(|()| peer.send(http("POST /", &fields(1))).reply().status);
        assert!(statuses.iter().all(|status| matches!(status, 201 | 507)), "{statuses:?}");
        statuses
    });
    assert!(most.into_iter().any(|statuses| statuses[3] == 507), "a fourth is never refused");
    assert_eq!(peer.get(""), b"file\n");
    testkit::until("all of them expire", || names(&server.root()) == ["file"]);
    assert_eq!(peer.send(http("POST /", &fields(100))).reply().status, 201);
}
