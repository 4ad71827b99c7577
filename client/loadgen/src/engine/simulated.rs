//! Engine in simulated time, with a server whose delays are known to the nanosecond. Reported and
//! true times can be compared exactly, independent of the machine.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::{Event, Piece, Sent, Sockets};

/// Duration of one poll.
pub(crate) const POLL_NS: u64 = 1_000;

/// Name in requests for heavy work.
pub(crate) const HEAVY: &str = "/.work";

/// Sockets with a simulated peer. Time passes only in [`Sockets::wait`].
pub(crate) struct SimulatedSockets {
    now_ns: u64,
    server: SimulatedServer,
    /// Future events: time and socket.
    coming: BinaryHeap<Reverse<(u64, usize, Coming)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Connected,
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
    /// Reply to requests for [`HEAVY`] work, and its delay.
    pub(crate) heavy: (Vec<u8>, u64),
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
            heavy: (Vec::new(), 0),
            stall_ns: never.clone(),
            away_ns: never,
            free_ns: 0,
            record: Rc::default(),
            heavy_record: Rc::default(),
        }
    }

    /// Time at which the reply to a request that arrives now is sent.
    fn answer(&mut self, now_ns: u64, is_heavy: bool) -> u64 {
        let mut begin_ns = now_ns.max(self.free_ns);
        if self.stall_ns.contains(&begin_ns) {
            begin_ns = self.stall_ns.end;
        }
        self.free_ns = begin_ns + self.service_ns;
        let (record, delay_ns) = match is_heavy {
            true => (&self.heavy_record, self.heavy.1),
            false => (&self.record, self.delay_ns),
        };
        record.borrow_mut().push((now_ns, self.free_ns + delay_ns));
        self.free_ns + delay_ns
    }
}

impl SimulatedSockets {
    pub(crate) fn new(start_ns: u64, server: SimulatedServer) -> Self {
        Self { now_ns: start_ns, server, coming: BinaryHeap::new() }
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
        self.coming.push(Reverse((self.now_ns, socket, Coming::Connected)));
        Ok(())
    }

    fn close(&mut self, socket: usize) {
        self.coming.retain(|Reverse((_, other, _))| *other != socket);
    }

    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent {
        let is_heavy = piece.head.windows(HEAVY.len()).any(|part| part == HEAVY.as_bytes());
        let reply_ns = self.server.answer(self.now_ns, is_heavy);
        let reply = if is_heavy { Coming::HeavyReply } else { Coming::Reply };
        self.coming.push(Reverse((reply_ns, socket, reply)));
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
            Coming::Reply => Event::Received { bytes: &self.server.reply, peer_closed: false },
            Coming::HeavyReply => {
                Event::Received { bytes: &self.server.heavy.0, peer_closed: false }
            }
        };
        Some((socket, event))
    }
}
