//! One of a load's connections, and the request that is on it.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use fileserver_proto::client::{ReplyEvent, ReplyHead, ReplyKind, ReplyReader};
use fileserver_proto::wire::framed::{OK, SAVED};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::Direction;
use super::requests::{Catalogue, PreparedFile, UploadHead};
use super::tally::ErrorKind;

/// Most bytes of an upload's body handed to the kernel in one call.
const SEND_BYTES: usize = 256 << 10;

/// A connection: a socket that comes and goes, and the request that is on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Option<TcpStream>,
    /// Counts the sockets, so that an event of an earlier one is recognised.
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// When something last moved.
    pub(super) progress_ns: u64,
    /// Failures since the last answer.
    pub(super) failures: u32,
    /// The peer has finished sending: there is an end to be read behind the data.
    pub(super) peer_closed: bool,
    /// Whether it had an answer within the window.
    pub(super) served: bool,
    pub(super) exchange: Exchange,
    reader: ReplyReader,
    /// For uploads, the head of each file's request.
    heads: Vec<UploadHead>,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has no socket, and waits for its turn to open one.
    Closed,
    /// It has no socket, and waits after a failure.
    BackingOff,
    Connecting,
    /// Connected, without a request.
    Free,
    /// Connected, pausing between an answer and the next request.
    Thinking,
    /// A request is being sent or its reply awaited.
    Busy,
}

/// A request and its reply.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Whether there is one; it may still wait for its connection.
    pub(super) pending: bool,
    pub(super) intended_ns: u64,
    pub(super) sent_ns: u64,
    pub(super) verify: bool,
    /// The connection can be used again after the reply.
    pub(super) keep_alive: bool,
    file: usize,
    /// Bytes of head and body that are sent.
    pub(super) sent_bytes: u64,
    /// Bytes to send before the server is to be heard.
    goal_bytes: u64,
    received_bytes: u64,
    told_bytes: u64,
    status: Option<ReplyKind>,
    fault: Option<ErrorKind>,
    replies: u32,
}

/// How far an exchange got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The socket would block; the next event brings it on.
    Blocked,
    /// Its share of this turn is used up, there is more to do.
    Yielded,
    /// The request is out, or a part of it that wants an answer.
    Sent,
    /// Everything received so far is understood, and more must come.
    Waiting,
    /// The server agrees to what was announced: send on.
    GoOn,
    /// The reply is complete; what was wrong with it.
    Answered(Option<ErrorKind>),
    /// The peer has closed the connection.
    Closed,
    /// The connection is of no use any more.
    Failed(ErrorKind, &'static str),
    /// An operation of the socket failed.
    Broken(io::ErrorKind),
}

impl Connection {
    pub(super) fn new(wire: fileserver_proto::Wire, heads: Vec<UploadHead>) -> Self {
        Self {
            stream: None,
            generation: 0,
            phase: Phase::Closed,
            progress_ns: 0,
            failures: 0,
            peer_closed: false,
            served: false,
            exchange: Exchange {
                pending: false,
                intended_ns: 0,
                sent_ns: 0,
                verify: false,
                keep_alive: true,
                file: 0,
                sent_bytes: 0,
                goal_bytes: 0,
                received_bytes: 0,
                told_bytes: 0,
                status: None,
                fault: None,
                replies: 0,
            },
            reader: ReplyReader::new(wire),
            heads,
        }
    }

    /// Begins to connect, from the given address if any.
    pub(super) fn open(&mut self, target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::V4(SocketAddrV4::new(source, 0)).into())?;
        }
        match socket.connect(&target.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        self.stream = Some(TcpStream::from_std(socket.into()));
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::Connecting;
        self.peer_closed = false;
        self.reader.reset();
        Ok(())
    }

    /// Drops the socket; closing it takes it off the selector.
    pub(super) fn close(&mut self) {
        self.stream = None;
        self.phase = Phase::Closed;
    }

    /// Puts a request on the connection.
    pub(super) fn assign(&mut self, file: u32, intended_ns: u64, verify_every: u32) {
        let exchange = &mut self.exchange;
        exchange.pending = true;
        exchange.intended_ns = intended_ns;
        exchange.file = file as usize;
        exchange.verify = verify_every > 0 && exchange.replies.is_multiple_of(verify_every);
    }

    /// Readies the request to be sent now.
    pub(super) fn begin(&mut self, catalogue: &Catalogue, direction: Direction, now_ns: u64) {
        self.phase = Phase::Busy;
        self.progress_ns = now_ns;
        let exchange = &mut self.exchange;
        exchange.sent_ns = now_ns;
        exchange.sent_bytes = 0;
        exchange.received_bytes = 0;
        exchange.status = None;
        exchange.fault = None;
        exchange.keep_alive = true;
        let file = &catalogue.files[exchange.file];
        exchange.goal_bytes = match direction {
            Direction::Download => file.request.len() as u64,
            Direction::Upload => {
                let head = &self.heads[exchange.file];
                if head.announced < head.bytes.len() {
                    head.announced as u64
                } else {
                    head.bytes.len() as u64 + file.size_bytes
                }
            }
        };
    }

    /// Whether a part of the request is still to be sent.
    pub(super) fn is_sending(&self) -> bool {
        self.exchange.sent_bytes < self.exchange.goal_bytes
    }

    /// Bytes of the file that the exchange is about.
    pub(super) fn file_bytes(&self, catalogue: &Catalogue) -> u64 {
        catalogue.files[self.exchange.file].size_bytes
    }

    /// What the server said to the exchange, in words.
    pub(super) fn reply_in_words(&self) -> String {
        match self.exchange.status {
            Some(ReplyKind::Status(status)) => format!("http status {status}"),
            Some(ReplyKind::Data) => "unasked data".to_owned(),
            Some(ReplyKind::Text | ReplyKind::Error) => format!("{:?}", self.reader.text()),
            None => "nothing".to_owned(),
        }
    }

    /// The length of the body, as far as it was told or came.
    pub(super) fn body_bytes(&self) -> u64 {
        self.exchange.told_bytes.max(self.exchange.received_bytes)
    }

    /// Sends what can be sent of the request, up to `budget` bytes.
    pub(super) fn send(
        &mut self,
        catalogue: &Catalogue,
        direction: Direction,
        block: &mut [u8],
        budget: u64,
    ) -> Step {
        let Some(stream) = &mut self.stream else { return Step::Blocked };
        let exchange = &mut self.exchange;
        let file = &catalogue.files[exchange.file];
        let limit = exchange.sent_bytes + budget;
        while exchange.sent_bytes < exchange.goal_bytes {
            if exchange.sent_bytes >= limit {
                return Step::Yielded;
            }
            let written = match direction {
                Direction::Download => stream.write(&file.request[exchange.sent_bytes as usize..]),
                Direction::Upload => {
                    let head = &self.heads[exchange.file].bytes;
                    send_upload(stream, head, file, exchange.sent_bytes, exchange.goal_bytes, block)
                }
            };
            match written {
                Ok(bytes) => exchange.sent_bytes += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Step::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Step::Broken(error.kind()),
            }
        }
        Step::Sent
    }

    /// Receives once into `buffer` and takes in what came. [`Step::Waiting`] means that the
    /// socket is drained: for a full buffer it is [`Step::Yielded`].
    pub(super) fn receive(
        &mut self,
        catalogue: &Catalogue,
        direction: Direction,
        buffer: &mut [u8],
    ) -> Step {
        let Some(stream) = &mut self.stream else { return Step::Blocked };
        let received = loop {
            match stream.read(buffer) {
                Ok(bytes) => break bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Step::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Step::Broken(error.kind()),
            }
        };
        if received == 0 {
            return Step::Closed;
        }
        let step = self.take_in(catalogue, direction, &buffer[..received]);
        let more_may_wait = received == buffer.len() || self.peer_closed;
        if step == Step::Waiting && more_may_wait { Step::Yielded } else { step }
    }

    /// The peer has closed: the end of a reply that has no other end, or too early.
    pub(super) fn end(&mut self, catalogue: &Catalogue, direction: Direction) -> Step {
        match self.reader.close() {
            Ok(()) => {
                self.exchange.keep_alive = false;
                self.judge(catalogue, direction)
            }
            Err(fileserver_proto::client::ReplyError::NoReply) => {
                Step::Failed(ErrorKind::Reset, "closed by the server without a reply")
            }
            Err(_) => Step::Failed(ErrorKind::Reset, "closed by the server within a reply"),
        }
    }

    fn take_in(&mut self, catalogue: &Catalogue, direction: Direction, mut input: &[u8]) -> Step {
        if !self.exchange.pending || self.phase != Phase::Busy {
            return Step::Failed(ErrorKind::Protocol, "data that nobody asked for");
        }
        let file = &catalogue.files[self.exchange.file];
        loop {
            match self.reader.next(&mut input) {
                Ok(ReplyEvent::NeedMore) => return Step::Waiting,
                Ok(ReplyEvent::Head(head)) => self.take_in_head(head, file, direction),
                Ok(ReplyEvent::Body(piece)) => {
                    let exchange = &mut self.exchange;
                    if direction == Direction::Download && exchange.fault.is_none() {
                        if exchange.received_bytes + piece.len() as u64 > file.size_bytes {
                            exchange.fault = Some(ErrorKind::Length);
                        } else if exchange.verify
                            && !file.content.matches(exchange.received_bytes, piece)
                        {
                            exchange.fault = Some(ErrorKind::Content);
                        }
                    }
                    exchange.received_bytes += piece.len() as u64;
                }
                Ok(ReplyEvent::End) if !input.is_empty() => {
                    return Step::Failed(ErrorKind::Protocol, "more than one reply");
                }
                Ok(ReplyEvent::End) => return self.judge(catalogue, direction),
                Err(fileserver_proto::client::ReplyError::Malformed(what)) => {
                    return Step::Failed(ErrorKind::Protocol, what);
                }
                Err(_) => return Step::Failed(ErrorKind::Protocol, "a reply out of place"),
            }
        }
    }

    fn take_in_head(&mut self, head: ReplyHead, file: &PreparedFile, direction: Direction) {
        let exchange = &mut self.exchange;
        exchange.status = Some(head.kind);
        exchange.keep_alive = head.keep_alive;
        exchange.told_bytes = head.body_bytes.unwrap_or(0);
        exchange.fault = match (direction, head.kind) {
            (_, kind) if !kind.is_success() => Some(ErrorKind::Status),
            (Direction::Download, ReplyKind::Status(_) | ReplyKind::Data) => {
                let wrong = head.body_bytes.is_some_and(|len| len != file.size_bytes);
                wrong.then_some(ErrorKind::Length)
            }
            (Direction::Upload, ReplyKind::Status(_) | ReplyKind::Text) => None,
            _ => Some(ErrorKind::Protocol),
        };
    }

    /// What a complete reply amounts to.
    fn judge(&mut self, catalogue: &Catalogue, direction: Direction) -> Step {
        let exchange = &mut self.exchange;
        let file = &catalogue.files[exchange.file];
        if exchange.fault.is_some() {
            // A refusal before everything was sent leaves the rest without a meaning.
            exchange.keep_alive &= exchange.sent_bytes == exchange.goal_bytes;
            return self.answered();
        }
        match direction {
            Direction::Download if exchange.received_bytes != file.size_bytes => {
                exchange.fault = Some(ErrorKind::Length);
            }
            Direction::Download => {}
            Direction::Upload => {
                if exchange.sent_bytes < exchange.goal_bytes {
                    return Step::Failed(ErrorKind::Protocol, "an answer before the question");
                }
                let head = &self.heads[exchange.file];
                let said = self.reader.text_bytes();
                let announced = head.announced < head.bytes.len();
                if announced && exchange.sent_bytes == head.announced as u64 {
                    if said == OK.as_bytes() {
                        exchange.goal_bytes = head.bytes.len() as u64 + file.size_bytes;
                        return Step::GoOn;
                    }
                    exchange.fault = Some(ErrorKind::Protocol);
                } else if announced && !said.starts_with(SAVED.as_bytes()) {
                    exchange.fault = Some(ErrorKind::Protocol);
                }
            }
        }
        self.answered()
    }

    fn answered(&mut self) -> Step {
        self.exchange.replies = self.exchange.replies.wrapping_add(1);
        self.exchange.pending = false;
        Step::Answered(self.exchange.fault)
    }
}

/// Sends a piece of an upload's head and body, from `from` on and no further than `to`.
fn send_upload(
    stream: &mut TcpStream,
    head: &[u8],
    file: &PreparedFile,
    from: u64,
    to: u64,
    block: &mut [u8],
) -> io::Result<usize> {
    let head_end = (head.len() as u64).min(to);
    let head_rest = &head[from.min(head_end) as usize..head_end as usize];
    let offset = from.max(head.len() as u64) - head.len() as u64;
    let body_left = to.saturating_sub(head.len() as u64).saturating_sub(offset);
    let len = body_left.min(SEND_BYTES as u64) as usize;
    let piece = match &file.body {
        Some(body) => &body[offset as usize..][..len],
        None => {
            let len = len.min(block.len());
            file.content.fill(offset, &mut block[..len]);
            &block[..len]
        }
    };
    match (head_rest.is_empty(), piece.is_empty()) {
        (false, false) => stream.write_vectored(&[IoSlice::new(head_rest), IoSlice::new(piece)]),
        (false, true) => stream.write(head_rest),
        (true, _) => stream.write(piece),
    }
}
