//! Timeouts and draining, with simulated time.

use std::time::Duration;

use fileserver_proto::{Settings, Wire};

use crate::support::{Conversation, MemoryStore, pinned};

const SECOND: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";

fn store() -> MemoryStore {
    MemoryStore::with(&[("a.txt", b"alpha")])
}

/// The length of the whole reply to [`GET`].
fn reply_bytes() -> usize {
    conversation().deliver(GET).output.len()
}

fn conversation() -> Conversation {
    Conversation::new(Settings::default(), store())
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let mut conversation = conversation();
    conversation.pass(74 * SECOND);
    assert!(!conversation.closed);
    conversation.deliver(GET).take_output();
    conversation.pass(74 * SECOND);
    assert!(!conversation.closed && conversation.session.is_idle());
    conversation.pass(SECOND);
    assert!(conversation.closed && !conversation.finished_sending);
    assert_eq!(conversation.take_output(), "");
}

#[test]
fn a_silence_ends_a_name_that_came_in_one_piece() {
    const QUIET_NAME: Duration = Duration::from_millis(500);
    for wire in [None, Some(Wire::Text)] {
        let settings = || wire.map_or_else(Settings::default, pinned);
        let mut conversation = Conversation::new(settings(), store());
        conversation.deliver(b"a.txt").pass(QUIET_NAME / 2);
        assert_eq!(conversation.take_output(), "");
        conversation.pass(QUIET_NAME / 2);
        assert_eq!(conversation.take_output(), "alpha");
        assert!(conversation.finished_sending);

        // More pieces may follow: a person types, or the end was lost.
        for pieces in [[&b"a"[..], b".txt"], [b"a.", b"txt"]] {
            let mut conversation = Conversation::new(settings(), store());
            conversation.deliver(pieces[0]).pass(QUIET_NAME / 2).deliver(pieces[1]);
            conversation.pass(19 * SECOND);
            assert_eq!(conversation.take_output(), "", "{pieces:?}");
            conversation.deliver(b"\n");
            assert_eq!(conversation.take_output(), "alpha", "{pieces:?}");
        }
        let mut settings = settings();
        settings.timeouts.head = QUIET_NAME / 5;
        let mut conversation = Conversation::new(settings, store());
        conversation.deliver(b"a.txt").pass(QUIET_NAME / 5);
        assert_eq!(conversation.take_output(), "alpha", "no longer than a head may take");
    }
    // The beginning of an http request is not ended by a silence.
    for begin in [&b"GET"[..], b"GET /a.txt", b"GET /a.txt HTTP/1.1", b"PATCH "] {
        let mut conversation = conversation();
        conversation.deliver(begin).pass(19 * SECOND);
        assert_eq!(conversation.take_output(), "", "{begin:?}");
    }
    for name in ["README.md", "a b", "GETTER.txt", "\u{e4}"] {
        let mut conversation = conversation();
        conversation.deliver(name.as_bytes()).pass(QUIET_NAME);
        assert_eq!(conversation.take_output(), format!("ERROR no such file: {name}\r\n"));
    }
}

#[test]
fn a_head_has_its_time_whatever_trickles_in() {
    for (begin, trickle, wire, reply) in [
        (&b"GET /"[..], &b"x"[..], None, "HTTP/1.1 408 "),
        (b"GET /", b"x", Some(Wire::Http), "HTTP/1.1 408 "),
        (b"GET / HTTP/1.1\r\n", b"x", None, "HTTP/1.1 408 "),
        (b"a", b"x", None, "ERROR timed out\r\n"),
        (b"a", b"x", Some(Wire::Text), "ERROR timed out\r\n"),
        (b"\x07\x00\x50", b"x", None, "\x08\0\x09timed out"),
        (b"\x06", b"\0", Some(Wire::Framed), "\x08\0\x09timed out"),
    ] {
        let settings = wire.map_or_else(Settings::default, pinned);
        let mut conversation = Conversation::new(settings, store());
        conversation.pass(30 * SECOND).deliver(begin);
        for _ in 0..6 {
            conversation.pass(3 * SECOND).deliver(trickle);
        }
        conversation.pass(SECOND);
        assert_eq!(conversation.take_output(), "", "{begin:?}");
        conversation.pass(SECOND);
        assert!(conversation.take_output().starts_with(reply), "{begin:?}");
        assert!(conversation.finished_sending && !conversation.closed);
        conversation.pass(5 * SECOND);
        assert!(conversation.closed);
    }
}

#[test]
fn what_is_no_request_does_not_begin_one() {
    for (begin, wire) in
        [(&b"\xff"[..], Wire::Text), (b"\xff\xfb", Wire::Text), (b"\r", Wire::Http)]
    {
        let rest = if wire == Wire::Http { &b"\n"[..] } else { &b"\xfb\x01"[begin.len() - 1..] };
        let mut conversation = Conversation::new(pinned(wire), store());
        conversation.deliver(begin);
        assert!(!conversation.session.is_idle());
        conversation.deliver(rest);
        assert!(conversation.session.is_idle());
        conversation.pass(74 * SECOND);
        assert!(!conversation.closed);
        conversation.pass(SECOND);
        assert!(conversation.closed);
        assert_eq!(conversation.take_output(), "");
    }
}

#[test]
fn a_pipelined_beginning_has_the_time_of_a_head() {
    let mut conversation = conversation();
    conversation.deliver(&[GET, b"GET /"].concat());
    assert!(conversation.take_output().ends_with("alpha"));
    conversation.pass(19 * SECOND);
    assert!(!conversation.finished_sending);
    conversation.pass(SECOND);
    assert!(conversation.take_output().starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_body_may_take_long_but_not_stall() {
    for (head, reply) in [
        (
            &b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 65535\r\n\r\n"[..],
            "HTTP/1.1 408 Request Timeout\r\n",
        ),
        (b"\x03\xff\xff", "\x08\0\x09timed out"),
    ] {
        let mut conversation = conversation();
        conversation.deliver(head);
        for _ in 0..20 {
            conversation.pass(4 * SECOND).deliver(&[b'x'; 2000]);
        }
        assert_eq!(conversation.store.aborted, 0);
        conversation.pass(20 * SECOND);
        assert_eq!(conversation.store.aborted, 1);
        assert!(conversation.take_output().starts_with(reply));
        assert!(conversation.finished_sending);
        conversation.deliver(&[b'x'; 50]).pass(5 * SECOND);
        assert!(conversation.closed);
        assert_eq!(conversation.store.files, store().files);
    }
}

#[test]
fn a_body_that_trickles_in_is_refused() {
    let chunked = b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let refused = b"DELETE /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n";
    for (head, trickle, reply) in [
        (
            &b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n"[..],
            &b"x"[..],
            "HTTP/1.1 408 ",
        ),
        (chunked, b"1\r\nx\r\n", "HTTP/1.1 408 "),
        (refused, b"x", "HTTP/1.1 405 "),
        (b"\x03\xff\xff", b"x", "\x08\0\x09timed out"),
    ] {
        let mut trickles = conversation();
        trickles.deliver(head);
        for _ in 0..19 {
            trickles.pass(SECOND).deliver(trickle);
        }
        assert_eq!(trickles.take_output(), "");
        trickles.pass(2 * SECOND);
        assert!(trickles.take_output().starts_with(reply));
    }
    // 500 bytes are worth a second.
    for (bytes, in_time) in [(498, false), (500, true)] {
        let mut conversation = conversation();
        conversation.deliver(b"\x04\xff\xff\xff");
        for _ in 0..6000 {
            conversation.pass(SECOND);
            if conversation.finished_sending {
                break;
            }
            conversation.deliver(&vec![b'x'; bytes]);
        }
        assert_eq!(conversation.take_output().is_empty(), in_time, "{bytes}");
    }
    // A fast beginning does not pay for a slow rest,.
    let mut conversation = conversation();
    conversation.deliver(b"\x04\xff\xff\xff").deliver(&[b'x'; 1 << 20]).pass(19 * SECOND);
    assert_eq!(conversation.take_output(), "");
    conversation.pass(SECOND);
    assert!(!conversation.take_output().is_empty());
    let mut settings = Settings::default();
    settings.timeouts.body_rate = 0;
    let mut conversation = Conversation::new(settings, store());
    conversation.deliver(b"\x03\xff\xff");
    for _ in 0..100 {
        conversation.pass(19 * SECOND).deliver(b"x");
    }
    assert_eq!(conversation.take_output(), "");
}

#[test]
fn a_refused_body_that_stalls_is_refused_at_last() {
    let mut conversation = conversation();
    conversation.deliver(b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(conversation.take_output(), "");
    conversation.pass(20 * SECOND);
    let output = conversation.take_output();
    assert!(output.starts_with("HTTP/1.1 405 ") && output.contains("\r\nConnection: close\r\n"));
    assert!(conversation.finished_sending);
}

#[test]
fn a_lingering_close_ends_by_the_peer_or_by_time() {
    let begin = || {
        let mut conversation = conversation();
        conversation.deliver(b"a.txt\n");
        assert!(conversation.finished_sending && !conversation.closed);
        conversation
    };
    let mut silent = begin();
    silent.pass(4 * SECOND);
    assert!(!silent.closed);
    silent.pass(SECOND);
    assert!(silent.closed);

    let mut sends = begin();
    for _ in 0..7 {
        sends.pass(4 * SECOND).deliver(&[b'x'; 2000]);
    }
    assert!(!sends.closed);
    sends.pass(2 * SECOND);
    assert!(sends.closed, "bytes do not renew it for ever");

    let mut slow = begin();
    for _ in 0..5 {
        slow.pass(SECOND).deliver(b"x");
    }
    assert!(!slow.closed);
    slow.pass(SECOND / 2);
    assert!(slow.closed, "bytes below the least rate do not renew it");

    let mut ends = begin();
    ends.end();
    assert!(ends.closed);
}

#[test]
fn a_reader_that_stalls_is_dropped() {
    // Within the file's content, and within a reply without one.
    for (input, sending) in [(GET, reply_bytes() - 3), (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 10)] {
        let mut conversation = conversation();
        conversation.blocked_after = Some(sending);
        conversation.deliver(input);
        assert!(!conversation.closed);
        conversation.pass(19 * SECOND);
        assert!(!conversation.closed);
        // Any progress renews the time.
        conversation.blocked_after = Some(sending + 1);
        conversation.deliver(b"G").pass(19 * SECOND);
        assert!(!conversation.closed);
        conversation.pass(SECOND);
        assert!(conversation.closed && !conversation.finished_sending);
        assert_eq!(conversation.output.len(), sending + 1);
    }
}

#[test]
fn a_peer_that_does_not_take_its_invitation_leaves_nothing() {
    let mut conversation = conversation();
    conversation.blocked_after = Some(5);
    conversation.deliver(
        b"PUT /b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    );
    conversation.pass(20 * SECOND);
    assert!(conversation.closed);
    assert_eq!((conversation.store.aborted, conversation.store.files), (1, store().files));
}

#[test]
fn draining_closes_an_idle_connection_at_once() {
    let mut fresh = conversation();
    fresh.drain();
    assert!(fresh.closed && !fresh.finished_sending);

    let mut used = conversation();
    used.deliver(GET).drain();
    assert!(used.closed);
    assert!(!used.take_output().contains("Connection: close"));
}

#[test]
fn draining_lets_a_request_in_progress_finish() {
    let mut head = conversation();
    head.deliver(&GET[..10]).drain();
    assert!(!head.closed);
    head.deliver(&GET[10..]);
    let output = head.take_output();
    assert!(output.ends_with("alpha") && output.contains("\r\nConnection: close\r\n"));
    assert!(head.finished_sending);

    let mut body = conversation();
    body.deliver(b"\x02\x03a").drain().deliver(b"bc");
    assert_eq!(body.take_output(), "\x01\0\x12SAVED random01.bin");
    assert!(body.finished_sending);

    let mut announced = conversation();
    announced.deliver(b"\x01\x00\x01b").drain();
    assert!(!announced.closed && !announced.session.is_idle());
    announced.deliver(b"\x02\x01x");
    assert!(announced.finished_sending);
    assert_eq!(announced.store.content("b"), Some(&b"x"[..]));

    let mut reply = conversation();
    reply.blocked_after = Some(reply_bytes() - 3);
    reply.deliver(GET).drain();
    assert!(!reply.closed);
    reply.blocked_after = None;
    reply.deliver(GET);
    assert!(reply.take_output().ends_with("alpha") && reply.finished_sending);
    assert_eq!(reply.session.requests(), 1);
}

#[test]
fn dates_follow_the_time() {
    let mut conversation = conversation();
    conversation.deliver(GET);
    assert!(conversation.take_output().contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    conversation.pass(30 * SECOND).deliver(GET);
    assert!(conversation.take_output().contains("\r\nDate: Sun, 06 Nov 1994 08:50:07 GMT\r\n"));
}
