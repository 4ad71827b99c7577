//! A file server in interchangeable concurrency architectures.
//!
//! What to say is decided by [`fileserver_proto::Session`]; this crate decides who waits for what,
//! and on which thread: each [`Strategy`] is one answer.

mod blocking;
pub mod command;
mod connection;
mod console;
mod deadlines;
mod endpoint;
mod gate;
mod reactor;
mod report;
mod room;
mod send_path;
mod sending;
mod shutdown;
mod site;
pub mod store;
pub mod strategy;
mod workers;

pub use console::Console;
pub use endpoint::{AcceptError, Endpoint};
pub use gate::{Gate, Ticket};
pub use report::{ReportError, ServeReport};
pub use send_path::{SendPath, SentBytes, UnknownSendPath};
pub use shutdown::Shutdown;
pub use site::{Accept, Counters, EXHAUSTION_PAUSE, Site, SiteOptions};
pub use strategy::{Strategy, StrategyKind, UnknownStrategy};
