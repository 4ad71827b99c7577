//! Time series with a row per second, merged over the threads.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::MAX_NS;
use crate::report::{BINS_PER_DECADE, Second};

/// Seconds in transit between a thread and the collector.
const SPARES: usize = 3;

/// One thread's share of one second.
#[derive(Debug)]
pub(crate) struct SecondTally {
    number: u64,
    thread: usize,
    pub(crate) requests: u64,
    pub(crate) body_bytes: u64,
    pub(crate) errors: u64,
    pub(crate) response_ns: Histogram<u32>,
}

impl SecondTally {
    fn new(thread: usize) -> Box<Self> {
        // Two significant digits need 15 KiB instead of 120 KiB and are enough for a series.
        let response_ns = Histogram::new_with_bounds(1, MAX_NS, 2).expect("the bounds are valid");
        Box::new(Self { number: 0, thread, requests: 0, body_bytes: 0, errors: 0, response_ns })
    }

    fn clear(&mut self, number: u64) {
        self.number = number;
        (self.requests, self.body_bytes, self.errors) = (0, 0, 0);
        self.response_ns.reset();
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.body_bytes += other.body_bytes;
        self.errors += other.errors;
        self.response_ns.add(&other.response_ns).expect("both have the same bounds");
    }

    fn summary(&self) -> Second {
        let histogram = &self.response_ns;
        let of_any = |value| if histogram.is_empty() { 0 } else { value };
        Second {
            second: self.number,
            requests: self.requests,
            body_bytes: self.body_bytes,
            errors: self.errors,
            p50_ns: of_any(histogram.value_at_quantile(0.5)),
            p99_ns: of_any(histogram.value_at_quantile(0.99)),
            max_ns: of_any(histogram.max()),
            bins: bins(histogram),
        }
    }
}

/// See [`Second::bins`].
fn bins(histogram: &Histogram<u32>) -> Vec<(u8, u64)> {
    let mut bins: Vec<(u8, u64)> = Vec::new();
    for recorded in histogram.iter_recorded() {
        let bin = bin_of(recorded.value_iterated_to());
        let count = u64::from(recorded.count_at_value());
        match bins.last_mut() {
            Some((last, sum)) if *last == bin => *sum += count,
            _ => bins.push((bin, count)),
        }
    }
    bins
}

/// Bin of a time.
fn bin_of(ns: u64) -> u8 {
    (f64::from(BINS_PER_DECADE) * (ns.max(1) as f64).log10()) as u8
}

/// A thread's end of the exchange: it sends full seconds and receives empty ones.
#[derive(Debug)]
pub(crate) struct SecondChannel {
    thread: usize,
    full: SyncSender<Box<SecondTally>>,
    spare: Receiver<Box<SecondTally>>,
}

impl SecondChannel {
    pub(crate) fn first(&self) -> Box<SecondTally> {
        SecondTally::new(self.thread)
    }

    /// Submits a second and replaces it by the next, empty one.
    pub(crate) fn exchange(&self, second: &mut Box<SecondTally>) {
        // Spares run out only if the collector is not scheduled.
        let mut next = self.spare.try_recv().unwrap_or_else(|_| SecondTally::new(self.thread));
        next.clear(second.number + 1);
        // The collector lives until every thread has dropped its end.
        let _ = self.full.send(std::mem::replace(second, next));
    }
}

/// Merges the seconds of the threads as they end and keeps only summaries.
#[derive(Debug)]
pub(crate) struct SecondCollector {
    full: Receiver<Box<SecondTally>>,
    spares: Vec<SyncSender<Box<SecondTally>>>,
    /// Incomplete seconds from number `rows.len()` on, each with the number of threads that have
    /// submitted it.
    open: VecDeque<(Box<SecondTally>, usize)>,
    rows: Vec<Second>,
}

impl SecondCollector {
    /// A collector, and a channel for each thread.
    pub(crate) fn new(threads: usize) -> (Self, Vec<SecondChannel>) {
        let (sender, full) = sync_channel(threads * SPARES);
        let mut spares = Vec::new();
        let mut channels = Vec::new();
        for thread in 0..threads {
            let (spare_sender, spare) = sync_channel(SPARES);
            for _ in 0..SPARES {
                // The channel has room for exactly these.
                let _ = spare_sender.try_send(SecondTally::new(thread));
            }
            spares.push(spare_sender);
            channels.push(SecondChannel { thread, full: sender.clone(), spare });
        }
        (Self { full, spares, open: VecDeque::new(), rows: Vec::new() }, channels)
    }

    /// Merges a second that arrives within `time`; false when every thread has dropped its channel.
    pub(crate) fn collect(&mut self, time: Duration) -> bool {
        match self.full.recv_timeout(time) {
            Ok(second) => self.add_share(second),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// Returns all seconds in order.
    pub(crate) fn finish(mut self) -> Vec<Second> {
        let open = self.open.into_iter().filter(|(_, threads)| *threads > 0);
        self.rows.extend(open.map(|(second, _)| second.summary()));
        self.rows
    }

    fn add_share(&mut self, second: Box<SecondTally>) {
        let ahead = (second.number - self.rows.len() as u64) as usize;
        while self.open.len() <= ahead {
            let mut empty = SecondTally::new(0);
            empty.clear((self.rows.len() + self.open.len()) as u64);
            self.open.push_back((empty, 0));
        }
        let (sum, threads) = &mut self.open[ahead];
        sum.add(&second);
        *threads += 1;
        // A full channel means that the thread has enough spares.
        let _ = self.spares[second.thread].try_send(second);
        while self.open.front().is_some_and(|(_, threads)| *threads == self.spares.len()) {
            let first = self.open.pop_front();
            self.rows.extend(first.map(|(sum, _)| sum.summary()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_several_threads_are_merged_in_order() {
        let (mut collector, channels) = SecondCollector::new(2);
        let mut seconds: Vec<_> = channels.iter().map(SecondChannel::first).collect();
        // The first thread runs ahead of the second.
        for (thread, number) in [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)] {
            let second: &mut Box<SecondTally> = &mut seconds[thread];
            assert_eq!(second.number, number);
            second.requests += 1;
            second.response_ns.saturating_record(1_000 * (number + 1) + 100 * thread as u64);
            channels[thread].exchange(second);
            assert!(collector.collect(Duration::from_secs(10)));
        }
        assert_eq!(collector.rows.len(), 2);
        drop(channels);
        assert!(!collector.collect(Duration::from_secs(10)));
        let rows = collector.finish();
        assert_eq!(rows.iter().map(|row| row.requests).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(rows.iter().map(|row| row.second).collect::<Vec<_>>(), [0, 1, 2]);
        for row in &rows {
            assert!(row.max_ns.abs_diff(1_000 * (row.second + 1)) <= 150, "{row:?}");
        }
        let bins: Vec<_> = rows.iter().map(|row| &row.bins[..]).collect();
        assert_eq!(bins, [&[(24, 2)][..], &[(26, 2)], &[(27, 1)]]);
    }

    #[test]
    fn eight_bins_have_a_factor_of_ten() {
        for (ns, bin) in [(0, 0), (1, 0), (9, 7), (10, 8), (999, 23), (1_000, 24), (MAX_NS, 88)] {
            assert_eq!(bin_of(ns), bin, "{ns}");
        }
        let mut histogram = Histogram::new_with_bounds(1, MAX_NS, 2).unwrap();
        for ns in [40_000, 41_000, 90_000_000] {
            histogram.saturating_record(ns);
        }
        assert_eq!(bins(&histogram), [(36, 2), (63, 1)]);
    }

    #[test]
    fn an_empty_second_has_zeros() {
        let (mut collector, channels) = SecondCollector::new(1);
        channels[0].exchange(&mut channels[0].first());
        assert!(collector.collect(Duration::from_secs(10)));
        assert_eq!(collector.finish(), [Second::default()]);
    }
}
