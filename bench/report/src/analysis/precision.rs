//! Precision of the main comparisons of a run, and the further round that it calls for. Decides by the
//! width of intervals alone: a rule that looked at the ratios would stop on chance differences.

use std::collections::BTreeSet;
use std::time::Duration;

use bench_data::plan::Plan;
use bench_data::plan::comparisons::MainComparison;
use bench_data::plan::until::MOST_ROUNDS;
use bench_data::record::rows::{Records, TrialRow};
use bench_data::schedule::{budget, elapsed, time_of_round};

use crate::analysis::comparison::listed;
use crate::analysis::section::main_findings;
use crate::analysis::statistics::ratio::LEAST_ROUNDS;
use crate::analysis::summary::Summary;
use bench_data::units::counted;

/// Precision of a main comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Precision {
    /// Index in [`Plan::main_comparisons`].
    pub comparison: usize,
    /// Name of the experiment, or of the plan.
    pub name: String,
    /// Number of rounds so far.
    pub rounds: u32,
    /// Pair of servers with the widest interval; `None` without two comparable servers.
    pub widest: Option<Widest>,
}

/// Pair of servers with the widest interval of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Widest {
    /// Names of the first and the second server of the ratio.
    pub pair: (String, String),
    /// Half-width of the interval as a share of the ratio; `None` with too few rounds for one.
    pub half_width: Option<f64>,
    /// Number of further rounds with the same scatter that the aim needs.
    needed: usize,
}

impl Precision {
    /// Returns true if an interval is wider than the aim.
    pub fn is_short_of(&self, aim: f64) -> bool {
        let is_wide = |one: &Widest| one.half_width.is_none_or(|half_width| half_width > aim);
        self.widest.as_ref().is_some_and(is_wide)
    }

    /// Widest interval in words: `default: interval ±7.3 % (selector ÷ threaded)`.
    pub fn words(&self) -> String {
        let Some(widest) = &self.widest else {
            return format!("{}: nothing to compare", self.name);
        };
        let (first, second) = &widest.pair;
        match widest.half_width {
            Some(half_width) => {
                let width = percent(half_width);
                format!("{}: interval ±{width} ({first} ÷ {second})", self.name)
            }
            None => format!(
                "{}: no interval below {LEAST_ROUNDS} rounds ({first} ÷ {second})",
                self.name
            ),
        }
    }
}

/// Share as a percentage: two digits, or whole percents from 10 % on.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = usize::from(percent < 9.95 && (percent * 10.0).round() % 10.0 != 0.0);
    format!("{percent:.decimals$} %")
}

/// Precision of each main comparison for which anything was measured.
pub fn precisions(plan: &Plan, records: &Records) -> Vec<Precision> {
    let aim = plan.until.half_width().unwrap_or(f64::INFINITY);
    let mut findings = main_findings(plan, &Summary::of(records));
    let of = |(comparison, main): (usize, MainComparison)| {
        let name = main.experiment.as_deref().unwrap_or(&plan.name);
        let at = findings.iter().position(|(experiment, _)| experiment == name)?;
        let (name, finding) = findings.swap_remove(at);
        let mut widest: Option<Widest> = None;
        for (first, second, one) in finding.pairs().iter() {
            let half_width = one.ratio.half_width();
            let rounds = one.ratio.rounds_until(aim);
            let needed = rounds.saturating_sub(one.ratio.rounds);
            let pair = (first.clone(), second.clone());
            let this = Widest { pair, half_width, needed };
            let width = |one: &Widest| one.half_width.unwrap_or(f64::INFINITY);
            if widest.as_ref().is_none_or(|known| width(known) < width(&this)) {
                widest = Some(this);
            }
        }
        let rounds = rounds_of(&main, &records.trials);
        Some(Precision { comparison, name, rounds, widest })
    };
    plan.main_comparisons().into_iter().enumerate().filter_map(of).collect()
}

/// Number of rounds of a main comparison.
fn rounds_of(main: &MainComparison, rows: &[TrialRow]) -> u32 {
    let is_its = |row: &&TrialRow| match row.search {
        None => main.loads.contains(&row.load().as_planned()),
        Some(objective) => {
            let load = row.load().without_rate();
            main.searches.iter().any(|(one, how)| *one == load && how.objective == objective)
        }
    };
    rows.iter().filter(is_its).map(|row| row.round).collect::<BTreeSet<_>>().len() as u32
}

/// Main comparison that gets the next round, after the planned ones: of those with intervals wider
/// than the plan's aim, whose next round still fits into the time, the one that needs the fewest.
/// `None` if there is none.
pub fn next_round(plan: &Plan, records: &Records) -> Option<Precision> {
    let aim = plan.until.half_width()?;
    let left = budget(plan)?.checked_sub(elapsed(plan, &records.trials))?;
    let main = plan.main_comparisons();
    let gets = |one: &Precision| {
        let time = time_of_round(plan, &main[one.comparison]);
        one.is_short_of(aim) && one.rounds < MOST_ROUNDS && time <= left
    };
    let needed = |one: &Precision| one.widest.as_ref().map_or(0, |widest| widest.needed);
    precisions(plan, records).into_iter().filter(gets).min_by_key(needed)
}

/// Notes on further rounds: those that were added, and the comparisons whose intervals stayed wider than
/// the plan's aim.
pub(crate) fn notes(plan: &Plan, records: &Records, interrupted: bool) -> Vec<String> {
    let all = precisions(plan, records);
    let added: Vec<_> = all
        .iter()
        .filter(|one| one.rounds > plan.rounds)
        .map(|one| format!("{} {}", one.name, one.rounds - plan.rounds))
        .collect();
    let mut notes = Vec::new();
    if !added.is_empty() {
        notes.push(match plan.until.half_width() {
            Some(aim) => format!(
                "Rounds added to the planned {} until all intervals are within ±{}: {}.",
                plan.rounds,
                percent(aim),
                listed(&added)
            ),
            None => format!(
                "Rounds repeated because the machine or the load generator spoiled a trial: {}.",
                listed(&added)
            ),
        });
    }
    let Some(aim) = plan.until.half_width() else { return notes };
    let is_full = |one: &&Precision| one.rounds >= MOST_ROUNDS;
    let wide = all.iter().filter(|one| one.is_short_of(aim));
    let (full, spent): (Vec<&Precision>, Vec<_>) = wide.partition(is_full);
    let time = budget(plan).unwrap_or(Duration::ZERO);
    let ends = [
        (full, format!("after {}", counted(MOST_ROUNDS as usize, "round"))),
        (
            spent,
            match interrupted {
                true => "the run was interrupted".to_owned(),
                false => format!("the time of {} is spent", in_words(time)),
            },
        ),
    ];
    for (comparisons, why) in ends {
        let words: Vec<_> = comparisons.iter().map(|one| one.words()).collect();
        if !words.is_empty() {
            let aim = percent(aim);
            notes.push(format!("Wider than the aim of ±{aim}, {why}: {}.", words.join("; ")));
        }
    }
    notes
}

/// Time as in a flag: `95 s`, `20 min`.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, records_of};

    fn plan(until: &str) -> Plan {
        let until = until.parse().unwrap();
        Plan { until, budget_s: None, ..Plan::built_in("default").unwrap() }
    }

    fn noisy(names: &[&str]) -> MockExecutor {
        let noise = names.iter().map(|name| ((*name).to_owned(), 0.2)).collect();
        MockExecutor { noise, ..MockExecutor::default() }
    }

    #[test]
    fn the_widest_interval_is_named() {
        let plan = plan("ci=5%");
        let records = records_of(&plan, noisy(&["threaded"]));
        let all = precisions(&plan, &records);
        let [only] = &all[..] else { panic!("{all:?}") };
        let widest = only.widest.as_ref().unwrap();
        assert!(widest.pair.0 == "threaded" || widest.pair.1 == "threaded", "{widest:?}");
        assert!(only.is_short_of(0.05) && widest.needed > 6, "{widest:?}");
        assert_eq!(next_round(&plan, &records).as_ref(), Some(only));
        let words = only.words();
        assert!(words.starts_with("default: interval ±") && words.contains("threaded"), "{words}");
        let notes = notes(&plan, &records, false);
        assert!(notes[0].starts_with("Wider than the aim of ±5 %, the time of "), "{notes:?}");
        let precise = records_of(&plan, MockExecutor::default());
        assert_eq!(next_round(&plan, &precise), None);
        assert_eq!(super::notes(&plan, &precise, false), [""; 0]);
    }

    #[test]
    fn the_comparison_that_needs_the_fewest_rounds_comes_first() {
        let mut plan = Plan::combined(&["churn".to_owned(), "mix".to_owned()]).unwrap();
        plan.strategies.retain(|kind| matches!(kind.name(), "threaded" | "selector"));
        plan.until = "ci=5%".parse().unwrap();
        let records = records_of(&plan, noisy(&["threaded"]));
        let all = precisions(&plan, &records);
        let needed = |one: &Precision| one.widest.as_ref().unwrap().needed;
        let least = all.iter().map(needed).min().unwrap();
        assert_eq!(all.len(), 2);
        assert_ne!(needed(&all[0]), needed(&all[1]));
        assert_eq!(needed(&next_round(&plan, &records).unwrap()), least);
    }

    #[test]
    fn repeated_rounds_are_noted() {
        let plan = plan("none");
        let main = plan.main_comparisons()[0].loads[0];
        let trials = bench_data::schedule::schedule(&plan);
        let number = trials.iter().find(|trial| trial.load == main).unwrap().number;
        let executor = MockExecutor { disturbed_in: vec![number], ..MockExecutor::default() };
        let records = records_of(&plan, executor);
        let note =
            "Rounds repeated because the machine or the load generator spoiled a trial: default 1.";
        assert_eq!(notes(&plan, &records, false), [note]);
    }

    #[test]
    fn half_widths_are_written_with_as_many_digits_as_they_support() {
        let written = [0.05, 0.073, 0.0996, 0.4, 12.0].map(percent);
        assert_eq!(written, ["5 %", "7.3 %", "10 %", "40 %", "1200 %"]);
    }
}
