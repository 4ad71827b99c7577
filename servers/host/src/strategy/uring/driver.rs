//! The loop: submit, wait, take in what was completed.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fileserver_proto::Buffer;
use rustix::io::Errno;
use slab::Slab;

use super::acceptor::Acceptor;
use super::calls::Calls;
use super::probe;
use super::ring::{Event, Piece, Ring, Token};
use super::slot::{Common, Slot, Turn};
use crate::connection::{Connection, io_buffers, isolate_panic};
use crate::server::limit::{Permit, Waiter};
use crate::server::listener::Listener;
use crate::server::shutdown::Shutdown;
use crate::server::state::{ServerState, now};
use crate::strategy::parts::deadlines::Deadlines;

/// Connections admitted before those that are open get their turn.
const ADMISSIONS_PER_TURN: usize = 64;

/// One thread's connections, and the ring it waits with.
pub(super) struct Driver {
    server: Arc<ServerState>,
    shutdown: Shutdown,
    acceptor: Acceptor,
    calls: Arc<Calls>,
    /// Before the slots, so that nothing is in flight any more when sockets are closed.
    common: Common,
    slots: Slab<Slot>,
    generation: u32,
    deadlines: Deadlines,
    /// Connections whose turn ended before their work did.
    ready: VecDeque<usize>,
    /// When a drain ends; set once it has begun.
    drain_ends: Option<Instant>,
}

impl Driver {
    /// A driver that has yet to [`run`](Self::run), on the same thread.
    ///
    /// # Errors
    /// The kernel refuses a ring.
    pub(super) fn new(
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<Self> {
        let io = io_buffers(server);
        let ring = Ring::new(io.input.capacity())
            .map_err(|errno| io::Error::other(probe::explain(errno)))?;
        let calls = Arc::new(Calls::new()?);
        let woken = Arc::clone(&calls);
        shutdown.on_trigger(move |_| woken.wake());
        let woken = Arc::clone(&calls);
        let room = Waiter::new(move || woken.wake());
        Ok(Self {
            server: Arc::clone(server),
            shutdown: shutdown.clone(),
            acceptor: Acceptor::new(listener, room)?,
            common: Common::new(ring, io, now(), Arc::clone(&calls)),
            calls,
            slots: Slab::new(),
            generation: 0,
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            drain_ends: None,
        })
    }

    /// Serves until the shutdown is triggered and its connections are closed or broken.
    ///
    /// # Errors
    /// The ring or the listener failed for good.
    pub(super) fn run(mut self) -> io::Result<()> {
        self.common.ring.poll_waker(self.calls.bell());
        self.accept()?;
        while !self.is_over() {
            self.common.ring.wait(self.poll_timeout())?;
            self.common.now = now();
            if self.shutdown.is_triggered() {
                self.drain();
            }
            while let Some(event) = self.common.ring.next() {
                self.take_in(event)?;
            }
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front()
                    && let Some(slot) = self.slots.get_mut(key)
                {
                    slot.is_queued = false;
                    self.go_on(key);
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

    fn take_in(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Received { token, outcome, armed } => self.received(token, outcome, armed),
            Event::Sent { token, outcome, buffer } => self.sent(token, outcome, buffer),
            Event::Writable { token } => self.writable(token),
            Event::Accepted { outcome, armed } => {
                let now = self.common.now.instant;
                let admitted = self.acceptor.accepted(&self.server, outcome, armed, now)?;
                if let Some((socket, permit)) = admitted {
                    self.admit(socket, permit);
                }
            }
            Event::ListenerReady => self.acceptor.is_readable(),
            Event::Woken => {
                let called = self.calls.take();
                self.common.ring.poll_waker(self.calls.bell());
                self.acceptor.has_room();
                for token in called {
                    let key = token.key as usize;
                    if self.slots.get(key).is_some_and(|slot| slot.token == token) {
                        self.go_on(key);
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
            Some(heard) => self.take_turn(key, heard),
            None => self.reap(key),
        }
    }

    fn sent(&mut self, token: Token, outcome: Result<usize, Errno>, buffer: Buffer) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else { return };
        let (server, common) = (&*self.server, &mut self.common);
        match isolate_panic(server, || slot.sent(common, outcome, buffer)) {
            Some(true) if slot.is_closing => self.reap(key),
            Some(true) => self.take_turn(key, 0),
            Some(false) | None => self.close(key),
        }
    }

    fn writable(&mut self, token: Token) {
        let key = token.key as usize;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.token == token) else { return };
        slot.writable(&mut self.common);
        match slot.is_closing {
            true => self.reap(key),
            false => self.take_turn(key, 0),
        }
    }

    /// Gives a connection that waits for nothing in flight a turn.
    fn go_on(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if !slot.is_busy() && !slot.is_closing {
            slot.restore(&mut self.common.io);
            self.take_turn(key, 0);
        }
    }

    /// Gives a connection a turn, with its bytes in the common buffers.
    fn take_turn(&mut self, key: usize, heard: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let (server, common) = (&*self.server, &mut self.common);
        match isolate_panic(server, || slot.take_turn(common, server, heard)) {
            Some(Turn::Waits) => {}
            Some(Turn::Goes) => {
                slot.is_queued = true;
                self.ready.push_back(key);
            }
            Some(Turn::Closed) | None => return self.close(key),
        }
        slot.park(&mut self.common.io);
        if let Some(at) = slot.connection.deadline() {
            self.deadlines.want(key, at);
        }
    }

    fn admit(&mut self, socket: OwnedFd, permit: Permit) {
        let connection = Connection::new(&self.server, socket, permit, self.common.now);
        let entry = self.slots.vacant_entry();
        let key = entry.key();
        self.generation = (self.generation + 1) % Token::GENERATIONS;
        let token = Token { key: key as u32, generation: self.generation };
        if let Some(at) = connection.deadline() {
            self.deadlines.want(key, at);
        }
        let begins = connection.begins();
        entry.insert(Slot::new(connection, token, &mut self.common.ring));
        if begins {
            self.go_on(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ADMISSIONS_PER_TURN {
            let now = self.common.now.instant;
            match self.acceptor.next(&self.server, &mut self.common.ring, now)? {
                Some((socket, permit)) => self.admit(socket, permit),
                None => break,
            }
        }
        Ok(())
    }

    /// Ends a connection, once nothing of it is in flight any more.
    fn close(&mut self, key: usize) {
        self.common.io.clear();
        if let Some(slot) = self.slots.get_mut(key) {
            slot.begin_close(&mut self.common.ring);
            self.reap(key);
        }
    }

    /// Forgets a connection that is over and has nothing in flight.
    fn reap(&mut self, key: usize) {
        if self.slots.get(key).is_some_and(|slot| slot.is_closing && slot.is_at_rest()) {
            self.slots.remove(key).connection.close(&self.server);
            self.acceptor.has_room();
        }
    }

    /// How long to wait for events.
    fn poll_timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.acceptor.is_ready() {
            return Some(Duration::ZERO);
        }
        let times = [self.deadlines.next(), self.acceptor.resumes(), self.drain_ends];
        let next = times.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn is_over(&self) -> bool {
        let Some(drain_ends) = self.drain_ends else { return false };
        self.slots.is_empty() || self.shutdown.is_urgent() || self.common.now.instant >= drain_ends
    }

    /// Stops accepting; idle connections close now, the others after their request.
    fn drain(&mut self) {
        if self.drain_ends.is_some() {
            return;
        }
        self.drain_ends = Some(self.common.now.instant + self.server.drain);
        self.common.is_draining = true;
        self.acceptor.end(&mut self.common.ring);
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.go_on(key);
        }
    }

    /// Tells connections of the time whose deadline has come.
    fn expire(&mut self) {
        let now = self.common.now;
        while let Some(key) = self.deadlines.pop_due(now.instant) {
            let Some(slot) = self.slots.get_mut(key) else { continue };
            // One that is queued gets another in its turn.
            if slot.is_closing || slot.is_queued {
                continue;
            }
            let Some(at) = slot.connection.deadline() else { continue };
            if at > now.instant {
                self.deadlines.want(key, at);
                continue;
            }
            slot.restore(&mut self.common.io);
            let io = &mut self.common.io;
            match isolate_panic(&self.server, || slot.connection.handle_timeout(io, now)) {
                Some(()) => self.take_turn(key, 0),
                None => self.close(key),
            }
        }
    }
}
