//! The client's half of the wires: composing requests and reading replies, without I/O.
//!
//! Requests are appended to a byte vector by [`http`],
//! [`tus`] and [`framed`]; [`ReplyReader`] takes in
//! received bytes in pieces of any size and tells what they mean. Bodies pass by: a reader says
//! where a piece of one lies in the input and keeps nothing of it.

pub mod framed;
pub mod http;
mod reply;
pub mod tus;

pub use reply::{ReplyError, ReplyEvent, ReplyHead, ReplyKind, ReplyReader};
