//! Connections to a server, and the saved state of resumable transfers.

pub(crate) mod line_session;
pub(crate) mod link;
pub(crate) mod resume_state;
