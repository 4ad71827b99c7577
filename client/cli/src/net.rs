//! Connections to a server, and the saved state of resumable transfers.

pub(crate) mod address;
pub(crate) mod line_session;
pub(crate) mod link;
pub(crate) mod rate_limit;
pub(crate) mod resume_state;
