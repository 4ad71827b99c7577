//! What other threads have to tell the driver.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

use super::ring::Token;

/// Wakes the driver, and tells it which connections may have mail.
pub(super) struct Calls {
    bell: OwnedFd,
    called: Mutex<Vec<Token>>,
}

/// Has the driver step a connection.
struct Call {
    calls: Arc<Calls>,
    token: Token,
}

impl Calls {
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { bell, called: Mutex::default() })
    }

    /// Readable once the driver is woken.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(super) fn wake(&self) {
        // Where the count is full, it is woken already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Has the next wake be noticed again, and returns who was called.
    pub(super) fn take(&self) -> Vec<Token> {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut *self.called.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What has the driver step a connection.
    pub(super) fn waker(self: &Arc<Self>, token: Token) -> std::task::Waker {
        std::task::Waker::from(Arc::new(Call { calls: Arc::clone(self), token }))
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut called = self.calls.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.push(self.token);
        let is_first = called.len() == 1;
        drop(called);
        if is_first {
            self.calls.wake();
        }
    }
}
