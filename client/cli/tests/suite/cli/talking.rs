//! Interactive commands (console, chat, knock, say), transcripts and notifications.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::cli::support::{
    Server, arguments_of, client, client_program, error, interrupt, run, stdout,
};
use testkit::mock::Mock;
use testkit::{content, names};

/// Runs `client` with these lines as its standard input.
fn typed(folder: &Path, address: SocketAddr, arguments: &str, lines: &str) -> Output {
    let mut child = client(folder)
        .args(arguments_of(address, arguments))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It can have refused its arguments already.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_transcript_contains_the_output() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a.png"), content("a.png", 700_001)).unwrap();
    fs::write(local.path().join("empty"), "").unwrap();
    for wire in ["framed", "http"] {
        let arguments = format!("send a.png empty HOST PORT --transcript kept --wire {wire}");
        stdout(&run(local.path(), server.address, &arguments));
        let kept = fs::read_to_string(local.path().join("kept")).unwrap();
        let lines: Vec<&str> = kept.lines().collect();
        assert!(lines[0].starts_with("$ client send a.png empty 127.0.0.1 "), "{kept}");
        assert!(lines[1].starts_with(&format!("a.png   0 % [{}] 0 B/683.59 KiB", "-".repeat(30))));
        for (line, percent) in lines[1..5].iter().zip([0, 37, 74, 100]) {
            assert!(line.starts_with(&format!("a.png {percent:>3} % [")), "{kept}");
        }
        assert!(lines[4].contains(&format!("[{}] 683.59 KiB/683.59 KiB  ", "#".repeat(30))));
        assert!(lines[5].starts_with("saved as a"), "{kept}");
        assert!(lines[6].starts_with("empty 100 % ["), "{kept}");
        assert!(lines[7].starts_with("saved as empty"), "{kept}");
        assert!(!kept.contains(['\r', '\u{1b}']), "plain text: {kept:?}");
    }
    let arguments = "send a.png HOST PORT --as ../a --transcript kept";
    assert!(
        error(&run(local.path(), server.address, arguments), 2)
            .contains("is not a valid file name")
    );
}

#[test]
fn a_transcript_contains_failures_and_never_overwrites_a_sent_file() {
    let server = Server::with_limit(1_000);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a.png"), content("a.png", 5_000)).unwrap();
    let output = run(local.path(), server.address, "send a.png HOST PORT --transcript kept");
    let told = error(&output, 1);
    let kept = fs::read_to_string(local.path().join("kept")).unwrap();
    assert!(kept.ends_with(&told), "{kept} {told}");

    let output = run(local.path(), server.address, "send a.png HOST PORT --transcript ./a.png");
    assert!(error(&output, 2).contains("choose another --transcript file"), "{output:?}");
    assert_eq!(fs::read(local.path().join("a.png")).unwrap(), content("a.png", 5_000));
    let output = run(local.path(), server.address, "send a.png HOST PORT --transcript no/such/x");
    assert!(error(&output, 2).contains("choose another --transcript file"), "{output:?}");
}

#[test]
fn a_second_server_is_notified_of_the_fetched_file() {
    for wire in ["text", "framed", "http"] {
        let files = Server::start();
        let expected = files.folder.put("eagle.jpg", 55_696);
        let hello = Mock::start(|peer| {
            let said = peer.read_to_end()?;
            let said = String::from_utf8(said).unwrap();
            write!(peer.stream, "I got \"{said}\" from you and I am sending it back.")
        });
        let local = tempfile::tempdir().unwrap();
        let arguments =
            format!("get eagle.jpg HOST PORT --wire {wire} --report-to {}", hello.address);
        let told = stdout(&run(local.path(), files.address, &arguments));
        assert!(
            told.ends_with(
                "saved eagle.jpg (54.39 KiB)\n\
                 I got \"The size of eagle.jpg is 55696\" from you and I am sending it back.\n"
            ),
            "{told}"
        );
        assert_eq!(fs::read(local.path().join("eagle.jpg")).unwrap(), expected);

        // The file goes to standard output, so the reply does not.
        let output = run(local.path(), files.address, &(arguments + " -o -"));
        assert_eq!((output.status.code(), output.stdout), (Some(0), expected));
        assert!(String::from_utf8_lossy(&output.stderr).contains("The size of eagle.jpg is 55696"));
    }
}

#[test]
fn an_unreachable_second_server_is_reported_before_the_transfer() {
    let files = Server::start();
    files.folder.put("a", 10);
    let local = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let arguments = format!("get a HOST PORT --report-to {free}");
    assert!(error(&run(local.path(), files.address, &arguments), 1).contains("refused: start"));
    let silent = Mock::start(|peer| peer.read_to_end().map(drop));
    let arguments = format!("get missing HOST PORT --report-to {}", silent.address);
    assert!(error(&run(local.path(), files.address, &arguments), 1).contains("no such file"));
    assert!(names(local.path()).is_empty());
    let arguments = format!("get a HOST PORT --report-to {}", silent.address);
    assert!(error(&run(local.path(), files.address, &arguments), 1).contains("without a reply"));
}

#[test]
fn a_file_is_fetched_by_a_line_of_text() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("a", content("a", 700_001)), ("empty", Vec::new()), ("E", b"ERROR 1\nERROR 2\n".to_vec())]
    {
        fs::write(server.folder.path().join(name), &bytes).unwrap();
        stdout(&run(local.path(), server.address, &format!("get {name} HOST PORT --wire text")));
        assert_eq!(fs::read(local.path().join(name)).unwrap(), bytes);
    }
    let output = run(local.path(), server.address, "get missing HOST PORT --wire text");
    assert!(error(&output, 1).contains("no such file"), "{output:?}");
    fs::write(local.path().join("up"), "x").unwrap();
    let output = run(local.path(), server.address, "send up HOST PORT --wire text");
    assert!(error(&output, 2).contains("only fetches files"), "{output:?}");
}

#[test]
fn each_enter_is_a_connection() {
    let server = Mock::start(|_| Ok(()));
    let local = tempfile::tempdir().unwrap();
    let told = stdout(&typed(local.path(), server.address, "knock HOST PORT", "\nx\n"));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    let address = server.address;
    assert!(lines[0].starts_with(&format!("Press Enter to connect to {address}")), "{told}");
    for (number, line) in lines[1..].iter().enumerate() {
        assert!(line.starts_with(&format!("{}: connected from 127.0.0.1:", number + 1)), "{told}");
        assert!(line.contains(&format!(" to {address}, closed by the server after ")), "{told}");
    }

    let talkative = Mock::start(|peer| peer.stream.write_all(b"go away\r\n"));
    let told = stdout(&typed(local.path(), talkative.address, "knock HOST PORT", "\n"));
    assert!(told.contains("received \"go away\", closed by the server"), "{told}");
}

#[test]
fn a_refused_connection_is_reported_and_the_next_one_tried() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let local = tempfile::tempdir().unwrap();
    let output = typed(local.path(), free, "knock HOST PORT", "\n\n");
    assert!(error(&output, 1).contains("2 of 2 connections failed"), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.matches("refused: start the server").count(), 2, "{told}");
}

#[test]
fn messages_are_composed_one_after_the_other_over_one_connection() {
    let server = Server::start();
    server.folder.put("there.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("mine.txt"), "mine").unwrap();
    let lines = "2\n200\n1\nnamed.bin\n4\n70000\nf\nmine.txt\n\n7\nthere.bin\n7\nthere.bin\n7\nmissing\n2\nmine.txt\nq\n";
    let told = stdout(&typed(local.path(), server.address, "console HOST PORT", lines));
    assert!(told.contains("sent type 2, 200 bytes\nserver: SAVED "), "{told}");
    assert!(told.contains("server: OK\n"), "{told}");
    assert!(told.contains("sent type 4, 70000 bytes\nserver: SAVED named.bin\n"), "{told}");
    assert!(told.contains("sent type 2, 4 bytes\nserver: SAVED mine.txt\n"), "{told}");
    assert!(told.contains("saved there.bin (1000 B)"), "{told}");
    assert!(told.contains("there.bin exists in this folder: move or delete it first\n"), "{told}");
    assert!(told.contains("server refused: no such file: missing\n"), "{told}");
    assert!(!told.contains("reconnected"), "{told}");
    assert_eq!(server.folder.read("named.bin").len(), 70_000);
    assert_eq!(server.folder.read("mine.txt"), b"mine");
    assert_eq!(server.folder.names().len(), 5, "and two random names: {:?}", server.folder.names());
    assert_eq!(fs::read(local.path().join("there.bin")).unwrap(), content("there.bin", 1_000));
}

#[test]
fn invalid_input_to_the_console_is_answered_and_the_next_request_works() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    fs::create_dir(local.path().join("folder")).unwrap();
    let long = "x".repeat(5_000);
    let lines = format!(
        "\n9\nhello\n-1\n2\n256\n2\nfolder\nno such\n255\n1\n../up\nf\nmissing\nfolder\n/etc/hostname\n../x\n1\n{long}\n1\nok.bin\n3\n2\n?\n"
    );
    let told = stdout(&typed(local.path(), server.address, "console HOST PORT", &lines));
    for words in [
        "\"\" is not a choice",
        "\"9\" is not a choice: type a number from 1 to 7, f, ? or q",
        "\"hello\" is not a choice",
        "type 2 carries at most 255 bytes, not 256: choose a type of more bytes",
        "\"folder\" is not a regular file",
        "neither a size nor a file (cannot read \"no such\"",
        "sent type 2, 255 bytes\nserver: SAVED ",
        "cannot read \"missing\"",
        "the last 904 bytes were removed; the limit is 4096 bytes",
        "sent type 3, 2 bytes\nserver: SAVED ok.bin\n",
    ] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert_eq!(told.matches("server refused").count(), 3, "{told}");
    assert_eq!(server.folder.read("ok.bin").len(), 2);
    assert_eq!(server.folder.names().len(), 2);
}

#[test]
fn a_message_of_the_console_can_be_cancelled() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    // Each number 1 must be taken as a message type, and the line after it as the text.
    let told = |lines: &str| {
        stdout(&typed(
            local.path(),
            server.address,
            "console HOST PORT",
            &(lines.to_owned() + "q\n"),
        ))
    };
    for cancelled in
        ["2\nno such\n\n", "2\nno such\nq\n", "f\nno such\n\n", "f\nq\n", "3\n\n", "2\n300\n"]
    {
        let told = told(&format!("{cancelled}1\nup.bin\n"));
        assert!(told.contains("text: server: OK\n"), "{cancelled:?}: {told}");
    }
    assert!(server.folder.names().is_empty());
}

#[test]
fn leaving_a_chat_is_never_reported_as_the_end_of_the_server() {
    // `script` of util-linux runs the program on a terminal.
    if !Path::new("/usr/bin/script").exists() {
        return testkit::skip("leaving_a_chat", "/usr/bin/script is not installed");
    }
    let server = Mock::start(testkit::mock::Peer::wait_for_close);
    let command = ["'", client_program(), "' chat HOST PORT"].concat();
    let command = arguments_of(server.address, &command).join(" ");
    // Which of the two threads ends first is chance.
    let leave = || {
        let mut script = std::process::Command::new("/usr/bin/script");
        script.args(["-qec", &command, "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = Vec::new();
        let mut terminal = child.stdout.take().unwrap();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&shown).contains("> ") {
            let read = std::io::Read::read(&mut terminal, &mut buffer).unwrap();
            assert!(read > 0, "no prompt: {shown:?}");
            shown.extend_from_slice(&buffer[..read]);
        }
        child.stdin.as_mut().unwrap().write_all(b"\x04").unwrap();
        std::io::Read::read_to_end(&mut terminal, &mut shown).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        String::from_utf8(shown).unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let shown = leave();
                    assert!(!shown.contains("closed"), "{shown:?}");
                }
            });
        }
    });
}

#[test]
fn a_console_reconnects_but_needs_a_server_at_its_start() {
    let once = Mock::start(|peer| {
        peer.read_exact(3 + 2)?;
        // Corked, so that the reply and the end of the connection arrive together.
        rustix::net::sockopt::set_tcp_cork(&peer.stream, true)?;
        peer.stream.write_all(b"\x01\x00\x02hi")
    });
    let local = tempfile::tempdir().unwrap();
    let told = stdout(&typed(local.path(), once.address, "console HOST PORT", "1\nab\n1\ncd\n"));
    assert_eq!(told.matches("server: hi").count(), 2, "{told}");
    assert!(told.contains("(reconnected)"), "{told}");

    let mute = Mock::start(|peer| peer.read_exact(3 + 2).map(drop));
    let told = stdout(&typed(local.path(), mute.address, "console HOST PORT", "1\nab\n1\ncd\n"));
    assert_eq!(told.matches("failed: the server closed the connection without a reply").count(), 2);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = typed(local.path(), free, "console HOST PORT", "1\nab\n");
    assert!(error(&output, 1).contains("refused: start the server"), "{output:?}");
}

#[test]
fn a_waiting_console_can_be_interrupted() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    for command in ["console", "knock"] {
        let mut child = client(local.path())
            .args(arguments_of(server.address, &format!("{command} HOST PORT")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{command}");
    }
}

#[test]
fn a_chat_without_a_terminal_sends_and_prints_plain_lines() {
    let server = Mock::start(|peer| {
        peer.stream.write_all(b"first\r\n")?;
        let said = peer.read_to_end()?;
        peer.stream.write_all(&said)
    });
    let local = tempfile::tempdir().unwrap();
    let told = stdout(&typed(local.path(), server.address, "chat HOST PORT", "a\nb\n"));
    assert_eq!(told, "first\r\na\nb\n");
    let told = stdout(&typed(local.path(), server.address, "chat HOST PORT --name anna", "a\nb"));
    assert_eq!(told, "first\r\nanna: a\nanna: b");
}

#[test]
fn each_line_waits_for_the_reply_to_the_previous_one() {
    // A server as in a first exercise: each recv returns one message.
    let server = Mock::start(|peer| {
        let mut buffer = [0; 1024];
        loop {
            let read = std::io::Read::read(&mut peer.stream, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            peer.count();
            let said = String::from_utf8_lossy(&buffer[..read]).to_uppercase();
            peer.stream.write_all(said.as_bytes())?;
        }
    });
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("lines"), "one\ntwo\nthree\n").unwrap();
    for (arguments, lines) in [
        ("say HOST PORT one two three", ""),
        ("say HOST PORT --file lines", ""),
        ("say HOST PORT", "one\ntwo\nthree\n"),
    ] {
        let before = server.requests.load(std::sync::atomic::Ordering::Relaxed);
        let told = stdout(&typed(local.path(), server.address, arguments, lines));
        assert_eq!(told.lines().collect::<Vec<_>>(), ["ONE", "TWO", "THREE"], "{arguments}");
        let after = server.requests.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(after - before, 3, "{arguments}");
    }
    let output = typed(local.path(), server.address, "say HOST PORT --file missing", "");
    assert!(error(&output, 1).contains("cannot read missing"), "{output:?}");
}

#[test]
fn a_line_without_a_reply_does_not_block_the_next() {
    let server = Mock::start(|peer| {
        let said = peer.read_to_end()?;
        peer.stream.write_all(&said)
    });
    let local = tempfile::tempdir().unwrap();
    for arguments in ["say HOST PORT a b", "say HOST PORT a b --no-wait"] {
        assert_eq!(stdout(&run(local.path(), server.address, arguments)), "a\r\nb\r\n");
    }
}
