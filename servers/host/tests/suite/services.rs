//! The lab services over real sockets.

use std::collections::BTreeSet;
use std::fs;

use fileserver::StrategyKind;
use fileserver_proto::{Service, Transform};

use crate::peer::{Message, Peer, framed_data, framed_get, framed_name, http};
use crate::server::Server;

fn serving(kind: StrategyKind, service: Service) -> Server {
    Server::with(kind, |options| options.settings.service = service)
}

fn post(message: &[u8]) -> Vec<u8> {
    let head = http("POST /", &format!("Content-Length: {}\r\n", message.len()));
    [head.as_bytes(), message].concat()
}

pub(crate) fn echo_gives_back_every_byte_however_it_comes(kind: StrategyKind) {
    let server = serving(kind, Service::Echo);
    let mut peer = server.connect();
    let odd: Vec<u8> = (9..=u8::MAX).chain(0..9).filter(|&byte| byte != b'\n').collect();
    for end in [&b"\n"[..], b"\r\n", b""] {
        for message in [&b"hello"[..], "gr\u{fc}\u{df} dich".as_bytes(), &odd] {
            let message = [message, end].concat();
            assert_eq!(peer.send(&message).bytes(message.len()), message);
        }
    }
    peer.send_byte_by_byte("slowly\r\n");
    assert_eq!(peer.line(), "slowly\r\n");
    peer.send("one\ntwo\r\nthree").finish_sending();
    assert_eq!(peer.rest(), b"one\ntwo\r\nthree");
    // A telnet client first sends its options.
    let mut telnet = server.connect();
    telnet.send(b"\xff\xfd\x03\xff\xfb\x18hello\xff\xff\r\n");
    assert_eq!(telnet.bytes(9), b"hello\xff\xff\r\n");
}

pub(crate) fn hello_answers_each_message_and_shows_it(kind: StrategyKind) {
    let server = serving(kind, Service::Hello);
    let mut peer = server.connect();
    let address = peer.address();
    assert_eq!(server.console(1), [format!("Connected by {address}")]);
    for message in ["Hello, world", "The size of eagle.jpg is 55696"] {
        let answer = format!("I got \"{message}\" from you and I am sending it back.");
        // Without a line end, like the exercise's client.
        assert_eq!(peer.send(message).bytes(answer.len()), answer.as_bytes());
    }
    let shown = server.console(3);
    assert_eq!(shown[1], format!("Sent back \"Hello, world\" to: {address}"));
    assert_eq!(shown[2], format!("Sent back \"The size of eagle.jpg is 55696\" to: {address}"));
    assert_eq!(peer.finish_sending().rest(), b"");
}

pub(crate) fn greet_close_shows_who_it_is_and_closes(kind: StrategyKind) {
    let server = serving(kind, Service::GreetClose);
    for round in 1..=3 {
        let mut peer = server.connect();
        assert_eq!(peer.rest(), b"");
        let shown = server.console(round);
        assert_eq!(shown[round - 1], format!("Connected by {}", peer.address()));
    }
}

pub(crate) fn message_and_ack_show_and_answer(kind: StrategyKind) {
    let server = serving(kind, Service::Message);
    let mut peer = server.connect();
    assert_eq!(peer.send("hello there\r\n").line(), "Message: hello there\r\n");
    assert_eq!(peer.send("bell\x07\n").line(), "Message: bell\x07\n");
    assert_eq!(server.console(2), ["127.0.0.1: hello there", "127.0.0.1: bell\\u{7}"]);

    let server = serving(kind, Service::Ack);
    let mut peer = server.connect();
    assert_eq!(peer.send("hello").rest(), b"I have received: hello");
    let mut peer = server.connect();
    assert_eq!(peer.send("a\nb\n").rest(), b"I have received: a\n", "and then it ends");
}

pub(crate) fn one_server_shows_texts_and_stores_data(kind: StrategyKind) {
    let server = serving(kind, Service::Message);
    let mut peer = server.connect();
    // A text between two data messages is no name for the second.
    let long: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let mut stored = Vec::new();
    for data in [&b"\x00\xff\n"[..], &long, b""] {
        let reply = peer.send(framed_name("a text")).message();
        assert_eq!(reply, Message::Text("Message: a text".to_owned()));
        let reply = peer.send(framed_data(data.len() as u64)).send(data).message();
        let Message::Text(reply) = reply else { panic!("{reply:?}") };
        let name = reply.strip_prefix("SAVED ").unwrap_or_else(|| panic!("{reply}"));
        assert!(name.len() == 12 && name.ends_with(".bin"), "{name}");
        assert_eq!(fs::read(server.root().join(name)).unwrap(), data);
        stored.push(name.to_owned());
    }
    stored.sort();
    assert_eq!(server.on_disk(), stored);
    assert_eq!(server.console(3), ["127.0.0.1: a text"; 3]);
    // Files of the folder are not served.
    let reply = peer.send(framed_get(&stored[0])).message();
    let refusal = "this service takes text messages and data only";
    assert_eq!(reply, Message::Error(refusal.to_owned()));
    // Incomplete data are not stored.
    peer.send(framed_data(100)).send("a part").finish_sending();
    assert_eq!(
        peer.message(),
        Message::Error("the stream ended before the request did".to_owned())
    );
    drop(peer);
    assert_eq!(server.on_disk(), stored);
}

pub(crate) fn a_message_over_4096_bytes_is_cut(kind: StrategyKind) {
    let server = serving(kind, Service::Message);
    let mut peer = server.connect();
    let long = "x".repeat(10_000);
    let cut = format!("Message: {}", &long[..4096]);
    assert_eq!(peer.send(format!("{long}\r\n")).line(), format!("{cut}\r\n"));
    assert_eq!(peer.send("next\n").line(), "Message: next\n");
    drop(peer);
    let mut peer = server.connect();
    let reply = peer.send(post(long.as_bytes())).reply();
    assert_eq!((reply.status, reply.body), (200, cut.into_bytes()));
    assert_eq!(peer.send(post(b"next")).reply().body, b"Message: next");
    drop(peer);
    let mut peer = server.connect();
    // Without a line end the rest is discarded as well.
    assert_eq!(peer.send(&long).bytes(9 + 4096).len(), 9 + 4096);
    assert_eq!(peer.send("next\n").line(), "Message: next\n");
}

pub(crate) fn transform_on_every_wire(kind: StrategyKind) {
    for (transform, answer) in [
        (Transform::Reverse, "kn\u{fc}n"),
        (Transform::Upper, "N\u{dc}NK"),
        (Transform::Length, "4"),
        (Transform::Prefix("> ".to_owned()), "> n\u{fc}nk"),
    ] {
        let server = serving(kind, Service::Transform(transform));
        let message = "n\u{fc}nk";
        let mut text = server.connect();
        assert_eq!(text.send(format!("{message}\n")).line(), format!("{answer}\n"));
        drop(text);
        let mut framed = server.connect();
        for _ in 0..2 {
            let reply = framed.send(framed_name(message)).message();
            assert_eq!(reply, Message::Text(answer.to_owned()));
        }
        drop(framed);
        let mut http = server.connect();
        for _ in 0..2 {
            let reply = http.send(post(message.as_bytes())).reply();
            assert_eq!((reply.status, reply.body), (200, answer.as_bytes().to_vec()));
        }
    }
}

/// True if it is one, such as `Sun Nov 06 08:49:37 UTC 1994`.
fn is_date(text: &str) -> bool {
    let words: Vec<_> = text.split(' ').collect();
    matches!(&*words, [_, _, day, time, "UTC", year]
        if day.len() == 2 && time.len() == 8 && year.parse().is_ok_and(|year: u32| year >= 2025))
}

pub(crate) fn date_tells_the_time_on_every_wire(kind: StrategyKind) {
    let server = serving(kind, Service::Date);
    let mut text = server.connect();
    let date = text.send("what time is it?\r\n").line();
    assert!(is_date(date.trim_end()), "{date}");
    assert!(text.send("hello\n").line().contains("send: what time is it?"));
    drop(text);
    let mut framed = server.connect();
    match framed.send(framed_name("what time is it?")).message() {
        Message::Text(date) => assert!(is_date(&date), "{date}"),
        other @ (Message::Data(_) | Message::Error(_)) => panic!("{other:?}"),
    }
    drop(framed);
    let mut web = server.connect();
    let reply = web.send(http("GET /", "")).reply();
    assert!(is_date(&String::from_utf8(reply.body).unwrap()), "{}", reply.head);
    assert_eq!(web.send(http("GET /other", "")).reply().status, 404);
    assert_eq!(web.send(http("DELETE /", "")).reply().status, 405);
    let reply = web.send(post(b"what time is it?")).reply();
    assert!(is_date(&String::from_utf8(reply.body).unwrap()), "{}", reply.head);
}

/// Stored lines in the order of their numbers.
fn log(server: &Server) -> Vec<String> {
    let files = server.on_disk();
    (0..files.len())
        .map(|number| fs::read_to_string(server.root().join(format!("log{number}.txt"))).unwrap())
        .collect()
}

pub(crate) fn date_log_numbers_go_on_after_a_restart(kind: StrategyKind) {
    let server = serving(kind, Service::DateLog);
    let mut peer = server.connect();
    for question in ["what time is it?", "anything else"] {
        peer.send(format!("{question}\n")).line();
    }
    let log = log(&server);
    assert_eq!(log.len(), 2);
    for (line, question) in log.iter().zip(["what time is it?", "anything else"]) {
        let rest = format!(" {} {question}\n", peer.address());
        let date = line.strip_suffix(&rest).unwrap_or_else(|| panic!("{line}"));
        assert!(is_date(date), "{line}");
    }
    drop(peer);
    // Another server on the same folder continues the numbering.
    let second = server.another();
    let mut peer = second.connect();
    peer.send("what time is it?\n").line();
    drop(peer);
    let mut peer = server.connect();
    peer.send("what time is it?\n").line();
    assert_eq!(server.on_disk(), ["log0.txt", "log1.txt", "log2.txt", "log3.txt"]);
}

pub(crate) fn date_log_numbers_have_no_gaps_under_a_hundred_clients(kind: StrategyKind) {
    const CLIENTS: usize = 100;
    const REQUESTS: usize = 3;
    let server = serving(kind, Service::DateLog);
    let other = server.another();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = if client % 2 == 0 { &server } else { &other };
            scope.spawn(move || {
                let mut peer = server.connect();
                for request in 0..REQUESTS {
                    let answer = peer.send(format!("request {client}.{request}\n")).line();
                    assert!(!answer.starts_with("ERROR"), "{answer}");
                }
            });
        }
    });
    let lines = log(&server);
    let requests: BTreeSet<_> = lines.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!((lines.len(), requests.len()), (CLIENTS * REQUESTS, CLIENTS * REQUESTS));
}

pub(crate) fn a_file_for_a_text_service_is_refused_and_the_next_text_answered(kind: StrategyKind) {
    let server = serving(kind, Service::Echo);
    let mut peer: Peer = server.connect();
    let reply = peer.send(framed_data(300_000)).send(vec![0xff; 300_000]).message();
    assert_eq!(reply, Message::Error("this service takes text messages only".to_owned()));
    let reply = peer.send(b"\x01\x00\x02\xff\xfe").message();
    assert_eq!(reply, Message::Error("the text is not UTF-8".to_owned()));
    let reply = peer.send(framed_name("hello")).message();
    assert_eq!(reply, Message::Text("hello".to_owned()));
    drop(peer);
    let mut peer = server.connect();
    let reply = peer.send(http("PUT /a", "Content-Length: 3\r\n")).send("abc").reply();
    assert_eq!(reply.status, 404, "{reply:?}");
    assert_eq!(peer.send(post(b"hello")).reply().body, b"hello");
}

pub(crate) fn work_is_done_where_it_is_allowed(kind: StrategyKind) {
    let server = Server::with(kind, |options| options.settings.work = true);
    let mut peer = server.connect();
    for target in ["/.work?cpu=1ms", "/.work?block=1ms"] {
        let reply = peer.send(http(&format!("GET {target}"), "")).reply();
        assert_eq!((reply.status, reply.body), (200, b"worked\n".to_vec()), "{target}");
    }
    let reply = peer.send(http("GET /.work?cpu=2h", "")).reply();
    assert_eq!(reply.status, 400, "{reply:?}");
    drop(peer);
    let server = Server::start(kind);
    let reply = server.connect().send(http("GET /.work?cpu=1ms", "")).reply();
    assert_eq!(reply.status, 404, "{reply:?}");
}
