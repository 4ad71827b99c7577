//! Processes of `prefork`: number, restart and end.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use rustix::process::{Pid, Signal, kill_process};

use crate::peer::{Peer, http_get};
use crate::process::{PATIENCE, Process};

fn start(workers: &str) -> Process {
    let server = Process::start(&["--strategy", "prefork", "--workers", workers]);
    fs::write(server.root().join("file"), "content").unwrap();
    server
}

/// Waits for this number of processes; returns their ids.
fn processes(server: &Process, count: usize) -> Vec<Pid> {
    let begun = Instant::now();
    loop {
        let children = server.children();
        if children.len() == count {
            return children;
        }
        assert!(begun.elapsed() < PATIENCE, "{} processes, not {count}", children.len());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_until_gone(pids: &[Pid]) {
    let begun = Instant::now();
    // A zombie process has no memory.
    let lives = |pid: &Pid| {
        fs::read(format!("/proc/{}/statm", pid.as_raw_nonzero()))
            .is_ok_and(|sizes| !sizes.starts_with(b"0 "))
    };
    while pids.iter().any(lives) {
        assert!(begun.elapsed() < PATIENCE, "some live on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_number_of_processes_follows_the_connections_up_to_a_limit() {
    let server = start("20");
    processes(&server, 5);
    let mut peers: Vec<_> = (0..12).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("file"), b"content");
    }
    // These are busy; the number of spare ones is unchanged.
    processes(&server, 12 + 5);
    let mut more: Vec<_> = (0..12).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut more[..8] {
        assert_eq!(peer.get("file"), b"content");
    }
    processes(&server, 20);
    assert!(more[8].send(http_get("file")).hears_nothing_for(Duration::from_millis(100)));
    drop(peers);
    assert_eq!(more[8].reply().body, b"content");
}

#[test]
fn processes_that_are_not_needed_are_retired() {
    let mut server = start("20");
    let mut peers: Vec<_> = (0..12).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("file"), b"content");
    }
    processes(&server, 12 + 5);
    // These stay, with their connections.
    let mut kept = peers.split_off(10);
    drop(peers);
    processes(&server, 2 + 5);
    for peer in &mut kept {
        assert_eq!(peer.get("file"), b"content");
    }
    drop(kept);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let said = server.stderr();
    assert!(said.contains("served 14 requests on 12 connections"), "{said}");
    assert!(!said.contains("a process ended"), "{said}");
}

#[test]
fn a_process_that_dies_takes_its_connection_along_and_is_replaced() {
    let mut server = start("2");
    let before = processes(&server, 2);
    let mut peers: Vec<_> = (0..2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let is_answered = |peer: &mut TcpStream| {
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = peer.write_all(http_get("file").as_bytes());
        sent.is_ok() && peer.read(&mut [0; 1000]).is_ok_and(|received| received > 0)
    };
    assert!(peers.iter_mut().all(is_answered));
    kill_process(before[0], Signal::KILL).unwrap();
    wait_until_gone(&before[..1]);
    assert_eq!(peers.iter_mut().map(is_answered).filter(|answered| *answered).count(), 1);
    let begun = Instant::now();
    while processes(&server, 2).contains(&before[0]) {
        assert!(begun.elapsed() < PATIENCE, "none takes its place");
    }
    drop(peers);
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let said = server.stderr();
    assert!(said.contains("another one replaces it"), "{said}");
    assert!(said.contains("served 3 requests on 3 connections, 1 ended by a panic"), "{said}");
}

#[test]
fn a_process_that_is_told_to_end_finishes_its_request_and_is_replaced() {
    let mut server = start("1");
    let before = processes(&server, 1);
    let mut peer = Peer::connect(server.address());
    assert_eq!(peer.get("file"), b"content");
    peer.send("GET /file HTTP/1.1\r\nHost: local");
    assert!(peer.hears_nothing_for(Duration::from_millis(50)));
    // A second signal, like a repeated Ctrl-C.
    kill_process(before[0], Signal::INT).unwrap();
    kill_process(before[0], Signal::INT).unwrap();
    assert_eq!(peer.send("host\r\n\r\n").reply().body, b"content");
    assert_eq!(peer.rest(), b"");
    assert_eq!(Peer::connect(server.address()).get("file"), b"content");
    assert_ne!(processes(&server, 1), before);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.stderr().contains("served 3 requests on 2 connections"), "{}", server.stderr());
}

#[test]
fn processes_end_with_their_parent() {
    let server = start("3");
    let children = processes(&server, 3);
    let mut held = Peer::connect(server.address());
    assert_eq!(held.get("file"), b"content");
    // The process is killed.
    drop(server);
    wait_until_gone(&children);
}

#[test]
fn a_program_that_is_no_server_is_not_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = fileserver::store::Store::open(folder.path(), Default::default()).unwrap();
    let options = fileserver::ServerOptions {
        settings: fileserver_proto::Settings::default(),
        workers: 1,
        max_connections: 1,
        accept: fileserver::AcceptDistribution::default(),
        send_path: fileserver::SendPath::default(),
        drain: Duration::ZERO,
    };
    let state = std::sync::Arc::new(fileserver::ServerState::new(store, options));
    let endpoint = fileserver::Listener::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let error = StrategyKind::Prefork
        .build()
        .serve(&endpoint, &state, &fileserver::Shutdown::new())
        .unwrap_err();
    assert!(error.to_string().contains("server --strategy prefork"), "{error}");
}

#[test]
fn nobody_else_starts_its_processes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    testkit::isolate(&mut command).args(["--strategy", "prefork", "--child"]).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("remove it"), "{said}");
}
