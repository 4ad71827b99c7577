//! The `bench` program as users run it.

mod builds;
mod interrupts;
mod measuring;
mod program;
mod refusals;
mod reporting;
mod servers;
mod support;
