//! Blocking client that sends exactly the given bytes.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::process::PATIENCE;

/// One connection to a server.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// Received bytes not yet returned.
    received: Vec<u8>,
}

/// Reply of the http wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Message of the framed wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Data(Vec<u8>),
    Error(String),
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        Self::new(stream)
    }

    /// Connection with a receive buffer of a few KiB, so that a server soon has to wait.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::new(socket.into())
    }

    /// Connection from another address of this machine.
    pub(crate) fn connect_from(own: &str, address: SocketAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::new(socket.into())
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends to a server that may have closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the bytes one by one.
    pub(crate) fn send_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            std::thread::yield_now();
        }
        self
    }

    /// Ends the sending direction.
    pub(crate) fn finish_sending(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Receives exactly this number of bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let ready = len.min(self.received.len());
        // Zeroed memory: filling it would exceed some timeouts under test.
        let mut bytes = vec![0; len];
        bytes[..ready].copy_from_slice(&self.received[..ready]);
        self.received.drain(..ready);
        self.stream.read_exact(&mut bytes[ready..]).unwrap();
        bytes
    }

    /// Receives a line, line end included.
    pub(crate) fn line(&mut self) -> String {
        loop {
            let mut line = Vec::new();
            let len = self.received.as_slice().read_until(b'\n', &mut line).unwrap();
            if line.ends_with(b"\n") {
                self.received.drain(..len);
                return String::from_utf8(line).unwrap();
            }
            let mut piece = [0; 4096];
            let len = self.read(&mut piece);
            let so_far = String::from_utf8_lossy(&self.received);
            assert!(len > 0, "the server closed within a line: {so_far:?}");
            self.received.extend_from_slice(&piece[..len]);
        }
    }

    /// Receives once; retries after an interruption by a stopped and resumed process.
    fn read(&mut self, piece: &mut [u8]) -> usize {
        loop {
            match self.stream.read(piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome.unwrap(),
            }
        }
    }

    /// Local address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Receives until the server closes or resets.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.received);
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server neither sent nor closed: {error}"),
        }
        bytes
    }

    /// True if a reply of the http wire with content comes, rather than the end of the connection.
    pub(crate) fn is_answered(&mut self) -> bool {
        let is_open = matches!(self.stream.peek(&mut [0]), Ok(1..));
        is_open && self.reply().status == 200
    }

    /// True if the server is silent for that long, neither sending nor closing.
    pub(crate) fn hears_nothing_for(&mut self, duration: Duration) -> bool {
        assert!(self.received.is_empty());
        self.stream.set_read_timeout(Some(duration)).unwrap();
        let mut byte = [0];
        let outcome = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        outcome
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Receives a reply of the http wire with its content.
    pub(crate) fn reply(&mut self) -> Reply {
        let mut reply = self.reply_head();
        let len = reply.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        reply.body = self.bytes(len);
        reply
    }

    /// Receives the head of a reply of the http wire.
    pub(crate) fn reply_head(&mut self) -> Reply {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            let mut piece = [0; 4096];
            let len = self.read(&mut piece);
            let so_far = String::from_utf8_lossy(&self.received);
            assert!(len > 0, "the server closed within a head: {so_far:?}");
            self.received.extend_from_slice(&piece[..len]);
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Reply { status: status.unwrap_or_else(|| panic!("{head}")), head, body: Vec::new() }
    }

    /// Receives a message of the framed wire.
    pub(crate) fn message(&mut self) -> Message {
        let kind = self.bytes(1)[0];
        let width = match kind {
            0x01 | 0x08 => 2,
            0x02..=0x05 => usize::from(kind) - 1,
            0x06 => 8,
            _ => panic!("no message begins with {kind:#04x}"),
        };
        let len = self.bytes(width).iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        let content = self.bytes(len);
        match kind {
            0x01 => Message::Text(String::from_utf8(content).unwrap()),
            0x08 => Message::Error(String::from_utf8(content).unwrap()),
            _ => Message::Data(content),
        }
    }

    /// Uploads over the http wire; returns the stored name.
    pub(crate) fn put(&mut self, name: &str, content: &[u8]) -> String {
        let reply = self.send(http_put(name, content.len() as u64)).send(content).reply();
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.stored_name()
    }

    /// Downloads over the http wire.
    pub(crate) fn get(&mut self, name: &str) -> Vec<u8> {
        let reply = self.send(http_get(name)).reply();
        assert_eq!(reply.status, 200, "{}", reply.head);
        reply.body
    }
}

impl Reply {
    /// Value of a header field by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The name in the reply to an upload.
    pub(crate) fn stored_name(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap().trim_end().to_owned()
    }
}

impl Message {
    /// The name in the reply to an upload.
    pub(crate) fn stored_name(&self) -> String {
        match self {
            Self::Text(text) if text.starts_with("SAVED ") => text["SAVED ".len()..].to_owned(),
            Self::Text(_) | Self::Data(_) | Self::Error(_) => panic!("not stored: {self:?}"),
        }
    }

    /// True if the server refused.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// Head of a request of the http wire; each further field ends with `\r\n`.
pub(crate) fn http(method_and_target: &str, fields: &str) -> String {
    format!("{method_and_target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

/// Download request of the http wire; the name is not encoded.
pub(crate) fn http_get(name: &str) -> String {
    http(&format!("GET /{name}"), "")
}

/// Head of an upload over the http wire.
pub(crate) fn http_put(name: &str, len: u64) -> String {
    http(&format!("PUT /{name}"), &format!("Content-Length: {len}\r\n"))
}

/// Download request of the framed wire.
pub(crate) fn framed_get(name: &str) -> Vec<u8> {
    text(0x07, name)
}

/// Name of an upload over the framed wire.
pub(crate) fn framed_name(name: &str) -> Vec<u8> {
    text(0x01, name)
}

/// Messages of an upload over the framed wire that precede its content.
pub(crate) fn framed_data(len: u64) -> Vec<u8> {
    let (kind, width) = match len {
        0..=0xff => (0x02, 1),
        0x100..=0xffff => (0x03, 2),
        0x1_0000..=0xff_ffff => (0x04, 3),
        0x100_0000..=0xffff_ffff => (0x05, 4),
        _ => (0x06, 8),
    };
    [&[kind], &len.to_be_bytes()[8 - width..]].concat()
}

fn text(kind: u8, text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap();
    [&[kind], &len.to_be_bytes()[..], text.as_bytes()].concat()
}
