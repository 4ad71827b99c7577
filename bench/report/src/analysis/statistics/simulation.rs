//! Simulated runs with known truth: share of intervals that cover it, and of false claims.
//!
//! Trials scatter as those of the run of 2026-11-21 did: log-normally, with more outliers than a
//! normal distribution has (kurtosis 12), and with a drift that is common to a round.

use std::f64::consts::TAU;

use crate::analysis::statistics::holm::adjusted;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::verdict::{MARGIN, Verdict};

/// Standard deviation of a logarithm, as recorded.
const SCATTER: f64 = 0.077;

/// Source of the deviations of simulated trials.
pub(super) struct Machine(fastrand::Rng);

impl Machine {
    /// The same deviations in every run of a test.
    pub(super) fn new() -> Self {
        Self(fastrand::Rng::with_seed(20_261_121))
    }

    /// Value between 0 and 1, neither included.
    pub(super) fn uniform(&mut self) -> f64 {
        self.0.f64().max(f64::MIN_POSITIVE)
    }

    /// Deviate of the standard normal distribution.
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.0.f64(), self.0.f64());
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }

    /// Logarithm of a trial's deviation: one in twenty is four times as far, which makes the kurtosis
    /// 12.
    fn deviation(&mut self, scatter: f64) -> f64 {
        let wide = if self.0.u32(..20) == 0 { 4.0 } else { 1.0 };
        let unit = (0.95_f64 + 0.05 * 16.0).sqrt();
        self.normal() * wide / unit * scatter
    }

    /// Values of servers with the true `speeds`, round by round.
    fn run(&mut self, speeds: &[f64], rounds: u32, scatter: f64) -> Vec<Vec<(u32, f64)>> {
        let mut servers = vec![Vec::new(); speeds.len()];
        for round in 1..=rounds {
            let drift = 0.1 * self.normal();
            for (values, speed) in servers.iter_mut().zip(speeds) {
                values.push((round, speed * (drift + self.deviation(scatter)).exp()));
            }
        }
        servers
    }
}

/// Share of simulated runs in which something happens.
fn share(runs: u32, mut happens: impl FnMut(&mut Machine) -> bool) -> f64 {
    let mut machine = Machine::new();
    f64::from((0..runs).map(|_| u32::from(happens(&mut machine))).sum::<u32>()) / f64::from(runs)
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_promise() {
    for rounds in [5, 6, 10] {
        let covered = share(3_000, |machine| {
            let servers = machine.run(&[1.3, 1.0], rounds, SCATTER);
            let ratio = RatioEstimate::of_rounds(&servers[0], &servers[1]).unwrap();
            ratio.interval().unwrap().contains(1.3)
        });
        assert!((0.94..0.985).contains(&covered), "{rounds} rounds: {covered}");
    }
}

#[test]
fn nine_equal_servers_are_rarely_told_apart() {
    let runs = 500;
    for rounds in [5, 10] {
        let alarms = share(runs, |machine| {
            let servers = machine.run(&[1.0; 9], rounds, SCATTER);
            let pairs = (0..9).flat_map(|one| (0..one).map(move |other| (one, other)));
            let ratio = |(one, other): (usize, usize)| {
                RatioEstimate::of_rounds(&servers[one], &servers[other]).unwrap()
            };
            let ratios: Vec<_> = pairs.map(ratio).collect();
            let p: Vec<_> = ratios.iter().map(|ratio| ratio.p_of_difference().unwrap()).collect();
            let verdicts = ratios.iter().zip(adjusted(&p));
            verdicts
                .map(|(ratio, p)| Verdict::of(ratio, p))
                .any(|verdict| matches!(verdict, Verdict::Different(_)))
        });
        assert!(alarms <= 0.05, "{rounds} rounds: {alarms}");
    }
}

#[test]
fn servers_that_differ_by_the_margin_are_rarely_called_equivalent() {
    for scatter in [SCATTER, SCATTER / 4.0] {
        let false_claims = share(3_000, |machine| {
            let servers = machine.run(&[MARGIN, 1.0], 6, scatter);
            let ratio = RatioEstimate::of_rounds(&servers[0], &servers[1]).unwrap();
            Verdict::of(&ratio, 1.0) == Verdict::Equivalent
        });
        assert!(false_claims <= 0.05, "scatter {scatter}: {false_claims}");
    }
}

#[test]
fn true_differences_and_true_equality_are_found() {
    let verdicts = |speed: f64, scatter: f64| {
        move |machine: &mut Machine| {
            let servers = machine.run(&[speed, 1.0], 6, scatter);
            let ratio = RatioEstimate::of_rounds(&servers[0], &servers[1]).unwrap();
            Verdict::of(&ratio, ratio.p_of_difference().unwrap())
        }
    };
    let found = verdicts(1.3, SCATTER);
    let differences = share(1_000, |machine| matches!(found(machine), Verdict::Different(_)));
    assert!(differences > 0.9, "{differences}");
    let found = verdicts(1.0, 0.015);
    let equal = share(1_000, |machine| found(machine) == Verdict::Equivalent);
    assert!(equal > 0.9, "{equal}");
}
