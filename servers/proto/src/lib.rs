//! The file server's protocol, without I/O.
//!
//! A [`Session`] is the state machine of one connection. A *driver* polls it for the next primitive
//! operation ([`Session::poll_action`]), performs the operation in its own way, and reports the
//! result ([`Session::handle_completion`]). The session opens no socket, reads no file and looks at
//! no clock. Therefore the same protocol runs over blocking threads, readiness selectors and
//! completion rings, and is tested in memory with simulated time.

/// The shared test driver imports this crate by its name.
#[cfg(test)]
extern crate self as fileserver_proto;

mod action;
mod buffer;
pub mod client;
mod description;
mod exchange;
mod name;
mod percent;
mod refusal;
pub mod service;
mod session;
mod settings;
pub mod wire;

pub use action::{
    Action, Completion, Digest, Entry, FileInfo, LabAction, LabCompletion, Modified, PartialId,
    PartialInfo, StoreError, Stored, Work,
};
pub use buffer::{Buffer, IoBuffers};
pub use description::FileDescription;
pub use name::{FileName, NameError};
pub use service::{Notice, Service, Transform};
pub use session::{Phase, Record, Session};
pub use settings::{HostAddresses, Hosts, Limits, Now, Settings, Timeouts, WirePin};
pub use wire::{UnknownWire, Wire};
