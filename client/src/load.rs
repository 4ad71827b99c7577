//! The load generator: many connections, chosen arrivals, everything measured.

mod check;
mod progress;
mod report;
mod run;
mod spec;

pub use progress::Progress;
pub use report::{CpuTime, ErrorCounts, LoadReport, Second};
pub use run::{RunError, run};
pub use spec::{Arrival, ConnectionUse, Direction, LoadSpec, Pacing, RequestFile, SpecError, ThinkTime};
