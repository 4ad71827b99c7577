//! Trace: actions and waits of each thread of the server, with their times.
//!
//! A thread puts its events into a ring buffer of its own, without a lock. The collector, a thread,
//! appends them to a file. Knows the protocol's actions only.

mod buffer;
mod collector;
pub(crate) mod event;
mod recorder;

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use collector::Collector;
use event::{Event, HEADER, Kind, TracedConnection};
use recorder::Recorder;

/// Trace of a server, recorded by the threads that serve; off by default. Clones are one trace.
///
/// While it is off, an action costs branches on one flag: no clock is read, and nothing is allocated.
/// While it is on, an action costs two readings of the clock and an entry in the thread's buffer.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Arc<Recorder>>);

thread_local! {
    /// Time at which this thread began to wait, between the two hooks of a pool or runtime; 0: it
    /// does not wait.
    static WAITS_SINCE: Cell<u64> = const { Cell::new(0) };
}

impl Trace {
    /// Starts a trace: its rows are appended to the file, after a header line if the file is empty.
    ///
    /// # Errors
    /// The file cannot be opened or written, or no thread can be created.
    pub fn start(path: &Path) -> io::Result<Self> {
        let mut file = open(path)?;
        if file.metadata()?.len() == 0 {
            file.write_all(HEADER.as_bytes())?;
        }
        Self::writing_to(file)
    }

    /// Takes part in a trace that another process has started.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be created.
    pub(crate) fn join(path: &Path) -> io::Result<Self> {
        Self::writing_to(open(path)?)
    }

    fn writing_to(file: impl Write + Send + 'static) -> io::Result<Self> {
        let recorder = Arc::new(Recorder::new());
        let collector = Collector::new(Arc::clone(&recorder), file);
        thread::Builder::new().name("trace".to_owned()).spawn(move || collector.run())?;
        Ok(Self(Some(recorder)))
    }

    /// True if events are recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Numbers a connection that was accepted just now, and records it.
    pub(crate) fn accepted(&self, socket: &OwnedFd) -> TracedConnection {
        let Some(recorder) = &self.0 else { return TracedConnection::default() };
        let now = clock();
        let number = recorder.next_connection();
        let connection = TracedConnection { number, peer_port: peer_port(socket) };
        recorder.record(Event::new(Kind::Accept, connection, (now, now)));
        connection
    }

    /// Begins an action of a connection, whose kind is [set](Span::set) later.
    #[inline]
    pub(crate) fn span(&self, connection: TracedConnection) -> Span<'_> {
        let running = |recorder| Running { recorder, connection, kind: None, from: clock() };
        Span(self.0.as_deref().map(running))
    }

    /// Begins a wait of the thread that belongs to no connection.
    #[inline]
    pub(crate) fn wait(&self, kind: Kind) -> Span<'_> {
        let mut span = self.span(TracedConnection::default());
        span.set(|| kind);
        span
    }

    /// Notes that the thread begins to wait, for pools and runtimes that call hooks.
    pub(crate) fn wait_begins(&self) {
        if self.is_on() {
            WAITS_SINCE.set(clock());
        }
    }

    /// Records the wait that [`wait_begins`](Self::wait_begins) began on this thread, if one has
    /// begun.
    pub(crate) fn wait_ended(&self, kind: Kind) {
        let Some(recorder) = &self.0 else { return };
        let from = WAITS_SINCE.take();
        if from > 0 {
            recorder.record(Event::new(kind, TracedConnection::default(), (from, clock())));
        }
    }

    /// Waits until all events recorded so far are in the file, but no longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        if let Some(recorder) = &self.0 {
            recorder.flush(at_most);
        }
    }
}

/// Action or wait of a thread: begins when it is made, and is recorded when it is dropped.
#[must_use = "it ends when it is dropped"]
pub(crate) struct Span<'t>(Option<Running<'t>>);

struct Running<'t> {
    recorder: &'t Recorder,
    connection: TracedConnection,
    /// A span without a kind is not recorded.
    kind: Option<Kind>,
    from: u64,
}

impl Span<'_> {
    /// Sets the kind.
    #[inline]
    pub(crate) fn set(&mut self, kind: impl FnOnce() -> Kind) {
        if let Some(running) = &mut self.0 {
            running.kind = Some(kind());
        }
    }

    /// Leaves the span out of the trace: its action was not attempted.
    #[inline]
    pub(crate) fn discard(&mut self) {
        self.0 = None;
    }
}

impl Drop for Span<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.end();
        }
    }
}

impl Running<'_> {
    fn end(&self) {
        if let Some(kind) = self.kind {
            self.recorder.record(Event::new(kind, self.connection, (self.from, clock())));
        }
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of `Instant`, which all processes share.
fn clock() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// TCP port of the peer; 0 if it is gone.
fn peer_port(socket: &OwnedFd) -> u16 {
    let peer = rustix::net::getpeername(socket).ok().flatten();
    peer.and_then(|peer| SocketAddr::try_from(peer).ok()).map_or(0, |peer| peer.port())
}

/// Opens a file to which several processes append whole lines.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rows_are_appended_under_one_header_once_they_are_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.csv");
        for runs in 1..=2 {
            let trace = Trace::start(&path).unwrap();
            let begun = clock();
            drop(trace.wait(Kind::WaitReady));
            let mut not_attempted = trace.span(TracedConnection::default());
            not_attempted.set(|| Kind::Receive);
            not_attempted.discard();
            drop(not_attempted);
            drop(trace.span(TracedConnection::default()));
            trace.flush(testkit::PATIENCE);
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 1 + runs, "{text}");
            assert_eq!(lines[0], HEADER.trim_end());
            let columns: Vec<_> = lines[runs].split(',').collect();
            assert_eq!(columns[3..6], ["0", "0", "wait-ready"]);
            let [from, to] = [columns[6], columns[7]].map(|time| time.parse::<u64>().unwrap());
            assert!(begun <= from && from <= to && to <= clock(), "{text}");
        }
    }

    #[test]
    fn the_wait_between_two_hooks_is_recorded_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.csv");
        let trace = Trace::start(&path).unwrap();
        trace.wait_ended(Kind::WaitQueue);
        trace.wait_begins();
        trace.wait_ended(Kind::WaitQueue);
        trace.wait_ended(Kind::WaitQueue);
        trace.flush(testkit::PATIENCE);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(",wait-queue,").count(), 1, "{text}");
    }

    #[test]
    fn a_trace_that_is_off_records_nothing() {
        let trace = Trace::default();
        assert!(!trace.is_on());
        assert!(trace.wait(Kind::WaitReady).0.is_none());
        trace.wait_begins();
        assert_eq!(WAITS_SINCE.get(), 0);
        trace.flush(Duration::MAX);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Trace::start(&folder.path().join("missing/trace.csv")).is_err());
        assert!(Trace::start(Path::new("/dev/full")).is_err());
    }
}
