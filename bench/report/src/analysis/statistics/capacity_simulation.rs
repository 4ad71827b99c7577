//! Simulated capacity searches of servers with known capacity: share of intervals that contain it, alone and
//! in the comparison of two servers.
//!
//! A trial meets the objective with a probability that falls with its rate over a certain range, around a
//! capacity that differs from round to round. Search and repetitions are those of a run.

use bench_data::load::objective::{CapacitySearch, Objective};
use bench_data::record::capacity::{Finding, Probe, RoundCapacity};

use crate::analysis::statistics::logistic::{LogTrial, MiddleRate};
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::simulation::Machine;

/// Simulated server.
#[derive(Debug, Clone, Copy)]
struct Server {
    /// Logarithm of the capacity.
    capacity: f64,
    /// Scale of the logistic curve: from 10 % to 90 % the logarithm of the rate changes by 4.4 times as
    /// much.
    scale: f64,
    /// Standard deviation of the logarithm of the capacity between rounds.
    between: f64,
}

impl Server {
    /// Trials of a search in one round.
    fn search(&self, round: u32, machine: &mut Machine) -> (u32, Vec<LogTrial>) {
        let objective = Objective::parse("p99=5ms").unwrap();
        let search = CapacitySearch::usual(objective);
        let here = self.capacity + self.between * machine.normal();
        let mut probes: Vec<Probe> = Vec::new();
        while let Some(rate_per_s) = search.next(round, &probes, 300) {
            let uniform = machine.uniform();
            // Inverse of the logistic distribution.
            let limit = here + self.scale * (uniform / (1.0 - uniform)).ln();
            let finding = match f64::from(rate_per_s).ln() <= limit {
                true => Finding::Met,
                false => Finding::Missed(String::new()),
            };
            let achieved_per_s = f64::from(rate_per_s).min(1.1 * here.exp());
            probes.push(Probe { rate_per_s, achieved_per_s, finding });
        }
        let trials = RoundCapacity::of(round, &probes).trials;
        (round, trials.into_iter().map(|(rate, met)| (f64::from(rate).ln(), met)).collect())
    }

    fn searches(&self, rounds: u32, machine: &mut Machine) -> Option<MiddleRate> {
        let searches: Vec<_> = (1..=rounds).map(|round| self.search(round, machine)).collect();
        MiddleRate::of(&searches)
    }
}

/// Steep and flat curves, with and without differences between rounds. In the run of 2026-11-21 the ranges
/// of most servers were about as wide as those of the last three.
const SERVERS: [(f64, f64); 6] =
    [(0.003, 0.0), (0.003, 0.05), (0.03, 0.0), (0.03, 0.05), (0.1, 0.1), (0.2, 0.1)];

/// Capacities that have nothing to do with the rates of a search.
fn capacity(machine: &mut Machine) -> f64 {
    (20_000.0 * (1.0 + 5.0 * machine.uniform())).ln()
}

/// Number of simulated runs, and the smallest share of intervals that must contain the truth: the
/// standard error of a share of 95 % is 1.3 % in the short form and 0.4 % in the long one.
const SHORT: (u32, f64) = (300, 0.91);
const LONG: (u32, f64) = (3000, 0.93);

/// Share of simulated runs in which something happens.
fn share(runs: u32, mut happens: impl FnMut(&mut Machine) -> bool) -> f64 {
    let mut machine = Machine::new();
    f64::from((0..runs).map(|_| u32::from(happens(&mut machine))).sum::<u32>()) / f64::from(runs)
}

#[test]
fn intervals_contain_the_capacity_as_often_as_they_promise() {
    intervals_contain_the_capacity(SHORT);
}

#[test]
#[ignore = "long: scripts/test-long.sh"]
fn intervals_of_many_runs_contain_the_capacity_as_often_as_they_promise() {
    intervals_contain_the_capacity(LONG);
}

fn intervals_contain_the_capacity((runs, least): (u32, f64)) {
    for (scale, between) in SERVERS {
        for rounds in [5, 6] {
            let covered = share(runs, |machine| {
                let server = Server { capacity: capacity(machine), scale, between };
                let interval = server.searches(rounds, machine).and_then(|found| found.interval);
                interval.is_some_and(|within| within.contains(server.capacity.exp()))
            });
            assert!(covered >= least, "{scale} {between}, {rounds} rounds: {covered}");
        }
    }
}

#[test]
fn intervals_of_ratios_contain_them_as_often_as_they_promise() {
    intervals_of_ratios_contain_them(SHORT);
}

#[test]
#[ignore = "long: scripts/test-long.sh"]
fn intervals_of_ratios_of_many_runs_contain_them_as_often_as_they_promise() {
    intervals_of_ratios_contain_them(LONG);
}

fn intervals_of_ratios_contain_them((runs, least): (u32, f64)) {
    for (scale, between) in SERVERS {
        let covered = share(runs, |machine| {
            let one = Server { capacity: capacity(machine), scale, between };
            let other = Server { capacity: one.capacity - 0.3, ..one };
            let [one, other] = [one, other].map(|one| one.searches(6, machine));
            let interval = one.zip(other).and_then(|(one, other)| {
                RatioEstimate::of_rounds(&one.rounds, &other.rounds).ok()?.interval()
            });
            interval.is_some_and(|within| within.contains(0.3_f64.exp()))
        });
        assert!(covered >= least, "{scale} {between}: {covered}");
    }
}

#[test]
fn an_estimate_is_as_precise_as_the_search_and_has_no_bias() {
    estimates_are_precise_and_have_no_bias(SHORT.0);
}

#[test]
#[ignore = "long: scripts/test-long.sh"]
fn estimates_of_many_runs_are_as_precise_as_the_search_and_have_no_bias() {
    estimates_are_precise_and_have_no_bias(LONG.0);
}

fn estimates_are_precise_and_have_no_bias(count: u32) {
    let (mut sum, mut runs) = (0.0, 0.0);
    share(count, |machine| {
        let server = Server { capacity: capacity(machine), scale: 0.003, between: 0.0 };
        let error = server.searches(6, machine).unwrap().rate.ln() - server.capacity;
        sum += error;
        runs += 1.0;
        assert!(error.abs() < 0.03, "{error}");
        true
    });
    assert!((sum / runs).abs() < 0.005, "{sum}");
}
