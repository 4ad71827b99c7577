//! Asks a file server for things: one at a time by hand, or as a measured load.

pub mod content;
pub mod load;
