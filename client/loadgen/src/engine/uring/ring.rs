//! Rings shared with the kernel, with a safe interface.
//!
//! Operations read memory that outlives the ring (`'a`), or one of the ring's own blocks, which is
//! not reused before its operation has completed. They write only to the ring's [`Buffers`].
//! Dropping the ring cancels what is in flight and waits for it.
//!
//! Descriptors are identified by number. Operations, closes included, start in the order of their
//! submission, so none of them affects a later file of the same number.

#![expect(unsafe_code, reason = "the kernel reads and writes memory that operations name")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::net::SendFlags;
use socket2::SockAddr;

use super::buffers::{Buffers, Filled};

/// Capacity of the submission queue.
const SUBMISSIONS: u32 = 1024;
/// `IORING_ENTER_GETEVENTS`: runs deferred task work and fetches completions.
const GET_EVENTS: u32 = 1;
/// `MSG_WAITALL`: a partial send continues.
const WAIT_ALL: u32 = 0x100;
/// In place of a block's number, for [`Kind::SendAll`]: whether it is linked to the next send.
const UNLINKED: u16 = 0;
const LINKED: u16 = 1;
/// Step of the wait for operations to end when a ring is dropped.
const ENDING_STEP: Duration = Duration::from_millis(50);
const ENDING_STEPS: usize = 20;

/// Submission and completion queue, and the memory that operations use.
pub(super) struct Ring<'a> {
    /// Dropped explicitly before the memory, which is leaked if the kernel still uses it.
    io: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<Buffers>,
    blocks: ManuallyDrop<Vec<Box<[u8]>>>,
    target: ManuallyDrop<Box<SockAddr>>,
    free_blocks: Vec<u16>,
    block_bytes: usize,
    queued: usize,
    /// Operations in flight that always complete.
    in_flight: usize,
    /// Error of a failed submission.
    failed: Option<io::Error>,
    memory: std::marker::PhantomData<&'a [u8]>,
}

/// Socket of an operation, and the generation of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) socket: u32,
    pub(super) generation: u16,
}

/// Number of sockets that tags can distinguish.
pub(super) const MAX_SOCKETS: usize = 1 << 24;

/// Kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Its completion is ignored.
    Ignored,
    Connect,
    Receive,
    /// Completes only when it fails.
    SendAll,
    Send,
    SendBlock,
}

/// Result of an operation.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) kind: Kind,
    pub(super) tag: Tag,
    pub(super) result: i32,
    /// Buffer with the received bytes.
    pub(super) filled: Option<Filled>,
    /// True if the operation continues.
    pub(super) more: bool,
}

impl std::fmt::Debug for Ring<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ring").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl<'a> Ring<'a> {
    /// Creates a ring for the calling thread, the only one that may use it.
    pub(super) fn new(
        target: SockAddr,
        mut buffers: Buffers,
        completions: u32,
        block_bytes: usize,
    ) -> io::Result<Self> {
        let io: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(completions)
            .build(SUBMISSIONS)?;
        // SAFETY: the buffers live as long as the ring: see `drop`.
        unsafe { buffers.register(&io.submitter())? };
        // An optimisation that saves a descriptor lookup per call.
        let _ = io.submitter().register_ring_fd();
        Ok(Self {
            io: ManuallyDrop::new(io),
            buffers: ManuallyDrop::new(buffers),
            blocks: ManuallyDrop::new(Vec::new()),
            target: ManuallyDrop::new(Box::new(target)),
            free_blocks: Vec::new(),
            block_bytes,
            queued: 0,
            in_flight: 0,
            failed: None,
            memory: std::marker::PhantomData,
        })
    }

    /// Number of operations not submitted yet.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Connects to the target.
    pub(super) fn connect(&mut self, fd: RawFd, tag: Tag) {
        let (address, len) = (self.target.as_ptr().cast(), self.target.len());
        let entry = opcode::Connect::new(Fd(fd), address, len).build();
        self.in_flight += 1;
        self.push(&entry.user_data(user_data(Kind::Connect, tag, 0)));
    }

    /// Receives repeatedly, until a completion reports the end of the operation.
    pub(super) fn receive_repeatedly(&mut self, fd: RawFd, tag: Tag) {
        let entry = opcode::RecvMulti::new(Fd(fd), 0).build();
        self.in_flight += 1;
        self.push(&entry.user_data(user_data(Kind::Receive, tag, 0)));
    }

    /// Receives once.
    pub(super) fn receive_once(&mut self, fd: RawFd, tag: Tag) {
        let entry = opcode::Recv::new(Fd(fd), std::ptr::null_mut(), 0).buf_group(0).build();
        self.in_flight += 1;
        let entry = entry.flags(squeue::Flags::BUFFER_SELECT);
        self.push(&entry.user_data(user_data(Kind::Receive, tag, 0)));
    }

    /// Sends all bytes; completes only on failure. With `more` it is linked to the next send, which
    /// starts afterwards and is cancelled if this one fails. Then it completes on success as well
    /// ([`reap`](Self::reap) drops that): if it did not, the kernel would cancel the next send without
    /// a completion, and the end of the ring would wait for it.
    pub(super) fn send_all(&mut self, fd: RawFd, bytes: &'a [u8], more: bool, tag: Tag) {
        let mut send_flags = SendFlags::NOSIGNAL.bits() | WAIT_ALL;
        let mut flags = squeue::Flags::SKIP_SUCCESS;
        let mut link = UNLINKED;
        if more {
            send_flags |= SendFlags::MORE.bits();
            (flags, link) = (squeue::Flags::IO_LINK, LINKED);
        }
        let entry = opcode::Send::new(Fd(fd), bytes.as_ptr(), bytes.len() as u32)
            .flags(send_flags as i32)
            .build()
            .flags(flags);
        self.push(&entry.user_data(user_data(Kind::SendAll, tag, link)));
    }

    /// Sends as much of the bytes as possible.
    pub(super) fn send(&mut self, fd: RawFd, bytes: &'a [u8], tag: Tag) {
        self.push_send(fd, bytes.as_ptr(), bytes.len(), user_data(Kind::Send, tag, 0));
    }

    /// Fills one of the ring's blocks and sends as much of it as possible.
    pub(super) fn send_made(
        &mut self,
        fd: RawFd,
        len: usize,
        tag: Tag,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let number = self.free_blocks.pop().unwrap_or_else(|| {
            self.blocks.push(vec![0; self.block_bytes].into());
            (self.blocks.len() - 1) as u16
        });
        let len = len.min(self.block_bytes);
        let block = &mut self.blocks[usize::from(number)][..len];
        fill(block);
        let start = block.as_ptr();
        self.push_send(fd, start, len, user_data(Kind::SendBlock, tag, number));
    }

    fn push_send(&mut self, fd: RawFd, start: *const u8, len: usize, user_data: u64) {
        let entry = opcode::Send::new(Fd(fd), start, len as u32)
            .flags(SendFlags::NOSIGNAL.bits() as i32)
            .build();
        self.in_flight += 1;
        self.push(&entry.user_data(user_data));
    }

    /// Cancels the operations in flight on a socket and closes it.
    pub(super) fn close(&mut self, fd: OwnedFd, tag: Tag, busy: Busy) {
        let fd = Fd(fd.into_raw_fd());
        let quietly = squeue::Flags::SKIP_SUCCESS;
        let ignored = user_data(Kind::Ignored, Tag { socket: 0, generation: 0 }, 0);
        let by = match busy {
            Busy::No => None,
            // The kernel finds an operation by its number at once. By its descriptor it searches
            // those of all sockets, which takes seconds for ten thousand closed ones.
            Busy::Receiving => Some(CancelBuilder::user_data(user_data(Kind::Receive, tag, 0))),
            Busy::Otherwise => Some(CancelBuilder::fd(fd).all()),
        };
        if let Some(by) = by {
            let entry = opcode::AsyncCancel2::new(by).build();
            self.push(&entry.flags(quietly).user_data(ignored));
        }
        self.push(&opcode::Close::new(fd).build().flags(quietly).user_data(ignored));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        if self.queued >= SUBMISSIONS as usize {
            self.submit();
        }
        // SAFETY: what the entry points to lives until it completes: see above.
        let pushed = unsafe { self.io.submission().push(entry) };
        self.queued += 1;
        if pushed.is_err() {
            self.failed.get_or_insert_with(|| io::Error::other("the submission queue is full"));
        }
    }

    /// Submits the queued operations.
    pub(super) fn submit(&mut self) {
        if self.queued > 0 {
            self.queued = 0;
            let submitted = self.io.submit();
            self.note(submitted.map(drop));
        }
    }

    /// Submits the queued operations and waits for a completion; does not wait without a time.
    pub(super) fn submit_and_wait(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let entered = match at_most {
            Some(time) => {
                let time = Timespec::from(time);
                let args = SubmitArgs::new().timespec(&time);
                self.io.submitter().submit_with_args(1, &args)
            }
            None => {
                let queued = self.io.submission().len() as u32;
                // SAFETY: no argument is passed.
                unsafe { self.io.submitter().enter::<()>(queued, 0, GET_EVENTS, None) }
            }
        };
        self.queued = self.io.submission().len();
        self.note(entered.map(drop));
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Stores an error, except for an elapsed time, a signal, and completions that must be fetched
    /// first.
    fn note(&mut self, entered: io::Result<()>) {
        use rustix::io::Errno;
        let Err(error) = entered else { return };
        let passing = [Errno::TIME, Errno::INTR, Errno::BUSY, Errno::AGAIN];
        if !passing.iter().any(|passing| error.raw_os_error() == Some(passing.raw_os_error())) {
            self.failed.get_or_insert(error);
        }
    }

    /// Takes the available completions.
    pub(super) fn reap(&mut self, mut take: impl FnMut(Completion)) {
        let Self { io, buffers, free_blocks, in_flight, .. } = self;
        for entry in io.completion() {
            let (kind, tag, block) = parse(entry.user_data());
            let more = cqueue::more(entry.flags());
            if !more && matches!(kind, Kind::Connect | Kind::Receive | Kind::Send | Kind::SendBlock)
            {
                *in_flight -= 1;
            }
            if kind == Kind::SendBlock {
                free_blocks.push(block);
            }
            let is_silent = kind == Kind::SendAll && block == LINKED && entry.result() >= 0;
            if kind != Kind::Ignored && !is_silent {
                let result = entry.result();
                // SAFETY: this very completion says so, and is taken once.
                let filled = cqueue::buffer_select(entry.flags())
                    .map(|buffer| unsafe { buffers.filled(buffer, result.max(0) as usize) });
                take(Completion { kind, tag, result, filled, more });
            }
        }
    }

    /// Received bytes.
    pub(super) fn bytes<'f>(&'f self, filled: &'f Filled) -> &'f [u8] {
        self.buffers.bytes(filled)
    }

    /// Returns a buffer to the kernel.
    pub(super) fn hand_back(&mut self, filled: Filled) {
        self.buffers.hand_back(filled);
    }
}

/// Operations in flight on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    No,
    /// Only a receive.
    Receiving,
    Otherwise,
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        self.submit();
        for _ in 0..ENDING_STEPS {
            // Operations that end by themselves come first, as long as there are any.
            let mut taken = 1;
            while self.in_flight > 0 && taken > 0 {
                let _ = self.submit_and_wait(Some(ENDING_STEP));
                taken = 0;
                self.reap(|_| taken += 1);
            }
            // The call fails if there is nothing to cancel, which is harmless.
            let _ = self.io.submitter().register_sync_cancel(None, CancelBuilder::any());
            if self.in_flight == 0 {
                break;
            }
        }
        // SAFETY: nothing of this is used again. The rings go first. The rest goes only if no
        // operation that uses it is in flight.
        unsafe {
            ManuallyDrop::drop(&mut self.io);
            if self.in_flight == 0 {
                ManuallyDrop::drop(&mut self.buffers);
                ManuallyDrop::drop(&mut self.blocks);
                ManuallyDrop::drop(&mut self.target);
            }
        }
    }
}

/// User data of an operation: 8 bits of kind, 16 of generation, 16 of the number of a block, 24 of
/// the socket.
fn user_data(kind: Kind, tag: Tag, block: u16) -> u64 {
    debug_assert!((tag.socket as usize) < MAX_SOCKETS);
    (kind as u64) << 56
        | u64::from(tag.generation) << 40
        | u64::from(block) << 24
        | u64::from(tag.socket)
}

fn parse(user_data: u64) -> (Kind, Tag, u16) {
    let kind = match user_data >> 56 {
        1 => Kind::Connect,
        2 => Kind::Receive,
        3 => Kind::SendAll,
        4 => Kind::Send,
        5 => Kind::SendBlock,
        _ => Kind::Ignored,
    };
    let tag = Tag { socket: (user_data & 0xff_ffff) as u32, generation: (user_data >> 40) as u16 };
    (kind, tag, (user_data >> 24) as u16)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    /// Listener that accepts nothing, a socket connected to it, and a ring; `None` if the kernel refuses
    /// the ring.
    fn connected(
        test: &str,
    ) -> Option<(std::net::TcpListener, std::net::TcpStream, Ring<'static>)> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::net::TcpStream::connect(address).unwrap();
        match Ring::new(address.into(), Buffers::new(4, 2 << 10), 4096, 1 << 10) {
            Ok(ring) => Some((listener, peer, ring)),
            Err(error) => {
                testkit::skip(test, error);
                None
            }
        }
    }

    #[test]
    fn a_send_after_a_failed_one_completes() {
        let Some((_listener, peer, mut ring)) = connected("a_send_after_a_failed_one_completes")
        else {
            return;
        };
        let tag = Tag { socket: 0, generation: 1 };
        // As at the end of a load: the socket is shut down before the submission.
        ring.receive_repeatedly(peer.as_raw_fd(), tag);
        ring.submit();
        ring.send_all(peer.as_raw_fd(), b"head", true, tag);
        ring.send_made(peer.as_raw_fd(), 4, tag, |block| block.fill(b'.'));
        peer.shutdown(std::net::Shutdown::Both).unwrap();
        ring.submit();
        let mut failed = Vec::new();
        for _ in 0..20 {
            ring.submit_and_wait(Some(ENDING_STEP)).unwrap();
            ring.reap(|completion| failed.push(completion.kind));
            if ring.in_flight == 0 {
                break;
            }
        }
        assert_eq!(ring.in_flight, 0, "{failed:?}");
        let sends = failed.into_iter().filter(|kind| *kind != Kind::Receive);
        assert_eq!(sends.collect::<Vec<_>>(), [Kind::SendAll, Kind::SendBlock]);
        assert_eq!(ring.free_blocks.len(), ring.blocks.len());
    }

    #[test]
    fn a_successful_head_is_silent() {
        let Some((_listener, peer, mut ring)) = connected("a_successful_head_is_silent") else {
            return;
        };
        let tag = Tag { socket: 0, generation: 1 };
        ring.send_all(peer.as_raw_fd(), b"head", true, tag);
        ring.send(peer.as_raw_fd(), b"body", tag);
        let mut done = Vec::new();
        while ring.in_flight > 0 {
            ring.submit_and_wait(Some(ENDING_STEP)).unwrap();
            ring.reap(|completion| done.push((completion.kind, completion.result)));
        }
        assert_eq!(done, [(Kind::Send, 4)]);
    }

    #[test]
    fn user_data_holds_all_of_its_parts() {
        for kind in [
            Kind::Ignored,
            Kind::Connect,
            Kind::Receive,
            Kind::SendAll,
            Kind::Send,
            Kind::SendBlock,
        ] {
            let tag = Tag { socket: (MAX_SOCKETS - 1) as u32, generation: 0xfedc };
            assert_eq!(parse(user_data(kind, tag, 0x1234)), (kind, tag, 0x1234));
        }
    }
}
