//! The load generator: many connections, chosen arrivals, everything measured.

mod arrivals;
mod check;
mod clock;
mod connection;
mod draw;
mod engine;
mod hdr_log;
mod progress;
mod report;
mod requests;
mod run;
mod series;
mod spec;
mod tally;
mod worker;

pub use engine::{Engine, EngineChoice};
pub use progress::Progress;
pub use report::{CpuTime, ErrorCounts, LoadReport, Second};
pub use run::{RunError, run};
pub use spec::{
    Arrival, ConnectionUse, Direction, LoadSpec, Pacing, RequestClass, RequestFile, SpecError,
    ThinkTime,
};
