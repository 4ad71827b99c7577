//! Runs the comparison and judges it: a plan becomes trials, trials become records, and from the
//! records alone come statistics, charts and the report.

pub mod cores;
pub mod executor;
pub mod figures;
#[cfg(test)]
mod mock;
pub mod outcome;
pub mod plan;
pub mod procstat;
pub mod record;
pub mod schedule;
pub mod size;
pub mod spelling;
pub mod stats;
pub mod summary;
pub mod table;
pub mod target;
pub mod units;
pub mod verdict;
