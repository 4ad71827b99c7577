//! Invalid input gets a clear reply, and the next request works.

use std::process::{Command, Stdio};

use fileserver::StrategyKind;
use testkit::names;

use crate::labs::support::{Server, all, at_once, connected, error, stdout, until_members};

#[test]
fn an_unknown_transform_or_service_is_reported_at_the_start() {
    for (arguments, words) in [
        (&["--service", "transform", "--transform", "shout"][..], "reverse"),
        (&["--service", "shout"], "echo"),
        (&["--service", "chat", "--strategy", "prefork"], "prefork"),
    ] {
        let mut command = Command::new(testkit::server_program());
        let output = testkit::isolate(&mut command)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--root", "no/such/folder"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(error(&output, 2).contains(words), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_text_that_is_not_utf_8_or_too_long_is_refused_on_the_framed_wire() {
    for kind in all() {
        let server = Server::start(kind, "--service message");
        let mut peer = server.connect();
        peer.send(b"\x01\x00\x02\xff\xfe");
        let head = peer.exactly(3);
        assert_eq!(head[0], 0x08, "{kind:?}");
        peer.exactly(usize::from(head[2]));
        peer.send(b"\x01\x00\x02ok");
        assert_eq!(peer.exactly(14), b"\x01\x00\x0bMessage: ok", "{kind:?}");
        let too_long = [&b"\x01\x10\x01"[..], &[b'a'; 4_097]].concat();
        peer.send(&too_long);
        let refusal = "the text is longer than 4096 bytes";
        let head = [&[0x08, 0, refusal.len() as u8], refusal.as_bytes()].concat();
        assert_eq!(peer.exactly(head.len()), head, "{kind:?}");
        peer.send(b"\x01\x00\x05still");
        assert_eq!(peer.exactly(17), b"\x01\x00\x0eMessage: still", "{kind:?}");
    }
}

#[test]
fn binary_data_for_a_text_service_is_refused_and_the_next_text_answered() {
    for kind in all() {
        let server = Server::start(kind, "--service echo");
        let local = tempfile::tempdir().unwrap();
        let told = stdout(&server.client_with_input(
            local.path(),
            &["console", "HOST", "PORT"],
            "2\n100\n7\nfile\n1\nhello\nnonsense\n",
        ));
        assert_eq!(told.matches("server refused: ").count(), 2, "{kind:?}: {told}");
        assert!(told.contains("server: hello\n"), "{kind:?}: {told}");
        assert!(told.contains("\"nonsense\" is not a choice"), "{kind:?}: {told}");
        assert!(server.folder.names().is_empty(), "{kind:?}");
    }
}

#[test]
fn only_a_chat_member_that_never_reads_is_disconnected() {
    at_once(connected(), |kind| {
        let server = Server::start(kind, "--service chat");
        let (mut sender, mut reader, mut sleeper) =
            (server.connect(), server.connect(), server.connect());
        until_members(|line| reader.send(line), &mut sender);
        sleeper.send(b"sleeper\r\n");
        assert_eq!(sender.line(), b"sleeper\r\n", "{kind:?}");
        // More than all buffers on the way can hold, and never more at once than the mailbox of the
        // reading member.
        let line = ["x".repeat(4_000).as_bytes(), b"\r\n"].concat();
        let (has_read, reads) = std::sync::mpsc::channel();
        let reading = std::thread::spawn(move || {
            let mut lines = 0;
            while lines < 4_000 {
                match reader.line() {
                    line if line.starts_with(b"x") => lines += 1,
                    line if line.is_empty() => panic!("the reader was dropped"),
                    _ => continue,
                }
                if lines % 8 == 0 {
                    has_read.send(()).unwrap();
                }
            }
            (lines, reader)
        });
        for _ in 0..500 {
            (0..8).for_each(|_| sender.send(&line));
            reads.recv().expect("the reader keeps pace");
        }
        let (lines, mut reader) = reading.join().unwrap();
        assert_eq!(lines, 4_000, "{kind:?}");
        let heard = sleeper.rest();
        assert!(heard.len() < 4_000 * line.len(), "{kind:?}: the sleeper heard everything");
        reader.send(b"still here\r\n");
        assert_eq!(sender.line(), b"still here\r\n", "{kind:?}");
    });
}

#[test]
fn two_date_logs_over_one_folder_share_its_numbers() {
    let first = Server::start(StrategyKind::Selector, "--service date-log");
    let folder = first.folder.clone();
    let second = Server::over(folder.clone(), StrategyKind::Threaded, "--service date-log");
    for _ in 0..20 {
        let mut peers = [first.connect(), second.connect()];
        peers.iter_mut().for_each(|peer| peer.send(b"what time is it?\r\n"));
        peers.iter_mut().for_each(|peer| assert!(peer.line().ends_with(b"\r\n")));
    }
    let mut expected: Vec<String> = (0..40).map(|number| format!("log{number}.txt")).collect();
    expected.sort();
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn a_name_that_leaves_the_folder_is_refused() {
    for kind in all() {
        let server = Server::start(kind, "");
        let file = server.folder.put("there", 10);
        for line in ["../there", "/etc/passwd", "a/../../there", "."] {
            let mut peer = server.connect();
            peer.send(format!("{line}\r\n").as_bytes());
            let said = peer.rest();
            assert!(said.starts_with(b"ERROR "), "{kind:?} {line}: {said:?}");
        }
        let local = tempfile::tempdir().unwrap();
        let console = ["console", "HOST", "PORT"];
        let input = "1\n../up\n2\n3\n7\n../there\n1\nfine\n2\n3\n";
        let told = stdout(&server.client_with_input(local.path(), &console, input));
        assert_eq!(told.matches("server refused: ").count(), 2, "{kind:?}: {told}");
        assert!(told.contains("server: SAVED fine\n"), "{kind:?}: {told}");
        assert_eq!(server.folder.read("there"), file);
        let parent = server.folder.path().parent().unwrap();
        assert!(!parent.join("up").exists(), "{kind:?}");
    }
}
