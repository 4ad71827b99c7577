//! Connections that are held open beside those that ask: idle ones, slow readers, slow senders.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyReader};
use socket2::{Domain, Protocol, Socket, Type};

use bench_data::load::profile::BackgroundConnections;

/// For a connection to stand, or for the answer of an idle one to come, before the rest is given
/// up: a server that leaves one of them waiting leaves all that follow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests of idle connections under way at once: well below any listen backlog.
const AT_ONCE: usize = 128;

/// Connections from one source address. The kernel looks for a free port among those taken from
/// this address one by one, which at ten thousand takes longer than everything else.
const PER_SOURCE: usize = 250;

/// A slow reader takes, and a slow sender sends, this much in every interval.
const INTERVAL: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 1024;
const SENT: &[u8] = b"a";

/// What a slow reader lets the kernel take in for it: as little as it can be made.
const RECEIVE_BUFFER_BYTES: usize = 4096;

/// What the members of a crowd ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Name of a small file, for those that idle afterwards.
    pub(crate) small: &'a str,
    /// Name of a file larger than all buffers on the way, for slow readers.
    pub(crate) large: &'a str,
}

/// A crowd that has gathered; dropping it sends it home.
#[derive(Debug)]
pub(crate) struct Gathered {
    idle: Vec<TcpStream>,
    slow_readers: Vec<TcpStream>,
    slow_senders: Vec<TcpStream>,
}

impl Gathered {
    /// Connects everyone, and waits until each idle connection has had an answer. Those that the
    /// server does not take in time are missing; so are all that would have followed. Ends early
    /// after `stop` is set.
    pub(crate) fn around(
        server: SocketAddr,
        background: BackgroundConnections,
        asked: Asked<'_>,
        stop: &AtomicBool,
    ) -> Self {
        let (network, subnetwork) = (fastrand::u8(1..=254), fastrand::u8(..));
        let mut doors = Doors { server, opened: 0, network, subnetwork };
        let mut gathered =
            Self { idle: Vec::new(), slow_readers: Vec::new(), slow_senders: Vec::new() };
        let mut missing = background.idle;
        while missing > 0 && !stop.load(Ordering::Relaxed) {
            let batch = missing.min(AT_ONCE);
            let answered = doors.idle(batch, asked.small);
            missing -= batch;
            let all = answered.len() == batch;
            gathered.idle.extend(answered);
            if !all {
                break;
            }
        }
        let slow = |text: String| move |doors: &mut Doors, buffer| doors.asking(&text, buffer);
        let reader = slow(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", asked.large));
        let sender = slow(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", asked.small));
        for _ in 0..background.slow_readers {
            let Ok(stream) = reader(&mut doors, Some(RECEIVE_BUFFER_BYTES)) else { break };
            gathered.slow_readers.push(stream);
        }
        for _ in 0..background.slow_senders {
            let Ok(stream) = sender(&mut doors, None) else { break };
            gathered.slow_senders.push(stream);
        }
        gathered
    }

    /// Does what the slow ones do until `done` is set.
    pub(crate) fn linger(&self, done: &AtomicBool) {
        let mut drop = [0; READ_BYTES];
        while !done.load(Ordering::Relaxed) {
            // What fails here is seen when the crowd is counted.
            for stream in &self.slow_readers {
                let mut stream: &TcpStream = stream;
                let _ = stream.read(&mut drop);
            }
            for stream in &self.slow_senders {
                let mut stream: &TcpStream = stream;
                let _ = stream.write(SENT);
            }
            let next = Instant::now() + INTERVAL;
            while Instant::now() < next && !done.load(Ordering::Relaxed) {
                thread::sleep(INTERVAL / 10);
            }
        }
    }

    /// How many the server still holds: none of them closed, and none of those that wait for
    /// nothing answered.
    pub(crate) fn held(&self) -> usize {
        let silent = |stream: &&TcpStream| peek(stream) == Seen::Nothing;
        self.idle.iter().filter(silent).count()
            + self.slow_senders.iter().filter(silent).count()
            + self.slow_readers.iter().filter(|stream| peek(stream) != Seen::End).count()
    }
}

/// Opens connections.
struct Doors {
    server: SocketAddr,
    opened: usize,
    /// The second and the third byte of the addresses that it comes from.
    network: u8,
    subnetwork: u8,
}

impl Doors {
    /// Opens some and has each answered once; returns those that were.
    fn idle(&mut self, count: usize, file: &str) -> Vec<TcpStream> {
        let request = format!("GET /{file} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let opened: Vec<_> = (0..count).map_while(|_| self.asking(&request, None).ok()).collect();
        let deadline = Instant::now() + PATIENCE;
        opened.into_iter().filter(|stream| answered(stream, deadline).is_ok()).collect()
    }

    /// Opens one that has sent this; it does not block from then on.
    fn asking(&mut self, text: &str, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
        let socket =
            Socket::new(Domain::for_address(self.server), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.server.ip().is_loopback() && self.server.is_ipv4() {
            // Apart from the addresses that the load comes from, and from those of the crowd
            // before, whose ports are not free for a minute.
            let block = 1 + (self.opened / PER_SOURCE) as u8;
            let source = Ipv4Addr::new(127, self.network, self.subnetwork, block);
            socket.bind(&SocketAddrV4::new(source, 0).into())?;
        }
        socket.connect_timeout(&self.server.into(), PATIENCE)?;
        self.opened += 1;
        let mut stream = TcpStream::from(socket);
        stream.write_all(text.as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

/// Takes the answer to a small request.
fn answered(mut stream: &TcpStream, deadline: Instant) -> io::Result<()> {
    let mut reader = ReplyReader::new(Wire::Http);
    let mut buffer = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(left))?;
        let received = stream.read(&mut buffer)?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut input = &buffer[..received];
        loop {
            match reader.next(&mut input).map_err(|_| io::ErrorKind::InvalidData)? {
                ReplyEvent::NeedMore => break,
                ReplyEvent::Head(head) if !head.keep_alive => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                ReplyEvent::Head(_) | ReplyEvent::Body(_) => {}
                ReplyEvent::End => return stream.set_nonblocking(true),
            }
        }
    }
}

/// What there is to be read from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Data,
    End,
}

fn peek(stream: &TcpStream) -> Seen {
    match stream.peek(&mut [0]) {
        Ok(0) => Seen::End,
        Ok(_) => Seen::Data,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Seen::Nothing,
        Err(_) => Seen::End,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Answers the first `answers` connections once each, and keeps all.
    fn server(answers: usize) -> (SocketAddr, thread::JoinHandle<Vec<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let mut kept = Vec::new();
            for _ in 0..answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                stream.write_all(ANSWER).unwrap();
                kept.push(stream);
            }
            kept
        });
        (address, serving)
    }

    const ASKED: Asked<'_> = Asked { small: "s", large: "l" };

    #[test]
    fn idle_connections_are_answered_once_held_and_counted() {
        let (address, serving) = server(20);
        let background = BackgroundConnections { idle: 20, ..BackgroundConnections::default() };
        let gathered = Gathered::around(address, background, ASKED, &AtomicBool::new(false));
        let mut kept = serving.join().unwrap();
        assert_eq!(gathered.held(), 20);
        kept.truncate(15);
        // The end of a connection reaches the other side at once on the loopback.
        assert_eq!(gathered.held(), 15);
    }

    #[test]
    fn those_that_a_server_leaves_waiting_are_missing() {
        let (address, serving) = server(3);
        let background = BackgroundConnections { idle: 5, ..BackgroundConnections::default() };
        let gathered = Gathered::around(address, background, ASKED, &AtomicBool::new(false));
        let kept = serving.join().unwrap();
        assert_eq!(gathered.held(), 3);
        drop(kept);
    }

    #[test]
    fn slow_readers_and_senders_go_on_without_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let background = BackgroundConnections {
            slow_readers: 1,
            slow_senders: 1,
            ..BackgroundConnections::default()
        };
        let stop = AtomicBool::new(false);
        let address = listener.local_addr().unwrap();
        let gathered = Gathered::around(address, background, ASKED, &stop);
        let (mut reader, _) = listener.accept().unwrap();
        let (mut sender, _) = listener.accept().unwrap();
        assert_eq!(gathered.held(), 2);
        reader.write_all(&[b'x'; 64]).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| gathered.linger(&done));
            let mut text = vec![0; b"GET /s HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaa".len()];
            sender.read_exact(&mut text).unwrap();
            assert!(text.ends_with(b"X-Slow: aaa"));
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(gathered.held(), 2, "data for a slow reader is no end");
        drop(reader);
        sender.write_all(ANSWER).unwrap();
        assert_eq!(gathered.held(), 0);
    }
}
