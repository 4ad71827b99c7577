//! The harness: carries out the trials of a plan, with the command line around it.

mod alternation;

mod terminal;

pub mod machine;

pub mod run;

pub mod chat;

pub mod witness;

mod xray;

pub mod cli;
