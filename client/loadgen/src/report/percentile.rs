//! Percentiles of a report, and whether the measurement supports them.

use hdrhistogram::Histogram;

use crate::report::LoadReport;

/// Fewest samples beyond a percentile.
const LEAST_BEYOND: f64 = 10.0;
/// Fewest seconds of the window that contain samples at or beyond a percentile.
const LEAST_SECONDS: u64 = 3;

/// Kind of times in a distribution of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeKind {
    /// Response time.
    Response,
    /// Service time.
    Service,
    /// Send delay.
    SendDelay,
    /// Response time of heavy requests.
    Heavy,
    /// Connection set-up time.
    Connect,
}

/// A percentile of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentile {
    /// Time in nanoseconds.
    pub ns: u64,
    /// Support by the measurement.
    pub support: Support,
}

/// Support of a percentile by the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Enough samples lie beyond it, and every request without a reply has waited longer.
    Identified,
    /// A lower bound: requests without a reply have waited for less than it.
    AtLeast,
    /// Too few samples lie beyond it, or they lie in too few seconds of the window.
    TooFew,
}

impl LoadReport {
    /// Distribution of times.
    pub fn times(&self, kind: TimeKind) -> &Histogram<u64> {
        match kind {
            TimeKind::Response => &self.response_ns,
            TimeKind::Service => &self.service_ns,
            TimeKind::SendDelay => &self.send_delay_ns,
            TimeKind::Heavy => &self.heavy_ns,
            TimeKind::Connect => &self.connect_ns,
        }
    }

    /// Percentile of a distribution, from 0 to 100; `None` without samples.
    ///
    /// It is [identified](Support::Identified) if it is shorter than every time that a request
    /// without a reply has waited, if 10 or more samples lie beyond it, and, for response times, if
    /// samples at or beyond it lie in three or more seconds of the window (of a shorter window, in as
    /// many as it has whole seconds, at least one). The 100th percentile is the longest time that was
    /// observed.
    pub fn percentile(&self, kind: TimeKind, percentile: f64) -> Option<Percentile> {
        let times = self.times(kind);
        if times.is_empty() {
            return None;
        }
        let ns = times.value_at_percentile(percentile);
        let shortest_wait_ns = match kind {
            TimeKind::Response | TimeKind::SendDelay | TimeKind::Heavy => {
                self.shortest_wait_ns.response_ns
            }
            TimeKind::Service => self.shortest_wait_ns.service_ns,
            TimeKind::Connect => u64::MAX,
        };
        let beyond = times.len() as f64 * (1.0 - percentile / 100.0);
        // Rounding: of 1,000 samples, 10 lie beyond the 99th percentile.
        let has_few = beyond < LEAST_BEYOND - 1e-6;
        let least_ns = times.lowest_equivalent(ns);
        let seconds = self.slowest_ns.iter().filter(|slowest| **slowest >= least_ns).count() as u64;
        let least_seconds = self.window.as_secs().clamp(1, LEAST_SECONDS);
        let support = if ns >= shortest_wait_ns {
            Support::AtLeast
        } else if percentile >= 100.0 {
            Support::Identified
        } else if has_few || kind == TimeKind::Response && seconds < least_seconds {
            Support::TooFew
        } else {
            Support::Identified
        };
        Some(Percentile { ns, support })
    }
}
