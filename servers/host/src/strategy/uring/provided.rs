//! Provided buffers: the kernel takes one from a shared queue when bytes arrive, so that a
//! connection that waits for its peer has none.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use fileserver_proto::Buffer;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::io::Errno;

/// Alignment of the queue, as the kernel requires.
const PAGE_BYTES: usize = 4096;

/// Group of buffers, and the queue that provides them to the kernel.
pub(super) struct Provided {
    group: u16,
    /// The kernel owns their memory while they are provided.
    buffers: Vec<Buffer>,
    queue: NonNull<BufRingEntry>,
    layout: Layout,
    tail: u16,
}

impl Provided {
    /// Group of `number` buffers, a power of two, of `bytes` each.
    pub(super) fn new(group: u16, number: u16, bytes: usize) -> Self {
        assert!(number.is_power_of_two() && bytes > 0);
        let layout = Layout::array::<BufRingEntry>(usize::from(number))
            .and_then(|layout| layout.align_to(PAGE_BYTES))
            .expect("so few entries have a layout");
        // SAFETY: the layout is not empty.
        let queue = unsafe { alloc_zeroed(layout) }.cast();
        let Some(queue) = NonNull::new(queue) else { handle_alloc_error(layout) };
        let buffers = (0..number).map(|_| Buffer::with_capacity(bytes)).collect();
        Self { group, buffers, queue, layout, tail: 0 }
    }

    /// Registers the group with a ring, and provides all buffers.
    ///
    /// # Safety
    /// `self` must not be dropped before the ring, or while the ring has operations in flight.
    pub(super) unsafe fn register(&mut self, ring: &Submitter<'_>) -> Result<(), Errno> {
        let address = self.queue.as_ptr() as u64;
        // SAFETY: the queue has that many entries, and lives as long as the caller promises.
        unsafe { ring.register_buf_ring_with_flags(address, self.number(), self.group, 0) }
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        for index in 0..self.number() {
            self.provide(index);
        }
        Ok(())
    }

    /// Bytes received in a buffer, which is not provided now.
    pub(super) fn received(&mut self, index: u16, len: usize) -> &[u8] {
        &self.buffers[usize::from(index)].spare()[..len]
    }

    /// Provides a buffer (again). Its content is discarded.
    pub(super) fn provide(&mut self, index: u16) {
        let place = usize::from(self.tail & (self.number() - 1));
        let buffer = &mut self.buffers[usize::from(index)];
        buffer.clear();
        let room = buffer.spare();
        // SAFETY: the place is within the queue, and the kernel does not read it before the tail
        // is beyond it.
        let entry = unsafe { &mut *self.queue.as_ptr().add(place) };
        entry.set_addr(room.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(room.len()).unwrap_or(u32::MAX));
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the queue's tail is in its first entry, where no entry's fields are; it is
        // aligned, and the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.queue.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    fn number(&self) -> u16 {
        self.buffers.len() as u16
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and by the promise to `register` of no more use to
        // the kernel.
        unsafe { dealloc(self.queue.as_ptr().cast(), self.layout) };
    }
}
