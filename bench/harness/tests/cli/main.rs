//! The `bench` program as users run it.

mod builds;
mod documents;
mod interrupts;
mod measuring;
mod program;
mod refusals;
mod reporting;
mod servers;
mod support;
mod xray;
