//! Words of charts: the result of the compared pair as the title, the conditions as the subtitle, and a
//! short caption.

use bench_data::stats::Interval;
use bench_data::units::{counted, microseconds, three_digits};

use crate::analysis::comparison::{capitalised, listed};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::forest::{Standing, standing};
use crate::analysis::metric::Metric;
use crate::analysis::pair::Pair;
use crate::analysis::sentence::answer::Place;
use crate::analysis::sentence::times;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::verdict::Verdict;

/// Title of a chart: the result of the pair, at a place on the axis such as `with 64 connections`
/// (empty if the chart has only one). `None` if one of the two was not measured there.
pub(crate) fn title(pair: &Pair, finding: &Finding, at: &str) -> Option<String> {
    let result = result(pair, finding, &standing(pair, finding)?);
    let at = if at.is_empty() { String::new() } else { format!("{at}, ") };
    Some(capitalised(&(at + &result)))
}

/// The result of the pair in words. Only a shown difference names a server that is ahead.
fn result(pair: &Pair, finding: &Finding, standing: &Standing) -> String {
    let (first, second) = (&pair.first, &pair.second);
    let quantity = finding.quantity();
    let open = format!("no difference in {quantity} shown between {first} and {second}");
    match standing {
        Standing::Compared(one) => match one.verdict {
            Verdict::Different(side) => {
                let (ahead, other) = pair.winner(side);
                let factor = three_digits(upwards(&one.ratio).ratio);
                lead(finding.metric, &quantity, [ahead, other], &factor)
            }
            Verdict::Equivalent => {
                format!("{first} and {second} are equivalent in {quantity} (within 5 %)")
            }
            Verdict::Undecided if one.is_claimable() => open,
            Verdict::Undecided => {
                let verb = if one.ratio.rounds == 1 { "supports" } else { "support" };
                format!("{open}: {} {verb} no claim", counted(one.ratio.rounds, "round"))
            }
        },
        Standing::Bound { of_second, .. } => {
            let limited = if *of_second { second } else { first };
            format!("{open}: the load generator was the limit of {limited}")
        }
        Standing::Void => {
            format!("the comparison of {quantity} is void: the A/A control differs from its server")
        }
        Standing::Missing { server, reason } => {
            format!("{first} and {second} are not compared in {quantity} ({server}: {reason})")
        }
    }
}

/// A shown difference by the values of its metric: of two times, the longer one is named first.
fn lead(metric: Metric, quantity: &str, [ahead, other]: [&str; 2], factor: &str) -> String {
    let as_many = |verb: &str, things: &str| {
        format!("{ahead} {verb} {factor} times as many {things} per second as {other}")
    };
    match metric {
        Metric::Throughput => as_many("serves", "requests"),
        Metric::ConnectionRate => as_many("accepts", "connections"),
        Metric::AchievedRate => as_many("answers", "requests"),
        Metric::TransferRate => as_many("transfers", "bytes"),
        Metric::Capacity => format!("{ahead} sustains {factor} times the request rate of {other}"),
        Metric::RetainedShare => {
            format!("the {quantity} of {ahead} is {factor} times that of {other}")
        }
        Metric::Response(_) | Metric::Service(_) | Metric::MeanResponse | Metric::HeavyResponse => {
            format!("the {quantity} is {factor} times as long with {other} as with {ahead}")
        }
        Metric::TailRatio => format!("the {quantity} of {other} is {factor} times that of {ahead}"),
        Metric::CpuPerRequest
        | Metric::GeneratorCpuPerRequest
        | Metric::SwitchesPerRequest
        | Metric::Memory
        | Metric::Threads
        | Metric::KernelMemory
        | Metric::MemoryPerConnection => {
            format!("{other} needs {factor} times the {quantity} of {ahead}")
        }
    }
}

/// Title of a chart over the seconds of the window: lowest and highest 99th percentile of a second, in microseconds,
/// of each server. `None` without such a value.
pub(crate) fn over_time(servers: &[(&str, Interval)]) -> Option<String> {
    let range = |(name, within): &(&str, Interval)| {
        let [low, high] = [within.low, within.high].map(microseconds);
        match low == high {
            true => format!("{low} with {name}"),
            false => format!("{low} to {high} with {name}"),
        }
    };
    let ranges: Vec<_> = servers.iter().map(range).collect();
    (!ranges.is_empty())
        .then(|| format!("Second by second, the p99 response time is {}", listed(&ranges)))
}

/// Conditions of a chart: what all points share, the place of the servers if it is one, and the rounds.
pub(crate) fn subtitle(conditions: &[String], place: Option<Place>, finding: &Finding) -> String {
    let mut parts = vec![conditions.join(", ")];
    parts.push(match place.map(|place| (place.server_cores, place.machine_cores)) {
        Some((0, all)) => format!("{}, loopback", counted(all, "shared core")),
        Some((cores, _)) => format!("{}, loopback", counted(cores, "server core")),
        None => "loopback".to_owned(),
    });
    parts.extend(rounds(finding));
    parts.retain(|part| !part.is_empty());
    capitalised(&parts.join("; "))
}

/// Rounds of the servers: `5 rounds`, `5 to 8 rounds`.
fn rounds(finding: &Finding) -> Option<String> {
    let counts =
        || finding.scores.iter().map(|score| score.rounds.len()).filter(|count| *count > 0);
    let (least, most) = (counts().min()?, counts().max()?);
    let most_in_words = counted(most, "round");
    Some(if least == most { most_in_words } else { format!("{least} to {most_in_words}") })
}

/// Caption of a chart: what is drawn, how to read it, and the values behind the title.
pub(crate) fn caption(name: &str, reading: &str, evidence: &str) -> String {
    let name = format!("{name}.");
    let parts = [&*name, reading, evidence].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// Values of the pair behind a title, and the best server if it is another one.
pub(crate) fn evidence(pair: Option<&Pair>, finding: &Finding, at: &str) -> String {
    let quantity = finding.quantity();
    let start = if at.is_empty() { quantity } else { format!("{at}, {quantity}") };
    let mut parts = Vec::new();
    if let Some(pair) = pair {
        let of = |name: &str| finding.scores.iter().find(|score| score.target == name);
        let both = [&pair.first, &pair.second].map(|name| of(name));
        parts.extend(both.into_iter().flatten().map(|score| value(finding, score)));
        if let Some(Standing::Compared(one)) = standing(pair, finding) {
            parts.push(format!("ratio {}", times(&upwards(&one.ratio))));
        }
    }
    let is_of_pair = |score: &Score| {
        pair.is_some_and(|pair| [&pair.first, &pair.second].contains(&&score.target))
    };
    if let Some(best) = finding.ranked(|_| true).first().filter(|score| !is_of_pair(score)) {
        let end = finding.metric.better().superlative();
        parts.push(format!("{end}: {}", value(finding, best)));
    }
    if parts.is_empty() {
        return String::new();
    }
    let remark = if finding.is_exploratory { " (exploratory)" } else { "" };
    // Names of percentiles remain as they are written everywhere else.
    let is_percentile = at.is_empty() && finding.metric.percentile().is_some();
    let start = if is_percentile { start } else { capitalised(&start) };
    format!("{start}: {}{remark}.", parts.join("; "))
}

fn value(finding: &Finding, score: &Score) -> String {
    let name = &score.target;
    match score.is_sound() {
        true => format!("{name} {}", finding.written(score)),
        false if score.is_lower_bound(finding.metric) => {
            format!("{name} ≥ {}", finding.written(score))
        }
        false => format!("{name} not compared"),
    }
}

/// A ratio or its inverse, whichever is at least 1.
fn upwards(ratio: &RatioEstimate) -> RatioEstimate {
    if ratio.ratio >= 1.0 { *ratio } else { ratio.inverse() }
}
