//! Requests, connections and bytes per second.

use std::cmp::Reverse;

use bench_data::load::Direction;

use crate::analysis::comparison::Best;
use crate::analysis::comparison::{most_comparable, with_interval};
use crate::analysis::finding::Finding;
use crate::analysis::summary::{Line, Summary};
use crate::analysis::verdict::headline;
use bench_data::load::Load;
use bench_data::stats::Estimate;
use bench_data::units;
use bench_data::units::grouped;

pub(super) fn requests(part: &Summary) -> Option<Finding> {
    let load = headline(part)?;
    Some(Finding::under(
        part,
        load,
        "throughput",
        Best::Highest,
        |rate| format!("{} requests/s", units::count(rate)),
        &|line| line.rounds.clone(),
    ))
}

pub(super) fn connections(part: &Summary) -> Option<Finding> {
    let load = headline(part)?;
    Some(Finding::under(
        part,
        load,
        "the rate of new connections",
        Best::Highest,
        |rate| format!("{} connections/s", units::count(rate)),
        &|line| line.rounds.clone(),
    ))
}

/// With the largest files, of the sizes that spoiled the fewest servers' rounds.
pub(super) fn largest(part: &Summary) -> Option<Finding> {
    let load = most_comparable(part, |_| true, |load| load.size)?;
    Some(Finding::under(
        part,
        load,
        "throughput",
        Best::Highest,
        |rate| format!("{} MB/s", units::three_digits(rate)),
        &|line| line.mb_rounds.clone(),
    ))
}

/// Who leads with the most connections, and who keeps most of its own best.
pub(super) fn answer(part: &Summary) -> Option<String> {
    let finding = requests(part)?;
    let mut text = finding.sentence();
    text += &kept(part, finding.load).map(|kept| format!(" {kept}")).unwrap_or_default();
    Some(text)
}

/// With the largest files and with the smallest.
pub(super) fn answer_by_size(part: &Summary) -> Option<String> {
    let large = largest(part)?;
    let smallest = most_comparable(part, |_| true, |load| Reverse(load.size))?;
    let mut text = large.sentence();
    if smallest.size < large.load.size {
        let small = requests(&part.part(|load| *load == smallest))?;
        text += &format!(" {}", small.sentence());
    }
    if large.load.direction == Direction::Upload {
        text += " An upload is answered once it stands under its name, whole; nothing is forced to disk before.";
    }
    Some(text)
}

/// What part of its own highest rate a server still has under the load with the most connections:
/// the one that keeps most, and the one that keeps least.
fn kept(part: &Summary, headline_load: Load) -> Option<String> {
    let mut shares: Vec<(&Line, Estimate)> = part
        .under(headline_load)
        .filter(|line| line.is_comparable() && line.kind.is_ours())
        .filter_map(|line| {
            let alike = |other: &&Line| {
                other.target == line.target
                    && other.load.connections <= headline_load.connections
                    && Load { connections: headline_load.connections, ..other.load }
                        == headline_load
                    && other.is_comparable()
            };
            let own = part.lines.iter().filter(alike);
            let highest = own.max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
            Some((line, Estimate::of_ratios(&line.rounds, &highest.rounds)?))
        })
        .collect();
    shares.sort_by(|(_, a), (_, b)| b.median.total_cmp(&a.median));
    let ((most, best), (least, worst)) = (shares.first()?, shares.last()?);
    // Where even the one that keeps least keeps nearly all, there is nothing to tell.
    if shares.len() < 2 || worst.median > 0.95 {
        return None;
    }
    Some(format!(
        "With {} connections {} still has {} times its own highest rate, {} {}.",
        grouped(headline_load.connections),
        most.target,
        with_interval(*best),
        least.target,
        with_interval(*worst),
    ))
}

fn rate(line: &Line) -> f64 {
    line.requests_per_s.map_or(0.0, |estimate| estimate.median)
}
