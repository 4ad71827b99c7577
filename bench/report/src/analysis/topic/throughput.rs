//! Requests and bytes per second.

use std::cmp::Reverse;

use bench_data::load::store::{Durability, Store};
use bench_data::load::words;
use bench_data::load::{Direction, Load};

use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Unit};
use crate::analysis::selection::{most_comparable, reason_for};
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::{Line, Summary};

/// Share of its peak from which on a server counts as stable.
const STABLE: f64 = 0.95;

/// Bytes per second with the largest files, of the most comparable sizes.
pub(super) fn largest(part: &Summary) -> Option<Finding> {
    let load = most_comparable(part, |_| true, |load| load.size)?;
    Some(Finding::under(part, load, Metric::TransferRate))
}

/// Comparison under the most connections, and with the peaks of the same servers.
pub(super) fn answer(part: &Summary, finding: &Finding) -> String {
    let reason =
        if part.declared.is_some() { String::new() } else { reason_for(part, finding.load) };
    finding.sentence() + &reason + &retained(part, finding.load).unwrap_or_default()
}

/// Comparison with the largest files and with the smallest.
pub(super) fn answer_by_size(part: &Summary, largest: &Finding) -> String {
    let mut text = largest.sentence();
    let store = largest.load.profile.store;
    let alike = |load: &Load| load.profile.store == store;
    let smallest = most_comparable(part, alike, |load| Reverse(load.size));
    if let Some(load) = smallest.filter(|load| load.size < largest.load.size) {
        text += &format!(" {}", Finding::under(part, load, Metric::Throughput).sentence());
    }
    if largest.load.direction == Direction::Upload {
        text += match store {
            Store::Memory => {
                " A server confirms an upload once the complete file has its name; it does not force \
                 the file to disk before."
            }
            Store::Disk => FORCED,
        };
    }
    if store == Store::Memory {
        text += &on_disk(part).unwrap_or_default();
    }
    text
}

const FORCED: &str = " On a disk, a built-in server confirms an upload once the data of the file are \
                      forced to disk.";

/// Comparison with the largest files stored on a disk, and the rates of servers that do not force them
/// there; `None` without such loads.
fn on_disk(part: &Summary) -> Option<String> {
    let is_on_disk = |load: &Load| load.profile.store == Store::Disk;
    let load = most_comparable(part, is_on_disk, |load| load.size)?;
    let finding = Finding::under(part, load, Metric::TransferRate);
    let mut text = format!("{FORCED} {}", finding.sentence());
    let others: Vec<_> = part
        .under(load)
        .filter(|line| line.durability == Some(Durability::None))
        .filter_map(|line| Some((&line.target, line.median(Metric::TransferRate)?)))
        .map(|(name, rate)| format!("{name} {}", Metric::TransferRate.write(rate)))
        .collect();
    if !others.is_empty() {
        text += &format!(" Without that, for orientation: {}.", others.join(", "));
    }
    Some(text)
}

/// Share of its peak that a built-in server retains under the load with the most connections: the
/// largest and the smallest share, unless all are stable.
fn retained(part: &Summary, headline_load: Load) -> Option<String> {
    let mut shares: Vec<(&Line, RatioEstimate)> = part
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
            let peak = own.max_by(|a, b| a.throughput().total_cmp(&b.throughput()))?;
            let (now, peak) = (line.rounds(Metric::Throughput), peak.rounds(Metric::Throughput));
            Some((line, RatioEstimate::of_rounds(now, peak).ok()?))
        })
        .collect();
    shares.sort_by(|(_, a), (_, b)| b.ratio.total_cmp(&a.ratio));
    let ((most, best), (least, worst)) = (shares.first()?, shares.last()?);
    if shares.len() < 2 || worst.ratio > STABLE {
        return None;
    }
    let percent = |share: &RatioEstimate| {
        let write = |share: f64| format!("{:.0}", share * 100.0);
        let interval =
            share.interval().map(|one| format!(" [{}, {}]", write(one.low), write(one.high)));
        Unit::Percent.write(share.ratio) + &interval.unwrap_or_default()
    };
    Some(format!(
        " With {}, {} retains {} of its peak throughput and {} {}.",
        words::connections(headline_load.connections),
        most.target,
        percent(best),
        least.target,
        percent(worst),
    ))
}
