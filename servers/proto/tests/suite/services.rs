//! Lab services, word for word, on each wire, in whatever pieces the bytes arrive.

use std::time::Duration;

use fileserver_proto::{Service, Settings, Transform, Wire, WirePin};

use crate::support::transcript::{CLOSE, text, text_reply};
use crate::support::{Conversation, DATE, MemoryStore, Outcome};

const QUIET: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// [`DATE`] in the format of the date services.
const PLAIN_DATE: &str = "Sun Nov 06 08:49:37 UTC 1994";

fn settings(service: &Service) -> Settings {
    Settings { service: service.clone(), ..Settings::default() }
}

fn conversation(service: &Service) -> Conversation {
    Conversation::new(settings(service), MemoryStore::default())
}

/// Outcome of `input`, whole, byte by byte and split anywhere; also with its wire pinned.
fn converse(service: &Service, wire: Wire, input: &[u8]) -> Outcome {
    let talk = |settings: Settings, pieces: Vec<&[u8]>| {
        Conversation::outcome(settings, MemoryStore::default(), pieces)
    };
    let whole = talk(settings(service), vec![input]);
    assert_eq!(whole.wire, Some(wire));
    assert_eq!(whole, talk(settings(service), input.chunks(1).collect()), "byte by byte");
    for at in 1..input.len().min(300) {
        let (first, second) = input.split_at(at);
        assert_eq!(whole, talk(settings(service), vec![first, second]), "split at {at}");
    }
    let pinned = Settings { wire: WirePin::Pinned(wire), ..settings(service) };
    assert_eq!(whole, talk(pinned, vec![input]), "with the wire pinned");
    whole
}

fn lines(service: &Service, input: &[u8]) -> String {
    text(&converse(service, Wire::Text, input).output)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[1], &(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn post(message: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{message}", message.len())
}

/// The reply to a message over http; `end` is as for [`text_reply`].
fn reply(body: &str, end: &str) -> String {
    let plain = text_reply("200 OK", "", body, end);
    // An answer must not be cached.
    plain.replace("utf-8\r\nContent-Length", "utf-8\r\nCache-Control: no-store\r\nContent-Length")
}

#[test]
fn an_answer_ends_as_its_message_did() {
    assert_eq!(lines(&Service::Echo, b"a\nb\r\n\n\r\nlast"), "a\nb\r\n\n\r\nlast");
    let prefix = Service::Transform(Transform::Prefix("> ".to_owned()));
    assert_eq!(lines(&prefix, b"a\nb\r\nlast"), "> a\n> b\r\n> last");
}

#[test]
fn bytes_that_are_no_text_survive() {
    let odd: Vec<u8> = (0..=u8::MAX).filter(|&byte| byte != b'\n').collect();
    let input = [b"x", &odd[..], b"\n", &odd[..]].concat();
    assert_eq!(converse(&Service::Echo, Wire::Text, &input).output, input);
    assert_eq!(converse(&Service::Echo, Wire::Text, b"a\rb\r\r\n").output, b"a\rb\r\r\n");
}

#[test]
fn telnet_commands_are_no_part_of_a_message() {
    let negotiation = b"\xff\xfd\x03\xff\xfb\x18\xff\xfa\x18\x00xterm\xff\xf0";
    let input = [&negotiation[..], b"he\xff\xf1llo\r\n\xff\xff\r\n"].concat();
    // A peer that uses telnet is also sent the byte 0xFF doubled.
    assert_eq!(converse(&Service::Echo, Wire::Text, &input).output, b"hello\r\n\xff\xff\r\n");
    let mut conversation = conversation(&Service::Echo);
    conversation.deliver(negotiation);
    assert!(conversation.session.is_idle(), "nothing was said yet");
}

#[test]
fn a_silence_ends_a_message() {
    let mut conversation = conversation(&Service::Echo);
    conversation.deliver(b"hel").pass(QUIET / 2).deliver(b"lo").pass(QUIET / 2);
    assert_eq!(conversation.take_output(), "");
    conversation.pass(QUIET / 2);
    assert_eq!(conversation.take_output(), "hello");
    assert!(conversation.session.is_idle());
    conversation.deliver(b"next\n");
    assert_eq!(conversation.take_output(), "next\n");
    conversation.deliver(b"\xff").pass(QUIET);
    assert_eq!(conversation.output, b"\xff");
    conversation.pass(75 * SECOND);
    assert!(conversation.closed, "and between messages it is idle");
}

#[test]
fn a_silence_within_an_http_head_ends_no_message() {
    let mut conversation = conversation(&Service::Echo);
    conversation.deliver(b"POST / HT").pass(SECOND).deliver(b"TP/1.1\r\nHost: h\r\n");
    conversation.pass(SECOND).deliver(b"Content-Length: 2\r\n\r\n").pass(SECOND).deliver(b"hi");
    assert!(conversation.take_output().ends_with("\r\nContent-Length: 2\r\n\r\nhi"));
    conversation.deliver(b"POST").pass(19 * SECOND);
    assert_eq!(conversation.take_output(), "");
    conversation.pass(SECOND);
    assert!(conversation.take_output().starts_with("HTTP/1.1 408 "));
}

#[test]
fn what_is_over_4096_bytes_is_dropped() {
    let long = "x".repeat(9000);
    let cut = &long[..4096];
    for end in ["\n", "\r\n"] {
        for len in [4095, 4096, 4097, 9000] {
            let mut conversation = conversation(&Service::Echo);
            conversation.deliver(format!("{}{end}a{end}", &long[..len]).as_bytes());
            let kept = &long[..len.min(4096)];
            assert_eq!(conversation.take_output(), format!("{kept}{end}a{end}"), "{len}");
        }
    }
    // A silence ends it, too.
    let mut conversation = conversation(&Service::Echo);
    conversation.deliver(long.as_bytes()).pass(QUIET);
    assert_eq!(conversation.take_output(), cut);
    conversation.deliver(b"next\n");
    assert_eq!(conversation.take_output(), "next\n");

    let output = text(&converse(&Service::Echo, Wire::Http, post(&long).as_bytes()).output);
    assert_eq!(output, reply(cut, ""));
    let chunks = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n1f40\r\n{}\r\n0\r\n\r\n",
        &long[..8000]
    );
    let output = text(&converse(&Service::Echo, Wire::Http, chunks.as_bytes()).output);
    assert_eq!(output, reply(&format!("hello{}", &cut[5..]), ""));
}

#[test]
fn hello_tells_what_it_got_and_then_that_it_sent_it_back() {
    let outcome = converse(&Service::Hello, Wire::Text, b"Hello, world");
    let answer = "I got \"Hello, world\" from you and I am sending it back.";
    assert_eq!(text(&outcome.output), answer);
    let shown = ["Connected by 192.0.2.1:4711", "Sent back \"Hello, world\" to: 192.0.2.1:4711"];
    assert_eq!(outcome.console, shown);
    assert_eq!(outcome.requests, 1);

    // The notice comes after all of the answer is sent.
    let mut conversation = conversation(&Service::Hello);
    assert!(!conversation.session.is_idle(), "it has something to do at once");
    conversation.blocked_after = Some(5);
    conversation.deliver(b"Hello, world\r\n");
    assert_eq!(conversation.console.len(), 1);
    conversation.blocked_after = None;
    conversation.deliver(b"more\r\n");
    assert_eq!(conversation.console.len(), 3);
    assert_eq!(conversation.output.len(), 2 * (answer.len() + 2) - "Hello, world".len() + 4);

    let both = [framed(b"a"), framed(b"b")].concat();
    let outcome = converse(&Service::Hello, Wire::Framed, &both);
    assert_eq!(outcome.console.len(), 3);
    let http = [post("a"), post("b")].concat();
    let outcome = converse(&Service::Hello, Wire::Http, http.as_bytes());
    assert_eq!(outcome.console.len(), 3);
}

#[test]
fn greet_close_is_over_before_anything_is_said() {
    let mut conversation = conversation(&Service::GreetClose);
    conversation.deliver(b"hello?\n");
    assert_eq!(conversation.console, ["Connected by 192.0.2.1:4711"]);
    assert!(conversation.finished_sending && !conversation.closed);
    conversation.end();
    assert!(conversation.closed);
    assert_eq!(conversation.take_output(), "");
}

#[test]
fn message_shows_what_came_and_goes_on_and_ack_ends() {
    let outcome = converse(&Service::Message, Wire::Text, b"one\r\ntwo\r\n");
    assert_eq!(text(&outcome.output), "Message: one\r\nMessage: two\r\n");
    assert_eq!(outcome.console, ["192.0.2.1: one", "192.0.2.1: two"]);

    let outcome = converse(&Service::Ack, Wire::Text, b"one\r\ntwo\r\n");
    assert_eq!(text(&outcome.output), "I have received: one\r\n");
    assert_eq!((&*outcome.console, outcome.requests), (&["192.0.2.1: one".to_owned()][..], 1));
    let outcome = converse(&Service::Ack, Wire::Framed, &framed(b"one"));
    assert_eq!(outcome.output, framed(b"I have received: one"));
    let outcome = converse(&Service::Ack, Wire::Http, post("one").as_bytes());
    assert_eq!(text(&outcome.output), reply("I have received: one", CLOSE));
}

#[test]
fn date_answers_the_question_on_every_wire() {
    assert_eq!(lines(&Service::Date, b"what time is it?\r\n"), format!("{PLAIN_DATE}\r\n"));
    let other = "unknown request; for the date and time, send: what time is it?";
    assert_eq!(
        lines(&Service::Date, b"hello\nWHAT TIME IS IT\n"),
        format!("{other}\n{PLAIN_DATE}\n")
    );
    let outcome = converse(&Service::Date, Wire::Framed, &framed(b"what time is it?"));
    assert_eq!(outcome.output, framed(PLAIN_DATE.as_bytes()));
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let outcome = converse(&Service::Date, Wire::Http, get);
    assert_eq!(text(&outcome.output), reply(PLAIN_DATE, ""));
    let head = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
    let outcome = converse(&Service::Date, Wire::Http, head);
    assert_eq!(text(&outcome.output), reply(PLAIN_DATE, "").strip_suffix(PLAIN_DATE).unwrap());
    assert!(text(&outcome.output).contains(DATE));
}

#[test]
fn date_log_stores_before_it_answers() {
    let outcome = converse(&Service::DateLog, Wire::Text, b"what time is it?\nhello\n");
    assert_eq!(outcome.logged, ["what time is it?", "hello"]);
    assert!(text(&outcome.output).starts_with(&format!("{PLAIN_DATE}\n")));

    let mut conversation = conversation(&Service::DateLog);
    conversation.log_fails = true;
    conversation.deliver(b"what time is it?\n");
    assert_eq!(conversation.take_output(), "ERROR no space left\r\n");
    conversation.log_fails = false;
    conversation.deliver(b"what time is it?\n");
    assert_eq!(conversation.take_output(), format!("{PLAIN_DATE}\n"));
}

#[test]
fn chat_posts_lines_and_brings_those_of_others() {
    let outcome = converse(&Service::Chat, Wire::Text, b"one\r\n\r\ntwo\nthree");
    assert_eq!(outcome.posted, ["one", "two", "three"]);
    assert_eq!(text(&outcome.output), "", "nobody hears oneself");
    assert_eq!(outcome.console, ["Connected by 192.0.2.1:4711"]);

    let mut conversation = conversation(&Service::Chat);
    conversation.mail(b"before it said anything").deliver(b"half a ");
    conversation.mail(b"within its line").deliver(b"line\n").mail(b"after it");
    assert_eq!(
        conversation.take_output(),
        "before it said anything\r\nwithin its line\r\nafter it\r\n"
    );
    assert_eq!(conversation.posted, ["half a line"]);
    conversation.pass(1000 * SECOND);
    assert!(!conversation.closed, "members may listen for as long as they like");
    conversation.drain();
    assert!(conversation.closed);
}

#[test]
fn a_flood_of_empty_chat_messages_needs_no_stack() {
    const MESSAGES: usize = 50_000;
    for empty in [&b"\n"[..], b"\r\n", b"\x01\x00\x00"] {
        let flood = empty.repeat(MESSAGES);
        let mut conversation = Conversation::with_room(
            settings(&Service::Chat),
            MemoryStore::default(),
            flood.len() + 64,
        );
        conversation.deliver(&flood);
        assert_eq!(conversation.session.requests(), MESSAGES as u64);
        assert!(!conversation.closed && conversation.output.is_empty());
    }
}

#[test]
fn chat_on_framed_and_http() {
    let outcome = converse(&Service::Chat, Wire::Framed, &[framed(b"one"), framed(b"")].concat());
    assert_eq!((outcome.posted, outcome.output), (vec!["one".to_owned()], vec![]));
    let mut member = conversation(&Service::Chat);
    member.deliver(&framed(b"")).mail(b"hello");
    assert_eq!(member.output, framed(b"hello"));

    let outcome = converse(&Service::Chat, Wire::Http, post("one").as_bytes());
    assert_eq!(outcome.posted, ["one"]);
    assert!(text(&outcome.output).starts_with("HTTP/1.1 204 No Content\r\n"));
    let mut poster = conversation(&Service::Chat);
    poster.deliver(post("one").as_bytes()).take_output();
    poster.mail(b"unheard").deliver(post("two").as_bytes());
    assert!(poster.take_output().starts_with("HTTP/1.1 204 "), "and no mail before it");
}

#[test]
fn a_member_that_reads_too_slowly_is_told_and_dropped() {
    let mut conversation = conversation(&Service::Chat);
    conversation.blocked_after = Some(3);
    conversation.mail(b"one").mail(b"two").evict();
    assert!(!conversation.finished_sending);
    conversation.blocked_after = None;
    conversation.drain();
    assert_eq!(
        conversation.take_output(),
        "one\r\ntwo\r\nERROR disconnected: messages were read too slowly\r\n"
    );
    assert!(conversation.finished_sending);

    let mut conversation = self::conversation(&Service::Chat);
    conversation.blocked_after = Some(0);
    conversation.mail(b"one").evict().pass(5 * SECOND);
    assert!(conversation.closed, "it does not get the time of a stalled reply again");
}

#[test]
fn what_is_no_text_is_refused_and_the_next_text_answered() {
    let error = |why: &str| [&[8, 0, why.len() as u8], why.as_bytes()].concat();
    for (binary, why) in [
        (&b"\x02\x03abc"[..], "this service takes text messages only"),
        (b"\x05\x00\x00\x00\x03abc", "this service takes text messages only"),
        (b"\x07\x00\x01a", "this service takes text messages only"),
        (b"\x08\x00\x01a", "this service takes text messages only"),
        (b"\x01\x00\x02\xff\xfe", "the text is not UTF-8"),
        (&framed(&[b'x'; 4097]), "the text is longer than 4096 bytes"),
    ] {
        let input = [binary, &framed(b"next")].concat();
        let outcome = converse(&Service::Hello, Wire::Framed, &input);
        let answer = framed(b"I got \"next\" from you and I am sending it back.");
        assert_eq!(outcome.output, [error(why), answer].concat());
        assert_eq!(outcome.console.len(), 2, "what is refused is not sent back");
    }
    // An answer longer than a message is cut at a character.
    let long = "\u{e9}".repeat(2048);
    let prefix = Service::Transform(Transform::Prefix("x".to_owned()));
    let outcome = converse(&prefix, Wire::Framed, &framed(long.as_bytes()));
    assert_eq!(outcome.output, framed(&[b"x", &long.as_bytes()[..4094]].concat()));
}

#[test]
fn http_has_one_place_and_its_methods() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n", "405 Method Not Allowed"),
        ("PUT / HTTP/1.1\r\nContent-Length: 1\r\n", "405 Method Not Allowed"),
        ("GET /a.txt HTTP/1.1\r\n", "404 Not Found"),
        ("POST /a HTTP/1.1\r\nContent-Length: 1\r\n", "404 Not Found"),
        ("POST / HTTP/1.1\r\n", "411 Length Required"),
        ("POST / HTTP/1.1\r\nContent-Length: 9999999\r\n", "413 Content Too Large"),
        ("BREW / HTTP/1.1\r\n", "501 Not Implemented"),
        ("POST / HTTP/1.1\r\nOrigin: http://evil\r\nContent-Length: 1\r\n", "403 Forbidden"),
    ] {
        let mut conversation = conversation(&Service::Echo);
        conversation.deliver(format!("{request}Host: h\r\n\r\n").as_bytes());
        if request.contains("Length: 1\r") {
            conversation.deliver(b"x");
        }
        let output = conversation.take_output();
        assert!(output.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {output}");
        assert!(!status.starts_with("405") || output.contains("Allow: POST, OPTIONS\r\n"));
    }
    let options = b"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n";
    let output = text(&converse(&Service::Date, Wire::Http, options).output);
    assert!(output.contains("Allow: GET, HEAD, POST, OPTIONS\r\n") && !output.contains("Tus"));
    let mut waiting = conversation(&Service::Echo);
    waiting.deliver(
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert_eq!(waiting.take_output(), "HTTP/1.1 100 Continue\r\n\r\n");
    waiting.deliver(b"hi");
    assert_eq!(waiting.take_output(), reply("hi", ""));
}

#[test]
fn work_is_asked_for_only_where_it_is_served() {
    let request = b"GET /.work?cpu=20ms HTTP/1.1\r\nHost: h\r\n\r\n";
    let settings = Settings { work: true, ..Settings::default() };
    let mut allowed = Conversation::new(settings, MemoryStore::default());
    allowed.deliver(request);
    assert_eq!(
        allowed.take_output(),
        reply("worked\n", "").replace(
            "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n",
            "Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n",
        )
    );
    assert_eq!(allowed.worked, [fileserver_proto::Work::Compute { us: 20_000 }]);
    let mut other = Conversation::new(Settings::default(), MemoryStore::default());
    other.deliver(request);
    assert!(other.take_output().starts_with("HTTP/1.1 404 "));
    assert_eq!(other.worked, []);
}

#[test]
fn the_status_is_reported_on_every_service() {
    for service in [Service::Files, Service::Echo, Service::Date, Service::Chat] {
        let settings = Settings { service, ..Settings::default() };
        let mut peer = Conversation::new(settings, MemoryStore::default());
        peer.deliver(b"GET /.status HTTP/1.1\r\nHost: h\r\n\r\n");
        let output = peer.take_output();
        assert!(output.starts_with("HTTP/1.1 200 OK\r\n"), "{output}");
        assert!(output.contains("Content-Type: application/json\r\n"), "{output}");
        assert!(output.ends_with("Content-Length: 2\r\n\r\n{}"), "{output}");
        peer.deliver(b"HEAD /.status HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(peer.take_output().ends_with("Content-Length: 2\r\n\r\n"));
    }
    let mut peer = Conversation::new(Settings::default(), MemoryStore::default());
    peer.deliver(b"PUT /.status HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    let output = peer.take_output();
    assert!(output.starts_with("HTTP/1.1 405 "), "{output}");
    assert!(output.contains("Allow: GET, HEAD, OPTIONS\r\n"), "{output}");
}
