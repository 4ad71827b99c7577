//! Output of lines by a thread of its own, so that no other thread waits for whoever reads them.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes that wait to be written; further lines are dropped.
const MOST_BYTES: usize = 1 << 20;

/// Queue of lines for an output that may be slow or stuck. Clones are one queue.
///
/// A thread, started by the first line, writes them in large pieces. The writers of lines never
/// wait: a line that finds the queue full is dropped, and the number of dropped lines follows the
/// lines before them.
#[derive(Clone)]
pub(crate) struct LineQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Time that lines may wait for others.
    delay: Duration,
}

struct State {
    pending: Vec<u8>,
    dropped: u64,
    stage: Stage,
}

enum Stage {
    /// No line has come yet.
    Unstarted(Box<dyn Write + Send>),
    /// The thread waits for lines.
    Waiting,
    /// The thread writes.
    Writing,
    /// The output is closed, or there is no thread for it.
    Closed,
}

impl LineQueue {
    /// Queue of this output. Lines wait for others for up to `delay`.
    pub(crate) fn on(output: impl Write + Send + 'static, delay: Duration) -> Self {
        let stage = Stage::Unstarted(Box::new(output));
        let state = State { pending: Vec::new(), dropped: 0, stage };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), delay }))
    }

    /// Appends what `compose` writes, which ends with a line end, unless the queue is full.
    pub(crate) fn write_line(&self, compose: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        if let Stage::Unstarted(_) = state.stage {
            self.start(&mut state);
        }
        match state.stage {
            Stage::Closed => {}
            _ if state.pending.len() >= MOST_BYTES => state.dropped += 1,
            Stage::Unstarted(_) | Stage::Waiting | Stage::Writing => {
                let is_first = state.pending.is_empty();
                compose(&mut state.pending);
                if is_first {
                    self.0.changed.notify_all();
                }
            }
        }
    }

    fn start(&self, state: &mut State) {
        let Stage::Unstarted(output) = std::mem::replace(&mut state.stage, Stage::Waiting) else {
            return;
        };
        let shared = Arc::clone(&self.0);
        let run = move || shared.run(output);
        if thread::Builder::new().name("output".to_owned()).spawn(run).is_err() {
            state.stage = Stage::Closed;
        }
    }

    /// Waits until all lines are written, but no longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let mut state = self.0.lock();
        while matches!(state.stage, Stage::Writing) || !state.pending.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            state = self.0.wait(state, left.min(Duration::from_millis(20)));
        }
    }
}

impl Shared {
    /// Writes the lines as they come, until the output is closed.
    fn run(&self, mut output: Box<dyn Write + Send>) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            state.stage = Stage::Waiting;
            self.changed.notify_all();
            while state.pending.is_empty() {
                state = self.wait(state, Duration::MAX);
            }
            state.stage = Stage::Writing;
            drop(state);
            if !self.delay.is_zero() {
                thread::sleep(self.delay);
            }
            let mut state = self.lock();
            std::mem::swap(&mut state.pending, &mut lines);
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            if dropped > 0 {
                // A vector takes whatever is written.
                let _ = writeln!(lines, "({dropped} lines dropped: the output is too slow)");
            }
            if output.write_all(&lines).and_then(|()| output.flush()).is_err() {
                let mut state = self.lock();
                state.stage = Stage::Closed;
                state.pending = Vec::new();
                return;
            }
            lines.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, at_most: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Write for LineQueue {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_line(|pending| pending.extend_from_slice(lines));
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LineQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Output that reports each write and waits for leave.
    struct Stuck(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_a_full_queue_are_dropped_and_counted() {
        let (written, writes) = channel();
        let (leave, awaited) = channel();
        let queue = LineQueue::on(Stuck(written, awaited), Duration::ZERO);
        queue.write_line(|line| line.extend_from_slice(b"first\n"));
        assert_eq!(writes.recv().unwrap(), b"first\n");
        let long = [b"x".repeat(MOST_BYTES / 4 - 1), b"\n".to_vec()].concat();
        for _ in 0..7 {
            queue.write_line(|line| line.extend_from_slice(&long));
        }
        leave.send(()).unwrap();
        let rest = String::from_utf8(writes.recv().unwrap()).unwrap();
        assert_eq!(
            rest.len() - rest.find('(').unwrap(),
            "(3 lines dropped: the output is too slow)\n".len()
        );
        assert!(
            rest.starts_with("xxx")
                && rest.ends_with("(3 lines dropped: the output is too slow)\n")
        );
        leave.send(()).unwrap();
        queue.flush(Duration::from_secs(60));
        queue.write_line(|line| line.extend_from_slice(b"last\n"));
        assert_eq!(writes.recv().unwrap(), b"last\n");
        // The output fails: lines go nowhere, and nobody waits.
        drop(leave);
        queue.flush(Duration::from_secs(60));
        queue.write_line(|line| line.extend_from_slice(b"lost\n"));
        queue.flush(Duration::from_secs(60));
    }
}
