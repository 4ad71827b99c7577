//! Every system of the lab exercises: a test for each row of the table in `docs/labs.md`, named
//! after it, which runs both programs over every strategy that can carry it.

mod bad_input;
mod files;
mod lines;
mod support;
