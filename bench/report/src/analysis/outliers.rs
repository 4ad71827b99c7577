//! Trials far from the others of their server and load: listed with possible reasons, never dropped.
//!
//! The rule is the modified z-score of B. Iglewicz and D. C. Hoaglin, *How to Detect and Handle
//! Outliers* (ASQC Quality Press, 1993): a value more than 3.5 times 1.4826 median absolute
//! deviations (MAD) from its median. Rates and times spread by factors, so their logarithms are
//! taken. The MAD of five rounds is itself uncertain and sometimes nearly 0; so it counts at least as
//! much as the median MAD of the servers under that load, and a value within the margin of equivalence is
//! not an outlier.

use crate::analysis::metric::Metric;
use crate::analysis::statistics::verdict::MARGIN;
use bench_data::load::Load;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::{Distribution, Records, TrialRow};
use bench_data::servers::target::TargetKind;
use bench_data::stats::median;

/// Score above which a value is listed.
const SCORE: f64 = 3.5;
/// Factor from a MAD to the standard deviation of normally distributed values.
const MAD_SCALE: f64 = 1.4826;
/// Fewest rounds: of four values two are easily far from two others.
pub(crate) const LEAST_ROUNDS: usize = 5;

/// A trial far from the others of its server and load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outlier {
    pub trial: u32,
    pub round: u32,
    pub target: String,
    pub load: Load,
    /// Throughput of closed loops; of open loops, whose rate is given, the tail.
    pub metric: Metric,
    /// Value of this trial.
    pub value: f64,
    /// Median over all rounds.
    pub median: f64,
    /// Distance from the median in scaled MADs.
    pub score: f64,
    /// Other quantities far from their medians in this trial, in words.
    pub unusual: Vec<String>,
}

/// Lists the outliers of a run, in the order of their trials.
pub(crate) fn outliers(records: &Records) -> Vec<Outlier> {
    let groups = groups(records);
    let mut found = Vec::new();
    for group in &groups {
        let usual = median(
            &groups
                .iter()
                .filter(|other| other.load == group.load)
                .map(|other| other.mad)
                .collect::<Vec<_>>(),
        );
        let scale = MAD_SCALE * group.mad.max(usual.unwrap_or(0.0));
        for (row, value) in &group.values {
            let off = (value / group.median).ln().abs();
            let score = off / scale;
            if score > SCORE && off > MARGIN.ln() {
                found.push(Outlier {
                    trial: row.trial,
                    round: row.round,
                    target: row.target.clone(),
                    load: group.load,
                    metric: group.metric,
                    value: *value,
                    median: group.median,
                    score,
                    unusual: unusual(row, group),
                });
            }
        }
    }
    found.sort_by_key(|outlier| outlier.trial);
    found
}

/// The measured trials of one server under one load.
struct Group<'r> {
    load: Load,
    target: &'r str,
    metric: Metric,
    values: Vec<(&'r TrialRow, f64)>,
    median: f64,
    /// MAD of the logarithms.
    mad: f64,
}

fn groups(records: &Records) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in records.trials.iter().filter(|row| row.outcome.is_measured()) {
        // The rate of failures is not a throughput.
        if row.outcome == Outcome::Errors || row.target_kind == TargetKind::Running {
            continue;
        }
        let (metric, value) = match row.offered_per_s {
            None => (Metric::Throughput, row.requests_per_s),
            Some(_) => (Metric::P99, p99_us(records, row.trial)),
        };
        let Some(value) = value.filter(|value| *value > 0.0) else { continue };
        let load = row.load();
        match groups.iter_mut().find(|group| group.load == load && group.target == row.target) {
            Some(group) => group.values.push((row, value)),
            None => groups.push(Group {
                load,
                target: &row.target,
                metric,
                values: vec![(row, value)],
                median: 0.0,
                mad: 0.0,
            }),
        }
    }
    groups.retain_mut(|group| {
        let all: Vec<_> = group.values.iter().map(|(_, value)| *value).collect();
        let Some(middle) = median(&all).filter(|_| all.len() >= LEAST_ROUNDS) else { return false };
        let off: Vec<_> = all.iter().map(|value| (value / middle).ln().abs()).collect();
        group.median = middle;
        group.mad = median(&off).unwrap_or(0.0);
        true
    });
    groups
}

fn p99_us(records: &Records, trial: u32) -> Option<f64> {
    let is_it = |row: &&bench_data::record::rows::LatencyRow| {
        row.trial == trial && row.distribution == Distribution::Response && row.percentile == 99.0
    };
    records.latencies.iter().find(is_it).map(|row| row.latency_us)
}

/// Possible explanations: quantities of the trial far from their own medians in the group.
fn unusual(row: &TrialRow, group: &Group<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if row.outcome != Outcome::Ok {
        found.push(format!("{}: {}", row.outcome.name(), row.outcome_reason));
    }
    let usual = |value: &dyn Fn(&TrialRow) -> Option<f64>| {
        median(&group.values.iter().filter_map(|(row, _)| value(row)).collect::<Vec<_>>())
    };
    let mut share = |what: &str, least: f64, value: &dyn Fn(&TrialRow) -> Option<f64>| {
        let Some((here, usual)) = value(row).zip(usual(value)) else { return };
        if (here - usual).abs() >= least {
            let (here, usual) = (here * 100.0, usual * 100.0);
            found.push(format!("{what} {here:.1} % (median {usual:.1} %)"));
        }
    };
    share("steal time", 0.01, &|row| row.steal_share);
    share("server CPU", 0.1, &|row| row.server_cpu_share);
    share("generator CPU", 0.1, &|row| row.generator_cpu_share);
    let mut count = |what: &str, least: f64, value: &dyn Fn(&TrialRow) -> Option<f64>| {
        let Some((here, usual)) = value(row).zip(usual(value)) else { return };
        if (here - usual).abs() >= least && (here >= 2.0 * usual || here <= usual / 2.0) {
            found.push(format!("{what} {here:.0} (median {usual:.0})"));
        }
    };
    let per_s = |count: Option<u64>, row: &TrialRow| {
        let window_s = row.window_s.filter(|seconds| *seconds > 0.0)?;
        Some(count? as f64 / window_s)
    };
    count("involuntary context switches per second", 50.0, &|row| {
        per_s(row.server_involuntary_switches, row)
    });
    count("voluntary context switches per second", 500.0, &|row| {
        per_s(row.server_voluntary_switches, row)
    });
    count("connections served", 1.0, &|row| row.connections_served.map(|n| n as f64));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::records;

    fn of_selector(records: &mut Records) -> Vec<&mut TrialRow> {
        let is_one = |row: &&mut TrialRow| row.target == "selector" && row.connections == 64;
        records.trials.iter_mut().filter(is_one).filter(|row| row.size_bytes == 1024).collect()
    }

    #[test]
    fn rounds_that_differ_as_usual_are_no_outliers() {
        assert_eq!(outliers(&records()), []);
    }

    #[test]
    fn a_round_far_off_is_listed_with_what_was_unusual_and_still_counts() {
        let mut records = records();
        let mut rows = of_selector(&mut records);
        rows.iter_mut().for_each(|row| row.steal_share = Some(0.0));
        let row = &mut rows[2];
        row.requests_per_s = row.requests_per_s.map(|rate| rate / 2.0);
        row.steal_share = Some(0.04);
        row.server_cpu_share = Some(0.5);
        let trial = row.trial;
        let found = outliers(&records);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].trial, found[0].metric), (trial, Metric::Throughput));
        assert!(found[0].value < 0.6 * found[0].median && found[0].score > SCORE);
        let unusual = ["steal time 4.0 % (median 0.0 %)", "server CPU 50.0 % (median 95.0 %)"];
        assert_eq!(found[0].unusual, unusual);
        let summary = crate::analysis::summary::Summary::of(&records);
        let line = summary.line(found[0].load, "selector").unwrap();
        assert_eq!(line.rounds(Metric::Throughput).len(), 6);
    }

    #[test]
    fn rounds_that_hardly_differ_make_no_outlier_of_a_small_difference() {
        let mut records = records();
        for row in &mut records.trials {
            row.requests_per_s = Some(1_000.0);
        }
        of_selector(&mut records)[0].requests_per_s = Some(1_040.0);
        assert_eq!(outliers(&records), []);
        of_selector(&mut records)[0].requests_per_s = Some(1_060.0);
        assert_eq!(outliers(&records).len(), 1);
    }

    #[test]
    fn four_rounds_have_none() {
        let mut records = records();
        records.trials.retain(|row| row.round < 5);
        of_selector(&mut records)[0].requests_per_s = Some(1.0);
        assert_eq!(outliers(&records), []);
    }
}
