//! Throughput beside clients that read or send slowly.

use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::units::counted;

use crate::analysis::comparison::listed;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::sentence::{not_compared, times};
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::{Summary, values};

/// Share of the throughput from which on a server counts as not affected.
const UNAFFECTED: f64 = 0.9;

/// Number of background connections of one kind.
type Count = fn(BackgroundConnections) -> usize;

const KINDS: [(Count, &str); 2] = [
    (|background| background.slow_readers, "slow reader"),
    (|background| background.slow_senders, "slow sender"),
];

/// Share of the throughput that a server retains beside the most slow clients, of the kind that
/// affects the servers more.
pub(super) fn retained(part: &Summary) -> Option<Finding> {
    let harm = |finding: &Finding| -> f64 {
        let shares = finding.scores.iter().filter_map(|score| Some(score.value?.median));
        shares.map(|share| share.min(1.0)).sum::<f64>() / finding.scores.len().max(1) as f64
    };
    if part.is_declared() {
        return findings(part).next();
    }
    findings(part).min_by(|a, b| harm(a).total_cmp(&harm(b)))
}

/// For each kind: servers that are not affected, slower, and not compared.
pub(super) fn answer(part: &Summary) -> String {
    findings(part).map(|finding| sorted(&finding)).collect::<Vec<_>>().join(" ")
}

fn findings(part: &Summary) -> impl Iterator<Item = Finding> {
    KINDS.into_iter().filter_map(move |(count, name)| beside(part, count, name))
}

fn sorted(finding: &Finding) -> String {
    let (mut unaffected, mut slower) = (Vec::new(), Vec::new());
    for score in finding.scores.iter().filter(|score| score.is_sound()) {
        match score.value {
            Some(share) if share.median >= UNAFFECTED => unaffected.push(score.target.as_str()),
            Some(share) => {
                let shares = RatioEstimate::of_values(&values(&score.rounds));
                let share = shares
                    .map_or_else(|_| finding.metric.write(share.median), |ratio| times(&ratio));
                slower.push(format!("{share} for {}", score.target));
            }
            None => {}
        }
    }
    let mut parts = Vec::new();
    if !unaffected.is_empty() {
        let least = UNAFFECTED * 100.0;
        let all = listed(&unaffected);
        parts.push(format!("{all} retain at least {least:.0} % of their throughput"));
    }
    if !slower.is_empty() {
        parts.push(format!("the throughput falls to {}", listed(&slower)));
    }
    let text =
        if parts.is_empty() { "no server could be compared".to_owned() } else { parts.join("; ") };
    let left_out = not_compared(finding).map(|out| format!(" {out}.")).unwrap_or_default();
    format!("{}, {text}.{left_out}", finding.condition)
}

fn beside(part: &Summary, count: Count, name: &str) -> Option<Finding> {
    let count = |load: &Load| count(load.profile.background);
    let is_one = |load: &Load| count(load) > 0 && count(load) == load.profile.background.total();
    let load = part.loads().into_iter().filter(is_one).max_by_key(count)?;
    let mut alone = load;
    alone.profile.background = BackgroundConnections::default();
    let share = |rate: f64, before: f64| (before > 0.0).then(|| rate / before);
    let (metric, source) = (Metric::RetainedShare, Metric::Throughput);
    let condition = format!("Beside {}", counted(count(&load), name));
    Some(Finding { condition, ..Finding::relative(part, (load, alone), metric, source, share) })
}
