//! Rows 3, 10, 13 to 15, 21 to 27: lines in, lines out.

use std::io::{BufRead, BufReader, Write};

use fileserver::StrategyKind;
use testkit::names;

use crate::labs::support::{Server, all, at_once, concurrent, connected, stdout, until_members};

#[test]
fn row_03_telnet_talks_in_lines() {
    for kind in all() {
        let server = Server::start(kind, "--service echo");
        let mut peer = server.connect();
        // IAC DO SUPPRESS-GO-AHEAD, IAC WILL TERMINAL-TYPE: a possible beginning of telnet.
        peer.send(b"\xff\xfd\x03\xff\xfb\x18hello\r\n");
        assert_eq!(peer.line(), b"hello\r\n", "{kind:?}");
        peer.send("grüße\r\n".as_bytes());
        assert_eq!(peer.line(), "grüße\r\n".as_bytes(), "{kind:?}");
    }
}

#[test]
fn row_10_hello_quotes_each_message() {
    for kind in all() {
        let server = Server::start(kind, "--service hello");
        let mut peer = server.connect();
        peer.send(b"Hello, world\r\n");
        let answer = b"I got \"Hello, world\" from you and I am sending it back.\r\n";
        assert_eq!(peer.line(), answer, "{kind:?}");
        server.shows(&format!("Connected by {}", peer.address()));
        server.shows(&format!("Sent back \"Hello, world\" to: {}", peer.address()));
        // Like Python's sendall("…"): without an end of line.
        peer.send(b"again");
        let answer = b"I got \"again\" from you and I am sending it back.";
        assert_eq!(peer.exactly(answer.len()), answer, "{kind:?}");
    }
}

#[test]
fn row_13_every_connection_is_printed_and_closed() {
    for kind in all() {
        let server = Server::start(kind, "--service greet-close");
        let local = tempfile::tempdir().unwrap();
        let knock = ["knock", "HOST", "PORT"];
        let told = stdout(&server.client_with_input(local.path(), &knock, "\n\n"));
        assert_eq!(told.matches("closed by the server after ").count(), 2, "{kind:?}: {told}");
        for line in told.lines().skip(1) {
            let address = line.split("connected from ").nth(1).unwrap().split(' ').next().unwrap();
            server.shows(&format!("Connected by {address}"));
        }
    }
}

#[test]
fn row_14_clients_are_served_at_the_same_time() {
    for kind in concurrent() {
        let server = Server::start(kind, "--service message");
        let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
        for (number, client) in clients.iter_mut().enumerate().rev() {
            client.send(format!("from {number}\r\n").as_bytes());
            assert_eq!(client.line(), format!("Message: from {number}\r\n").as_bytes(), "{kind:?}");
        }
    }
}

#[test]
fn row_15_a_string_of_up_to_4_kb_is_shown_and_answered() {
    at_once(all(), |kind| {
        let server = Server::start(kind, "--service message");
        let local = tempfile::tempdir().unwrap();
        let told = stdout(&server.client(local.path(), &["say", "HOST", "PORT", "hi there"]));
        assert_eq!(told, "Message: hi there\r\n", "{kind:?}");
        server.shows("127.0.0.1: hi there");
        // The rest is discarded, and the next message is answered.
        let long = "x".repeat(5_000);
        let told = stdout(&server.client(local.path(), &["say", "HOST", "PORT", &long, "next"]));
        assert_eq!(told, format!("Message: {}\r\nMessage: next\r\n", "x".repeat(4_096)));

        let server = Server::start(kind, "--service ack");
        let mut peer = server.connect();
        peer.send(b"hi there\r\n");
        assert_eq!(peer.rest(), b"I have received: hi there\r\n", "then the end: {kind:?}");
        server.shows("127.0.0.1: hi there");
    });
}

#[test]
fn row_21_an_echo_equals_the_message() {
    for kind in all() {
        let server = Server::start(kind, "--service echo");
        let local = tempfile::tempdir().unwrap();
        let told =
            stdout(&server.client(local.path(), &["say", "HOST", "PORT", "Hello, world", "2"]));
        assert_eq!(told, "Hello, world\r\n2\r\n", "{kind:?}");
        // Bytes other than text are unchanged as well.
        let mut peer = server.connect();
        peer.send(b"\x00\xfe\xc3(\n");
        assert_eq!(peer.line(), b"\x00\xfe\xc3(\n", "{kind:?}");
    }
}

#[test]
fn row_22_a_request_for_the_date_gets_the_time() {
    for kind in all() {
        let server = Server::start(kind, "--service date");
        let local = tempfile::tempdir().unwrap();
        let say = ["say", "HOST", "PORT", "what time is it?"];
        let told = stdout(&server.client(local.path(), &say));
        let words: Vec<&str> = told.split_whitespace().collect();
        assert_eq!(words.len(), 6, "as date(1) in the C locale: {told}");
        assert_eq!(words[4], "UTC", "{kind:?}: {told}");
        let year: u32 = words[5].parse().unwrap();
        assert!((2024..2200).contains(&year), "{kind:?}: {told}");
    }
}

#[test]
fn row_23_every_request_for_the_date_leaves_a_file_of_its_own() {
    at_once(concurrent(), |kind| {
        let server = Server::start(kind, "--service date-log");
        let folder = server.folder.clone();
        let ask = |server: &Server, number: usize| {
            let mut peers: Vec<_> = (0..number).map(|_| server.connect()).collect();
            peers.iter_mut().for_each(|peer| peer.send(b"what time is it?\r\n"));
            for peer in &mut peers {
                assert!(peer.line().ends_with(b"\r\n"));
            }
        };
        ask(&server, 100);
        server.stop();
        let server = Server::over(folder.clone(), kind, "--service date-log");
        ask(&server, 20);
        let mut numbers: Vec<u32> = names(folder.path())
            .iter()
            .map(|name| name.strip_prefix("log").unwrap().strip_suffix(".txt").unwrap())
            .map(|number| number.parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..120).collect::<Vec<_>>(), "no gaps, no reuse: {kind:?}");
        for number in numbers {
            let line = std::fs::read_to_string(folder.path().join(format!("log{number}.txt")));
            let line = line.unwrap();
            assert_eq!(line.lines().count(), 1, "{kind:?}: {line}");
            assert!(line.contains("what time is it?"), "{kind:?}: {line}");
        }
    });
}

#[test]
fn row_24_each_message_is_answered_by_a_modified_one() {
    for (transform, answer) in [
        ("reverse", "olleH\r\neybdoog\r\n"),
        ("upper", "HELLO\r\nGOODBYE\r\n"),
        ("length", "5\r\n7\r\n"),
        ("prefix=>>", ">>Hello\r\n>>goodbye\r\n"),
    ] {
        at_once(all(), |kind| {
            let server =
                Server::start(kind, &format!("--service transform --transform {transform}"));
            let local = tempfile::tempdir().unwrap();
            std::fs::write(local.path().join("lines"), "Hello\r\ngoodbye\r\n").unwrap();
            for (arguments, input) in [
                (&["say", "HOST", "PORT", "Hello", "goodbye"][..], ""),
                (&["say", "HOST", "PORT", "--file", "lines"], ""),
                (&["say", "HOST", "PORT"], "Hello\r\ngoodbye\r\n"),
            ] {
                let told = stdout(&server.client_with_input(local.path(), arguments, input));
                assert_eq!(told, answer, "{kind:?} {transform}");
            }
        });
    }
}

#[test]
fn row_24_iterative_serves_the_next_when_the_first_has_left() {
    let server = Server::start(StrategyKind::Iterative, "--service transform --transform upper");
    let mut first = server.connect();
    first.send(b"a\r\n");
    assert_eq!(first.line(), b"A\r\n");
    let mut second = server.connect();
    second.send(b"b\r\n");
    first.send(b"c\r\n");
    assert_eq!(first.line(), b"C\r\n");
    drop(first);
    assert_eq!(second.line(), b"B\r\n");
}

#[test]
fn row_25_the_same_for_several_clients_at_once() {
    for kind in concurrent() {
        let server = Server::start(kind, "--service transform --transform reverse");
        let (mut a, mut b) = (server.connect(), server.connect());
        b.send(b"abc\r\n");
        assert_eq!(b.line(), b"cba\r\n", "{kind:?}");
        a.send(b"def\r\n");
        assert_eq!(a.line(), b"fed\r\n", "{kind:?}");
    }
}

#[test]
fn row_26_a_line_of_chat_goes_to_everyone_else() {
    for kind in connected() {
        let server = Server::start(kind, "--service chat");
        let local = tempfile::tempdir().unwrap();
        // A member that has sent nothing receives lines as well.
        let mut listener = server.connect();
        let mut anna =
            server.client_process(local.path(), &["chat", "HOST", "PORT", "--name", "anna"]);
        let mut ben = server.client_process(local.path(), &["chat", "HOST", "PORT"]);
        let mut hears = BufReader::new(ben.stdout.take().unwrap()).lines();
        let (mut anna_says, mut ben_says) = (anna.stdin.take().unwrap(), ben.stdin.take().unwrap());
        // Anna can have joined before the others.
        let mut anna_hears = BufReader::new(anna.stdout.take().unwrap())
            .lines()
            .skip_while(|line| line.as_ref().is_ok_and(|line| line == "?" || line == "joined"));
        // A client whose line was received is a member and receives all later lines.
        until_members(|line| ben_says.write_all(line).unwrap(), &mut listener);
        writeln!(anna_says, "hello").unwrap();
        assert_eq!(listener.line(), b"anna: hello\r\n", "{kind:?}");
        assert_eq!(hears.next().unwrap().unwrap(), "anna: hello", "{kind:?}");
        // Concurrently, a hundred lines each way; no member receives its own lines.
        for number in 0..100 {
            writeln!(anna_says, "{number}").unwrap();
            writeln!(ben_says, "{number}").unwrap();
        }
        let heard_by = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
            lines.take(100).map(Result::unwrap).collect::<Vec<_>>()
        };
        let expected: Vec<String> = (0..100).map(|number| format!("anna: {number}")).collect();
        assert_eq!(heard_by(&mut hears), expected, "{kind:?}");
        let from_ben = heard_by(&mut anna_hears);
        let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(from_ben, expected, "{kind:?}");
        drop((anna_says, ben_says));
        assert_eq!(anna.wait().unwrap().code(), Some(0), "{kind:?}");
        assert_eq!(ben.wait().unwrap().code(), Some(0), "{kind:?}");
    }
}

#[test]
fn row_27_connections_are_distinguished_by_both_addresses() {
    for kind in concurrent() {
        let server = Server::start(kind, "--service hello");
        let (mut a, mut b) = (server.connect(), server.connect());
        assert_ne!(a.address(), b.address(), "one address, but two ports");
        for (peer, name) in [(&mut b, "b"), (&mut a, "a")] {
            peer.send(format!("{name}\r\n").as_bytes());
            let answer = format!("I got \"{name}\" from you and I am sending it back.\r\n");
            assert_eq!(peer.line(), answer.as_bytes(), "{kind:?}");
            server.shows(&format!("Sent back \"{name}\" to: {}", peer.address()));
        }
    }
}
