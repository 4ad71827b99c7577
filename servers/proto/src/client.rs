//! The client's half of the wires, without I/O.
//!
//! [`http`], [`tus`] and [`framed`] append requests to a byte vector. [`ReplyReader`] decodes
//! replies from received pieces of any size. It keeps no bodies, but returns each piece of a body
//! as a part of the input.

pub mod framed;
pub mod http;
mod reply;
pub mod tus;

pub use reply::{ReplyError, ReplyEvent, ReplyHead, ReplyKind, ReplyReader};
