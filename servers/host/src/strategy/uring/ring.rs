//! Queues shared with the kernel, wrapped so that no code outside this file can violate memory
//! safety.
//!
//! The [`Ring`] owns the memory of an operation from submission to completion: buffers are moved in
//! and come back with the event. Descriptors are only numbers: one that is closed too early makes
//! an operation fail, or affect another file, but is no memory error. The driver keeps them open:
//! it closes a connection only when none of its operations is in flight.

#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use fileserver_proto::Buffer;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags};

use super::provided::Provided;
use crate::store::Part;

/// Most operations submitted at once: a batch whose replies stay in the processor's cache.
const SUBMISSIONS: u32 = 128;
/// Capacity of the completion queue; the kernel keeps further completions and delivers them later.
const COMPLETIONS: u32 = 4096;
/// `EnterFlags::GETEVENTS` of the `io-uring` crate, which does not export it.
const ENTER_GETEVENTS: u32 = 1;
/// Flags of every send. Without `DONTWAIT` the kernel polls a full socket; the poll ends at once if
/// the peer has finished sending, and the kernel tries again without end or starts a thread.
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
/// Sends whose memory is kept for the next ones.
const SPARE: usize = 256;
/// Longest wait, when a ring ends, for its operations to end.
const CANCELLING: Duration = Duration::from_secs(1);

/// Group of the receive buffers.
const GROUP: u16 = 0;
/// Number of receive buffers. If more connections than these send at once, some repeat their receive.
const BUFFERS: u16 = 512;
/// Size of a receive buffer: the head of a request.
const BUFFER_BYTES: usize = 1 << 10;

/// Connection of an operation: a key that is reused, and the count of its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) key: u32,
    /// Wraps around at 2^24.
    pub(super) generation: u32,
}

impl Token {
    pub(super) const GENERATIONS: u32 = 1 << 24;

    /// Token in the lower 56 bits.
    pub(super) fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.key)
    }

    /// Token that [`to_bits`](Self::to_bits) wrote, whatever is in the upper 8 bits.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self { key: bits as u32, generation: (bits >> 32) as u32 & (Self::GENERATIONS - 1) }
    }
}

/// Kind of an operation, in the topmost byte of its user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Ignored,
    AcceptDistribution,
    ListenerPoll,
    WakerPoll,
    Receive,
    ReadablePoll,
    Send,
    WritablePoll,
    RoomSetPoll,
}

impl Kind {
    fn user_data(self, token: Token) -> u64 {
        self.alone() | token.to_bits()
    }

    fn alone(self) -> u64 {
        (self as u64) << 56
    }
}

/// Result of an operation.
#[derive(Debug)]
pub(super) enum Event {
    /// An accept completed; `armed` if further ones follow.
    Accepted { outcome: Result<OwnedFd, Errno>, armed: bool },
    /// The listener may have connections.
    ListenerReady,
    /// The waker was used.
    Woken,
    /// Bytes arrived, or the stream ended; `armed` if more follow.
    Received { token: Token, outcome: Result<Option<Piece>, Errno>, armed: bool },
    /// The socket has bytes or its end, or is broken.
    Readable { token: Token },
    /// A send completed; the buffer comes back.
    Sent { token: Token, outcome: Result<usize, Errno>, buffer: Buffer },
    /// The wait for room in the socket ended. Without `has_room` the peer has finished sending, and
    /// the ring cannot wait for more.
    Writable { token: Token, has_room: bool },
    /// Sockets of the room set may have room.
    RoomSetReady,
}

/// Received bytes in one of the ring's buffers. [`Ring::copy`], [`Ring::copy_aside`] or
/// [`Ring::forget`] returns the buffer; otherwise it is lost.
#[derive(Debug)]
pub(super) struct Piece {
    buffer: u16,
    pub(super) len: usize,
}

/// Submission queue, completion queue, and the memory of all operations in flight.
pub(super) struct Ring {
    /// Dropped by hand, once the kernel uses none of the memory below.
    ring: ManuallyDrop<IoUring>,
    provided: ManuallyDrop<Provided>,
    /// Sends in flight, by the connection's key.
    lent: ManuallyDrop<Vec<Option<Box<Lent>>>>,
    /// Memory for the next sends.
    #[expect(clippy::vec_box, reason = "they go to `lent` and back as they are")]
    spare: Vec<Box<Lent>>,
    /// Number of sends in flight.
    sending: usize,
    /// Operations that did not fit into the submission queue.
    delayed: Vec<squeue::Entry>,
    /// Taken from the completion queue and not yet returned.
    peeked: Option<cqueue::Entry>,
    /// Completions of this round that are still in the queue.
    at_hand: usize,
}

/// Memory of a send.
struct Lent {
    buffer: Buffer,
    content: Option<Part>,
    /// Buffer and content, as `sendmsg` requires them.
    pieces: [libc::iovec; 2],
    message: libc::msghdr,
}

impl Lent {
    fn new() -> Self {
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            buffer: Buffer::default(),
            content: None,
            pieces: [nothing; 2],
            // SAFETY: it is numbers and pointers; with all of them zero it names nothing.
            message: unsafe { std::mem::zeroed() },
        }
    }
}

impl Ring {
    /// Ring for the calling thread, which alone may use it.
    ///
    /// # Errors
    /// The kernel refuses the ring.
    pub(super) fn new() -> Result<Self, Errno> {
        let ring = set_up(SUBMISSIONS, COMPLETIONS)?;
        let mut provided = Provided::new(GROUP, BUFFERS, BUFFER_BYTES);
        // SAFETY: the memory is freed only after the ring, see `drop`.
        unsafe { provided.register(&ring.submitter())? };
        Ok(Self {
            ring: ManuallyDrop::new(ring),
            provided: ManuallyDrop::new(provided),
            lent: ManuallyDrop::new(Vec::new()),
            spare: Vec::new(),
            sending: 0,
            delayed: Vec::new(),
            peeked: None,
            at_hand: 0,
        })
    }

    /// True if the kernel supports every operation that a ring uses.
    pub(super) fn is_complete(&self) -> bool {
        let mut known = Probe::new();
        self.ring.submitter().register_probe(&mut known).is_ok()
            && [
                opcode::AcceptMulti::CODE,
                opcode::RecvMulti::CODE,
                opcode::Send::CODE,
                opcode::SendMsg::CODE,
                opcode::PollAdd::CODE,
                opcode::AsyncCancel::CODE,
            ]
            .into_iter()
            .all(|code| known.is_supported(code))
            && self.ring.params().is_feature_ext_arg()
            && self.ring.params().is_feature_nodrop()
    }

    /// Accepts connections until cancelled or out of descriptors; their sockets are non-blocking.
    pub(super) fn accept_all(&mut self, listener: BorrowedFd<'_>) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(flags.bits() as i32);
        // SAFETY: a multishot accept uses no memory of ours.
        unsafe { self.push(entry.build().user_data(Kind::AcceptDistribution.alone())) };
    }

    /// Cancels [`accept_all`](Self::accept_all); its last event confirms it.
    pub(super) fn cancel_accept(&mut self) {
        self.cancel(Kind::AcceptDistribution.alone());
    }

    /// Reports once that the listener may have connections.
    pub(super) fn poll_listener(&mut self, listener: BorrowedFd<'_>) {
        self.poll(listener, PollFlags::IN, Kind::ListenerPoll.alone());
    }

    /// Reports once that the waker is readable.
    pub(super) fn poll_waker(&mut self, waker: BorrowedFd<'_>) {
        self.poll(waker, PollFlags::IN, Kind::WakerPoll.alone());
    }

    /// Reports once that the room set is readable.
    pub(super) fn poll_room_set(&mut self, room_set: BorrowedFd<'_>) {
        self.poll(room_set, PollFlags::IN, Kind::RoomSetPoll.alone());
    }

    /// Reports once that the socket has room or is broken, or that the peer has finished sending.
    pub(super) fn poll_writable(&mut self, token: Token, socket: BorrowedFd<'_>) {
        self.poll(socket, PollFlags::OUT, Kind::WritablePoll.user_data(token));
    }

    /// Receives pieces until cancelled, the end of the stream, or no buffer is free.
    ///
    /// Linux 6.18 sometimes does not report a reset right after received bytes. The likely cause: if
    /// both wake the receive before it runs, the kernel takes the two wake-ups for one. Linux 7.0
    /// corrects that for a peer that has finished sending (commit a68ed2df7213). The next send on the
    /// socket fails then, and the session's deadline ends a connection that has nothing to send.
    pub(super) fn receive_all(&mut self, token: Token, socket: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build();
        // SAFETY: what it writes to is of a group whose memory outlives the ring.
        unsafe { self.push(entry.user_data(Kind::Receive.user_data(token))) };
    }

    /// Reports once that the socket is readable or broken.
    pub(super) fn poll_readable(&mut self, token: Token, socket: BorrowedFd<'_>) {
        self.poll(socket, PollFlags::IN, Kind::ReadablePoll.user_data(token));
    }

    /// Cancels the receive; its last event confirms it.
    pub(super) fn cancel_receive(&mut self, token: Token) {
        self.cancel(Kind::Receive.user_data(token));
    }

    /// Sends the buffer, or the part of it that the socket has room for. `more` if further bytes
    /// follow at once.
    ///
    /// # Panics
    /// A send of this connection is in flight.
    pub(super) fn send(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        buffer: Buffer,
        more: bool,
    ) {
        let flags = if more { SEND_FLAGS | SendFlags::MORE } else { SEND_FLAGS };
        let lent = self.lend(token, buffer, None);
        let bytes = lent.buffer.filled();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), len)
            .flags(flags.bits() as i32)
            .build()
            .user_data(Kind::Send.user_data(token));
        // SAFETY: the bytes stay where they are while the buffer is lent: nothing touches it
        // until this operation's completion.
        unsafe { self.push(entry) };
    }

    /// Sends the buffer and then this content, or the part of both that the socket has room for.
    ///
    /// # Panics
    /// A send of this connection is in flight.
    pub(super) fn send_with(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        buffer: Buffer,
        content: Part,
    ) {
        let lent = self.lend(token, buffer, Some(content));
        let content = lent.content.as_ref().map_or(&[][..], Part::bytes);
        lent.pieces = [lent.buffer.filled(), content].map(|bytes| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        });
        lent.message.msg_iov = lent.pieces.as_mut_ptr();
        lent.message.msg_iovlen = lent.pieces.len() as _;
        let entry = opcode::SendMsg::new(Fd(socket.as_raw_fd()), &raw const lent.message)
            .flags(SEND_FLAGS.bits())
            .build()
            .user_data(Kind::Send.user_data(token));
        // SAFETY: message, pieces and their bytes stay where they are, in a box of their own, while
        // they are lent: nothing touches them until this operation's completion.
        unsafe { self.push(entry) };
    }

    /// Keeps the memory of a send until its completion.
    fn lend(&mut self, token: Token, buffer: Buffer, content: Option<Part>) -> &mut Lent {
        let mut lent = self.spare.pop().unwrap_or_else(|| Box::new(Lent::new()));
        (lent.buffer, lent.content) = (buffer, content);
        let key = token.key as usize;
        if key >= self.lent.len() {
            self.lent.resize_with(key + 1, || None);
        }
        assert!(self.lent[key].is_none(), "one send at a time");
        self.sending += 1;
        self.lent[key].insert(lent)
    }

    /// Cancels all operations on a socket; the last event of each confirms it.
    pub(super) fn cancel_all(&mut self, socket: BorrowedFd<'_>) {
        let matching = CancelBuilder::fd(Fd(socket.as_raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(matching).build();
        // SAFETY: a cancellation uses no memory of ours.
        unsafe { self.push(entry.user_data(Kind::Ignored.alone())) };
    }

    /// Appends a piece to a buffer.
    pub(super) fn copy(&mut self, piece: &Piece, to: &mut Buffer) {
        to.push(self.provided.received(piece.buffer, piece.len));
        self.provided.provide(piece.buffer);
    }

    /// Appends a piece to bytes.
    pub(super) fn copy_aside(&mut self, piece: &Piece, to: &mut Vec<u8>) {
        to.extend_from_slice(self.provided.received(piece.buffer, piece.len));
        self.provided.provide(piece.buffer);
    }

    /// Returns a piece's buffer unread.
    pub(super) fn forget(&mut self, piece: &Piece) {
        self.provided.provide(piece.buffer);
    }

    /// Submits the queued operations and waits for an event, at most this long; `None` waits
    /// without limit.
    ///
    /// # Errors
    /// The ring failed for good.
    pub(super) fn wait(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        while let Some(entry) = self.delayed.pop() {
            // SAFETY: `push` delayed it, whose caller keeps its memory valid.
            if unsafe { self.try_push(&entry) } {
                continue;
            }
            self.submit()?;
            // SAFETY: as above.
            if unsafe { !self.try_push(&entry) } {
                // The kernel accepts no more before its completions are read.
                self.delayed.push(entry);
                break;
            }
        }
        let submitter = self.ring.submitter();
        let outcome = match at_most {
            None => submitter.submit_and_wait(1),
            Some(Duration::ZERO) => {
                let queued = self.ring.submission().len() as u32;
                // SAFETY: the entries queued are those that were pushed, and there is no argument.
                unsafe { self.ring.submitter().enter::<()>(queued, 0, ENTER_GETEVENTS, None) }
            }
            Some(limit) => {
                let limit = Timespec::from(limit);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        passing(outcome)?;
        self.begin_round();
        Ok(())
    }

    /// Begins a round with the completions that are in the queue now. Those of operations that are
    /// submitted meanwhile belong to the next round: a round ends, however many peers always have
    /// more to say.
    fn begin_round(&mut self) {
        self.at_hand = self.ring.completion().len();
    }

    fn take(&mut self) -> Option<cqueue::Entry> {
        self.peeked.take().or_else(|| {
            self.at_hand = self.at_hand.checked_sub(1)?;
            self.ring.completion().next()
        })
    }

    fn submit(&mut self) -> io::Result<()> {
        passing(self.ring.submitter().submit())
    }

    /// Next event of this round.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            let entry = self.take()?;
            if let Some(event) = self.event(&entry) {
                return Some(event);
            }
        }
    }

    /// Next event of this round, if it brings further bytes of the same connection.
    pub(super) fn next_piece(&mut self, of: Token) -> Option<(Piece, bool)> {
        let entry = self.take()?;
        if entry.user_data() == Kind::Receive.user_data(of)
            && let Ok(Some(piece)) = received(&entry)
        {
            return Some((piece, cqueue::more(entry.flags())));
        }
        self.peeked = Some(entry);
        None
    }

    fn event(&mut self, entry: &cqueue::Entry) -> Option<Event> {
        let data = entry.user_data();
        let token = Token::from_bits(data);
        let armed = cqueue::more(entry.flags());
        let kind = (data >> 56) as u8;
        Some(if kind == Kind::Receive as u8 {
            Event::Received { token, outcome: received(entry), armed }
        } else if kind == Kind::ReadablePoll as u8 {
            Event::Readable { token }
        } else if kind == Kind::Send as u8 {
            let mut lent = self.lent[token.key as usize].take()?;
            self.sending -= 1;
            lent.content = None;
            let buffer = std::mem::take(&mut lent.buffer);
            if self.spare.len() < SPARE {
                self.spare.push(lent);
            }
            Event::Sent { token, outcome: result(entry), buffer }
        } else if kind == Kind::WritablePoll as u8 {
            Event::Writable { token, has_room: has_room(result(entry)) }
        } else if kind == Kind::RoomSetPoll as u8 {
            Event::RoomSetReady
        } else if kind == Kind::AcceptDistribution as u8 {
            let outcome = result(entry).map(|descriptor| {
                // SAFETY: the kernel has opened this descriptor for us just now, and nobody else
                // knows of it.
                unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
            });
            Event::Accepted { outcome, armed }
        } else if kind == Kind::ListenerPoll as u8 {
            Event::ListenerReady
        } else if kind == Kind::WakerPoll as u8 {
            Event::Woken
        } else {
            return None;
        })
    }

    fn poll(&mut self, what: BorrowedFd<'_>, flags: PollFlags, user_data: u64) {
        let entry = opcode::PollAdd::new(Fd(what.as_raw_fd()), u32::from(flags.bits())).build();
        // SAFETY: a poll uses no memory of ours.
        unsafe { self.push(entry.user_data(user_data)) };
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build();
        // SAFETY: a cancellation uses no memory of ours.
        unsafe { self.push(entry.user_data(Kind::Ignored.alone())) };
    }

    /// Queues an operation; submits earlier ones if the queue is full.
    ///
    /// # Safety
    /// The memory that it uses stays valid until its completion.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: as the caller promises.
        if self.delayed.is_empty() && unsafe { self.try_push(&entry) } {
            return;
        }
        // A lasting failure shows in `wait`.
        let _ = self.submit();
        // SAFETY: as the caller promises.
        if !self.delayed.is_empty() || unsafe { !self.try_push(&entry) } {
            self.delayed.insert(0, entry);
        }
    }

    /// # Safety
    /// The memory that it uses stays valid until its completion.
    unsafe fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: as the caller promises.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }
}

impl Drop for Ring {
    /// Cancels the operations in flight, and frees their memory only then.
    fn drop(&mut self) {
        // Submits the last operations, so that all can be cancelled.
        let _ = self.wait(Some(Duration::ZERO));
        let limit = Some(Timespec::from(CANCELLING));
        let everything = CancelBuilder::any().all();
        let cancelled = match self.ring.submitter().register_sync_cancel(limit, everything) {
            Ok(()) => true,
            // There was nothing to cancel.
            Err(error) => errno(&error) == Errno::NOENT,
        };
        self.begin_round();
        while self.next().is_some() {}
        if self.sending > 0 && self.wait(Some(CANCELLING)).is_ok() {
            while self.next().is_some() {}
        }
        if !cancelled || self.sending > 0 {
            tracing::error!("cannot cancel the operations in flight; their memory is not freed");
            return;
        }
        // SAFETY: none of these is used hereafter. The ring goes first; no operation is left that
        // could reach the others.
        unsafe {
            ManuallyDrop::drop(&mut self.ring);
            ManuallyDrop::drop(&mut self.provided);
            ManuallyDrop::drop(&mut self.lent);
        }
    }
}

/// Ring whose completions are processed by its one thread, while it waits for them.
fn set_up(submissions: u32, completions: u32) -> Result<IoUring, Errno> {
    let set_up = |is_deferring: bool| {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completions).setup_submit_all().setup_single_issuer();
        if is_deferring {
            builder.setup_defer_taskrun();
        } else {
            builder.setup_coop_taskrun();
        }
        builder.build(submissions).map_err(|error| errno(&error))
    };
    match set_up(true) {
        // Deferring came with Linux 6.1.
        Err(Errno::INVAL) => set_up(false),
        outcome => outcome,
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Ignores failures that the next wait repairs.
fn passing(outcome: io::Result<usize>) -> io::Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => match errno(&error) {
            Errno::INTR | Errno::TIME | Errno::BUSY | Errno::AGAIN => Ok(()),
            _ => Err(error),
        },
    }
}

fn result(entry: &cqueue::Entry) -> Result<usize, Errno> {
    let result = entry.result();
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

/// True if a poll for room ended by room, an error or a cancellation.
fn has_room(polled: Result<usize, Errno>) -> bool {
    let found = PollFlags::from_bits_retain(polled.unwrap_or(usize::MAX) as u16);
    found.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
}

/// `None` for the end of the stream.
fn received(entry: &cqueue::Entry) -> Result<Option<Piece>, Errno> {
    let len = result(entry)?;
    Ok(cqueue::buffer_select(entry.flags()).map(|buffer| Piece { buffer, len }))
}
