//! Background connections: idle connections, slow readers and slow senders.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyReader};
use socket2::{Domain, Protocol, Socket, Type};

use bench_data::load::profile::BackgroundConnections;

/// Maximum time to connect, or to receive the reply of an idle connection. After one timeout no
/// further connections are opened: a server that does not serve one does not serve the next.
const PATIENCE: Duration = Duration::from_secs(2);

/// Concurrent requests of idle connections: well below the usual backlog.
const AT_ONCE: usize = 128;

/// Maximum number of connections per source address. The kernel searches the used ports of an address
/// one by one for a free one, which dominates the time at ten thousand connections.
const PER_SOURCE: usize = 250;

/// Interval between reads of slow readers and writes of slow senders.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes per read of a slow reader.
const READ_BYTES: usize = 1024;
/// Bytes per write of a slow sender.
const SENT: &[u8] = b"a";

/// Receive buffer of a slow reader: the kernel rounds it up to its minimum.
const RECEIVE_BUFFER_BYTES: usize = 4096;

/// Files that background connections request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestedFiles<'a> {
    /// Name of a small file, for idle connections and slow senders.
    pub(crate) small: &'a str,
    /// Name of a file that exceeds all buffers of the path, for slow readers.
    pub(crate) large: &'a str,
}

/// Open background connections; dropped, they are closed.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    idle: Vec<TcpStream>,
    slow_readers: Vec<TcpStream>,
    slow_senders: Vec<TcpStream>,
}

impl OpenConnections {
    /// Opens all connections, and waits until each idle one has received a reply. After the first one
    /// that is not served in time the remaining ones are not opened. Returns early after `stop` is
    /// set.
    pub(crate) fn open(
        server: SocketAddr,
        background: BackgroundConnections,
        files: RequestedFiles<'_>,
        stop: &AtomicBool,
    ) -> Self {
        let (network, subnetwork) = (fastrand::u8(1..=254), fastrand::u8(..));
        let mut opener = Opener { server, opened: 0, network, subnetwork };
        let mut open =
            Self { idle: Vec::new(), slow_readers: Vec::new(), slow_senders: Vec::new() };
        let mut missing = background.idle;
        while missing > 0 && !stop.load(Ordering::Relaxed) {
            let batch = missing.min(AT_ONCE);
            let answered = opener.idle(batch, files.small);
            missing -= batch;
            let all = answered.len() == batch;
            open.idle.extend(answered);
            if !all {
                break;
            }
        }
        let slow = |text: String| move |opener: &mut Opener, buffer| opener.asking(&text, buffer);
        let reader = slow(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", files.large));
        let sender = slow(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", files.small));
        for _ in 0..background.slow_readers {
            let Ok(stream) = reader(&mut opener, Some(RECEIVE_BUFFER_BYTES)) else { break };
            open.slow_readers.push(stream);
        }
        for _ in 0..background.slow_senders {
            let Ok(stream) = sender(&mut opener, None) else { break };
            open.slow_senders.push(stream);
        }
        open
    }

    /// Runs the slow readers and senders until `done` is set.
    pub(crate) fn run_slow(&self, done: &AtomicBool) {
        let mut drop = [0; READ_BYTES];
        while !done.load(Ordering::Relaxed) {
            // Failed connections are found by `held`.
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

    /// Number of connections that are still open. A slow sender or idle connection with unread data
    /// does not count.
    pub(crate) fn held(&self) -> usize {
        let silent = |stream: &&TcpStream| peek(stream) == Seen::Nothing;
        self.idle.iter().filter(silent).count()
            + self.slow_senders.iter().filter(silent).count()
            + self.slow_readers.iter().filter(|stream| peek(stream) != Seen::End).count()
    }
}

/// Opener of connections.
struct Opener {
    server: SocketAddr,
    opened: usize,
    /// Second and third byte of the source addresses.
    network: u8,
    subnetwork: u8,
}

impl Opener {
    /// Opens idle connections, and returns those that received a reply.
    fn idle(&mut self, count: usize, file: &str) -> Vec<TcpStream> {
        let request = format!("GET /{file} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let opened: Vec<_> = (0..count).map_while(|_| self.asking(&request, None).ok()).collect();
        let deadline = Instant::now() + PATIENCE;
        opened.into_iter().filter(|stream| answered(stream, deadline).is_ok()).collect()
    }

    /// Opens a connection, sends a text and makes it non-blocking.
    fn asking(&mut self, text: &str, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
        let socket =
            Socket::new(Domain::for_address(self.server), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.server.ip().is_loopback() && self.server.is_ipv4() {
            // Neither the addresses of the load nor those of the last trial, whose ports are in
            // TIME_WAIT for a minute.
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

/// Receives the reply to a small request.
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

/// State of a connection's input.
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

    /// Server that replies once on each of the first `answers` connections, and keeps them open.
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

    const FILES: RequestedFiles<'_> = RequestedFiles { small: "s", large: "l" };

    /// Waits until so many connections are held: on a busy machine the end of one reaches the other side
    /// later.
    fn assert_holds(open: &OpenConnections, expected: usize) {
        let patience = Instant::now() + Duration::from_secs(10);
        while open.held() != expected && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(open.held(), expected);
    }

    #[test]
    fn idle_connections_are_answered_once_held_and_counted() {
        let (address, serving) = server(20);
        let background = BackgroundConnections { idle: 20, ..BackgroundConnections::default() };
        let open = OpenConnections::open(address, background, FILES, &AtomicBool::new(false));
        let mut kept = serving.join().unwrap();
        assert_eq!(open.held(), 20);
        kept.truncate(15);
        assert_holds(&open, 15);
    }

    #[test]
    fn those_that_a_server_leaves_waiting_are_missing() {
        let (address, serving) = server(3);
        let background = BackgroundConnections { idle: 5, ..BackgroundConnections::default() };
        let open = OpenConnections::open(address, background, FILES, &AtomicBool::new(false));
        let kept = serving.join().unwrap();
        assert_eq!(open.held(), 3);
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
        let open = OpenConnections::open(address, background, FILES, &stop);
        let (mut reader, _) = listener.accept().unwrap();
        let (mut sender, _) = listener.accept().unwrap();
        assert_eq!(open.held(), 2);
        reader.write_all(&[b'x'; 64]).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| open.run_slow(&done));
            let mut text = vec![0; b"GET /s HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaa".len()];
            sender.read_exact(&mut text).unwrap();
            assert!(text.ends_with(b"X-Slow: aaa"));
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(open.held(), 2, "data for a slow reader is no end");
        drop(reader);
        sender.write_all(ANSWER).unwrap();
        assert_holds(&open, 0);
    }
}
