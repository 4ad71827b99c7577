//! Parts of the command line that the programs `server`, `client` and `bench` share.
//!
//! A [`Program`] describes what its arguments do not say: exit codes and environment variables. Its
//! command line is parsed, and its shell completions and man pages are written, from that
//! description and the arguments. A file imports only those listed above it:
//!
//! - [`exit`]: exit codes
//! - [`message`]: errors and warnings in colour
//! - [`color`]: the flag `--color`
//! - [`environment`]: variables that set flags
//! - `description`: the description of a program
//! - `parse`: the arguments of the process
//! - `man`, [`document`]: completions and man pages

pub mod color;
mod description;
pub mod document;
pub mod environment;
pub mod exit;
mod man;
pub mod message;
mod parse;

pub use color::words;
pub use description::Program;
pub use document::Document;
pub use environment::Variable;
pub use exit::ExitCodes;

/// Version of the programs.
const VERSION: &str = env!("CARGO_PKG_VERSION");
