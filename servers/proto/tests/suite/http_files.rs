//! Conditions, ranges, and the listing in its formats, word for word.

use fileserver_proto::Wire;

use crate::support::MemoryStore;
use crate::support::transcript::{converse_with, file_head, head, kept, text, text_reply};

const TAG: &str = "\"ae1b96b26a28005-5-7\"";

/// The answer to a request for `a.txt` with these fields.
fn get(fields: &str) -> String {
    let (output, store) = kept(Wire::Http, request("GET", fields).as_bytes());
    assert_eq!(store, crate::support::transcript::store());
    output
}

fn request(method: &str, fields: &str) -> String {
    format!("{method} /a.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

fn whole() -> String {
    file_head("text/plain; charset=utf-8", "Content-Length: 5\r\n") + "alpha"
}

fn not_modified() -> String {
    head("304 Not Modified", &format!("ETag: {TAG}\r\n"), "")
}

fn part(range: &str, content: &str) -> String {
    let fields = format!(
        "ETag: {TAG}\r\nLast-Modified: Sun, 06 Nov 1994 08:48:00 GMT\r\n\
         Content-Range: bytes {range}/5\r\nAccept-Ranges: bytes\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n",
        content.len()
    );
    head("206 Partial Content", &fields, "") + content
}

#[test]
fn http_sends_nothing_that_the_peer_has() {
    for fields in [
        &format!("If-None-Match: {TAG}\r\n"),
        &format!("if-none-match: \"x\", W/{TAG}\r\n"),
        &format!("If-None-Match: \"x\"\r\nIf-None-Match: {TAG}\r\n"),
        "If-None-Match: *\r\n",
        "If-Modified-Since: Sun, 06 Nov 1994 08:48:00 GMT\r\n",
        "If-Modified-Since: Sunday, 06-Nov-94 08:48:01 GMT\r\n",
        "If-Modified-Since: Sun Nov  6 08:48:00 1994\r\n",
        &format!("If-None-Match: {TAG}\r\nIf-Modified-Since: Sun, 06 Nov 1994 00:00:00 GMT\r\n"),
        &format!("If-None-Match: {TAG}\r\nRange: bytes=0-0\r\n"),
    ] {
        assert_eq!(get(fields), not_modified(), "{fields}");
        let (output, _) = kept(Wire::Http, request("HEAD", fields).as_bytes());
        assert_eq!(output, not_modified(), "{fields}");
    }
}

#[test]
fn http_sends_what_has_changed() {
    for fields in [
        "If-None-Match: \"x\"\r\n",
        "If-None-Match: nonsense\r\n",
        "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:48:00 GMT\r\n",
        "If-Modified-Since: Sun, 06 Nov 1994 08:47:59 GMT\r\n",
        "If-Modified-Since: yesterday\r\n",
        &format!("If-Match: {TAG}\r\n"),
        "If-Match: *\r\n",
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:48:00 GMT\r\n",
        &format!("If-Match: {TAG}\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 00:00:00 GMT\r\n"),
    ] {
        assert_eq!(get(fields), whole(), "{fields}");
    }
}

#[test]
fn http_sends_no_other_file_than_the_peer_wants() {
    let refused =
        text_reply("412 Precondition Failed", "", "the file does not meet the condition\n", "");
    for fields in [
        "If-Match: \"x\"\r\n",
        &format!("If-Match: W/{TAG}\r\n"),
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:47:59 GMT\r\n",
        &format!("If-Match: \"x\"\r\nIf-None-Match: {TAG}\r\n"),
        "If-Match: \"x\"\r\nRange: bytes=0-0\r\n",
    ] {
        assert_eq!(get(fields), refused, "{fields}");
    }
}

#[test]
fn http_sends_the_part_that_is_asked_for() {
    for (fields, range, content) in [
        ("Range: bytes=0-0\r\n", "0-0", "a"),
        ("Range: bytes=1-3\r\n", "1-3", "lph"),
        ("Range: bytes=2-\r\n", "2-4", "pha"),
        ("Range: bytes=2-99\r\n", "2-4", "pha"),
        ("Range: bytes=-2\r\n", "3-4", "ha"),
        ("Range: bytes=-99\r\n", "0-4", "alpha"),
        (&format!("Range: bytes=4-\r\nIf-Range: {TAG}\r\n"), "4-4", "a"),
        ("If-Range: Sun, 06 Nov 1994 08:48:00 GMT\r\nRange: bytes=4-\r\n", "4-4", "a"),
        ("Range: bytes=4-\r\nIf-None-Match: \"x\"\r\n", "4-4", "a"),
    ] {
        assert_eq!(get(fields), part(range, content), "{fields}");
    }
}

#[test]
fn http_sends_the_whole_where_a_range_means_nothing() {
    for fields in [
        "Range: bytes=0-0,2-2\r\n",
        "Range: bytes=3-1\r\n",
        "Range: lines=0-1\r\n",
        "Range: nonsense\r\n",
        "Range: bytes=0-0\r\nRange: bytes=0-0\r\n",
        "Range: bytes=0-0\r\nIf-Range: \"x\"\r\n",
        &format!("Range: bytes=0-0\r\nIf-Range: W/{TAG}\r\n"),
        "Range: bytes=0-0\r\nIf-Range: Sun, 06 Nov 1994 08:48:01 GMT\r\n",
        // Without a range, If-Range has no effect.
        "If-Range: \"x\"\r\n",
    ] {
        assert_eq!(get(fields), whole(), "{fields}");
    }
    let (output, _) = kept(Wire::Http, request("HEAD", "Range: bytes=0-0\r\n").as_bytes());
    assert_eq!(output, file_head("text/plain; charset=utf-8", "Content-Length: 5\r\n"));
}

#[test]
fn http_has_no_bytes_behind_the_end() {
    for fields in ["Range: bytes=5-\r\n", "Range: bytes=99-100\r\n", "Range: bytes=-0\r\n"] {
        let refused = text_reply(
            "416 Range Not Satisfiable",
            "Content-Range: bytes */5\r\n",
            "the range is outside the file\n",
            "",
        );
        assert_eq!(get(fields), refused, "{fields}");
    }
}

#[test]
fn http_conditions_hold_for_one_request_only() {
    let conditional = request("GET", &format!("If-None-Match: {TAG}\r\n"));
    let none = "GET /none HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n";
    let input = conditional + none + &request("GET", "");
    let (output, _) = kept(Wire::Http, input.as_bytes());
    let not_found = text_reply("404 Not Found", "", "no such file\n", "");
    assert_eq!(output, not_modified() + &not_found + &whole());
}

#[test]
fn http_options_tell_what_may_be_asked() {
    for (target, methods) in [
        ("*", "GET, HEAD, PUT, POST, PATCH, OPTIONS"),
        ("/", "GET, HEAD, POST, OPTIONS"),
        ("/?x", "GET, HEAD, POST, OPTIONS"),
        ("/any", "GET, HEAD, PUT, OPTIONS"),
        ("http://h/any", "GET, HEAD, PUT, OPTIONS"),
        ("/.tus/ab", "GET, HEAD, PUT, PATCH, OPTIONS"),
    ] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (output, _) = kept(Wire::Http, request.as_bytes());
        let fields = format!(
            "Allow: {methods}\r\nTus-Resumable: 1.0.0\r\nTus-Version: 1.0.0\r\n\
             Tus-Extension: creation\r\nTus-Max-Size: 1099511627776\r\n"
        );
        assert_eq!(output, head("204 No Content", &fields, ""), "{target}");
    }
}

#[test]
fn http_lists_in_the_format_that_the_peer_prefers() {
    let store = MemoryStore::with(&[("<b>&\"'.txt", b"12345")]);
    let list = |accept: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n");
        text(&converse_with(&store, Wire::Http, request.as_bytes()).output)
    };
    let variety = "Cache-Control: no-cache\r\nVary: Accept\r\n";

    let json = "[{\"name\":\"<b>&\\\"'.txt\",\"size_bytes\":5,\
        \"modified\":\"1970-01-01T00:00:00Z\"}]\n";
    let fields = format!("Content-Type: application/json\r\n{variety}Content-Length: 74\r\n");
    assert_eq!(json.len(), 74);
    assert_eq!(list("application/json"), head("200 OK", &fields, "") + json);

    let page = list("text/html,application/xhtml+xml,*/*;q=0.8");
    let (page_head, page) = page.split_once("\r\n\r\n").expect("a head");
    assert_eq!(
        format!("{page_head}\r\n\r\n"),
        head(
            "200 OK",
            &format!(
                "Content-Type: text/html; charset=utf-8\r\n{variety}\
                 Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
                 script-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; \
                 img-src data:; base-uri 'none'; frame-ancestors 'none'\r\n\
                 Content-Length: {}\r\n",
                page.len()
            ),
            ""
        )
    );
    assert!(page.starts_with("<!doctype html>") && page.contains("<code>threads-vs-selectors<"));
    assert!(page.contains(
        "<tbody id=\"list\">\n<tr><td><a href=\"/%3Cb%3E%26%22%27.txt\">\
         &lt;b&gt;&amp;&quot;&#39;.txt</a><td>5 B<td>1970-01-01 00:00\n</tbody>"
    ));

    let fields = format!("Content-Type: text/plain; charset=utf-8\r\n{variety}");
    for accept in ["*/*", "text/html;q=0, */*", ""] {
        let text = head("200 OK", &fields, "Content-Length: 12\r\n") + "<b>&\"'.txt\n";
        assert_eq!(list(accept), text.replace("Length: 12", "Length: 11"), "{accept}");
    }

    let request = b"HEAD / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n";
    let output = text(&converse_with(&store, Wire::Http, request).output);
    assert!(output.ends_with("Content-Length: 74\r\n\r\n"));
}

#[test]
fn http_keeps_scripts_in_files_from_acting() {
    let store = MemoryStore::with(&[("a.HTM", b""), ("a.svg", b""), ("a.js", b"")]);
    for (name, sandboxed) in [("a.HTM", true), ("a.svg", true), ("a.js", false)] {
        let request = format!("GET /{name} HTTP/1.1\r\nHost: h\r\n\r\n");
        let output = text(&converse_with(&store, Wire::Http, request.as_bytes()).output);
        assert!(output.contains("X-Content-Type-Options: nosniff\r\n"));
        let policy = "\r\nContent-Security-Policy: sandbox\r\n";
        assert_eq!(output.contains(policy), sandboxed, "{name}");
    }
}
