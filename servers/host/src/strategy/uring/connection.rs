//! A connection of the driver, and its turn.

use std::os::fd::AsFd;
use std::sync::Arc;

use fileserver_proto::{Buffer, Completion, IoBuffers, Now};
use rustix::io::Errno;

use super::ring::{Piece, Ring, Token};
use super::room::RoomSet;
use super::wakeups::Wakeups;
use crate::connection::sending::{COPY_STEP_BYTES, Loaded};
use crate::connection::{Connection, Leftover, OUTPUT_BYTES, OffSocket, SocketAction, Step};
use crate::server::state::ServerState;
use crate::strategy::parts::turn::{Share, Turn};
use crate::strategy::parts::waker::connection_waker;

/// Bytes of an upload after which the socket is read by system calls.
const LARGE_UPLOAD_BYTES: u64 = 8 << 10;
/// Bytes received while the session does not read, after which receiving stops for now.
const UNREAD_BYTES: usize = 16 << 10;
/// Reply buffers kept for the next replies: those of a few submissions.
const SPARE_BUFFERS: usize = 256;
/// Size beyond which a buffer is not kept.
const SPARE_BYTES: usize = 2 * COPY_STEP_BYTES as usize;

/// Connection with its operations in flight.
pub(super) struct RingConnection {
    pub(super) connection: Connection,
    pub(super) token: Token,
    /// Bytes that wait; most connections have none.
    aside: Option<Box<Aside>>,
    receiving: Receiving,
    /// True if the socket may have bytes that the ring does not receive.
    is_readable: bool,
    /// End of the peer's stream, if it has ended.
    ended: Option<End>,
    /// Send in flight; the ring owns the output meanwhile.
    sending: Option<Sending>,
    /// Source of the report of room in the socket, while the connection waits for it.
    room: Option<RoomWait>,
    /// True if the connection waits for another turn.
    pub(super) is_queued: bool,
    /// True if it continues at its deadline.
    is_held: bool,
    /// True if the connection is over and waits only for operations in flight.
    pub(super) is_closing: bool,
    /// Bytes of uploads written before the present or last request.
    uploaded: u64,
}

/// Bytes of a connection that wait.
#[derive(Default)]
struct Aside {
    /// Bytes that the session has left in the buffers.
    leftover: Leftover,
    /// Bytes received while the session did not read.
    unread: Vec<u8>,
}

/// Receive operation of a connection's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    Nothing,
    /// Small pieces, one after the other.
    All,
    /// Small pieces, and the operation is being cancelled.
    Ending,
    /// None, but the ring waits until the socket is readable.
    Poll,
}

/// Action that a send performs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Output,
    /// Output that includes a part of a file, completed already.
    File,
    /// Output, and then a part of a file from memory.
    Content,
}

/// Source of the report that a socket has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoomWait {
    /// A poll by the ring.
    Poll,
    /// The room set.
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Broken,
}

/// Ring and buffers that the connections of a driver use in turn.
pub(super) struct Common {
    pub(super) ring: Ring,
    pub(super) room_set: RoomSet,
    /// Buffers of the connection whose turn it is.
    pub(super) io: IoBuffers,
    /// Reply buffers for use while others are in flight.
    spare: Vec<Buffer>,
    pub(super) now: Now,
    pub(super) is_draining: bool,
    /// Wake-ups of connections that may have messages.
    pub(super) wakeups: Arc<Wakeups>,
}

impl Common {
    pub(super) fn new(
        ring: Ring,
        room_set: RoomSet,
        io: IoBuffers,
        now: Now,
        wakeups: Arc<Wakeups>,
    ) -> Self {
        Self { ring, room_set, io, spare: Vec::new(), now, is_draining: false, wakeups }
    }

    /// Takes the output for the ring; another buffer replaces it.
    fn take_output(&mut self) -> Buffer {
        let next = self.spare.pop().unwrap_or_else(|| Buffer::with_capacity(OUTPUT_BYTES));
        std::mem::replace(&mut self.io.output, next)
    }

    /// Makes a buffer that came back the output again.
    fn put_output(&mut self, buffer: Buffer) {
        let unused = std::mem::replace(&mut self.io.output, buffer);
        self.keep(unused);
    }

    fn keep(&mut self, mut unused: Buffer) {
        unused.clear();
        if self.spare.len() < SPARE_BUFFERS && unused.capacity() <= SPARE_BYTES {
            self.spare.push(unused);
        }
    }
}

impl RingConnection {
    /// Begins to receive.
    pub(super) fn new(connection: Connection, token: Token, ring: &mut Ring) -> Self {
        ring.receive_all(token, connection.socket().as_fd());
        Self {
            connection,
            token,
            aside: None,
            receiving: Receiving::All,
            is_readable: false,
            ended: None,
            sending: None,
            room: None,
            is_queued: false,
            is_held: false,
            is_closing: false,
            uploaded: 0,
        }
    }

    /// True if the session waits for an event or for its next turn.
    pub(super) fn is_busy(&self) -> bool {
        self.sending.is_some() || self.room.is_some() || self.is_queued || self.is_held
    }

    /// True if no operation is in flight.
    pub(super) fn is_at_rest(&self) -> bool {
        self.receiving == Receiving::Nothing && self.sending.is_none() && self.room.is_none()
    }

    /// Puts the session's bytes back into the common buffers.
    pub(super) fn restore(&mut self, io: &mut IoBuffers) {
        if let Some(aside) = &mut self.aside {
            aside.leftover.restore(io);
            if aside.unread.is_empty() {
                self.aside = None;
            }
        }
    }

    /// Takes the session's bytes out of the common buffers.
    pub(super) fn park(&mut self, io: &mut IoBuffers) {
        if !io.is_empty() {
            self.aside.get_or_insert_default().leftover = Leftover::take(io);
        }
    }

    /// Handles a receive. Returns the number of new bytes in the common input, if the session
    /// continues now.
    pub(super) fn received(
        &mut self,
        common: &mut Common,
        outcome: Result<Option<Piece>, Errno>,
        mut is_armed: bool,
    ) -> Option<usize> {
        let mut received = None;
        match outcome {
            Ok(Some(piece)) if self.is_closing || piece.len == 0 => {
                common.ring.forget(&piece);
                self.ended = Some(End::Finished);
            }
            Ok(Some(piece)) if self.is_busy() => {
                let unread = &mut self.aside.get_or_insert_default().unread;
                common.ring.copy_aside(&piece, unread);
                if unread.len() > UNREAD_BYTES && self.receiving == Receiving::All {
                    common.ring.cancel_receive(self.token);
                    self.receiving = Receiving::Ending;
                }
            }
            Ok(Some(piece)) => {
                self.restore(&mut common.io);
                let mut bytes = piece.len;
                common.ring.copy(&piece, &mut common.io.input);
                while is_armed && let Some((piece, more)) = common.ring.next_piece(self.token) {
                    bytes += piece.len;
                    common.ring.copy(&piece, &mut common.io.input);
                    is_armed = more;
                }
                received = Some(bytes);
            }
            Ok(None) => self.ended = Some(End::Finished),
            // No buffer was free, or the operation was cancelled on purpose.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.ended = Some(End::Broken),
        }
        if !is_armed {
            self.receiving = Receiving::Nothing;
            self.is_readable = self.is_large_upload();
        }
        match received {
            None if !self.is_busy() && !self.is_closing => {
                self.restore(&mut common.io);
                Some(0)
            }
            received => received,
        }
    }

    /// Handles the end of the ring's wait for bytes.
    pub(super) fn read_polled(&mut self) {
        self.receiving = Receiving::Nothing;
        self.is_readable = true;
    }

    /// Handles a completed send; false if the connection is broken.
    pub(super) fn sent(
        &mut self,
        common: &mut Common,
        outcome: Result<usize, Errno>,
        buffer: Buffer,
    ) -> bool {
        let sending = self.sending.take();
        if self.is_closing {
            common.keep(buffer);
            return true;
        }
        self.restore(&mut common.io);
        common.put_output(buffer);
        match outcome {
            Ok(bytes) => {
                let (io, now) = (&mut common.io, common.now);
                let composed = bytes.min(io.output.len());
                io.output.consume(composed);
                match sending {
                    Some(Sending::Output) => self.connection.complete(io, Completion::Sent, now),
                    Some(Sending::File | Sending::Content) => {
                        self.connection.content_sent(io, (bytes - composed) as u64, now);
                    }
                    None => {}
                }
                true
            }
            // The send is repeated once there is room.
            Err(Errno::AGAIN) => {
                self.wait_for_room(&mut common.ring);
                true
            }
            // The send is repeated.
            Err(Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Has the ring report room in the socket, unless the connection waits for it already.
    fn wait_for_room(&mut self, ring: &mut Ring) {
        if self.room.is_none() {
            ring.poll_writable(self.token, self.connection.socket().as_fd());
            self.room = Some(RoomWait::Poll);
        }
    }

    /// Handles the end of the ring's wait for room; false if the connection cannot be watched.
    pub(super) fn room_polled(&mut self, room_set: &RoomSet, has_room: bool) -> bool {
        if has_room || self.is_closing {
            self.room = None;
            return true;
        }
        match room_set.add(self.token, self.connection.socket().as_fd()) {
            Ok(()) => self.room = Some(RoomWait::Set),
            Err(errno) => {
                self.room = None;
                tracing::warn!("a connection is closed, its socket cannot be watched: {errno}");
            }
        }
        self.room.is_some()
    }

    /// Ends the wait in the room set.
    pub(super) fn leave_room_set(&mut self, room_set: &RoomSet) {
        if self.room == Some(RoomWait::Set) {
            room_set.remove(self.connection.socket().as_fd());
            self.room = None;
        }
    }

    /// Gives the connection a turn: it does what it can without waiting, up to its fair share. Its
    /// bytes are in the common buffers, `received` of them new.
    pub(super) fn take_turn(
        &mut self,
        common: &mut Common,
        server: &ServerState,
        mut received: usize,
    ) -> Turn {
        self.is_held = false;
        let mut share = Share::default();
        while share.take_step() {
            let mut span = server.trace.span(self.connection.traced());
            let Common { ring, io, now, is_draining, wakeups, .. } = common;
            // Received bytes go first: a message withdraws the action that they complete.
            if received == 0 {
                self.connection.deliver_mail(io, *now);
            }
            let waker = || connection_waker(wakeups, self.token);
            let step =
                self.connection.step_off_socket(server, io, *now, *is_draining, waker, &mut span);
            let action = match step {
                OffSocket::Needed(action) => action,
                OffSocket::Done { bytes } => {
                    share.spend(bytes);
                    continue;
                }
                OffSocket::Held => {
                    self.is_held = true;
                    return Turn::Pending;
                }
            };
            match action {
                SocketAction::Receive => {
                    let bytes = if received > 0 {
                        std::mem::take(&mut received)
                    } else if let Some(aside) = self.aside.take_if(|aside| !aside.unread.is_empty())
                    {
                        // The parked bytes were restored when the turn began.
                        io.input.push(&aside.unread);
                        aside.unread.len()
                    } else {
                        match self.ended {
                            Some(End::Finished) => 0,
                            Some(End::Broken) => return Turn::Closed,
                            None if self.is_readable && self.receiving == Receiving::Nothing => {
                                match self.read(io, *now) {
                                    Step::Done { bytes } => share.spend(bytes),
                                    Step::Blocked(_) => {}
                                    Step::Closed => return Turn::Closed,
                                }
                                continue;
                            }
                            None => {
                                span.discard();
                                self.arm_receive(ring);
                                return Turn::Pending;
                            }
                        }
                    };
                    self.connection.complete(io, Completion::Received { bytes }, *now);
                }
                SocketAction::Send { more } => {
                    return self.send(common, Sending::Output, more);
                }
                // The rest of the last send goes first.
                SocketAction::SendFile { .. } if io.output.len() > OUTPUT_BYTES => {
                    return self.send(common, Sending::File, false);
                }
                SocketAction::SendFile { offset, len } => {
                    let part = (offset, len);
                    match self.connection.load_file(server, io, part, *now) {
                        // The last part is sent together with whatever the session adds.
                        Some(Loaded::Behind(bytes)) if bytes == len || bytes == 0 => continue,
                        Some(Loaded::Behind(_)) => {
                            return self.send(common, Sending::File, false);
                        }
                        Some(Loaded::Beside(content)) => {
                            let output = common.take_output();
                            let socket = self.connection.socket().as_fd();
                            common.ring.send_with(self.token, socket, output, content);
                            self.sending = Some(Sending::Content);
                            return Turn::Pending;
                        }
                        None => {}
                    }
                    match self.connection.send_file(server, io, part, *now) {
                        Step::Done { bytes } => share.spend(bytes),
                        Step::Blocked(_) => {
                            self.wait_for_room(ring);
                            return Turn::Pending;
                        }
                        Step::Closed => return Turn::Closed,
                    }
                }
                SocketAction::FinishSending => self.connection.finish_sending(io, *now),
                SocketAction::Close => {
                    // Recorded by `close`.
                    span.discard();
                    return Turn::Closed;
                }
            }
        }
        Turn::Yielded
    }

    /// Sends the output.
    fn send(&mut self, common: &mut Common, what: Sending, more: bool) -> Turn {
        if self.sending.is_some() {
            // The session never acts while its send is in flight.
            return Turn::Closed;
        }
        // The poll finds a request that is there already.
        self.is_readable = false;
        let output = common.take_output();
        common.ring.send(self.token, self.connection.socket().as_fd(), output, more);
        self.sending = Some(what);
        Turn::Pending
    }

    /// True if the present or last request is a large upload: the socket is then read by system calls.
    fn is_large_upload(&self) -> bool {
        self.connection.upload_bytes() - self.uploaded > LARGE_UPLOAD_BYTES
    }

    /// Receives by system calls, which take more at once and have a buffer that is in the
    /// processor's cache already.
    fn read(&mut self, io: &mut IoBuffers, now: Now) -> Step {
        let (step, is_readable) = self.connection.receive(io, now);
        self.is_readable = is_readable;
        step
    }

    /// Submits a receive or a poll, unless one is in flight.
    fn arm_receive(&mut self, ring: &mut Ring) {
        let socket = self.connection.socket().as_fd();
        let is_large = self.is_large_upload();
        match self.receiving {
            Receiving::All if is_large => {
                ring.cancel_receive(self.token);
                self.receiving = Receiving::Ending;
                return;
            }
            Receiving::Nothing if is_large => {
                ring.poll_readable(self.token, socket);
                self.receiving = Receiving::Poll;
            }
            Receiving::Nothing => {
                ring.receive_all(self.token, socket);
                self.receiving = Receiving::All;
            }
            Receiving::All => {}
            Receiving::Ending | Receiving::Poll => return,
        }
        if !self.connection.is_uploading() {
            self.uploaded = self.connection.upload_bytes();
        }
    }

    /// Cancels the operations in flight. The session does not continue.
    pub(super) fn begin_close(&mut self, common: &mut Common) {
        self.is_closing = true;
        self.leave_room_set(&common.room_set);
        if !self.is_at_rest() {
            common.ring.cancel_all(self.connection.socket().as_fd());
        }
    }
}
