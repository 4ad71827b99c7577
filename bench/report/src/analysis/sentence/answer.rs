//! The answer of a run in one sentence, and the words of the forest plot.

use bench_data::load::words;
use bench_data::units::{counted, three_digits};

use crate::analysis::comparison::{capitalised, listed};
use crate::analysis::finding::Finding;
use crate::analysis::forest::{Forest, ForestRow, Standing, Tally};
use crate::analysis::metric::{Better, Metric};
use crate::analysis::pair::Pair;
use crate::analysis::sentence::times;
use crate::analysis::statistics::ratio::{LEAST_ROUNDS, RatioEstimate};
use crate::analysis::statistics::verdict::{Direction, Verdict};

/// Where the servers of a run were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Cores to which the server was pinned; 0 if not pinned.
    pub server_cores: usize,
    /// Cores of the machine.
    pub machine_cores: usize,
}

impl Place {
    /// The place as the beginning of a sentence: `On one core, loopback`.
    pub fn in_words(self) -> String {
        match self.server_cores {
            0 => format!("On {}, loopback", counted(self.machine_cores, "shared core")),
            1 => "On one core, loopback".to_owned(),
            cores => format!("On {cores} cores, loopback"),
        }
    }
}

/// Most words of the answer of a run.
pub const MOST_WORDS: usize = 25;

/// Answer of a run in at most [`MOST_WORDS`] words. `main` is the main comparison of a run with one
/// experiment.
pub(crate) fn run(place: Place, forest: Option<&Forest>, main: Option<&Finding>) -> String {
    let place = place.in_words();
    let Some(forest) = forest else { return without_pair(&place, main) };
    let Some(row) = forest.rows.first().filter(|_| main.is_some()) else {
        return format!("{place}: {}.", several(forest));
    };
    let write = |(condition, quantity): (Vec<String>, String)| {
        let condition = condition.join(", ");
        format!("{place}, {condition}: {}.", one(&forest.pair, row, &quantity))
    };
    let is_short = |text: &String| text.split_whitespace().count() <= MOST_WORDS;
    let mut forms = conditions(row).into_iter().map(write);
    forms.find(is_short).unwrap_or_else(|| format!("{place}: {}.", several(forest)))
}

/// Condition and quantity of a row, from the full form to the shortest. Deviations from the default
/// load are never left out.
fn conditions(row: &ForestRow) -> [(Vec<String>, String); 4] {
    let load = row.load;
    let connections = words::connections(load.connections);
    let deviations = || row.condition.iter().skip(1).cloned();
    let size = load.size.spaced();
    let quantity = || row.quantity.clone();
    [
        (
            [words::requests(load), connections.clone()].into_iter().chain(deviations()).collect(),
            quantity(),
        ),
        ([size.clone(), connections].into_iter().chain(deviations()).collect(), quantity()),
        ([size].into_iter().chain(deviations()).collect(), quantity()),
        (deviations().collect(), row.metric.name()),
    ]
}

/// The pair in one experiment of several: `Downloads of 1 KiB, 64 connections: selector has …`.
pub(crate) fn in_section(forest: &Forest, section: &str) -> Option<String> {
    let row = forest.rows.iter().find(|row| row.section == section)?;
    let condition = capitalised(&row.condition.join(", "));
    Some(format!("{condition}: {}.", one(&forest.pair, row, &row.quantity)))
}

/// Title of the forest plot: its finding.
pub(crate) fn title(forest: &Forest, has_experiments: bool) -> String {
    match forest.rows.first().filter(|_| !has_experiments) {
        Some(row) => capitalised(&one(&forest.pair, row, &row.quantity)),
        None => capitalised(&several(forest)),
    }
}

/// Answer of a run without a pair to compare.
fn without_pair(place: &str, main: Option<&Finding>) -> String {
    let Some(main) = main else { return format!("{place}: no two servers were compared.") };
    match main.ranked(|_| true)[..] {
        [] => format!("{place}: no server has a valid result."),
        [best, ..] => {
            let (name, value) = (&best.target, main.written(best));
            format!("{place}: the {} of {name} is {value}.", main.quantity())
        }
    }
}

/// The pair under one load: `selector has 1.62× [1.58, 1.64] the throughput of threaded`.
fn one(pair: &Pair, row: &ForestRow, quantity: &str) -> String {
    let (first, second) = (&pair.first, &pair.second);
    match &row.standing {
        Standing::Compared(comparison) => match comparison.verdict {
            Verdict::Different(side) => {
                let (winner, other) = pair.winner(side);
                lead(row.metric, winner, other, &times(&ahead(&comparison.ratio)), quantity)
            }
            Verdict::Equivalent => {
                format!("{first} and {second} are equivalent in {quantity} within 5 %")
            }
            Verdict::Undecided if !comparison.is_claimable() => {
                let side = match comparison.ratio.ratio >= 1.0 {
                    true => Direction::Above,
                    false => Direction::Below,
                };
                let (ahead_one, other) = pair.winner(side);
                let ratio = format!("{}×", three_digits(ahead(&comparison.ratio).ratio));
                let verb = if comparison.ratio.rounds == 1 { "supports" } else { "support" };
                format!(
                    "{}, but {} {verb} no claim",
                    lead(row.metric, ahead_one, other, &ratio, quantity),
                    counted(comparison.ratio.rounds, "round")
                )
            }
            Verdict::Undecided => {
                format!("no difference in {quantity} between {first} and {second} is shown")
            }
        },
        Standing::Bound { ratio, of_second } => {
            let (fast, other) = if *of_second { (second, first) } else { (first, second) };
            let ratio = three_digits(one_way(ratio, *of_second).ratio);
            format!("{fast} has at least {ratio}× the {quantity} of {other}")
        }
        Standing::Void => format!("void, {first} or {second} differs from its A/A control"),
        Standing::Missing { server, .. } => format!("{server} has no comparable {quantity}"),
    }
}

/// A lead by the values of its metric: of two times, the longer one is named first.
fn lead(metric: Metric, ahead: &str, other: &str, ratio: &str, quantity: &str) -> String {
    match metric.better() {
        Better::Higher => format!("{ahead} has {ratio} the {quantity} of {other}"),
        Better::Lower => format!("{other} has {ratio} the {quantity} of {ahead}"),
    }
}

/// The pair over several experiments: `selector leads threaded in 6 of 10 experiments (1.08× to 60×),
/// trails in heavy (5.2×); 3 open`. Open: undecided, void or not compared.
fn several(forest: &Forest) -> String {
    let tally = Tally::of(forest);
    let (first, second) = (&forest.pair.first, &forest.pair.second);
    let all = counted(forest.rows.len(), "experiment");
    let (ours, theirs, leader, other) = match tally.second.len() >= tally.first.len() {
        true => (&tally.second, &tally.first, second, first),
        false => (&tally.first, &tally.second, first, second),
    };
    if ours.is_empty() {
        return match tally.most_rounds_too_few {
            Some(rounds) => format!(
                "no difference between {first} and {second} is shown in {all}; {} are too few for \
                 claims",
                counted(rounds, "round")
            ),
            None => format!(
                "no difference between {first} and {second} is shown in {all}; {} equivalent",
                tally.equivalent
            ),
        };
    }
    let least = ours.iter().map(|lead| lead.factor).fold(f64::INFINITY, f64::min);
    let most = ours.iter().map(|lead| lead.factor).fold(0.0, f64::max);
    let range = match &ours[..] {
        [only] => format!("({}×)", three_digits(only.factor)),
        _ => format!("({}× to {}×)", three_digits(least), three_digits(most)),
    };
    let mut text = format!("{leader} leads {other} in {} of {all} {range}", ours.len());
    let (equivalent, open) = (tally.equivalent, tally.undecided + tally.not_compared);
    if !theirs.is_empty() {
        let most = three_digits(theirs.iter().map(|lead| lead.factor).fold(0.0, f64::max));
        let names: Vec<_> = theirs.iter().map(|lead| lead.name).collect();
        let range = if names.len() > 1 { format!("up to {most}×") } else { format!("{most}×") };
        // A second kind of remainder leaves no room for names within 25 words.
        let which = match names.len() > 2 || (equivalent > 0 && open > 0) {
            true => names.len().to_string(),
            false => listed(&names),
        };
        text += &format!(", trails in {which} ({range})");
    }
    match (equivalent, open) {
        (0, 0) => {}
        (0, open) => text += &format!("; {open} open"),
        (equivalent, 0) => text += &format!("; {equivalent} equivalent"),
        (equivalent, open) => text += &format!("; {equivalent} equivalent, {open} open"),
    }
    text
}

/// Condition and meaning of the forest plot, below its title.
pub(crate) fn subtitle(forest: &Forest, place: Place) -> String {
    let Pair { first, second } = &forest.pair;
    let place = place.in_words();
    format!(
        "{place}. Factor by which {first} or {second} is better, with its 95 % interval; log axis."
    )
}

/// Caption of the forest plot.
pub(crate) fn caption(forest: &Forest, has_experiments: bool) -> String {
    let Pair { second, .. } = &forest.pair;
    let rows = match has_experiments {
        true => "Each row is the main comparison of an experiment.",
        false => "The first row is the main comparison; the others are exploratory.",
    };
    let mut text = format!(
        "{rows} Right of the line, {second} is better: a higher rate, a shorter time, less memory."
    );
    let few =
        |row: &ForestRow| matches!(row.standing, Standing::Compared(one) if !one.is_claimable());
    if forest.rows.iter().any(few) {
        text +=
            &format!(" Thin lines: range of the rounds; an interval needs {LEAST_ROUNDS} rounds.");
    }
    text
}

/// A row of the forest plot in words.
#[derive(Debug, Clone)]
pub struct RowWords {
    /// Experiment or load, and metric.
    pub name: String,
    /// The load.
    pub condition: String,
    /// The lead; `None` without a ratio.
    pub figure: Option<String>,
    /// The verdict.
    pub verdict: String,
}

/// The rows of a forest plot in words.
pub fn rows(forest: &Forest) -> Vec<RowWords> {
    let words = |row: &ForestRow| RowWords {
        name: format!("{}: {}", row.name, row.quantity),
        condition: row.condition.join(", "),
        figure: figure(&row.standing),
        verdict: verdict(&forest.pair, row.metric, &row.standing),
    };
    forest.rows.iter().map(words).collect()
}

/// The lead of a row beside its marker: `1.62× [1.58, 1.64]`. Below 1 the inverse, so that the factor
/// is that of the better side.
fn figure(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Compared(comparison) => Some(times(&ahead(&comparison.ratio))),
        Standing::Bound { ratio, of_second } => {
            Some(format!("≥ {}×", three_digits(one_way(ratio, *of_second).ratio)))
        }
        Standing::Void | Standing::Missing { .. } => None,
    }
}

/// Verdict of a row in words.
fn verdict(pair: &Pair, metric: Metric, standing: &Standing) -> String {
    let end = metric.better().comparative();
    match standing {
        Standing::Compared(comparison) => match comparison.verdict {
            Verdict::Different(side) => format!("{end} with {}", pair.winner(side).0),
            Verdict::Equivalent => "equivalent (within 5 %)".to_owned(),
            Verdict::Undecided if !comparison.is_claimable() => {
                format!("undecided: only {}", counted(comparison.ratio.rounds, "round"))
            }
            Verdict::Undecided => "undecided".to_owned(),
        },
        Standing::Bound { of_second, .. } => {
            let fast = if *of_second { &pair.second } else { &pair.first };
            format!("lower bound for {fast}")
        }
        Standing::Void => "void: the A/A control differs".to_owned(),
        Standing::Missing { server, reason } => format!("{server} not compared: {reason}"),
    }
}

/// A ratio as the factor of the side on which it lies, so at least 1.
fn ahead(ratio: &RatioEstimate) -> RatioEstimate {
    one_way(ratio, ratio.ratio >= 1.0)
}

fn one_way(ratio: &RatioEstimate, of_second: bool) -> RatioEstimate {
    if of_second { *ratio } else { ratio.inverse() }
}
