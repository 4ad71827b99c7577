//! Who still answers beside clients that take or send in drops.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::listed;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::units::grouped;

/// Who keeps this share of its rate is not held up.
const AS_BEFORE: f64 = 0.9;

/// How many of a kind a crowd has.
type Count = fn(BackgroundConnections) -> usize;

/// The kinds of slow clients, and their names.
const KINDS: [(Count, &str); 2] = [
    (|background| background.slow_readers, "slow readers"),
    (|background| background.slow_senders, "slow senders"),
];

/// The share of its rate without them that a server keeps beside the most slow clients, of that
/// kind that holds up more.
pub(super) fn kept(part: &Summary) -> Option<Finding> {
    let findings = KINDS.into_iter().filter_map(|(count, name)| kept_beside(part, count, name));
    let harm = |finding: &Finding| -> f64 {
        let shares = finding.scores.iter().filter_map(|score| Some(score.value?.median));
        shares.map(|share| share.min(1.0)).sum::<f64>() / finding.scores.len().max(1) as f64
    };
    findings.min_by(|a, b| harm(a).total_cmp(&harm(b)))
}

/// For each kind: who answers as before, who less, who not at all.
pub(super) fn answer(part: &Summary) -> Option<String> {
    let told: Vec<_> = KINDS
        .into_iter()
        .filter_map(|(count, name)| Some(sorted(&kept_beside(part, count, name)?)))
        .collect();
    (!told.is_empty()).then(|| told.join(" "))
}

fn sorted(finding: &Finding) -> String {
    let (mut as_before, mut less, mut not) = (Vec::new(), Vec::new(), Vec::new());
    for score in &finding.scores {
        match score.value {
            Some(value) if score.is_sound() && value.median >= AS_BEFORE => {
                as_before.push(score.target.as_str());
            }
            Some(value) if score.is_sound() => {
                let interval = crate::analysis::comparison::with_interval(value);
                less.push(format!("{} at {interval}", score.target));
            }
            _ => not.push(format!("{} ({})", score.target, score.doubt)),
        }
    }
    let mut parts = Vec::new();
    if !as_before.is_empty() {
        parts.push(format!(
            "{} answer at {:.0} % of their rate without them or more",
            listed(&as_before),
            AS_BEFORE * 100.0
        ));
    }
    if !less.is_empty() {
        parts.push(format!("slower, by the share that is left: {}", less.join(", ")));
    }
    if !not.is_empty() {
        parts.push(format!("not as asked: {}", not.join(", ")));
    }
    format!("{}: {}.", finding.condition, parts.join("; "))
}

fn kept_beside(part: &Summary, count: Count, name: &str) -> Option<Finding> {
    let is_one = |load: &Load| {
        count(load.profile.background) > 0
            && count(load.profile.background) == load.profile.background.total()
    };
    let crowded = part
        .loads()
        .into_iter()
        .filter(is_one)
        .max_by_key(|load| count(load.profile.background))?;
    let mut alone = crowded;
    alone.profile.background = BackgroundConnections::default();
    let before = |line: &Line| {
        let lines = part.lines.iter().chain(&part.twins);
        lines.into_iter().find(|other| other.load == alone && other.target == line.target)
    };
    let share = |line: &Line| -> Vec<(u32, f64)> {
        let Some(before) = before(line) else { return Vec::new() };
        let of = |(round, rate): &(u32, f64)| {
            let (_, without) = before.rounds.iter().find(|(other, _)| other == round)?;
            (*without > 0.0).then(|| (*round, rate / without))
        };
        line.rounds.iter().filter_map(of).collect()
    };
    let mut finding = Finding::under(
        part,
        crowded,
        "the share of its rate that a server keeps",
        Best::Highest,
        |share| format!("{:.0} %", share * 100.0),
        &share,
    );
    finding.condition = format!("Beside {} {name}", grouped(count(crowded.profile.background)));
    for (score, line) in finding.scores.iter_mut().zip(part.under(crowded)) {
        let doubtful = [Some(line), before(line)].into_iter().flatten();
        let doubt = doubtful.into_iter().find(|line| !line.is_comparable());
        *score =
            Score::new(line, share(line), doubt.map_or_else(String::new, Line::exclusion_reason));
    }
    Some(finding)
}
