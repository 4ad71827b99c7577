//! Report that a strategy can serve.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Report of a strategy that its threads, processes and selectors exist, so that it can serve.
#[derive(Default)]
pub struct Readiness {
    is_reported: AtomicBool,
    call: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Readiness {
    /// Readiness whose first report calls this.
    pub fn calling(call: impl FnOnce() + Send + 'static) -> Self {
        Self { call: Mutex::new(Some(Box::new(call))), ..Self::default() }
    }

    /// Reports that the strategy can serve.
    pub(crate) fn report(&self) {
        self.is_reported.store(true, Ordering::SeqCst);
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(call) = call {
            call();
        }
    }

    /// True if the strategy could serve.
    pub fn is_reported(&self) -> bool {
        self.is_reported.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.is_reported).finish()
    }
}
