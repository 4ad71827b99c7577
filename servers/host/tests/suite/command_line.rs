//! Output and exit codes of the `server` program.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use fileserver::cli::ServiceChoice;
use fileserver::store::{Durability, OnConflict};
use fileserver::{SentBytes, ServeReport, StrategyKind};

use crate::peer::Peer;
use crate::process::Process;

fn server(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    testkit::isolate(&mut command).args(args);
    command
}

/// Standard error of a server that must not start.
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn help_explains_every_strategy_and_every_choice() {
    let output = server(&["--help"]).output().unwrap();
    assert!(output.status.success());
    // Independent of line breaks.
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for kind in StrategyKind::ALL {
        assert!(!kind.summary().is_empty());
        assert_says(&help, &[&format!("- {}: {}", kind.name(), kind.summary())]);
    }
    for durability in Durability::value_variants() {
        assert_says(&help, &[&format!("- {}: ", durability.name())]);
    }
    for way in OnConflict::value_variants() {
        assert_says(&help, &[&format!("- {}: ", way.name())]);
    }
    assert_says(&help, &["[default: selector]", "8800 for files]", "Examples:"]);
    let output = server(&["--version"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, format!("server {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

#[test]
fn help_explains_every_service_and_its_port() {
    let output = server(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for service in ServiceChoice::value_variants() {
        let port = format!("(default port {})", service.default_port());
        assert!(service.summary().ends_with(&port), "{}", service.summary());
        assert_says(&help, &[&format!("- {}: {}", service.name(), service.summary())]);
    }
}

#[test]
fn services_that_cannot_be_had_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let on = |args: &[&str]| {
        let mut command = server(&["--listen", "0", "--root"]);
        command.arg(folder.path()).args(args);
        refusal(&mut command)
    };
    let unknown = on(&["--service", "transform", "--transform", "backwards"]);
    assert_says(&unknown, &["backwards", "reverse, upper, length or prefix=TEXT"]);
    assert_says(&on(&["--service", "time"]), &["time", "date-log"]);
    assert_says(&on(&["--service", "echo", "--transform", "upper"]), &["--service transform"]);
    assert_says(&on(&["--service", "echo", "--work"]), &["--work", "echo"]);
    assert_says(
        &on(&["--service", "chat", "--strategy", "prefork"]),
        &["chat", "prefork", "share no memory", "--strategy"],
    );
}

#[test]
fn flags_that_a_strategy_ignores_are_refused_and_the_others_start() {
    let folder = tempfile::tempdir().unwrap();
    let on = |strategy: &str, flag: &[&str]| {
        // Not an address of this machine: a server that took the flag ends for this reason.
        let mut command = server(&["--listen", "192.0.2.1:0", "--strategy", strategy]);
        command.args(flag).current_dir(folder.path());
        command
    };
    for strategy in ["iterative", "threaded", "selector", "uring"] {
        let said = refusal(&mut on(strategy, &["--workers", "7"]));
        let remedy = "remove it, or choose prefork, thread-pool, multi-selector, hybrid or tokio";
        assert_says(&said, &["--workers 7", &format!("--strategy {strategy}"), remedy]);
    }
    for kind in StrategyKind::ALL.into_iter().filter(|kind| *kind != StrategyKind::MultiSelector) {
        for way in ["dispatch", "reuseport"] {
            let said = refusal(&mut on(kind.name(), &["--accept", way]));
            let strategy = format!("--strategy {}", kind.name());
            let remedy = "remove it, or choose --strategy multi-selector";
            assert_says(&said, &[&format!("--accept {way}"), &strategy, remedy]);
        }
    }
    assert_eq!(testkit::names(folder.path()), Vec::<String>::new());
    for strategy in ["prefork", "thread-pool", "multi-selector", "hybrid", "tokio"] {
        let mut server = Process::start(&["--strategy", strategy, "--workers", "2"]);
        server.terminate();
        assert_eq!(server.wait().code(), Some(0), "{strategy}");
    }
    let mut server = Process::start(&["--strategy", "multi-selector", "--accept", "dispatch"]);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_a_service_has_to_show_goes_to_standard_output_but_not_when_quiet() {
    for strategy in ["threaded", "prefork"] {
        let service = ["--service", "message", "--strategy", strategy];
        let process = Process::start(&service);
        let mut peer = Peer::connect(process.address());
        peer.send("hello\n").line();
        let shown = || String::from_utf8(process.screen().lines()).unwrap();
        while !shown().contains("127.0.0.1: hello\n") {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert_says(&shown(), &["service   message: ", "client say 127.0.0.1 "]);

        let mut process = Process::start(&[&service[..], &["--quiet"]].concat());
        let mut peer = Peer::connect(process.address());
        peer.send("hello\n").line();
        drop(peer);
        process.terminate();
        process.wait();
        let rest = process.rest_of_stdout();
        rest.parse::<ServeReport>().unwrap_or_else(|error| panic!("{error}: {rest}"));
    }
}

#[test]
fn every_choice_is_spelled_as_it_is_named() {
    for kind in StrategyKind::ALL {
        assert_eq!(StrategyKind::from_str(kind.name(), false), Ok(kind));
    }
    for durability in Durability::value_variants() {
        assert_eq!(Durability::from_str(durability.name(), false).as_ref(), Ok(durability));
    }
    for way in OnConflict::value_variants() {
        assert_eq!(OnConflict::from_str(way.name(), false).as_ref(), Ok(way));
    }
}

#[test]
fn unknown_choices_are_answered_with_the_list() {
    let said = refusal(&mut server(&["--strategy", "fibers"]));
    assert_says(&said, &["fibers", "iterative, prefork, threaded, thread-pool, selector"]);
    let said = refusal(&mut server(&["--wire", "morse"]));
    assert_says(&said, &["morse", "auto, framed, http, text"]);
}

#[test]
fn senseless_values_are_refused_by_name() {
    for (flag, value) in [
        ("--workers", "0"),
        ("--max-connections", "0"),
        ("--backlog", "0"),
        ("--workers", "70000"),
        ("--max-upload", "many"),
        ("--max-head", "0"),
        ("--head-timeout", "0s"),
        ("--idle-timeout", "20"),
        ("--drain-timeout", "-1s"),
        ("--listen", "127.0.0.1"),
        ("--listen", "8800000"),
    ] {
        let said = refusal(&mut server(&[&format!("{flag}={value}")]));
        assert_says(&said, &[flag, value]);
    }
    for flag in ["--workers", "--max-connections", "--backlog", "--max-headers", "--max-resumable"]
    {
        let said = refusal(&mut server(&[flag, "many"]));
        assert_says(&said, &[flag, "many", "not a whole number"]);
    }
}

#[test]
fn a_port_in_use_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(server(&["--listen", &address]).current_dir(folder.path()));
    assert_says(&said, &[&address, "in use", "--listen"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // Reserved for documentation (RFC 5737).
    let said = refusal(server(&["--listen", "192.0.2.1:0"]).current_dir(folder.path()));
    assert_says(&said, &["192.0.2.1", "no address", "--listen"]);
}

#[test]
fn a_root_that_is_no_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let run = |root| refusal(server(&["--listen", "0", "--root", root]).current_dir(folder.path()));
    assert_says(&run("file"), &["\"file\"", "not a folder"]);
    assert_says(&run("missing/root"), &["\"missing/root\"", "parent does not exist"]);
    assert_says(&run("file/root"), &["\"file/root\"", "--root"]);
    assert_eq!(testkit::names(folder.path()), ["file"]);
}

#[test]
fn too_few_descriptors_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let under = |limit: &str, args: &str| {
        let program = env!("CARGO_BIN_EXE_server");
        let script = format!("ulimit -n {limit} && exec \"{program}\" --listen 0 {args}");
        refusal(Command::new("sh").arg("-c").arg(script).current_dir(folder.path()))
    };
    assert_says(&under("16", ""), &["16", "ulimit -n"]);
    let said = under("100", "--max-connections 99");
    assert_says(&said, &["--max-connections 99", "100", "ulimit -n 131", "at most 68"]);
}

#[test]
fn a_missing_root_is_created_and_only_a_named_one_is_mentioned() {
    for (args, created, said) in [
        (&["--listen", "0", "--quiet"][..], "shared-files", ""),
        (&["--listen", ":0", "--quiet", "--root", "mine"], "mine", "created folder \"mine\"\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = server(args)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("listening on 127.0.0.1:"), "{line:?}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, said);
        assert!(folder.path().join(created).is_dir());
    }
}

#[test]
fn only_services_that_have_files_create_a_folder() {
    for kind in StrategyKind::ALL.into_iter().filter(|kind| kind.availability().is_ok()) {
        for (service, created) in
            [("echo", &[][..]), ("message", &["shared-files"]), ("date-log", &["shared-files"])]
        {
            let folder = tempfile::tempdir().unwrap();
            let mut child = server(&["--listen", "0", "--quiet", "--service", service])
                .args(["--strategy", kind.name()])
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
            let answer = Peer::connect(address).send("what time is it?\n").finish_sending().rest();
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!answer.is_empty(), "{kind:?} {service}");
            assert_eq!(testkit::names(folder.path()), created, "{kind:?} {service}");
        }
    }
}

#[test]
fn the_greeting_can_be_pasted() {
    for kind in StrategyKind::ALL {
        let mut server = Process::start(&["--strategy", kind.name()]);
        let port = server.address().port();
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));
        let greeting = server.rest_of_stdout();
        let root = format!("{:?}", server.root());
        assert_says(
            &greeting,
            &[
                &format!("{}: {}", kind.name(), kind.summary()),
                &root,
                &format!("client send FILE 127.0.0.1 {port}"),
                &format!("curl -T FILE http://127.0.0.1:{port}/"),
                &format!("telnet 127.0.0.1 {port}"),
            ],
        );
        assert_eq!(server.stderr(), "served 0 requests on 0 connections\n");
    }
}

#[test]
fn quiet_says_what_programs_read() {
    let mut server = Process::start(&["--quiet", "--send-path=sendfile"]);
    fs::write(server.root().join("file"), "served").unwrap();
    assert_eq!(Peer::connect(server.address()).get("file"), b"served");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let sent = SentBytes { sendfile: 6, ..SentBytes::default() };
    let report = ServeReport { connections: 1, requests: 1, sent, ..ServeReport::default() };
    assert_eq!(server.rest_of_stdout(), format!("{report}\n"));
    assert_eq!(server.stderr(), "");
}

#[test]
fn nobody_need_listen_to_what_it_says() {
    // Like `server | head -1`, and without standard output and error.
    let mut piped = Process::start(&[]);
    piped.close_stdout();
    fs::write(piped.root().join("file"), "served").unwrap();
    assert_eq!(Peer::connect(piped.address()).get("file"), b"served");
    piped.terminate();
    assert_eq!(piped.wait().code(), Some(0));

    let folder = tempfile::tempdir().unwrap();
    // An address whose ports no other test uses.
    let free = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", r#"exec "$0" "$@" >&- 2>&-"#, env!("CARGO_BIN_EXE_server")])
        .args(["--log-level", "trace", "--listen", &free.to_string()])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    let connected = (0..3000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        std::net::TcpStream::connect(free).is_ok()
    });
    let folder_is_empty = testkit::names(&folder.path().join("shared-files")).is_empty();
    let still_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(connected && folder_is_empty && still_running);
}

#[test]
fn one_wire_can_be_pinned() {
    let server = Process::start(&["--wire", "text"]);
    fs::write(server.root().join("GET "), "").unwrap();
    let answer = Peer::connect(server.address()).send("GET / HTTP/1.1\r\n").rest();
    assert!(answer.starts_with(b"ERROR "), "{}", answer.escape_ascii());
}

#[test]
fn only_known_hosts_are_answered() {
    let status = |server: &Process, host: &str| {
        let request = format!(
            "PUT /a HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: 1\r\n\r\na"
        );
        Peer::connect(server.address()).send(request).reply().status
    };
    let rebound = "evil.example:8800";
    let server = Process::start(&[]);
    let own = server.address().to_string();
    for (host, expected) in [
        (&*own, 201),
        ("localhost:8800", 201),
        ("[::1]:8800", 201),
        ("192.0.2.1", 421),
        (rebound, 421),
    ] {
        assert_eq!(status(&server, host), expected, "{host}");
    }
    let named = Process::start(&["--allow-host", "files.example", "--allow-host=b.example"]);
    for (host, expected) in [("files.example:8800", 201), ("b.example", 201), (rebound, 421)] {
        assert_eq!(status(&named, host), expected, "{host}");
    }
    let any = Process::start(&["--allow-host=*"]);
    assert_eq!(status(&any, rebound), 201);
}

#[test]
fn flags_reach_the_sessions_and_the_store() {
    let server = Process::start(&[
        "--max-upload=1KiB",
        "--max-headers=2",
        "--on-conflict=error",
        "--durability=full",
    ]);
    let mut peer = Peer::connect(server.address());
    assert_eq!(peer.put("a", &[0; 1024]), "a");
    let reply = peer.send(crate::peer::http_put("a", 1)).send("x").reply();
    assert_eq!(reply.status, 409);
    assert_eq!(peer.send(crate::peer::http_put("b", 1025)).send([0; 1025]).reply().status, 413);
    let mut peer = Peer::connect(server.address());
    let reply = peer.send("GET /a HTTP/1.1\r\nHost: localhost\r\nA: 1\r\nB: 2\r\n\r\n").reply();
    assert_eq!(reply.status, 431);
    let impatient = Process::start(&["--idle-timeout=100ms"]);
    assert_eq!(Peer::connect(impatient.address()).rest(), b"");
}

#[test]
fn a_screen_that_nobody_reads_holds_up_nobody() {
    for kind in StrategyKind::ALL.into_iter().filter(|kind| kind.availability().is_ok()) {
        let mut server = Process::start(&["--strategy", kind.name(), "--service", "message"]);
        // More than a pipe holds.
        let line = format!("{}\n", "x".repeat(1000));
        let mut peer = Peer::connect(server.address());
        for _ in 0..300 {
            peer.send(&line).line();
        }
        drop(peer);
        Peer::connect(server.address()).send("hello\n").line();
        server.terminate();
        assert_eq!(server.wait().code(), Some(0), "{kind:?}");
    }
}

#[test]
fn a_strategy_that_lacks_threads_does_not_say_that_it_listens() {
    if !rustix::process::getuid().is_root() {
        return testkit::skip("lack of threads", "the limit counts all processes of a user");
    }
    let folder = tempfile::tempdir().unwrap();
    let user = (50_000 + std::process::id() % 10_000).to_string();
    fs::create_dir(folder.path().join("root")).unwrap();
    std::os::unix::fs::chown(folder.path().join("root"), user.parse().ok(), None).unwrap();
    std::os::unix::fs::chown(folder.path(), user.parse().ok(), None).unwrap();
    for (strategy, limit, workers) in
        [("thread-pool", 5, "8"), ("hybrid", 5, "8"), ("tokio", 3, "4"), ("prefork", 5, "4")]
    {
        let limit = format!("--nproc={limit}");
        let said = refusal(
            Command::new("setpriv")
                .args(["--reuid", &user, "--clear-groups", "prlimit", &limit])
                .args([env!("CARGO_BIN_EXE_server"), "--strategy", strategy, "--workers", workers])
                .args(["--listen", "127.0.0.1:0", "--root", "root"])
                .current_dir(folder.path()),
        );
        assert_says(&said, &[strategy, "cannot start", "ulimit -u"]);
        if strategy != "prefork" {
            assert_says(&said, &["worker threads", "--workers"]);
        }
    }
}

#[test]
fn the_limit_of_a_user_that_leaves_enough_threads_does_not_matter() {
    if !rustix::process::getuid().is_root() {
        return testkit::skip("enough threads", "the limit counts all processes of a user");
    }
    let user = (60_000 + std::process::id() % 5000).to_string();
    // Ten are enough for two processes of `prefork`, not for the four that it may have.
    for (strategy, limit, workers) in [("tokio", 20, "2"), ("prefork", 10, "4")] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), user.parse().ok(), None).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &user, "--clear-groups", "prlimit", &format!("--nproc={limit}")])
            .args([env!("CARGO_BIN_EXE_server"), "--strategy", strategy, "--workers", workers])
            .args(["--listen", "127.0.0.1:0", "--root", "."])
            .current_dir(folder.path());
        let server = testkit::ServerProcess::start(&mut command).unwrap();
        assert_eq!(Peer::connect(server.address).put("a", b"served"), "a");
    }
}
