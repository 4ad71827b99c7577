//! A file server in interchangeable concurrency architectures.
//!
//! What to say is decided by [`fileserver_proto::Session`]; this crate decides who waits for what,
//! and on which thread: each [`Strategy`](strategy::Strategy) is one answer.

pub mod store;
pub mod strategy;

pub use strategy::StrategyKind;
