//! Fair share of connections that one thread serves in turn.

use crate::connection::sending::STEP_BYTES;

/// Connections accepted before open ones get their turn.
pub(crate) const ACCEPTS_PER_TURN: usize = 64;
/// Body bytes after which a turn ends,
const TURN_BYTES: u64 = STEP_BYTES;
/// and steps, whichever comes first: about a dozen small requests.
const TURN_STEPS: usize = 64;

/// End of a connection's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The connection waits for its peer, the time, or another connection's message.
    Pending,
    /// Its share is spent; it goes on after the others.
    Yielded,
    /// The conversation is over, or the connection is broken.
    Closed,
}

/// Rest of a turn.
#[derive(Debug)]
pub(crate) struct Share {
    steps: usize,
    bytes: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self { steps: TURN_STEPS, bytes: TURN_BYTES }
    }
}

impl Share {
    /// Share of this many steps, however many bytes they move.
    pub(crate) fn of_steps(steps: usize) -> Self {
        Self { steps, bytes: u64::MAX }
    }

    /// Takes one step out of the share; false once it is spent.
    pub(crate) fn take_step(&mut self) -> bool {
        if self.steps == 0 || self.bytes == 0 {
            return false;
        }
        self.steps -= 1;
        true
    }

    /// Takes moved body bytes out of the share.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spent_by_steps_or_by_bytes() {
        let mut share = Share::default();
        for _ in 0..TURN_STEPS {
            assert!(share.take_step());
            share.spend(TURN_BYTES / TURN_STEPS as u64 / 2);
        }
        assert!(!share.take_step());

        let mut share = Share::default();
        assert!(share.take_step());
        share.spend(TURN_BYTES - 1);
        assert!(share.take_step());
        share.spend(u64::MAX);
        assert!(!share.take_step());

        let mut share = Share::of_steps(1);
        share.spend(TURN_BYTES);
        assert!(share.take_step() && !share.take_step());
    }
}
