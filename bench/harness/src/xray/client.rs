//! Clients of a scene: a thread per connection, and the times of each request.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bench_data::load::byte_size::ByteSize;
use bench_data::load::heavy::{ANSWER_BYTES, Work};
use bench_data::xray::Request;
use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyHead, ReplyKind, ReplyReader, http};
use loadgen::content::Content;
use rustix::thread::set_current_timer_slack;
use socket2::{Domain, Protocol, Socket, Type};

use super::clock::{self, MILLISECOND, SECOND};
use super::scene::{Arrival, Kind, SLOW_FILE, Shape, UPLOAD_FILE};
use crate::machine::cores::Pinned;
use crate::machine::descriptors;
use crate::run::files::{download_name, upload_name};

/// Time after the last due time at which unanswered requests are given up.
const PATIENCE: u64 = 5 * SECOND;

/// Limit of a connection's set-up.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Time after which a blocked thread checks whether it has to end.
const CHECK_TIME: Duration = Duration::from_millis(50);

/// Time from the start of the threads to the beginning of the picture, and the part for each of them.
const START: u64 = 10 * MILLISECOND;
const START_OF_EACH: u64 = 100_000;

/// Largest number of bytes of one read.
const PIECE: usize = 16 << 10;

/// Stack of a client's thread: ten times of what it needs, so that ten thousand of them are possible.
const STACK: usize = 256 << 10;

/// Receive buffer of a slow reader.
const SLOW_BUFFER: usize = 64 << 10;

/// Pause of a slow reader before each read.
const SLOW_PAUSE: u64 = 5 * MILLISECOND;

/// Descriptors in addition to the connections.
const DESCRIPTORS_APART: u64 = 64;

/// Clients with their connections.
#[derive(Debug)]
pub(super) struct Clients<'s> {
    shape: &'s Shape,
    address: SocketAddr,
    cores: &'s [usize],
    /// Requests of each connection, in the order of their times, and the connection, if it is open.
    connections: Vec<(Option<TcpStream>, Vec<Arrival>)>,
    last_due: u64,
}

/// Requests with absolute times.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// Beginning of the picture.
    pub(super) beginning: u64,
    pub(super) requests: Vec<Request>,
    /// Reason of each failed request, with its label.
    pub(super) faults: Vec<String>,
}

impl<'s> Clients<'s> {
    /// Opens the connections of a scene, except those that are opened when their requests are due. The
    /// clients run on `cores`.
    ///
    /// # Errors
    /// Too few descriptors, or the server does not accept a connection.
    pub(super) fn open(
        shape: &'s Shape,
        address: SocketAddr,
        cores: &'s [usize],
    ) -> anyhow::Result<Self> {
        let mut connections: Vec<_> = (0..shape.connections).map(|_| (None, Vec::new())).collect();
        let mut last_due = 0;
        for arrival in shape.arrivals()? {
            last_due = arrival.due;
            connections[arrival.connection].1.push(arrival);
        }
        descriptors::raise(shape.connections as u64 + DESCRIPTORS_APART, "connections")?;
        let _pinned = pinned(cores)?;
        if !shape.connects_when_due() {
            for (number, (stream, arrivals)) in connections.iter_mut().enumerate() {
                let is_slow =
                    arrivals.iter().any(|arrival: &Arrival| arrival.kind == Kind::SlowRead);
                let opened = connect(address, is_slow).with_context(|| {
                    let all = shape.connections;
                    format!("cannot open connection {} of {all} to the server", number + 1)
                })?;
                *stream = Some(opened);
            }
        }
        Ok(Self { shape, address, cores, connections, last_due })
    }

    /// Sends the requests at their times, and waits for the replies. Returns early after one of `stops` is
    /// set, with the requests so far.
    ///
    /// # Errors
    /// Too few threads are possible.
    pub(super) fn play(self, stops: [&AtomicBool; 2]) -> anyhow::Result<Played> {
        let _pinned = pinned(self.cores)?;
        // Connections without requests stay open until the end.
        let (busy, _idle): (Vec<_>, Vec<_>) =
            self.connections.into_iter().partition(|(_, arrivals)| !arrivals.is_empty());
        let abandoned = AtomicBool::new(false);
        let beginning = clock::now() + START + START_OF_EACH * busy.len() as u64;
        let limits = Limits {
            beginning,
            slow_until: beginning + self.last_due,
            deadline: beginning + self.last_due + PATIENCE,
            stops,
            abandoned: &abandoned,
        };
        let (shape, address) = (self.shape, self.address);
        let served = thread::scope(|scope| -> anyhow::Result<Vec<Served>> {
            let mut threads = Vec::with_capacity(busy.len());
            for (stream, arrivals) in busy {
                let connection = Connection::new(shape, address, stream, limits);
                let thread = thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, move || connection.run(&arrivals));
                let thread = thread.map_err(|error| {
                    abandoned.store(true, Ordering::SeqCst);
                    let number = threads.len();
                    anyhow!("cannot start more than {number} clients ({error}): choose fewer connections")
                })?;
                threads.push(thread);
            }
            let mut served = Vec::new();
            for thread in threads {
                served.extend(thread.join().map_err(|_| anyhow!("the thread of a client failed"))?);
            }
            Ok(served)
        })?;
        let mut played = Played { beginning, ..Played::default() };
        for Served { request, fault } in served {
            played.faults.extend(fault.map(|fault| format!("{}: {fault}", request.label)));
            played.requests.push(request);
        }
        Ok(played)
    }
}

/// Request with its fault, if it failed.
#[derive(Debug)]
struct Served {
    request: Request,
    fault: Option<String>,
}

/// Times and flags that all clients share.
#[derive(Debug, Clone, Copy)]
struct Limits<'l> {
    beginning: u64,
    /// Time at which slow readers stop pausing.
    slow_until: u64,
    /// Time at which unanswered requests are given up.
    deadline: u64,
    stops: [&'l AtomicBool; 2],
    /// Set if the scene cannot be played.
    abandoned: &'l AtomicBool,
}

impl Limits<'_> {
    fn is_stopped(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        self.stops.into_iter().chain([self.abandoned]).any(is_set)
    }

    /// Reason to give a request up.
    fn check(&self) -> Result<(), String> {
        if self.is_stopped() {
            return Err("interrupted".to_owned());
        }
        if clock::now() > self.deadline {
            let seconds = PATIENCE / SECOND;
            return Err(format!("no complete reply within {seconds} s after the last request"));
        }
        Ok(())
    }
}

/// Connection of a client.
#[derive(Debug)]
struct Connection<'c> {
    shape: &'c Shape,
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// Local port of the last connection; 0 if none was opened.
    port: u16,
    reader: ReplyReader,
    /// Received bytes that are not decoded yet.
    input: Vec<u8>,
    limits: Limits<'c>,
}

/// Continuation after an event of a reply.
enum Next {
    Decode,
    Receive,
    End,
}

impl<'c> Connection<'c> {
    fn new(
        shape: &'c Shape,
        address: SocketAddr,
        stream: Option<TcpStream>,
        limits: Limits<'c>,
    ) -> Self {
        let port = stream.as_ref().map_or(0, port);
        let (reader, input) = (ReplyReader::new(Wire::Http), Vec::new());
        Self { shape, address, stream, port, reader, input, limits }
    }

    /// Sends all requests and closes the connection.
    fn run(mut self, arrivals: &[Arrival]) -> Vec<Served> {
        // By default a sleeping thread wakes up to 50 µs late. The request is late then, not lost.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut served = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let request = self.request(arrival.kind);
            let due = self.limits.beginning + arrival.due;
            if !clock::sleep_until(due, || self.limits.is_stopped()) {
                break;
            }
            served.push(self.serve(arrival, due, &request));
        }
        served
    }

    fn serve(&mut self, arrival: &Arrival, due: u64, request: &[u8]) -> Served {
        let mut sent = None;
        let exchanged = self.exchange(arrival.kind, request, &mut sent);
        let (received, fault) = match exchanged {
            Ok(received) => (received, None),
            Err(fault) => (clock::now(), Some(fault)),
        };
        let request = Request {
            peer_port: self.port,
            label: arrival.label.clone(),
            heavy: arrival.kind != Kind::Light,
            due,
            sent: sent.unwrap_or(received),
            received,
            ok: fault.is_none(),
        };
        Served { request, fault }
    }

    /// Sends a request and receives its reply; returns the time at which the end of the reply was seen.
    /// After a fault the connection is closed.
    fn exchange(
        &mut self,
        kind: Kind,
        request: &[u8],
        sent: &mut Option<u64>,
    ) -> Result<u64, String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = connect(self.address, kind == Kind::SlowRead)
                    .map_err(|error| format!("cannot connect: {error}"))?;
                self.port = port(&stream);
                stream
            }
        };
        self.reader.reset();
        self.input.clear();
        let mut reply = Reply::expected(kind, self.shape);
        // Before the call: over loopback the server may run within it.
        let begun = clock::now();
        *sent = Some(begun);
        self.send(&mut stream, request)?;
        let mut received = begun;
        loop {
            let mut rest = &self.input[..];
            let event = self.reader.next(&mut rest).map_err(|error| error.to_string())?;
            let next = match event {
                ReplyEvent::NeedMore => Next::Receive,
                ReplyEvent::Head(head) => {
                    reply.head(head)?;
                    Next::Decode
                }
                ReplyEvent::Body(piece) => {
                    reply.body(piece)?;
                    Next::Decode
                }
                ReplyEvent::End => Next::End,
            };
            let used = self.input.len() - rest.len();
            self.input.drain(..used);
            match next {
                Next::Decode => {}
                Next::Receive => {
                    let (at, is_closed) = self.receive(&mut stream, kind)?;
                    received = at;
                    if is_closed {
                        break;
                    }
                }
                Next::End => break,
            }
        }
        reply.end()?;
        if reply.keep_alive {
            self.stream = Some(stream);
        }
        Ok(received)
    }

    /// Bytes of a request.
    fn request(&self, kind: Kind) -> Vec<u8> {
        let (mut out, host) = (Vec::new(), self.address.to_string());
        match kind {
            Kind::Light => {
                http::get(&http::target(&download_name(self.shape.size)), &host, true, &mut out);
            }
            Kind::Block => http::get(&Work::Block.target(), &host, true, &mut out),
            Kind::SlowRead => {
                http::get(&http::target(&download_name(SLOW_FILE)), &host, true, &mut out);
            }
            Kind::Upload => {
                let (name, size) = (upload_name(UPLOAD_FILE), UPLOAD_FILE.bytes());
                http::put(&http::target(&name), &host, size, true, &mut out);
                let head = out.len();
                out.resize(head + usize::try_from(size).unwrap_or(0), 0);
                Content::of_name(&name).fill(0, &mut out[head..]);
            }
        }
        out
    }

    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(0) => return Err("the connection takes no more bytes".to_owned()),
                Ok(len) => bytes = &bytes[len..],
                Err(error) if is_unfinished(&error) => self.limits.check()?,
                Err(error) => return Err(format!("cannot send: {error}")),
            }
        }
        Ok(())
    }

    /// Receives the next bytes; returns the time after the call, and true if instead the server closed the
    /// connection at the end of a reply.
    fn receive(&mut self, stream: &mut TcpStream, kind: Kind) -> Result<(u64, bool), String> {
        let now = clock::now();
        if kind == Kind::SlowRead && now < self.limits.slow_until {
            let until = self.limits.slow_until.min(now + SLOW_PAUSE);
            clock::sleep_until(until, || self.limits.is_stopped());
        }
        let mut piece = [0; PIECE];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => {
                    let now = clock::now();
                    let closed = self.reader.close();
                    return closed.map(|()| (now, true)).map_err(|error| error.to_string());
                }
                Ok(len) => {
                    let now = clock::now();
                    self.input.extend_from_slice(&piece[..len]);
                    return Ok((now, false));
                }
                Err(error) if is_unfinished(&error) => self.limits.check()?,
                Err(error) => return Err(format!("cannot receive: {error}")),
            }
        }
    }
}

/// Reply under check.
#[derive(Debug)]
struct Reply {
    content: Option<Content>,
    length: Option<u64>,
    /// Number of received bytes of the body.
    at: u64,
    keep_alive: bool,
}

impl Reply {
    /// Expected reply to a request.
    fn expected(kind: Kind, shape: &Shape) -> Self {
        let file = match kind {
            Kind::Light => Some(shape.size),
            Kind::SlowRead => Some(SLOW_FILE),
            Kind::Block | Kind::Upload => None,
        };
        let length = match kind {
            Kind::Light | Kind::SlowRead => file.map(ByteSize::bytes),
            Kind::Block => Some(ANSWER_BYTES),
            Kind::Upload => None,
        };
        let content = file.map(|size| Content::of_name(&download_name(size)));
        Self { content, length, at: 0, keep_alive: false }
    }

    fn head(&mut self, head: ReplyHead) -> Result<(), String> {
        self.keep_alive = head.keep_alive;
        match head.kind {
            kind if kind.is_success() => Ok(()),
            ReplyKind::Status(status) => Err(format!("it is answered with {status}")),
            ReplyKind::Data | ReplyKind::Text | ReplyKind::Error => Err("it is refused".to_owned()),
        }
    }

    fn body(&mut self, piece: &[u8]) -> Result<(), String> {
        if self.content.is_some_and(|content| !content.matches(self.at, piece)) {
            return Err("other bytes than the file has".to_owned());
        }
        self.at += piece.len() as u64;
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        match self.length {
            Some(length) if length != self.at => {
                Err(format!("{} bytes in place of {length}", self.at))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn connect(address: SocketAddr, is_slow: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if is_slow {
        // Before the connection is open: its window depends on the buffer.
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
    }
    socket.connect_timeout(&address.into(), CONNECT_TIME)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(CHECK_TIME))?;
    stream.set_write_timeout(Some(CHECK_TIME))?;
    Ok(stream)
}

fn port(stream: &TcpStream) -> u16 {
    stream.local_addr().map_or(0, |address| address.port())
}

fn pinned(cores: &[usize]) -> anyhow::Result<Pinned> {
    Pinned::to(cores).context("cannot pin the clients to their core")
}

fn is_unfinished(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use testkit::mock::Mock;

    use super::*;
    use crate::xray::scene::Scene;

    const SIZE: usize = 100;

    fn shape(scene: Scene) -> Shape {
        let size = ByteSize::new(SIZE as u64);
        Shape { scene, connections: 2, requests: 6, heavy_percent: 10, size, seed: 1 }
    }

    fn name() -> String {
        download_name(ByteSize::new(SIZE as u64))
    }

    fn file(name: &str, fields: &str) -> Vec<u8> {
        let mut body = vec![0; SIZE];
        Content::of_name(name).fill(0, &mut body);
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n{fields}\r\n").as_bytes(), &body]
            .concat()
    }

    fn play(shape: &Shape, server: &Mock) -> Played {
        let never = AtomicBool::new(false);
        Clients::open(shape, server.address, &[]).unwrap().play([&never, &never]).unwrap()
    }

    #[test]
    fn requests_have_times_in_order_and_the_ports_of_their_connections() {
        for (scene, ports) in [(Scene::Polite, 2), (Scene::Burst, 6)] {
            let server = Mock::http(|_| Some(file(&name(), "")));
            let connections = if scene == Scene::Burst { 6 } else { 2 };
            let played = play(&Shape { connections, ..shape(scene) }, &server);
            assert!(played.faults.is_empty(), "{:?}", played.faults);
            assert_eq!(played.requests.len(), 6);
            for request in &played.requests {
                let times = [played.beginning, request.due, request.sent, request.received];
                assert!(times.is_sorted() && request.ok, "{request:?}");
            }
            let mut seen: Vec<_> = played.requests.iter().map(|one| one.peer_port).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), ports, "{seen:?}");
        }
    }

    #[test]
    fn a_connection_that_the_server_closes_is_opened_again() {
        let server = Mock::http(|_| Some(file(&name(), "Connection: close\r\n")));
        let played = play(&shape(Scene::Polite), &server);
        assert!(played.faults.is_empty(), "{:?}", played.faults);
        let ports: std::collections::HashSet<_> =
            played.requests.iter().map(|request| request.peer_port).collect();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn a_reply_may_end_with_its_connection() {
        let mut body = vec![0; SIZE];
        Content::of_name(&name()).fill(0, &mut body);
        let reply = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &body].concat();
        let server = Mock::start(move |peer| {
            peer.read_http_head()?;
            peer.stream.write_all(&reply)
        });
        let played = play(&shape(Scene::Polite), &server);
        assert!(played.faults.is_empty(), "{:?}", played.faults);
        assert_eq!(played.requests.len(), 6);
    }

    #[test]
    fn wrong_replies_are_named_with_their_requests() {
        let refusal = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec();
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
        for (reply, expected) in [
            (refusal, "light 1: it is answered with 404"),
            (short, "light 1: 0 bytes in place of 100"),
            (file("other", ""), "light 1: other bytes than the file has"),
            (b"nonsense\r\n\r\n".to_vec(), "light 1: malformed reply"),
        ] {
            let server = Mock::http(move |_| Some(reply.clone()));
            let played = play(&Shape { requests: 1, ..shape(Scene::Polite) }, &server);
            assert!(!played.requests[0].ok);
            assert!(played.faults[0].starts_with(expected), "{:?}", played.faults);
        }
    }

    #[test]
    fn a_server_without_replies_fails_every_request() {
        let server = Mock::start(|peer| peer.read_http_head().map(drop));
        let played = play(&shape(Scene::Polite), &server);
        assert_eq!((played.requests.len(), played.faults.len()), (6, 6));
    }

    #[test]
    fn a_stopped_scene_ends_with_the_requests_so_far() {
        let server = Mock::http(|_| Some(file(&name(), "")));
        let shape = shape(Scene::Polite);
        let clients = Clients::open(&shape, server.address, &[]).unwrap();
        let (set, unset) = (AtomicBool::new(true), AtomicBool::new(false));
        assert!(clients.play([&unset, &set]).unwrap().requests.is_empty());
    }
}
