//! The `client` program against this project's server and scripted ones.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Server, arguments_of, client, client_program, error, interrupt, run, stdout};
use testkit::mock::{self, Mock};
use testkit::{content, names};

mod load;
mod program;
mod proxy;
mod resume;
mod support;
mod talking;

#[test]
fn files_are_sent_over_one_connection_and_their_stored_names_printed() {
    for wire in ["framed", "http"] {
        let server = Server::start();
        let local = tempfile::tempdir().unwrap();
        for (name, len) in [("a.png", 700_001), ("empty", 0)] {
            fs::write(local.path().join(name), content(name, len)).unwrap();
        }
        let arguments = format!("send a.png empty a.png HOST PORT --wire {wire}");
        let told = stdout(&run(local.path(), server.address, &arguments));
        let percent = |name: &str| {
            [0, 25, 50, 75, 100].map(|percent| format!("{name}: {percent} %\n")).concat()
        };
        assert_eq!(
            told,
            format!(
                "{0}saved as a.png (683.59 KiB)\n{1}saved as empty (0 B)\n{0}saved as a_copy1.png (683.59 KiB)\n",
                percent("a.png"),
                percent("empty")
            )
        );
        assert_eq!(server.folder.names(), ["a.png", "a_copy1.png", "empty"]);
        assert_eq!(server.folder.read("a_copy1.png"), content("a.png", 700_001));
        assert_eq!(server.folder.read("empty"), b"");
    }
}

#[test]
fn a_file_can_be_stored_under_another_name() {
    for (wire, name) in [("framed", "-ä.b"), ("http", "100%.b")] {
        let server = Server::start();
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("a"), "x").unwrap();
        let arguments = format!("send a HOST PORT --wire {wire} --as={name}");
        let told = stdout(&run(local.path(), server.address, &arguments));
        assert!(told.ends_with(&format!("saved as {name} (1 B)\n")), "{told}");
        assert_eq!(server.folder.names(), [name]);
    }
}

#[test]
fn invalid_files_and_names_are_reported_before_a_transfer() {
    let server = Server::start();
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a"), "x").unwrap();
    fs::create_dir(local.path().join("folder")).unwrap();
    for (arguments, code, words) in [
        ("send a missing HOST PORT", 1, "(os error 2); check the path"),
        ("send a folder HOST PORT", 1, "folder is a folder: give its files"),
        ("send HOST PORT", 2, "no file to send"),
        ("send HOST:PORT", 2, "no file to send"),
        ("send a http://HOST:PORT/b", 2, "the URL names a file (/b): remove it"),
        ("send a http://HOST:PORT --wire framed", 2, "use HOST and PORT with --wire framed"),
        ("missing HOST PORT", 2, "neither a command nor a file: to send a file, check its path"),
        ("missing HOST:PORT", 2, "to fetch one, use: client get missing 127.0.0.1:"),
        ("send a HOST x", 2, "\"x\" is not a port"),
        ("send a localhost", 2, "no port after localhost"),
        ("send a a HOST PORT --as b", 2, "--as applies to one file"),
        ("send a HOST PORT --as ../b", 2, "is not a valid file name"),
    ] {
        let output = run(local.path(), server.address, arguments);
        assert!(error(&output, code).contains(words), "{arguments}: {output:?}");
    }
    assert!(server.folder.names().is_empty());
}

#[test]
fn a_refusal_is_detected_during_the_transfer() {
    for (wire, words) in [("framed", "refused big"), ("http", "refused big: status 413")] {
        let server = Server::with_limit(1_000);
        let local = tempfile::tempdir().unwrap();
        // Sparse: far larger than all socket buffers, without disk space.
        fs::File::create(local.path().join("big")).unwrap().set_len(1 << 36).unwrap();
        let output =
            run(local.path(), server.address, &format!("send big HOST PORT --wire {wire}"));
        assert!(error(&output, 1).contains(words), "{output:?}");
        assert!(server.folder.names().is_empty());
    }
}

#[test]
fn a_full_server_is_reported_with_a_remedy() {
    let mock = Mock::start(|peer| {
        peer.read_http_head()?;
        peer.stream.write_all(b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n")?;
        peer.wait_for_close()
    });
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a"), "x").unwrap();
    let output = run(local.path(), mock.address, "send a HOST PORT --wire http");
    assert!(error(&output, 1).contains("status 507; free space on the server"), "{output:?}");

    let silent = Mock::start(mock::Peer::wait_for_close);
    let output = run(local.path(), silent.address, "send a HOST PORT --timeout 1s");
    assert!(error(&output, 1).contains("no answer within 1s"), "{output:?}");
}

#[test]
fn an_unreachable_server_is_reported_with_a_remedy() {
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a"), "x").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for arguments in [
        "send a HOST PORT",
        "get a HOST PORT",
        "say HOST PORT x",
        "load HOST PORT --file a:1",
        "load http://HOST:PORT/a",
    ] {
        // `get` refuses to overwrite; there is nothing to overwrite here.
        let folder =
            if arguments.starts_with("get") { PathBuf::from("/") } else { local.path().into() };
        let output = run(&folder, address, arguments);
        assert!(error(&output, 1).contains("refused: start the server"), "{arguments}: {output:?}");
    }
}

#[test]
fn all_addresses_of_localhost_are_tried() {
    let server = Server::start();
    let expected = server.folder.put("a", 10);
    let local = tempfile::tempdir().unwrap();
    let arguments = "get a localhost PORT";
    stdout(&run(local.path(), server.address, arguments));
    assert_eq!(fs::read(local.path().join("a")).unwrap(), expected);
}

#[test]
fn every_command_accepts_every_form_of_an_address() {
    let server = Server::start();
    let expected = server.folder.put("a b.txt", 100);
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("up"), "x").unwrap();
    for form in ["HOST PORT", "HOST:PORT", "http://HOST:PORT", "http://HOST:PORT/"] {
        for (arguments, part) in [
            ("send up SERVER", "saved as up"),
            ("up SERVER", "saved as up"),
            ("send up SERVER --limit-rate 1MiB", "saved as up"),
            ("get a.bin SERVER --force", "saved a.bin"),
            ("say SERVER a.bin", ""),
            ("say SERVER --file up", "ERROR no such file: x"),
            ("chat SERVER", ""),
            ("knock SERVER", "Press Enter to connect to 127.0.0.1:"),
            ("console SERVER", "connected to 127.0.0.1:"),
        ] {
            let arguments = arguments.replace("SERVER", form);
            let output = run(local.path(), server.address, &arguments);
            assert_eq!(output.status.code(), Some(0), "{arguments}: {output:?}");
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(told.contains(part), "{arguments}: {told}");
        }
        // A busy machine may answer no request within so short a window.
        let load = format!("load {form} --file a.bin:1000 -d 50ms --warm-up 0s -c 2");
        let output = run(local.path(), server.address, &load);
        let told = String::from_utf8_lossy(&output.stdout);
        let head = format!("Download on {} over ", server.address);
        assert!(told.starts_with(&head) && !told.contains("errors"), "{load}: {output:?}");
    }
    let told = stdout(&run(local.path(), server.address, "get http://HOST:PORT/a%20b.txt"));
    assert!(told.ends_with("saved a b.txt (100 B)\n"), "{told}");
    assert_eq!(fs::read(local.path().join("a b.txt")).unwrap(), expected);
    for (arguments, part) in [
        ("get http://HOST:PORT/", "is not a valid file name"),
        ("get a.bin", "no server after a.bin"),
        ("get https://HOST:PORT/a.bin", "https is not supported"),
        ("get a.bin HOST:PORT x", "unexpected operand \"x\""),
        ("get a.bin http://HOST:PORT/b", "the URL names a file (/b)"),
        ("get http://HOST:PORT/a.bin --wire text", "use HOST and PORT with --wire text"),
        ("chat HOST", "no port after"),
        ("say HOST:PORT x --file up", "both --file up and the line \"x\""),
    ] {
        let output = run(local.path(), server.address, arguments);
        assert!(error(&output, 2).contains(part), "{arguments}: {output:?}");
    }
}

#[test]
fn a_limited_transfer_takes_its_time_and_shows_its_progress() {
    let server = Server::start();
    let expected = server.folder.put("a.bin", 40_000);
    let local = tempfile::tempdir().unwrap();
    for arguments in [
        "get a.bin HOST PORT --force",
        "get a.bin HOST PORT --wire http --force",
        "send a.bin HOST PORT",
        "send a.bin HOST PORT --wire http",
        "send a.bin HOST PORT --resume",
    ] {
        let begun = Instant::now();
        let state = local.path().join("state");
        let mut limited = client(local.path());
        limited.args(arguments_of(server.address, &format!("{arguments} --limit-rate 100KB")));
        let told = stdout(&limited.env("XDG_STATE_HOME", state).output().unwrap());
        // The last of eight pieces of 5,000 bytes may be sent after 350 ms.
        assert!(begun.elapsed() >= Duration::from_millis(300), "{arguments}");
        assert!(told.contains("a.bin: 50 %\n"), "{told}");
        assert_eq!(fs::read(local.path().join("a.bin")).unwrap(), expected);
    }
    assert_eq!(server.folder.read("a_copy3.bin"), expected);

    // A limited transfer can be interrupted, also within a wait of several seconds.
    let mut child = client(local.path())
        .args(arguments_of(server.address, "send a.bin HOST PORT --limit-rate 4"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "a.bin: 0 %");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_file_is_fetched_whole_or_not_at_all() {
    for wire in ["framed", "http"] {
        let server = Server::start();
        let expected = server.folder.put("a.png", 700_001);
        let local = tempfile::tempdir().unwrap();
        let get = |arguments: &str| {
            run(local.path(), server.address, &format!("get {arguments} --wire {wire}"))
        };
        let told = stdout(&get("a.png HOST PORT"));
        assert!(told.starts_with("a.png: 0 %\n"), "{told}");
        assert!(told.ends_with("a.png: 100 %\nsaved a.png (683.59 KiB)\n"), "{told}");
        assert_eq!(fs::read(local.path().join("a.png")).unwrap(), expected);

        fs::write(local.path().join("a.png"), "mine").unwrap();
        assert!(error(&get("a.png HOST PORT"), 1).contains("exists: choose"));
        assert_eq!(fs::read(local.path().join("a.png")).unwrap(), b"mine");
        stdout(&get("a.png HOST PORT --force"));
        assert_eq!(fs::read(local.path().join("a.png")).unwrap(), expected);

        stdout(&get("a.png HOST PORT -o other"));
        assert_eq!(fs::read(local.path().join("other")).unwrap(), expected);
        let piped = get("a.png HOST PORT -o -");
        assert_eq!((piped.status.code(), piped.stdout == expected), (Some(0), true));

        let refusal = error(&get("missing HOST PORT"), 1);
        assert!(refusal.contains("no such file") && refusal.ends_with("; check the name\n"));
        assert!(error(&get("../a HOST PORT"), 2).contains("check the name"));
        assert!(error(&get("a.png HOST PORT -o no/such/folder"), 1).contains("cannot write"));
        assert_eq!(names(local.path()), ["a.png", "other"]);
    }
}

#[test]
fn a_download_that_ends_early_leaves_no_file() {
    let mock = Mock::start(|peer| {
        peer.read_http_head()?;
        peer.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
    });
    let local = tempfile::tempdir().unwrap();
    let output = run(local.path(), mock.address, "get a HOST PORT --wire http");
    assert!(error(&output, 1).contains("in the middle of a reply"), "{output:?}");
    assert!(names(local.path()).is_empty());
}

#[test]
fn an_interrupted_download_leaves_no_file() {
    let mock = Mock::start(|peer| {
        peer.read_http_head()?;
        peer.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")?;
        peer.wait_for_close()
    });
    let local = tempfile::tempdir().unwrap();
    let mut child = client(local.path())
        .args(arguments_of(mock.address, "get a HOST PORT --wire http"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "a: 50 %" {}
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(names(local.path()).is_empty());
}

#[test]
fn lines_are_sent_and_the_replies_printed() {
    let server = Server::start();
    let expected = server.folder.put("a.txt", 5_000);
    let local = tempfile::tempdir().unwrap();
    let output = run(local.path(), server.address, "say HOST PORT a.txt");
    assert_eq!((output.status.code(), output.stdout), (Some(0), expected.clone()));
    let said = stdout(&run(local.path(), server.address, "say HOST PORT nothing"));
    assert_eq!(said.trim_end(), "ERROR no such file: nothing");

    let mut child = client(local.path())
        .args(arguments_of(server.address, "say HOST PORT"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a.txt\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, expected);
}

#[test]
fn lines_and_replies_alternate() {
    let mock = Mock::start(|peer| {
        for answer in ["one\n", "two\n"] {
            assert_eq!(peer.read_exact(2)?, b"x\n");
            peer.stream.write_all(answer.as_bytes())?;
        }
        peer.wait_for_close()
    });
    let local = tempfile::tempdir().unwrap();
    let mut child = client(local.path())
        .args(arguments_of(mock.address, "say HOST PORT"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for answer in ["one", "two"] {
        input.write_all(b"x\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), answer);
    }
    drop(input);
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_load_prints_a_table_and_writes_a_row_per_second() {
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    for arguments in [
        "load http://HOST:PORT/a.bin",
        "load HOST PORT --file a.bin:1000 --verify-every 1 --engine epoll",
        "load HOST PORT --wire http --file a.bin:1000:2 --rate 500 --poisson",
        "load HOST PORT --file a.bin:1000 --think 1ms --no-keep-alive",
        "load HOST PORT --file a.bin:1000 --think constant:1ms",
        "load HOST PORT --file up.bin:100 --upload --threads 2",
        "load HOST PORT --wire http --file up.bin:100 --upload",
    ] {
        let arguments = format!(
            "{arguments} -d 300ms --warm-up 0s -c 3 --csv seconds.csv --hdr-log times.hlog"
        );
        let told = stdout(&run(local.path(), server.address, &arguments));
        let figure = |name: &str| -> f64 {
            let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
            let line = line.unwrap_or_else(|| panic!("no {name:?} in {told}"));
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert!(figure("requests ") > 0.0, "{told}");
        assert!(told.lines().next().unwrap().contains(", engine "), "{told}");
        assert!(!arguments.contains("--engine epoll") || told.contains("engine epoll"), "{told}");
        assert!(!told.contains("errors"), "{told}");
        assert_eq!(told.contains("send delay"), arguments.contains("--rate"), "{told}");
        let compared = figure("bodies compared");
        let is_known = !arguments.contains("http://") && !arguments.contains("--upload");
        assert_eq!(compared, if is_known { figure("requests ") } else { 0.0 }, "{told}");

        let rows = fs::read_to_string(local.path().join("seconds.csv")).unwrap();
        let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split(',').collect()).collect();
        assert_eq!(
            rows[0],
            ["second", "requests", "body_bytes", "errors", "p50_ns", "p99_ns", "max_ns"]
        );
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1][1].parse::<f64>().unwrap(), figure("requests "));
        let log = fs::read_to_string(local.path().join("times.hlog")).unwrap();
        assert!(log.starts_with("#[Histogram log format version 1.3]\n"), "{log}");
        assert_eq!(log.contains("\nTag=send-delay,"), arguments.contains("--rate"), "{log}");
    }
}

#[test]
fn a_server_that_stores_no_files_is_named_as_the_cause() {
    let echo = Mock::start(|peer| {
        let message = peer.read_exact(3 + "up".len())?;
        peer.stream.write_all(&message)
    });
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("up"), "x").unwrap();
    let told = error(&run(local.path(), echo.address, "send up HOST PORT"), 1);
    assert!(told.contains(r#"reply to the file name was "up" instead of "OK""#), "{told}");
}

#[test]
fn a_failed_load_is_reported() {
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    let quick = "-d 200ms --warm-up 0s -c 2";
    for (arguments, code, words) in [
        ("load http://HOST:PORT/missing", 1, "cannot determine the length of /missing"),
        ("load HOST PORT --file missing:5", 1, "no such file"),
        ("load HOST PORT --file a.bin:999", 1, "1000 bytes instead of 999"),
        ("load HOST PORT", 2, "no file to request"),
        ("load HOST PORT --file a.bin", 2, "--file a.bin has no size: use a.bin:SIZE"),
        ("load HOST PORT --service files", 2, "no file to request: use --file NAME"),
        ("load HOST PORT --service files --file no", 1, "the server refused \"no\": no such file"),
        ("load HOST PORT --service files --wire http", 2, "remove --wire"),
        ("load HOST PORT --service echo --line x", 2, "use --file instead"),
        ("load HOST PORT --service date --file x", 2, "use --line"),
        ("load HOST PORT --service echo --upload", 2, "remove --upload"),
        ("load HOST", 2, "no port after 127.0.0.1: give HOST PORT, HOST:PORT"),
        ("load http://HOST:PORT/a.bin --upload", 2, "--upload needs the size of the file"),
        ("load http://HOST:PORT/a.bin --wire framed", 2, "use HOST and PORT"),
        ("load HOST PORT --file a.bin:1000 --connections 9999999", 2, "ulimit -n"),
        ("load HOST PORT --file a.bin:1000 --rate 0", 2, "the rate must be more than zero"),
        ("load HOST PORT --file ../a:5", 2, "cannot request"),
        ("load HOST PORT --file a.bin:1000 --csv no/such/folder", 2, "cannot write no/such/folder"),
    ] {
        let mut words_of = arguments_of(server.address, arguments);
        for pair in quick.split(" -").map(|option| format!("-{}", option.trim_start_matches('-'))) {
            let pair = if pair.starts_with("-warm") { format!("-{pair}") } else { pair };
            if !(arguments.contains("--connections") && pair.starts_with("-c")) {
                words_of.extend(pair.split(' ').map(str::to_owned));
            }
        }
        let output = client(local.path()).args(words_of).output().unwrap();
        assert!(error(&output, code).contains(words), "{arguments}: {output:?}");
    }
}

#[test]
fn servers_that_speak_lines_are_measured() {
    // As in a first exercise: each recv returns one message, and the reply has no end.
    let server_of = |reply: fn(&str) -> String, closes: bool| {
        Mock::start(move |peer| {
            loop {
                let mut buffer = [0; 1024];
                let read = peer.stream.read(&mut buffer)?;
                if read == 0 {
                    return Ok(());
                }
                let said = String::from_utf8_lossy(&buffer[..read]);
                peer.stream.write_all(reply(said.trim_end()).as_bytes())?;
                if closes {
                    return Ok(());
                }
            }
        })
    };
    let local = tempfile::tempdir().unwrap();
    let measure = |mock: &Mock, arguments: &str, notes: &[&str]| {
        let arguments = format!("load HOST PORT {arguments} -d 300ms --warm-up 0s -c 3");
        let output = run(local.path(), mock.address, &arguments);
        let told = stdout(&output);
        let noted = String::from_utf8(output.stderr).unwrap();
        assert!(notes.iter().all(|note| noted.contains(note)), "{noted}");
        assert_eq!(noted.is_empty(), notes.is_empty(), "{noted}");
        assert!(told.starts_with("Replies to lines on "), "{told}");
        assert!(!told.contains("errors"), "{told}");
        let figure = |name: &str| -> u64 {
            let line = told.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert!(figure("requests ") > 0, "{told}");
        (figure("requests "), figure("bodies compared"))
    };
    let closes = ["the server closes the connection after a reply"];
    let hello = |said: &str| format!("I got \"{said}\" from you and I am sending it back.");
    let (requests, compared) = measure(&server_of(hello, false), "--service hello", &[]);
    assert_eq!(requests, compared);
    let (requests, compared) = measure(&server_of(hello, true), "--service hello", &closes);
    assert_eq!(requests, compared);
    let upper = |said: &str| said.to_uppercase();
    let arguments = "--service transform --line abc";
    let (requests, compared) = measure(&server_of(upper, false), arguments, &[]);
    assert_eq!(requests, compared);
    let time = |_: &str| "Sun Nov 06 08:49:37 UTC 1994".to_owned();
    assert_eq!(measure(&server_of(time, false), "--service date", &[]).1, 0);
    let file = |name: &str| format!("{name}\n").repeat(40_000);
    let arguments = "--service files --file eagle.jpg --verify-every 1";
    let (requests, compared) = measure(&server_of(file, true), arguments, &closes);
    assert_eq!(requests, compared);
    let changing = server_of(|_| "x".repeat(next_length()), false);
    let output = run(local.path(), changing.address, "load HOST PORT --service hello");
    assert!(error(&output, 1).contains("only replies of one length"), "{output:?}");
    let silent = server_of(|_| String::new(), true);
    let output = run(local.path(), silent.address, "load HOST PORT --service hello");
    assert!(error(&output, 1).contains("without a reply"), "{output:?}");
}

/// A different length at each call.
fn next_length() -> usize {
    static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised_and_a_low_hard_one_refused() {
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let load = |hard: u32| {
        let limited =
            format!("ulimit -Sn 64 && ulimit -Hn {hard} && exec {} \"$@\"", client_program());
        let arguments = "load HOST PORT --file a.bin:1000 -c 90 -d 100ms --warm-up 0s";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &limited, "sh"]).args(arguments_of(server.address, arguments));
        shell.output().unwrap()
    };
    let raised = load(400);
    assert_eq!(error(&raised, 0), "client: raised the soft limit of descriptors from 64 to 400\n");
    let told = stdout(&raised);
    assert!(told.contains("90 opened"), "{told}");
    assert!(error(&load(100), 2).contains("the hard limit is 100"));
}

#[test]
fn an_interrupted_load_prints_its_results() {
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    let requests = Mock::http(|_| Some(mock::ok(&content("a.bin", 10))));
    let child = client(local.path())
        .args(arguments_of(
            requests.address,
            "load HOST PORT --wire http --file a.bin:10 -d 600s --warm-up 0s",
        ))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while requests.requests.load(std::sync::atomic::Ordering::Relaxed) < 1_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("(interrupted)") && told.contains("requests/s"), "{told}");
}

#[test]
fn a_load_whose_replies_are_all_wrong_names_them_and_no_starvation() {
    let local = tempfile::tempdir().unwrap();
    let wrong = Mock::http(|_| Some(mock::ok(b"??????????")));
    let child = client(local.path())
        .args(arguments_of(
            wrong.address,
            "load HOST PORT --wire http --file a.bin:10 -c 2 -d 600s --warm-up 0s",
        ))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while wrong.requests.load(std::sync::atomic::Ordering::Relaxed) < 100 {
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("0 served: no reply was correct\n"), "{told}");
    assert!(told.contains("content errors") && !told.contains("starved"), "{told}");
}

#[test]
fn numbers_and_cores_that_are_none_are_refused_with_the_remedy() {
    let local = tempfile::tempdir().unwrap();
    let server = Server::start();
    let whole = "not a whole number: write it in digits";
    for (flag, value, words) in [
        ("--connections", "many", whole),
        ("--threads", "1.5", whole),
        ("--verify-every", "-1", whole),
        ("--seed", "x", whole),
        ("--cores", "0,first", whole),
        ("--threads", "99999999999999999999", "too large: choose a smaller number"),
        ("--cores", "100000", "choose from "),
    ] {
        let arguments = format!("load HOST PORT --file a:1 {flag}={value}");
        let output = run(local.path(), server.address, &arguments);
        let told = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {told}");
        let wrong = value.rsplit(',').next().unwrap();
        for part in [flag, wrong, words] {
            assert!(told.contains(part), "{arguments}: {told}");
        }
    }
}

#[test]
fn a_closed_output_causes_no_panic() {
    let server = Server::start();
    server.folder.put("a.bin", 1 << 20);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("up"), "x").unwrap();
    for arguments in [
        "get a.bin HOST PORT -o -",
        "get a.bin HOST PORT",
        "send up HOST PORT",
        "say HOST PORT a.bin",
        "load HOST PORT --file a.bin:1048576 -d 100ms --warm-up 0s --verify-every 0",
    ] {
        let mut child = client(local.path())
            .args(arguments_of(server.address, arguments))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(!told.contains("panicked"), "{arguments}: {told}");
        // A busy machine may answer no request within so short a window.
        let code = i32::from(told.contains("no request succeeded (no reply in time)"));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments}: {told}");
    }
    assert_eq!(server.folder.names(), ["a.bin", "up"]);
}

#[test]
fn times_have_units_and_sizes_may_have_them() {
    let local = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let unit = "write a number with a unit: 500ms, 20s, 2m";
    for (arguments, words) in [
        ("send a HOST PORT --timeout 20", unit),
        ("get a HOST PORT --timeout 20", unit),
        ("console HOST PORT --timeout 20", unit),
        ("load HOST PORT --file a:1 --timeout 20", unit),
        ("load HOST PORT --file a:1 --duration 20", unit),
        ("load HOST PORT --file a:1 --warm-up 20", unit),
        ("load HOST PORT --file a:1 --think constant:20", unit),
        ("load HOST PORT --file a:many", "is not NAME:SIZE"),
        ("load HOST PORT --file a:1 --rate many", "write a number of requests per second"),
    ] {
        let output = run(local.path(), address, arguments);
        let told = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(output.status.code() == Some(2) && told.contains(words), "{arguments}: {told}");
    }
}
