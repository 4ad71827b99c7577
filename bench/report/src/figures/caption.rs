//! What a caption claims about servers: never more than the verdict would.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::{Lead, left_out, listed, with_interval};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::outcome::Outcome;
use bench_data::stats::{Estimate, LEAST_ROUNDS, median};

/// What servers are compared by.
pub(super) struct Quantity<'q> {
    /// Its name within a sentence.
    pub(super) name: &'q str,
    pub(super) best: Best,
    /// Its values, round by round.
    pub(super) rounds: &'q dyn Fn(&Line) -> Vec<(u32, f64)>,
    /// How a value is written, with its unit.
    pub(super) write: &'q dyn Fn(f64) -> String,
}

/// A server that may be compared.
struct Candidate<'l> {
    name: &'l str,
    rounds: Vec<(u32, f64)>,
    median: f64,
}

/// Compares the servers under one load, in a sentence.
pub(super) fn claim(summary: &Summary, load: Load, quantity: &Quantity<'_>) -> String {
    let mut candidates: Vec<_> = summary
        .under(load)
        .filter(|line| line.is_comparable())
        .filter_map(|line| Candidate::of(line, quantity))
        .collect();
    candidates.sort_by(|a, b| match quantity.best {
        Best::Highest => b.median.total_cmp(&a.median),
        Best::Lowest => a.median.total_cmp(&b.median),
    });
    let generator_bound =
        summary.under(load).map(|line| line.count(Outcome::GeneratorBound)).sum::<usize>() > 0;
    let claim = match candidates.split_first() {
        None => "no server was measured well enough to be compared".to_owned(),
        Some((only, [])) => {
            format!("{} of {} is {}", quantity.name, only.name, (quantity.write)(only.median))
        }
        Some((best, others)) => {
            let floor = summary.noise_floor(load, quantity.rounds);
            compare(best, others, quantity, generator_bound, floor)
        }
    };
    let mut parts = vec![format!("With {} {claim}", describe(load))];
    parts.extend(left_out(summary, load));
    parts.join("; ") + "."
}

fn compare(
    best: &Candidate<'_>,
    others: &[Candidate<'_>],
    quantity: &Quantity<'_>,
    generator_bound: bool,
    floor: Option<f64>,
) -> String {
    let (name, value) = (quantity.name, (quantity.write)(best.median));
    let count = best.rounds.len();
    if count < LEAST_ROUNDS {
        let all: Vec<_> = std::iter::once(best)
            .chain(others)
            .map(|one| format!("{} {}", one.name, (quantity.write)(one.median)))
            .collect();
        let plural = if count == 1 { "" } else { "s" };
        return format!(
            "no difference can be claimed from {count} round{plural} ({name}: {})",
            all.join(", ")
        );
    }
    let ratio = |other: &Candidate<'_>| match quantity.best {
        Best::Highest => Estimate::of_ratios(&best.rounds, &other.rounds),
        Best::Lowest => Estimate::of_ratios(&other.rounds, &best.rounds),
    };
    let lead = Lead::of(others.iter().map(|other| (other.name, ratio(other))), floor);
    let superlative = match quantity.best {
        Best::Highest => "highest",
        Best::Lowest => "lowest",
    };
    let head = if lead.level.is_empty() {
        let among = if generator_bound { " of those that can be compared" } else { "" };
        format!("{name} is {superlative} for {}{among} ({value})", best.name)
    } else {
        let level: Vec<_> = std::iter::once(best.name).chain(lead.level).collect();
        format!(
            "there is no measurable difference in {name} between {} ({}: {value})",
            listed(&level),
            best.name
        )
    };
    let factors: Vec<_> = lead
        .ahead
        .into_iter()
        .map(|(other, ratio)| match quantity.best {
            Best::Highest => format!("{} times that of {other}", with_interval(ratio)),
            Best::Lowest => format!("for {other} {} times as high", with_interval(ratio)),
        })
        .collect();
    if factors.is_empty() { head } else { format!("{head}: {}", factors.join(", ")) }
}

impl<'l> Candidate<'l> {
    fn of(line: &'l Line, quantity: &Quantity<'_>) -> Option<Self> {
        let rounds = (quantity.rounds)(line);
        let values: Vec<f64> = rounds.iter().map(|(_, value)| *value).collect();
        Some(Self { name: &line.target, median: median(&values)?, rounds })
    }
}
