//! Selection of the load under which servers are compared.

use std::cmp::Reverse;

use bench_data::load::words::connections;
use bench_data::load::{Direction, Load};

use crate::analysis::summary::{Line, Summary};

/// Of the wanted loads, one with the fewest incomparable servers; of several the one of the highest
/// rank.
pub(crate) fn most_comparable<Rank: Ord>(
    summary: &Summary,
    wanted: impl Fn(&Load) -> bool,
    rank: impl Fn(&Load) -> Rank,
) -> Option<Load> {
    // A server that leaves connections waiting in every round does so by design.
    let spoils = |line: &&Line| !line.is_comparable() && !line.starved_in_every_round();
    // What was declared before the run does not depend on its results.
    let is_declared = summary.is_declared();
    let spoilt = |load: Load| {
        if is_declared { 0 } else { summary.under(load).filter(spoils).count() }
    };
    let loads = summary.loads().into_iter().filter(wanted);
    loads.max_by_key(|load| (Reverse(spoilt(*load)), rank(load)))
}

/// Reason why servers are compared under a load that has not the most connections; empty if it has.
pub(crate) fn reason_for(summary: &Summary, load: Load) -> String {
    let alike = |other: &Load| Load { connections: load.connections, ..*other } == load;
    let most = summary.loads().into_iter().filter(alike).map(|other| other.connections).max();
    match most.filter(|most| *most > load.connections) {
        Some(most) => format!(" With {}, fewer servers can be compared.", connections(most)),
        None => String::new(),
    }
}

/// Load by which a run without experiments is judged: the most comparable one; of several that
/// with the most connections, then that with the smallest files.
pub(crate) fn headline(summary: &Summary) -> Option<Load> {
    let any_download = summary.loads().iter().any(|load| load.direction == Direction::Download);
    most_comparable(
        summary,
        |load| !any_download || load.direction == Direction::Download,
        |load| (load.profile.is_usual(), load.connections, Reverse(load.size)),
    )
}
