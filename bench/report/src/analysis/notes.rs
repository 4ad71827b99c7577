//! Notes below the answer of a run: conditions that a reader must know to trust it.

use bench_data::load::Direction;
use bench_data::load::words::{describe, requests};
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::Records;
use bench_data::units::{counted, grouped, microseconds, three_digits};

use crate::analysis::comparison::{capitalised, listed};
use crate::analysis::section::Section;
use crate::analysis::sentence;
use crate::analysis::summary::{Line, Summary};

/// Most failures that are described one by one.
const MOST_FAILURES: usize = 5;

/// Most servers that a note names.
const MOST_NAMED: usize = 3;

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
    notes.extend(failures(summary));
    notes
}

/// Numbers of trials with a fault, each with its consequence.
fn outcomes(summary: &Summary) -> Vec<String> {
    let trials: usize = summary.lines.iter().map(Line::trials).sum();
    let each = [
        (
            Outcome::GeneratorBound,
            "Limited by the load generator, so values are lower bounds (≥)",
            " The server may be faster.",
        ),
        (
            Outcome::Waiting,
            "Server and load generator idle for most of the time, not compared",
            " Both waited while requests were outstanding. See busy_share in trials.csv.",
        ),
        (Outcome::Starved, "Not every connection served", " See connections_served in trials.csv."),
        (
            Outcome::Overloaded,
            "Offered more than the server could serve",
            " The latencies are not valid at the offered rate.",
        ),
        (Outcome::TooFew, "Too few requests for a rate, not compared", ""),
        (Outcome::GeneratorLate, "Excluded, the load generator sent requests late", ""),
        (
            Outcome::Invalid,
            "Excluded, the counts of server and load generator contradict each other",
            " See outcome_reason in trials.csv.",
        ),
        (
            Outcome::Disturbed,
            "Excluded, the machine was disturbed",
            " The host or other programs took CPU time, or a clock was set.",
        ),
        (Outcome::Errors, "With failed requests", " See errors in trials.csv."),
        (Outcome::Died, "Excluded, the server died", ""),
        (Outcome::NotStarted, "Excluded, server or load could not be started", ""),
        (Outcome::Unsupported, "Skipped, the server does not support the load", ""),
        (Outcome::Interrupted, "Excluded, interrupted", ""),
    ];
    let note = |(outcome, what, remark): (Outcome, &str, &str)| {
        let of = || summary.lines.iter().filter(move |line| line.count(outcome) > 0);
        let count: usize = of().map(|line| line.count(outcome)).sum();
        let mut servers: Vec<&str> = of().map(|line| line.target.as_str()).collect();
        servers.sort_unstable();
        servers.dedup();
        let named = match servers.len() {
            0..=MOST_NAMED => format!(" ({})", listed(&servers)),
            _ => String::new(),
        };
        let all = counted(trials, "trial");
        (count > 0).then(|| format!("{what}: {} of {all}{named}.{remark}", grouped(count)))
    };
    each.into_iter().filter_map(note).collect()
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

/// Experiments that are void, then the result of the A/A control of the others.
pub(crate) fn controls(sections: &[Section]) -> Vec<String> {
    let checked = |section: &&Section| section.finding.as_ref()?.control.clone();
    let (void, others): (Vec<&Section>, Vec<_>) =
        sections.iter().partition(|section| section.is_void());
    let mut notes: Vec<String> = void
        .iter()
        .filter_map(|section| {
            let why = sentence::differs_from_itself(&checked(section)?);
            Some(format!("Void: {}. {}.", section.name, capitalised(&why)))
        })
        .collect();
    if sections.iter().all(|section| section.part.declared.is_none()) {
        let text = "The plan declares no main comparison: all comparisons are exploratory.";
        notes.push(text.to_owned());
    }
    let checks: Vec<_> = others.iter().filter_map(checked).collect();
    notes.extend(sentence::controls(&checks));
    notes
}

/// Experiments without a comparison, each with the reason.
pub(crate) fn without_comparison(sections: &[Section]) -> Vec<String> {
    sections
        .iter()
        .filter_map(|section| {
            let finding = section.finding.as_ref()?;
            let sound = finding.ranked(|_| true).len();
            if sound >= 2 || finding.scores.len() < 2 {
                return None;
            }
            let reasons = sentence::left_out(finding).unwrap_or_default();
            Some(format!("The experiment {} compares no servers. {reasons}", section.name))
        })
        .collect()
}

/// Validity of a run in one line: sound trials, wake-up delay of the machine, A/A control.
pub(crate) fn validity(records: &Records, summary: &Summary, sections: &[Section]) -> String {
    let rows = || records.trials.iter().filter(|row| row.search.is_none());
    let sound = rows().filter(|row| row.outcome == Outcome::Ok).count();
    let delay = summary.floor.map_or_else(
        || "wake-up delay not recorded".to_owned(),
        |floor| format!("wake-up delay p99 {}", microseconds(floor.p99_us())),
    );
    let void = sections.iter().filter(|section| section.is_void()).count();
    let controls = sections.iter().filter_map(|section| section.finding.as_ref()?.control.as_ref());
    let ratios: Vec<f64> = controls.map(|check| check.ratio.ratio).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let control = match (&ratios[..], void) {
        ([], _) => "no A/A control".to_owned(),
        ([_], 0) => format!("A/A control {}×", three_digits(most)),
        (_, 0) => format!("A/A control {}× to {}×", three_digits(least), three_digits(most)),
        (_, void) => format!("A/A control differs: {} void", counted(void, "comparison")),
    };
    let all = counted(rows().count(), "trial");
    format!("Validity: {} of {all} sound; {delay}; {control}", grouped(sound))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    #[test]
    fn experiments_without_a_sound_trial_compare_nothing() {
        let plan = Plan::built_in("default").unwrap();
        let of = |executor| {
            let summary = Summary::of(&records_of(&plan, executor));
            without_comparison(&sections(&plan, &summary))
        };
        assert!(of(MockExecutor::default()).is_empty());
        let bound = of(MockExecutor { generator_share: 0.97, ..MockExecutor::default() });
        let [note] = &bound[..] else { panic!("{bound:?}") };
        assert!(note.starts_with("The experiment default compares no servers. Not "), "{note}");
    }
}
