//! Readiness engine on epoll.
//!
//! Sockets are registered once, edge-triggered, for both directions. A request costs one `send`,
//! one `recv` and a share of an `epoll_wait`: a receive that did not fill the buffer has drained
//! the socket, and further data cause a further event, so no second receive is needed. Only an end
//! of stream that arrives together with data causes no further event; its flag is stored.
//!
//! A timer descriptor ends waits, since epoll's own timeout counts milliseconds.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::{Body, EngineSetup, Event, Piece, SEND_BYTES, Sent, Sockets, socket};
use crate::clock::{Timer, now_ns};

const RECEIVE_BYTES: usize = 128 << 10;
/// Bytes received from one socket before the next has its turn.
const TURN_BYTES: usize = 1 << 20;
const TIMER: Token = Token(usize::MAX);

/// Sockets registered with an epoll instance.
#[derive(Debug)]
pub(crate) struct EpollSockets {
    setup: EngineSetup,
    poll: Poll,
    events: Events,
    timer: Timer,
    slots: Vec<Slot>,
    /// Ready sockets, in order.
    ready: VecDeque<Ready>,
    /// Sockets that are still ready after their turn.
    unread: VecDeque<Ready>,
    buffer: Box<[u8]>,
    block: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Slot {
    stream: Option<TcpStream>,
    /// Number of the stream, to recognise events of an earlier one.
    generation: u32,
    connecting: bool,
    /// A send would have blocked.
    wants_to_send: bool,
    /// The peer has finished sending: the end follows the data.
    peer_closed: bool,
    /// Error of a failed send.
    broken: Option<io::ErrorKind>,
}

#[derive(Debug, Clone, Copy)]
struct Ready {
    socket: u32,
    generation: u32,
    readable: bool,
    writable: bool,
    /// Bytes left of its turn.
    turn_bytes: usize,
}

impl EpollSockets {
    pub(crate) fn new(setup: EngineSetup) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let mut slots = Vec::new();
        slots.resize_with(setup.sockets, Slot::default);
        let events = 1024.min(setup.sockets + 1);
        Ok(Self {
            setup,
            poll,
            events: Events::with_capacity(events),
            timer,
            slots,
            ready: VecDeque::with_capacity(events + setup.sockets),
            unread: VecDeque::with_capacity(setup.sockets),
            buffer: vec![0; RECEIVE_BYTES].into(),
            block: vec![0; if setup.makes_content { SEND_BYTES } else { 0 }].into(),
        })
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            if event.token() == TIMER {
                continue;
            }
            let (socket, generation) = (event.token().0 as u32, (event.token().0 >> 32) as u32);
            let slot = &mut self.slots[socket as usize];
            if slot.generation == generation {
                slot.peer_closed |= event.is_read_closed();
                self.ready.push_back(Ready {
                    socket,
                    generation,
                    readable: event.is_readable() || event.is_error(),
                    writable: event.is_writable() || event.is_error(),
                    turn_bytes: TURN_BYTES,
                });
            }
        }
        Ok(())
    }
}

impl<'a> Sockets<'a> for EpollSockets {
    const DEFERS_SENDS: bool = false;

    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn event_ns(&self) -> u64 {
        now_ns()
    }

    fn open(&mut self, number: usize, source: Option<Ipv4Addr>) -> io::Result<()> {
        let socket = socket(self.setup.target, source)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&self.setup.target.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let slot = &mut self.slots[number];
        let generation = slot.generation.wrapping_add(1);
        let mut stream = TcpStream::from_std(socket.into());
        let token = Token(number | (generation as usize) << 32);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest)?;
        *slot = Slot { stream: Some(stream), generation, connecting: true, ..Slot::default() };
        Ok(())
    }

    fn close(&mut self, socket: usize) {
        // Closing the descriptor removes it from the epoll instance.
        let slot = &mut self.slots[socket];
        *slot = Slot { generation: slot.generation.wrapping_add(1), ..Slot::default() };
    }

    fn send(&mut self, socket: usize, piece: Piece<'a>) -> Sent {
        let slot = &mut self.slots[socket];
        let Some(stream) = &mut slot.stream else { return Sent::Deferred };
        let body = match piece.body {
            Body::Bytes(bytes) => bytes,
            Body::Content { content, offset, len } => {
                let len = len.min(self.block.len());
                content.fill(offset, &mut self.block[..len]);
                &self.block[..len]
            }
        };
        loop {
            let written = match (piece.head.is_empty(), body.is_empty()) {
                (false, false) => {
                    stream.write_vectored(&[IoSlice::new(piece.head), IoSlice::new(body)])
                }
                (false, true) => stream.write(piece.head),
                (true, _) => stream.write(body),
            };
            match written {
                Ok(bytes) => return Sent::Bytes(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    slot.wants_to_send = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Data that the server sent before come first.
                    slot.broken = Some(error.kind());
                    self.unread.push_back(Ready {
                        socket: socket as u32,
                        generation: slot.generation,
                        readable: true,
                        writable: false,
                        turn_bytes: TURN_BYTES,
                    });
                }
            }
            return Sent::Deferred;
        }
    }

    fn queued(&self) -> usize {
        0
    }

    fn submit(&mut self) {}

    fn wait(&mut self, until_ns: u64) -> io::Result<()> {
        let waits_for_events = self.ready.is_empty() && self.unread.is_empty();
        if waits_for_events && until_ns > now_ns() {
            // Always by the timer, even for distant times: with a timeout of its own, each sleeping
            // `epoll_wait` would set up a kernel timer.
            self.timer.arm(until_ns)?;
            self.poll(None)?;
        } else {
            self.poll(Some(Duration::ZERO))?;
        }
        self.ready.append(&mut self.unread);
        Ok(())
    }

    fn next(&mut self) -> Option<(usize, Event<'_>)> {
        while let Some(ready) = self.ready.front_mut() {
            let socket = ready.socket as usize;
            let slot = &mut self.slots[socket];
            let is_current = slot.generation == ready.generation;
            let Some(stream) = slot.stream.as_mut().filter(|_| is_current) else {
                self.ready.pop_front();
                continue;
            };
            if slot.connecting {
                slot.connecting = false;
                return Some(match stream.take_error() {
                    Ok(None) => {
                        ready.writable = false;
                        (socket, Event::Connected)
                    }
                    Ok(Some(error)) | Err(error) => {
                        self.ready.pop_front();
                        (socket, Event::Refused(error))
                    }
                });
            }
            if ready.readable {
                match stream.read(&mut self.buffer) {
                    Ok(0) => {
                        ready.readable = false;
                        return Some((socket, slot.broken.map_or(Event::Closed, Event::Broken)));
                    }
                    Ok(received) => {
                        ready.turn_bytes = ready.turn_bytes.saturating_sub(received);
                        ready.readable = received == self.buffer.len() || slot.peer_closed;
                        if ready.readable && ready.turn_bytes == 0 {
                            self.unread.push_back(Ready { turn_bytes: TURN_BYTES, ..*ready });
                            self.ready.pop_front();
                        }
                        let peer_closed = slot.peer_closed;
                        let bytes = &self.buffer[..received];
                        return Some((socket, Event::Received { bytes, peer_closed }));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready.readable = false;
                        if let Some(kind) = slot.broken {
                            return Some((socket, Event::Broken(kind)));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        ready.readable = false;
                        let kind = slot.broken.unwrap_or(error.kind());
                        return Some((socket, Event::Broken(kind)));
                    }
                }
                continue;
            }
            let wants_to_send = ready.writable && std::mem::take(&mut slot.wants_to_send);
            self.ready.pop_front();
            if wants_to_send {
                return Some((socket, Event::Sent(0)));
            }
        }
        None
    }
}
