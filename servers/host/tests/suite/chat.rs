//! Chat room: the lines of one connection reach all others.

use std::time::Duration;

use fileserver::StrategyKind;
use fileserver_proto::Service;

use crate::peer::{Message, Peer, framed_name, http};
use crate::server::Server;

fn room(kind: StrategyKind) -> Server {
    Server::with(kind, |options| options.settings.service = Service::Chat)
}

/// Connects a number of members and waits until all have joined.
fn members<const N: usize>(server: &Server) -> [Peer; N] {
    let before = server.console(0).len();
    let members = [(); N].map(|()| server.connect());
    server.console(before + N);
    members
}

pub(crate) fn a_line_goes_to_every_other_member(kind: StrategyKind) {
    let server = room(kind);
    let mut members: [Peer; 20] = members(&server);
    for round in 0..3 {
        for sender in 0..members.len() {
            let line = format!("line {round} of {sender}, caf\u{e9}");
            members[sender].send(format!("{line}\n"));
            for (number, member) in members.iter_mut().enumerate() {
                if number != sender {
                    assert_eq!(member.line(), format!("{line}\r\n"));
                }
            }
        }
    }
    drop(members);
    server.wait_until_deserted();
    assert_eq!(server.stop().connections, 20);
}

pub(crate) fn no_line_acts_on_the_terminals_of_others(kind: StrategyKind) {
    let server = room(kind);
    let [mut a, mut b]: [Peer; 2] = members(&server);
    a.send(b"\x1b[2Jone\rtwo\tthree\n");
    assert_eq!(b.line(), "\\u{1b}[2Jone\\rtwo\tthree\r\n");
}

pub(crate) fn two_talk_at_once(kind: StrategyKind) {
    const LINES: usize = 500;
    let server = room(kind);
    let mut members: [Peer; 2] = members(&server);
    std::thread::scope(|scope| {
        for (number, member) in members.iter_mut().enumerate() {
            scope.spawn(move || {
                for line in 0..LINES {
                    member.send(format!("{number} says {line}\n"));
                    // At most a mailbox ahead of the other.
                    assert_eq!(member.line(), format!("{} says {line}\r\n", 1 - number));
                }
            });
        }
    });
}

pub(crate) fn a_paste_reaches_all_who_read(kind: StrategyKind) {
    const LINES: usize = 5000;
    let server = room(kind);
    let mut members: [Peer; 6] = members(&server);
    let [sender, readers @ ..] = &mut members;
    std::thread::scope(|scope| {
        for reader in readers {
            scope.spawn(move || {
                for line in 0..LINES {
                    assert_eq!(reader.line(), format!("line {line}\r\n"));
                }
            });
        }
        let lines: String = (0..LINES).map(|line| format!("line {line}\n")).collect();
        sender.send(lines);
    });
}

pub(crate) fn whoever_leaves_is_not_missed(kind: StrategyKind) {
    let server = room(kind);
    let [mut a, b, mut c]: [Peer; 3] = members(&server);
    b.reset();
    a.send("after b\n");
    assert_eq!(c.line(), "after b\r\n");
    c.send("without end").finish_sending();
    assert_eq!(a.line(), "without end\r\n");
    assert_eq!(c.rest(), b"");
    let [mut d]: [Peer; 1] = members(&server);
    a.send("for d\n");
    assert_eq!(d.line(), "for d\r\n", "and nothing from before it came");
}

pub(crate) fn a_member_that_does_not_read_is_dropped_and_the_room_goes_on(kind: StrategyKind) {
    let server = room(kind);
    let [mut sender, mut reader]: [Peer; 2] = members(&server);
    let mut slow = Peer::connect_narrow(server.address());
    server.console(3);
    // More than socket buffers and a mailbox hold.
    let line = "x".repeat(4000);
    let mut sent = 0_u64;
    while sent < 12 << 20 {
        for _ in 0..50 {
            sender.send(format!("{line}\n"));
            sent += 4001;
        }
        for _ in 0..50 {
            assert_eq!(reader.line().len(), 4002);
        }
    }
    let heard = String::from_utf8(slow.rest()).unwrap();
    assert!((heard.len() as u64) < sent);
    sender.send("still here\n");
    assert_eq!(reader.line(), "still here\r\n");
    if heard.contains("ERROR") {
        assert!(heard.ends_with("ERROR disconnected: messages were read too slowly\r\n"));
    }
}

pub(crate) fn many_members_that_do_not_read_delay_nobody(kind: StrategyKind) {
    let server = Server::with(kind, |options| {
        options.settings.service = Service::Chat;
        options.settings.timeouts.stall = Duration::from_secs(3600);
        options.workers = 2;
    });
    let [mut sender, mut reader]: [Peer; 2] = members(&server);
    let _deaf = [(); 4].map(|()| Peer::connect_narrow(server.address()));
    server.console(6);
    let line = "x".repeat(4000);
    // More than socket buffers and a mailbox hold.
    for _ in 0..2000 {
        sender.send(format!("{line}\n"));
        assert_eq!(reader.line().len(), 4002);
    }
}

pub(crate) fn a_line_without_end_does_not_occupy_a_worker(kind: StrategyKind) {
    let server = Server::with(kind, |options| {
        options.settings.service = Service::Chat;
        options.settings.timeouts.head = Duration::from_secs(3600);
        // A silence does not end the line.
        options.settings.timeouts.quiet = Duration::from_secs(3600);
        options.workers = 1;
    });
    let [mut slow, mut sender, mut reader]: [Peer; 3] = members(&server);
    slow.send("begun\nand not e");
    assert_eq!([sender.line(), reader.line()], ["begun\r\n", "begun\r\n"]);
    sender.send("a line\n");
    assert_eq!([slow.line(), reader.line()], ["a line\r\n", "a line\r\n"]);
    slow.send("nded\n");
    assert_eq!(reader.line(), "and not ended\r\n");
}

pub(crate) fn idle_members_do_not_delay_a_drain(kind: StrategyKind) {
    let server = room(kind);
    let mut members: [Peer; 5] = members(&server);
    let report = server.stop();
    assert_eq!((report.connections, report.broken), (5, 0));
    for member in &mut members {
        assert_eq!(member.rest(), b"");
    }
}

pub(crate) fn framed_http_and_text_meet(kind: StrategyKind) {
    let server = room(kind);
    let [mut text, mut framed]: [Peer; 2] = members(&server);
    // An empty message selects the wire and is not forwarded.
    framed.send(framed_name("")).send(framed_name("from framed"));
    assert_eq!(text.line(), "from framed\r\n");
    let reply =
        server.connect().send(http("POST /", "Content-Length: 9\r\n")).send("from http").reply();
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(text.line(), "from http\r\n");
    assert_eq!(framed.message(), Message::Text("from http".to_owned()));
    text.send("from text\n");
    assert_eq!(framed.message(), Message::Text("from text".to_owned()));
}
