//! Deadlines of many connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many connections, by their keys in a slab; cheap to postpone.
///
/// A key has at most one valid entry, at or before its real deadline. Postponing a deadline, as
/// every request does, changes nothing here, nor does a new connection under a reused key: when the
/// entry falls due, the owner reads the real deadline and schedules it. So the number of entries
/// depends on the connections, not on the requests.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    entries: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Valid entry of each key.
    scheduled: Vec<Option<Instant>>,
}

impl Deadlines {
    /// Has the key fall due at this time, or before.
    pub(crate) fn want(&mut self, key: usize, at: Instant) {
        if key >= self.scheduled.len() {
            self.scheduled.resize(key + 1, None);
        }
        if self.scheduled[key].is_none_or(|scheduled| at < scheduled) {
            self.scheduled[key] = Some(at);
            self.entries.push(Reverse((at, key)));
        }
    }

    /// Time at which the next entry falls due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    /// Next key whose connection's own deadline has passed. `deadline` returns it, or `None` for a
    /// connection that is gone or needs none now; a later one is scheduled anew.
    pub(crate) fn pop_expired(
        &mut self,
        now: Instant,
        deadline: impl Fn(usize) -> Option<Instant>,
    ) -> Option<usize> {
        while let Some(key) = self.pop_due(now) {
            match deadline(key) {
                Some(at) if at > now => self.want(key, at),
                Some(_) => return Some(key),
                None => {}
            }
        }
        None
    }

    /// Takes out a key that has fallen due.
    fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while self.next()? <= now {
            let Reverse((at, key)) = self.entries.pop()?;
            if self.scheduled[key] == Some(at) {
                self.scheduled[key] = None;
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_fall_due_in_order_and_not_before_their_time() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut deadlines = Deadlines::default();
        deadlines.want(1, at(30));
        deadlines.want(2, at(10));
        deadlines.want(3, at(20));
        assert_eq!(deadlines.pop_due(at(5)), None);
        assert_eq!(deadlines.pop_due(at(25)), Some(2));
        assert_eq!(deadlines.pop_due(at(25)), Some(3));
        assert_eq!(deadlines.pop_due(at(25)), None);
        assert_eq!(deadlines.next(), Some(at(30)));
    }

    #[test]
    fn a_postponed_deadline_is_scheduled_anew_and_a_missing_one_forgotten() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let mut deadlines = Deadlines::default();
        for key in 0..3 {
            deadlines.want(key, now);
        }
        let own = [Some(later), None, Some(now)];
        assert_eq!(deadlines.pop_expired(now, |key| own[key]), Some(2));
        assert_eq!(deadlines.pop_expired(now, |key| own[key]), None);
        assert_eq!(deadlines.next(), Some(later));
        assert_eq!(deadlines.pop_expired(later, |key| own[key]), Some(0));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn only_an_earlier_time_adds_an_entry_and_it_falls_due_once() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut deadlines = Deadlines::default();
        for postponed in 75..1000 {
            deadlines.want(0, at(postponed));
        }
        deadlines.want(0, at(20));
        assert_eq!(deadlines.entries.len(), 2);
        assert_eq!(deadlines.pop_due(at(100)), Some(0));
        assert_eq!(deadlines.pop_due(at(100)), None);
    }
}
