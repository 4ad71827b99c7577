//! How much a trial is worth, and why.

use loadgen::load::LoadReport;
use serde::{Deserialize, Serialize};

use crate::executor::{Ending, Measurement};
use crate::schedule::Trial;

/// The share of a core from which on a generator thread counts as the bottleneck.
pub const GENERATOR_BOUND_SHARE: f64 = 0.95;

/// How much a trial is worth, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Measured as planned.
    Ok,
    /// Measured, but some of the connections got no answer within the window, or those beside them
    /// were not held.
    Starved,
    /// The generator had no processor time left: the server may be faster than this shows.
    GeneratorBound,
    /// Stopped before its time.
    Interrupted,
    /// Requests failed.
    Errors,
    /// The server ended before it was told to.
    Died,
    /// There was no trial: the server or the load could not be started.
    NotStarted,
    /// There was no trial: the server does not do what the load asks for.
    Unsupported,
}

impl Outcome {
    /// Judges a trial; the text says what led to the judgement where it is not [`Outcome::Ok`].
    pub fn of(trial: &Trial, measured: &Measurement) -> (Self, String) {
        match &measured.ending {
            Ending::NotStarted(why) => return (Self::NotStarted, why.clone()),
            Ending::Unsupported(what) => return (Self::Unsupported, what.clone()),
            Ending::Died(how) => return (Self::Died, how.clone()),
            Ending::Completed => {}
        }
        let Some(load) = &measured.load else {
            return (Self::NotStarted, "no load was put on".to_owned());
        };
        if load.interrupted {
            return (Self::Interrupted, "stopped before its time".to_owned());
        }
        if load.errors.total() > 0 {
            let example = load.error_examples.first().map(String::as_str).unwrap_or("unknown");
            return (Self::Errors, format!("{} failed, as in: {example}", load.errors.total()));
        }
        let share = generator_share(measured).unwrap_or(0.0);
        // A thread that polls for arrivals is always busy; whether it keeps up, delays tell.
        if share >= GENERATOR_BOUND_SHARE && !load.busy_polling {
            let percent = share * 100.0;
            return (Self::GeneratorBound, format!("the generator was busy for {percent:.0} %"));
        }
        let connections = trial.cell.connections as u64;
        if load.connections_served < connections {
            let served = load.connections_served;
            return (Self::Starved, format!("{served} of {connections} connections got an answer"));
        }
        let crowd = trial.cell.manner.crowd.total();
        if let Some(held) = measured.crowd_held.filter(|held| *held < crowd) {
            return (Self::Starved, format!("{held} of {crowd} further connections were held"));
        }
        (Self::Ok, String::new())
    }

    /// Whether the trial says how fast the server was.
    pub fn is_measured(self) -> bool {
        matches!(self, Self::Ok | Self::Starved | Self::GeneratorBound | Self::Errors)
    }

    /// Whether something went wrong that the exit code must tell.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Errors | Self::Died | Self::NotStarted)
    }

    /// The one spelling used in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Starved => "starved",
            Self::GeneratorBound => "generator-bound",
            Self::Interrupted => "interrupted",
            Self::Errors => "errors",
            Self::Died => "died",
            Self::NotStarted => "not-started",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Processor time of the generator's busiest thread by its window: 1 is a core used up.
pub fn generator_share(measured: &Measurement) -> Option<f64> {
    measured.load.as_ref().map(LoadReport::busiest_thread_share)
}
