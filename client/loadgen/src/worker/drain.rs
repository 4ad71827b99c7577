//! Drain: the time after the window in which its requests are followed to their replies.
//!
//! The load continues, uncounted, until every thread has the replies to its requests of the window,
//! or for [`LoadSpec::drain`](crate::LoadSpec::drain). Then the server answers the last requests of
//! the window under the same load as the first. Requests that have waited since before the window
//! do not prolong it: their connections are starved.

use std::sync::atomic::Ordering;

use super::Worker;
use crate::clock::duration_ns;
use crate::engine::Sockets;
use crate::measure::tally::Times;
use crate::spec::RequestClass;
use crate::worker::connection::Phase;

/// Interval between looks at the progress of the other threads.
const OTHERS_NS: u64 = 1_000_000;

/// State of a thread after the window.
#[derive(Debug)]
pub(super) struct Drain {
    /// Latest end.
    until_ns: u64,
    /// Sent requests of the window without a reply.
    outstanding: usize,
    /// True if no request of the window is left, and the other threads know it.
    is_done: bool,
}

impl Drain {
    /// Time of the next look at its end.
    pub(super) fn edge_ns(&self, now: u64) -> u64 {
        if self.is_done { self.until_ns.min(now + OTHERS_NS) } else { self.until_ns }
    }
}

impl<'a, S: Sockets<'a>> Worker<'a, S> {
    /// Ends the window.
    pub(super) fn begin_drain(&mut self, now: u64) {
        self.tally.end_window(now);
        // Those sent from now on are not of the window.
        self.stamp();
        let mut outstanding = 0;
        for connection in &self.connections {
            let exchange = &connection.exchange;
            let is_awaited = exchange.pending && self.window.contains(&exchange.intended_ns);
            outstanding += usize::from(is_awaited);
            let is_starved = connection.is_unanswered() && connection.phase != Phase::Thinking;
            if self.arrivals.is_some() || !is_starved {
                continue;
            }
            self.tally.connections_starved += 1;
            if !exchange.pending && now >= self.window.end {
                // Not connected: it waited for the whole window, at least.
                let (intended_ns, done_ns) = (self.window.start, self.window.end);
                let times = Times { intended_ns, sent_ns: None, done_ns };
                self.tally.leave_unanswered(times, RequestClass::Light);
            }
        }
        let until_ns = now.saturating_add(duration_ns(self.shared.spec.drain));
        self.drain = Some(Drain { until_ns, outstanding, is_done: false });
    }

    /// Starts the response time of a request.
    pub(super) fn start_request(&mut self, index: usize, now: u64) {
        let exchange = &mut self.connections[index].exchange;
        let before_ns = std::mem::replace(&mut exchange.intended_ns, now);
        if exchange.pending {
            self.unfollow(before_ns);
            self.follow(now);
        }
    }

    /// Counts a request assigned after the window, if it was due within it.
    pub(super) fn follow(&mut self, intended_ns: u64) {
        if let Some(drain) = &mut self.drain {
            drain.outstanding += usize::from(self.window.contains(&intended_ns));
        }
    }

    /// Counts a request that has ended, with a reply or without.
    pub(super) fn unfollow(&mut self, intended_ns: u64) {
        if let Some(drain) = &mut self.drain {
            drain.outstanding -= usize::from(self.window.contains(&intended_ns));
        }
    }

    /// True if the load ends: the replies are there, the time for them is over, or it was stopped.
    pub(super) fn is_drained(&mut self, now: u64) -> bool {
        let Some(drain) = &mut self.drain else { return false };
        let all_sent =
            self.arrivals.as_ref().is_none_or(|arrivals| arrivals.next_ns() >= self.window.end);
        if !drain.is_done && all_sent && drain.outstanding == 0 {
            drain.is_done = true;
            self.shared.drained.fetch_add(1, Ordering::Relaxed);
        }
        now >= drain.until_ns
            || self.shared.drained.load(Ordering::Relaxed) == self.shared.threads
            || self.shared.stopped()
    }

    /// Records the requests of the window that have no reply, and the connections.
    pub(super) fn finish(&mut self, now: u64) {
        let end_ns = now.min(self.window.end);
        // An interrupted load does not wait: the age of its last requests says nothing.
        let is_complete = now >= self.window.end;
        if let Some(arrivals) = &mut self.arrivals {
            // Arrivals that found no free connection were due as well.
            while let Some(due_ns) = arrivals.take_due(end_ns.saturating_sub(1)) {
                if due_ns < self.window.start {
                    continue;
                }
                self.tally.arrivals += 1;
                if let Some(index) = self.free.pop_front() {
                    self.tally.late(end_ns, due_ns, self.connections[index as usize].progress_ns);
                }
                if is_complete {
                    let times = Times { intended_ns: due_ns, sent_ns: None, done_ns: now };
                    self.tally.leave_unanswered(times, RequestClass::Light);
                }
            }
        }
        for connection in &self.connections {
            self.tally.connections_served += u64::from(connection.served);
            let exchange = &connection.exchange;
            self.tally.abandoned_total += u64::from(exchange.pending);
            if is_complete && exchange.pending && self.tally.follows(exchange.intended_ns, now) {
                let class = connection.file(&self.shared.catalogue).class;
                self.tally.leave_unanswered(exchange.times(now), class);
                let is_starved = self.arrivals.is_some() && connection.is_unanswered();
                self.tally.connections_starved += u64::from(is_starved);
            }
        }
        self.publish_progress(now);
    }
}
