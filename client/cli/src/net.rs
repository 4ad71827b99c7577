//! Connections to a server, and what is remembered of transfers.

pub(crate) mod link;
pub(crate) mod memory;
pub(crate) mod talk;
