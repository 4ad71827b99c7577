//! Examples of replies, each read whole, byte by byte and with trailing data.

use super::*;

/// Decoded reply: its head, its body, and whether it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    head: ReplyHead,
    text: String,
    body: Vec<u8>,
    ended: bool,
}

/// Reads `bytes` in pieces of `step`.
fn read(wire: Wire, bytes: &[u8], step: usize) -> Result<Vec<Seen>, ReplyError> {
    let mut reader = ReplyReader::new(wire);
    let mut seen: Vec<Seen> = Vec::new();
    for mut piece in bytes.chunks(step) {
        loop {
            match reader.next(&mut piece)? {
                ReplyEvent::NeedMore => {
                    assert!(piece.is_empty(), "more is wanted with {piece:?} unused");
                    break;
                }
                ReplyEvent::Head(head) => seen.push(Seen {
                    head,
                    text: reader.text().into_owned(),
                    body: Vec::new(),
                    ended: false,
                }),
                ReplyEvent::Body(body) => {
                    assert!(!body.is_empty());
                    seen.last_mut().unwrap().body.extend_from_slice(body);
                }
                ReplyEvent::End => seen.last_mut().unwrap().ended = true,
            }
        }
    }
    Ok(seen)
}

/// Reads `bytes` in every way and asserts that the results are the same.
fn read_in_every_way(wire: Wire, bytes: &[u8]) -> Result<Vec<Seen>, ReplyError> {
    let whole = read(wire, bytes, bytes.len());
    for step in 1..bytes.len().min(64) {
        assert_eq!(read(wire, bytes, step), whole, "in pieces of {step}");
    }
    whole
}

/// Reads `bytes` twice in a row and asserts that the reply comes twice.
fn read_one(wire: Wire, bytes: &[u8]) -> Seen {
    let one = read_in_every_way(wire, bytes).unwrap();
    let two = read_in_every_way(wire, &[bytes, bytes].concat()).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(two, [one[0].clone(), one[0].clone()]);
    one[0].clone()
}

fn status(status: u16, body_bytes: Option<u64>, keep_alive: bool) -> ReplyHead {
    ReplyHead { kind: ReplyKind::Status(status), body_bytes, keep_alive }
}

#[test]
fn a_counted_body_ends_by_its_length() {
    let seen =
        read_one(Wire::Http, b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(seen.head, status(200, Some(5), true));
    assert_eq!((seen.body.as_slice(), seen.ended), (&b"hello"[..], true));
}

#[test]
fn replies_without_a_body_end_at_once() {
    for head in ["200 OK\r\ncontent-length: 0", "204 No Content", "304 Not Modified\r\nETag: x"] {
        let seen = read_one(Wire::Http, format!("HTTP/1.1 {head}\r\n\r\n").as_bytes());
        assert!(seen.ended && seen.body.is_empty(), "{head}");
        assert_eq!(seen.head.body_bytes, Some(0), "{head}");
    }
}

#[test]
fn chunks_are_joined() {
    let seen = read_one(
        Wire::Http,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          4\r\nWiki\r\n6;ext=\"v\"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n",
    );
    assert_eq!(seen.head, status(200, None, true));
    assert_eq!(seen.body, b"Wikipedia in \r\n\r\nchunks.");
    assert!(seen.ended);
}

#[test]
fn without_a_length_the_close_is_the_end() {
    let bytes = b"HTTP/1.0 200 OK\r\n\r\nall of it";
    let seen = read_in_every_way(Wire::Http, bytes).unwrap();
    assert_eq!(seen[0].head, status(200, None, false));
    assert_eq!((seen[0].body.as_slice(), seen[0].ended), (&b"all of it"[..], false));

    let mut reader = ReplyReader::new(Wire::Http);
    let mut input = &bytes[..];
    while reader.next(&mut input).unwrap() != ReplyEvent::NeedMore {}
    assert_eq!(reader.close(), Ok(()));
}

#[test]
fn whether_the_connection_stays_open_follows_version_and_header() {
    for (version, header, keep_alive) in [
        ("1.1", "X: y", true),
        ("1.1", "Connection: close", false),
        ("1.1", "connection: x, Close", false),
        ("1.0", "X: y", false),
        ("1.0", "Connection: Keep-Alive", true),
    ] {
        let reply = format!("HTTP/{version} 200 OK\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        let seen = read_one(Wire::Http, reply.as_bytes());
        assert_eq!(seen.head.keep_alive, keep_alive, "{version} {header}");
    }
}

#[test]
fn interim_replies_are_passed_over() {
    let seen = read_one(
        Wire::Http,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /a%20b\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(seen.head, status(201, Some(2), true));
    assert_eq!(seen.text, "/a%20b");
}

#[test]
fn a_reply_to_head_is_its_head_alone() {
    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let mut reader = ReplyReader::new(Wire::Http);
    for _ in 0..2 {
        reader.expect_head_only();
        let mut input = &reply[..];
        assert_eq!(reader.next(&mut input), Ok(ReplyEvent::Head(status(200, Some(5), true))));
        assert_eq!(reader.next(&mut input), Ok(ReplyEvent::End));
    }
    let input = [&reply[..], b"hello"].concat();
    let mut input = &input[..];
    assert_eq!(reader.next(&mut input), Ok(ReplyEvent::Head(status(200, Some(5), true))));
    assert_eq!(reader.next(&mut input), Ok(ReplyEvent::Body(b"hello")));
}

#[test]
fn fields_are_kept_where_that_is_asked_for() {
    let reply = b"HTTP/1.1 100 Continue\r\nA: 0\r\n\r\nHTTP/1.1 204 No Content\r\na:  b: c \r\nA: d\r\n\r\n";
    for step in 1..=reply.len() {
        let mut reader = ReplyReader::keeping_fields(Wire::Http);
        for mut piece in reply.chunks(step) {
            while reader.next(&mut piece).unwrap() != ReplyEvent::NeedMore {}
        }
        assert_eq!((reader.field("A"), reader.field("b")), (Some("b: c"), None));
    }
    let mut reader = ReplyReader::new(Wire::Http);
    let _ = reader.next(&mut &reply[..]);
    assert_eq!(reader.field("A"), None);
}

#[test]
fn http_that_can_be_read_in_two_ways_is_refused() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
        "SSH-2.0-OpenSSH_9\r\n\r\n",
    ] {
        let read = read_in_every_way(Wire::Http, reply.as_bytes());
        assert!(matches!(read, Err(ReplyError::Malformed(_))), "{reply}: {read:?}");
    }
}

#[test]
fn a_head_like_the_one_before_means_the_same_and_another_does_not() {
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let longer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n";
    let created = "HTTP/1.1 201 OK\r\nContent-Length: 0\r\nLocation: /a\r\n\r\n";
    let empty = "HTTP/1.1 204 No\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let two = status(200, Some(2), true);
    let replies = [
        (counted, "ab", two, ""),
        (counted, "cd", two, ""),
        (longer, "ef", two, ""),
        (created, "", status(201, Some(0), true), "/a"),
        (created, "", status(201, Some(0), true), "/a"),
        (counted, "gh", two, ""),
        (empty, "", status(204, Some(0), true), ""),
        (empty, "", status(204, Some(0), true), ""),
        (chunked, "1\r\nx\r\n0\r\n\r\n", status(200, None, true), ""),
        (chunked, "0\r\n\r\n", status(200, None, true), ""),
    ];
    let bytes: String = replies.iter().flat_map(|(head, body, ..)| [*head, *body]).collect();
    let seen = read_in_every_way(Wire::Http, bytes.as_bytes()).unwrap();
    assert_eq!(seen.len(), replies.len());
    for (seen, (head, body, told, text)) in seen.iter().zip(replies) {
        assert_eq!((seen.head, seen.text.as_str(), seen.ended), (told, text, true), "{head}");
        if told.body_bytes.is_some() {
            assert_eq!(seen.body, body.as_bytes(), "{head}");
        }
    }
}

#[test]
fn an_endless_head_is_refused() {
    let mut reply = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    reply.resize(MAX_HEAD_BYTES + 100, b'x');
    assert!(matches!(read(Wire::Http, &reply, 4096), Err(ReplyError::Malformed(_))));
}

#[test]
fn framed_data_has_its_size_in_any_width() {
    for head in [
        &[0x02, 3][..],
        &[0x03, 0, 3],
        &[0x04, 0, 0, 3],
        &[0x05, 0, 0, 0, 3],
        &[0x06, 0, 0, 0, 0, 0, 0, 0, 3],
    ] {
        let seen = read_one(Wire::Framed, &[head, b"abc"].concat());
        let kind = ReplyKind::Data;
        assert_eq!(seen.head, ReplyHead { kind, body_bytes: Some(3), keep_alive: true });
        assert_eq!((seen.body.as_slice(), seen.ended), (&b"abc"[..], true));
    }
    assert!(read_one(Wire::Framed, &[0x02, 0]).ended);
}

#[test]
fn framed_texts_and_errors_are_held() {
    let seen = read_one(Wire::Framed, b"\x01\x00\x0bSAVED a.png");
    assert_eq!((seen.head.kind, seen.text.as_str()), (ReplyKind::Text, "SAVED a.png"));
    let seen = read_one(Wire::Framed, b"\x08\x00\x0cno such file");
    assert_eq!((seen.head.kind, seen.text.as_str()), (ReplyKind::Error, "no such file"));
    assert!(!seen.head.kind.is_success());
    assert!(read_one(Wire::Framed, b"\x01\x00\x00").ended);
}

#[test]
fn framed_garbage_is_refused() {
    for bytes in [&b"\x00"[..], b"\x07\x00\x01a", b"HTTP", b"\x01\x10\x01"] {
        assert!(matches!(read_in_every_way(Wire::Framed, bytes), Err(ReplyError::Malformed(_))));
    }
}

#[test]
fn a_close_is_told_apart_by_where_it_comes() {
    for (wire, bytes, close) in [
        (Wire::Http, &b""[..], Err(ReplyError::NoReply)),
        (Wire::Http, b"HTT", Err(ReplyError::Truncated)),
        (Wire::Http, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1", Err(ReplyError::Truncated)),
        (Wire::Framed, b"\x03\x01", Err(ReplyError::Truncated)),
        (Wire::Framed, b"\x02\x02a", Err(ReplyError::Truncated)),
        (Wire::Framed, b"\x02\x01a", Err(ReplyError::NoReply)),
        (Wire::Text, b"anything", Ok(())),
    ] {
        let mut reader = ReplyReader::new(wire);
        let mut input = bytes;
        while reader.next(&mut input).unwrap() != ReplyEvent::NeedMore {}
        assert_eq!(reader.close(), close, "{bytes:?}");
    }
}

#[test]
fn every_line_is_a_reply_where_lines_are_read() {
    let bytes = b"one\r\n\ntwo";
    for step in 1..=bytes.len() {
        let mut reader = ReplyReader::of_lines();
        let (mut replies, mut body) = (Vec::new(), Vec::new());
        for mut piece in bytes.chunks(step) {
            loop {
                match reader.next(&mut piece).unwrap() {
                    ReplyEvent::NeedMore => break,
                    ReplyEvent::Head(head) => assert!(head.keep_alive && body.is_empty()),
                    ReplyEvent::Body(piece) => body.extend_from_slice(piece),
                    ReplyEvent::End => replies.push(std::mem::take(&mut body)),
                }
            }
        }
        assert_eq!(replies, [&b"one\r\n"[..], b"\n"], "in pieces of {step}");
        assert_eq!(reader.close(), Err(ReplyError::Truncated));
        reader.reset();
        assert_eq!(reader.close(), Err(ReplyError::NoReply));
    }
}

#[test]
fn a_reply_without_a_head_has_the_expected_length() {
    for step in 1..=7 {
        let mut reader = ReplyReader::new(Wire::Text);
        assert_eq!(
            reader.close(),
            Ok(()),
            "without a length, the end is the end of the connection"
        );
        for _ in 0..2 {
            reader.expect_bytes(5);
            assert_eq!(reader.close(), Err(ReplyError::NoReply));
            let (mut body, mut ended) = (Vec::new(), false);
            for mut piece in b"12345".chunks(step) {
                while !ended {
                    match reader.next(&mut piece).unwrap() {
                        ReplyEvent::NeedMore => {
                            assert_eq!(reader.close(), Err(ReplyError::Truncated));
                            break;
                        }
                        ReplyEvent::End => ended = true,
                        ReplyEvent::Head(head) => assert_eq!(head.body_bytes, Some(5)),
                        ReplyEvent::Body(piece) => body.extend_from_slice(piece),
                    }
                }
            }
            assert_eq!((body.as_slice(), ended), (&b"12345"[..], true));
        }
    }
}
