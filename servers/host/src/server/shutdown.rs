//! The request to stop, and how it reaches threads that wait elsewhere.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A request to stop that any thread can make and every strategy obeys. Clones are one request.
///
/// Triggered once, it asks for a drain: no new connections, requests in progress are finished.
/// Triggered again, it asks for an end at once.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Default)]
struct Inner {
    triggered: AtomicU8,
    callbacks: Mutex<Vec<Callback>>,
}

/// What is called at a trigger, with the request.
type Callback = Box<dyn Fn(&Shutdown) + Send>;

impl Shutdown {
    /// A request not yet made.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a drain; the second time, for an end at once.
    pub fn trigger(&self) {
        let callbacks = self.0.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.triggered.load(Ordering::SeqCst);
        self.0.triggered.store(before.saturating_add(1), Ordering::SeqCst);
        for wake in callbacks.iter() {
            wake(self);
        }
    }

    /// Whether a drain was asked for.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst) > 0
    }

    /// Whether an end at once was asked for.
    pub fn is_urgent(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst) > 1
    }

    /// Has `wake` called at each trigger, and at once where it was triggered before: for waking
    /// a thread that waits for something else. It is called with the request, of which it must not
    /// keep a clone: the two would keep each other, and all that `wake` holds, for ever.
    pub fn on_trigger(&self, wake: impl Fn(&Self) + Send + 'static) {
        let mut callbacks = self.0.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_triggered() {
            wake(self);
        }
        callbacks.push(Box::new(wake));
    }
}

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shutdown").field(&self.0.triggered).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_second_trigger_is_urgent_and_each_wakes() {
        let shutdown = Shutdown::new();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        shutdown.on_trigger(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        assert!(shutdown.is_triggered() && !shutdown.is_urgent());
        shutdown.trigger();
        assert!(shutdown.is_urgent());
        assert_eq!(woken.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn whoever_comes_late_is_woken_at_once() {
        let shutdown = Shutdown::new();
        shutdown.trigger();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        shutdown.on_trigger(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }
}
