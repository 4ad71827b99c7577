//! Resumable uploads, word for word.

use fileserver_proto::{FileName, Limits, Settings, StoreError, Wire};

use crate::support::transcript::{converse_with, head, store, text};
use crate::support::{Conversation, Faults, MemoryStore, Partial, pinned};

const ID: &str = "ab000000000000000000000000000000";
const NUMBER: u128 = 0xab << 120;

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n{fields}\r\n")
}

fn patch(offset: u64, fields: &str, content: &str) -> String {
    format!(
        "PATCH /.tus/{ID} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
         Content-Type: application/offset+octet-stream\r\n{fields}Content-Length: {}\r\n\r\n{content}",
        content.len()
    )
}

fn inspect() -> String {
    format!("HEAD /.tus/{ID} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n\r\n")
}

/// Store with an upload of 5 bytes that has received `content`.
fn begun(content: &str) -> MemoryStore {
    let name = Some(FileName::new("b \u{e9}.txt").expect("a good name"));
    let mut store = store();
    store.partials.insert(NUMBER, Partial { name, len: 5, content: content.into() });
    store
}

fn tus(status: &str, fields: &str) -> String {
    head(status, &format!("Tus-Resumable: 1.0.0\r\n{fields}"), "")
}

fn answered(store: &MemoryStore, input: &str) -> (String, MemoryStore) {
    let outcome = converse_with(store, Wire::Http, input.as_bytes());
    (text(&outcome.output), outcome.store)
}

/// First status of the answer, which must belong to tus, and the store afterwards.
fn status(store: &MemoryStore, input: &str) -> (u16, MemoryStore) {
    let (output, left) = answered(store, input);
    assert!(output.contains("\r\nTus-Resumable: 1.0.0\r\n"), "{output}");
    (output["HTTP/1.1 ".len()..][..3].parse().expect("a status"), left)
}

#[test]
fn an_upload_is_begun_inspected_continued_and_finished() {
    let input = post("Upload-Length: 5\r\nUpload-Metadata: x eQ==,filename YiDDqS50eHQ=,y\r\n")
        + &inspect()
        + &patch(0, "", "al")
        + &inspect()
        + &patch(2, "", "")
        + &patch(2, "", "pha")
        + &inspect();
    let (output, left) = answered(&store(), &input);
    let begun = format!("Location: /.tus/{ID}\r\nContent-Length: 0\r\n");
    let state = |offset: u64| {
        tus(
            "200 OK",
            &format!(
                "Upload-Offset: {offset}\r\nUpload-Length: 5\r\nCache-Control: no-store\r\n\
                 Content-Length: 0\r\n"
            ),
        )
    };
    let gone =
        tus("404 Not Found", "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n");
    let stored = "Upload-Offset: 5\r\nContent-Location: /b%20%C3%A9.txt\r\n";
    let expected = tus("201 Created", &begun)
        + &state(0)
        + &tus("204 No Content", "Upload-Offset: 2\r\n")
        + &state(2)
        + &tus("204 No Content", "Upload-Offset: 2\r\n")
        + &tus("204 No Content", stored)
        + &gone;
    assert_eq!(output, expected);
    assert_eq!(left.content("b \u{e9}.txt"), Some(&b"alpha"[..]));
    assert!(left.partials.is_empty());
}

#[test]
fn a_finished_upload_tells_the_name_it_got() {
    let mut taken = begun("alph");
    if let Some(partial) = taken.partials.get_mut(&NUMBER) {
        partial.name = Some(FileName::new("a.txt").expect("a good name"));
    }
    let (output, left) = answered(&taken, &patch(4, "", "a"));
    let stored = "Upload-Offset: 5\r\nContent-Location: /a_copy1.txt\r\n";
    assert_eq!(output, tus("204 No Content", stored));
    assert_eq!(left.content("a_copy1.txt"), Some(&b"alpha"[..]));
}

#[test]
fn an_upload_without_a_name_gets_a_random_one() {
    let (_, left) = answered(&store(), &(post("Upload-Length: 1\r\n") + &patch(0, "", "x")));
    assert_eq!(left.content("random01.bin"), Some(&b"x"[..]));
}

#[test]
fn an_empty_upload_is_finished_at_once() {
    let request = post("Upload-Length: 0\r\nUpload-Metadata: filename YiDDqS50eHQ=\r\n");
    let (output, left) = answered(&store(), &request);
    let fields = "Location: /b%20%C3%A9.txt\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 9\r\n";
    assert_eq!(output, tus("201 Created", fields) + "b \u{e9}.txt\n");
    assert_eq!(left.content("b \u{e9}.txt"), Some(&b""[..]));
}

#[test]
fn pieces_may_come_in_chunks_and_be_waited_for() {
    let sized = patch(2, "Expect: 100-continue\r\n", "pha");
    let chunked = sized.replace(
        "Content-Length: 3\r\n\r\npha",
        "Transfer-Encoding: chunked\r\n\r\n1\r\np\r\n2\r\nha\r\n0\r\n\r\n",
    );
    for request in [sized, chunked] {
        let (output, left) = answered(&begun("al"), &request);
        assert!(output.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 "), "{output}");
        assert_eq!(left.content("b \u{e9}.txt"), Some(&b"alpha"[..]));
    }
}

#[test]
fn a_piece_that_breaks_off_is_kept() {
    let request = patch(0, "", "alph");
    let outcome = converse_with(&begun(""), Wire::Http, &request.as_bytes()[..request.len() - 1]);
    assert!(outcome.output.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(outcome.store.partials[&NUMBER].content, b"alp");
    let (output, _) = answered(&outcome.store, &inspect());
    assert!(output.contains("\r\nUpload-Offset: 3\r\n"));

    let mut conversation = Conversation::new(pinned(Wire::Http), begun(""));
    conversation.deliver(&request.as_bytes()[..request.len() - 2]);
    conversation.pass(std::time::Duration::from_secs(20));
    assert!(conversation.take_output().starts_with("HTTP/1.1 408 "));
    assert_eq!(conversation.store.partials[&NUMBER].content, b"al");
}

#[test]
fn an_offset_is_reported_only_once_it_outlasts_a_power_cut() {
    let failing =
        begun("al").failing(Faults { sync: Some(StoreError::Failed), ..Faults::default() });
    assert_eq!(status(&failing, &patch(2, "Content-Length: 1\r\n", "p")).0, 500);
    assert_eq!(status(&failing, &inspect()).0, 500);
    let full = begun("al").failing(Faults { sync: Some(StoreError::Full), ..Faults::default() });
    assert_eq!(status(&full, &patch(2, "Content-Length: 1\r\n", "p")).0, 507);
}

#[test]
fn a_finished_upload_is_checked_against_its_digest() {
    // The memory store's hash of `alpha` is `alpha` and zeros.
    let good = "Repr-Digest: sha-256=:YWxwaGEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n";
    let bad = "Repr-Digest: sha-256=:YWxwaGFhAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n";
    let (code, left) = status(&begun("alp"), &patch(3, good, "ha"));
    assert_eq!((code, left.content("b \u{e9}.txt")), (204, Some(&b"alpha"[..])));
    let (code, left) = status(&begun("alp"), &patch(3, bad, "ha"));
    assert_eq!((code, left.partials.len(), &left.files), (400, 0, &store().files));
    // Only the last piece's digest is compared with the whole.
    let (code, left) = status(&begun(""), &patch(0, bad, "alp"));
    assert_eq!((code, left.partials.len()), (204, 1));
}

#[test]
fn publishing_can_be_tried_again() {
    let full = Faults { commit: Some(StoreError::Full), ..Faults::default() };
    let (code, mut left) = status(&begun("alp").failing(full), &patch(3, "", "ha"));
    assert_eq!((code, &left.partials[&NUMBER].content[..]), (507, &b"alpha"[..]));
    left.faults = Faults::default();
    let (code, left) = status(&left, &patch(5, "", ""));
    assert_eq!((code, left.content("b \u{e9}.txt")), (204, Some(&b"alpha"[..])));
}

#[test]
fn faulty_beginnings_are_refused() {
    let limits = Limits { upload_bytes: 100, ..Limits::default() };
    let settings = Settings { limits, ..pinned(Wire::Http) };
    for (code, fields) in [
        (400, ""),
        (400, "Upload-Length: x\r\n"),
        (400, "Upload-Length: -1\r\n"),
        (400, "Upload-Length:\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Length: 1\r\n"),
        (400, "Upload-Defer-Length: 1\r\n"),
        (400, "Upload-Length: 18446744073709551616\r\n"),
        (413, "Upload-Length: 101\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Metadata: filename a\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Metadata: filename Li4=\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Metadata: filename /w==\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Metadata: filename YQ==,filename Yg==\r\n"),
        (400, "Upload-Length: 1\r\nUpload-Metadata: filename\r\n"),
        (400, "Upload-Length: 1\r\nContent-Length: 1\r\n"),
    ] {
        let mut request = post(fields);
        if fields.contains("Content-Length") {
            request.push('x');
        }
        let outcome = Conversation::outcome(settings.clone(), store(), [request.as_bytes()]);
        let output = text(&outcome.output);
        assert!(output.starts_with(&format!("HTTP/1.1 {code} ")), "{fields}: {output}");
        assert!(output.contains("\r\nTus-Resumable: 1.0.0\r\n"));
        assert_eq!(outcome.store, store(), "{fields}");
    }
    let other = post("Upload-Length: 1\r\n").replace("1.0.0", "0.2.2");
    let (output, left) = answered(&store(), &other);
    assert!(output.starts_with("HTTP/1.1 412 ") && output.contains("\r\nTus-Version: 1.0.0\r\n"));
    assert_eq!(left, store());
}

#[test]
fn faulty_pieces_are_refused_and_change_nothing() {
    let good = patch(2, "", "ph");
    let busy = begun("al").failing(Faults { open: Some(StoreError::Busy), ..Faults::default() });
    let chunked = good.replace(
        "Content-Length: 2\r\n\r\nph",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nphax\r\n0\r\n\r\n",
    );
    for (code, store, request) in [
        (409, begun("al"), patch(1, "", "ph")),
        (409, begun("al"), patch(3, "", "ph")),
        (413, begun("al"), patch(2, "", "phax")),
        (413, begun("al"), chunked),
        (423, busy.clone(), good.clone()),
        (423, busy, inspect()),
        (404, begun("al"), good.replace("/.tus/ab0", "/.tus/ab1")),
        (404, begun("al"), good.replace("/.tus/ab0", "/.tus/zz")),
        (400, begun("al"), good.replace("Upload-Offset: 2", "Upload-Offset: +2")),
        (400, begun("al"), good.replace("Upload-Offset: 2\r\n", "")),
        (412, begun("al"), good.replace("Resumable: 1.0.0", "Resumable: 1.0.1")),
        (412, begun("al"), good.replace("Tus-Resumable: 1.0.0\r\n", "")),
        (412, begun("al"), inspect().replace("1.0.0", "2")),
        (415, begun("al"), good.replace("application/offset+octet-stream", "text/plain")),
        (415, begun("al"), patch(2, "Content-Encoding: gzip\r\n", "ph")),
        (400, begun("al"), patch(2, "Repr-Digest: x\r\n", "ph")),
    ] {
        let (given, left) = status(&store, &request);
        assert_eq!((given, left.partials), (code, store.partials), "{request}");
    }
    for (code, request) in [
        (403, patch(2, "Origin: http://evil.example\r\n", "ph")),
        (405, good.replace(&format!("/.tus/{ID}"), "/a.txt")),
        (411, good.replace("Content-Length: 2\r\n", "")),
    ] {
        let (output, left) = answered(&begun("al"), &request);
        assert!(output.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {output}");
        assert_eq!(left.partials, begun("al").partials);
    }
}

#[test]
fn a_refused_piece_is_not_read_as_a_request() {
    let next = "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    let (output, _) = answered(&begun("al"), &(patch(1, "", "pha") + next));
    let statuses: Vec<_> = output.split("HTTP/1.1 ").skip(1).map(|reply| &reply[..3]).collect();
    assert_eq!(statuses, ["409", "200"]);
    let held_back = patch(1, "Expect: 100-continue\r\n", "pha");
    let (output, _) = answered(&begun("al"), &(held_back + next));
    assert!(output.starts_with("HTTP/1.1 409 ") && output.contains("\r\nConnection: close\r\n"));
    assert_eq!(output.matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn an_upload_s_path_shadows_no_file() {
    let path = format!(".tus/{ID}");
    let mut store = begun("al");
    store.files.insert(FileName::new(&path).expect("a good name"), b"file".to_vec());
    for method in ["GET", "HEAD"] {
        let request = format!("{method} /{path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (output, _) = answered(&store, &request);
        assert!(output.contains("\r\nContent-Length: 4\r\n"), "{output}");
    }
    let (output, _) = answered(&store, &inspect());
    assert!(output.contains("\r\nUpload-Offset: 2\r\n"));
}
