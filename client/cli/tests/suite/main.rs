//! The `client` program, alone and in the systems of the lab exercises.

mod cli;
mod labs;
