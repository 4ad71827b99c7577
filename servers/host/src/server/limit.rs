//! How many connections are open, and how many may be.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts open connections against the limit. Beyond it, connections wait in the backlog.
#[derive(Debug)]
pub struct ConnectionLimit {
    open: Mutex<usize>,
    closed_one: Condvar,
    /// Told, once, when a place becomes free.
    refused: Mutex<Vec<Waiter>>,
    max: usize,
}

/// What wakes someone who can't wait for a place by blocking.
#[derive(Clone)]
pub struct Waiter(Arc<dyn Fn() + Send + Sync>);

impl Waiter {
    /// Has `wake` called, from whichever thread makes room.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiter")
    }
}

/// One open connection's place; dropping it makes room for another.
#[derive(Debug)]
pub struct Permit(Arc<ConnectionLimit>);

impl ConnectionLimit {
    /// A gate for at most `max` connections.
    pub fn new(max: usize) -> Self {
        let refused = Mutex::new(Vec::new());
        Self { open: Mutex::new(0), closed_one: Condvar::new(), refused, max }
    }

    /// Takes a place, if one is free.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut open = self.lock();
        if *open >= self.max {
            return None;
        }
        *open += 1;
        Some(Permit(Arc::clone(self)))
    }

    /// Takes a place; where none is free, the waiter is woken once one may be.
    pub fn try_acquire_or_wake(self: &Arc<Self>, waiter: &Waiter) -> Option<Permit> {
        self.try_acquire().or_else(|| {
            let mut refused = self.refused();
            if !refused.iter().any(|known| Arc::ptr_eq(&known.0, &waiter.0)) {
                refused.push(waiter.clone());
            }
            drop(refused);
            // One may have become free before the waiter was known.
            self.try_acquire()
        })
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.max.saturating_sub(*self.lock())
    }

    /// Whether a place is free.
    pub fn has_room(&self) -> bool {
        *self.lock() < self.max
    }

    /// Waits until a place is free or `wake` is called, but no longer than this.
    pub fn wait_for_room(&self, at_most: Duration) {
        let open = self.lock();
        // One may have become free since a caller was refused.
        if *open >= self.max {
            drop(self.closed_one.wait_timeout(open, at_most));
        }
    }

    /// How many connections may be open.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How many places are taken: by open connections, and by the thread, if any, that waits in
    /// `accept` and already holds the place of the connection to come.
    pub fn open(&self) -> usize {
        *self.lock()
    }

    /// Waits until some connection closes or `wake` is called, but no longer than this.
    pub fn wait_for_close(&self, at_most: Duration) {
        let open = self.lock();
        drop(self.closed_one.wait_timeout(open, at_most));
    }

    /// Waits until no connection is open, `give_up` says so, or the deadline has passed; tells
    /// whether none is open.
    pub fn wait_until_empty(&self, deadline: Instant, give_up: impl Fn() -> bool) -> bool {
        let mut open = self.lock();
        while *open > 0 && !give_up() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            open = match self.closed_one.wait_timeout(open, left) {
                Ok((open, _)) => open,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        *open == 0
    }

    /// Wakes whoever waits, so that it looks again at what else it waits for.
    pub fn wake(&self) {
        let _open = self.lock();
        self.closed_one.notify_all();
    }

    fn refused(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.closed_one.notify_all();
        let refused = std::mem::take(&mut *self.0.refused());
        for waiter in refused {
            (waiter.0)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_limit_admits_again_once_a_permit_is_dropped() {
        let limit = Arc::new(ConnectionLimit::new(2));
        let first = limit.try_acquire();
        let second = limit.try_acquire();
        assert!(first.is_some() && second.is_some() && limit.try_acquire().is_none());
        drop(first);
        assert_eq!(limit.open(), 1);
        assert!(limit.try_acquire().is_some());
    }

    #[test]
    fn a_refused_waiter_is_woken_once_when_a_permit_is_free() {
        let limit = Arc::new(ConnectionLimit::new(1));
        let woken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let waiter = Waiter::new(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        });
        let permit = limit.try_acquire_or_wake(&waiter);
        assert!(permit.is_some());
        for _ in 0..3 {
            assert!(limit.try_acquire_or_wake(&waiter).is_none());
        }
        drop(permit);
        assert_eq!(woken.load(std::sync::atomic::Ordering::SeqCst), 1);
        drop(limit.try_acquire());
        assert_eq!(woken.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[test]
    fn a_permit_dropped_before_the_waiting_begins_ends_it() {
        let limit = Arc::new(ConnectionLimit::new(1));
        let permit = limit.try_acquire();
        assert!(limit.try_acquire().is_none());
        drop(permit);
        // No further connection would wake it.
        let forever = Duration::from_secs(u64::from(u32::MAX));
        limit.wait_for_room(forever);
        assert!(limit.try_acquire().is_some());
    }

    #[test]
    fn waiting_for_emptiness_ends_when_the_last_permit_is_dropped() {
        let limit = Arc::new(ConnectionLimit::new(1));
        let permit = limit.try_acquire();
        let waiter = {
            let limit = Arc::clone(&limit);
            std::thread::spawn(move || {
                limit.wait_until_empty(Instant::now() + Duration::from_secs(60), || false)
            })
        };
        drop(permit);
        assert!(waiter.join().unwrap());
    }
}
