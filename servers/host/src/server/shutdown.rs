//! Request to stop, and its delivery to waiting threads.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Request to stop, which any thread can trigger. Clones are one request.
///
/// The first trigger begins a drain: no new connections, and requests in progress are finished. The
/// second ends the server at once.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Default)]
struct Inner {
    triggered: AtomicU8,
    callbacks: Mutex<Vec<Callback>>,
}

/// Function called at a trigger, with the request.
type Callback = Box<dyn Fn(&Shutdown) + Send>;

impl Shutdown {
    /// Request that is not triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a drain; the second time, ends the server at once.
    pub fn trigger(&self) {
        let callbacks = self.0.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.triggered.load(Ordering::SeqCst);
        self.0.triggered.store(before.saturating_add(1), Ordering::SeqCst);
        for wake in callbacks.iter() {
            wake(self);
        }
    }

    /// True if a drain has begun.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst) > 0
    }

    /// True if the server ends at once.
    pub fn is_urgent(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst) > 1
    }

    /// Has `wake` called at each trigger, and at once if triggered before: to wake a thread that
    /// waits for something else. Its argument is the request, of which it must not keep a clone:
    /// that would be a reference cycle.
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
