//! Event loop: submit, wait, handle completions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fileserver_proto::Buffer;
use rustix::io::Errno;
use slab::Slab;

use super::acceptor::RingAcceptor;
use super::connection::{Common, RingConnection};
use super::probe;
use super::ring::{Event, Piece, Ring, Token};
use super::room::RoomSet;
use super::wakeups::Wakeups;
use crate::connection::{Connection, io_buffers, isolate_panic};
use crate::server::limit::Permit;
use crate::server::listener::Listener;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};
use crate::strategy::parts::lifecycle::Lifecycle;
use crate::strategy::parts::turn::{ACCEPTS_PER_TURN, Turn};
use crate::trace::event::Kind;

/// Connections of one thread, and the ring it waits with.
pub(super) struct Driver {
    server: Arc<ServerState>,
    shutdown: Shutdown,
    acceptor: RingAcceptor,
    wakeups: Arc<Wakeups>,
    /// Dropped before the slots, so that no operation is in flight when sockets are closed.
    common: Common,
    slots: Slab<RingConnection>,
    generation: u32,
    lifecycle: Lifecycle,
}

impl Driver {
    /// Driver, not yet [running](Self::run). It runs on the thread that created it.
    ///
    /// # Errors
    /// The kernel refuses a ring.
    pub(super) fn new(
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<Self> {
        let io = io_buffers(server);
        let ring = Ring::new().map_err(|errno| io::Error::other(probe::explain(errno)))?;
        let wakeups = Arc::new(Wakeups::new()?);
        let woken = Arc::clone(&wakeups);
        shutdown.on_trigger(move |_| woken.wake());
        let woken = Arc::clone(&wakeups);
        let acceptor = RingAcceptor::new(listener, move || woken.wake())?;
        Ok(Self {
            server: Arc::clone(server),
            shutdown: shutdown.clone(),
            acceptor,
            common: Common::new(ring, RoomSet::new()?, io, now(), Arc::clone(&wakeups)),
            wakeups,
            slots: Slab::new(),
            generation: 0,
            lifecycle: Lifecycle::default(),
        })
    }

    /// Serves until the shutdown is triggered and its connections are closed or broken.
    ///
    /// # Errors
    /// The ring or the listener failed for good.
    pub(super) fn run(mut self) -> io::Result<()> {
        self.common.ring.poll_waker(self.wakeups.as_fd());
        self.common.ring.poll_room_set(self.common.room_set.as_fd());
        self.accept()?;
        while !self.is_over() {
            let timeout = self.poll_timeout();
            let waiting = self.server.trace.wait(Kind::WaitCompletion);
            let waited = self.common.ring.wait(timeout);
            drop(waiting);
            waited?;
            self.common.now = now();
            if self.shutdown.is_triggered() {
                self.drain();
            }
            while let Some(event) = self.common.ring.next() {
                self.handle_event(event)?;
            }
            for _ in 0..self.lifecycle.yielded() {
                if let Some(key) = self.lifecycle.pop_yielded()
                    && let Some(slot) = self.slots.get_mut(key)
                {
                    slot.is_queued = false;
                    self.resume(key);
                }
            }
            self.expire();
            self.accept()?;
        }
        let Self { common, mut slots, server, .. } = self;
        drop(common);
        for slot in slots.drain() {
            server.counters.broken();
            slot.connection.close(&server);
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Received { token, outcome, armed } => self.received(token, outcome, armed),
            Event::Readable { token } => self.read_polled(token),
            Event::Sent { token, outcome, buffer } => self.sent(token, outcome, buffer),
            Event::Writable { token, has_room } => self.room_polled(token, has_room),
            Event::RoomSetReady => self.room_set_ready(),
            Event::Accepted { outcome, armed } => {
                let now = self.common.now.instant;
                let admitted = self.acceptor.accepted(&self.server, outcome, armed, now)?;
                if let Some((socket, permit)) = admitted {
                    self.admit(socket, permit);
                }
            }
            Event::ListenerReady => self.acceptor.listener_readable(),
            Event::Woken => {
                let woken = self.wakeups.take();
                self.common.ring.poll_waker(self.wakeups.as_fd());
                for token in woken {
                    let key = token.key as usize;
                    if self.slots.get(key).is_some_and(|slot| slot.token == token) {
                        self.resume(key);
                    }
                }
            }
        }
        Ok(())
    }

    fn received(&mut self, token: Token, outcome: Result<Option<Piece>, Errno>, armed: bool) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else {
            if let Ok(Some(piece)) = outcome {
                self.common.ring.forget(&piece);
            }
            return;
        };
        match slot.received(&mut self.common, outcome, armed) {
            Some(received) => self.take_turn(key, received),
            None => self.reap(key),
        }
    }

    fn sent(&mut self, token: Token, outcome: Result<usize, Errno>, buffer: Buffer) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else { return };
        let (server, common) = (&*self.server, &mut self.common);
        let mut span = server.trace.span(slot.connection.traced());
        span.set(|| Kind::SendCompleted);
        let sent = isolate_panic(server, || slot.sent(common, outcome, buffer));
        drop(span);
        match sent {
            Some(true) if slot.is_closing => self.reap(key),
            // There was no room.
            Some(true) if slot.is_busy() => slot.park(&mut self.common.io),
            Some(true) => self.take_turn(key, 0),
            Some(false) | None => self.close(key),
        }
    }

    fn read_polled(&mut self, token: Token) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else { return };
        slot.read_polled();
        if slot.is_closing {
            self.reap(key);
        } else {
            self.resume(key);
        }
    }

    fn room_polled(&mut self, token: Token, has_room: bool) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else { return };
        match slot.room_polled(&self.common.room_set, has_room) {
            true if slot.is_closing => self.reap(key),
            true => self.resume(key),
            false => self.close(key),
        }
    }

    fn room_set_ready(&mut self) {
        for index in 0..self.common.room_set.look() {
            let token = self.common.room_set.ready(index);
            let key = token.key as usize;
            if let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) {
                slot.leave_room_set(&self.common.room_set);
                self.resume(key);
            }
        }
        self.common.ring.poll_room_set(self.common.room_set.as_fd());
    }

    /// Gives a turn to a connection that waits for no operation.
    fn resume(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if !slot.is_busy() && !slot.is_closing {
            slot.restore(&mut self.common.io);
            self.take_turn(key, 0);
        }
    }

    /// Gives a turn to a connection whose bytes are in the common buffers.
    fn take_turn(&mut self, key: usize, received: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let (server, common) = (&*self.server, &mut self.common);
        match isolate_panic(server, || slot.take_turn(common, server, received)) {
            Some(Turn::Pending) => {}
            Some(Turn::Yielded) => {
                slot.is_queued = true;
                self.lifecycle.push_yielded(key);
            }
            Some(Turn::Closed) | None => return self.close(key),
        }
        slot.park(&mut self.common.io);
        if let Some(at) = slot.connection.deadline() {
            self.lifecycle.deadlines.want(key, at);
        }
    }

    fn admit(&mut self, socket: OwnedFd, permit: Permit) {
        let connection = Connection::new(&self.server, socket, permit, self.common.now);
        let entry = self.slots.vacant_entry();
        let key = entry.key();
        self.generation = (self.generation + 1) % Token::GENERATIONS;
        let token = Token { key: key as u32, generation: self.generation };
        if let Some(at) = connection.deadline() {
            self.lifecycle.deadlines.want(key, at);
        }
        let begins = connection.begins();
        entry.insert(RingConnection::new(connection, token, &mut self.common.ring));
        if begins {
            self.resume(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            let now = self.common.now.instant;
            match self.acceptor.accept(&self.server, &mut self.common.ring, now)? {
                Some((socket, permit)) => self.admit(socket, permit),
                None => break,
            }
        }
        Ok(())
    }

    /// Ends a connection once none of its operations is in flight.
    fn close(&mut self, key: usize) {
        self.common.io.clear();
        if let Some(slot) = self.slots.get_mut(key) {
            slot.begin_close(&mut self.common);
            self.reap(key);
        }
    }

    /// Removes a connection that is over and has no operation in flight.
    fn reap(&mut self, key: usize) {
        if self.slots.get(key).is_some_and(|slot| slot.is_closing && slot.is_at_rest()) {
            self.slots.remove(key).connection.close(&self.server);
        }
    }

    /// Longest wait for events.
    fn poll_timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let accept = self.acceptor.next(now);
        self.lifecycle.poll_timeout(now, accept)
    }

    fn is_over(&self) -> bool {
        let is_urgent = self.shutdown.is_urgent();
        self.lifecycle.is_over(self.common.now.instant, self.slots.is_empty(), is_urgent)
    }

    /// Stops accepting; idle connections close now, the others after their request.
    fn drain(&mut self) {
        if !self.lifecycle.begin_drain(self.common.now.instant, self.server.drain) {
            return;
        }
        self.common.is_draining = true;
        self.acceptor.end(&mut self.common.ring);
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.resume(key);
        }
    }

    /// Handles the deadlines that have passed.
    fn expire(&mut self) {
        let now = self.common.now;
        loop {
            // One that is queued checks its deadline in its turn.
            let slots = &self.slots;
            let deadline = |key| {
                let slot: &RingConnection = slots.get(key)?;
                if slot.is_closing || slot.is_queued { None } else { slot.connection.deadline() }
            };
            let Some(key) = self.lifecycle.deadlines.pop_expired(now.instant, deadline) else {
                break;
            };
            let Some(slot) = self.slots.get_mut(key) else { continue };
            slot.restore(&mut self.common.io);
            let io = &mut self.common.io;
            match isolate_panic(&self.server, || slot.connection.handle_timeout(io, now)) {
                Some(()) => self.take_turn(key, 0),
                None => self.close(key),
            }
        }
    }
}
