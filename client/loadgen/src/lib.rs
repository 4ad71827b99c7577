//! Load generator: puts a specified load on a file server and measures every request.

mod arrivals;
mod clock;
pub mod content;
mod engine;
pub mod line_reply;
mod measure;
mod progress;
mod report;
mod run;
mod spec;
mod warm_up;
mod worker;

pub use progress::Progress;
pub use report::percentile::{Percentile, Support, TimeKind};
pub use report::{BINS_PER_DECADE, CpuTime, ErrorCounts, LoadReport, Second, ShortestWait};
pub use run::{Rest, RunError, run, run_observed};
pub use spec::{
    Arrival, ConnectionUse, Direction, Engine, EngineChoice, FileBody, LoadSpec, Pacing,
    RaisedLimit, RequestClass, RequestFile, SpecError, ThinkTime, Verification,
};
