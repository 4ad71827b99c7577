//! Thread for the store's periodic work.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Thread that repeats its work until this is dropped.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Closing the channel ends the thread.
    _end: Sender<()>,
}

impl Upkeep {
    /// Does `work` after each period. Without threads left, nothing does it.
    pub(super) fn start(period: Duration, mut work: impl FnMut() + Send + 'static) -> Self {
        let (end, ended) = channel();
        let repeat = move || {
            while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                work();
            }
        };
        if let Err(error) = thread::Builder::new().name("upkeep".to_owned()).spawn(repeat) {
            tracing::warn!(
                "cannot create the thread that closes deleted files and expires resumable uploads: {error}"
            );
        }
        Self { _end: end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_repeated_until_the_end() {
        let (done, work) = channel();
        let upkeep = Upkeep::start(Duration::from_millis(1), move || {
            let _ = done.send(());
        });
        for _ in 0..3 {
            work.recv().unwrap();
        }
        drop(upkeep);
        // The channel closes with its thread.
        while work.recv().is_ok() {}
    }
}
