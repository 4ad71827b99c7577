//! Buffer of one thread's events: the thread fills it, the collector empties it, and neither waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rtrb::{Consumer, Producer, RingBuffer};

use super::event::Event;

/// Half of a buffer that belongs to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    events: Producer<Event>,
    /// Number of events that found the buffer full.
    lost: Arc<AtomicU64>,
}

/// Half of a buffer that belongs to the collector.
#[derive(Debug)]
pub(super) struct Reader {
    thread: String,
    events: Consumer<Event>,
    lost: Arc<AtomicU64>,
    lost_before: u64,
}

/// Buffer for so many events. `thread` is the begin of every row of the thread.
pub(super) fn buffer(thread: String, capacity: usize) -> (Writer, Reader) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Writer { events: producer, lost: Arc::clone(&lost) };
    (writer, Reader { thread, events: consumer, lost, lost_before: 0 })
}

impl Writer {
    /// Adds an event; counts it as lost if the buffer is full.
    pub(super) fn push(&mut self, event: Event) {
        if self.events.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// Process, thread and name, as in a row.
    pub(super) fn thread(&self) -> &str {
        &self.thread
    }

    /// True if no event will be added, since the thread has ended. Those in the buffer can still be
    /// taken.
    pub(super) fn is_abandoned(&self) -> bool {
        let is_abandoned = self.events.is_abandoned();
        // The count that it reads orders nothing (https://github.com/mgeier/rtrb/issues/114); with
        // this, the thread's last events are seen.
        fence(Ordering::Acquire);
        is_abandoned
    }

    /// Number of events in the buffer.
    pub(super) fn available(&self) -> usize {
        self.events.slots()
    }

    /// Takes the oldest event.
    pub(super) fn take(&mut self) -> Option<Event> {
        self.events.pop().ok()
    }

    /// Number of events lost since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        let lost = self.lost.load(Ordering::Relaxed);
        lost - std::mem::replace(&mut self.lost_before, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::event::{Kind, TracedConnection};

    fn event(at: u64) -> Event {
        Event::new(Kind::Receive, TracedConnection::default(), (at, at + 1))
    }

    #[test]
    fn a_full_buffer_keeps_the_oldest_events_and_counts_the_lost() {
        let (mut writer, mut reader) = buffer("1,2,main".to_owned(), 2);
        for at in 0..5 {
            writer.push(event(at));
        }
        assert_eq!(reader.available(), 2);
        let taken = [reader.take(), reader.take(), reader.take()];
        assert_eq!(taken, [Some(event(0)), Some(event(1)), None]);
        assert_eq!([reader.take_lost(), reader.take_lost()], [3, 0]);
        writer.push(event(7));
        assert_eq!((reader.take(), reader.take_lost()), (Some(event(7)), 0));
    }

    #[test]
    fn the_events_of_an_ended_thread_are_left() {
        let (mut writer, mut reader) = buffer("1,2,main".to_owned(), 2);
        assert!(!reader.is_abandoned());
        std::thread::spawn(move || writer.push(event(1))).join().unwrap();
        assert!(reader.is_abandoned());
        assert_eq!(reader.take(), Some(event(1)));
    }
}
