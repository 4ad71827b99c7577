//! Decision when to accept, and what to wait for otherwise.

use std::io;
use std::time::Instant;

use crate::server::listener::AcceptError;
use crate::server::state::EXHAUSTION_PAUSE;

/// Decides when an acceptor tries again, from the results reported to it and the time.
///
/// Does no I/O and reads no clock. Every strategy accepts by this policy: no attempt without a
/// permit, none while the accept queue is empty, and a pause while descriptors or memory are
/// exhausted, so that no acceptor spins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AcceptPolicy(Next);

/// Next step of an acceptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Acquire a permit and try to accept.
    Accept,
    /// Wait until the listener is readable: the accept queue is empty.
    WaitForConnection,
    /// Wait until a permit is free: the connection limit is reached.
    WaitForPermit,
    /// Wait until a connection closes, but no longer than this: descriptors or memory have run out.
    WaitForClose {
        /// End of the pause.
        until: Instant,
    },
    /// Accept no more.
    End,
}

impl AcceptPolicy {
    /// Policy of a listener whose accept queue may hold connections.
    pub(crate) fn new() -> Self {
        Self(Next::Accept)
    }

    /// Next step at this time.
    pub(crate) fn next(self, now: Instant) -> Next {
        let has_passed = matches!(self.0, Next::WaitForClose { until } if now >= until);
        if has_passed { Next::Accept } else { self.0 }
    }

    /// The listener was reported readable.
    pub(crate) fn listener_readable(&mut self) {
        if self.0 == Next::WaitForConnection {
            self.0 = Next::Accept;
        }
    }

    /// A connection has closed: a permit and a descriptor may be free.
    pub(crate) fn connection_closed(&mut self) {
        if let Next::WaitForPermit | Next::WaitForClose { .. } = self.0 {
            self.0 = Next::Accept;
        }
    }

    /// No permit was free.
    pub(crate) fn limit_reached(&mut self) {
        self.wait(Next::WaitForPermit);
    }

    /// An attempt failed.
    ///
    /// # Errors
    /// The listener failed for good, before [`end`](Self::end).
    pub(crate) fn failed(&mut self, error: AcceptError, now: Instant) -> io::Result<()> {
        match error {
            AcceptError::WouldBlock => self.wait(Next::WaitForConnection),
            // The next connection may be fine.
            AcceptError::Lost => self.wait(Next::Accept),
            AcceptError::Exhausted(error) => {
                tracing::warn!("accepting pauses: {error}");
                self.wait(Next::WaitForClose { until: now + EXHAUSTION_PAUSE });
            }
            AcceptError::Ended(error) => {
                if self.0 != Next::End {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// No more connections are wanted.
    pub(crate) fn end(&mut self) {
        self.0 = Next::End;
    }

    fn wait(&mut self, next: Next) {
        if self.0 != Next::End {
            self.0 = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;

    fn policy() -> (AcceptPolicy, Instant) {
        (AcceptPolicy::new(), Instant::now())
    }

    #[test]
    fn an_empty_queue_is_tried_again_only_when_the_listener_is_readable() {
        let (mut policy, now) = policy();
        assert_eq!(policy.next(now), Next::Accept);
        policy.failed(Errno::AGAIN.into(), now).unwrap();
        policy.connection_closed();
        assert_eq!(policy.next(now + 2 * EXHAUSTION_PAUSE), Next::WaitForConnection);
        policy.listener_readable();
        assert_eq!(policy.next(now), Next::Accept);
    }

    #[test]
    fn beyond_the_limit_nothing_is_accepted_until_a_connection_closes() {
        let (mut policy, now) = policy();
        policy.limit_reached();
        policy.listener_readable();
        assert_eq!(policy.next(now + 2 * EXHAUSTION_PAUSE), Next::WaitForPermit);
        policy.connection_closed();
        assert_eq!(policy.next(now), Next::Accept);
    }

    #[test]
    fn exhaustion_pauses_until_a_connection_closes_or_the_pause_has_passed() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            let (mut policy, now) = policy();
            policy.failed(errno.into(), now).unwrap();
            let until = now + EXHAUSTION_PAUSE;
            policy.listener_readable();
            let just_before = until.checked_sub(Duration::from_nanos(1)).unwrap();
            assert_eq!(policy.next(just_before), Next::WaitForClose { until }, "{errno:?}");
            assert_eq!(policy.next(until), Next::Accept);
            // A further failure begins a further pause.
            policy.failed(errno.into(), until).unwrap();
            let further = Next::WaitForClose { until: until + EXHAUSTION_PAUSE };
            assert_eq!(policy.next(until), further);
            policy.connection_closed();
            assert_eq!(policy.next(until), Next::Accept);
        }
    }

    #[test]
    fn a_connection_lost_in_the_queue_does_not_end_accepting() {
        let (mut policy, now) = policy();
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN, Errno::TIMEDOUT] {
            policy.failed(errno.into(), now).unwrap();
            assert_eq!(policy.next(now), Next::Accept, "{errno:?}");
        }
    }

    #[test]
    fn a_listener_that_fails_is_an_error_unless_accepting_has_ended() {
        let (mut policy, now) = policy();
        let error = policy.failed(Errno::INVAL.into(), now).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL));
        policy.end();
        for errno in [Errno::INVAL, Errno::AGAIN, Errno::MFILE] {
            policy.failed(errno.into(), now).unwrap();
        }
        policy.limit_reached();
        policy.listener_readable();
        policy.connection_closed();
        assert_eq!(policy.next(now + 2 * EXHAUSTION_PAUSE), Next::End);
    }
}
