//! Tests of the search and of what it finds.

use super::*;
use crate::mock::{MockExecutor, records_of};
use crate::plan::Plan;

fn search() -> CapacitySearch {
    CapacitySearch { repeats: 0, ..CapacitySearch::usual(Objective::parse("p99=5ms").unwrap()) }
}

/// Trials of a search for a server that meets the objective at some rates.
fn probes(bears: impl Fn(u32, usize) -> Finding, most_per_s: f64) -> Vec<Probe> {
    probes_up_to(8, bears, most_per_s)
}

fn probes_up_to(most: usize, bears: impl Fn(u32, usize) -> Finding, most_per_s: f64) -> Vec<Probe> {
    let mut probes = Vec::new();
    while let Some(rate_per_s) = search().next(1, &probes, 400) {
        let finding = bears(rate_per_s, probes.len());
        let achieved_per_s = f64::from(rate_per_s).min(most_per_s);
        probes.push(Probe { rate_per_s, achieved_per_s, finding });
        assert!(probes.len() <= most, "{probes:?}");
    }
    probes
}

fn missed() -> Finding {
    Finding::Missed("p99 was 9.00 ms".to_owned())
}

#[test]
fn the_capacity_is_found_within_the_resolution() {
    for capacity in [900, 4_000, 12_345, 47_000, 131_000, 190_000, 500_000] {
        // What it can do at most is more than what meets the objective.
        for most in [1.0, 1.02, 1.15, 1.5] {
            let bears = |rate, _| if rate <= capacity { Finding::Met } else { missed() };
            let probes = probes(bears, f64::from(capacity) * most);
            let found = RoundCapacity::of(1, &probes);
            let met = found.met_per_s.unwrap();
            let tolerance = if most > 1.2 { 1.10 } else { 1.052 };
            assert!(met <= capacity, "{capacity} {most}: {probes:?}");
            assert!(
                f64::from(met) * tolerance >= f64::from(capacity),
                "{capacity} {most}: {met}, {probes:?}"
            );
            assert!(!found.at_least && found.reason.contains("p99"), "{found:?}");
        }
    }
}

#[test]
fn a_guess_with_a_fraction_is_not_the_end_of_the_search() {
    for most in [50_000.0, 50_000.2, 50_000.4, 50_000.6, 50_000.8] {
        let bears = |rate, _| if rate <= 49_500 { Finding::Met } else { missed() };
        let found = RoundCapacity::of(1, &probes(bears, most));
        assert!(found.met_per_s.unwrap() >= 47_000, "{most}: {found:?}");
        assert!(found.missed_per_s.unwrap() < 52_500, "{most}: {found:?}");
    }
}

#[test]
fn further_trials_surround_the_boundary() {
    let capacity = 47_000;
    for round in 1..=6 {
        let search = CapacitySearch { repeats: 6, ..search() };
        let mut probes = Vec::new();
        while let Some(rate_per_s) = search.next(round, &probes, 400) {
            let finding = if rate_per_s <= capacity { Finding::Met } else { missed() };
            let achieved_per_s = f64::from(rate_per_s).min(52_000.0);
            probes.push(Probe { rate_per_s, achieved_per_s, finding });
        }
        let (_, further) = probes.split_at(probes.len() - 6);
        let of = |met: bool| {
            further.iter().filter(|probe| (probe.finding == Finding::Met) == met).count()
        };
        assert_eq!((of(true), of(false)), (3, 3), "{further:?}");
        for probe in further {
            let distance = f64::from(probe.rate_per_s) / f64::from(capacity);
            assert!((0.95..1.053).contains(&distance), "{further:?}");
        }
        // A trial that shows nothing is repeated and takes no other's place.
        let mut disturbed = probes.clone();
        disturbed.last_mut().unwrap().finding = void();
        let last = probes.last().unwrap().rate_per_s;
        assert_eq!(search.next(round, &disturbed, 400), Some(last));
        assert_eq!(RoundCapacity::of(round, &probes).trials.len(), probes.len());
        assert_eq!(RoundCapacity::of(round, &disturbed).trials.len(), probes.len() - 1);
    }
}

#[test]
fn rounds_of_an_undisturbed_server_try_different_rates() {
    let second = |round| {
        let first = Probe { rate_per_s: FIRST_PER_S, achieved_per_s: 50_000.0, finding: missed() };
        search().next(round, &[first], 400).unwrap()
    };
    let mut rates: Vec<_> = (1..=6).map(second).collect();
    assert!(rates.iter().all(|rate| (46_300..=48_700).contains(rate)), "{rates:?}");
    rates.sort_unstable();
    assert!(rates.windows(2).all(|pair| pair[1] > pair[0] + 100), "{rates:?}");
}

#[test]
fn there_is_nothing_to_repeat_without_a_boundary_of_the_server() {
    let search = CapacitySearch::usual(search().objective);
    let count = |bears: &dyn Fn(u32) -> Finding, search: &CapacitySearch| {
        let mut probes: Vec<Probe> = Vec::new();
        while let Some(rate_per_s) = search.next(1, &probes, 400) {
            let achieved_per_s = f64::from(rate_per_s).min(105_000.0);
            probes.push(Probe { rate_per_s, achieved_per_s, finding: bears(rate_per_s) });
        }
        probes.len()
    };
    let without = CapacitySearch { repeats: 0, ..search };
    let limited = |rate: u32| match rate {
        ..=100_000 => Finding::Met,
        _ => Finding::Unknown("the generator had no time left".to_owned()),
    };
    let never = |_: u32| missed();
    let some = |rate: u32| if rate <= 100_000 { Finding::Met } else { missed() };
    for bears in [&limited as &dyn Fn(u32) -> Finding, &never] {
        assert_eq!(count(bears, &search), count(bears, &without));
    }
    assert_eq!(count(&some, &search), count(&some, &without) + 4);
}

#[test]
fn a_server_that_leaves_connections_without_an_answer_has_none() {
    let starved = |_, _| Finding::Starved("1 of 64 connections received a reply".to_owned());
    let probes = probes(starved, 20_000.0);
    let rates: Vec<_> = probes.iter().map(|probe| probe.rate_per_s).collect();
    assert_eq!(rates, [FIRST_PER_S, 400], "at too high a rate and at the lowest");
    let found = RoundCapacity::of(1, &probes);
    assert_eq!((found.met_per_s, found.at_least), (None, false));
    assert_eq!(found.reason, "1 of 64 connections received a reply");
}

#[test]
fn one_that_only_suffers_from_too_much_is_looked_at_further() {
    let bears = |rate, _| match rate {
        ..=30_000 => Finding::Met,
        30_001..=100_000 => missed(),
        _ => Finding::Starved("63 of 64 connections received a reply".to_owned()),
    };
    let met = RoundCapacity::of(1, &probes(bears, 31_000.0)).met_per_s.unwrap();
    assert!((28_500..=30_000).contains(&met), "{met}");
}

#[test]
fn one_that_never_meets_it_is_asked_at_the_lowest_rate_last() {
    let probes = probes(|_, _| missed(), 50_000.0);
    assert_eq!(probes.last().unwrap().rate_per_s, 400);
    assert_eq!(RoundCapacity::of(1, &probes).met_per_s, None);
}

#[test]
fn the_limit_of_the_generator_is_not_the_servers() {
    let bears = |rate, _| match rate {
        ..=100_000 => Finding::Met,
        _ => Finding::Unknown("the generator had no time left".to_owned()),
    };
    let found = RoundCapacity::of(1, &probes(bears, 105_000.0));
    assert!(found.at_least && found.reason.contains("generator"), "{found:?}");
    assert!((95_000..=100_000).contains(&found.met_per_s.unwrap()), "{found:?}");
}

#[test]
fn of_misses_at_one_rate_that_of_the_server_counts() {
    let probe = |rate_per_s, finding| Probe { rate_per_s, achieved_per_s: 0.0, finding };
    let met = probe(100, Finding::Met);
    let of_server = probe(110, missed());
    let of_generator = probe(110, Finding::Unknown("the generator had no time left".to_owned()));
    for (first, second) in [(&of_server, &of_generator), (&of_generator, &of_server)] {
        let probes = [met.clone(), first.clone(), second.clone()];
        assert!(!RoundCapacity::of(1, &probes).at_least, "{probes:?}");
    }
}

#[test]
fn a_server_that_does_not_start_again_has_a_lower_bound() {
    let probe = |rate_per_s, finding| Probe { rate_per_s, achieved_per_s: 0.0, finding };
    let met = probe(100, Finding::Met);
    let not_started = probe(110, Finding::Impossible("the port is in use".to_owned()));
    let found = RoundCapacity::of(1, &[met.clone(), not_started.clone()]);
    assert!(found.at_least && found.cut_short, "{found:?}");
    assert_eq!(found.reason, "the port is in use");
    let found = RoundCapacity::of(1, &[met, probe(120, missed()), not_started]);
    assert!(!found.at_least && !found.cut_short, "{found:?}");
}

#[test]
fn a_contradictory_trial_that_was_disturbed_too_shows_nothing() {
    let plan = Plan::built_in("load").unwrap();
    let records = records_of(&plan, MockExecutor::default());
    let finding_of = |row: &TrialRow| {
        let latencies = records.latencies.iter().filter(|latency| latency.trial == row.trial);
        Probe::of(row, row.search.unwrap(), &latencies).finding
    };
    let mut searched = records.trials.iter().filter(|row| row.search.is_some());
    let mut row = searched.find(|row| finding_of(row) == Finding::Met).unwrap().clone();
    row.outcome = Outcome::Disturbed;
    assert_eq!(finding_of(&row), Finding::Met, "no disturbance makes a server faster");
    row.server_requests = row.replies_total.map(|replies| replies - 1);
    assert!(matches!(finding_of(&row), Finding::Void(_)));
}

#[test]
fn an_interrupted_trial_shows_nothing() {
    let plan = Plan::built_in("load").unwrap();
    let mut records = records_of(&plan, MockExecutor::default());
    let before = Capacity::of(&records);
    let last = records.trials.iter().rfind(|row| row.search.is_some()).unwrap();
    let stopped = TrialRow { outcome: Outcome::Interrupted, arrivals: None, ..last.clone() };
    records.trials.push(stopped);
    assert_eq!(Capacity::of(&records), before);
}

#[test]
fn chance_neither_keeps_a_search_going_nor_takes_the_highest_rate_away() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let findings: Vec<_> =
            (0..20).map(|_| if random.bool() { Finding::Met } else { missed() }).collect();
        let probes = probes(|_, index| findings[index].clone(), 80_000.0);
        let mut rates: Vec<_> = probes.iter().map(|probe| probe.rate_per_s).collect();
        let highest =
            probes.iter().filter(|probe| probe.finding == Finding::Met).map(|p| p.rate_per_s);
        assert_eq!(RoundCapacity::of(1, &probes).met_per_s, highest.max());
        rates.sort_unstable();
        rates.dedup();
        assert_eq!(rates.len(), probes.len(), "no rate twice");
    }
}

fn void() -> Finding {
    Finding::Void("the host took 9.0 % of the processor time away".to_owned())
}

#[test]
fn a_void_trial_is_repeated_and_the_search_continues() {
    let capacity = 47_000;
    let bears = |rate, _| if rate <= capacity { Finding::Met } else { missed() };
    let undisturbed = probes(bears, 48_000.0);
    // Every second trial is disturbed.
    let disturbed = probes_up_to(
        14,
        |rate, index| match index % 2 {
            0 if index < 10 => void(),
            _ => bears(rate, index),
        },
        48_000.0,
    );
    let valid: Vec<_> = disturbed.iter().filter(|probe| !probe.is_void()).cloned().collect();
    assert_eq!(valid, undisturbed);
    let found = RoundCapacity::of(1, &disturbed);
    assert_eq!(found, RoundCapacity::of(1, &undisturbed));
    assert!(!found.cut_short && !found.at_least, "{found:?}");
}

#[test]
fn a_disturbed_search_ends_with_the_bounds_found_so_far() {
    for (disturbed_from, rates) in [(0, (None, None)), (1, (None, Some(FIRST_PER_S)))] {
        let bears = |_, index| if index < disturbed_from { missed() } else { void() };
        let probes = probes(bears, 48_000.0);
        assert_eq!(probes.len(), disturbed_from + 1 + REPETITIONS, "bounded");
        let found = RoundCapacity::of(1, &probes);
        assert_eq!((found.met_per_s, found.missed_per_s), rates);
        assert!(found.cut_short && found.reason.contains("no valid trial at"), "{found:?}");
    }
    let bears = |rate, index| match index {
        2.. => void(),
        _ if rate <= 47_000 => Finding::Met,
        _ => missed(),
    };
    let found = RoundCapacity::of(1, &probes(bears, 48_000.0));
    assert!(found.at_least && found.cut_short, "{found:?}");
    let (low, high) = (found.met_per_s.unwrap(), found.missed_per_s.unwrap());
    assert!(low <= 47_000 && 47_000 < high, "{found:?}");
    // Disturbances here and there end it as well.
    let all = probes_up_to(20, |_, index| if index % 2 == 0 { void() } else { missed() }, 5e4);
    assert_eq!(all.iter().filter(|probe| probe.is_void()).count(), MOST_VOID);
}

#[test]
fn bounds_are_those_of_the_median_round() {
    let round = |round, met, missed, cut_short| RoundCapacity {
        round,
        met_per_s: met,
        missed_per_s: missed,
        at_least: cut_short && met.is_some(),
        cut_short,
        reason: String::new(),
        trials: Vec::new(),
    };
    let capacity = |rounds| Capacity {
        target: "selector".to_owned(),
        kind: TargetKind::Strategy,
        control_of: None,
        load: Plan::built_in("default").unwrap().loads()[0],
        objective: search().objective,
        rounds,
    };
    let whole = |met| round(1, Some(met), Some(met + 1_000), false);
    let one = capacity(vec![whole(10_000), whole(12_000), whole(11_000)]);
    assert_eq!(one.bounds(), (Some(11_000.0), Some(12_000.0)));
    assert!(!one.is_at_least() && !one.is_cut_short());
    let cut = |met, missed| round(2, met, missed, true);
    let one = capacity(vec![cut(Some(5_000), None), cut(Some(6_000), Some(9_000)), whole(7_000)]);
    assert_eq!(one.bounds(), (Some(6_000.0), Some(9_000.0)));
    assert!(one.is_at_least() && one.is_cut_short());
    assert_eq!(one.median_met(), Some(6_000.0));
    // A round without any result says nothing.
    let one = capacity(vec![whole(10_000), cut(None, None)]);
    assert_eq!(one.median_met(), Some(10_000.0));
    assert!(!one.is_at_least());
    let one = capacity(vec![cut(None, Some(9_000)), cut(None, None)]);
    assert_eq!((one.bounds(), one.median_met()), ((None, Some(9_000.0)), None));
}

#[test]
fn what_cannot_be_asked_is_asked_once() {
    let probes = probes(|_, _| Finding::Impossible("it speaks http only".to_owned()), 1.0);
    assert_eq!(probes.len(), 1);
    assert_eq!(RoundCapacity::of(1, &probes).reason, "it speaks http only");
}
