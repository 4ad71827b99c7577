//! Completion engine on io_uring.
//!
//! One `io_uring_enter` submits a batch of requests and returns the replies that have arrived. A
//! request is one operation, which completes only if it fails. A kept-alive connection receives by
//! one multishot operation into buffers that the kernel takes from a queue. In steady state a
//! request costs one submission, one completion and a share of a system call.
//!
//! Sockets are in blocking mode: io_uring does not wait on non-blocking ones.

mod buffers;
mod ring;

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use socket2::SockAddr;

use super::{Body, EngineSetup, Event, Piece, SEND_BYTES, Sent, Sockets, socket};
use crate::clock::now_ns;
use buffers::{Buffers, Filled};
use ring::{Busy, Completion, Kind, MAX_SOCKETS, Ring, Tag};

/// Approximate memory of the receive buffers. The kernel uses the buffers in turn, so together they
/// should fit in the core's own cache, usually 1 MiB.
const RECEIVE_BYTES: usize = 512 << 10;
const FEWEST_BUFFERS: usize = 4;
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 2 << 10..=128 << 10;
/// Upper bound of memory for generated content, unless blocks would be too small.
const BLOCKS_BYTES: usize = 64 << 20;
const SMALLEST_BLOCK_BYTES: usize = 4 << 10;
const FEWEST_COMPLETIONS: usize = 2048;
const MOST_COMPLETIONS: usize = 1 << 16;

/// Checks that the kernel supports rings with deferred task work (Linux 6.1) and a queue of
/// buffers.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn probe() -> io::Result<()> {
    let nowhere = SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut ring =
        Ring::new(nowhere, Buffers::new(1, *BUFFER_BYTES.start()), FEWEST_COMPLETIONS as u32, 0)?;
    ring.submit_and_wait(None)
}

/// Sockets with operations on a ring.
#[derive(Debug)]
pub(crate) struct UringSockets<'a> {
    setup: EngineSetup,
    ring: Ring<'a>,
    slots: Vec<Slot>,
    /// Completions other than receives. They are handled first, since the reply to a request can
    /// complete before its send.
    others: VecDeque<Completion>,
    received: VecDeque<Completion>,
    /// Buffer that the last event refers to.
    lent: Option<Filled>,
    /// Socket that the last event left without a receive operation.
    to_receive: Option<Tag>,
    /// Sockets with data to receive when no buffer was left, in order.
    starved: VecDeque<Tag>,
    /// Number of buffers.
    buffers: usize,
    reaped_ns: u64,
}

#[derive(Debug, Default)]
struct Slot {
    fd: Option<OwnedFd>,
    /// Number of the descriptor, to recognise completions of an earlier one.
    generation: u16,
    connecting: bool,
    /// A receive operation is in flight or waits for a buffer.
    receiving: bool,
    /// A send is in flight whose completion is awaited.
    sending: bool,
    /// Bytes of a head sent before those that the completion counts.
    head_bytes: usize,
    /// Error of a failed send.
    broken: Option<io::ErrorKind>,
}

impl UringSockets<'_> {
    pub(crate) fn new(setup: EngineSetup) -> io::Result<Self> {
        if setup.sockets > MAX_SOCKETS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Waits must end at their time, without timer slack.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let (number, bytes_each) = buffers_for(setup.reply_bytes, setup.sockets);
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
            starved: VecDeque::with_capacity(setup.sockets),
            buffers: number,
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

    /// Restarts receives that found no buffer. Fewer than the number of buffers, since one can use
    /// several and most others would fail again.
    fn feed(&mut self) {
        for _ in 0..self.starved.len().min(self.buffers / 2) {
            if let Some(tag) = self.starved.pop_front()
                && self.is_current(tag)
            {
                self.receive(tag);
            }
        }
    }

    /// Event of a completion other than a receive.
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
                // Data that the server sent before come first.
                (!slot.receiving).then_some(Event::Broken(kind))
            }
            Kind::Receive | Kind::Ignored => None,
        }
    }
}

/// Number and size of the receive buffers: few large ones for long replies, at least one per reply
/// for short ones. Longer replies use several buffers.
fn buffers_for(reply_bytes: u64, sockets: usize) -> (usize, usize) {
    let (smallest, largest) = (*BUFFER_BYTES.start(), *BUFFER_BYTES.end());
    let bytes_each = usize::try_from(reply_bytes)
        .map_or(largest, |bytes| bytes.clamp(smallest, largest).next_multiple_of(smallest));
    let useful = (2 * sockets).max(FEWEST_BUFFERS);
    ((RECEIVE_BYTES / bytes_each).min(useful).next_power_of_two(), bytes_each)
}

impl Drop for UringSockets<'_> {
    fn drop(&mut self) {
        // Operations in flight then end by themselves. Cancelling them would take a time that grows
        // with the square of their number.
        for fd in self.slots.iter().filter_map(|slot| slot.fd.as_ref()) {
            // A socket that is not connected yet is cancelled with the ring.
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
            return Sent::Deferred;
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
        Sent::Deferred
    }

    fn queued(&self) -> usize {
        self.ring.queued()
    }

    fn submit(&mut self) {
        self.ring.submit();
    }

    fn wait(&mut self, until_ns: u64) -> io::Result<()> {
        self.feed();
        let has_more =
            !self.others.is_empty() || !self.received.is_empty() || !self.starved.is_empty();
        let left_ns = if has_more { 0 } else { until_ns.saturating_sub(now_ns()) };
        let waited =
            self.ring.submit_and_wait((left_ns > 0).then_some(Duration::from_nanos(left_ns)));
        // Read once: every completion below had arrived by now.
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
                    // The end of the stream follows the last data directly.
                    let next = self.received.front();
                    let peer_closed = next.is_some_and(|next| next.tag == tag && next.result == 0);
                    let bytes = self.ring.bytes(self.lent.insert(filled));
                    return Some((socket, Event::Received { bytes, peer_closed }));
                }
                Some(filled) => self.ring.hand_back(filled),
                None => {}
            }
            if is_current && result == -rustix::io::Errno::NOBUFS.raw_os_error() {
                slot.receiving = true;
                self.starved.push_back(tag);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_hold_whole_replies_and_fit_a_core_s_cache() {
        for (reply_bytes, sockets, buffers) in [
            (0, 1, (4, 2 << 10)),
            (2 << 10, 64, (128, 2 << 10)),
            (2 << 10, 10_000, (256, 2 << 10)),
            (17 << 10, 64, (32, 18 << 10)),
            (65 << 10, 64, (8, 66 << 10)),
            (1 << 20, 64, (4, 128 << 10)),
            (u64::MAX, 1, (4, 128 << 10)),
        ] {
            assert_eq!(buffers_for(reply_bytes, sockets), buffers, "{reply_bytes} {sockets}");
        }
        for reply_bytes in (0..300 << 10).step_by(1000) {
            let (number, bytes_each) = buffers_for(reply_bytes, 1_000);
            assert!(number.is_power_of_two() && number * bytes_each < 1 << 20, "{reply_bytes}");
        }
    }
}
