//! Buffers that the kernel receives into, and the queue that provides them.

#![expect(unsafe_code, reason = "the kernel writes to this memory")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The queue must be aligned to a page.
const PAGE_BYTES: usize = 4096;

/// Buffers of one size; their number is a power of two. Each belongs to the kernel until it is
/// filled, and again after it is handed back.
#[derive(Debug)]
pub(super) struct Buffers {
    number: u16,
    bytes_each: usize,
    /// All buffers, contiguous.
    memory: NonNull<u8>,
    queue: NonNull<BufRingEntry>,
    tail: u16,
}

/// Filled buffer that does not belong to the kernel.
#[derive(Debug)]
pub(super) struct Filled {
    buffer: u16,
    len: usize,
}

impl Buffers {
    pub(super) fn new(number: u16, bytes_each: usize) -> Self {
        assert!(number.is_power_of_two() && bytes_each > 0);
        let (memory, queue) = layouts(number, bytes_each);
        Self {
            number,
            bytes_each,
            memory: allocate(memory),
            queue: allocate(queue).cast(),
            tail: 0,
        }
    }

    /// Registers the buffers with a ring as group 0 and provides all of them to the kernel.
    ///
    /// # Safety
    /// `self` must outlive the ring, and everything that the ring has in flight.
    pub(super) unsafe fn register(&mut self, ring: &Submitter<'_>) -> io::Result<()> {
        let address = self.queue.as_ptr() as u64;
        // SAFETY: the queue has room for that many entries, and lives as long as the caller says.
        unsafe { ring.register_buf_ring_with_flags(address, self.number, 0, 0)? };
        for buffer in 0..self.number {
            self.provide(buffer);
        }
        Ok(())
    }

    /// Buffer that the kernel has filled with `len` bytes, according to a completion.
    ///
    /// # Safety
    /// A completion of the ring must have reported this, and no other `Filled` may exist
    /// for it.
    pub(super) unsafe fn filled(&self, buffer: u16, len: usize) -> Filled {
        assert!(buffer < self.number && len <= self.bytes_each);
        Filled { buffer, len }
    }

    /// Bytes of a filled buffer.
    pub(super) fn bytes<'f>(&'f self, filled: &'f Filled) -> &'f [u8] {
        let offset = usize::from(filled.buffer) * self.bytes_each;
        // SAFETY: within the allocation and initialised (with zeros first). There is one `Filled`
        // of a buffer that is not the kernel's, and none of one that is.
        unsafe { std::slice::from_raw_parts(self.memory.add(offset).as_ptr(), filled.len) }
    }

    /// Returns a buffer to the kernel.
    #[expect(clippy::needless_pass_by_value, reason = "the caller must not see it any more")]
    pub(super) fn hand_back(&mut self, filled: Filled) {
        self.provide(filled.buffer);
    }

    fn provide(&mut self, buffer: u16) {
        let place = usize::from(self.tail & (self.number - 1));
        let offset = usize::from(buffer) * self.bytes_each;
        // SAFETY: the place is within the queue, whose entries are initialised (with zeros), and
        // the kernel does not read it before the tail has passed it; the buffer is within the
        // memory.
        let (entry, start) =
            unsafe { (&mut *self.queue.add(place).as_ptr(), self.memory.add(offset)) };
        entry.set_addr(start.as_ptr() as u64);
        entry.set_len(self.bytes_each as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, apart from the fields of buffers; it is
        // aligned and initialised, and the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.queue.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let (memory, queue) = layouts(self.number, self.bytes_each);
        // SAFETY: allocated with these layouts, and no longer in use by the kernel, as `register`
        // was promised.
        unsafe {
            dealloc(self.memory.as_ptr(), memory);
            dealloc(self.queue.as_ptr().cast(), queue);
        }
    }
}

/// Layouts of the memory and of the queue.
fn layouts(number: u16, bytes_each: usize) -> (Layout, Layout) {
    let memory = Layout::array::<u8>(usize::from(number) * bytes_each);
    let queue = Layout::array::<BufRingEntry>(usize::from(number));
    let aligned = |layout: Result<Layout, _>| layout.and_then(|it: Layout| it.align_to(PAGE_BYTES));
    (
        aligned(memory).expect("so many bytes have a layout"),
        aligned(queue).expect("so few entries have a layout"),
    )
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: neither layout is empty.
    let start = unsafe { alloc_zeroed(layout) };
    NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout))
}
