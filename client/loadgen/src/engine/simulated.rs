//! Engine in simulated time, with a server whose delays are known to the nanosecond. Reported and
//! true times can be compared exactly, independent of the machine.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::{Body, Event, Piece, Sent, Sockets};

/// Duration of one poll.
pub(crate) const POLL_NS: u64 = 1_000;

/// Name in requests for heavy work.
pub(crate) const HEAVY: &str = "/.work";

/// Bytes of a reply that arrive at a time, if it arrives in pieces.
const PIECE_BYTES: usize = 64 << 10;

/// Body bytes of an upload that the simulated kernel accepts before the server has read any.
const KERNEL_BYTES: u64 = 4 << 20;

/// Sockets with a simulated peer. Time passes only in [`Sockets::wait`].
pub(crate) struct SimulatedSockets {
    now_ns: u64,
    server: SimulatedServer,
    /// Future events: time and socket.
    coming: BinaryHeap<Reverse<(u64, usize, Coming)>>,
    /// Start of the upload of each socket, and its body bytes sent so far.
    uploads: HashMap<usize, (u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Connected,
    /// This number of bytes was accepted.
    Sent(usize),
    /// Piece of a reply.
    Piece(usize),
    Reply,
    HeavyReply,
}

/// Simulated server that processes one request at a time, in order of arrival.
pub(crate) struct SimulatedServer {
    /// Reply to each request.
    pub(crate) reply: Vec<u8>,
    /// Processing time per request.
    pub(crate) service_ns: u64,
    /// Delay of each reply after its processing; the server continues meanwhile.
    pub(crate) delay_ns: u64,
    /// Time to open a connection.
    pub(crate) connect_ns: u64,
    /// Replies arrive in pieces, evenly over their delay.
    pub(crate) in_pieces: bool,
    /// Additional delay of the replies to every third connection.
    pub(crate) slow_third_ns: u64,
    /// Connections from this number on get no reply.
    pub(crate) served: usize,
    /// Requests that arrive from this time on get no reply.
    pub(crate) silent_from_ns: u64,
    /// Body bytes of an upload, which the server reads evenly over the delay of the reply.
    pub(crate) upload_bytes: u64,
    /// Reply to requests for [`HEAVY`] work, and its delay.
    pub(crate) heavy: (Vec<u8>, u64),
    /// Interval in which the processing time falls evenly from twice its value to its value.
    pub(crate) cold_ns: std::ops::Range<u64>,
    /// Interval in which the server stalls.
    pub(crate) stall_ns: std::ops::Range<u64>,
    /// Interval in which the generator stalls.
    pub(crate) away_ns: std::ops::Range<u64>,
    /// Time until which the server is busy.
    free_ns: u64,
    /// The server's record: arrival and reply time of each request, in order of arrival.
    pub(crate) record: Rc<RefCell<Vec<(u64, u64)>>>,
    /// The same for heavy requests.
    pub(crate) heavy_record: Rc<RefCell<Vec<(u64, u64)>>>,
}

impl SimulatedServer {
    pub(crate) fn new(reply: Vec<u8>, service_ns: u64, delay_ns: u64) -> Self {
        let never = u64::MAX..u64::MAX;
        Self {
            reply,
            service_ns,
            delay_ns,
            connect_ns: 0,
            in_pieces: false,
            slow_third_ns: 0,
            served: usize::MAX,
            silent_from_ns: u64::MAX,
            upload_bytes: 0,
            heavy: (Vec::new(), 0),
            cold_ns: never.clone(),
            stall_ns: never.clone(),
            away_ns: never,
            free_ns: 0,
            record: Rc::default(),
            heavy_record: Rc::default(),
        }
    }

    /// Processing time of a cold server beyond the usual one.
    fn extra_ns(&self, begin_ns: u64) -> u64 {
        let cold = &self.cold_ns;
        if !cold.contains(&begin_ns) {
            return 0;
        }
        let share = (cold.end - begin_ns) as f64 / (cold.end - cold.start) as f64;
        (self.service_ns as f64 * share) as u64
    }

    /// Time at which the reply to a request that arrives now is sent, if ever.
    fn answer(&mut self, now_ns: u64, socket: usize, is_heavy: bool) -> Option<u64> {
        if socket >= self.served || now_ns >= self.silent_from_ns {
            self.record.borrow_mut().push((now_ns, u64::MAX));
            return None;
        }
        let mut begin_ns = now_ns.max(self.free_ns);
        if self.stall_ns.contains(&begin_ns) {
            begin_ns = self.stall_ns.end;
        }
        self.free_ns = begin_ns + self.service_ns + self.extra_ns(begin_ns);
        let (record, delay_ns) = match is_heavy {
            true => (&self.heavy_record, self.heavy.1),
            false => (&self.record, self.delay_ns),
        };
        let slow_ns = if socket.is_multiple_of(3) { self.slow_third_ns } else { 0 };
        let reply_ns = self.free_ns + delay_ns + slow_ns;
        record.borrow_mut().push((now_ns, reply_ns));
        Some(reply_ns)
    }
}

impl SimulatedSockets {
    pub(crate) fn new(start_ns: u64, server: SimulatedServer) -> Self {
        let (coming, uploads) = (BinaryHeap::new(), HashMap::new());
        Self { now_ns: start_ns, server, coming, uploads }
    }

    /// Accepts a part of an upload: at once while the kernel has room, then as the server reads.
    fn upload(&mut self, socket: usize, head_bytes: usize, body_bytes: usize) -> Sent {
        let now_ns = self.now_ns;
        let upload = self.uploads.entry(socket).or_default();
        if head_bytes > 0 {
            *upload = (now_ns, 0);
        }
        upload.1 += body_bytes as u64;
        let (start_ns, sent_bytes) = *upload;
        let (total_bytes, delay_ns) = (self.server.upload_bytes, self.server.delay_ns);
        let read_bytes = u128::from(sent_bytes.saturating_sub(KERNEL_BYTES));
        let read_ns = (read_bytes * u128::from(delay_ns) / u128::from(total_bytes)) as u64;
        let sent = Coming::Sent(head_bytes + body_bytes);
        self.coming.push(Reverse((now_ns.max(start_ns + read_ns), socket, sent)));
        if sent_bytes == total_bytes
            && let Some(reply_ns) = self.server.answer(start_ns, socket, false)
        {
            self.coming.push(Reverse((reply_ns, socket, Coming::Reply)));
        }
        Sent::Deferred
    }
}

impl<'a> Sockets<'a> for SimulatedSockets {
    const DEFERS_SENDS: bool = false;

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn event_ns(&self) -> u64 {
        self.now_ns
    }

    fn open(&mut self, socket: usize, _source: Option<Ipv4Addr>) -> io::Result<()> {
        let connected_ns = self.now_ns + self.server.connect_ns;
        self.coming.push(Reverse((connected_ns, socket, Coming::Connected)));
        Ok(())
    }

    fn close(&mut self, socket: usize) {
        self.coming.retain(|Reverse((_, other, _))| *other != socket);
    }

    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent {
        match piece.body {
            Body::Bytes([]) => {}
            Body::Bytes(body) => return self.upload(socket, piece.head.len(), body.len()),
            Body::Content { len, .. } => return self.upload(socket, piece.head.len(), len),
        }
        let is_heavy = piece.head.windows(HEAVY.len()).any(|part| part == HEAVY.as_bytes());
        let Some(reply_ns) = self.server.answer(self.now_ns, socket, is_heavy) else {
            return Sent::Bytes(piece.head.len());
        };
        let last = match is_heavy {
            true => Coming::HeavyReply,
            false if self.server.in_pieces => {
                let pieces = self.server.reply.len().div_ceil(PIECE_BYTES);
                let from_ns = reply_ns - self.server.delay_ns;
                for number in 0..pieces - 1 {
                    let share = (number + 1) as f64 / pieces as f64;
                    let at_ns = from_ns + (self.server.delay_ns as f64 * share) as u64;
                    self.coming.push(Reverse((at_ns, socket, Coming::Piece(number))));
                }
                Coming::Piece(pieces - 1)
            }
            false => Coming::Reply,
        };
        self.coming.push(Reverse((reply_ns, socket, last)));
        Sent::Bytes(piece.head.len())
    }

    fn queued(&self) -> usize {
        0
    }

    fn submit(&mut self) {}

    fn wait(&mut self, until_ns: u64) -> io::Result<()> {
        let next_ns = self.coming.peek().map_or(u64::MAX, |Reverse((at_ns, ..))| *at_ns);
        // A poll takes time, or an arrival polled for would never come.
        let until_ns = until_ns.max(self.now_ns + POLL_NS);
        self.now_ns = self.now_ns.max(next_ns.min(until_ns));
        if self.server.away_ns.contains(&self.now_ns) {
            self.now_ns = self.server.away_ns.end;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<(usize, Event<'_>)> {
        let &Reverse((at_ns, socket, coming)) = self.coming.peek()?;
        if at_ns > self.now_ns {
            return None;
        }
        self.coming.pop();
        let event = match coming {
            Coming::Connected => Event::Connected,
            Coming::Sent(bytes) => Event::Sent(bytes),
            Coming::Piece(number) => {
                let (reply, from) = (&self.server.reply, number * PIECE_BYTES);
                let bytes = &reply[from..reply.len().min(from + PIECE_BYTES)];
                Event::Received { bytes, peer_closed: false }
            }
            Coming::Reply => Event::Received { bytes: &self.server.reply, peer_closed: false },
            Coming::HeavyReply => {
                Event::Received { bytes: &self.server.heavy.0, peer_closed: false }
            }
        };
        Some((socket, event))
    }
}
