//! The systems of the lab exercises: one test per row of the table in `docs/labs.md`, which runs
//! both programs with every strategy that supports it.

mod bad_input;
mod files;
mod lines;
mod support;
