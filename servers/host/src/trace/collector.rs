//! Collector of a trace: empties the buffers of all threads into a file.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::buffer::Reader;
use super::event::write_lost;
use super::recorder::Recorder;

/// Time between two rounds, so that a row is in the file 50 ms after its event.
const PAUSE: Duration = Duration::from_millis(40);
/// Size from which rows are written in between.
const WRITE_BYTES: usize = 64 << 10;
/// Room for the row that exceeds it.
const ROW_BYTES: usize = 256;

/// Buffers of all threads, and the file that their rows are appended to.
#[derive(Debug)]
pub(super) struct Collector<W> {
    recorder: Arc<Recorder>,
    readers: Vec<Reader>,
    /// `None` once writing has failed.
    file: Option<W>,
    /// Rows that are not written yet.
    rows: Vec<u8>,
}

impl<W: Write> Collector<W> {
    pub(super) fn new(recorder: Arc<Recorder>, file: W) -> Self {
        let rows = Vec::with_capacity(WRITE_BYTES + ROW_BYTES);
        Self { recorder, readers: Vec::new(), file: Some(file), rows }
    }

    /// Collects again and again, until no thread can record any more.
    pub(super) fn run(mut self) {
        loop {
            let request = self.recorder.wait_for_request(PAUSE);
            // Read before the buffers: the last owner of the trace has recorded its last event.
            let is_last = Arc::strong_count(&self.recorder) == 1;
            fence(Ordering::Acquire);
            self.collect();
            self.recorder.report_collected(request);
            if is_last {
                return;
            }
        }
    }

    /// Appends the events that are in the buffers now, and forgets the buffers of ended threads.
    fn collect(&mut self) {
        self.recorder.take_arrived(&mut self.readers);
        let Self { readers, file, rows, .. } = self;
        readers.retain_mut(|reader| {
            // Read before the events, of which there are no more then.
            let is_abandoned = reader.is_abandoned();
            // Those that are added meanwhile belong to the next round.
            for _ in 0..reader.available() {
                let Some(event) = reader.take() else { break };
                event.write_row(reader.thread(), rows);
                if rows.len() >= WRITE_BYTES {
                    append(file, rows);
                }
            }
            let lost = reader.take_lost();
            if lost > 0 {
                write_lost(reader.thread(), lost, rows);
            }
            !is_abandoned
        });
        append(file, rows);
    }
}

/// Appends rows by one write, so that those of several processes do not mix within a line. After a
/// failure, rows are dropped.
fn append<W: Write>(file: &mut Option<W>, rows: &mut Vec<u8>) {
    if let Some(open) = file
        && !rows.is_empty()
        && let Err(error) = open.write_all(rows)
    {
        tracing::error!("cannot write the trace, which ends here: {error}; serving continues");
        *file = None;
    }
    rows.clear();
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::thread;

    use rustix::process::getpid;
    use rustix::thread::gettid;

    use super::*;
    use crate::trace::buffer::buffer;
    use crate::trace::event::{Event, Kind, TracedConnection};

    fn event(kind: Kind, from: u64, to: u64) -> Event {
        let connection = match matches!(kind, Kind::WaitReady | Kind::WaitQueue) {
            true => TracedConnection::default(),
            false => TracedConnection { number: 7, peer_port: 4711 },
        };
        Event::new(kind, connection, (from, to))
    }

    fn written(collector: &Collector<Vec<u8>>) -> &str {
        std::str::from_utf8(collector.file.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn every_event_is_a_row_also_of_a_thread_that_has_ended() {
        let recorder = Arc::new(Recorder::new());
        let mut collector = Collector::new(Arc::clone(&recorder), Vec::new());
        let record = move || {
            recorder.record(event(Kind::WaitQueue, 2, 5));
            recorder.record(event(Kind::Accept, 5, 5));
            recorder.record(event(Kind::SendFile, 10, 25));
            gettid().as_raw_pid()
        };
        let worker = thread::Builder::new().name("worker-1".to_owned()).spawn(record).unwrap();
        let (process, worker) = (getpid().as_raw_pid(), worker.join().unwrap());
        collector.collect();
        let rows = format!(
            "{process},{worker},worker-1,0,0,wait-queue,2,5\n\
             {process},{worker},worker-1,7,4711,accept,5,5\n\
             {process},{worker},worker-1,7,4711,send-file,10,25\n"
        );
        assert_eq!(written(&collector), rows);
        assert!(collector.readers.is_empty());
        collector.collect();
        assert_eq!(written(&collector), rows);
    }

    #[test]
    fn rows_of_a_thread_are_in_order_and_its_lost_events_are_counted() {
        let mut collector = Collector::new(Arc::new(Recorder::new()), Vec::new());
        let (mut busy, reader) = buffer("1,2,main".to_owned(), 2);
        let (mut other, other_reader) = buffer("1,3,worker-0".to_owned(), 2);
        collector.readers.extend([reader, other_reader]);
        for at in 0..5 {
            busy.push(event(Kind::Receive, at, at + 1));
        }
        other.push(event(Kind::Send, 1, 2));
        collector.collect();
        busy.push(event(Kind::WaitReady, 9, 12));
        collector.collect();
        assert_eq!(
            written(&collector),
            "1,2,main,7,4711,receive,0,1\n\
             1,2,main,7,4711,receive,1,2\n\
             1,2,main,0,0,lost,3,0\n\
             1,3,worker-0,7,4711,send,1,2\n\
             1,2,main,0,0,wait-ready,9,12\n"
        );
    }

    #[test]
    fn more_rows_than_one_write_takes_are_all_written_in_whole_lines() {
        /// Output that checks each write.
        struct Lines(usize);
        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                assert!(bytes.ends_with(b"\n"));
                self.0 += bytes.iter().filter(|byte| **byte == b'\n').count();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        const EVENTS: usize = 10_000;
        let mut collector = Collector::new(Arc::new(Recorder::new()), Lines(0));
        let (mut writer, reader) = buffer("1,2,main".to_owned(), EVENTS);
        collector.readers.push(reader);
        let capacity = collector.rows.capacity();
        for at in 0..EVENTS as u64 {
            writer.push(event(Kind::Receive, at, at));
        }
        collector.collect();
        assert_eq!(collector.rows.capacity(), capacity, "no allocation per event");
        assert_eq!(collector.file.unwrap().0, EVENTS);
    }

    #[test]
    fn after_a_failed_write_events_are_dropped_and_buffers_do_not_fill_up() {
        /// Output without space, which must not be written again.
        struct Full(bool);
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                assert!(!self.0, "written after a failure");
                self.0 = true;
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut collector = Collector::new(Arc::new(Recorder::new()), Full(false));
        let (mut writer, reader) = buffer("1,2,main".to_owned(), 2);
        collector.readers.push(reader);
        for at in 0..3 {
            writer.push(event(Kind::Receive, at, at));
            writer.push(event(Kind::Send, at, at));
            collector.collect();
            assert!(collector.file.is_none() && collector.rows.is_empty());
        }
        assert_eq!(collector.readers[0].take_lost(), 0);
    }
}
