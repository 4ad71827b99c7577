//! Conversations on each wire, word for word. Each has the same result whether its bytes arrive
//! whole, one by one, or with more behind them.

use fileserver_proto::{Settings, Wire};

use crate::support::Conversation;
use crate::support::transcript::{
    CLOSE, LISTING, converse, file_head, head, kept, last, store, text, text_reply,
};

#[test]
fn framed_get_is_answered_by_data_of_the_smallest_type() {
    let (output, _) = kept(Wire::Framed, b"\x07\x00\x05a.txt");
    assert_eq!(output, "\x02\x05alpha");
    let (output, _) = kept(Wire::Framed, b"\x07\x00\x05empty");
    assert_eq!(output, "\x02\x00");
    let (output, _) = kept(Wire::Framed, b"\x07\x00\x05large");
    assert_eq!(output, format!("\x03\x01\x2c{}", "x".repeat(300)));
}

#[test]
fn framed_get_of_no_file_is_an_error_after_which_the_connection_goes_on() {
    let (output, _) = kept(Wire::Framed, b"\x07\x00\x04none\x07\x00\x05a.txt");
    assert_eq!(output, "\x08\x00\x12no such file: none\x02\x05alpha");
}

#[test]
fn framed_data_is_stored_under_its_announced_name() {
    let (output, store) = kept(Wire::Framed, b"\x01\x00\x05b.txt\x02\x03new");
    assert_eq!(output, "\x01\x00\x02OK\x01\x00\x0bSAVED b.txt");
    assert_eq!(store.content("b.txt"), Some(&b"new"[..]));
    assert_eq!(store.size_hints, [Some(3)]);
}

#[test]
fn framed_data_of_a_taken_name_tells_the_name_it_got() {
    let (output, store) = kept(Wire::Framed, b"\x01\x00\x05a.txt\x02\x03new");
    assert_eq!(output, "\x01\x00\x02OK\x01\x00\x11SAVED a_copy1.txt");
    assert_eq!(store.content("a_copy1.txt"), Some(&b"new"[..]));
    assert_eq!(store.content("a.txt"), Some(&b"alpha"[..]));
}

#[test]
fn framed_data_without_a_name_gets_a_random_one_in_every_size_type() {
    for head in [
        &b"\x02\x03"[..],
        b"\x03\x00\x03",
        b"\x04\x00\x00\x03",
        b"\x05\x00\x00\x00\x03",
        b"\x06\x00\x00\x00\x00\x00\x00\x00\x03",
    ] {
        let (output, store) = kept(Wire::Framed, &[head, b"new"].concat());
        assert_eq!(output, "\x01\x00\x12SAVED random01.bin");
        assert_eq!(store.content("random01.bin"), Some(&b"new"[..]));
    }
    let (_, store) = kept(Wire::Framed, b"\x02\x00");
    assert_eq!(store.content("random01.bin"), Some(&b""[..]));
}

#[test]
fn a_framed_name_serves_one_upload_and_is_forgotten_by_a_get() {
    let (output, _) = kept(Wire::Framed, b"\x01\x00\x01b\x02\x01x\x02\x01y");
    assert_eq!(output, "\x01\x00\x02OK\x01\x00\x07SAVED b\x01\x00\x12SAVED random01.bin");
    let (output, _) = kept(Wire::Framed, b"\x01\x00\x01b\x07\x00\x05a.txt\x02\x01x");
    assert_eq!(output, "\x01\x00\x02OK\x02\x05alpha\x01\x00\x12SAVED random01.bin");
}

#[test]
fn http_get_is_answered_by_the_file() {
    let (output, _) = kept(Wire::Http, b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    let expected = file_head("text/plain; charset=utf-8", "Content-Length: 5\r\n") + "alpha";
    assert_eq!(output, expected);

    let (output, _) = kept(Wire::Http, b"GET http://h/a.txt?q=1 HTTP/1.1\nHost: h\n\n");
    assert_eq!(output, expected);

    let request = b"GET /sub/two%20words.html HTTP/1.1\r\nhost:h:8800\r\nAccept: */*\r\n\r\n";
    let (output, _) = kept(Wire::Http, request);
    let expected = file_head("text/html; charset=utf-8", "Content-Length: 3\r\n") + "<p>";
    assert_eq!(output, expected);

    let (output, _) = kept(Wire::Http, b"GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(output, file_head("application/octet-stream", "Content-Length: 0\r\n"));
}

#[test]
fn http_head_is_answered_by_the_head_alone() {
    let (output, _) = kept(Wire::Http, b"HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(output, file_head("text/plain; charset=utf-8", "Content-Length: 5\r\n"));
    let (output, _) = kept(Wire::Http, b"HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n");
    let fields = "Content-Type: text/plain; charset=utf-8\r\n";
    assert_eq!(output, head("404 Not Found", fields, "Content-Length: 13\r\n"));
    let (output, _) = kept(Wire::Http, b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(output, head("200 OK", LISTING, "Content-Length: 37\r\n"));
}

#[test]
fn http_get_of_the_root_lists_the_files() {
    let (output, _) = kept(Wire::Http, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let body = "a.txt\nempty\nlarge\nsub/two words.html\n";
    assert_eq!(output, head("200 OK", LISTING, "Content-Length: 37\r\n") + body);
}

#[test]
fn http_get_of_no_file_is_not_found_and_the_connection_goes_on() {
    let (output, _) = kept(Wire::Http, b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(output, text_reply("404 Not Found", "", "no such file\n", ""));
}

#[test]
fn http_put_stores_its_body() {
    let request = b"PUT /b%20%C3%A9.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nnew";
    let (output, store) = kept(Wire::Http, request);
    let location = "Location: /b%20%C3%A9.txt\r\n";
    assert_eq!(output, text_reply("201 Created", location, "b \u{e9}.txt\n", ""));
    assert_eq!(store.content("b \u{e9}.txt"), Some(&b"new"[..]));
    assert_eq!(store.size_hints, [Some(3)]);

    let request = b"PUT /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let (output, store) = kept(Wire::Http, request);
    let location = "Location: /a_copy1.txt\r\n";
    assert_eq!(output, text_reply("201 Created", location, "a_copy1.txt\n", ""));
    assert_eq!(store.content("a_copy1.txt"), Some(&b""[..]));
}

#[test]
fn http_put_in_chunks_stores_their_content() {
    let request = b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n\
        3;name=value\r\nnew\r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    let (output, store) = kept(Wire::Http, request);
    assert_eq!(output, text_reply("201 Created", "Location: /b\r\n", "b\n", ""));
    assert_eq!(store.content("b"), Some(&b"new0123456789"[..]));
    assert_eq!(store.size_hints, [None]);
}

#[test]
fn http_put_that_waits_is_told_to_continue() {
    let request = b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\
        Expect: 100-Continue\r\n\r\nnew";
    let (output, store) = kept(Wire::Http, request);
    let reply = text_reply("201 Created", "Location: /b\r\n", "b\n", "");
    assert_eq!(output, format!("HTTP/1.1 100 Continue\r\n\r\n{reply}"));
    assert_eq!(store.content("b"), Some(&b"new"[..]));
}

#[test]
fn http_connections_end_when_the_peer_says_so() {
    let body = "alpha";
    let media_type = "text/plain; charset=utf-8";
    let (output, _) =
        last(Wire::Http, b"GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n");
    let end = format!("Content-Length: 5\r\n{CLOSE}");
    assert_eq!(output, file_head(media_type, &end) + body);

    let (output, _) = last(Wire::Http, b"GET /a.txt HTTP/1.0\r\n\r\n");
    assert_eq!(output, file_head(media_type, &end) + body);

    let (output, _) = kept(Wire::Http, b"GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let end = "Content-Length: 5\r\nConnection: keep-alive\r\n";
    assert_eq!(output, file_head(media_type, end) + body);
}

#[test]
fn http_ignores_empty_lines_before_a_request() {
    let request = b"GET /empty HTTP/1.1\r\nHost: h\r\n\r\n\r\n\n\r\n\
        HEAD /empty HTTP/1.1\r\nHost: h\r\n\r\n";
    let (output, _) = kept(Wire::Http, request);
    let one = file_head("application/octet-stream", "Content-Length: 0\r\n");
    assert_eq!(output, format!("{one}{one}"));
}

#[test]
fn a_text_line_gets_the_file_and_the_end() {
    for line in
        [&b"a.txt\n"[..], b"a.txt\r\n", b"\xff\xfd\x03\xff\xfa\x18\n\xff\xf0a.t\xff\xf1xt\r\n"]
    {
        let (output, _) = last(Wire::Text, line);
        assert_eq!(output, "alpha", "{line:?}");
    }
    assert_eq!(last(Wire::Text, b"sub/two words.html\n").0, "<p>");
    assert_eq!(last(Wire::Text, b"empty\n").0, "");
}

#[test]
fn the_end_of_the_stream_ends_a_text_line() {
    for line in [&b"a.txt"[..], b"a.txt\r", b"\xff\xfb\x01a.txt", b"a.txt\xff", b"a.txt\xff\xfb"] {
        assert_eq!(text(&converse(Wire::Text, line).output), "alpha", "{line:?}");
    }
}

#[test]
fn a_text_line_that_names_no_file_gets_an_error_and_the_end() {
    let long = format!("{}\n", "x".repeat(4097));
    for (line, output) in [
        (&b"none\r\n"[..], "ERROR no such file: none\r\n"),
        (b"GET a.txt\n", "ERROR no such file: GET a.txt\r\n"),
        (b"\n", "ERROR the name is empty\r\n"),
        (b"../a\n", "ERROR the name has an empty, '.' or '..' component\r\n"),
        (b"/etc/passwd\n", "ERROR the name is absolute\r\n"),
        (b"a\xff\xffb\n", "ERROR the name is not UTF-8\r\n"),
        (b"a\tb\n", "ERROR the name has a backslash or a control character\r\n"),
    ] {
        assert_eq!(last(Wire::Text, line).0, output, "{line:?}");
    }
    let outcome = Conversation::outcome(Settings::default(), store(), [long.as_bytes()]);
    assert_eq!(text(&outcome.output), "ERROR the line is longer than 4096 bytes\r\n");
    let bytewise = Conversation::outcome(Settings::default(), store(), long.as_bytes().chunks(1));
    assert_eq!(outcome, bytewise);
}

#[test]
fn a_peer_that_shuts_its_side_down_still_gets_every_answer() {
    let input = b"\x07\x00\x05large\x07\x00\x05a.txt";
    let mut conversation = Conversation::new(Settings::default(), store());
    conversation.send_bytes = 7;
    conversation.deliver(input).end();
    assert!(conversation.closed && !conversation.finished_sending);
    let expected = format!("\x03\x01\x2c{}\x02\x05alpha", "x".repeat(300));
    assert_eq!(conversation.take_output(), expected);
}

#[test]
fn a_reply_that_goes_out_bit_by_bit_is_the_same() {
    for input in [
        &b"GET /large HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"\x07\x00\x05large\x01\x00\x01b\x02\x01x",
        b"large\n",
    ] {
        let whole = Conversation::outcome(Settings::default(), store(), [input]);
        for send_bytes in [1, 2, 299] {
            let mut conversation = Conversation::new(Settings::default(), store());
            conversation.send_bytes = send_bytes;
            conversation.deliver(input).end();
            assert_eq!(conversation.output, whole.output);
        }
    }
}

#[test]
fn a_transfer_that_breaks_off_leaves_nothing() {
    for input in [
        &b"\x01\x00\x01b\x02\x05abc"[..],
        b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc",
        b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    ] {
        let outcome = Conversation::outcome(Settings::default(), store(), [input]);
        assert_eq!(outcome.store.files, store().files);
        assert_eq!(outcome.store.aborted, 1);
        assert!(!text(&outcome.output).contains("201"));
    }
}
