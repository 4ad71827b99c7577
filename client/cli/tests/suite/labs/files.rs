//! Rows 1 to 9, 11, 12, 16 to 20: files up and down.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use fileserver::StrategyKind;
use testkit::{content, names, until};

use crate::labs::support::{Server, all, at_once, error, status, stdout};

#[test]
fn row_01_a_blocking_thread_serves_each_client() {
    let server = Server::start(StrategyKind::Threaded, "--service echo");
    let before = status(server.pid(), "Threads");
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    until("a thread for each client", || status(server.pid(), "Threads") == before + 20);
    for client in &mut clients {
        client.send(b"all at once\r\n");
        assert_eq!(client.line(), b"all at once\r\n");
    }
    drop(clients);
    until("the end of the threads", || status(server.pid(), "Threads") == before);
}

#[test]
fn row_02_one_thread_serves_all_clients() {
    let server = Server::start(StrategyKind::Selector, "--service echo");
    let before = status(server.pid(), "Threads");
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"all at once\r\n");
        assert_eq!(client.line(), b"all at once\r\n");
    }
    assert_eq!(status(server.pid(), "Threads"), before);
}

#[test]
fn row_04_and_05_a_file_is_sent_with_its_progress() {
    for kind in all() {
        let server = Server::start(kind, "");
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("meme.png"), content("meme.png", 300_000)).unwrap();
        let told = stdout(&server.client(local.path(), &["send", "meme.png", "HOST", "PORT"]));
        let percent = [0, 25, 50, 75, 100].map(|percent| format!("meme.png: {percent} %\n"));
        assert_eq!(told, percent.concat() + "saved as meme.png (292.97 KiB)\n", "{kind:?}");
        assert_eq!(server.folder.read("meme.png"), content("meme.png", 300_000));
    }
}

#[test]
fn row_06_a_taken_name_is_numbered() {
    at_once(all(), |kind| {
        let server = Server::start(kind, "");
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("meme.png"), "x").unwrap();
        let send = ["send", "meme.png", "HOST", "PORT"];
        for expected in ["meme.png", "meme_copy1.png", "meme_copy2.png"] {
            let told = stdout(&server.client(local.path(), &send));
            assert!(told.ends_with(&format!("saved as {expected} (1 B)\n")), "{kind:?}: {told}");
        }
        // Concurrently: each file has its own name, and none is missing.
        let sending: Vec<_> = (0..6).map(|_| server.client_process(local.path(), &send)).collect();
        for child in sending {
            stdout(&child.wait_with_output().unwrap());
        }
        let mut expected: Vec<String> = (1..=8).map(|n| format!("meme_copy{n}.png")).collect();
        expected.insert(0, "meme.png".to_owned());
        assert_eq!(server.folder.names(), expected, "{kind:?}");
    });
}

#[test]
fn row_07_data_without_a_name_is_stored_under_a_random_one() {
    for kind in all() {
        let server = Server::start(kind, "");
        let local = tempfile::tempdir().unwrap();
        let told = stdout(&server.client_with_input(
            local.path(),
            &["console", "HOST", "PORT"],
            "3\n5000\nq\n",
        ));
        let names = server.folder.names();
        assert_eq!(names.len(), 1, "{kind:?}");
        let random = names[0].strip_suffix(".bin").unwrap();
        assert!(random.len() == 8 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(told.contains(&format!("server: SAVED {}\n", names[0])), "{kind:?}: {told}");
        assert_eq!(server.folder.read(&names[0]).len(), 5000);
    }
}

#[test]
fn row_08_a_transcript_keeps_the_progress() {
    let server = Server::start(StrategyKind::Threaded, "");
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("meme.png"), content("meme.png", 524_288)).unwrap();
    let send = ["send", "meme.png", "HOST", "PORT", "--transcript", "shown.txt"];
    stdout(&server.client(local.path(), &send));
    let kept = fs::read_to_string(local.path().join("shown.txt")).unwrap();
    assert!(kept.starts_with("$ client send meme.png 127.0.0.1 "), "{kept}");
    assert!(kept.contains("meme.png  50 % [###############---------------] "), "{kept}");
    assert!(kept.ends_with("saved as meme.png (512.00 KiB)\n"), "{kept}");
}

#[test]
fn row_11_a_line_that_names_a_file_gets_its_bytes() {
    at_once(all(), |kind| {
        let server = Server::start(kind, "");
        let turtle = server.folder.put("turtle.jpg", 583_163);
        let mut peer = server.connect();
        peer.send(b"turtle.jpg\r\n");
        assert!(peer.rest() == turtle, "{kind:?}");
        // A program that sends no end of line and waits.
        let mut peer = server.connect();
        peer.send(b"turtle.jpg");
        assert!(peer.rest() == turtle, "{kind:?}");
        let mut peer = server.connect();
        peer.send(b"unicorn.jpg\r\n");
        assert_eq!(peer.rest(), b"ERROR no such file: unicorn.jpg\r\n", "{kind:?}");
    });
}

#[test]
fn row_12_the_size_of_what_was_fetched_is_reported() {
    at_once(all(), |kind| {
        let files = Server::start(kind, "");
        let hello = Server::start(kind, "--service hello");
        let report_to = hello.address.to_string();
        for (name, len) in [("eagle.jpg", 55_696), ("turtle.jpg", 583_163)] {
            let expected = files.folder.put(name, len);
            let local = tempfile::tempdir().unwrap();
            let get = ["get", name, "HOST", "PORT", "--wire", "text", "--report-to", &report_to];
            let told = stdout(&files.client(local.path(), &get));
            let report = format!("The size of {name} is {len}");
            let answer = format!("I got \"{report}\" from you and I am sending it back.\n");
            assert!(told.ends_with(&answer), "{kind:?}: {told}");
            assert!(fs::read(local.path().join(name)).unwrap() == expected, "{kind:?}");
        }
    });
}

#[test]
fn row_16_a_text_or_random_bytes_one_message_per_connection() {
    for kind in all() {
        let server = Server::start(kind, "--service message");
        let local = tempfile::tempdir().unwrap();
        let console = ["console", "HOST", "PORT", "--reconnect"];
        let told = stdout(&server.client_with_input(
            local.path(),
            &console,
            "1\nhello\n2\n200\n1\nmeme.png\n4\n70000\nq\n",
        ));
        // The same server shows the texts and stores the data, under random names.
        assert!(told.contains("server: Message: hello\n"), "{kind:?}: {told}");
        assert_eq!(told.matches("server: SAVED ").count(), 2, "{kind:?}: {told}");
        server.shows("127.0.0.1: hello");
        server.shows("127.0.0.1: meme.png");
        let names = server.folder.names();
        assert!(names.iter().all(|name| name.len() == 12 && name.ends_with(".bin")), "{names:?}");
        let mut sizes: Vec<usize> =
            names.iter().map(|name| server.folder.read(name).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [200, 70_000], "{kind:?}");
    }
}

#[test]
fn row_17_every_size_field_works_and_incomplete_data_are_not_stored() {
    for kind in all() {
        let server = Server::start(kind, "");
        let mut peer = server.connect();
        for message in [
            &b"\x02\x03abc"[..],
            b"\x03\x00\x03abc",
            b"\x04\x00\x00\x03abc",
            b"\x05\x00\x00\x00\x03abc",
            b"\x06\x00\x00\x00\x00\x00\x00\x00\x03abc",
        ] {
            peer.send(message);
            let head = peer.exactly(3);
            let saved = peer.exactly(usize::from(head[2]));
            assert_eq!((head[0], &saved[..6]), (0x01, &b"SAVED "[..]), "{kind:?}");
        }
        drop(peer);
        assert_eq!(server.folder.names().len(), 5, "{kind:?}");
        let mut peer = server.connect();
        peer.send(b"\x02\x64only a part of the hundred bytes");
        peer.finish();
        peer.rest();
        assert_eq!(server.folder.names().len(), 5, "{kind:?}");

        let local = tempfile::tempdir().unwrap();
        let told = stdout(&server.client_with_input(
            local.path(),
            &["console", "HOST", "PORT"],
            "2\n256\n2\n255\n",
        ));
        assert!(told.contains("type 2 carries at most 255 bytes, not 256"), "{kind:?}: {told}");
        assert!(told.contains("sent type 2, 255 bytes\n"), "{kind:?}: {told}");
    }
}

#[test]
fn row_18_a_name_then_ok_then_the_contents_in_many_chunks() {
    for kind in all() {
        let server = Server::start(kind, "");
        let local = tempfile::tempdir().unwrap();
        let expected = content("photo.jpg", 123_456);
        fs::write(local.path().join("photo.jpg"), &expected).unwrap();
        let told = stdout(&server.client_with_input(
            local.path(),
            &["console", "HOST", "PORT"],
            "f\nphoto.jpg\n\nq\n",
        ));
        let conversation = "server: OK\nsent type 4, 123456 bytes\nserver: SAVED photo.jpg\n";
        assert!(told.contains(conversation), "{kind:?}: {told}");
        assert_eq!(server.folder.names(), ["photo.jpg"]);
        assert!(server.folder.read("photo.jpg") == expected, "{kind:?}");
    }
}

#[test]
fn row_19_several_files_over_one_connection() {
    for kind in all() {
        let server = Server::start(kind, "");
        let local = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(local.path().join(name), content(name, 5_000)).unwrap();
        }
        for wire in ["framed", "http"] {
            let send = ["send", "a", "b", "c", "HOST", "PORT", "--wire", wire];
            let told = stdout(&server.client(local.path(), &send));
            assert_eq!(told.matches("saved as ").count(), 3, "{kind:?}: {told}");
        }
        assert_eq!(server.folder.names(), ["a", "a_copy1", "b", "b_copy1", "c", "c_copy1"]);
        let mut peer = server.connect();
        for name in [b'x', b'y'] {
            peer.send(&[0x01, 0, 1, name]);
            assert_eq!(peer.exactly(5), b"\x01\x00\x02OK", "{kind:?}");
            peer.send(b"\x02\x01z");
            assert_eq!(peer.exactly(10), [b"\x01\x00\x07SAVED ", &[name][..]].concat(), "{kind:?}");
        }
    }
}

#[test]
fn row_20_an_upload_grows_on_disk_and_not_in_memory() {
    const MIB: usize = 1 << 20;
    for kind in all() {
        let server = Server::start(kind, "");
        let mut peer = server.connect();
        peer.send(b"\x01\x00\x03big");
        assert_eq!(peer.exactly(5), b"\x01\x00\x02OK");
        peer.send(&[&[0x05][..], &(96 * MIB as u32).to_be_bytes()].concat());
        let block = content("big", MIB);
        (0..40).for_each(|_| peer.send(&block));
        // The data are in a file already, which has no name yet.
        until("the file to grow", || largest_open_file(&server) >= 39 * MIB as u64);
        assert!(server.folder.names().is_empty(), "{kind:?}");
        (40..96).for_each(|_| peer.send(&block));
        assert_eq!(peer.exactly(12), b"\x01\x00\x09SAVED big", "{kind:?}");
        let stored = fs::metadata(server.folder.path().join("big")).unwrap();
        assert_eq!(stored.len(), 96 * MIB as u64);
        let peak_kib: u64 =
            processes(server.pid()).into_iter().map(|pid| status(pid, "VmHWM")).max().unwrap();
        assert!(peak_kib < 50 << 10, "{kind:?}: {peak_kib} KiB for an upload of 96 MiB");
    }
}

/// A process and its children.
fn processes(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().map(|child| child.parse().unwrap());
    [pid].into_iter().chain(children).collect()
}

/// Size of the largest open file of the server.
fn largest_open_file(server: &Server) -> u64 {
    let folders = processes(server.pid()).into_iter().map(|pid| format!("/proc/{pid}/fd"));
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let sizes = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let about = fs::metadata(&path).ok()?;
        about.is_file().then_some(about.len())
    });
    sizes.max().unwrap_or(0)
}

#[test]
fn row_09_heavy_work_in_the_only_thread_blocks_all_clients() {
    let heavy_request = b"GET /.work?block=1s HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (kind, holds_up) in [
        (StrategyKind::Selector, true),
        (StrategyKind::Threaded, false),
        (StrategyKind::ThreadPool, false),
        (StrategyKind::Hybrid, false),
    ] {
        let flags = if kind.has_workers() { "--work --workers 2" } else { "--work" };
        let server = Server::start(kind, flags);
        let file = server.folder.put("light", 10);
        let mut heavy = server.connect();
        heavy.send(heavy_request);
        if !holds_up {
            // Much longer than the light request can take.
            (0..4).for_each(|_| heavy.send(heavy_request));
        }
        // It has begun when its connection is accepted and read.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut light = server.connect();
        light.send(b"GET /light HTTP/1.0\r\n\r\n");
        assert!(light.rest().ends_with(&file), "{kind:?}");
        let heavy_answers = heavy.arrived().windows(9).filter(|nine| *nine == b"HTTP/1.1 ").count();
        match holds_up {
            true => assert_eq!(heavy_answers, 1, "the heavy one was answered before: {kind:?}"),
            false => assert!(heavy_answers < 5, "the heavy ones are still under way: {kind:?}"),
        }
    }
}

#[test]
fn row_08_stored_files_can_be_listed() {
    // "ls -la .": sizes and names of the stored files.
    let server = Server::start(StrategyKind::Selector, "");
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("meme.png"), "x").unwrap();
    stdout(&server.client(local.path(), &["send", "meme.png", "HOST", "PORT"]));
    assert_eq!(names(server.folder.path()), ["meme.png"]);
    let again = server.client(local.path(), &["send", "missing.png", "HOST", "PORT"]);
    assert!(error(&again, 1).contains("cannot read missing.png"));
}

#[test]
fn row_05_progress_is_in_percent_on_a_terminal() {
    // `script` of util-linux runs the program on a terminal.
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: /usr/bin/script is not installed");
        return;
    }
    let server = Server::start(StrategyKind::Selector, "");
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("meme.png"), content("meme.png", 300_000)).unwrap();
    let (host, port) = (server.address.ip(), server.address.port());
    let command = format!("'{}' send meme.png {host} {port}", env!("CARGO_BIN_EXE_client"));
    let mut shown = std::process::Command::new("/usr/bin/script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(local.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> =
        BufReader::new(shown.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert_eq!(shown.wait().unwrap().code(), Some(0));
    let all = lines.join("\n");
    assert!(all.contains("meme.png 100 % [") && all.contains("ETA"), "{all:?}");
}
