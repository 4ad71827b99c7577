//! Recording of events by the threads that serve.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::getpid;
use rustix::thread::gettid;

use super::buffer::{Reader, Writer, buffer};
use super::event::Event;

/// Events that the buffer of a thread holds: those of 50 ms at 650,000 events/s. Only the touched
/// part of a buffer uses memory.
const CAPACITY: usize = 1 << 15;
/// Name of threads without one: only `threaded` has such, one per connection.
const UNNAMED: &str = "connection";

/// Traces begun in this process, to distinguish them.
static TRACES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Buffer of this thread, and the trace that it belongs to.
    static BUFFER: RefCell<Option<(u64, Writer)>> = const { RefCell::new(None) };
}

/// Link between the threads that record and the collector. A thread takes its lock only for its
/// first event.
#[derive(Debug)]
pub(super) struct Recorder {
    trace: u64,
    /// Number of connections so far.
    connections: AtomicU32,
    /// Buffers that the collector does not know yet.
    arrived: Mutex<Vec<Reader>>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// Requests to collect at once.
#[derive(Debug, Default)]
struct Progress {
    requested: u64,
    /// Request up to which everything is collected.
    collected: u64,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            trace: TRACES.fetch_add(1, Ordering::Relaxed),
            connections: AtomicU32::new(0),
            arrived: Mutex::default(),
            progress: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Number of the next connection, from 1.
    pub(super) fn next_connection(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts an event into the buffer of the calling thread.
    pub(super) fn record(&self, event: Event) {
        // Fails only while the thread ends.
        let _ = BUFFER.try_with(|buffer| {
            let buffer = &mut *buffer.borrow_mut();
            if buffer.as_ref().is_none_or(|(trace, _)| *trace != self.trace) {
                *buffer = Some((self.trace, self.add_thread()));
            }
            if let Some((_, writer)) = buffer {
                writer.push(event);
            }
        });
    }

    /// Gives the calling thread a buffer.
    fn add_thread(&self) -> Writer {
        let (process, number) = (getpid().as_raw_pid(), gettid().as_raw_pid());
        let thread = thread::current();
        let name = thread.name().unwrap_or(UNNAMED);
        let (writer, reader) = buffer(format!("{process},{number},{name}"), CAPACITY);
        lock(&self.arrived).push(reader);
        writer
    }

    /// Moves the buffers of new threads.
    pub(super) fn take_arrived(&self, into: &mut Vec<Reader>) {
        into.append(&mut lock(&self.arrived));
    }

    /// Has everything recorded so far collected, and waits for that, but no longer than this.
    pub(super) fn flush(&self, at_most: Duration) {
        let mut progress = lock(&self.progress);
        progress.requested += 1;
        let request = progress.requested;
        self.changed.notify_all();
        let is_pending = |progress: &mut Progress| progress.collected < request;
        drop(self.changed.wait_timeout_while(progress, at_most, is_pending));
    }

    /// Waits for a request, but no longer than this; returns the latest one.
    pub(super) fn wait_for_request(&self, at_most: Duration) -> u64 {
        let progress = lock(&self.progress);
        let is_idle = |progress: &mut Progress| progress.collected == progress.requested;
        let waited = self.changed.wait_timeout_while(progress, at_most, is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.requested
    }

    /// Reports that everything up to this request is collected.
    pub(super) fn report_collected(&self, request: u64) {
        lock(&self.progress).collected = request;
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
