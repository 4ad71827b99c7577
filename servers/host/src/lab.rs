//! Services of the socket exercises: the operator's console and the chat room.
//!
//! Knows the protocol's types only.

pub(crate) mod console;
pub(crate) mod room;
