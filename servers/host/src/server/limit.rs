//! Number of open connections, and its limit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::trace::event::TracedConnection;

/// Counts open connections against a limit. Beyond it, connections wait in the accept queue.
#[derive(Debug)]
pub struct ConnectionLimit {
    open: Mutex<usize>,
    closed_one: Condvar,
    wakers: Mutex<Wakers>,
    max: usize,
    /// Connections by address and their limit, if there is one.
    by_address: Option<(usize, Mutex<HashMap<IpAddr, usize>>)>,
}

/// Wakes an acceptor that cannot block while no permit is free.
#[derive(Clone)]
pub struct PermitWaker(Arc<Wake>);

struct Wake {
    is_woken: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl PermitWaker {
    /// Waker that calls `wake`, from the thread that closes a connection.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Wake { is_woken: AtomicBool::new(false), wake: Box::new(wake) }))
    }

    /// True if it was woken since the last call.
    pub fn take_woken(&self) -> bool {
        // The common case writes nothing.
        self.0.is_woken.load(Ordering::SeqCst) && self.0.is_woken.swap(false, Ordering::SeqCst)
    }

    fn wake(&self) {
        self.0.is_woken.store(true, Ordering::SeqCst);
        (self.0.wake)();
    }
}

impl std::fmt::Debug for PermitWaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PermitWaker").field(&self.0.is_woken).finish()
    }
}

/// Wakers that wait, each for one wake-up.
#[derive(Debug, Default)]
struct Wakers {
    /// For a permit.
    refused: Vec<PermitWaker>,
    /// For a connection to close, since descriptors or memory have run out.
    exhausted: Vec<PermitWaker>,
}

fn register(wakers: &mut Vec<PermitWaker>, waker: &PermitWaker) {
    if !wakers.iter().any(|known| Arc::ptr_eq(&known.0, &waker.0)) {
        wakers.push(waker.clone());
    }
}

/// Right to one open connection; dropping it frees the permit for another.
#[derive(Debug)]
pub struct Permit {
    limit: Arc<ConnectionLimit>,
    is_used: bool,
    /// Counted by address.
    address: Option<IpAddr>,
    /// Its connection in the trace, once it is accepted.
    pub(crate) traced: TracedConnection,
}

impl Permit {
    /// Frees the permit of a connection that was not accepted.
    pub(crate) fn free_unused(mut self) {
        self.is_used = false;
    }

    /// True if its connection is within the limit of its peer's address. If not, it is to be
    /// closed.
    pub(crate) fn admits(&mut self, socket: &OwnedFd) -> bool {
        let Some((max, open)) = &self.limit.by_address else { return true };
        // A peer that is gone has no address, and its connection ends at once.
        let Some(address) = peer(socket) else { return true };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= *max {
            drop(open);
            tracing::debug!("{address}: a connection is refused: it has {max} already");
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }
}

impl ConnectionLimit {
    /// Limit of `max` connections.
    pub fn new(max: usize) -> Self {
        let wakers = Mutex::default();
        Self { open: Mutex::new(0), closed_one: Condvar::new(), wakers, max, by_address: None }
    }

    /// The same, and at most so many of one address.
    pub fn per_address(self, max: usize) -> Self {
        Self { by_address: Some((max, Mutex::default())), ..self }
    }

    /// Takes a permit, if one is free.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut open = self.lock();
        if *open >= self.max {
            return None;
        }
        *open += 1;
        let traced = TracedConnection::default();
        Some(Permit { limit: Arc::clone(self), is_used: true, address: None, traced })
    }

    /// Takes a permit; if none is free, the waker is woken once one may be.
    pub fn try_acquire_or_wake(self: &Arc<Self>, waker: &PermitWaker) -> Option<Permit> {
        self.try_acquire().or_else(|| {
            register(&mut self.wakers().refused, waker);
            // One may have become free before the waker was registered.
            self.try_acquire()
        })
    }

    /// Has the waker woken, once, by the next connection that closes.
    pub fn wake_on_close(&self, waker: &PermitWaker) {
        register(&mut self.wakers().exhausted, waker);
    }

    /// Number of free permits.
    pub fn free(&self) -> usize {
        self.max.saturating_sub(*self.lock())
    }

    /// Waits until a permit is free or `wake` is called, but no longer than this.
    pub fn wait_for_room(&self, at_most: Duration) {
        let open = self.lock();
        // One may have become free since a caller was refused.
        if *open >= self.max {
            drop(self.closed_one.wait_timeout(open, at_most));
        }
    }

    /// Most open connections.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Number of permits in use: by open connections, and by a thread that waits in `accept` with
    /// the permit of the next connection.
    pub fn open(&self) -> usize {
        *self.lock()
    }

    /// Waits until a connection closes or `wake` is called, but no longer than this.
    pub fn wait_for_close(&self, at_most: Duration) {
        let open = self.lock();
        drop(self.closed_one.wait_timeout(open, at_most));
    }

    /// Waits until no connection is open, `give_up` returns true, or the deadline has passed.
    /// Returns whether none is open.
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

    /// Wakes all waiting threads, so that they check their other conditions.
    pub fn wake(&self) {
        let _open = self.lock();
        self.closed_one.notify_all();
    }

    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Address of a socket's peer, the same over IPv4 and IPv4 in IPv6.
fn peer(socket: &OwnedFd) -> Option<IpAddr> {
    let address = rustix::net::getpeername(socket).ok()??;
    Some(SocketAddr::try_from(address).ok()?.ip().to_canonical())
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let (Some((_, open)), Some(address)) = (&self.limit.by_address, self.address) {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Entry::Occupied(mut count) = open.entry(address) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        *self.limit.lock() -= 1;
        self.limit.closed_one.notify_all();
        let mut wakers = self.limit.wakers();
        let refused = std::mem::take(&mut wakers.refused);
        // A permit that came back unused has closed nothing: acceptors that have run out of
        // descriptors would wake each other in turn.
        let exhausted = match self.is_used {
            true => std::mem::take(&mut wakers.exhausted),
            false => Vec::new(),
        };
        drop(wakers);
        for waker in refused.into_iter().chain(exhausted) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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
    fn a_waker_is_woken_once_by_the_next_connection_that_closes() {
        let limit = Arc::new(ConnectionLimit::new(2));
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let waker = PermitWaker::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let permits = [(); 2].map(|()| limit.try_acquire_or_wake(&waker));
        assert!(permits.iter().all(Option::is_some));
        for _ in 0..3 {
            assert!(limit.try_acquire_or_wake(&waker).is_none());
        }
        assert!(!waker.take_woken());
        drop(permits);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(waker.take_woken() && !waker.take_woken());
        drop(limit.try_acquire());
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        // Also where permits are free, for an acceptor that has run out of descriptors.
        let permit = limit.try_acquire();
        limit.wake_on_close(&waker);
        limit.try_acquire().unwrap().free_unused();
        assert!(!waker.take_woken());
        drop(permit);
        assert!(waker.take_woken());
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
