//! What a run says, in plain words and no more than it can say.

use crate::outcome::Outcome;
use crate::schedule::Cell;
use crate::stats::{Estimate, LEAST_ROUNDS};
use crate::summary::{Line, Summary};
use crate::units;

/// A difference below this factor is never claimed: even two runs of one server differ by a few
/// percent, and so few rounds cannot tell that from a true difference.
const LEAST_FACTOR: f64 = 1.05;

/// The answer of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// It, in one sentence.
    pub sentence: String,
    /// What must be known to trust it.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Judges by requests per second under the load with the most connections, and of those the
    /// one with the smallest files: where the way of waiting matters most.
    pub fn of(summary: &Summary) -> Self {
        Self { sentence: sentence(summary), notes: notes(summary) }
    }
}

fn sentence(summary: &Summary) -> String {
    let Some(cell) = headline(summary) else {
        return "Nothing was measured.".to_owned();
    };
    let load = describe(cell);
    let mut fair: Vec<&Line> = summary.under(cell).filter(|line| may_be_compared(line)).collect();
    fair.sort_by(|a, b| median(b).total_cmp(&median(a)));
    let mut sentence = match fair.split_first() {
        None => format!("With {load} no server was measured well enough to be compared"),
        Some((only, [])) => format!(
            "With {load} only {} was measured well enough to be compared ({} requests/s)",
            only.target,
            rate(only)
        ),
        Some((best, others)) => compare(&load, best, others),
    };
    let unknown = summary.under(cell).any(|line| line.count(Outcome::GeneratorBound) > 0);
    if unknown {
        // One that is left out may be faster still.
        sentence = sentence.replace("is fastest", "is fastest of those that can be compared");
    }
    let left_out: Vec<_> = summary
        .under(cell)
        .filter(|line| !may_be_compared(line))
        .map(|line| format!("{} is left out: {}", line.target, why_not(line)))
        .collect();
    if !left_out.is_empty() {
        sentence = format!("{sentence}; {}", left_out.join("; "));
    }
    sentence + "."
}

fn compare(load: &str, best: &Line, others: &[&Line]) -> String {
    if best.rounds.len() < LEAST_ROUNDS {
        let rounds = best.rounds.len();
        let all: Vec<_> = std::iter::once(&best)
            .chain(others)
            .map(|line| format!("{} {}", line.target, rate(line)))
            .collect();
        return format!(
            "With {load} no difference can be claimed from {rounds} round{} (requests/s: {}); \
             {LEAST_ROUNDS} rounds are the least",
            if rounds == 1 { "" } else { "s" },
            all.join(", ")
        );
    }
    let (mut ahead, mut level) = (Vec::new(), Vec::new());
    for other in others {
        match Estimate::of_ratios(&best.rounds, &other.rounds).filter(is_clear) {
            Some(ratio) => ahead.push(format!("{} {}", factor(ratio), other.target)),
            None => level.push(other.target.as_str()),
        }
    }
    match (ahead.is_empty(), level.is_empty()) {
        (true, _) => format!(
            "With {load} there is no measurable difference between {} ({} requests/s)",
            listed(&std::iter::once(best.target.as_str()).chain(level).collect::<Vec<_>>()),
            rate(best)
        ),
        (false, true) => format!(
            "With {load} {} is fastest ({} requests/s): {}",
            best.target,
            rate(best),
            ahead.join(", ")
        ),
        (false, false) => format!(
            "With {load} there is no measurable difference between {} ({} requests/s), and {} is {}",
            listed(&std::iter::once(best.target.as_str()).chain(level).collect::<Vec<_>>()),
            rate(best),
            best.target,
            ahead.join(", ")
        ),
    }
}

/// A ratio that is above 1 beyond doubt and worth naming.
fn is_clear(ratio: &Estimate) -> bool {
    ratio.median >= LEAST_FACTOR && ratio.interval.is_some_and(|interval| interval.low > 1.0)
}

fn factor(ratio: Estimate) -> String {
    let interval = ratio
        .interval
        .map(|interval| format!(" ({:.2} to {:.2})", interval.low, interval.high))
        .unwrap_or_default();
    format!("{:.2}{interval} times as fast as", ratio.median)
}

fn headline(summary: &Summary) -> Option<Cell> {
    let cells = summary.cells().into_iter();
    cells.max_by_key(|cell| {
        let downloads = cell.direction == loadgen::load::Direction::Download;
        (downloads, cell.connections, std::cmp::Reverse(cell.size))
    })
}

/// The load in words: `64 connections and downloads of 1 KiB`.
fn describe(cell: Cell) -> String {
    let noun = match cell.direction {
        loadgen::load::Direction::Download => "downloads",
        loadgen::load::Direction::Upload => "uploads",
    };
    let plural = if cell.connections == 1 { "" } else { "s" };
    format!("{} connection{plural} and {noun} of {}", cell.connections, cell.size.spaced())
}

/// Whether every trial says how fast the server is at the load that was asked for.
fn may_be_compared(line: &Line) -> bool {
    line.requests_per_s.is_some() && line.count(Outcome::Ok) == line.trials()
}

fn why_not(line: &Line) -> String {
    let trials = line.trials();
    let how_many = |outcome| {
        let count = line.count(outcome);
        (count > 0).then(|| format!("{count} of {trials} trials"))
    };
    if let Some(served) = line.connections_served.filter(|_| line.starved()) {
        return format!("it served {served} of {} connections", line.cell.connections);
    }
    if let Some(count) = how_many(Outcome::GeneratorBound) {
        let rate = rate(line);
        return format!("in {count} the load generator was the limit, at {rate} requests/s");
    }
    for (outcome, what) in [
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

fn notes(summary: &Summary) -> Vec<String> {
    let total = |outcome| -> usize { summary.lines.iter().map(|line| line.count(outcome)).sum() };
    let trials: usize = summary.lines.iter().map(Line::trials).sum();
    let mut notes = Vec::new();
    for (outcome, what) in [
        (
            Outcome::GeneratorBound,
            "were limited by the load generator: the server may be faster than they show, and no \
             claim rests on them",
        ),
        (Outcome::Starved, "left connections without an answer (see connections served)"),
        (Outcome::Errors, "had failed requests: see errors in trials.csv"),
        (Outcome::Died, "ended with the death of the server and do not count"),
        (Outcome::NotStarted, "could not be started and do not count"),
        (Outcome::Interrupted, "were interrupted and do not count"),
    ] {
        let count = total(outcome);
        if count > 0 {
            notes.push(format!("{count} of {trials} trials {what}."));
        }
    }
    let failures = summary
        .lines
        .iter()
        .filter(|line| line.outcomes.keys().any(|outcome| outcome.is_failure()));
    for line in failures.take(5) {
        if let Some(reason) = line.reasons.last() {
            notes.push(format!("{} with {}: {reason}.", line.target, describe(line.cell)));
        }
    }
    notes
}

fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn median(line: &Line) -> f64 {
    line.requests_per_s.map_or(0.0, |estimate| estimate.median)
}

fn rate(line: &Line) -> String {
    units::count(median(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{MockExecutor, records_of};
    use crate::plan::{Overrides, Plan};

    fn verdict(overrides: Overrides, executor: MockExecutor) -> Verdict {
        let plan = Plan::built_in("default").unwrap().with(overrides);
        Verdict::of(&Summary::of(&records_of(&plan, executor)))
    }

    fn speeds(speeds: &[(&str, f64)]) -> MockExecutor {
        let speed = speeds.iter().map(|(name, speed)| ((*name).to_owned(), *speed)).collect();
        MockExecutor { speed, ..MockExecutor::default() }
    }

    #[test]
    fn a_clear_lead_is_named_with_its_interval() {
        let sentence = verdict(Overrides::default(), MockExecutor::default()).sentence;
        assert!(
            sentence.starts_with("With 256 connections and downloads of 1 KiB selector is fastest")
        );
        assert!(sentence.contains("times as fast as threaded"), "{sentence}");
        assert!(sentence.contains("iterative is left out: it served 1 of 256 connections"));
    }

    #[test]
    fn a_lead_within_the_noise_is_no_difference() {
        let even =
            speeds(&[("selector", 50_500.0), ("threaded", 50_000.0), ("thread-pool", 50_000.0)]);
        let sentence = verdict(Overrides::default(), even).sentence;
        assert!(sentence.contains("no measurable difference between"), "{sentence}");
        assert!(!sentence.contains("fastest"), "{sentence}");
        let two =
            speeds(&[("selector", 50_500.0), ("threaded", 50_000.0), ("thread-pool", 20_000.0)]);
        let sentence = verdict(Overrides::default(), two).sentence;
        assert!(sentence.contains("no measurable difference between"), "{sentence}");
        assert!(sentence.contains("times as fast as thread-pool"), "{sentence}");
    }

    #[test]
    fn one_round_claims_nothing() {
        let overrides = Overrides { rounds: Some(1), ..Overrides::default() };
        let sentence = verdict(overrides, MockExecutor::default()).sentence;
        assert!(sentence.contains("no difference can be claimed from 1 round"), "{sentence}");
    }

    #[test]
    fn generator_bound_trials_support_no_claim() {
        let executor = MockExecutor { generator_share: 0.97, ..MockExecutor::default() };
        let verdict = verdict(Overrides::default(), executor);
        assert!(verdict.sentence.contains("no server was measured well enough"), "{verdict:?}");
        assert!(verdict.notes[0].contains("limited by the load generator"), "{verdict:?}");
    }

    #[test]
    fn whoever_leads_the_rest_is_not_called_fastest_of_all() {
        let plan = Plan::built_in("default").unwrap();
        let mut records = records_of(&plan, MockExecutor::default());
        for row in &mut records.trials {
            if row.target == "selector" {
                row.outcome = Outcome::GeneratorBound;
            }
        }
        let sentence = Verdict::of(&Summary::of(&records)).sentence;
        assert!(
            sentence.contains("threaded is fastest of those")
                || sentence.contains("thread-pool is fastest of those"),
            "{sentence}"
        );
        assert!(
            sentence.contains("selector is left out: in 5 of 5 trials the load generator"),
            "{sentence}"
        );
    }

    #[test]
    fn a_dead_server_is_left_out_and_named() {
        let plan = Plan::built_in("default").unwrap();
        let all = crate::schedule::schedule(&plan);
        let dies_in = all
            .iter()
            .filter(|trial| trial.target.name() == "threaded" && trial.cell.connections == 256)
            .map(|trial| trial.number)
            .take(1)
            .collect();
        let executor = MockExecutor { dies_in, ..MockExecutor::default() };
        let verdict = verdict(Overrides::default(), executor);
        assert!(
            verdict.sentence.contains("threaded is left out: in 1 of 5 trials the server died"),
            "{verdict:?}"
        );
        assert!(
            verdict.notes.iter().any(|note| note.contains("killed by signal 9")),
            "{verdict:?}"
        );
    }

    #[test]
    fn no_records_no_claim() {
        assert_eq!(Verdict::of(&Summary::default()).sentence, "Nothing was measured.");
    }
}
