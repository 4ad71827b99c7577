//! The rounds of a run, condensed: one line for each server under each load.

use std::collections::BTreeMap;

use bench_data::load::Load;
use bench_data::load::store::{Durability, Store};
use bench_data::load::words;
use bench_data::plan::Primary;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::{Distribution, LatencyRow, Records, Support, TrialRow};
use bench_data::record::wake_up::WakeUpRow;
use bench_data::servers::target::TargetKind;
use bench_data::stats::{Spread, median};
use bench_data::units::{counted, grouped};

use crate::analysis::capacity::CapacityEstimate;
use crate::analysis::comparison::joined;
use crate::analysis::metric::{Metric, Percentile, Rounds};
use crate::analysis::over_time::{self, OverTime, SecondsByTrial};

/// Fewest valid trials that represent a server whose others were spoiled by something else.
const LEAST_VALID: usize = 3;

/// Condensed run, in the order in which servers and loads first ran.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Lines of the compared servers. The values of an A/A control join those of its server.
    pub lines: Vec<Line>,
    /// Lines of the A/A controls, each with the line of its server as it was before they joined.
    controls: Vec<(Line, Line)>,
    /// Capacities, A/A controls included.
    pub capacities: Vec<CapacityEstimate>,
    /// Loads under which nothing is compared, because an A/A control differs from its server.
    pub void: Vec<Load>,
    /// Load of the main comparison, if the plan declares it.
    pub declared: Option<Primary>,
    /// Load and metric of the declared main comparison, in a part of a run.
    pub main: Option<(Load, Metric)>,
    /// Wake-up delay of the machine, if it was measured.
    pub floor: Option<Floor>,
}

/// Wake-up delay of the machine in microseconds: medians over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    p99_us: f64,
    p999_us: f64,
}

/// Multiple of the wake-up delay below which a percentile of the same order supports no claim.
const FLOOR_MULTIPLE: f64 = 3.0;

impl Floor {
    fn of(rows: &[WakeUpRow]) -> Option<Self> {
        let of =
            |column: fn(&WakeUpRow) -> f64| median(&rows.iter().map(column).collect::<Vec<_>>());
        Some(Self { p99_us: of(|row| row.p99_us)?, p999_us: of(|row| row.p999_us)? })
    }

    /// 99th percentile of the delay, in microseconds.
    pub fn p99_us(&self) -> f64 {
        self.p99_us
    }

    /// Least value of a metric that supports a claim, in microseconds; `None` if the machine sets none.
    pub fn least_us(&self, metric: Metric) -> Option<f64> {
        let (Metric::Response(percentile) | Metric::Service(percentile)) = metric else {
            return None;
        };
        let delays = [(Percentile::P99, self.p99_us), (Percentile::P99_9, self.p999_us)];
        let (_, delay_us) = delays.into_iter().find(|(known, _)| *known == percentile)?;
        Some(FLOOR_MULTIPLE * delay_us)
    }
}

/// One server under one load.
#[derive(Debug, Clone)]
pub struct Line {
    /// Name of the server.
    pub target: String,
    /// Kind of the server.
    pub kind: TargetKind,
    /// Name of the strategy that it is the A/A control of.
    pub control_of: Option<String>,
    /// The load.
    pub load: Load,
    values: BTreeMap<Metric, Rounds>,
    /// Course of the response times over the seconds of the window.
    pub over_time: OverTime,
    /// System calls per request, where they were counted.
    pub calls_per_request: Option<f64>,
    /// Fewest background connections that were held in any round.
    pub background_held: Option<usize>,
    /// Fewest connections that were served in any round.
    pub connections_served: Option<u64>,
    /// Rounds in which not all connections were served.
    pub starved_rounds: usize,
    /// Answered requests of all rounds.
    pub requests: u64,
    /// Failed requests of all rounds.
    pub errors: u64,
    /// Data forced to disk before an upload is acknowledged; `None` if unknown, or without uploads.
    pub durability: Option<Durability>,
    /// Number of trials by outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Reasons of outcomes other than ok, one for each outcome.
    pub reasons: Vec<String>,
}

impl Summary {
    /// Condenses records. Trials of capacity searches have no lines: servers are not compared
    /// under their loads.
    pub fn of(records: &Records) -> Self {
        let mut groups: Vec<(Load, &str, Vec<&TrialRow>)> = Vec::new();
        for row in records.trials.iter().filter(|row| row.search.is_none()) {
            let (load, target) = (row.load(), row.target.as_str());
            match groups.iter_mut().find(|(c, t, _)| *c == load && *t == target) {
                Some((_, _, rows)) => rows.push(row),
                None => groups.push((load, target, vec![row])),
            }
        }
        let latencies = latencies_by_trial(records);
        let seconds = over_time::by_trial(&records.seconds);
        let lines = groups.into_iter().map(|(load, target, rows)| {
            let mut line = Line::of(target, load, &rows, (&latencies, &seconds));
            let calls = records.calls.iter().find(|call| {
                call.target == target && rows.iter().any(|row| row.trial == call.trial)
            });
            line.calls_per_request = calls.map(|row| row.calls_per_request);
            line
        });
        let (controls, mut lines): (Vec<Line>, Vec<Line>) =
            lines.partition(|line: &Line| line.kind == TargetKind::AaControl);
        let mut pairs = Vec::new();
        for control in controls {
            let is_its = |line: &&mut Line| {
                line.load == control.load && control.control_of.as_ref() == Some(&line.target)
            };
            let Some(own) = lines.iter_mut().find(is_its) else { continue };
            pairs.push((control.clone(), own.clone()));
            if own.is_sound() && control.is_sound() {
                own.join(&control);
            }
        }
        Self {
            lines,
            controls: pairs,
            capacities: CapacityEstimate::all(records),
            void: Vec::new(),
            declared: None,
            main: None,
            floor: Floor::of(&records.wake_ups),
        }
    }

    /// Part of the run with the wanted loads.
    pub fn part(&self, wanted: impl Fn(&Load) -> bool) -> Self {
        let lines = self.lines.iter().filter(|line| wanted(&line.load)).cloned();
        let controls = self.controls.iter().filter(|(line, _)| wanted(&line.load)).cloned();
        let searched = self.capacities.iter().filter(|one| wanted(&one.search.load)).cloned();
        Self {
            lines: lines.collect(),
            controls: controls.collect(),
            capacities: searched.collect(),
            void: self.void.clone(),
            declared: self.declared,
            main: self.main,
            floor: self.floor,
        }
    }

    /// Returns true if the plan declares all its loads as those of the main comparison.
    pub fn is_declared(&self) -> bool {
        let all_match = |one: Primary| self.loads().iter().all(|load| one.matches(load));
        self.declared.is_some_and(all_match)
    }

    /// Line of the A/A control under a load, and that of its server as it was before they joined;
    /// `None` without a sound pair.
    pub fn control_pair(&self, load: Load) -> Option<(&Line, &Line)> {
        let (control, own) = self.controls.iter().find(|(line, _)| line.load == load)?;
        (control.is_sound() && own.is_sound()).then_some((control, own))
    }

    /// Line of a server under a load.
    pub fn line(&self, load: Load, target: &str) -> Option<&Line> {
        self.under(load).find(|line| line.target == target)
    }

    /// Loads in the order in which they first ran.
    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for line in &self.lines {
            if !loads.contains(&line.load) {
                loads.push(line.load);
            }
        }
        loads
    }

    /// Servers in the order in which they first ran.
    pub fn targets(&self) -> Vec<&str> {
        let mut targets = Vec::new();
        for line in &self.lines {
            if !targets.contains(&line.target.as_str()) {
                targets.push(&line.target);
            }
        }
        targets
    }

    /// Lines of one load.
    pub fn under(&self, load: Load) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.load == load)
    }
}

impl Line {
    fn of(
        target: &str,
        load: Load,
        rows: &[&TrialRow],
        (latencies, seconds): (&Latencies, &SecondsByTrial<'_>),
    ) -> Self {
        let is_ok = |row: &&TrialRow| row.outcome == Outcome::Ok;
        // Where the generator was the limit a server may have been faster, so without these rounds
        // its values err to the low side; with them they would mean nothing.
        let is_sound = are_sound(rows.iter().map(|row| (row.outcome, 1)));
        let counts = |row: &&TrialRow| row.outcome.is_measured() && (is_ok(row) || !is_sound);
        let measured: Vec<_> = rows.iter().copied().filter(counts).collect();
        let mut values = latency_values(&measured, latencies);
        for metric in Metric::OF_ROWS {
            let rounds = measured.iter().filter_map(|row| Some((row.round, metric.of(row)?)));
            values.insert(metric, rounds.collect());
        }
        let served_all = |row: &TrialRow| {
            row.connections_served.is_none_or(|served| served >= load.connections as u64)
        };
        let mut outcomes = BTreeMap::new();
        let mut reasons = Vec::new();
        for row in rows {
            let seen = outcomes.entry(row.outcome).or_insert(0);
            *seen += 1;
            if *seen == 1 && !row.outcome_reason.is_empty() {
                reasons.push(row.outcome_reason.clone());
            }
        }
        Self {
            target: target.to_owned(),
            kind: rows.first().map_or(TargetKind::Strategy, |row| row.target_kind),
            control_of: rows.first().and_then(|row| row.control_of.clone()),
            load,
            values,
            over_time: OverTime::of(&measured, seconds),
            calls_per_request: None,
            background_held: measured.iter().filter_map(|row| row.background_held).min(),
            connections_served: measured.iter().filter_map(|row| row.connections_served).min(),
            starved_rounds: measured.iter().filter(|row| !served_all(row)).count(),
            durability: rows.first().and_then(|row| row.durability),
            requests: rows.iter().filter_map(|row| row.requests).sum(),
            errors: rows.iter().filter_map(|row| row.errors).sum(),
            outcomes,
            reasons,
        }
    }

    /// Joins the values of the A/A control with the line's own.
    fn join(&mut self, control: &Self) {
        for (metric, rounds) in &mut self.values {
            *rounds = joined(rounds, control.rounds(*metric));
        }
    }

    /// Values of a metric, round by round.
    pub fn rounds(&self, metric: Metric) -> &[(u32, f64)] {
        self.values.get(&metric).map_or(&[], Vec::as_slice)
    }

    /// Median of a metric over the rounds.
    pub fn median(&self, metric: Metric) -> Option<f64> {
        median(&values(self.rounds(metric)))
    }

    /// Median of a metric over the rounds with the range of its values.
    pub fn spread(&self, metric: Metric) -> Option<Spread> {
        Spread::of(&values(self.rounds(metric)))
    }

    /// Median throughput; 0 if it was not measured.
    pub fn throughput(&self) -> f64 {
        self.median(Metric::Throughput).unwrap_or(0.0)
    }

    /// Medians of all percentiles below 100 of one distribution (`Metric::Response` or
    /// `Metric::Service`), from low to high.
    pub fn spectrum(&self, of: fn(Percentile) -> Metric) -> impl Iterator<Item = (f64, f64)> {
        self.values.iter().filter_map(move |(metric, rounds)| {
            let percentile = metric.percentile().filter(|one| of(*one) == *metric)?;
            Some((percentile.percent(), median(&values(rounds))?))
        })
    }

    /// Returns true if some connection was not served.
    pub fn starved(&self) -> bool {
        self.connections_served.is_some_and(|served| served < self.load.connections as u64)
    }

    /// Returns true if that was so in every measured round.
    pub fn starved_in_every_round(&self) -> bool {
        self.starved() && self.starved_rounds == self.rounds(Metric::Throughput).len()
    }

    /// Number of trials with an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Returns true if the line can be compared with others: it has a throughput, and its trials are
    /// sound.
    pub fn is_comparable(&self) -> bool {
        !self.rounds(Metric::Throughput).is_empty() && self.is_sound() && self.is_as_durable()
    }

    /// Returns true if uploads to a disk are forced there as by the built-in servers, or none are stored
    /// on one. Servers of unequal durability are not compared.
    pub fn is_as_durable(&self) -> bool {
        let store = self.load.profile.store;
        store == Store::Memory || self.durability == Some(store.durability())
    }

    /// Returns true if the rates are lower bounds of the server's: the load generator was the limit in
    /// too many trials, and nothing else was wrong.
    pub fn is_censored(&self) -> bool {
        let background = self.load.profile.background.total();
        !self.is_sound()
            && !self.starved()
            && self.background_held.is_none_or(|held| held >= background)
            && self.count(Outcome::GeneratorBound) > 0
            && self.outcomes.keys().all(|outcome| {
                matches!(outcome, Outcome::Ok | Outcome::Interrupted) || outcome.is_set_aside()
            })
    }

    /// Returns true if most connections were served, but not all in every round.
    pub fn misses_a_few(&self) -> bool {
        let served_half =
            self.connections_served.is_some_and(|served| 2 * served > self.load.connections as u64);
        self.starved() && (served_half || !self.starved_in_every_round())
    }

    /// Conditions that limit the use of the values, the most severe one first; none for sound lines.
    pub fn conditions(&self) -> Vec<String> {
        let trials = self.trials();
        let mut conditions = Vec::new();
        if let Some(served) = self.connections_served.filter(|_| self.starved()) {
            let all = words::connections(self.load.connections);
            conditions.push(if self.starved_in_every_round() {
                format!("served {served} of {all}")
            } else {
                let rounds = self.starved_rounds;
                format!("served only {served} of {all} in {rounds} of {}", counted(trials, "round"))
            });
        }
        if !self.is_as_durable() {
            conditions.push(match self.durability {
                Some(Durability::None) => "not durable: uploads are not forced to disk".to_owned(),
                Some(other) => format!("other durability: {}", other.name()),
                None => "durability unknown".to_owned(),
            });
        }
        let background = self.load.profile.background.total();
        if let Some(held) = self.background_held.filter(|held| *held < background) {
            let all = counted(background, "background connection");
            conditions.push(format!("held {} of {all}", grouped(held)));
        }
        for outcome in [
            Outcome::Unsupported,
            Outcome::Waiting,
            Outcome::GeneratorBound,
            Outcome::Overloaded,
            Outcome::TooFew,
            Outcome::GeneratorLate,
            Outcome::Invalid,
            Outcome::Disturbed,
            Outcome::Died,
            Outcome::NotStarted,
            Outcome::Errors,
            Outcome::Interrupted,
        ] {
            conditions.extend(self.condition(outcome));
        }
        conditions
    }

    /// Number of trials with an outcome, in words; `None` without such a trial.
    fn condition(&self, outcome: Outcome) -> Option<String> {
        let (count, trials) = (self.count(outcome), self.trials());
        let reason = self.reasons.last().filter(|_| outcome == Outcome::Unsupported);
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("{} in {count} of {}{reason}", term(outcome), counted(trials, "trial"));
        (count > 0).then_some(text)
    }

    /// Failures of the server or of its requests; `None` if no trial failed.
    pub fn failure(&self) -> Option<String> {
        let failed = self.outcomes.keys().rev().find(|outcome| outcome.is_failure())?;
        self.condition(*failed)
    }

    /// Reason why the line cannot be compared; empty if it can.
    pub fn exclusion_reason(&self) -> String {
        if self.is_comparable() {
            return String::new();
        }
        self.conditions().into_iter().next().unwrap_or_else(|| "not measured".to_owned())
    }

    /// Returns true if all trials were measured as planned, apart from those that were spoiled by
    /// something else than the server, and enough are left.
    pub fn is_sound(&self) -> bool {
        are_sound(self.outcomes.iter().map(|(outcome, count)| (*outcome, *count)))
    }

    /// Number of trials.
    pub fn trials(&self) -> usize {
        self.outcomes.values().sum()
    }
}

/// Term for an outcome within a sentence.
fn term(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Waiting => "server and load generator idle",
        Outcome::GeneratorBound => "limited by the load generator",
        Outcome::TooFew => "too few requests",
        Outcome::GeneratorLate => "load generator late",
        Outcome::Invalid => "contradictory counts",
        Outcome::Disturbed => "machine disturbed",
        Outcome::Died => "server died",
        Outcome::NotStarted => "not started",
        Outcome::Errors => "failed requests",
        Outcome::Ok
        | Outcome::Starved
        | Outcome::Overloaded
        | Outcome::Interrupted
        | Outcome::Unsupported => outcome.name(),
    }
}

/// Returns true if trials with these outcomes, each so many times, are sound: see [`Line::is_sound`].
fn are_sound(outcomes: impl Iterator<Item = (Outcome, usize)>) -> bool {
    let (mut ok, mut trials, mut others) = (0, 0, 0);
    // An interrupted trial shows nothing about the server; a resumed run repeats it.
    for (outcome, count) in outcomes.filter(|(outcome, _)| *outcome != Outcome::Interrupted) {
        trials += count;
        if outcome == Outcome::Ok {
            ok += count;
        } else if !outcome.is_set_aside() {
            others += count;
        }
    }
    others == 0 && ok >= LEAST_VALID.min(trials)
}

/// Times by trial: the metric of each recorded percentile, and its value.
type Latencies = BTreeMap<u32, Vec<(Metric, f64)>>;

fn latencies_by_trial(records: &Records) -> Latencies {
    let mut by_trial = Latencies::new();
    // Runs before version 6 do not record the support.
    let identified =
        |row: &&LatencyRow| row.support.is_none_or(|support| support == Support::Identified);
    for row in records.latencies.iter().filter(identified) {
        let percentile = Percentile::new(row.percentile);
        let metric = match row.distribution {
            Distribution::Response => Metric::Response(percentile),
            Distribution::Service => Metric::Service(percentile),
            Distribution::Heavy if percentile == Percentile::P50 => Metric::HeavyResponse,
            Distribution::Heavy | Distribution::SendDelay | Distribution::Connect => continue,
        };
        by_trial.entry(row.trial).or_default().push((metric, row.latency_us));
    }
    by_trial
}

/// Latencies of the rounds measured as planned, or of all measured ones if there are none: a bad
/// round has so few answers that it would take the high percentiles from the others. A percentile
/// that some of these rounds lack is left out: a median over the rest would favour rounds with more
/// requests.
fn latency_values(measured: &[&TrialRow], latencies: &Latencies) -> BTreeMap<Metric, Rounds> {
    let as_planned = measured.iter().filter(|row| row.outcome == Outcome::Ok).count();
    let rows = || measured.iter().filter(|row| as_planned == 0 || row.outcome == Outcome::Ok);
    let mut all: BTreeMap<Metric, Rounds> = BTreeMap::new();
    for row in rows() {
        for (metric, latency_us) in latencies.get(&row.trial).into_iter().flatten() {
            all.entry(*metric).or_default().push((row.round, *latency_us));
        }
    }
    all.retain(|_, rounds| rounds.len() == rows().count());
    let of = |metric| all.get(&metric).map_or(&[][..], Vec::as_slice);
    let tail = quotients(of(Metric::P99), of(Metric::Response(Percentile::P50)));
    all.insert(Metric::TailRatio, tail);
    all
}

/// Quotients of two metrics, round by round, where the divisor is above 0.
pub fn quotients(above: &[(u32, f64)], below: &[(u32, f64)]) -> Rounds {
    let of = |(round, value): &(u32, f64)| {
        let (_, by) = below.iter().find(|(other, by)| other == round && *by > 0.0)?;
        Some((*round, value / by))
    };
    above.iter().filter_map(of).collect()
}

/// Values of rounds without the numbers of the rounds.
pub fn values(rounds: &[(u32, f64)]) -> Vec<f64> {
    rounds.iter().map(|(_, value)| *value).collect()
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    use super::*;

    #[test]
    fn servers_of_unequal_durability_are_not_compared() {
        let plan = Plan::built_in("upload").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let on_disk = |line: &&Line| line.load.profile.store == Store::Disk;
        let mut compared: Vec<_> = summary.lines.iter().filter(on_disk).collect();
        assert_eq!(compared.len(), 2 * 3, "sizes, servers");
        compared.retain(|line| line.is_comparable());
        assert!(compared.iter().all(|line| line.kind.is_ours()) && compared.len() == 4);
        let nginx = summary.lines.iter().filter(on_disk).find(|line| line.target == "nginx");
        let reason = nginx.unwrap().exclusion_reason();
        assert_eq!(reason, "not durable: uploads are not forced to disk");
        assert!(nginx.unwrap().median(Metric::TransferRate).is_some(), "shown");
    }

    #[test]
    fn an_interrupted_trial_that_was_repeated_excludes_no_server() {
        let mut records = bench_data::mock::records();
        let is_one = |row: &&TrialRow| row.target == "selector" && row.connections == 64;
        let one = records.trials.iter().find(is_one).unwrap();
        let load = one.load();
        let trial = records.trials.len() as u32 + 1;
        let stopped = TrialRow { trial, outcome: Outcome::Interrupted, ..one.clone() };
        let rounds = |records: &Records| {
            let summary = Summary::of(records);
            let line = summary.line(load, "selector").unwrap();
            assert!(line.is_comparable(), "{}", line.exclusion_reason());
            line.rounds(Metric::Throughput).to_vec()
        };
        let before = rounds(&records);
        records.trials.push(stopped);
        assert_eq!(rounds(&records), before);
    }

    #[test]
    fn a_lower_bound_is_no_percentile() {
        let row = |percentile, support| LatencyRow {
            trial: 1,
            distribution: Distribution::Response,
            percentile,
            latency_us: 9.0,
            support,
        };
        let latencies = vec![
            row(50.0, Some(Support::Identified)),
            row(90.0, None),
            row(99.0, Some(Support::AtLeast)),
            row(99.9, Some(Support::Few)),
        ];
        let found = latencies_by_trial(&Records { latencies, ..Records::default() });
        let metrics: Vec<_> = found[&1].iter().map(|(metric, _)| *metric).collect();
        let response = |percentile| Metric::Response(Percentile::new(percentile));
        assert_eq!(metrics, [response(50.0), response(90.0)]);
    }
}
