//! Notes below the answer of a run: conditions that a reader must know to trust it.

use bench_data::load::Direction;
use bench_data::load::words::{describe, requests};
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::Records;
use bench_data::stats::Estimate;

use crate::analysis::comparison::{least_factor, listed, times};
use crate::analysis::metric::Metric;
use crate::analysis::selection::headline;
use crate::analysis::summary::{Line, Summary};

/// Most failures that are described one by one.
const MOST_FAILURES: usize = 5;

/// Notes on the trials of a run.
pub(crate) fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = outcomes(summary);
    let mut short: Vec<&str> = Vec::new();
    for line in summary.lines.iter().filter(|line| line.misses_a_few()) {
        if !short.contains(&line.target.as_str()) {
            short.push(&line.target);
        }
    }
    if !short.is_empty() {
        notes.push(format!(
            "In some rounds {} did not serve every connection. Other load on the machine or a short \
             window can cause this: run again on an idle machine, or with a longer --duration.",
            listed(&short)
        ));
    }
    notes.extend(noise(summary));
    notes.extend(failures(summary));
    notes
}

fn outcomes(summary: &Summary) -> Vec<String> {
    let trials: usize = summary.lines.iter().map(Line::trials).sum();
    let each = [
        (
            Outcome::GeneratorBound,
            "were limited by the load generator. The servers may be faster; they are not compared",
        ),
        (Outcome::Starved, "did not serve every connection (see connections served)"),
        (
            Outcome::Overloaded,
            "were offered more than the server could answer. Their latencies are not valid at the \
             offered rate",
        ),
        (Outcome::TooFew, "had too few requests for a rate and are not compared"),
        (Outcome::GeneratorLate, "do not count: the load generator sent requests late"),
        (
            Outcome::Disturbed,
            "do not count: the machine was disturbed (CPU time taken by the host or by other \
             programs, or a clock that was set)",
        ),
        (Outcome::Errors, "had failed requests (see errors in trials.csv)"),
        (Outcome::Died, "do not count: the server died"),
        (Outcome::NotStarted, "do not count: server or load could not be started"),
        (Outcome::Unsupported, "were skipped: the server does not support their load"),
        (Outcome::Interrupted, "do not count: they were interrupted"),
    ];
    each.into_iter()
        .map(|(outcome, what)| {
            (summary.lines.iter().map(|line| line.count(outcome)).sum::<usize>(), what)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} of {trials} trials {what}."))
        .collect()
}

/// Shares of the received bytes that were compared with the expected ones. Uploads are not received,
/// and older records lack the shares.
pub(crate) fn compared_bytes(records: &Records) -> Option<String> {
    let mut of_requests: Vec<(String, u64, u64)> = Vec::new();
    for row in records.trials.iter().filter(|row| row.outcome.is_measured()) {
        let (Some(compared), Some(all)) = (row.verified_bytes, row.body_bytes) else { continue };
        if row.direction == Direction::Upload || all == 0 {
            continue;
        }
        let what = requests(row.load());
        match of_requests.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, sum, of)) => (*sum, *of) = (*sum + compared, *of + all),
            None => of_requests.push((what, compared, all)),
        }
    }
    let shares: Vec<_> = of_requests
        .into_iter()
        .map(|(what, compared, all)| match 100.0 * compared as f64 / all as f64 {
            percent if percent >= 99.95 => format!("all bytes of {what}"),
            percent => format!("{percent:.1} % of the bytes of {what}"),
        })
        .collect();
    let listed = listed(&shares.iter().map(String::as_str).collect::<Vec<_>>());
    (!shares.is_empty()).then(|| {
        format!(
            "Compared with the expected content: {listed}. One wrong byte is detected with this \
             probability."
        )
    })
}

/// Difference between a server and its A/A control under the headline load.
fn noise(summary: &Summary) -> Option<String> {
    let load = headline(summary)?;
    let control = summary.controls.iter().find(|control| control.load == load)?;
    let own = summary.controlled(control)?;
    let metric = Metric::Throughput;
    let ratio = Estimate::of_ratios(control.rounds(metric), own.rounds(metric))?;
    let floor = summary.noise_floor(load, &|line| line.rounds(metric).to_vec())?;
    Some(format!(
        "A/A control: {} measured twice differs from itself by {}. Differences below {:.0} % are not \
         reported.",
        own.target,
        times(ratio),
        (least_factor(Some(floor)) - 1.0) * 100.0
    ))
}

/// Failures with their reasons, each server and reason once: most servers fail under every load.
fn failures(summary: &Summary) -> Vec<String> {
    let mut seen = Vec::new();
    let mut notes = Vec::new();
    for line in &summary.lines {
        let fails = |outcome: &Outcome| outcome.is_failure() || *outcome == Outcome::Unsupported;
        let Some(reason) = line.reasons.last().filter(|_| line.outcomes.keys().any(fails)) else {
            continue;
        };
        if seen.len() < MOST_FAILURES && !seen.contains(&(&line.target, reason)) {
            seen.push((&line.target, reason));
            notes.push(format!("{} with {}: {reason}.", line.target, describe(line.load)));
        }
    }
    notes
}
