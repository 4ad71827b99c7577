//! What the rounds say together about each server under each load.

use bench_data::units::{self, grouped};
use std::collections::BTreeMap;

use bench_data::load::Load;
use bench_data::record::capacity::Capacity;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::{Distribution, Records, TrialRow};
use bench_data::servers::target::TargetKind;
use bench_data::stats::{Estimate, LEAST_ROUNDS};

/// A run, condensed: one line for each server under each load, in the order they first ran.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The lines.
    pub lines: Vec<Line>,
    /// Those of a strategy that was measured a second time: no competitors, but a measure of
    /// chance.
    pub twins: Vec<Line>,
    /// What the searches for a capacity found, twins included.
    pub capacities: Vec<Capacity>,
}

/// One server under one load.
#[derive(Debug, Clone)]
pub struct Line {
    /// The server's name.
    pub target: String,
    /// Which kind of server it is.
    pub kind: TargetKind,
    /// Name of the strategy that it is the A/A control of.
    pub control_of: Option<String>,
    /// The load.
    pub load: Load,
    /// Requests answered per second.
    pub requests_per_s: Option<Estimate>,
    /// The same, round by round.
    pub rounds: Vec<(u32, f64)>,
    /// Body bytes, in millions per second.
    pub mb_per_s: Option<Estimate>,
    /// Response times in microseconds, by percentile in tenths of a thousandth (`p99.9` is 999000).
    pub latency_us: BTreeMap<u32, Estimate>,
    /// The same, round by round.
    pub latency_rounds: BTreeMap<u32, Vec<(u32, f64)>>,
    /// Of open loops, the times from when requests were sent, in microseconds, likewise.
    pub service_us: BTreeMap<u32, Estimate>,
    /// The same, round by round.
    pub service_rounds: BTreeMap<u32, Vec<(u32, f64)>>,
    /// Answers per second within the window, whenever their requests were due, round by round.
    pub answered_rounds: Vec<(u32, f64)>,
    /// Median response time of heavy requests, in microseconds.
    pub heavy_us: Option<Estimate>,
    /// The same, round by round.
    pub heavy_rounds: Vec<(u32, f64)>,
    /// Mean response time in microseconds, round by round.
    pub mean_rounds: Vec<(u32, f64)>,
    /// The server's context switches per request, round by round.
    pub switch_rounds: Vec<(u32, f64)>,
    /// The server's processor time per request, in microseconds, round by round.
    pub cpu_rounds: Vec<(u32, f64)>,
    /// The server's processor time per request, in microseconds.
    pub cpu_us_per_request: Option<Estimate>,
    /// The server's context switches per request.
    pub switches_per_request: Option<Estimate>,
    /// System calls per request, where they were counted.
    pub calls_per_request: Option<f64>,
    /// The server's memory.
    pub memory_bytes: Option<Estimate>,
    /// The same, round by round.
    pub memory_rounds: Vec<(u32, f64)>,
    /// Body bytes round by round.
    pub mb_rounds: Vec<(u32, f64)>,
    /// The server's threads, round by round.
    pub thread_rounds: Vec<(u32, f64)>,
    /// The server's threads.
    pub threads: Option<Estimate>,
    /// Share of a core that the generator's busiest thread used.
    pub generator_share: Option<Estimate>,
    /// The ways in which the server sent its files.
    pub send_paths: Vec<String>,
    /// What the generator waited with.
    pub engines: Vec<String>,
    /// Fewest connections of the crowd that were held in any round.
    pub crowd_held: Option<usize>,
    /// Fewest connections that got an answer in any round.
    pub connections_served: Option<u64>,
    /// Rounds in which fewer than all connections got an answer.
    pub starved_rounds: usize,
    /// Failed requests of all rounds.
    pub errors: u64,
    /// How the trials ended.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Why, where it was not well: one reason for each kind.
    pub reasons: Vec<String>,
}

impl Summary {
    /// Condenses records. Medians are over the trials that were measured to their end.
    pub fn of(records: &Records) -> Self {
        let mut groups: Vec<(Load, &str, Vec<&TrialRow>)> = Vec::new();
        // What a search tries is no load that servers are compared under.
        for row in records.trials.iter().filter(|row| row.search.is_none()) {
            let (load, target) = (row.load(), row.target.as_str());
            match groups.iter_mut().find(|(c, t, _)| *c == load && *t == target) {
                Some((_, _, rows)) => rows.push(row),
                None => groups.push((load, target, vec![row])),
            }
        }
        let latencies = latencies_by_trial(records, Distribution::Response);
        let heavy = latencies_by_trial(records, Distribution::Heavy);
        let service = latencies_by_trial(records, Distribution::Service);
        let lines = groups.into_iter().map(|(load, target, rows)| {
            let mut line = Line::of(target, load, &rows, [&latencies, &heavy, &service]);
            let calls = records.calls.iter().find(|call| {
                call.target == target && rows.iter().any(|row| row.trial == call.trial)
            });
            line.calls_per_request = calls.map(|row| row.calls_per_request);
            line
        });
        let (twins, lines) = lines.partition(|line: &Line| line.kind == TargetKind::AaControl);
        Self { lines, twins, capacities: Capacity::of(records) }
    }

    /// The part of the run whose loads are wanted.
    pub fn part(&self, wanted: impl Fn(&Load) -> bool) -> Self {
        let kept =
            |lines: &[Line]| lines.iter().filter(|line| wanted(&line.load)).cloned().collect();
        let searched = self.capacities.iter().filter(|one| wanted(&one.load)).cloned();
        Self { lines: kept(&self.lines), twins: kept(&self.twins), capacities: searched.collect() }
    }

    /// By which factor, at least 1, a strategy and itself differ under a load, at the worse end of
    /// the interval; where the pair was not measured well there, under the load where they differ
    /// most. `None` without such a pair. `rounds` are a line's values, round by round.
    pub fn noise_floor(
        &self,
        load: Load,
        rounds: impl Fn(&Line) -> Vec<(u32, f64)>,
    ) -> Option<f64> {
        let of = |twin: &Line| -> Option<f64> {
            let name = twin.control_of.as_deref()?;
            let one = self.under(twin.load).find(|line| line.target == name)?;
            let ratio = Estimate::of_ratios(&rounds(twin), &rounds(one))
                .filter(|_| one.is_sound() && twin.is_sound())?;
            let interval = ratio.interval?;
            Some(interval.high.max(1.0 / interval.low.max(f64::MIN_POSITIVE)).max(1.0))
        };
        let here = self.twins.iter().find(|twin| twin.load == load).and_then(of);
        here.or_else(|| self.twins.iter().filter_map(of).max_by(f64::total_cmp))
    }

    /// The loads, in the order they first ran.
    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for line in &self.lines {
            if !loads.contains(&line.load) {
                loads.push(line.load);
            }
        }
        loads
    }

    /// The servers, in the order they first ran.
    pub fn targets(&self) -> Vec<&str> {
        let mut targets = Vec::new();
        for line in &self.lines {
            if !targets.contains(&line.target.as_str()) {
                targets.push(&line.target);
            }
        }
        targets
    }

    /// The lines of one load.
    pub fn under(&self, load: Load) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.load == load)
    }
}

impl Line {
    fn of(target: &str, load: Load, rows: &[&TrialRow], latencies: [&Latencies; 3]) -> Self {
        let is_ok = |row: &&TrialRow| row.outcome == Outcome::Ok;
        // Where the generator was the limit a server may have been faster, so without these rounds
        // its values err to the low side; with them they would say nothing.
        let is_sound = are_sound(rows.iter().map(|row| (row.outcome, 1)));
        let counts = |row: &&TrialRow| row.outcome.is_measured() && (is_ok(row) || !is_sound);
        let measured: Vec<_> = rows.iter().copied().filter(counts).collect();
        let estimate = |value: &dyn Fn(&TrialRow) -> Option<f64>| {
            Estimate::of(&measured.iter().filter_map(|row| value(row)).collect::<Vec<_>>())
        };
        let by_round = |value: &dyn Fn(&TrialRow) -> Option<f64>| -> Vec<_> {
            measured.iter().filter_map(|row| Some((row.round, value(row)?))).collect()
        };
        let served_all = |row: &TrialRow| {
            row.connections_served.is_none_or(|served| served >= load.connections as u64)
        };
        let [latency_rounds, mut heavy, service_rounds] =
            latencies.map(|times| latency(&measured, times));
        let heavy_rounds = heavy.remove(&key(50.0)).unwrap_or_default();
        let mut outcomes = BTreeMap::new();
        let mut reasons = Vec::new();
        for row in rows {
            let seen = outcomes.entry(row.outcome).or_insert(0);
            *seen += 1;
            if *seen == 1 && !row.outcome_reason.is_empty() {
                reasons.push(row.outcome_reason.clone());
            }
        }
        let estimates = |rounds: &BTreeMap<u32, Vec<(u32, f64)>>| {
            let each = rounds.iter();
            each.filter_map(|(key, rounds)| Some((*key, Estimate::of(&values(rounds))?))).collect()
        };
        Self {
            target: target.to_owned(),
            kind: rows.first().map_or(TargetKind::Strategy, |row| row.target_kind),
            control_of: rows.first().and_then(|row| row.control_of.clone()),
            load,
            requests_per_s: estimate(&|row| row.requests_per_s),
            rounds: by_round(&|row| row.requests_per_s),
            mean_rounds: by_round(&|row| row.response_mean_us),
            switch_rounds: by_round(&TrialRow::switches_per_request),
            cpu_rounds: by_round(&|row| row.server_cpu_us_per_request),
            mb_rounds: by_round(&|row| row.body_mb_per_s),
            thread_rounds: by_round(&|row| row.server_threads.map(|threads| threads as f64)),
            mb_per_s: estimate(&|row| row.body_mb_per_s),
            latency_us: estimates(&latency_rounds),
            latency_rounds,
            service_us: estimates(&service_rounds),
            service_rounds,
            answered_rounds: by_round(&|row| row.answered_per_s.or(row.requests_per_s)),
            heavy_us: Estimate::of(&values(&heavy_rounds)),
            heavy_rounds,
            cpu_us_per_request: estimate(&|row| row.server_cpu_us_per_request),
            switches_per_request: estimate(&TrialRow::switches_per_request),
            calls_per_request: None,
            memory_bytes: estimate(&|row| row.server_memory_bytes.map(|bytes| bytes as f64)),
            memory_rounds: by_round(&|row| row.server_memory_bytes.map(|bytes| bytes as f64)),
            threads: estimate(&|row| row.server_threads.map(|threads| threads as f64)),
            generator_share: estimate(&|row| row.generator_cpu_share),
            send_paths: distinct(measured.iter().filter_map(|row| row.server_send_path.as_ref())),
            engines: distinct(measured.iter().filter_map(|row| row.generator_engine.as_ref())),
            crowd_held: measured.iter().filter_map(|row| row.background_held).min(),
            connections_served: measured.iter().filter_map(|row| row.connections_served).min(),
            starved_rounds: measured.iter().filter(|row| !served_all(row)).count(),
            errors: rows.iter().filter_map(|row| row.errors).sum(),
            outcomes,
            reasons,
        }
    }

    /// Response time at a percentile, in microseconds.
    pub fn latency_us(&self, percentile: f64) -> Option<Estimate> {
        self.latency_us.get(&key(percentile)).copied()
    }

    /// The same, round by round.
    pub fn latency_rounds(&self, percentile: f64) -> &[(u32, f64)] {
        self.latency_rounds.get(&key(percentile)).map_or(&[], Vec::as_slice)
    }

    /// Time from sending at a percentile, in microseconds: in closed loops the response time.
    pub fn service_us(&self, percentile: f64) -> Option<Estimate> {
        let estimates =
            if self.service_us.is_empty() { &self.latency_us } else { &self.service_us };
        estimates.get(&key(percentile)).copied()
    }

    /// The same, round by round.
    pub fn service_rounds(&self, percentile: f64) -> &[(u32, f64)] {
        let rounds = if self.service_rounds.is_empty() {
            &self.latency_rounds
        } else {
            &self.service_rounds
        };
        rounds.get(&key(percentile)).map_or(&[], Vec::as_slice)
    }

    /// The recorded percentiles of the times from sending with their estimates, from low to high.
    pub fn service_spectrum(&self) -> impl Iterator<Item = (f64, Estimate)> {
        self.service_us.iter().map(|(key, estimate)| (f64::from(*key) / 1e4, *estimate))
    }

    /// Whether connections starved: fewer than all got an answer.
    pub fn starved(&self) -> bool {
        self.connections_served.is_some_and(|served| served < self.load.connections as u64)
    }

    /// Whether that was so in every round that was measured.
    pub fn starved_in_every_round(&self) -> bool {
        self.starved() && self.starved_rounds == self.rounds.len()
    }

    /// Whether the server held fewer of the crowd than there were.
    pub fn lost_of_the_crowd(&self) -> bool {
        self.crowd_held.is_some_and(|held| held < self.load.profile.background.total())
    }

    /// How many trials ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Whether every trial says how fast the server is at the load that was asked for; those that were
    /// spoiled by something else do not count where enough others are left.
    pub fn is_comparable(&self) -> bool {
        self.requests_per_s.is_some() && self.is_sound()
    }

    /// Whether it answered most of its connections, but in some round not all.
    pub fn misses_a_few(&self) -> bool {
        self.starved() && !self.waits_by_design()
    }

    /// Whether it left at least half of its connections without an answer in every round.
    fn waits_by_design(&self) -> bool {
        self.starved_in_every_round()
            && self
                .connections_served
                .is_some_and(|served| 2 * served <= self.load.connections as u64)
    }

    /// Why it cannot be compared, for one that cannot.
    pub fn exclusion_reason(&self) -> String {
        let trials = self.trials();
        let how_many = |outcome| {
            let count = self.count(outcome);
            (count > 0).then(|| format!("{count} of {trials} trials"))
        };
        if let Some(served) = self.connections_served.filter(|_| self.starved()) {
            let connections = self.load.connections;
            return if self.starved_in_every_round() {
                format!("it served {served} of {connections} connections")
            } else {
                let rounds = self.starved_rounds;
                format!(
                    "in {rounds} of {trials} rounds it served only {served} of {connections} connections"
                )
            };
        }
        if let Some(held) = self.crowd_held.filter(|_| self.lost_of_the_crowd()) {
            let background = grouped(self.load.profile.background.total());
            return format!("it held {} of {background} further connections", grouped(held));
        }
        if self.count(Outcome::Unsupported) > 0 {
            return self.reasons.join(", ");
        }
        if let Some(count) = how_many(Outcome::GeneratorBound) {
            let rate = units::count(self.requests_per_s.map_or(0.0, |estimate| estimate.median));
            return format!("in {count} the load generator was the limit, at {rate} requests/s");
        }
        for (outcome, what) in [
            (Outcome::Overloaded, "the offered rate was not held"),
            (Outcome::TooFew, "there were too few requests"),
            (Outcome::GeneratorLate, "the load generator was late"),
            (Outcome::Disturbed, "the machine was disturbed"),
            (Outcome::Died, "the server died"),
            (Outcome::NotStarted, "nothing could be started"),
            (Outcome::Errors, "requests failed"),
            (Outcome::Interrupted, "the run was interrupted"),
        ] {
            if let Some(count) = how_many(outcome) {
                return format!("in {count} {what}");
            }
        }
        "it was not measured".to_owned()
    }

    /// Whether all trials went as planned but those that something else than the server spoiled, and
    /// enough are left to tell an interval, where there were as many.
    pub fn is_sound(&self) -> bool {
        are_sound(self.outcomes.iter().map(|(outcome, count)| (*outcome, *count)))
    }

    /// All trials.
    pub fn trials(&self) -> usize {
        self.outcomes.values().sum()
    }

    /// The recorded percentiles with their estimates, from low to high.
    pub fn spectrum(&self) -> impl Iterator<Item = (f64, Estimate)> {
        self.latency_us.iter().map(|(key, estimate)| (f64::from(*key) / 1e4, *estimate))
    }
}

/// Whether trials with these outcomes, each so many times, went as planned but for those that may be
/// set aside, and enough are left.
fn are_sound(outcomes: impl Iterator<Item = (Outcome, usize)>) -> bool {
    let (mut ok, mut trials, mut others) = (0, 0, 0);
    for (outcome, count) in outcomes {
        trials += count;
        if outcome == Outcome::Ok {
            ok += count;
        } else if !outcome.is_set_aside() {
            others += count;
        }
    }
    others == 0 && ok >= LEAST_ROUNDS.min(trials)
}

type Latencies = BTreeMap<u32, Vec<(u32, f64)>>;

fn latencies_by_trial(records: &Records, distribution: Distribution) -> Latencies {
    let mut by_trial = Latencies::new();
    for row in &records.latencies {
        if row.distribution == distribution {
            by_trial.entry(row.trial).or_default().push((key(row.percentile), row.latency_us));
        }
    }
    by_trial
}

/// Of the rounds that were measured as planned, or of all measured ones if none was: one bad round
/// has so few answers that it would take the high percentiles from the others. A percentile that
/// not every one of them knows is left out: a median over some would favour the rounds with more
/// requests.
fn latency(measured: &[&TrialRow], latencies: &Latencies) -> BTreeMap<u32, Vec<(u32, f64)>> {
    let as_planned = measured.iter().filter(|row| row.outcome == Outcome::Ok).count();
    let rows = || measured.iter().filter(|row| as_planned == 0 || row.outcome == Outcome::Ok);
    let mut rounds: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
    for row in rows() {
        for (key, latency_us) in latencies.get(&row.trial).into_iter().flatten() {
            rounds.entry(*key).or_default().push((row.round, *latency_us));
        }
    }
    rounds.retain(|_, values| values.len() == rows().count());
    rounds
}

fn distinct<'t>(texts: impl Iterator<Item = &'t String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        if !kept.contains(text) {
            kept.push(text.clone());
        }
    }
    kept
}

/// Values of rounds without the numbers of the rounds.
pub fn values(rounds: &[(u32, f64)]) -> Vec<f64> {
    rounds.iter().map(|(_, value)| *value).collect()
}

fn key(percentile: f64) -> u32 {
    (percentile * 1e4).round() as u32
}
