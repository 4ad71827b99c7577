//! Wakers of connections and of the threads that serve them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// A driver of many connections that steps one of them again when another thread asks for it.
pub(crate) trait WakeConnection: Send + Sync + 'static {
    /// Key of a connection.
    type Key: Copy + Send + Sync + 'static;

    /// Has the connection stepped. The slot may have been reused since the waker was made; a
    /// spurious wake-up is harmless.
    fn wake_connection(&self, key: Self::Key);
}

/// Waker of the connection of a key.
pub(crate) fn connection_waker<D: WakeConnection>(driver: &Arc<D>, key: D::Key) -> Waker {
    Waker::from(Arc::new(ConnectionWaker { driver: Arc::clone(driver), key }))
}

struct ConnectionWaker<D: WakeConnection> {
    driver: Arc<D>,
    key: D::Key,
}

impl<D: WakeConnection> Wake for ConnectionWaker<D> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.driver.wake_connection(self.key);
    }
}

/// Wakes a thread that polls this descriptor beside others.
#[derive(Debug)]
pub(crate) struct EventfdWaker(OwnedFd);

impl EventfdWaker {
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn new() -> Result<Self, Errno> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Makes the descriptor readable.
    pub(crate) fn wake(&self) {
        // Fails only at the highest count, where the descriptor is readable already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable until the next wake-up.
    pub(crate) fn clear(&self) {
        // Fails only without a wake-up since the last call.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl Wake for EventfdWaker {
    fn wake(self: Arc<Self>) {
        Self::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Self::wake(self);
    }
}

impl AsFd for EventfdWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
