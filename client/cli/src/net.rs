//! Connections to a server, and what is remembered of transfers.

pub(crate) mod line_session;
pub(crate) mod link;
pub(crate) mod resume_state;
