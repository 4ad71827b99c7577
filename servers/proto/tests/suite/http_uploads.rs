//! Uploads by PUT and by forms, word for word.

use fileserver_proto::{Limits, Settings, StoreError, Wire};

use crate::support::transcript::{converse_with, kept, store, text, text_reply};
use crate::support::{Conversation, Faults, MemoryStore, digest_of, pinned};

/// Base64 without padding rules, as far as the tests need it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..4 {
            match at <= three.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

fn digest_field(name: &str, content: &[u8]) -> String {
    format!("{name}: sha-256=:{}:\r\n", base64(&digest_of(content).0))
}

fn put(fields: &str) -> String {
    format!("PUT /b HTTP/1.1\r\nHost: h:8800\r\n{fields}Content-Length: 3\r\n\r\nnew")
}

/// First status of the answer, and the store afterwards.
fn answer(store: &MemoryStore, input: impl AsRef<[u8]>) -> (u16, MemoryStore) {
    let outcome = converse_with(store, Wire::Http, input.as_ref());
    let output = text(&outcome.output);
    (output["HTTP/1.1 ".len()..][..3].parse().expect("a status"), outcome.store)
}

#[test]
fn http_put_over_a_file_says_so() {
    let mut store = store();
    store.overwrites = true;
    let request = b"PUT /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nnew";
    let outcome = converse_with(&store, Wire::Http, request);
    assert_eq!(text(&outcome.output), text_reply("200 OK", "", "a.txt\n", ""));
    assert_eq!(outcome.store.content("a.txt"), Some(&b"new"[..]));
}

#[test]
fn http_put_is_checked_against_its_digest() {
    let other = digest_field("Repr-Digest", b"old");
    let good = [digest_field("Repr-Digest", b"new"), digest_field("content-digest", b"new")];
    for fields in [
        good[0].clone(),
        good[1].clone(),
        good.concat(),
        "Repr-Digest: sha-512=:AAAA:\r\n".to_owned(),
        format!("{}Repr-Digest: md5=:AAAA:\r\n", good[0]),
    ] {
        let (output, store) = kept(Wire::Http, put(&fields).as_bytes());
        assert_eq!(output, text_reply("201 Created", "Location: /b\r\n", "b\n", ""), "{fields}");
        assert_eq!(store.content("b"), Some(&b"new"[..]));
    }
    let (output, left) = kept(Wire::Http, put(&other).as_bytes());
    let words = "the content does not match its digest\n";
    assert_eq!(output, text_reply("400 Bad Request", "", words, ""));
    assert_eq!((left.content("b"), left.aborted), (None, 1));
}

#[test]
fn http_put_is_refused_before_a_byte_is_stored() {
    for (status, fields) in [
        (400, "Repr-Digest: sha-256\r\n"),
        (400, "Repr-Digest: sha-256=:AAAA:\r\n"),
        (400, &(digest_field("Repr-Digest", b"new") + &digest_field("Content-Digest", b"old"))),
        (400, "Content-Range: bytes 0-2/3\r\n"),
        (415, "Content-Encoding: gzip\r\n"),
        (415, "Content-Encoding: identity, br\r\n"),
        (501, "If-Match: \"x\"\r\n"),
        (501, "If-None-Match: *\r\n"),
        (501, "If-Unmodified-Since: Sun, 06 Nov 1994 08:48:00 GMT\r\n"),
        (403, "Origin: http://evil.example\r\n"),
        (403, "Origin: null\r\n"),
        (403, "Origin: http://h\r\n"),
        (403, "Origin: http://h:8800\r\nOrigin: http://evil.example\r\n"),
        (403, "Sec-Fetch-Site: cross-site\r\n"),
        (403, "Sec-Fetch-Site: same-site\r\nOrigin: http://h:8800\r\n"),
    ] {
        let (output, left) = kept(Wire::Http, put(fields).as_bytes());
        assert!(output.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {output}");
        assert_eq!(left, store(), "{fields}");
    }
    for fields in [
        "Origin: http://H:8800\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Content-Encoding: identity\r\n",
        "Range: bytes=0-1\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:48:00 GMT\r\n",
    ] {
        assert_eq!(answer(&store(), put(fields)).0, 201, "{fields}");
    }
    let (output, _) = kept(Wire::Http, put("Content-Encoding: gzip\r\n").as_bytes());
    assert!(output.contains("\r\nAccept-Encoding: identity\r\n"));
}

#[test]
fn http_reads_whatever_the_origin() {
    let request =
        b"GET /empty HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\n\r\n";
    assert!(kept(Wire::Http, request).0.starts_with("HTTP/1.1 200 "));
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=AaB\r\n";

fn part(filename: &str, content: &str) -> String {
    format!(
        "--AaB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
    )
}

/// A form sent with its length, and in chunks of these sizes in turn.
fn forms(fields: &str, content: &str, sizes: &[usize]) -> [Vec<u8>; 2] {
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{FORM}{fields}");
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    let mut rest = content.as_bytes();
    for size in sizes.iter().cycle() {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
        rest = after;
        if chunk.is_empty() {
            break;
        }
    }
    let sized = format!("{head}Content-Length: {}\r\n\r\n{content}", content.len());
    [sized.into_bytes(), chunked]
}

#[test]
fn http_forms_store_their_files() {
    let tricky = "\r\n--AaC\r\n--Aa\r\r\n-";
    let note = "--AaB\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n";
    let content = note.to_owned()
        + &part("C:\\fakepath\\b \u{e9}.txt", tricky)
        + &part("", "")
        + &part("a.txt", "")
        + "--AaB--\r\n";
    for sizes in [&[1000][..], &[1], &[7, 2, 30]] {
        for form in forms("", &content, sizes) {
            let (output, left) = kept(Wire::Http, &form);
            let names = "b \u{e9}.txt\na_copy1.txt\n";
            assert_eq!(output, text_reply("303 See Other", "Location: /\r\n", names, ""));
            assert_eq!(left.content("b \u{e9}.txt"), Some(tricky.as_bytes()));
            assert_eq!(left.content("a_copy1.txt"), Some(&b""[..]));
            assert_eq!((left.files.len(), left.aborted), (store().files.len() + 2, 0));
            assert_eq!(left.size_hints, [None, None]);
        }
    }
}

#[test]
fn http_forms_that_wait_are_told_to_continue() {
    let content = part("b", "new") + "--AaB--";
    for form in forms("Expect: 100-continue\r\n", &content, &[5]) {
        let (output, left) = kept(Wire::Http, &form);
        let reply = text_reply("303 See Other", "Location: /\r\n", "b\n", "");
        assert_eq!(output, format!("HTTP/1.1 100 Continue\r\n\r\n{reply}"));
        assert_eq!(left.content("b"), Some(&b"new"[..]));
    }
}

#[test]
fn http_forms_fail_at_a_part_and_keep_those_before() {
    let content = part("b", "new") + &part("..", "x") + &part("c", "y") + "--AaB--";
    let [sized, chunked] = forms("", &content, &[1000]);
    let words = "the name has an empty, '.' or '..' component\n\
        stored before the error:\nb\n";
    let (output, left) = kept(Wire::Http, &sized);
    assert_eq!(output, text_reply("400 Bad Request", "", words, ""));
    assert_eq!((left.content("b"), left.content("c")), (Some(&b"new"[..]), None));
    let output = text(&converse_with(&store(), Wire::Http, &chunked).output);
    assert_eq!(output, text_reply("400 Bad Request", "", words, "Connection: close\r\n"));

    let full = Some(StoreError::Full);
    for faults in [
        Faults { create: full, ..Faults::default() },
        Faults { write: Some((1, StoreError::Full)), ..Faults::default() },
        Faults { commit: full, ..Faults::default() },
    ] {
        let faulty = store().failing(faults);
        let (status, left) = answer(&faulty, &sized);
        assert_eq!((status, left.files), (507, store().files));
    }
}

#[test]
fn http_forms_that_are_malformed_end_the_connection() {
    let good = part("b", "new") + "--AaB--";
    for (status, content) in [
        (400, String::new()),
        (400, "--AaB--".to_owned()),
        (400, "no form at all".to_owned()),
        (400, good.replace("--AaB--", "--AaC--")),
        (400, good.replace("--AaB--", "--AaB-x")),
        (400, good.replace("form-data", "attachment")),
        (400, good.replace("\r\n\r\nnew", "\r\n\nnew")),
        (415, good.replace("Content-Type", "Content-Transfer-Encoding")),
    ] {
        for form in forms("", &content, &[9]) {
            let next = "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
            let outcome =
                converse_with(&store(), Wire::Http, &[&form[..], next.as_bytes()].concat());
            let output = text(&outcome.output);
            assert!(output.starts_with(&format!("HTTP/1.1 {status} ")), "{content:?}: {output}");
            assert!(output.contains("\r\nConnection: close\r\n"), "{content:?}");
            assert_eq!((outcome.requests, outcome.store.files), (1, store().files), "{content:?}");
        }
    }
    for boundary in ["", "; boundary=", "; boundary=\"a", &format!("; boundary={}", "x".repeat(71))]
    {
        let form = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data{boundary}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        assert_eq!(answer(&store(), &form).0, 400, "{boundary}");
    }
}

#[test]
fn http_posts_that_are_no_form_are_refused() {
    for (status, target, fields) in [
        (415, "/", "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"),
        (415, "/", "Content-Type: multipart/mixed; boundary=a\r\nContent-Length: 1\r\n\r\nx"),
        (415, "/", "Content-Length: 1\r\n\r\nx"),
        (415, "/", &format!("{FORM}Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx")),
        (403, "/", &format!("{FORM}Origin: http://evil.example\r\nContent-Length: 1\r\n\r\nx")),
        (405, "/a.txt", &format!("{FORM}Content-Length: 1\r\n\r\nx")),
        (411, "/", &format!("{FORM}\r\n")),
    ] {
        let request = format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}");
        let (given, left) = answer(&store(), &request);
        assert_eq!((given, left), (status, store()), "{request}");
    }
}

#[test]
fn http_forms_obey_the_limit_on_uploads() {
    let limits = Limits { upload_bytes: 150, ..Limits::default() };
    let settings = Settings { limits, ..pinned(Wire::Http) };
    for (len, status) in [(5, 303), (60, 413)] {
        let content = part("b", &"x".repeat(len)) + "--AaB--";
        for form in forms("", &content, &[40]) {
            let outcome = Conversation::outcome(settings.clone(), store(), [&form[..]]);
            let output = text(&outcome.output);
            assert!(output.starts_with(&format!("HTTP/1.1 {status} ")), "{output}");
            assert_eq!(outcome.store.content("b").is_some(), status == 303);
        }
    }
}

#[test]
fn http_forms_that_break_off_keep_what_was_whole() {
    let content = part("b", "new") + &part("c", "cut off");
    let [sized, chunked] = forms("", &content, &[50]);
    for form in [&sized[..sized.len() - 5], &chunked[..chunked.len() - 12]] {
        let outcome = Conversation::outcome(pinned(Wire::Http), store(), [form]);
        let output = text(&outcome.output);
        assert!(output.starts_with("HTTP/1.1 400 "), "{output}");
        assert!(output.ends_with("stored before the error:\nb\n"), "{output}");
        assert_eq!(outcome.store.content("b"), Some(&b"new"[..]));
        assert_eq!((outcome.store.content("c"), outcome.store.aborted), (None, 1));
    }
}

#[test]
fn a_form_that_stalls_is_refused_and_nothing_is_held() {
    let content = part("b", "new") + &part("c", "x");
    let [form, _] = forms("", &content, &[50]);
    // In the head, in the preamble, in a file, between two files.
    for cut in [20, 130, 200, 250, 320] {
        let mut conversation = Conversation::new(pinned(Wire::Http), store());
        conversation.deliver(&form[..cut]);
        conversation.pass(std::time::Duration::from_secs(20));
        let output = conversation.take_output();
        assert!(output.starts_with("HTTP/1.1 408 "), "{cut}: {output}");
        conversation.pass(std::time::Duration::from_secs(5));
        assert!(conversation.closed);
    }
}

#[test]
fn a_405_names_the_methods_of_its_target() {
    for (request, methods) in [
        ("DELETE /a.txt", "GET, HEAD, PUT, OPTIONS"),
        ("DELETE /", "GET, HEAD, POST, OPTIONS"),
        ("PATCH /a.txt", "GET, HEAD, PUT, OPTIONS"),
        ("PUT /", "GET, HEAD, POST, OPTIONS"),
        ("POST /.tus/x", "GET, HEAD, PUT, PATCH, OPTIONS"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        let (output, _) = kept(Wire::Http, request.as_bytes());
        let words = "the method is not allowed\n";
        let fields = format!("Allow: {methods}\r\n");
        assert_eq!(output, text_reply("405 Method Not Allowed", &fields, words, ""));
    }
}
