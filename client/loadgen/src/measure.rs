//! Counters and histograms of a load.

mod hdr_log;
pub(crate) mod series;
pub(crate) mod tally;
