//! Peers that send without a pause.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fileserver::StrategyKind;
use rustix::process::Signal;

use crate::attack::number;
use crate::attack::victim::{SetOnDrop, Victim, crowd, is_held_by_slow_peers};
use crate::peer::{Peer, http, http_get};

/// Number of sequential probes: too slow if each waits for a peer's timeout.
const PROBES: u32 = 3;

pub(crate) fn uploads_that_never_pause(kind: StrategyKind) -> String {
    let head = http("PUT /endless", "Transfer-Encoding: chunked\r\n");
    let chunk = [b"1000\r\n", &[7; 0x1000][..], b"\r\n"].concat();
    peers_that_never_pause(kind, head.as_bytes(), &chunk)
}

pub(crate) fn requests_that_never_pause(kind: StrategyKind) -> String {
    let request = http_get("1KiB");
    peers_that_never_pause(kind, request.as_bytes(), request.repeat(20).as_bytes())
}

/// Peers send and read without a pause: others are served, a slow head is refused in time, and the
/// server ends on SIGTERM.
fn peers_that_never_pause(kind: StrategyKind, first: &[u8], again: &[u8]) -> String {
    let timeouts = ["--head-timeout", "1s", "--drain-timeout", "1s", "--durability", "none"];
    let victim = Victim::start(kind, &timeouts);
    victim.folder.put("1KiB", 1 << 10);
    victim.probe();
    let number = crowd(kind, number(150, 300));
    let mut peers: Vec<Sender<'_>> =
        (0..number).map(|_| Sender::connect(&victim, first, again)).collect();
    let stop = AtomicBool::new(false);
    let mut figure = String::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for peer in &mut peers {
                    peer.go_on();
                }
            }
        });
        let _stop = SetOnDrop(&stop);
        // All peers are sending.
        std::thread::sleep(Duration::from_millis(300));
        if !is_held_by_slow_peers(kind) {
            let probe = (0..PROBES).map(|_| victim.probe()).max().unwrap();
            let begun = Instant::now();
            let mut slow = victim.connect();
            let rest = slow.send("GET /half-a-he").rest();
            assert!(rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
            let refused = begun.elapsed().as_millis();
            figure = format!("{} ms, 408 after {refused} ms, ", probe.as_millis());
        }
        figure += &format!("end after {} ms", victim.terminate().as_millis());
    });
    figure
}

/// A peer that repeats the same bytes without end.
struct Sender<'s> {
    stream: TcpStream,
    again: &'s [u8],
    sent: usize,
}

impl<'s> Sender<'s> {
    fn connect(victim: &Victim, first: &[u8], again: &'s [u8]) -> Self {
        let mut stream = TcpStream::connect(victim.address()).unwrap();
        stream.write_all(first).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, again, sent: 0 }
    }

    /// Sends and receives without blocking. The server may have closed.
    fn go_on(&mut self) {
        match self.stream.write(&self.again[self.sent..]) {
            Ok(sent) => self.sent = (self.sent + sent) % self.again.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        let _ = self.stream.read(&mut [0; 64 << 10]);
    }
}

/// Number of files in a form, which are stored while others are served.
const FILES: usize = 1000;
/// Least number of requests served meanwhile.
const MEANWHILE: usize = 8;

/// One request with many files does not delay others.
pub(crate) fn a_form_of_many_files(kind: StrategyKind) -> String {
    let victim = Victim::start(kind, &["--durability", "none"]);
    victim.probe();
    let mut body = String::new();
    for file in 0..FILES {
        body += &format!(
            "--b\r\nContent-Disposition: form-data; name=f; filename=\"{file}\"\r\n\r\nx\r\n"
        );
    }
    body += "--b--\r\n";
    let fields = format!(
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n",
        body.len()
    );
    let mut other = (!is_held_by_slow_peers(kind)).then(|| victim.connect());
    if let Some(other) = &mut other {
        other.get("small");
    }
    let mut sender: Peer = victim.connect();
    // All bytes have arrived when the server reads.
    victim.signal(Signal::STOP);
    sender.send(http("POST /", &fields)).send(&body);
    victim.signal(Signal::CONT);
    let begun = Instant::now();
    let is_stored = AtomicBool::new(false);
    let (mut meanwhile, mut longest) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _stored = SetOnDrop(&is_stored);
            assert_eq!(sender.reply().status, 303);
        });
        while let Some(other) = &mut other
            && !is_stored.load(Ordering::Relaxed)
        {
            let begun = Instant::now();
            other.get("small");
            longest = longest.max(begun.elapsed());
            meanwhile += 1;
            assert!(begun.elapsed() < testkit::PATIENCE);
        }
    });
    let whole = begun.elapsed().as_millis();
    assert_eq!(victim.folder.names().len(), FILES + 1);
    if other.is_none() {
        return format!("stored in {whole} ms");
    }
    assert!(meanwhile >= MEANWHILE, "only {meanwhile} requests of others were served meanwhile");
    format!("{meanwhile} requests, longest {} ms, of {whole} ms", longest.as_millis())
}
