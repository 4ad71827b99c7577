//! Trials far from the others of their server and load: listed with what was unusual about them,
//! never dropped.
//!
//! The rule is the modified z-score of B. Iglewicz and D. C. Hoaglin, *How to Detect and Handle
//! Outliers* (ASQC Quality Press, 1993): a value more than 3.5 times 1.4826 median absolute
//! deviations (MAD) from its median. Rates and times spread by factors, so their logarithms are
//! taken. The MAD of five rounds is itself hardly known and now and then nearly nothing; so it counts
//! as no less than is usual for the servers under that load, and what differs by less than the
//! least difference that is ever claimed is no outlier.

use crate::analysis::comparison::least_factor;
use bench_data::load::Load;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::{Distribution, Records, TrialRow};
use bench_data::servers::target::TargetKind;
use bench_data::stats::median;

/// From which score on a value is listed.
const SCORE: f64 = 3.5;
/// What makes of a MAD the standard deviation of normally distributed values.
const MAD_SCALE: f64 = 1.4826;
/// Fewer rounds have no outliers: of four values two are easily far from two others.
const LEAST_ROUNDS: usize = 5;

/// A trial far from the others of its server and load.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlier {
    /// The trial's number.
    pub trial: u32,
    /// Its round.
    pub round: u32,
    /// The server.
    pub target: String,
    /// The load.
    pub load: Load,
    /// What was measured.
    pub metric: Metric,
    /// What it was in this trial.
    pub value: f64,
    /// Its median over all rounds.
    pub median: f64,
    /// How many scaled MADs it is off.
    pub score: f64,
    /// What else was far from its median in this trial, in words; nothing where nothing was.
    pub unusual: Vec<String>,
}

/// What an outlier is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests answered per second, of closed loops.
    Throughput,
    /// 99th percentile of the response time in microseconds, of open loops, whose rate is given.
    P99,
}

/// Lists the outliers of a run, in the order of their trials.
pub fn outliers(records: &Records) -> Vec<Outlier> {
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
            if score > SCORE && off > least_factor(None).ln() {
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
    /// Of the logarithms.
    mad: f64,
}

fn groups(records: &Records) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in records.trials.iter().filter(|row| row.outcome.is_measured()) {
        // How fast a server fails is no rate of answers.
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

/// What may explain an outlier: whatever of the evidence is far from its own median in the group.
fn unusual(row: &TrialRow, group: &Group<'_>) -> Vec<String> {
    let mut said = Vec::new();
    if row.outcome != Outcome::Ok {
        said.push(format!("{}: {}", row.outcome.name(), row.outcome_reason));
    }
    let usual = |value: &dyn Fn(&TrialRow) -> Option<f64>| {
        median(&group.values.iter().filter_map(|(row, _)| value(row)).collect::<Vec<_>>())
    };
    let mut share = |what: &str, least: f64, value: &dyn Fn(&TrialRow) -> Option<f64>| {
        let Some((here, usual)) = value(row).zip(usual(value)) else { return };
        if (here - usual).abs() >= least {
            let (here, usual) = (here * 100.0, usual * 100.0);
            said.push(format!("{what} {here:.1} % (else {usual:.1} %)"));
        }
    };
    share("time taken away by the host", 0.01, &|row| row.steal_share);
    share("the server's share of its cores", 0.1, &|row| row.server_cpu_share);
    share("the generator's share of its core", 0.1, &|row| row.generator_cpu_share);
    let mut count = |what: &str, least: f64, value: &dyn Fn(&TrialRow) -> Option<f64>| {
        let Some((here, usual)) = value(row).zip(usual(value)) else { return };
        if (here - usual).abs() >= least && (here >= 2.0 * usual || here <= usual / 2.0) {
            said.push(format!("{here:.0} {what} (else {usual:.0})"));
        }
    };
    let per_s = |count: Option<u64>, row: &TrialRow| {
        let window_s = row.window_s.filter(|seconds| *seconds > 0.0)?;
        Some(count? as f64 / window_s)
    };
    count("times per second another thread took the server's turn", 50.0, &|row| {
        per_s(row.server_involuntary_switches, row)
    });
    count("times per second the server waited", 500.0, &|row| {
        per_s(row.server_voluntary_switches, row)
    });
    count("connections with an answer", 1.0, &|row| row.connections_served.map(|n| n as f64));
    said
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
        let said = found[0].unusual.join("; ");
        assert!(said.contains("taken away by the host 4.0 % (else 0.0 %)"), "{said}");
        assert!(said.contains("share of its cores 50.0 % (else 95.0 %)"), "{said}");
        let line = &crate::analysis::summary::Summary::of(&records);
        let line = line
            .lines
            .iter()
            .find(|line| line.rounds.iter().any(|(_, rate)| *rate == found[0].value));
        assert_eq!(line.unwrap().rounds.len(), 5);
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
