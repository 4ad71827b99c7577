//! Capacity: the offered rate at which half of the trials meet a service-level objective. The search for
//! it trial by trial, and the bounds that it found.

use std::cmp::Ordering;

use crate::load::Load;
use crate::load::objective::{CapacitySearch, Objective};
use crate::record::evidence::GENERATOR_BOUND_SHARE;
use crate::record::outcome::Outcome;
use crate::record::rows::{Distribution, LatencyRow, Records, TrialRow};
use crate::servers::target::TargetKind;
use crate::stats::median;
use crate::units;
use crate::units::grouped;

/// First rate of a search: above every server's capacity, so that the achieved rate is a first
/// estimate.
const FIRST_PER_S: u32 = 200_000;
/// Second rate of a search, as a share of the achieved rate.
const FIRST_GUESS: f64 = 0.95;
/// Part of the golden ratio behind the point: its multiples lie evenly between whole numbers, however
/// many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Minimum number of replies in a window at the lowest rate, in total and per connection: a 99th
/// percentile needs a hundred.
const LEAST_ANSWERS: f64 = 200.0;
const LEAST_ANSWERS_PER_CONNECTION: f64 = 4.0;
/// Maximum number of repetitions of a void trial, at one rate.
const REPETITIONS: usize = 2;
/// Maximum number of void trials in a search. After either maximum the search ends with what it has
/// found.
const MOST_VOID: usize = 6;

/// Result of one trial of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Offered rate in requests per second.
    pub rate_per_s: u32,
    /// Achieved rate in replies per second.
    pub achieved_per_s: f64,
    /// Comparison with the objective.
    pub finding: Finding,
}

/// Comparison of a trial with the objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The objective was met.
    Met,
    /// The server missed it, with the reason.
    Missed(String),
    /// Missed, with connections that were never served; with the reason.
    Starved(String),
    /// Missed, possibly because of the generator; with the reason.
    Unknown(String),
    /// Missed while the machine was disturbed, or contradictory: it shows nothing about the server;
    /// with the reason.
    Void(String),
    /// The server cannot run this load; with the reason.
    Impossible(String),
}

/// Capacity of one server under one load.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Name of the server.
    pub target: String,
    /// Kind of the server.
    pub kind: TargetKind,
    /// Name of the strategy that it is the A/A control of.
    pub control_of: Option<String>,
    /// Load without its rate.
    pub load: Load,
    /// Objective.
    pub objective: Objective,
    /// Results per round.
    pub rounds: Vec<RoundCapacity>,
}

/// Trials of a search per round.
type Rounds = Vec<(u32, Vec<Probe>)>;

/// Result of one search.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundCapacity {
    /// Round.
    pub round: u32,
    /// Highest rate that met the objective, if any.
    pub met_per_s: Option<u32>,
    /// Lowest rate above it that the server missed, if any.
    pub missed_per_s: Option<u32>,
    /// True if the rate is a lower bound: the generator was the bottleneck, or the search was cut
    /// short.
    pub at_least: bool,
    /// True if the search ended because the machine was disturbed, or, above the rate that met the
    /// objective, because the server did not start again.
    pub cut_short: bool,
    /// Reason at the lowest rate that missed the objective, or for the early end of the search.
    pub reason: String,
    /// Trials that show something about the server: rate, and true if the objective was met.
    pub trials: Vec<(u32, bool)>,
}

impl Probe {
    /// Result of a trial, from its record.
    pub fn of<'l>(
        row: &TrialRow,
        objective: Objective,
        latencies: &(impl Iterator<Item = &'l LatencyRow> + Clone),
    ) -> Self {
        Self {
            rate_per_s: row.offered_per_s.unwrap_or(0),
            achieved_per_s: row.answered_per_s.unwrap_or(0.0),
            finding: finding(row, objective, latencies),
        }
    }
}

fn finding<'l>(
    row: &TrialRow,
    objective: Objective,
    latencies: &(impl Iterator<Item = &'l LatencyRow> + Clone),
) -> Finding {
    if matches!(row.outcome, Outcome::Unsupported | Outcome::NotStarted) {
        return Finding::Impossible(row.outcome_reason.clone());
    }
    if row.outcome == Outcome::Died {
        return Finding::Missed(row.outcome_reason.clone());
    }
    // A disturbance precedes a contradiction in the outcome, and excuses a miss only.
    if row.outcome == Outcome::Invalid || row.is_self_consistent() == Some(false) {
        return Finding::Void(row.outcome_reason.clone());
    }
    let is_disturbed = row.outcome == Outcome::Disturbed;
    let (Some(requests), Some(arrivals)) = (row.requests, row.arrivals) else {
        return Finding::Missed(row.outcome_reason.clone());
    };
    let at = |distribution, percentile| {
        let mut rows = latencies.clone();
        let is_it =
            |row: &&LatencyRow| row.distribution == distribution && row.percentile == percentile;
        rows.find(is_it).map(|row| row.latency_us)
    };
    // With fewer than a hundred replies, the maximum.
    let p99_us = at(Distribution::Response, 99.0).or_else(|| at(Distribution::Response, 100.0));
    let Some(missed) = miss(row, objective, requests, arrivals, p99_us) else {
        // A disturbance makes no server faster: what was met in spite of one is met.
        return Finding::Met;
    };
    if is_disturbed {
        return Finding::Void(row.outcome_reason.clone());
    }
    if row.generator_cpu_share.is_some_and(|share| share >= GENERATOR_BOUND_SHARE) {
        return Finding::Unknown(format!("{missed}, but the load generator was saturated"));
    }
    let late_us = row.generator_late_us;
    if let Some(late_us) = late_us.filter(|late_us| 2.0 * late_us > f64::from(objective.p99_us)) {
        let late = units::microseconds(late_us);
        return Finding::Unknown(format!("{missed}, but the load generator was {late} late"));
    }
    match row.connections_served.filter(|served| *served < least_served(row, requests)) {
        Some(served) => Finding::Starved(format!(
            "{served} of {} connections received a reply",
            grouped(row.connections)
        )),
        None => Finding::Missed(missed),
    }
}

/// Reason why a trial missed its objective, if it did.
fn miss(
    row: &TrialRow,
    objective: Objective,
    requests: u64,
    arrivals: u64,
    p99_us: Option<f64>,
) -> Option<String> {
    let Some(p99_us) = p99_us else { return Some("no request received a reply".to_owned()) };
    if p99_us > f64::from(objective.p99_us) {
        return Some(format!("p99 was {}", units::microseconds(p99_us)));
    }
    let errors = row.errors.unwrap_or(0);
    let failed = errors as f64 / (requests + errors) as f64;
    if failed > f64::from(objective.errors_per_million) / 1e6 {
        return Some(format!("{} of requests failed", percent(failed)));
    }
    let open = match row.latency_requests {
        // Arrivals were followed to their replies.
        Some(_) => 0.0,
        // Until version 5 of the records, the last ones may have been within their time.
        None => f64::from(row.offered_per_s.unwrap_or(0)) * f64::from(objective.p99_us) / 1e6,
    };
    let answered = row.latency_requests.unwrap_or(requests) as f64;
    let least = arrivals as f64 * f64::from(objective.achieved_per_million) / 1e6 - open;
    if answered < least {
        let share = percent(answered / arrivals as f64);
        return Some(format!("{share} of arrivals received a reply"));
    }
    let served = row.connections_served.filter(|served| *served < least_served(row, requests))?;
    Some(format!("{served} of {} connections received a reply", grouped(row.connections)))
}

/// Minimum number of served connections. Connections are used in turn: with twice as many requests
/// as connections each has at least one.
fn least_served(row: &TrialRow, requests: u64) -> u64 {
    let connections = row.connections as u64;
    if requests >= 2 * connections { connections } else { requests / 2 }
}

fn percent(share: f64) -> String {
    format!("{} %", units::three_digits(share * 100.0))
}

impl CapacitySearch {
    /// Next rate to try after these trials of a search, in a round from 1 on; `None` at the end.
    ///
    /// The first rate exceeds every capacity; the rate achieved under it estimates the server's
    /// maximum. From slightly below, the search moves down or up in growing steps until one rate
    /// meets the objective and a higher one misses it. Then it bisects by the geometric mean until the
    /// two rates are within the resolution, or after the maximum number of trials. No rate is tried
    /// twice. Further trials near the boundary found so follow.
    ///
    /// The second rate differs by up to half the resolution from round to round, so that the rounds
    /// of an undisturbed server do not try the same few rates.
    ///
    /// Void trials are repeated at the same rate, a bounded number of times, and do not count
    /// otherwise.
    pub fn next(&self, round: u32, probes: &[Probe], lowest_per_s: u32) -> Option<u32> {
        let valid: Vec<Probe> = probes.iter().filter(|probe| !probe.is_void()).cloned().collect();
        if let Some(last) = probes.last().filter(|probe| probe.is_void()) {
            let here = probes.iter().rev().take_while(|probe| probe.is_void()).count();
            let void = probes.len() - valid.len();
            return (here <= REPETITIONS && void < MOST_VOID).then_some(last.rate_per_s);
        }
        let next = |count: usize| self.next_of_search(round, &valid[..count], lowest_per_s);
        match (0..=valid.len()).find(|count| next(*count).is_none()) {
            Some(count) => {
                let (searched, repeated) = valid.split_at(count);
                self.next_near_boundary(searched, repeated, lowest_per_s)
            }
            None => next(valid.len()),
        }
    }

    /// Next rate near the boundary that a search found: up-and-down method (Dixon and Mood, *JASA* 43,
    /// 1948, 109–126; Levitt, *JASA* 49, 1971, 467–477). The first rate is the middle of the boundary;
    /// after a trial that met the objective the next one is higher by the resolution, otherwise
    /// lower. These rates surround the one at which half of the trials meet the objective.
    ///
    /// `None` without a boundary, or if it is that of the load generator.
    fn next_near_boundary(
        &self,
        searched: &[Probe],
        repeated: &[Probe],
        lowest_per_s: u32,
    ) -> Option<u32> {
        let met = highest_met(searched)?;
        let above = searched.iter().filter(|probe| probe.rate_per_s > met);
        let missed =
            above.min_by_key(|probe| probe.rate_per_s).filter(|probe| probe.is_missed())?;
        let mut rate = (f64::from(met) * f64::from(missed.rate_per_s)).sqrt();
        for probe in repeated {
            let step = 1.0 + self.resolution;
            rate *= if probe.finding == Finding::Met { step } else { 1.0 / step };
        }
        let is_next = repeated.len() < self.repeats as usize;
        is_next.then_some((rate.round() as u32).max(lowest_per_s))
    }

    fn next_of_search(&self, round: u32, probes: &[Probe], lowest_per_s: u32) -> Option<u32> {
        let (Some(first), Some(last)) = (probes.first(), probes.last()) else {
            return Some(FIRST_PER_S.max(lowest_per_s));
        };
        let left = self.most_probes.saturating_sub(probes.len() as u32);
        if left == 0 || matches!(last.finding, Finding::Impossible(_)) {
            return None;
        }
        let is_new = |rate: &u32| probes.iter().all(|probe| probe.rate_per_s != *rate);
        let met = highest_met(probes);
        // The lowest rate is the last attempt, or the next one if connections were never served,
        // which a moderately lower rate does not change.
        if met.is_none()
            && (left == 1 || !is_new(&lowest_per_s) || matches!(last.finding, Finding::Starved(_)))
        {
            return Some(lowest_per_s).filter(is_new);
        }
        let step = 1.0 + self.resolution;
        let growing = |times: usize| step.powi(3i32.pow(times.min(6) as u32));
        let misses = probes.iter().filter(|probe| probe.finding != Finding::Met).count();
        let shift = step.powf((f64::from(round) * GOLDEN).fract() - 0.5);
        // Rates are whole numbers: a fraction of one does not make the guess another rate.
        let guess = first.achieved_per_s.min(f64::from(first.rate_per_s)) * FIRST_GUESS * shift;
        let guess = guess.round();
        let down = |bound: u32| match misses {
            0 | 1 => guess,
            _ => f64::from(bound) / growing(misses - 2),
        };
        let rate = match (met, lowest_above(probes, met)) {
            (None, bound) => down(bound.unwrap_or(first.rate_per_s)),
            (Some(met), None) => f64::from(met) * 2.0,
            (Some(met), Some(bound)) => {
                let middle = (f64::from(met) * f64::from(bound)).sqrt();
                let met = f64::from(met);
                if f64::from(bound) / met <= step + 0.001 {
                    return None;
                }
                match misses {
                    1 if guess > met => guess,
                    1 => (met * growing(probes.len() - misses - 1)).min(middle),
                    _ => down(bound).max(middle),
                }
            }
        };
        Some((rate.round() as u32).max(lowest_per_s)).filter(is_new)
    }
}

/// Lowest rate of a search: a window has enough replies on every connection.
pub fn lowest_per_s(connections: usize, window_s: f64) -> u32 {
    let answers = LEAST_ANSWERS.max(LEAST_ANSWERS_PER_CONNECTION * connections as f64);
    (answers / window_s.max(1e-3)).ceil().max(1.0) as u32
}

fn highest_met(probes: &[Probe]) -> Option<u32> {
    let met = probes.iter().filter(|probe| probe.finding == Finding::Met);
    met.map(|probe| probe.rate_per_s).max()
}

/// Lowest rate that missed the objective, above the highest that met it.
fn lowest_above(probes: &[Probe], met: Option<u32>) -> Option<u32> {
    let above = probes.iter().map(|probe| probe.rate_per_s).filter(|rate| Some(*rate) > met);
    above.min()
}

impl RoundCapacity {
    /// Result of the trials of a search. The highest rate that met the objective counts: a miss at a
    /// lower rate was chance.
    pub fn of(round: u32, probes: &[Probe]) -> Self {
        let met_per_s = highest_met(probes);
        let above =
            || probes.iter().filter(|probe| Some(probe.rate_per_s) > met_per_s && !probe.is_void());
        let missed = above().filter(|probe| probe.is_missed()).map(|probe| probe.rate_per_s).min();
        // What did not run limits nothing; of the misses at one rate that of the server counts.
        let lowest = above().min_by_key(|probe| {
            let did_not_run = matches!(probe.finding, Finding::Impossible(_));
            (did_not_run, probe.rate_per_s, !probe.is_missed())
        });
        let (at_least, reason) = match lowest.map(|probe| &probe.finding) {
            None => (true, String::new()),
            Some(Finding::Unknown(why) | Finding::Impossible(why)) => (true, why.clone()),
            Some(Finding::Missed(why) | Finding::Starved(why)) => (false, why.clone()),
            Some(Finding::Met | Finding::Void(_)) => unreachable!("these were left out"),
        };
        let last = probes.last();
        let (cut_short, reason) =
            if let Some(Probe { rate_per_s, finding: Finding::Void(why), .. }) = last {
                let rate = grouped(*rate_per_s as usize);
                (true, format!("no valid trial at {rate} requests/s: {why}"))
            } else if let Some(Probe { finding: Finding::Impossible(why), .. }) = last
                && at_least
                && met_per_s.is_some()
            {
                (true, why.clone())
            } else {
                (false, reason)
            };
        let at_least = (at_least || cut_short) && met_per_s.is_some();
        let shows = |probe: &&Probe| probe.finding == Finding::Met || probe.is_missed();
        let trial = |probe: &Probe| (probe.rate_per_s, probe.finding == Finding::Met);
        let trials = probes.iter().filter(shows).map(trial).collect();
        Self { round, met_per_s, missed_per_s: missed, at_least, cut_short, reason, trials }
    }

    /// Returns true if the machine was disturbed before anything was found.
    fn is_empty(&self) -> bool {
        self.cut_short && self.met_per_s.is_none() && self.missed_per_s.is_none()
    }
}

impl Probe {
    fn is_void(&self) -> bool {
        matches!(self.finding, Finding::Void(_))
    }

    /// Returns true if the server missed the objective.
    fn is_missed(&self) -> bool {
        matches!(self.finding, Finding::Missed(_) | Finding::Starved(_))
    }
}

impl Capacity {
    /// Capacities found by the searches of a run, in the order in which the servers first ran.
    pub fn of(records: &Records) -> Vec<Self> {
        let mut searches: Vec<(Self, Rounds)> = Vec::new();
        for row in &records.trials {
            let Some(objective) = row.search.filter(|_| row.outcome != Outcome::Interrupted) else {
                continue;
            };
            let load = row.load().without_rate();
            let latencies = records.latencies.iter().filter(|latency| latency.trial == row.trial);
            let probe = Probe::of(row, objective, &latencies);
            let is_its = |(one, _): &(Self, _)| {
                one.target == row.target && one.load == load && one.objective == objective
            };
            let index = searches.iter().position(is_its).unwrap_or_else(|| {
                let (target, kind) = (row.target.clone(), row.target_kind);
                let (control_of, rounds) = (row.control_of.clone(), Vec::new());
                let one = Self { target, kind, control_of, load, objective, rounds };
                searches.push((one, Vec::new()));
                searches.len() - 1
            });
            let rounds = &mut searches[index].1;
            match rounds.iter_mut().find(|(round, _)| *round == row.round) {
                Some((_, probes)) => probes.push(probe),
                None => rounds.push((row.round, vec![probe])),
            }
        }
        let mut capacities: Vec<Self> = Vec::new();
        for (mut capacity, rounds) in searches {
            let of = |(round, probes): &(u32, Vec<Probe>)| RoundCapacity::of(*round, probes);
            capacity.rounds = rounds.iter().map(of).collect();
            capacities.push(capacity);
        }
        capacities
    }

    /// Highest rates that met the objective, in requests per second per round, for rounds with one.
    pub fn highest_met(&self) -> Vec<(u32, f64)> {
        let met = |one: &RoundCapacity| Some((one.round, f64::from(one.met_per_s?)));
        self.rounds.iter().filter_map(met).collect()
    }

    /// Median of [`Capacity::highest_met`]; `None` if at least half of the rounds have no such rate.
    /// Rounds without any result, because of a disturbance, do not count.
    pub fn median_met(&self) -> Option<f64> {
        let met: Vec<f64> = self.highest_met().into_iter().map(|(_, rate)| rate).collect();
        median(&met).filter(|_| 2 * met.len() > self.counted().count())
    }

    /// Returns true if the capacity is a lower bound: in at least half of the rounds the generator was
    /// the bottleneck, or the search was cut short.
    pub fn is_at_least(&self) -> bool {
        let bounded = self.counted().filter(|one| one.at_least).count();
        bounded > 0 && 2 * bounded >= self.counted().count()
    }

    /// Returns true if disturbances of the machine ended the search in at least half of the rounds.
    pub fn is_cut_short(&self) -> bool {
        let cut = self.rounds.iter().filter(|one| one.cut_short).count();
        cut > 0 && 2 * cut >= self.rounds.len()
    }

    /// Bounds of the median capacity in requests per second: the medians of the bounds over the
    /// rounds. A rate at the lower one met the objective, a rate at the upper one missed it.
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        let median = |bound: &dyn Fn(&RoundCapacity) -> f64| {
            let bounds: Vec<f64> = self.counted().map(bound).collect();
            median(&bounds)
        };
        let low = median(&|one| one.met_per_s.map_or(0.0, f64::from));
        let high = median(&|one| one.missed_per_s.map_or(f64::INFINITY, f64::from));
        (low.filter(|rate| *rate > 0.0), high.filter(|rate| rate.is_finite()))
    }

    /// Reason why there is no capacity, in words.
    pub fn absence(&self) -> String {
        match self.is_cut_short() {
            true => format!("not found: {}", self.reason()),
            false => format!("no rate met it: {}", self.reason()),
        }
    }

    /// Rounds with a result, be it that no rate met the objective.
    fn counted(&self) -> impl Iterator<Item = &RoundCapacity> {
        self.rounds.iter().filter(|one| !one.is_empty())
    }

    /// Reason for the capacity or its absence, from the median round.
    pub fn reason(&self) -> &str {
        let mut rounds: Vec<_> = self.rounds.iter().collect();
        rounds.sort_by_key(|one| one.met_per_s);
        rounds.get(rounds.len().saturating_sub(1) / 2).map_or("", |one| &one.reason)
    }
}

/// Name of the server whose highest rate that met the objective is the lowest under a load, and this
/// rate, A/A controls excluded.
pub fn weakest(capacities: &[Capacity], load: Load) -> Option<(&str, f64)> {
    capacities
        .iter()
        .filter(|one| one.load == load && one.kind != TargetKind::AaControl)
        .filter_map(|one| Some((one.target.as_str(), one.median_met()?)))
        .min_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests;
