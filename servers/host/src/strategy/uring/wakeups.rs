//! Wake-ups of the driver by other threads.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::ring::Token;
use crate::strategy::parts::waker::{EventfdWaker, WakeConnection};

/// Wakes the driver, and collects the connections that may have mail.
pub(super) struct Wakeups {
    waker: EventfdWaker,
    woken: Mutex<Vec<Token>>,
}

impl Wakeups {
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self { waker: EventfdWaker::new()?, woken: Mutex::default() })
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Makes the descriptor unreadable until the next wake-up; returns the connections to step.
    pub(super) fn take(&self) -> Vec<Token> {
        self.waker.clear();
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WakeConnection for Wakeups {
    type Key = Token;

    fn wake_connection(&self, token: Token) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.push(token);
        let is_first = woken.len() == 1;
        drop(woken);
        if is_first {
            self.wake();
        }
    }
}

/// Readable once the driver is woken.
impl AsFd for Wakeups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}
