//! A connection: its session, socket and files, and the performing of actions.

mod local;
mod parked;
mod receiving;
pub(crate) mod sending;
mod work;

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use fileserver_proto::{Action, Completion, IoBuffers, LabAction, Now, Session};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, Shutdown};

use crate::lab::room::Delivery;
use crate::server::access_log::{Peer, Watched};
use crate::server::limit::Permit;
use crate::server::send_path::COPY_BYTES;
use crate::server::state::{ServerState, now};
use crate::server::tally::OpenTally;
use crate::store::Download;
use crate::trace::Span;
use crate::trace::event::{Kind, TracedConnection};
use receiving::{Transfer, WORTH_BYTES, transfer};
use sending::{Loaded, STEP_BYTES, SendFileError, load_file, send, send_file, send_now};

use local::{Local, Performed};

pub(crate) use local::SocketAction;
pub(crate) use parked::Leftover;

/// Size of the input buffer: larger pieces mean fewer system calls for an upload.
const INPUT_BYTES: usize = 128 << 10;
/// Size for an upload that has a thread to itself. In the one thread of `selector` it would exceed
/// the processor's cache.
pub(crate) const LONE_UPLOAD_BYTES: usize = 256 << 10;
/// Size of the output buffer: a head and a small file.
pub(crate) const OUTPUT_BYTES: usize = COPY_BYTES as usize + 2048;
/// Size up to which messages of other members are collected before they are sent.
const MAIL_BYTES: usize = COPY_BYTES as usize;

/// Initial sizes of the buffers of a thread that serves one connection.
const LONE_INPUT_BYTES: usize = 4 << 10;
const LONE_OUTPUT_BYTES: usize = 1 << 10;

/// Buffers shared by connections, large enough for the server's limits.
pub(crate) fn io_buffers(server: &ServerState) -> IoBuffers {
    let input = INPUT_BYTES.max(2 * server.settings.limits.input_bytes());
    IoBuffers::with_capacity(input, OUTPUT_BYTES)
}

/// Buffers of a thread that serves one connection: small, since it keeps them while it is idle;
/// they grow on demand.
pub(crate) fn lone_io_buffers() -> IoBuffers {
    IoBuffers::with_capacity(LONE_INPUT_BYTES, LONE_OUTPUT_BYTES)
}

/// Connection: session, socket, and open files.
#[derive(Debug)]
pub(crate) struct Connection {
    session: Session,
    socket: Arc<OwnedFd>,
    local: Local,
    /// Time for which the last step waited: other members of the chat room need time to read.
    held_until: Option<Instant>,
    tally: OpenTally,
    /// Set if requests or connections are logged.
    watched: Option<Box<Watched>>,
    traced: TracedConnection,
    /// `None` only while it closes.
    permit: Option<Permit>,
}

/// Result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The action was performed, wholly or in part, and moved that many body bytes.
    Done {
        /// Body bytes moved: the measure of a fair share.
        bytes: u64,
    },
    /// The action would have to wait for the peer.
    Blocked(Wait),
    /// The conversation is over, or the connection is broken.
    Closed,
}

/// Result of a step of a driver that submits socket operations to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffSocket {
    /// The action was performed and moved that many body bytes.
    Done {
        /// Body bytes moved: the measure of a fair share.
        bytes: u64,
    },
    /// The action needs the socket.
    Needed(SocketAction),
    /// The action is performed at the connection's deadline.
    Held,
}

/// Event that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Bytes from the peer.
    Inbound,
    /// Room in the socket's send buffer.
    Outbound,
}

/// Wait policy of a strategy: whether an action may wait, and the time.
pub(crate) trait WaitPolicy {
    /// Most bytes of a file that one step sends.
    const STEP_BYTES: u64 = STEP_BYTES;
    /// Most bytes of an upload that one step receives.
    const UPLOAD_BYTES: usize = INPUT_BYTES;

    /// Present time, read when an action is done.
    fn now(&mut self) -> Now;

    /// Called before an action that may wait for the peer. `idle` if the session is between
    /// requests; `deadline` is the session's.
    fn before_wait(
        &mut self,
        socket: BorrowedFd<'_>,
        wait: Wait,
        idle: bool,
        deadline: Option<Instant>,
    ) -> Attempt;

    /// True if a step may move an upload's bytes straight from the socket to the file, and so write
    /// where others only receive.
    fn transfers(&self) -> bool {
        false
    }

    /// Waits, if the thread may wait, and returns whether it has.
    fn pause(&mut self, _until: Instant) -> bool {
        false
    }

    /// Called with the number of received bytes and the size of the buffer.
    fn received(&mut self, _bytes: usize, _room: usize) {}

    /// Waker that has the connection stepped again, from any thread; a spurious wake-up is
    /// harmless. Called once, for connections that join the chat room.
    fn waker(&mut self) -> Waker;

    /// True if the server drains.
    fn is_draining(&self) -> bool;
}

/// Decision about an action that may wait for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Perform it; a blocking socket waits.
    Perform,
    /// Perform it only if it need not wait.
    PerformNow,
    /// Do not try: it would wait.
    Skip,
}

impl Drop for Connection {
    /// A download that breaks off ends with a reset: on the text wire, whose replies have no
    /// length, an orderly end would look complete.
    fn drop(&mut self) {
        if self.local.download.is_some() {
            // Fails only if the socket is closed already.
            let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
        }
    }
}

impl Connection {
    pub(crate) fn new(server: &ServerState, socket: OwnedFd, permit: Permit, now: Now) -> Self {
        server.counters.accepted();
        let mut session = Session::new(Arc::clone(&server.settings), now);
        let watched = watch(server, &mut session, &socket, now);
        Self {
            session,
            socket: Arc::new(socket),
            local: Local::default(),
            held_until: None,
            tally: server.tallies.open(),
            watched,
            traced: permit.traced,
            permit: Some(permit),
        }
    }

    /// Connection in the trace.
    pub(crate) fn traced(&self) -> TracedConnection {
        self.traced
    }

    /// True if the server acts before the peer sends anything.
    pub(crate) fn begins(&self) -> bool {
        !self.is_idle()
    }

    /// Socket, shared so that another thread can shut it down.
    pub(crate) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Time at which the connection needs a turn, whatever its peer does.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deadline = self.session.poll_timeout();
        self.held_until.map(|until| deadline.map_or(until, |at| at.min(until))).or(deadline)
    }

    pub(crate) fn handle_timeout(&mut self, io: &mut IoBuffers, now: Now) {
        self.session.handle_timeout(io, now);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    /// Counts the connection as ended. A connection dropped without this ended by a panic.
    pub(crate) fn close(mut self, server: &ServerState) {
        let mut span = server.trace.span(self.traced);
        span.set(|| Kind::Close);
        if let Some(watched) = &self.watched {
            if let Some(record) = self.session.take_broken_record(now()) {
                watched.request(&record, true);
            }
            tracing::debug!(
                "{}: closed after {} requests, {} bytes sent, {} received, {:.3} s",
                Peer(watched.peer),
                self.session.requests(),
                self.local.sent.total(),
                self.local.received,
                watched.accepted.elapsed().as_secs_f64(),
            );
        }
        server.counters.ended(self.session.requests(), self.local.sent, self.local.received);
        let permit = self.permit.take();
        drop(self);
        drop(span);
        // Last, since a drain ends with the last permit, and the server with it.
        drop(permit);
    }

    /// True if the next action may block on storage: a thread that serves many connections had
    /// better leave it to a worker.
    pub(crate) fn next_may_block(&mut self, server: &ServerState, io: &mut IoBuffers) -> bool {
        match self.session.poll_action(io) {
            Action::OpenDownload { name } => !server.store.is_open(name),
            Action::SendFile { offset, len } => self
                .local
                .download
                .as_ref()
                .is_some_and(|download| !is_in_memory(download, offset, len.min(STEP_BYTES))),
            Action::CreateUpload { .. }
            | Action::WriteUpload { .. }
            | Action::CreatePartial { .. }
            | Action::OpenPartial { .. }
            | Action::CommitUpload { .. }
            | Action::AbortUpload
            | Action::ListFiles
            | Action::Work { .. } => true,
            Action::Lab(action) => match action {
                LabAction::LogMessage { .. } => true,
                LabAction::ShowNotice { .. }
                | LabAction::JoinRoom
                | LabAction::PostMessage { .. } => false,
            },
            Action::Receive
            | Action::Send { .. }
            | Action::CloseDownload
            | Action::ReportStatus
            | Action::FinishSending
            | Action::Close => false,
        }
    }

    /// True if the socket has room. If it has none, an action that may block is not performed yet;
    /// an event follows when there is room.
    pub(crate) fn has_room(&self) -> bool {
        if self.local.download.is_none() {
            return true;
        }
        let mut sockets = [PollFd::new(&self.socket, PollFlags::OUT)];
        // If the poll fails, the attempt decides.
        !matches!(rustix::event::poll(&mut sockets, Some(&Timespec::default())), Ok(0))
    }

    /// True if the connection has joined the chat room.
    pub(crate) fn has_joined(&self) -> bool {
        self.local.membership.is_some()
    }

    /// Delivers messages of other members to the session, as much as is sent at once. Not to be
    /// called while a send of `io.output` is in flight. May withdraw the session's action.
    pub(crate) fn deliver_mail(&mut self, io: &mut IoBuffers, now: Now) {
        let Some(membership) = &self.local.membership else { return };
        while self.session.takes_mail() {
            match membership.take(io.output.len() < MAIL_BYTES) {
                Delivery::Nothing => break,
                Delivery::Message(message) => self.session.handle_mail(io, &message, now),
                Delivery::Overflow => {
                    self.session.handle_eviction(io, now);
                    self.local.membership = None;
                    break;
                }
            }
        }
    }

    /// Performs the session's next action, or the part of it that can be done now.
    pub(crate) fn step<P: WaitPolicy>(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        policy: &mut P,
    ) -> Step {
        let mut span = server.trace.span(self.traced);
        if policy.is_draining() {
            self.session.begin_drain();
        }
        if self.has_joined() {
            self.deliver_mail(io, policy.now());
        }
        let deadline = self.session.poll_timeout();
        let mut moved = 0;
        let action = self.session.poll_action(io);
        span.set(|| Kind::of(&action));
        self.held_until = self.local.held_until(&action, policy.now().instant);
        if let Some(until) = self.held_until {
            if !policy.pause(until) {
                span.discard();
                return Step::Blocked(Wait::Outbound);
            }
            self.held_until = None;
        }
        let performed =
            self.local.perform(&action, server, io, self.socket.as_fd(), || policy.waker());
        let done = match performed {
            Performed::Done(done, bytes) => {
                moved = bytes;
                done
            }
            Performed::Socket(SocketAction::Receive) => {
                let idle = self.session.is_idle();
                let socket = self.socket.as_fd();
                let flags = match policy.before_wait(socket, Wait::Inbound, idle, deadline) {
                    Attempt::Perform => RecvFlags::empty(),
                    Attempt::PerformNow => RecvFlags::DONTWAIT,
                    Attempt::Skip => {
                        span.discard();
                        return Step::Blocked(Wait::Inbound);
                    }
                };
                let way = Receiving {
                    flags,
                    transfers: policy.transfers() && flags.is_empty(),
                    upload_bytes: P::UPLOAD_BYTES,
                };
                match receive(&self.session, &mut self.local, socket, io, &way) {
                    Ok(received) => {
                        if let Some((bytes, room)) = received.into_input {
                            policy.received(bytes, room);
                        }
                        moved = received.moved;
                        received.done
                    }
                    Err(errno) => return not_received(errno),
                }
            }
            Performed::Socket(SocketAction::Send { more }) => {
                let socket = self.socket.as_fd();
                let sent = match policy.before_wait(socket, Wait::Outbound, false, deadline) {
                    Attempt::Perform => send(socket, &mut io.output, more),
                    Attempt::PerformNow => send_now(socket, &mut io.output),
                    Attempt::Skip => {
                        span.discard();
                        return Step::Blocked(Wait::Outbound);
                    }
                };
                match sent {
                    Ok(()) => Completion::Sent,
                    Err(errno) => return not_sent(errno),
                }
            }
            Performed::Socket(SocketAction::SendFile { offset, len }) => {
                let socket = self.socket.as_fd();
                policy.before_wait(socket, Wait::Outbound, false, deadline);
                let part = (offset, len.min(P::STEP_BYTES));
                let Local { download: Some(download), sent, .. } = &mut self.local else {
                    return Step::Closed;
                };
                match send_file(socket, &mut io.output, download, part, server.send_path, sent) {
                    Ok(bytes) => {
                        moved = bytes;
                        Completion::FileSent(Ok(bytes))
                    }
                    Err(SendFileError::Socket(errno)) => return not_sent(errno),
                    Err(SendFileError::Store(error)) => Completion::FileSent(Err(error)),
                }
            }
            Performed::Socket(SocketAction::FinishSending) => {
                // Fails only if the peer is gone, which the next read reports.
                let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
                Completion::SendingFinished
            }
            Performed::Socket(SocketAction::Close) => {
                // Recorded by `close`.
                span.discard();
                return Step::Closed;
            }
        };
        self.complete(io, done, policy.now());
        Step::Done { bytes: moved }
    }

    /// Reports the result of its action to the session.
    pub(crate) fn complete(&mut self, io: &mut IoBuffers, done: Completion, now: Now) {
        self.session.handle_completion(io, done, now);
        self.tally.store(&self.session, self.local.sent.total(), self.local.received);
        if let Some(watched) = &self.watched {
            while let Some(record) = self.session.take_record() {
                watched.request(&record, false);
            }
        }
        // With a peer that always sends another byte, the driver never waits until the deadline.
        if self.session.poll_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.session.handle_timeout(io, now);
        }
    }

    /// Performs the session's next action if it needs no socket, and returns it otherwise: for a
    /// driver that submits it to the kernel and [`complete`](Self::complete)s it later. Such a
    /// driver also calls [`deliver_mail`](Self::deliver_mail), while no operation is in flight and
    /// no received bytes are unreported; `waker` is that of [`WaitPolicy::waker`]. Sets the kind of
    /// the `span`.
    pub(crate) fn step_off_socket(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        now: Now,
        is_draining: bool,
        waker: impl Fn() -> Waker,
        span: &mut Span<'_>,
    ) -> OffSocket {
        if is_draining {
            self.session.begin_drain();
        }
        let action = self.session.poll_action(io);
        span.set(|| Kind::of(&action));
        self.held_until = self.local.held_until(&action, now.instant);
        if self.held_until.is_some() {
            span.discard();
            return OffSocket::Held;
        }
        match self.local.perform(&action, server, io, self.socket.as_fd(), &waker) {
            Performed::Done(done, bytes) => {
                self.complete(io, done, now);
                OffSocket::Done { bytes }
            }
            Performed::Socket(action) => OffSocket::Needed(action),
        }
    }

    /// Performs [`SocketAction::Receive`] on a non-blocking socket. Also returns whether the socket
    /// may have more bytes.
    pub(crate) fn receive(&mut self, io: &mut IoBuffers, now: Now) -> (Step, bool) {
        let way =
            Receiving { flags: RecvFlags::empty(), transfers: true, upload_bytes: INPUT_BYTES };
        let socket = self.socket.as_fd();
        match receive(&self.session, &mut self.local, socket, io, &way) {
            Ok(Received { done, moved, into_input }) => {
                self.complete(io, done, now);
                let is_emptied = into_input.is_some_and(|(bytes, room)| bytes < room);
                (Step::Done { bytes: moved }, !is_emptied)
            }
            Err(errno) => (not_received(errno), errno != Errno::AGAIN),
        }
    }

    /// Performs a part of [`SocketAction::SendFile`] by a call that does not wait.
    pub(crate) fn send_file(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        part: (u64, u64),
        now: Now,
    ) -> Step {
        let Local { download: Some(download), sent, .. } = &mut self.local else {
            return Step::Closed;
        };
        let socket = self.socket.as_fd();
        let part = (part.0, part.1.min(STEP_BYTES));
        let done = match send_file(socket, &mut io.output, download, part, server.send_path, sent) {
            Ok(bytes) => Ok(bytes),
            Err(SendFileError::Socket(errno)) => return not_sent(errno),
            Err(SendFileError::Store(error)) => Err(error),
        };
        let bytes = *done.as_ref().unwrap_or(&0);
        self.complete(io, Completion::FileSent(done), now);
        Step::Done { bytes }
    }

    /// Prepares a part of [`SocketAction::SendFile`] to be sent together with the output; `None` if
    /// the file takes another path. A part copied behind the output is completed already.
    pub(crate) fn load_file(
        &mut self,
        server: &ServerState,
        io: &mut IoBuffers,
        part: (u64, u64),
        now: Now,
    ) -> Option<Loaded> {
        let Local { download: Some(download), sent, .. } = &mut self.local else { return None };
        let done = match load_file(&mut io.output, download, part, server.send_path, sent)? {
            Ok(Loaded::Beside(part)) => return Some(Loaded::Beside(part)),
            Ok(Loaded::Behind(bytes)) => Ok(bytes),
            Err(error) => Err(error),
        };
        let bytes = *done.as_ref().unwrap_or(&0);
        self.complete(io, Completion::FileSent(done), now);
        Some(Loaded::Behind(bytes))
    }

    /// Completes a part of [`SocketAction::SendFile`] after this many bytes were sent from memory.
    pub(crate) fn content_sent(&mut self, io: &mut IoBuffers, bytes: u64, now: Now) {
        self.local.sent.memory += bytes;
        self.complete(io, Completion::FileSent(Ok(bytes)), now);
    }

    /// Performs [`SocketAction::FinishSending`].
    pub(crate) fn finish_sending(&mut self, io: &mut IoBuffers, now: Now) {
        // Fails only if the peer is gone, which the next read reports.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        self.complete(io, Completion::SendingFinished, now);
    }

    /// True if an upload is in progress.
    pub(crate) fn is_uploading(&self) -> bool {
        self.local.upload.is_some()
    }

    /// Bytes of uploads written so far.
    pub(crate) fn upload_bytes(&self) -> u64 {
        self.local.received
    }
}

/// Has a connection's requests recorded, if they are logged.
fn watch(
    server: &ServerState,
    session: &mut Session,
    socket: &OwnedFd,
    now: Now,
) -> Option<Box<Watched>> {
    let traces = tracing::enabled!(tracing::Level::TRACE);
    if server.access_log.is_some() || traces {
        session.keep_records();
    } else if !tracing::enabled!(tracing::Level::DEBUG) {
        return None;
    }
    let peer = local::peer(socket.as_fd());
    tracing::debug!("{}: accepted", Peer(peer));
    let log = server.access_log.clone();
    Some(Box::new(Watched { peer, log, accepted: now.instant }))
}

/// Runs code of one connection so that a panic ends only that connection; `None` after a panic.
///
/// The connection's state is dropped after a panic, so no other code sees it broken: hence the
/// assertion of unwind safety.
pub(crate) fn isolate_panic<T>(server: &ServerState, run: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(run));
    if result.is_err() {
        server.counters.panicked();
        tracing::error!("a connection ended by a panic; the others continue");
    }
    result.ok()
}

/// True if the last byte of the range can be read without waiting for the disk. The system reads
/// ahead in order, so the bytes before it most likely can.
fn is_in_memory(download: &Download, offset: u64, len: u64) -> bool {
    if download.is_kept() {
        return true;
    }
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let last = (offset + len).saturating_sub(1);
    !matches!(
        rustix::io::preadv2(download.file(), &mut bytes, last, ReadWriteFlags::NOWAIT),
        Err(Errno::AGAIN)
    )
}

/// Way to receive.
struct Receiving {
    flags: RecvFlags,
    /// True if bytes of an upload may go straight to its file.
    transfers: bool,
    /// Size to which the input grows for an upload.
    upload_bytes: usize,
}

/// Result of [`receive`].
struct Received {
    done: Completion,
    /// Body bytes moved.
    moved: u64,
    /// Bytes received into the input, if any went there, and the room for them.
    into_input: Option<(usize, usize)>,
}

/// Receives into the input, or moves bytes of an upload straight to its file.
fn receive(
    session: &Session,
    local: &mut Local,
    socket: BorrowedFd<'_>,
    io: &mut IoBuffers,
    way: &Receiving,
) -> Result<Received, Errno> {
    if way.transfers
        && let Some(done) = transfer_body(session, local, socket, io)
    {
        let done = done?;
        let moved = if let Completion::Transferred { bytes, .. } = &done { *bytes } else { 0 };
        return Ok(Received { done, moved, into_input: None });
    }
    let is_upload = local.upload.is_some();
    if is_upload {
        io.input.reserve(way.upload_bytes.saturating_sub(io.input.len()));
    }
    let room = io.input.spare();
    let room_bytes = room.len();
    let (bytes, _) = rustix::net::recv(socket, room, way.flags)?;
    io.input.commit(bytes);
    Ok(Received {
        done: Completion::Received { bytes },
        // An upload's bytes count when they are written: a turn that ended here would have to keep
        // them.
        moved: if is_upload { 0 } else { bytes as u64 },
        into_input: Some((bytes, room_bytes)),
    })
}

/// Moves bytes of an upload straight from the socket to its file, if that pays and is possible now.
/// Returns what completes [`SocketAction::Receive`].
fn transfer_body(
    session: &Session,
    local: &mut Local,
    socket: BorrowedFd<'_>,
    io: &IoBuffers,
) -> Option<Result<Completion, Errno>> {
    let left = session.direct_bytes();
    let upload = local.upload.as_mut()?;
    if left < WORTH_BYTES || !io.input.is_empty() || !upload.takes_pipes() {
        return None;
    }
    match transfer(socket, upload, left) {
        Ok(Transfer::Done(bytes, written)) => {
            if written.is_ok() {
                local.received += bytes;
            }
            Some(Ok(Completion::Transferred { bytes, written }))
        }
        Ok(Transfer::Ended) => Some(Ok(Completion::Received { bytes: 0 })),
        Ok(Transfer::Unavailable) => None,
        Err(errno) => Some(Err(errno)),
    }
}

fn not_received(errno: Errno) -> Step {
    match errno {
        Errno::AGAIN => Step::Blocked(Wait::Inbound),
        Errno::INTR => Step::Done { bytes: 0 },
        _ => Step::Closed,
    }
}

fn not_sent(errno: Errno) -> Step {
    match errno {
        Errno::AGAIN => Step::Blocked(Wait::Outbound),
        Errno::INTR => Step::Done { bytes: 0 },
        _ => Step::Closed,
    }
}
