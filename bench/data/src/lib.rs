//! Data of a measurement: servers, loads, plans, trials and records.
//!
//! Nothing here starts a process, opens a socket or reads a clock to measure; files are read and
//! written only as results folders.

pub mod stats;
pub mod text_table;
pub mod text_wrap;
pub mod units;

pub mod names;

pub mod servers;

pub mod load;

pub mod plan;

pub mod trial;

pub mod record;

pub mod schedule;

pub mod xray;

#[cfg(any(test, feature = "mock"))]
pub mod mock;
