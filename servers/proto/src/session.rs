//! One connection's state machine.

use std::sync::Arc;
use std::time::Instant;

use crate::{Action, Completion, IoBuffers, Now, Settings, Wire};

/// One connection's state machine: see the [crate] for how it is driven.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
}

impl Session {
    /// A session for a connection accepted now.
    pub fn new(settings: Arc<Settings>, _now: Now) -> Self {
        Self { settings }
    }

    /// The next operation for the driver; the same one until its completion is handed in.
    pub fn poll_action(&mut self, _io: &mut IoBuffers) -> Action<'_> {
        let _ = &self.settings;
        Action::Close
    }

    /// Takes in what came of the outstanding action.
    pub fn handle_completion(&mut self, _io: &mut IoBuffers, _done: Completion, _now: Now) {}

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` while the session
    /// waits for the store rather than for its peer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Tells that time has passed. Does nothing before the instant of
    /// [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, _io: &mut IoBuffers, _now: Now) {}

    /// Finishes the request in progress, if any, and then closes; an idle session closes at once.
    pub fn begin_drain(&mut self) {}

    /// Whether the session waits for the first byte of a request: closing it now loses nothing.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// How many requests were answered completely, successfully or not.
    pub fn requests(&self) -> u64 {
        0
    }

    /// The wire in use, once it is known.
    pub fn wire(&self) -> Option<Wire> {
        None
    }
}
