//! The protocol through its public interface: conversations in memory, with simulated time.

mod http_files;
mod http_tus;
mod http_uploads;
mod properties;
mod records;
mod refusals;
mod seeds;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod timeouts;
mod transcripts;
