//! State that all connections of a server share, and its beginning and end.
//!
//! Knows the store and the lab's console and room; nothing of connections or strategies.

pub(crate) mod access_log;
pub(crate) mod limit;
pub(crate) mod listener;
pub(crate) mod readiness;
pub(crate) mod report;
pub(crate) mod send_path;
pub(crate) mod shutdown;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod tally;
