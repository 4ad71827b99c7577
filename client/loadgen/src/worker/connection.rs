//! Connection of a load and its current request. The socket belongs to the engine.

use std::io;
use std::ops::Range;

use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyHead, ReplyKind, ReplyReader};
use fileserver_proto::wire::framed::{OK, SAVED};

use crate::engine::{Body, Piece, SEND_BYTES};
use crate::measure::tally::{Arrived, ErrorKind, Times};
use crate::spec::Direction;
use crate::worker::requests::{Catalogue, PreparedFile, UploadHead};

/// Beginning of a refusal on the text wire.
const REFUSAL: &[u8] = b"ERROR ";

/// Connection whose socket can be reopened; it serves one request at a time.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    /// True if it has a socket, connected or not.
    pub(crate) is_open: bool,
    pub(crate) phase: Phase,
    /// Time of the last progress.
    pub(crate) progress_ns: u64,
    /// Failures since the last reply.
    pub(crate) failures: u32,
    /// The peer has finished sending: the end follows the data.
    pub(crate) peer_closed: bool,
    /// True if it had a correct reply within the window.
    pub(crate) served: bool,
    /// True if it had a wrong reply within the window.
    pub(crate) had_wrong_reply: bool,
    pub(crate) exchange: Exchange,
    reader: ReplyReader,
    /// Replies have neither head nor end, as a file over the text wire.
    is_headless: bool,
    /// Heads of the requests for each file; only for uploads.
    heads: &'a [UploadHead],
}

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No socket; waits to open one.
    Closed,
    /// No socket; waits after a failure.
    BackingOff,
    Connecting,
    /// Connected, without a request.
    Free,
    /// Connected; pauses between a reply and the next request.
    Thinking,
    /// A request is being sent or its reply is awaited.
    Busy,
}

/// A request and its reply.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// True if there is a request; it can still wait for its connection.
    pub(crate) pending: bool,
    /// Start of the response time: the arrival in an open loop; in a closed one the attempt to
    /// connect, or the sending over a kept connection.
    pub(crate) intended_ns: u64,
    /// Time of the sending; 0 before it.
    pub(crate) sent_ns: u64,
    /// Part of the body to compare.
    pub(crate) compared: Option<Range<u64>>,
    /// The connection stays open after the reply.
    pub(crate) keep_alive: bool,
    file: usize,
    /// Bytes of head and body sent so far.
    pub(crate) sent_bytes: u64,
    /// Bytes to send before a reply is expected.
    goal_bytes: u64,
    received_bytes: u64,
    announced_bytes: u64,
    status: Option<ReplyKind>,
    fault: Option<ErrorKind>,
}

/// Progress of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The reply is incomplete.
    Waiting,
    /// The server accepts the announced upload: send the rest.
    Continue,
    /// The reply is complete; the error, if any.
    Answered(Option<ErrorKind>),
    /// The peer has closed the connection.
    Closed,
    /// The connection is unusable.
    Failed(ErrorKind, &'static str),
    /// An operation of the socket failed.
    Broken(io::ErrorKind),
}

impl Exchange {
    /// Times of the request until now.
    #[inline]
    pub(crate) fn times(&self, now_ns: u64) -> Times {
        let sent_ns = Some(self.sent_ns).filter(|sent_ns| *sent_ns > 0);
        Times { intended_ns: self.intended_ns, sent_ns, done_ns: now_ns }
    }

    /// Body bytes received so far, without those of a reply that is refused, and those of them that
    /// were compared.
    #[inline]
    pub(crate) fn arrived(&self) -> Arrived {
        if self.fault.is_some() {
            return Arrived::default();
        }
        let part = self.compared.as_ref();
        let compared =
            part.map_or(0, |part| self.received_bytes.clamp(part.start, part.end) - part.start);
        Arrived { bytes: self.received_bytes, compared }
    }
}

impl<'a> Connection<'a> {
    pub(crate) fn new(wire: Wire, direction: Direction, heads: &'a [UploadHead]) -> Self {
        Self {
            is_open: false,
            phase: Phase::Closed,
            progress_ns: 0,
            failures: 0,
            peer_closed: false,
            served: false,
            had_wrong_reply: false,
            exchange: Exchange {
                pending: false,
                intended_ns: 0,
                sent_ns: 0,
                compared: None,
                keep_alive: true,
                file: 0,
                sent_bytes: 0,
                goal_bytes: 0,
                received_bytes: 0,
                announced_bytes: 0,
                status: None,
                fault: None,
            },
            reader: match direction {
                Direction::Echo => ReplyReader::of_lines(),
                Direction::Download | Direction::Upload => ReplyReader::new(wire),
            },
            is_headless: wire == Wire::Text && direction == Direction::Download,
            heads,
        }
    }

    /// True if it had no reply within the window, neither a correct nor a wrong one.
    pub(crate) fn is_unanswered(&self) -> bool {
        !self.served && !self.had_wrong_reply
    }

    /// Marks the socket as connecting.
    pub(crate) fn opened(&mut self) {
        self.is_open = true;
        self.phase = Phase::Connecting;
        self.peer_closed = false;
        self.reader.reset();
    }

    /// Marks the socket as closed.
    pub(crate) fn closed(&mut self) {
        self.is_open = false;
        self.phase = Phase::Closed;
    }

    /// Assigns a request and the part of its reply's body to compare.
    pub(crate) fn assign(&mut self, file: u32, intended_ns: u64, compared: Option<Range<u64>>) {
        let exchange = &mut self.exchange;
        exchange.pending = true;
        exchange.intended_ns = intended_ns;
        exchange.sent_ns = 0;
        exchange.file = file as usize;
        exchange.compared = compared;
    }

    /// Prepares the request to be sent now.
    pub(crate) fn begin(&mut self, catalogue: &Catalogue, direction: Direction, now_ns: u64) {
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
        if self.is_headless {
            self.reader.expect_bytes(file.size_bytes);
        }
        exchange.goal_bytes = match direction {
            Direction::Download | Direction::Echo => file.request.len() as u64,
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

    /// File of the exchange.
    pub(crate) fn file<'c>(&self, catalogue: &'c Catalogue) -> &'c PreparedFile {
        &catalogue.files[self.exchange.file]
    }

    /// Description of the server's reply.
    pub(crate) fn describe_reply(&self) -> String {
        match self.exchange.status {
            Some(ReplyKind::Status(status)) => format!("http status {status}"),
            Some(ReplyKind::Data) => "unexpected data".to_owned(),
            Some(ReplyKind::Text | ReplyKind::Error) => format!("{:?}", self.reader.text()),
            None => "nothing".to_owned(),
        }
    }

    /// Length of the body: announced or received, whichever is larger.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.exchange.announced_bytes.max(self.exchange.received_bytes)
    }

    /// Next part of the request to send; `None` if nothing can be sent now.
    pub(crate) fn piece(
        &self,
        catalogue: &'a Catalogue,
        direction: Direction,
    ) -> Option<Piece<'a>> {
        let exchange = &self.exchange;
        if exchange.sent_bytes >= exchange.goal_bytes {
            return None;
        }
        let file = &catalogue.files[exchange.file];
        let (from, to) = (exchange.sent_bytes, exchange.goal_bytes);
        if direction != Direction::Upload {
            let head = &file.request[from as usize..];
            return Some(Piece { head, body: Body::Bytes(&[]) });
        }
        let head = &self.heads[exchange.file].bytes;
        let head_bytes = head.len() as u64;
        let head_end = head_bytes.min(to);
        let offset = from.max(head_bytes) - head_bytes;
        let body_left = to.saturating_sub(head_bytes).saturating_sub(offset);
        let len = body_left.min(SEND_BYTES as u64) as usize;
        let body = match &file.body {
            Some(body) => Body::Bytes(&body[offset as usize..][..len]),
            None => Body::Content { content: file.content, offset, len },
        };
        Some(Piece { head: &head[from.min(head_end) as usize..head_end as usize], body })
    }

    /// Handles the end of the stream: the end of a reply without a length, or a failure.
    pub(crate) fn end(&mut self, catalogue: &Catalogue, direction: Direction) -> Step {
        match self.reader.close() {
            Ok(()) => {
                self.exchange.keep_alive = false;
                self.judge(catalogue, direction)
            }
            // The end of the connection is the end of such a reply.
            Err(fileserver_proto::client::ReplyError::Truncated) if self.is_headless => {
                self.exchange.keep_alive = false;
                self.exchange.announced_bytes = 0;
                self.judge(catalogue, direction)
            }
            Err(fileserver_proto::client::ReplyError::NoReply) => {
                Step::Failed(ErrorKind::Reset, "closed by the server without a reply")
            }
            Err(_) => Step::Failed(ErrorKind::Reset, "closed by the server within a reply"),
        }
    }

    /// Handles received bytes.
    pub(crate) fn receive(
        &mut self,
        catalogue: &Catalogue,
        direction: Direction,
        mut input: &[u8],
    ) -> Step {
        if !self.exchange.pending || self.phase != Phase::Busy {
            return Step::Failed(ErrorKind::Protocol, "data without a request");
        }
        let file = &catalogue.files[self.exchange.file];
        loop {
            match self.reader.next(&mut input) {
                Ok(ReplyEvent::NeedMore) => return Step::Waiting,
                Ok(ReplyEvent::Head(head)) => self.handle_head(head, file, direction),
                Ok(ReplyEvent::Body(piece)) => {
                    let exchange = &mut self.exchange;
                    if direction != Direction::Upload && exchange.fault.is_none() {
                        if self.is_headless
                            && exchange.received_bytes == 0
                            && exchange.compared.is_some()
                            && piece.starts_with(REFUSAL)
                            && !file.matches(&(0..REFUSAL.len() as u64), 0, piece)
                        {
                            // Its end is unknown.
                            return Step::Failed(
                                ErrorKind::Status,
                                "a line that begins with ERROR",
                            );
                        }
                        if exchange.received_bytes + piece.len() as u64 > file.size_bytes {
                            exchange.fault = Some(ErrorKind::Length);
                        } else if let Some(part) = &exchange.compared
                            && !file.matches(part, exchange.received_bytes, piece)
                        {
                            exchange.fault = Some(ErrorKind::Content);
                        }
                    }
                    exchange.received_bytes += piece.len() as u64;
                }
                Ok(ReplyEvent::End) if !input.is_empty() && self.is_headless => {
                    return Step::Failed(ErrorKind::Length, "more bytes than the file has");
                }
                Ok(ReplyEvent::End) if !input.is_empty() => {
                    return Step::Failed(ErrorKind::Protocol, "more than one reply");
                }
                Ok(ReplyEvent::End) => return self.judge(catalogue, direction),
                Err(fileserver_proto::client::ReplyError::Malformed(what)) => {
                    return Step::Failed(ErrorKind::Protocol, what);
                }
                Err(_) => return Step::Failed(ErrorKind::Protocol, "unexpected message"),
            }
        }
    }

    fn handle_head(&mut self, head: ReplyHead, file: &PreparedFile, direction: Direction) {
        let exchange = &mut self.exchange;
        exchange.status = Some(head.kind);
        exchange.keep_alive = head.keep_alive;
        exchange.announced_bytes = head.body_bytes.unwrap_or(0);
        exchange.fault = match (direction, head.kind) {
            (_, kind) if !kind.is_success() => Some(ErrorKind::Status),
            (Direction::Download | Direction::Echo, ReplyKind::Status(_) | ReplyKind::Data) => {
                let wrong = head.body_bytes.is_some_and(|len| len != file.size_bytes);
                wrong.then_some(ErrorKind::Length)
            }
            (Direction::Upload, ReplyKind::Status(_) | ReplyKind::Text) => None,
            _ => Some(ErrorKind::Protocol),
        };
    }

    /// Result of a complete reply.
    fn judge(&mut self, catalogue: &Catalogue, direction: Direction) -> Step {
        let exchange = &mut self.exchange;
        let file = &catalogue.files[exchange.file];
        if exchange.fault.is_some() {
            // After a refusal, the server would read the rest of the body as a request.
            exchange.keep_alive &= exchange.sent_bytes == exchange.goal_bytes;
            return self.answered();
        }
        match direction {
            Direction::Download | Direction::Echo if exchange.received_bytes != file.size_bytes => {
                exchange.fault = Some(ErrorKind::Length);
            }
            Direction::Download | Direction::Echo => {}
            Direction::Upload => {
                if exchange.sent_bytes < exchange.goal_bytes {
                    return Step::Failed(ErrorKind::Protocol, "reply before the request was sent");
                }
                let head = &self.heads[exchange.file];
                let reply = self.reader.text_bytes();
                let announced = head.announced < head.bytes.len();
                if announced && exchange.sent_bytes == head.announced as u64 {
                    if reply == OK.as_bytes() {
                        exchange.goal_bytes = head.bytes.len() as u64 + file.size_bytes;
                        return Step::Continue;
                    }
                    exchange.fault = Some(ErrorKind::Protocol);
                } else if announced && !reply.starts_with(SAVED.as_bytes()) {
                    exchange.fault = Some(ErrorKind::Protocol);
                }
            }
        }
        self.answered()
    }

    fn answered(&mut self) -> Step {
        self.exchange.pending = false;
        Step::Answered(self.exchange.fault)
    }
}
