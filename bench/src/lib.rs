//! Runs the comparison and judges it: a plan becomes trials, trials become records, and from the
//! records alone come statistics, charts and the report.

pub mod account;
pub mod choice;
pub mod command;
pub mod comparison;
pub mod cores;
pub mod diff;
pub mod environment;
pub mod executor;
pub mod fanout;
pub mod figures;
pub mod files;
pub mod fonts;
pub mod given;
pub mod guide;
pub mod lab_report;
pub mod local;
#[cfg(test)]
mod mock;
pub mod outcome;
pub mod paper;
pub mod peer;
pub mod picture;
pub mod plan;
pub mod probe;
pub mod process_tree;
pub mod procstat;
pub mod progress;
pub mod publish;
pub mod record;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod schedule;
pub mod server_process;
pub mod size;
pub mod spelling;
mod start;
pub mod stats;
pub mod summary;
pub mod survey;
pub mod table;
pub mod target;
pub mod units;
pub mod verdict;
