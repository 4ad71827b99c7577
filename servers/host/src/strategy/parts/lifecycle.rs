//! Schedule of an event loop: turns to come, deadlines, and the drain at its end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::accept_policy::Next;
use super::deadlines::Deadlines;

/// Schedule of an event loop, by the keys of its connections.
///
/// Does no I/O and reads no clock.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    pub(crate) deadlines: Deadlines,
    /// Connections whose turn ended before their work did.
    yielded: VecDeque<usize>,
    /// End of the drain; set once it has begun.
    drain_ends: Option<Instant>,
}

impl Lifecycle {
    /// Gives the connection another turn after the others.
    pub(crate) fn push_yielded(&mut self, key: usize) {
        self.yielded.push_back(key);
    }

    /// Connections that wait for another turn.
    pub(crate) fn yielded(&self) -> usize {
        self.yielded.len()
    }

    /// Next connection that waits for another turn.
    pub(crate) fn pop_yielded(&mut self) -> Option<usize> {
        self.yielded.pop_front()
    }

    /// Begins a drain that may take this long; false if one has begun.
    pub(crate) fn begin_drain(&mut self, now: Instant, at_most: Duration) -> bool {
        let begins = self.drain_ends.is_none();
        if begins {
            self.drain_ends = Some(now + at_most);
        }
        begins
    }

    /// True if the drain has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain_ends.is_some()
    }

    /// True if the loop ends: it drains, and has no connection left or no time.
    pub(crate) fn is_over(&self, now: Instant, is_empty: bool, is_urgent: bool) -> bool {
        self.drain_ends.is_some_and(|ends| is_empty || is_urgent || now >= ends)
    }

    /// Longest wait for events; `None` without limit.
    pub(crate) fn poll_timeout(&self, now: Instant, accept: Next) -> Option<Duration> {
        let accept_at = match accept {
            Next::Accept => Some(now),
            Next::WaitForClose { until } => Some(until),
            Next::WaitForConnection | Next::WaitForPermit | Next::End => None,
        };
        let turn_at = (!self.yielded.is_empty()).then_some(now);
        let times = [turn_at, accept_at, self.deadlines.next(), self.drain_ends];
        let next = times.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_loop_waits_until_the_earliest_of_its_times() {
        let (mut lifecycle, now) = (Lifecycle::default(), Instant::now());
        let idle = Next::WaitForConnection;
        assert_eq!(lifecycle.poll_timeout(now, idle), None);
        assert_eq!(lifecycle.poll_timeout(now, Next::WaitForPermit), None);
        assert_eq!(lifecycle.poll_timeout(now, Next::Accept), Some(Duration::ZERO));
        lifecycle.deadlines.want(0, now + 5 * SECOND);
        assert_eq!(lifecycle.poll_timeout(now, idle), Some(5 * SECOND));
        let paused = Next::WaitForClose { until: now + 3 * SECOND };
        assert_eq!(lifecycle.poll_timeout(now, paused), Some(3 * SECOND));
        assert!(lifecycle.begin_drain(now, 2 * SECOND));
        assert_eq!(lifecycle.poll_timeout(now, Next::End), Some(2 * SECOND));
        // A deadline that has passed meanwhile.
        assert_eq!(lifecycle.poll_timeout(now + 9 * SECOND, idle), Some(Duration::ZERO));
        lifecycle.push_yielded(7);
        assert_eq!(lifecycle.poll_timeout(now, idle), Some(Duration::ZERO));
        assert_eq!((lifecycle.yielded(), lifecycle.pop_yielded()), (1, Some(7)));
        assert_eq!(lifecycle.poll_timeout(now, Next::End), Some(2 * SECOND));
    }

    #[test]
    fn a_drain_ends_with_the_last_connection_its_time_or_a_second_trigger() {
        let (mut lifecycle, now) = (Lifecycle::default(), Instant::now());
        assert!(!lifecycle.is_over(now, true, true), "without a drain the loop never ends");
        assert!(lifecycle.begin_drain(now, SECOND) && lifecycle.is_draining());
        assert!(!lifecycle.begin_drain(now + SECOND, SECOND), "a drain is not prolonged");
        assert!(!lifecycle.is_over(now, false, false));
        assert!(lifecycle.is_over(now, true, false));
        assert!(lifecycle.is_over(now, false, true));
        assert!(lifecycle.is_over(now + SECOND, false, false));
    }
}
