//! An engine in simulated time, with a server whose every delay is known to the nanosecond: what
//! the generator reports can then be compared with what is true, whatever the machine does.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::{Event, Piece, Sent, Sockets};

/// How long one look for events takes.
pub(crate) const POLL_NS: u64 = 1_000;

/// What a request for heavy work names.
pub(crate) const HEAVY: &str = "/.work";

/// Sockets whose peer answers by a rule. Time passes only in [`Sockets::wait`].
pub(crate) struct SimulatedSockets {
    now_ns: u64,
    server: SimulatedServer,
    /// When which socket has its next event.
    coming: BinaryHeap<Reverse<(u64, usize, Coming)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Connected,
    Reply,
    HeavyReply,
}

/// A server that works on one request at a time, in the order of their arrival.
pub(crate) struct SimulatedServer {
    /// What it sends to each request.
    pub(crate) reply: Vec<u8>,
    /// How long it works on each.
    pub(crate) service_ns: u64,
    /// How long it then holds each reply back, while it works on.
    pub(crate) delay_ns: u64,
    /// What it sends to requests for [`HEAVY`] work, and how long it holds that back.
    pub(crate) heavy: (Vec<u8>, u64),
    /// When it stands still: from, until.
    pub(crate) stall_ns: std::ops::Range<u64>,
    /// When not it but the generator stands still: from, until.
    pub(crate) away_ns: std::ops::Range<u64>,
    /// Until when it is busy.
    free_ns: u64,
    /// Its own record: when each request came and when its reply went, in order of arrival.
    pub(crate) record: Rc<RefCell<Vec<(u64, u64)>>>,
    /// The same of heavy ones.
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

    /// When the reply to a request that comes now goes out.
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
        // Polling takes time as well, or an arrival polled for would never come.
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
