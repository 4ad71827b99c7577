//! Downloads over HTTP: conditions, ranges, listings.

use std::fs;
use std::time::{Duration, Instant};

use fileserver::StrategyKind;

use crate::content::bytes;
use crate::peer::{Peer, Reply, http};
use crate::server::Server;

/// Sizes of a file sent with its head in one piece, and of one sent by `sendfile`.
const SIZES: [usize; 2] = [1000, 200_000];

fn get(peer: &mut Peer, name: &str, fields: &str) -> Reply {
    peer.send(http(&format!("GET /{name}"), fields)).reply()
}

fn head(peer: &mut Peer, name: &str, fields: &str) -> Reply {
    peer.send(http(&format!("HEAD /{name}"), fields)).reply_head()
}

pub(crate) fn a_range_is_just_these_bytes(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for size in SIZES {
        let content = bytes(1, size);
        let name = format!("{size}");
        server.store(&name, &content);
        for (range, part) in [
            ("0-0", 0..1),
            ("0-499", 0..500),
            ("500-", 500..size),
            ("1-99999999999999999999", 1..size),
            ("-1", size - 1..size),
            ("-300", size - 300..size),
            (&format!("-{}", size + 5), 0..size),
            (&format!("{}-", size - 1), size - 1..size),
        ] {
            let reply = get(&mut peer, &name, &format!("Range: bytes={range}\r\n"));
            assert_eq!(reply.status, 206, "{range}: {}", reply.head);
            let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            assert_eq!(reply.header("content-range"), Some(&*told), "{range}");
            assert!(reply.body == content[part], "{range} of {size}");
        }
        for range in [format!("{size}-"), format!("{size}-{size}"), "-0".to_owned()] {
            let reply = get(&mut peer, &name, &format!("Range: bytes={range}\r\n"));
            assert_eq!(reply.status, 416, "{range}: {}", reply.head);
            assert_eq!(reply.header("content-range"), Some(&*format!("bytes */{size}")));
        }
        for range in ["bytes=2-1", "bytes=", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6"] {
            let reply = get(&mut peer, &name, &format!("Range: {range}\r\n"));
            assert_eq!((reply.status, reply.header("content-range")), (200, None), "{range}");
            assert!(reply.body == content, "{range}");
        }
    }
    drop(peer);
    server.stop();
}

pub(crate) fn a_cut_download_is_resumed_only_of_the_same_file(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(2, 200_000);
    server.store("file", &content);
    let mut peer = server.connect();
    let tag = head(&mut peer, "file", "").header("etag").unwrap().to_owned();
    let resume = |peer: &mut Peer, validator: &str| {
        get(peer, "file", &format!("Range: bytes=150000-\r\nIf-Range: {validator}\r\n"))
    };
    let rest = resume(&mut peer, &tag);
    assert!(rest.status == 206 && rest.body == content[150_000..], "{}", rest.head);
    for another in ["\"another\"", &format!("W/{tag}"), "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let whole = resume(&mut peer, another);
        assert!(whole.status == 200 && whole.body == content, "{another}: {}", whole.head);
    }
}

pub(crate) fn what_a_cache_has_is_not_sent_again(kind: StrategyKind) {
    let server = Server::start(kind);
    let content = bytes(3, 50_000);
    server.store("file", &content);
    let mut peer = server.connect();
    let first = get(&mut peer, "file", "");
    let tag = first.header("etag").unwrap().to_owned();
    let modified = first.header("last-modified").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for fields in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: \"x\", W/{tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {modified}\r\n"),
        // The entity tag takes precedence.
        format!("If-None-Match: {tag}\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        format!("If-None-Match: {tag}\r\nRange: bytes=0-9\r\n"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = peer.send(http(&format!("{method} /file"), &fields)).reply_head();
            assert_eq!(reply.status, 304, "{method} {fields}: {}", reply.head);
            assert_eq!(reply.header("etag"), Some(&*tag));
            assert_eq!(reply.header("content-length"), None);
        }
    }
    for fields in [
        "If-None-Match: \"another\"\r\n".to_owned(),
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(),
        format!("If-None-Match: \"another\"\r\nIf-Modified-Since: {modified}\r\n"),
        "If-Modified-Since: yesterday\r\n".to_owned(),
    ] {
        let reply = get(&mut peer, "file", &fields);
        assert!(reply.status == 200 && reply.body == content, "{fields}: {}", reply.head);
    }
    for fields in
        ["If-Match: \"another\"\r\n", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"]
    {
        assert_eq!(get(&mut peer, "file", fields).status, 412, "{fields}");
    }
    assert!(get(&mut peer, "file", &format!("If-Match: {tag}\r\n")).body == content);
}

pub(crate) fn a_file_changed_by_others_is_served_as_it_is(kind: StrategyKind) {
    /// Time after which the store notices a change.
    const SHOWS_WITHIN: Duration = Duration::from_secs(1);
    let server = Server::start(kind);
    let mut peer = server.connect();
    let replaced = |peer: &mut Peer, old: &[u8], new: &[u8], change: &dyn Fn()| {
        let before = get(peer, "file", "");
        assert!(before.status == 200 && before.body == old, "{}", before.head);
        let tag = before.header("etag").unwrap().to_owned();
        change();
        let begun = Instant::now();
        loop {
            // A later request sees the change.
            let is_due = begun.elapsed() > SHOWS_WITHIN;
            let reply = get(peer, "file", "");
            let is_new = reply.header("etag") != Some(&*tag);
            assert_eq!(reply.status, 200, "{}", reply.head);
            assert!(reply.body == if is_new { new } else { old }, "{}", reply.head);
            if is_new {
                return;
            }
            assert!(!is_due, "the old file is still served: {}", reply.head);
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let [small, other] = [bytes(4, 1000), bytes(5, 1000)];
    let [large, larger] = [bytes(6, 200_000), bytes(7, 300_000)];
    server.store("file", &small);
    // Replacement by renaming, also with a file of the same length.
    let rename = |content: &[u8]| {
        server.store("new", content);
        fs::rename(server.root().join("new"), server.root().join("file")).unwrap();
    };
    replaced(&mut peer, &small, &other, &|| rename(&other));
    replaced(&mut peer, &other, &large, &|| rename(&large));
    replaced(&mut peer, &large, &larger, &|| rename(&larger));
    replaced(&mut peer, &larger, &small, &|| rename(&small));
    fs::remove_file(server.root().join("file")).unwrap();
    let begun = Instant::now();
    loop {
        let is_due = begun.elapsed() > SHOWS_WITHIN;
        let reply = get(&mut peer, "file", "");
        if reply.status == 404 {
            break;
        }
        assert!(reply.status == 200 && reply.body == small && !is_due, "{}", reply.head);
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(peer);
    server.stop();
}

pub(crate) fn head_is_get_without_the_content(kind: StrategyKind) {
    let server = Server::start(kind);
    for (name, size) in [("empty.html", 0), ("small.png", 1000), ("large.bin", 200_000)] {
        server.store(name, bytes(8, size));
    }
    let mut peer = server.connect();
    let without_date = |reply: &Reply| -> Vec<String> {
        let lines = reply.head.lines().filter(|line| !line.starts_with("Date: "));
        lines.map(str::to_owned).collect()
    };
    for name in ["", "empty.html", "small.png", "large.bin", "missing", "%2e%2e/x"] {
        for fields in ["", "Accept: application/json\r\n", "Accept: text/html\r\n"] {
            let without = head(&mut peer, name, fields);
            let with = get(&mut peer, name, fields);
            assert_eq!(without_date(&without), without_date(&with), "{name} {fields}");
        }
    }
    // A range has no meaning for it.
    let reply = head(&mut peer, "small.png", "Range: bytes=0-1\r\n");
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("1000")));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert_eq!(reply.header("content-type"), Some("image/png"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.header("date").is_some());
    drop(peer);
    server.stop();
}

pub(crate) fn methods_are_told_and_others_refused(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("file", "content");
    let mut peer = server.connect();
    let root = "GET, HEAD, POST, OPTIONS";
    let file = "GET, HEAD, PUT, OPTIONS";
    let upload = "GET, HEAD, PUT, PATCH, OPTIONS";
    let id = format!("/.tus/{}", "0".repeat(32));
    for (target, methods) in [
        ("/", root),
        ("/file", file),
        ("/missing", file),
        (&id, upload),
        ("*", "GET, HEAD, PUT, POST, PATCH, OPTIONS"),
    ] {
        let reply = peer.send(http(&format!("OPTIONS {target}"), "")).reply();
        assert_eq!(reply.status, 204, "{target}: {}", reply.head);
        assert_eq!(reply.header("allow"), Some(methods), "{target}");
        assert_eq!(reply.header("tus-version"), Some("1.0.0"));
    }
    for (method, target, methods) in [
        ("DELETE", "/file", file),
        ("DELETE", "/", root),
        ("TRACE", "/file", file),
        ("POST", "/file", file),
        ("PATCH", "/file", file),
        ("PATCH", "/", root),
        ("PUT", "/", root),
        ("DELETE", &id, upload),
    ] {
        let request = http(&format!("{method} {target}"), "Content-Length: 4\r\n");
        let reply = peer.send(request).send("body").reply();
        assert_eq!(reply.status, 405, "{method} {target}: {}", reply.head);
        assert_eq!(reply.header("allow"), Some(methods), "{method} {target}");
    }
    assert_eq!(peer.send(http("BREW /file", "")).reply().status, 501);
    assert_eq!(peer.get("file"), b"content");
    drop(peer);
    assert_eq!(server.on_disk(), ["file"]);
    server.stop();
}

/// Names that need escaping in pages and listings.
const HOSTILE: [&str; 12] = [
    "<img src=x onerror=alert(1)>.png",
    "<!--files-->",
    "\"><b>\"",
    "'quotes' & ampersands; &lt;",
    "javascript:alert(1)",
    "{\"name\":\"x\"}",
    "%2e%2e%2fsecret",
    "a b+c#d?e=f",
    "caf\u{e9} \u{65e5}\u{672c}",
    "line\u{2028}separator \u{202e}txt.exe",
    "-rf",
    "...",
];

pub(crate) fn the_listing_suits_whoever_asks(kind: StrategyKind) {
    let server = Server::start(kind);
    fs::create_dir(server.root().join("sub <b>")).unwrap();
    for name in HOSTILE.iter().copied().chain(["sub <b>/<script>alert(1)"]) {
        server.store(name, name);
    }
    // The listing contains only names that can be requested.
    server.store("back\\slash", "");
    server.store("tab\tname", "");
    let mut names: Vec<_> = HOSTILE.to_vec();
    names.push("sub <b>/<script>alert(1)");
    names.sort_unstable();
    let mut peer = server.connect();

    let json = get(&mut peer, "", "Accept: application/json\r\n");
    assert_eq!(json.header("content-type"), Some("application/json"));
    let parsed: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    let entries = parsed.as_array().unwrap();
    let listed: Vec<_> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        assert_eq!(entry["size_bytes"], name.len(), "{name}");
        let modified = entry["modified"].as_str().unwrap();
        assert!(modified.len() == 20 && modified.ends_with('Z'), "{modified}");
    }

    let page = get(&mut peer, "", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.contains(&format!("served by <code>{}</code>", kind.name())));
    for raw in ["<img", "<b>", "<script>alert", "<!--"] {
        assert!(!html.contains(raw), "{raw}");
    }
    // Each link leads to its file.
    let links: Vec<_> =
        html.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), names.len());
    for (link, name) in links.iter().zip(&names) {
        assert!(link.starts_with('/') && !link.starts_with("//"), "{link}");
        assert_eq!(peer.get(&link[1..]), name.as_bytes());
    }

    let text = get(&mut peer, "", "");
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    assert_eq!(String::from_utf8(text.body).unwrap(), lines);
    for reply in [&page.head, &json.head, &text.head] {
        assert!(reply.contains("\r\nVary: Accept\r\n"), "{reply}");
    }
    drop(peer);
    server.stop();
}

pub(crate) fn what_scripts_a_file_holds_do_not_act_for_its_reader(kind: StrategyKind) {
    let server = Server::start(kind);
    let mut peer = server.connect();
    for name in ["a.html", "a.HTM", "a.svg", "a.xhtml", "a.xml"] {
        server.store(name, "<script>alert(1)</script>");
        let reply = get(&mut peer, name, "");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let is_inert = reply.header("content-security-policy") == Some("sandbox")
            || reply.header("content-type") == Some("application/octet-stream");
        assert!(is_inert, "{name}: {}", reply.head);
    }
}

pub(crate) fn a_deleted_file_does_not_stay_open(kind: StrategyKind) {
    let server = Server::start(kind);
    server.store("a", "content");
    let path = server.root().join("a");
    let mut peer = server.connect();
    assert_eq!(peer.get("a"), b"content");
    assert!(is_open(&path.to_string_lossy()), "it is kept open for the next request");
    fs::remove_file(&path).unwrap();
    let deleted = format!("{} (deleted)", path.display());
    assert!(is_open(&deleted));
    // Without another request.
    testkit::until("the deleted file is closed", || !is_open(&deleted));
}

/// True if a process has this file open.
fn is_open(path: &str) -> bool {
    // Processes and descriptors may end meanwhile.
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let descriptors = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    descriptors
        .flatten()
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.to_str() == Some(path))
}
