//! Validity of a trial: its classes and their rules.

use crate::record::evidence::ACHIEVED_SHARE;
use crate::record::evidence::BUSY_SHARE;
use crate::record::evidence::CLOCK_STEP;
use crate::record::evidence::LATE;
use crate::record::evidence::LATE_SHARE;
use crate::record::evidence::LEAST_REQUESTS;
use crate::record::evidence::STEAL_SHARE;
use crate::record::evidence::counts_agree;
use crate::record::evidence::little_holds;

use loadgen::LoadReport;
use serde::{Deserialize, Serialize};

use crate::record::evidence::Evidence;
use crate::trial::Trial;
use crate::trial::{Ending, Measurement};
use crate::units::counted;

/// Validity of a trial, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Valid.
    Ok,
    /// Measured, but both sides were idle for most of the time although requests were outstanding.
    Waiting,
    /// Measured, but some connections received no reply within the window, or some background
    /// connections were closed.
    Starved,
    /// Measured, but the server did not achieve the offered rate.
    Overloaded,
    /// The load generator was the bottleneck: the values are lower bounds of the server's.
    GeneratorBound,
    /// Measured, but with too few requests for a rate.
    TooFew,
    /// The generator sent requests late: the times are not those of the server.
    GeneratorLate,
    /// The counts of the trial contradict each other.
    Invalid,
    /// Too much steal time, delays by other programs, or a clock was set.
    Disturbed,
    /// Stopped by the user.
    Interrupted,
    /// Requests failed.
    Errors,
    /// The server exited early.
    Died,
    /// Not run: the server or the load could not be started.
    NotStarted,
    /// Not run: the server lacks a function that the load needs.
    Unsupported,
}

impl Outcome {
    /// All outcomes, from best to worst.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Waiting,
        Self::Starved,
        Self::Overloaded,
        Self::GeneratorBound,
        Self::TooFew,
        Self::GeneratorLate,
        Self::Invalid,
        Self::Disturbed,
        Self::Interrupted,
        Self::Errors,
        Self::Died,
        Self::NotStarted,
        Self::Unsupported,
    ];

    /// Outcome of a trial, and the reason unless it is [`Outcome::Ok`].
    pub fn of(trial: &Trial, measured: &Measurement, evidence: &Evidence) -> (Self, String) {
        match &measured.ending {
            Ending::NotStarted(why) => return (Self::NotStarted, why.clone()),
            Ending::Unsupported(what) => return (Self::Unsupported, what.clone()),
            Ending::Died(how) => return (Self::Died, how.clone()),
            Ending::Completed => {}
        }
        let Some(load) = &measured.load else {
            return (Self::NotStarted, "the load did not run".to_owned());
        };
        if load.interrupted {
            return (Self::Interrupted, "stopped by the user".to_owned());
        }
        if load.errors.total() > 0 {
            let example = load.error_examples.first().map(String::as_str).unwrap_or("unknown");
            return (
                Self::Errors,
                format!(
                    "{} failed, e.g. {example}",
                    counted(load.errors.total() as usize, "request")
                ),
            );
        }
        if let Some(why) = disturbed(measured) {
            return (Self::Disturbed, why);
        }
        if let Some(why) = contradiction(measured.server_requests, load).or_else(|| imbalance(load))
        {
            return (Self::Invalid, why);
        }
        if let Some(why) = late(evidence) {
            return (Self::GeneratorLate, why);
        }
        let achieved = evidence.achieved_share.filter(|share| *share < ACHIEVED_SHARE);
        let connections = trial.load.connections as u64;
        let served = load.connections_served;
        // Unserved connections and overload explain few replies by themselves.
        if load.requests < LEAST_REQUESTS && served >= connections && achieved.is_none() {
            return (
                Self::TooFew,
                format!("{} completed", counted(load.requests as usize, "request")),
            );
        }
        if evidence.generator_is_the_limit() {
            let percent = evidence.generator_cpu_share.unwrap_or(0.0) * 100.0;
            return (Self::GeneratorBound, format!("the generator was busy for {percent:.0} %"));
        }
        if let Some(share) = achieved {
            let percent = share * 100.0;
            let why = format!("the server answered {percent:.1} % of the offered rate");
            return (Self::Overloaded, why);
        }
        if served < connections {
            return (
                Self::Starved,
                format!("{served} of {connections} connections received a reply"),
            );
        }
        let background = trial.load.profile.background.total();
        if let Some(held) = measured.background_held.filter(|held| *held < background) {
            return (
                Self::Starved,
                format!("{held} of {background} further connections were held"),
            );
        }
        if let Some(busy) = evidence.busy_share.filter(|share| *share < BUSY_SHARE) {
            let percent = (1.0 - busy) * 100.0;
            let why = format!(
                "both sides were idle for {percent:.0} % of the time while requests were outstanding"
            );
            return (Self::Waiting, why);
        }
        (Self::Ok, String::new())
    }

    /// Returns true if the trial has a valid rate of the server.
    pub fn is_measured(self) -> bool {
        matches!(
            self,
            Self::Ok
                | Self::Waiting
                | Self::Starved
                | Self::Overloaded
                | Self::GeneratorBound
                | Self::TooFew
                | Self::Errors
        )
    }

    /// Returns true if the trial is invalid for a reason outside the server, so that the remaining
    /// trials represent it.
    pub fn is_void(self) -> bool {
        matches!(self, Self::GeneratorLate | Self::Invalid | Self::Disturbed)
    }

    /// Returns true if the trial is excluded when enough others remain: something outside the server
    /// distorted it.
    pub fn is_set_aside(self) -> bool {
        self.is_void() || self == Self::GeneratorBound
    }

    /// Returns true if the outcome makes the exit code of the run nonzero.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Errors | Self::Died | Self::NotStarted)
    }

    /// Name in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Waiting => "waiting",
            Self::Starved => "starved",
            Self::Overloaded => "overloaded",
            Self::GeneratorBound => "generator-bound",
            Self::TooFew => "too-few",
            Self::GeneratorLate => "generator-late",
            Self::Invalid => "invalid",
            Self::Disturbed => "disturbed",
            Self::Interrupted => "interrupted",
            Self::Errors => "errors",
            Self::Died => "died",
            Self::NotStarted => "not-started",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Contradiction between the counts of server and generator.
fn contradiction(server_requests: Option<u64>, load: &LoadReport) -> Option<String> {
    let counted = server_requests?;
    let (replies, abandoned) = (load.replies_total, load.abandoned_total);
    (!counts_agree(counted, replies, abandoned)).then(|| {
        format!(
            "the server counted {counted} answered requests; the generator received {replies} replies \
             and left {abandoned} requests without one"
        )
    })
}

/// Deviation from Little's law that the edges of the window do not explain.
fn imbalance(load: &LoadReport) -> Option<String> {
    let little = load.little.filter(|little| !little_holds(*little, load.little_slack))?;
    Some(format!(
        "by rate and response time, {:.1} % of the connections had a request in progress \
         (Little's law)",
        little * 100.0
    ))
}

/// Disturbance by the machine that invalidates a trial.
fn disturbed(measured: &Measurement) -> Option<String> {
    let disturbance = measured.disturbance?;
    if disturbance.clock_step > CLOCK_STEP {
        let seconds = disturbance.clock_step.as_secs_f64();
        return Some(format!("the clock was set, or the machine slept, by {seconds:.3} s"));
    }
    if let Some(stolen) = disturbance.steal_share.filter(|share| *share > STEAL_SHARE) {
        return Some(format!("the host took {:.1} % of the processor time away", stolen * 100.0));
    }
    let sides = [
        ("server", disturbance.server_delay_share),
        ("generator", disturbance.generator_delay_share),
    ];
    sides.into_iter().find_map(|(side, share)| {
        let percent = 100.0 * share.filter(|share| *share > disturbance.delay_limit)?;
        Some(format!(
            "the {side} waited {percent:.1} % of the time while other programs used its core"
        ))
    })
}

/// Lateness of the generator that invalidates the times.
fn late(evidence: &Evidence) -> Option<String> {
    let late_us = evidence.generator_late_us?;
    let response_us = evidence.response_p99_us.unwrap_or(0.0);
    let is_late = late_us > LATE.as_secs_f64() * 1e6 && late_us > LATE_SHARE * response_us;
    is_late.then(|| {
        format!("the generator took one request in a hundred up {:.1} ms late", late_us / 1e3)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mock::MockExecutor;
    use crate::plan::Plan;
    use crate::record::evidence::Limit;
    use crate::schedule::schedule;
    use crate::trial::{CpuFault, Disturbance, ServerCpu};

    /// A trial of the selector with 64 connections, and what a mock measured.
    fn measured() -> (Trial, Measurement) {
        let trials = schedule(&Plan::built_in("default").unwrap());
        let is_wanted =
            |trial: &&Trial| trial.target.name() == "selector" && trial.load.connections == 64;
        let trial = trials.iter().find(is_wanted).unwrap().clone();
        let measured = MockExecutor::default().measure(&trial);
        (trial, measured)
    }

    fn open_loop(trial: &mut Trial, measured: &mut Measurement, requests: u64) {
        trial.load.profile.rate_per_s = Some(1_000);
        let load = measured.load.as_mut().unwrap();
        (load.arrivals, load.requests) = (1_000, requests);
    }

    fn late_by(measured: &mut Measurement, ns: u64) {
        let load = measured.load.as_mut().unwrap();
        load.lateness_ns.record_n(0, 900).unwrap();
        load.lateness_ns.record_n(ns, 100).unwrap();
    }

    fn server_uses(measured: &mut Measurement, share: f64) {
        let total = measured.load.as_ref().unwrap().window.mul_f64(share);
        let cpu = &mut measured.server.as_mut().unwrap().cpu;
        *cpu = cpu.map(|cpu| ServerCpu { total, ..cpu });
    }

    fn generator_uses(measured: &mut Measurement, share: f64) {
        *measured = measured.clone().with_generator_share(share);
    }

    fn delayed(measured: &mut Measurement, server: f64, generator: f64) {
        measured.disturbance = Some(Disturbance {
            server_delay_share: Some(server),
            generator_delay_share: Some(generator),
            delay_limit: 0.1,
            ..Disturbance::default()
        });
    }

    fn both_idle(measured: &mut Measurement) {
        server_uses(measured, 0.2);
        generator_uses(measured, 0.25);
    }

    fn run_delay(measured: &mut Measurement, server_ms: u64, generator_ms: u64) {
        measured.server.as_mut().unwrap().run_delay = Some(Duration::from_millis(server_ms));
        measured.load.as_mut().unwrap().run_delay = Some(Duration::from_millis(generator_ms));
    }

    /// The server answered so many more requests than the generator received replies.
    fn counted(measured: &mut Measurement, more: i64, abandoned: u64) {
        let load = measured.load.as_mut().unwrap();
        load.abandoned_total = abandoned;
        measured.server_requests = load.replies_total.checked_add_signed(more);
    }

    fn little(measured: &mut Measurement, share: f64) {
        let load = measured.load.as_mut().unwrap();
        assert!(load.little_slack < 0.05, "{}", load.little_slack);
        load.little = Some(share);
    }

    type Change = fn(&mut Trial, &mut Measurement);

    #[test]
    fn each_fault_and_each_limit_is_told_by_its_evidence() {
        use Outcome::{
            Disturbed, Errors, GeneratorBound, GeneratorLate, Invalid, Ok, Overloaded, Starved,
            TooFew, Waiting,
        };
        let none: Change = |_, _| {};
        let table: [(&str, Change, Outcome, Option<Limit>); 41] = [
            ("as planned", none, Ok, Some(Limit::Server)),
            ("idle", |_, m| server_uses(m, 0.6), Ok, Some(Limit::None)),
            ("just below", |_, m| server_uses(m, 0.89), Ok, Some(Limit::None)),
            ("just there", |_, m| server_uses(m, 0.91), Ok, Some(Limit::Server)),
            ("unpinned", |_, m| m.server_cores = 0, Ok, None),
            ("unwatched", |_, m| m.server = None, Ok, None),
            ("generator", |_, m| generator_uses(m, 0.96), GeneratorBound, Some(Limit::Generator)),
            ("not yet", |_, m| generator_uses(m, 0.94), Ok, Some(Limit::Server)),
            (
                "ceiling",
                |_, m| m.copy_bandwidth_bytes_per_s = Some(1_000_000),
                Ok,
                Some(Limit::Memory),
            ),
            (
                "far below",
                |_, m| m.copy_bandwidth_bytes_per_s = Some(1 << 40),
                Ok,
                Some(Limit::Server),
            ),
            ("few", |_, m| m.load.as_mut().unwrap().requests = 9, TooFew, Some(Limit::Server)),
            ("enough", |_, m| m.load.as_mut().unwrap().requests = 10, Ok, Some(Limit::Server)),
            ("rate held", |t, m| open_loop(t, m, 950), Ok, Some(Limit::Server)),
            ("rate not held", |t, m| open_loop(t, m, 940), Overloaded, Some(Limit::Server)),
            (
                "nothing of it, but it was offered",
                |t, m| open_loop(t, m, 0),
                Overloaded,
                Some(Limit::Server),
            ),
            (
                "rate not held, and not by the server",
                |t, m| {
                    open_loop(t, m, 700);
                    server_uses(m, 0.5);
                    generator_uses(m, 0.99);
                    m.load.as_mut().unwrap().busy_polling = true;
                },
                GeneratorBound,
                Some(Limit::Generator),
            ),
            (
                "it polls, and holds the rate",
                |t, m| {
                    open_loop(t, m, 1_000);
                    server_uses(m, 0.5);
                    generator_uses(m, 0.99);
                    m.load.as_mut().unwrap().busy_polling = true;
                },
                Ok,
                Some(Limit::None),
            ),
            ("both idle", |_, m| both_idle(m), Waiting, Some(Limit::None)),
            (
                "one side busy for half of the time",
                |_, m| {
                    both_idle(m);
                    server_uses(m, 0.26);
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "they waited for a core",
                |_, m| {
                    both_idle(m);
                    run_delay(m, 50, 60);
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "the kernel does not record the waiting for a core",
                |_, m| {
                    both_idle(m);
                    m.server.as_mut().unwrap().run_delay = None;
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "the server's processor time is void",
                |_, m| {
                    both_idle(m);
                    m.server.as_mut().unwrap().cpu = Err(CpuFault::WindowMissed);
                },
                Ok,
                None,
            ),
            (
                "waiting for the disk",
                |t, m| {
                    both_idle(m);
                    t.load.profile.store = crate::load::store::Store::Disk;
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "idle between arrivals",
                |t, m| {
                    open_loop(t, m, 1_000);
                    both_idle(m);
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "requests that block on purpose",
                |t, m| {
                    t.load.profile.heavy.block_percent = 10;
                    both_idle(m);
                },
                Ok,
                Some(Limit::None),
            ),
            (
                "idle, since most connections are not served",
                |_, m| {
                    both_idle(m);
                    m.load.as_mut().unwrap().connections_served = 1;
                },
                Starved,
                Some(Limit::None),
            ),
            ("equal counts", |_, m| counted(m, 0, 0), Ok, Some(Limit::Server)),
            ("the last reply is not waited for", |_, m| counted(m, 3, 3), Ok, Some(Limit::Server)),
            ("a reply that the server did not send", |_, m| counted(m, -1, 3), Invalid, None),
            ("a reply that the generator did not count", |_, m| counted(m, 4, 3), Invalid, None),
            ("requests are missing", |_, m| little(m, 0.9), Invalid, None),
            ("requests are counted twice", |_, m| little(m, 1.1), Invalid, None),
            ("the edges explain it", |_, m| little(m, 0.98), Ok, Some(Limit::Server)),
            (
                "not all connections are served",
                |_, m| m.load.as_mut().unwrap().little = None,
                Ok,
                Some(Limit::Server),
            ),
            ("late", |_, m| late_by(m, 5_000_000), GeneratorLate, None),
            ("late, a little", |_, m| late_by(m, 900_000), Ok, Some(Limit::Server)),
            (
                "steal",
                |_, m| m.disturbance.as_mut().unwrap().steal_share = Some(0.06),
                Disturbed,
                None,
            ),
            ("generator delayed", |_, m| delayed(m, 0.0, 0.11), Disturbed, None),
            ("server delayed", |_, m| delayed(m, 0.11, 0.0), Disturbed, None),
            ("delayed a little", |_, m| delayed(m, 0.04, 0.04), Ok, Some(Limit::Server)),
            (
                "failures",
                |_, m| m.load.as_mut().unwrap().errors.reset = 1,
                Errors,
                Some(Limit::Server),
            ),
        ];
        for (what, change, outcome, limit) in table {
            let (mut trial, mut measured) = measured();
            change(&mut trial, &mut measured);
            let evidence = Evidence::of(&trial, &measured);
            let (judged, why) = Outcome::of(&trial, &measured, &evidence);
            assert_eq!(judged, outcome, "{what}: {why}");
            assert_eq!(why.is_empty(), outcome == Ok, "{what}: {why}");
            let limit_told = evidence.limit().filter(|_| judged.is_measured());
            assert_eq!(limit_told, limit, "{what}");
        }
    }

    #[test]
    fn a_clock_that_was_set_spoils_a_trial_and_one_that_drifts_does_not() {
        let (trial, mut measured) = measured();
        for (step_ms, outcome) in [(0, Outcome::Ok), (19, Outcome::Ok), (21, Outcome::Disturbed)] {
            let clock_step = Duration::from_millis(step_ms);
            measured.disturbance = Some(Disturbance { clock_step, ..Disturbance::default() });
            let evidence = Evidence::of(&trial, &measured);
            assert_eq!(Outcome::of(&trial, &measured, &evidence).0, outcome, "{step_ms} ms");
        }
    }

    #[test]
    fn what_does_not_count_is_no_failure_of_the_run() {
        for outcome in Outcome::ALL {
            assert!(!outcome.is_void() || !outcome.is_measured() && !outcome.is_failure());
        }
        assert!(Outcome::Overloaded.is_measured() && !Outcome::Overloaded.is_failure());
    }
}
