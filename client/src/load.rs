//! The load generator: many connections, chosen arrivals, everything measured.

mod report;
mod spec;

pub use report::{CpuTime, ErrorCounts, LoadReport, Second};
pub use spec::{Arrival, ConnectionUse, Direction, LoadSpec, Pacing, RequestFile, SpecError, ThinkTime};
