//! What carries out a trial.

use std::sync::atomic::AtomicBool;

use fileserver::SendPath;
use jiff::Timestamp;
use loadgen::load::LoadReport;

use crate::disturbance::Disturbance;
use crate::procstat::ServerUsage;
use crate::schedule::Trial;

/// Carries out trials: with real processes, or made up in tests of everything around it.
pub trait Executor {
    /// Carries out one trial; returns soon after `stop` is set, with what there is by then.
    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement;
}

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// When the trial began.
    pub started_at: Timestamp,
    /// The server's version, as far as it tells.
    pub version: Option<String>,
    /// What the load saw; `None` where it could not be put on.
    pub load: Option<LoadReport>,
    /// What the server used within the window; `None` where it could not be watched.
    pub server: Option<ServerUsage>,
    /// Connections of the crowd that the server still held when the window ended; `None` without
    /// a crowd.
    pub crowd_held: Option<usize>,
    /// The way that most bytes of files took, as far as the server tells.
    pub send_path: Option<SendPath>,
    /// Cores that only the server was given; 0 where it shares them with the generator.
    pub server_cores: usize,
    /// The most body bytes per second that the receiving side can copy, where that was measured.
    pub ceiling_bytes_per_s: Option<u64>,
    /// What the machine did to it; `None` where nobody looked.
    pub disturbance: Option<Disturbance>,
    /// How it ended.
    pub ending: Ending,
}

impl Measurement {
    /// Of a trial that did not come about.
    pub fn none(started_at: Timestamp, version: Option<String>, ending: Ending) -> Self {
        Self {
            started_at,
            version,
            load: None,
            server: None,
            crowd_held: None,
            send_path: None,
            server_cores: 0,
            ceiling_bytes_per_s: None,
            disturbance: None,
            ending,
        }
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Completed,
    /// There was no trial: why the server or the load could not be started.
    NotStarted(String),
    /// The server ended before it was told to: how.
    Died(String),
    /// There was no trial: what the load asks for and the server does not do.
    Unsupported(String),
}
