//! A file server in interchangeable concurrency architectures.
//!
//! [`fileserver_proto::Session`] decides the replies; this crate decides which thread waits for
//! which event. Each [`Strategy`] is one answer. A folder imports only those listed above it:
//!
//! - [`store`]: the served folder and its files
//! - `output`: lines for screens and logs, written by a thread of their own
//! - `trace`: actions and waits of each thread, with their times
//! - `lab`: console and chat room of the socket exercises
//! - `server`: state shared by all connections, limits, listener, shutdown, report
//! - `connection`: one session with its socket and files
//! - [`strategy`]: the concurrency architectures
//! - [`cli`]: flags, set-up and messages of the `server` program

pub mod cli;
mod connection;
mod lab;
mod output;
mod server;
pub mod store;
pub mod strategy;
mod trace;

pub use lab::console::Console;
pub use server::access_log::{AccessLog, AccessLogFormat};
pub use server::limit::{ConnectionLimit, Permit, PermitWaker};
pub use server::listener::{AcceptError, Listener};
pub use server::readiness::Readiness;
pub use server::report::{ReportError, ServeReport};
pub use server::send_path::{SendPath, SentBytes, UnknownSendPath};
pub use server::shutdown::Shutdown;
pub use server::state::{
    AcceptDistribution, Counters, EXHAUSTION_PAUSE, ServerOptions, ServerState,
};
pub use strategy::{Strategy, StrategyKind, UnknownStrategy};
pub use trace::Trace;
