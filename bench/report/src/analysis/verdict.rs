//! What a run says, in plain words and no more than it can say.

use std::cmp::Reverse;

use bench_data::load::Direction;

use crate::analysis::comparison::{
    Lead, is_clear, is_clearly_less, least_factor, left_out, listed, most_comparable, with_interval,
};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::outcome::Outcome;
use bench_data::stats::{Estimate, LEAST_ROUNDS};
use bench_data::units;

/// The answer of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// It, in one sentence.
    pub sentence: String,
    /// What must be known to trust it.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Judges by requests per second under the load that spoiled the fewest servers' trials; of
    /// those the one with the most connections, and then the smallest files: where the way of
    /// waiting matters most.
    pub fn of(summary: &Summary) -> Self {
        Self { sentence: sentence(summary), notes: notes(summary) }
    }
}

fn sentence(summary: &Summary) -> String {
    let Some(load) = headline(summary) else {
        return "Nothing was measured.".to_owned();
    };
    let words = describe(load);
    let floor = summary.noise_floor(load, |line| line.rounds.clone());
    // Ours among themselves, and the best of them against the others; or all, if none is ours.
    let any_of_ours = summary.under(load).any(|line| line.kind.is_ours());
    let is_one = |line: &&Line| line.kind.is_ours() || !any_of_ours;
    let mut fair: Vec<&Line> =
        summary.under(load).filter(is_one).filter(|line| line.is_comparable()).collect();
    fair.sort_by(|a, b| median(b).total_cmp(&median(a)));
    let mut sentence = match fair.split_first() {
        None => format!("With {words} no server was measured well enough to be compared"),
        Some((only, [])) if summary.under(load).filter(is_one).count() == 1 => {
            format!("With {words} {} serves {} requests/s", only.target, rate(only))
        }
        Some((only, [])) => format!(
            "With {words} only {} was measured well enough to be compared ({} requests/s)",
            only.target,
            rate(only)
        ),
        Some((best, others)) => compare(&words, best, others, floor),
    };
    let unknown = summary.under(load).filter(is_one);
    if unknown.map(|line| line.count(Outcome::GeneratorBound)).sum::<usize>() > 0 {
        // One that is left out may be faster still.
        sentence = sentence.replace("is fastest", "is fastest of those that can be compared");
    }
    let foreign: Vec<&Line> =
        summary.under(load).filter(|line| !is_one(line) && line.is_comparable()).collect();
    if let (Some(best), false) = (fair.first(), foreign.is_empty()) {
        sentence = format!("{sentence}. {}", against(best, &foreign, floor));
    }
    let left_out = left_out(summary, load);
    if !left_out.is_empty() {
        sentence = format!("{sentence}; {}", left_out.join("; "));
    }
    sentence + "."
}

/// By how much a server differed from itself under the load that the sentence speaks of.
fn chance(summary: &Summary) -> Option<String> {
    let load = headline(summary)?;
    let twin = summary.twins.iter().find(|twin| twin.load == load)?;
    let name = twin.control_of.as_deref()?;
    let one = summary.under(load).find(|line| line.target == name)?;
    let ratio = Estimate::of_ratios(&twin.rounds, &one.rounds)?;
    let floor = summary.noise_floor(load, |line| line.rounds.clone())?;
    Some(format!(
        "{name} measured twice under two names differs from itself by a factor of {}; differences \
         below {:.0} % are not claimed there.",
        with_interval(ratio),
        (least_factor(Some(floor)) - 1.0) * 100.0
    ))
}

/// Ours against each that is not, faster or slower.
fn against(best: &Line, foreign: &[&Line], floor: Option<f64>) -> String {
    if best.rounds.len() < LEAST_ROUNDS {
        let rates: Vec<_> =
            foreign.iter().map(|line| format!("{} {}", line.target, rate(line))).collect();
        return format!("The others (requests/s): {}", rates.join(", "));
    }
    let (mut clear, mut level) = (Vec::new(), Vec::new());
    for other in foreign {
        let ratio = Estimate::of_ratios(&best.rounds, &other.rounds);
        match ratio.filter(|ratio| is_clear(ratio, floor) || is_clearly_less(ratio, floor)) {
            Some(ratio) => {
                let what = if clear.is_empty() { " requests/s" } else { "" };
                clear.push(format!("{} times {}'s{what}", with_interval(ratio), other.target));
            }
            None => level.push(other.target.as_str()),
        }
    }
    let ours = &best.target;
    match (clear.is_empty(), level.is_empty()) {
        (false, true) => format!("{ours} serves {}", listed_all(&clear)),
        (true, _) => {
            level.insert(0, ours);
            format!("There is no measurable difference between {}", listed(&level))
        }
        (false, false) => format!(
            "{ours} serves {}; between it and {} there is no measurable difference",
            listed_all(&clear),
            listed(&level)
        ),
    }
}

fn compare(load: &str, best: &Line, others: &[&Line], floor: Option<f64>) -> String {
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
    let ratio = |other: &Line| Estimate::of_ratios(&best.rounds, &other.rounds);
    let ratios = others.iter().map(|other| (other.target.as_str(), ratio(other)));
    let lead = Lead::of(ratios, floor);
    let level = lead.level;
    let ahead: Vec<_> =
        lead.ahead.iter().map(|(name, ratio)| format!("{} {name}", factor(*ratio))).collect();
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

fn factor(ratio: Estimate) -> String {
    format!("{} times as fast as", with_interval(ratio))
}

/// The load that the answer speaks of.
pub fn headline(summary: &Summary) -> Option<Load> {
    let any_download = summary.loads().iter().any(|load| load.direction == Direction::Download);
    most_comparable(
        summary,
        |load| !any_download || load.direction == Direction::Download,
        |load| (load.profile.is_usual(), load.connections, Reverse(load.size)),
    )
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
        (
            Outcome::Overloaded,
            "were offered more than the server could answer: how fast it answers then is no answer \
             at that rate",
        ),
        (Outcome::TooFew, "had too few requests to tell a rate, and no claim rests on them"),
        (
            Outcome::GeneratorLate,
            "were spoiled by a load generator that was late, and do not count",
        ),
        (
            Outcome::Disturbed,
            "were spoiled by the machine (processor time taken away, or a clock that was set) and \
             do not count",
        ),
        (Outcome::Errors, "had failed requests: see errors in trials.csv"),
        (Outcome::Died, "ended with the death of the server and do not count"),
        (Outcome::NotStarted, "could not be started and do not count"),
        (Outcome::Unsupported, "were skipped: the server does not do what they ask for"),
        (Outcome::Interrupted, "were interrupted and do not count"),
    ] {
        let count = total(outcome);
        if count > 0 {
            notes.push(format!("{count} of {trials} trials {what}."));
        }
    }
    let mut short = Vec::new();
    for line in summary.lines.iter().filter(|line| line.misses_a_few()) {
        if !short.contains(&line.target.as_str()) {
            short.push(line.target.as_str());
        }
    }
    if !short.is_empty() {
        notes.push(format!(
            "Now and then {} came short of a few connections, as happens where other programs \
             interfere or the window is short: run again on an idle machine, or with a longer \
             --duration.",
            listed(&short)
        ));
    }
    notes.extend(chance(summary));
    let mut told = Vec::new();
    for line in &summary.lines {
        let is_told = |outcome: &Outcome| outcome.is_failure() || *outcome == Outcome::Unsupported;
        let Some(reason) = line.reasons.last().filter(|_| line.outcomes.keys().any(is_told)) else {
            continue;
        };
        // What is wrong with a server is often wrong under every load.
        if told.len() < 5 && !told.contains(&(&line.target, reason)) {
            told.push((&line.target, reason));
            notes.push(format!("{} with {}: {reason}.", line.target, describe(line.load)));
        }
    }
    notes
}

fn listed_all(names: &[String]) -> String {
    listed(&names.iter().map(String::as_str).collect::<Vec<_>>())
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
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::{Overrides, Plan};

    use bench_data::servers::reference::ReferenceServer;

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
        let all = bench_data::schedule::schedule(&plan);
        let dies_in = all
            .iter()
            .filter(|trial| trial.target.name() == "threaded" && trial.round == 1)
            .map(|trial| trial.number)
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
    fn the_headline_is_where_the_generator_was_no_limit_to_anyone() {
        let plan = Plan::built_in("default").unwrap();
        let mut records = records_of(&plan, MockExecutor::default());
        for row in &mut records.trials {
            if row.target == "selector" && row.connections == 256 {
                row.outcome = Outcome::GeneratorBound;
            }
        }
        let sentence = Verdict::of(&Summary::of(&records)).sentence;
        assert!(sentence.starts_with("With 64 connections and downloads of 1 KiB "), "{sentence}");
        assert!(!sentence.contains("load generator"), "{sentence}");
        assert!(sentence.contains("iterative is left out: it served 1 of 64"), "{sentence}");
    }

    #[test]
    fn a_bad_round_is_told_apart_from_waiting_by_design() {
        let plan = Plan::built_in("default").unwrap();
        let mut records = records_of(&plan, MockExecutor::default());
        for row in &mut records.trials {
            if row.target == "threaded" && row.round == 2 {
                row.connections_served = row.connections_served.map(|served| served - 1);
                row.outcome = Outcome::Starved;
            }
        }
        let verdict = Verdict::of(&Summary::of(&records));
        assert!(
            verdict.sentence.contains(
                "threaded is left out: in 1 of 5 rounds it served only 255 of 256 connections"
            ),
            "{verdict:?}"
        );
        assert!(verdict.sentence.contains("iterative is left out: it served 1 of 256"));
        let remedy: Vec<_> =
            verdict.notes.iter().filter(|note| note.contains("longer --duration")).collect();
        assert_eq!(remedy.len(), 1, "{verdict:?}");
        assert!(remedy[0].contains("threaded") && !remedy[0].contains("iterative"), "{remedy:?}");
    }

    #[test]
    fn the_best_of_ours_is_held_against_each_real_server() {
        let against = |peers: &[ReferenceServer], executor| {
            let against = Some(bench_data::names::entries(peers));
            verdict(Overrides { against, ..Overrides::default() }, executor)
        };
        let peers =
            [ReferenceServer::Nginx, ReferenceServer::ApacheWorker, ReferenceServer::Lighttpd];
        let executor =
            speeds(&[("nginx", 70_000.0), ("apache-worker", 200_000.0), ("lighttpd", 107_500.0)]);
        let sentence = against(&peers, executor).sentence;
        assert!(sentence.contains("selector is fastest ("), "{sentence}");
        assert!(sentence.contains(". selector serves 1.5"), "{sentence}");
        assert!(sentence.contains("times nginx's requests/s and 0.5"), "{sentence}");
        assert!(sentence.contains("times apache-worker's; between it and lighttpd"));
        let lacks = [("nginx".to_owned(), "PUT is answered with 405".to_owned())].into();
        let executor = MockExecutor { lacks, ..MockExecutor::default() };
        let verdict = against(&peers[..1], executor);
        assert!(
            verdict.sentence.contains("nginx is left out: PUT is answered with 405"),
            "{verdict:?}"
        );
        assert!(verdict.notes.iter().any(|note| note.contains("PUT is answered")), "{verdict:?}");
    }

    #[test]
    fn no_records_no_claim() {
        assert_eq!(Verdict::of(&Summary::default()).sentence, "Nothing was measured.");
    }
}
