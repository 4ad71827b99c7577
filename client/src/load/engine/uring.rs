//! The engine that waits for completions.
//!
//! One `io_uring_enter` submits the requests of a batch and brings the replies that have come.
//! A request is one operation, which completes only if it fails; a kept connection receives into
//! buffers that the kernel takes from a queue, by one operation for as long as it lives. So in
//! steady state a request costs one submission and one completion, and a share of a system call.
//!
//! Sockets block, as far as flags go: for others, io_uring would not wait.

mod buffers;
mod ring;

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use socket2::SockAddr;

use super::super::clock::now_ns;
use super::{Body, EngineSetup, Event, Piece, SEND_BYTES, Sent, Sockets, socket};
use buffers::{Buffers, Filled};
use ring::{Busy, Completion, Kind, MAX_SOCKETS, Ring, Tag};

/// Memory to receive into, at most, unless that would be too few buffers.
const RECEIVE_BYTES: usize = 1 << 20;
const FEWEST_BUFFERS: usize = 16;
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 2 << 10..=64 << 10;
/// Memory for content that is made while it is sent, at most, unless blocks would be too small.
const BLOCKS_BYTES: usize = 64 << 20;
const SMALLEST_BLOCK_BYTES: usize = 4 << 10;
const FEWEST_COMPLETIONS: usize = 2048;
const MOST_COMPLETIONS: usize = 1 << 16;

/// Whether the kernel grants what this engine needs: rings with deferred task work (Linux 6.1,
/// which has all the rest), and a queue of buffers.
///
/// # Errors
/// What it said when it refused.
pub(in super::super) fn probe() -> io::Result<()> {
    let nowhere = SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut ring =
        Ring::new(nowhere, Buffers::new(1, *BUFFER_BYTES.start()), FEWEST_COMPLETIONS as u32, 0)?;
    ring.submit_and_wait(None)
}

/// Sockets whose operations go through a ring.
#[derive(Debug)]
pub(in super::super) struct UringSockets<'a> {
    setup: EngineSetup,
    ring: Ring<'a>,
    slots: Vec<Slot>,
    /// Completions of everything but receiving, which come first: the answer to a request may be
    /// seen before the end of its sending.
    others: VecDeque<Completion>,
    received: VecDeque<Completion>,
    /// The buffer that the last event refers to.
    lent: Option<Filled>,
    /// The socket that the last event left without an operation that receives.
    to_receive: Option<Tag>,
    reaped_ns: u64,
}

#[derive(Debug, Default)]
struct Slot {
    fd: Option<OwnedFd>,
    /// Counts the descriptors, so that a completion of an earlier one is recognised.
    generation: u16,
    connecting: bool,
    receiving: bool,
    /// A send is under way whose completion is awaited.
    sending: bool,
    /// Bytes of a head that go out before what that completion counts.
    head_bytes: usize,
    /// Why a send failed.
    broken: Option<io::ErrorKind>,
}

impl UringSockets<'_> {
    pub(in super::super) fn new(setup: EngineSetup) -> io::Result<Self> {
        if setup.sockets > MAX_SOCKETS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // A wait ends when its time has come, not when it suits the kernel.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let reply_bytes = usize::try_from(setup.reply_bytes).unwrap_or(usize::MAX);
        let bytes_each = reply_bytes
            .clamp(*BUFFER_BYTES.start(), *BUFFER_BYTES.end())
            .next_multiple_of(*BUFFER_BYTES.start());
        let fitting = (RECEIVE_BYTES / bytes_each).max(FEWEST_BUFFERS);
        let number = fitting.min(2 * setup.sockets).max(FEWEST_BUFFERS).next_power_of_two();
        let completions = (2 * setup.sockets).clamp(FEWEST_COMPLETIONS, MOST_COMPLETIONS);
        let block_bytes = if setup.makes_content {
            (BLOCKS_BYTES / setup.sockets).clamp(SMALLEST_BLOCK_BYTES, SEND_BYTES)
        } else {
            0
        };
        let buffers = Buffers::new(number as u16, bytes_each);
        let mut slots = Vec::new();
        slots.resize_with(setup.sockets, Slot::default);
        Ok(Self {
            setup,
            ring: Ring::new(setup.target.into(), buffers, completions as u32, block_bytes)?,
            slots,
            others: VecDeque::with_capacity(completions),
            received: VecDeque::with_capacity(completions),
            lent: None,
            to_receive: None,
            reaped_ns: now_ns(),
        })
    }

    fn is_current(&self, tag: Tag) -> bool {
        let slot = &self.slots[tag.socket as usize];
        slot.generation == tag.generation && slot.fd.is_some()
    }

    fn receive(&mut self, tag: Tag) {
        let slot = &mut self.slots[tag.socket as usize];
        let Some(fd) = &slot.fd else { return };
        slot.receiving = true;
        if self.setup.keep_alive {
            self.ring.receive_repeatedly(fd.as_raw_fd(), tag);
        } else {
            self.ring.receive_once(fd.as_raw_fd(), tag);
        }
    }

    /// The event of a completion that did not receive.
    fn other_event(&mut self, completion: &Completion) -> Option<Event<'static>> {
        let Completion { kind, tag, result, .. } = *completion;
        let slot = &mut self.slots[tag.socket as usize];
        match kind {
            Kind::Connect => {
                slot.connecting = false;
                if result < 0 {
                    return Some(Event::Refused(io::Error::from_raw_os_error(-result)));
                }
                self.receive(tag);
                Some(Event::Connected)
            }
            Kind::Send | Kind::SendBlock if result >= 0 => {
                slot.sending = false;
                Some(Event::Sent(std::mem::take(&mut slot.head_bytes) + result as usize))
            }
            Kind::SendAll | Kind::Send | Kind::SendBlock => {
                slot.sending &= kind == Kind::SendAll;
                let error = io::Error::from_raw_os_error(-result.min(0)).kind();
                let kind = if result < 0 { error } else { io::ErrorKind::ConnectionReset };
                let kind = *slot.broken.get_or_insert(kind);
                // What the server said beforehand is to be heard first.
                (!slot.receiving).then_some(Event::Broken(kind))
            }
            Kind::Receive | Kind::Ignored => None,
        }
    }
}

impl Drop for UringSockets<'_> {
    fn drop(&mut self) {
        // What is under way on them then ends by itself; cancelling takes the kernel a time that
        // grows with the square of their number.
        for fd in self.slots.iter().filter_map(|slot| slot.fd.as_ref()) {
            // One that is not connected yet is cancelled with the ring.
            let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Both);
        }
    }
}

impl<'a> Sockets<'a> for UringSockets<'a> {
    const DEFERS_SENDS: bool = true;

    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn event_ns(&self) -> u64 {
        self.reaped_ns
    }

    fn open(&mut self, number: usize, source: Option<Ipv4Addr>) -> io::Result<()> {
        let fd = OwnedFd::from(socket(self.setup.target, source)?);
        let slot = &mut self.slots[number];
        let tag = Tag { socket: number as u32, generation: slot.generation.wrapping_add(1) };
        self.ring.connect(fd.as_raw_fd(), tag);
        let generation = tag.generation;
        *slot = Slot { fd: Some(fd), generation, connecting: true, ..Slot::default() };
        Ok(())
    }

    fn close(&mut self, socket: usize) {
        let slot = &mut self.slots[socket];
        let busy = match (slot.connecting || slot.sending, slot.receiving) {
            (true, _) => Busy::Otherwise,
            (false, true) => Busy::Receiving,
            (false, false) => Busy::No,
        };
        let tag = Tag { socket: socket as u32, generation: slot.generation };
        if let Some(fd) = slot.fd.take() {
            self.ring.close(fd, tag, busy);
        }
    }

    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent {
        let slot = &mut self.slots[socket];
        let tag = Tag { socket: socket as u32, generation: slot.generation };
        let Some(fd) = slot.fd.as_ref().filter(|_| slot.broken.is_none()) else {
            return Sent::Later;
        };
        let fd = fd.as_raw_fd();
        let is_all = matches!(piece.body, Body::Bytes([]) | Body::Content { len: 0, .. });
        if !piece.head.is_empty() {
            self.ring.send_all(fd, piece.head, !is_all, tag);
        }
        if is_all {
            return Sent::Bytes(piece.head.len());
        }
        slot.sending = true;
        slot.head_bytes = piece.head.len();
        match piece.body {
            Body::Bytes(bytes) => self.ring.send(fd, bytes, tag),
            Body::Content { content, offset, len } => {
                self.ring.send_made(fd, len, tag, |block| content.fill(offset, block));
            }
        }
        Sent::Later
    }

    fn queued(&self) -> usize {
        self.ring.queued()
    }

    fn submit(&mut self) {
        self.ring.submit();
    }

    fn wait(&mut self, until_ns: u64) -> io::Result<()> {
        let has_events = !self.others.is_empty() || !self.received.is_empty();
        let left_ns = if has_events { 0 } else { until_ns.saturating_sub(now_ns()) };
        let waited =
            self.ring.submit_and_wait((left_ns > 0).then_some(Duration::from_nanos(left_ns)));
        // Read once for all: every completion below was there by now.
        self.reaped_ns = now_ns();
        let Self { ring, others, received, .. } = self;
        ring.reap(|completion| {
            let queue =
                if completion.kind == Kind::Receive { &mut *received } else { &mut *others };
            queue.push_back(completion);
        });
        waited
    }

    fn next(&mut self) -> Option<(usize, Event<'_>)> {
        if let Some(filled) = self.lent.take() {
            self.ring.hand_back(filled);
        }
        if let Some(tag) = self.to_receive.take()
            && self.is_current(tag)
        {
            self.receive(tag);
        }
        while let Some(completion) = self.others.pop_front() {
            if self.is_current(completion.tag)
                && let Some(event) = self.other_event(&completion)
            {
                return Some((completion.tag.socket as usize, event));
            }
        }
        while let Some(completion) = self.received.pop_front() {
            let Completion { tag, result, filled, more, .. } = completion;
            let (socket, is_current) = (tag.socket as usize, self.is_current(tag));
            let slot = &mut self.slots[socket];
            if is_current && !more {
                slot.receiving = false;
            }
            match filled {
                Some(filled) if is_current && result > 0 => {
                    if !more {
                        self.to_receive = Some(tag);
                    }
                    // The end of the stream comes directly behind the last data.
                    let next = self.received.front();
                    let peer_closed = next.is_some_and(|next| next.tag == tag && next.result == 0);
                    let bytes = self.ring.bytes(self.lent.insert(filled));
                    return Some((socket, Event::Received { bytes, peer_closed }));
                }
                Some(filled) => self.ring.hand_back(filled),
                None => {}
            }
            if is_current && result == -rustix::io::Errno::NOBUFS.raw_os_error() {
                self.receive(tag);
            } else if is_current {
                let end = if result == 0 {
                    Event::Closed
                } else {
                    Event::Broken(io::Error::from_raw_os_error(-result).kind())
                };
                let event = self.slots[socket].broken.map_or(end, Event::Broken);
                return Some((socket, event));
            }
        }
        None
    }
}
