//! Interrupted and resumed transfers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use super::proxy::Proxy;
use super::support::{Server, arguments_of, client, error, interrupt, stdout};
use testkit::mock::Mock;
use testkit::{content, names};

const LEN: usize = 3_000_000;
/// Folder of unfinished uploads.
const RESUMABLE: &str = "\u{1}resumable";

/// Working folder and state folder of the program.
struct Place {
    local: TempDir,
    state: TempDir,
}

impl Place {
    fn with_file(name: &str, content: &[u8]) -> Self {
        let (local, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(local.path().join(name), content).unwrap();
        Self { local, state }
    }

    fn empty() -> Self {
        Self { local: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    fn command(&self, proxy: &Proxy, arguments: &str) -> std::process::Command {
        let mut command = client(self.local.path());
        command.env("XDG_STATE_HOME", self.state.path());
        command.args(arguments_of(proxy.address, arguments));
        command
    }

    fn run(&self, proxy: &Proxy, arguments: &str) -> std::process::Output {
        self.command(proxy, arguments).output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.local.path().join(name)
    }

    /// Saved states of the program.
    fn saved_states(&self) -> Vec<PathBuf> {
        let folder = self.state.path().join("threads-vs-selectors");
        ["uploads", "downloads"]
            .iter()
            .filter_map(|kind| fs::read_dir(folder.join(kind)).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

/// A server and an interrupted upload.
fn broken_upload() -> (Server, Proxy, Place) {
    let server = Server::start();
    let proxy = Proxy::to(server.address);
    let place = Place::with_file("a.bin", &content("a", LEN));
    proxy.break_upward(1_300_000);
    let told = error(&place.run(&proxy, SEND), 1);
    let [host, port] = [proxy.address.ip().to_string(), proxy.address.port().to_string()];
    let again = format!("; to resume: client send a.bin {host} {port} --resume --as x.bin\n");
    assert!(told.ends_with(&again), "{told}");
    assert_eq!(place.saved_states().len(), 1);
    assert!(!server.folder.names().contains(&"x.bin".to_owned()));
    // The server still stores the data that arrived before the interruption.
    let content = server.folder.path().join(partial_content(&server));
    while fs::metadata(&content).unwrap().len() < 1_299_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    (server, proxy, place)
}

const SEND: &str = "send a.bin HOST PORT --resume --as x.bin";

/// A server and an interrupted download.
fn broken_download() -> (Server, Proxy, Place) {
    let server = Server::start();
    server.folder.put("a.bin", LEN);
    let proxy = Proxy::to(server.address);
    let place = Place::empty();
    proxy.break_downward(1_300_000);
    let told = error(&place.run(&proxy, GET), 1);
    assert!(told.ends_with("try again; repeat the command to resume\n"), "{told}");
    assert_eq!(
        (names(place.local.path()), place.saved_states().len()),
        (vec!["a.bin.part".to_owned()], 1)
    );
    (server, proxy, place)
}

const GET: &str = "get a.bin HOST PORT --resume";

/// A second server over the same files without cached ones, so that it sees changes at once.
fn without_cache(server: &Server, proxy: &Proxy) -> Server {
    let fresh = Server::over(server.folder.clone(), u64::MAX);
    proxy.lead_to(fresh.address);
    fresh
}

/// Path of the content of an unfinished upload, beneath the root.
fn partial_content(server: &Server) -> PathBuf {
    let folder = Path::new(RESUMABLE);
    let entries = fs::read_dir(server.folder.path().join(folder)).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    folder.join(names.find(|name: &String| name.starts_with("content-")).unwrap())
}

#[test]
fn an_upload_resumes_where_it_was_interrupted() {
    let (server, proxy, place) = broken_upload();
    let told = stdout(&place.run(&proxy, SEND));
    assert!(told.starts_with("a.bin: resuming at 4"), "{told}");
    assert!(told.contains(" MiB of 2.86 MiB)\na.bin: 50 %\na.bin: 75 %\n"), "{told}");
    assert!(told.ends_with("a.bin: 100 %\nsaved as x.bin (2.86 MiB)\n"), "{told}");
    assert_eq!(server.folder.read("x.bin"), content("a", LEN));
    assert_eq!((server.folder.names(), place.saved_states().len()), (vec!["x.bin".to_owned()], 0));

    // After completion, the same command is another upload.
    let told = stdout(&place.run(&proxy, SEND));
    assert!(told.starts_with("a.bin: 0 %\n"), "{told}");
    assert!(told.ends_with("saved as x_copy1.bin (2.86 MiB)\n"), "{told}");
}

#[test]
fn files_of_all_sizes_are_sent_resumably() {
    let server = Server::start();
    let proxy = Proxy::to(server.address);
    let place = Place::empty();
    let sizes = [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 512 << 10];
    let files = sizes.map(|size| format!("{size}.bin"));
    for (name, size) in files.iter().zip(sizes) {
        fs::write(place.path(name), content(name, size)).unwrap();
    }
    let told = stdout(&place.run(&proxy, &format!("send {} HOST PORT --resume", files.join(" "))));
    for (name, size) in files.iter().zip(sizes) {
        assert!(told.contains(&format!("saved as {name} (")), "{told}");
        assert_eq!(server.folder.read(name), content(name, size));
    }
    assert_eq!((server.folder.names().len(), place.saved_states().len()), (sizes.len(), 0));
}

#[test]
fn an_upload_survives_a_restart_of_the_server() {
    let (server, proxy, place) = broken_upload();
    let folder = server.folder.clone();
    drop(server);
    let server = Server::over(folder, u64::MAX);
    proxy.lead_to(server.address);
    let told = stdout(&place.run(&proxy, SEND));
    assert!(told.starts_with("a.bin: resuming at 4"), "{told}");
    assert_eq!(server.folder.read("x.bin"), content("a", LEN));
}

#[test]
fn a_changed_file_is_sent_again() {
    let (server, proxy, place) = broken_upload();
    fs::write(place.path("a.bin"), content("b", LEN)).unwrap();
    let told = stdout(&place.run(&proxy, SEND));
    assert!(
        told.starts_with(
            "a.bin: changed since the interrupted transfer, starting again\na.bin: 0 %\n"
        ),
        "{told}"
    );
    assert_eq!((server.folder.read("x.bin"), place.saved_states().len()), (content("b", LEN), 0));
}

#[test]
fn an_upload_that_the_server_lost_is_sent_again() {
    let (server, proxy, place) = broken_upload();
    fs::remove_dir_all(server.folder.path().join(RESUMABLE)).unwrap();
    let told = stdout(&place.run(&proxy, SEND));
    let note = "a.bin: the server has no part of it any more, starting again\na.bin: 0 %\n";
    assert!(told.starts_with(note), "{told}");
    assert_eq!((server.folder.read("x.bin"), place.saved_states().len()), (content("a", LEN), 0));
}

#[test]
fn a_damaged_upload_is_refused_and_sent_again() {
    let (server, proxy, place) = broken_upload();
    let path = server.folder.path().join(partial_content(&server));
    let partial = fs::OpenOptions::new().write(true).open(path).unwrap();
    partial.write_all_at(&[!content("a", LEN)[5]], 5).unwrap();
    let told = error(&place.run(&proxy, SEND), 1);
    assert!(told.contains("status 400, the content does not match its digest; "), "{told}");
    assert!(told.ends_with("send it again\n"), "{told}");
    assert!(server.folder.names().is_empty() && place.saved_states().is_empty());
    stdout(&place.run(&proxy, SEND));
    assert_eq!(server.folder.read("x.bin"), content("a", LEN));
}

#[test]
fn an_interrupted_upload_prints_the_command_to_resume() {
    let mock = Mock::start(|peer| {
        peer.read_http_head()?;
        peer.stream.write_all(
            b"HTTP/1.1 201 Created\r\nTus-Resumable: 1.0.0\r\nLocation: /f\r\nContent-Length: 0\r\n\r\n",
        )?;
        peer.read_http_head()?;
        peer.wait_for_close()
    });
    let proxy = Proxy::to(mock.address);
    let place = Place::empty();
    fs::File::create(place.path("a b")).unwrap().set_len(1 << 36).unwrap();
    let mut child = client(place.local.path())
        .env("XDG_STATE_HOME", place.state.path())
        .args(["send", "a b"])
        .args(arguments_of(proxy.address, "HOST PORT --resume"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "a b: 0 %");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let told = error(&output, 130);
    assert!(told.starts_with("client: interrupted; to resume: client send 'a b' 127"), "{told}");
    assert_eq!(place.saved_states().len(), 1);
}

#[test]
fn other_servers_with_tus_are_supported() {
    let mock = Mock::start(|peer| {
        let tus = "Tus-Resumable: 1.0.0\r\nContent-Length: 0\r\n";
        loop {
            let (number, head) = peer.read_http_head()?;
            let (method, reply) = match number {
                0 => ("POST / ", format!("201 Created\r\nLocation: http://h/f/1\r\n{tus}")),
                1 => {
                    ("PATCH /f/1 ", "503 Busy\r\nConnection: close\r\nContent-Length: 9\r\n".into())
                }
                2 => ("HEAD /f/1 ", "423 Locked\r\nContent-Length: 9\r\n".into()),
                3 => ("HEAD /f/1 ", format!("200 OK\r\nUpload-Offset: 2\r\n{tus}")),
                _ => {
                    assert!(head.contains("\r\nUpload-Offset: 2\r\n"), "{head}");
                    assert_eq!(peer.read_exact(3)?, b"cde");
                    ("PATCH /f/1 ", format!("204 No Content\r\n{tus}"))
                }
            };
            assert!(head.starts_with(method), "{head}");
            peer.stream.write_all(format!("HTTP/1.1 {reply}\r\n").as_bytes())?;
            if number == 1 {
                return Ok(());
            }
        }
    });
    let proxy = Proxy::to(mock.address);
    let place = Place::with_file("a", b"abcde");
    let told = error(&place.run(&proxy, "send a HOST PORT --resume"), 1);
    assert!(told.contains("status 503; try again later; to resume: "), "{told}");
    let told = stdout(&place.run(&proxy, "send a HOST PORT --resume"));
    assert!(told.starts_with("a: resuming at 40 % (2 B of 5 B)\na: 50 %\n"), "{told}");
    assert!(told.ends_with("saved as a (5 B)\n"), "{told}");
    assert!(place.saved_states().is_empty());
}

#[test]
fn impossible_resumption_is_reported() {
    for reply in [
        "405 Not Allowed\r\nContent-Length: 0\r\n\r\n",
        "200 OK\r\nContent-Length: 0\r\n\r\n",
        "201 Created\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
    ] {
        let mock = Mock::http(move |_| Some(format!("HTTP/1.1 {reply}").into_bytes()));
        let proxy = Proxy::to(mock.address);
        let place = Place::with_file("a", b"x");
        let told = error(&place.run(&proxy, "send a HOST PORT --resume"), 1);
        assert!(told.contains(" does not accept resumable uploads (status "), "{told}");
        assert!(told.contains("without --resume"), "{told}");
        assert!(place.saved_states().is_empty());
    }
    let server = Server::start();
    let proxy = Proxy::to(server.address);
    let place = Place::with_file("a", b"x");
    for (arguments, words) in [
        ("send a HOST PORT --resume --wire framed", "--resume needs http"),
        ("get a HOST PORT --resume --wire framed -o b", "--resume needs http"),
        ("get a HOST PORT --resume -o -", "use -o PATH"),
    ] {
        let told = error(&place.run(&proxy, arguments), 2);
        assert!(told.contains(words), "{told}");
    }
    let mut homeless = place.command(&proxy, "send a HOST PORT --resume");
    let output = homeless.env_remove("HOME").env("XDG_STATE_HOME", "not/absolute").output();
    assert!(error(&output.unwrap(), 2).contains("set XDG_STATE_HOME"));
    assert!(server.folder.names().is_empty());
}

#[test]
fn a_download_resumes_where_it_was_interrupted() {
    let (_server, proxy, place) = broken_download();
    let told = stdout(&place.run(&proxy, GET));
    assert!(told.starts_with("a.bin: resuming at 4"), "{told}");
    assert!(told.ends_with("a.bin: 50 %\na.bin: 75 %\na.bin: 100 %\nsaved a.bin (2.86 MiB)\n"));
    assert_eq!(fs::read(place.path("a.bin")).unwrap(), content("a.bin", LEN));
    assert_eq!(
        (names(place.local.path()), place.saved_states().len()),
        (vec!["a.bin".to_owned()], 0)
    );
}

#[test]
fn a_complete_download_is_only_renamed() {
    let (_server, proxy, place) = broken_download();
    fs::write(place.path("a.bin.part"), content("a.bin", LEN)).unwrap();
    assert_eq!(stdout(&place.run(&proxy, GET)), "saved a.bin (2.86 MiB)\n");
    assert_eq!(fs::read(place.path("a.bin")).unwrap(), content("a.bin", LEN));
    assert_eq!(
        (names(place.local.path()), place.saved_states().len()),
        (vec!["a.bin".to_owned()], 0)
    );
}

#[test]
fn a_changed_file_is_fetched_again() {
    let (server, proxy, place) = broken_download();
    fs::write(server.folder.path().join("a.bin"), "short").unwrap();
    let _fresh = without_cache(&server, &proxy);
    let told = stdout(&place.run(&proxy, GET));
    let note = "a.bin: changed since the interrupted transfer, starting again\na.bin: 0 %\n";
    assert!(told.starts_with(note), "{told}");
    assert_eq!(fs::read(place.path("a.bin")).unwrap(), b"short");
    assert!(place.saved_states().is_empty());
}

#[test]
fn a_download_whose_file_is_gone_leaves_nothing() {
    let (server, proxy, place) = broken_download();
    fs::remove_file(server.folder.path().join("a.bin")).unwrap();
    let _fresh = without_cache(&server, &proxy);
    assert!(error(&place.run(&proxy, GET), 1).ends_with("check the name\n"));
    assert!(names(place.local.path()).is_empty() && place.saved_states().is_empty());
}

#[test]
fn only_a_part_of_the_download_is_touched() {
    let server = Server::start();
    server.folder.put("a.bin", 10);
    let proxy = Proxy::to(server.address);
    let place = Place::with_file("a.bin.part", b"mine");
    assert!(
        error(&place.run(&proxy, GET), 1)
            .contains("is not a part of this download: move or delete it")
    );
    assert_eq!(fs::read(place.path("a.bin.part")).unwrap(), b"mine");
}

#[test]
fn a_download_without_a_strong_tag_is_not_kept() {
    let mock = Mock::start(|peer| {
        peer.read_http_head()?;
        let head = "HTTP/1.1 200 OK\r\nETag: W/\"a\"\r\nContent-Length: 100\r\n\r\nnot all";
        peer.stream.write_all(head.as_bytes())
    });
    let place = Place::empty();
    let told = error(&place.run(&Proxy::to(mock.address), GET), 1);
    assert!(!told.contains("resume"), "{told}");
    assert!(names(place.local.path()).is_empty() && place.saved_states().is_empty());
}
