//! Counters, histograms and time series of a load.

mod hdr_log;
pub(crate) mod series;
pub(crate) mod tally;
