//! The whole run in a paragraph: threads or events?

use crate::analysis::comparison::{is_clear, is_clearly_less, listed, with_interval};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::section::Section;
use crate::analysis::topic::Topic;

/// The two that differ in nothing but the question: an event loop, and a thread per connection.
const EVENTS: &str = "selector";
const THREADS: &str = "threaded";

/// What the experiments say together; `None` for a run of fewer than two, or without both of
/// `selector` and `threaded`.
pub fn paragraph(sections: &[Section]) -> Option<String> {
    if sections.len() < 2 {
        return None;
    }
    let (mut events, mut threads, mut level) = (Vec::new(), Vec::new(), Vec::new());
    for section in sections {
        let Some(finding) = &section.finding else { continue };
        let (Some(one), Some(other)) = (finding.score(EVENTS), finding.score(THREADS)) else {
            continue;
        };
        let Some(ratio) = finding.lead(one, other) else { continue };
        let told = |winner, loser| format!("{} ({})", section.name, values(finding, winner, loser));
        let floor = finding.noise_floor;
        if is_clear(&ratio, floor) {
            events.push(told(one, other));
        } else if is_clearly_less(&ratio, floor) {
            threads.push(told(other, one));
        } else {
            level.push(section.name.as_str());
        }
    }
    let list = |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut parts = Vec::new();
    if !events.is_empty() {
        parts.push(format!("events win in {}", list(&events)));
    }
    if !threads.is_empty() {
        parts.push(format!("threads win in {}", list(&threads)));
    }
    if !level.is_empty() {
        parts.push(format!("no measurable difference in {}", listed(&level)));
    }
    if parts.is_empty() {
        return None;
    }
    let mut text = format!(
        "Threads or events? {EVENTS} (one thread for all) against {THREADS} (a thread for each): {}.",
        parts.join("; ")
    );
    let throughput = sections.iter().find(|section| section.topic == Topic::Throughput);
    if let Some(finding) = throughput.and_then(|section| section.finding.as_ref()) {
        text += &beside_the_real(finding);
    }
    Some(text)
}

/// Experiments that support no claim, each with the reason.
pub fn without_claim(sections: &[Section]) -> Vec<String> {
    sections
        .iter()
        .filter_map(|section| {
            let finding = section.finding.as_ref()?;
            let sound = finding.ranked(|_| true).len();
            if sound >= 2 || finding.scores.len() < 2 {
                return None;
            }
            let reasons = finding.left_out().unwrap_or_default();
            Some(format!("No claim rests on {}: {reasons}.", section.name))
        })
        .collect()
}

/// What each of the two has.
fn values(finding: &Finding, winner: &Score, loser: &Score) -> String {
    let ratio = finding.lead(winner, loser).map(with_interval).unwrap_or_default();
    format!(
        "{} {} against {}, {ratio} times as good",
        finding.quantity,
        finding.written(winner),
        finding.written(loser)
    )
}

/// The best of ours, and both beside the fastest real server.
fn beside_the_real(finding: &Finding) -> String {
    let real = finding.ranked(|score| !score.kind.is_ours());
    let ours = finding.ranked(|score| score.kind.is_ours());
    let (Some(best), Some(real)) = (ours.first(), real.first()) else { return String::new() };
    let Some(ratio) = finding.lead(best, real) else { return String::new() };
    format!(
        " {}, {} of our own has the best {} ({}), {} times that of {}, the best of the real servers.",
        finding.condition,
        best.target,
        finding.quantity,
        finding.written(best),
        with_interval(ratio),
        real.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use crate::analysis::summary::Summary;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::{Experiment, Plan};

    fn of(executor: MockExecutor) -> Vec<Section> {
        let mut plan = Plan::built_in("default").unwrap();
        for (index, name) in ["first", "second"].into_iter().enumerate() {
            plan.sweeps[index].experiment = Some(name.to_owned());
            plan.experiments.push(Experiment { name: name.to_owned(), question: "Q?".to_owned() });
        }
        sections(&plan, &Summary::of(&records_of(&plan, executor)))
    }

    #[test]
    fn who_wins_where_is_told_with_values() {
        let text = paragraph(&of(MockExecutor::default())).unwrap();
        assert!(text.starts_with("Threads or events? selector"), "{text}");
        assert!(text.contains("events win in first (throughput "), "{text}");
        assert!(!text.contains("threads win"), "{text}");
        let speed =
            [("selector", 50_000.0), ("threaded", 90_000.0)].map(|(n, v)| (n.to_owned(), v)).into();
        let text = paragraph(&of(MockExecutor { speed, ..MockExecutor::default() })).unwrap();
        assert!(text.contains("threads win in second (throughput "), "{text}");
    }

    #[test]
    fn experiments_without_a_sound_trial_are_named() {
        assert!(without_claim(&of(MockExecutor::default())).is_empty());
        let sections = of(MockExecutor { generator_share: 0.97, ..MockExecutor::default() });
        assert_eq!(paragraph(&sections), None, "nothing may be said");
        let told = without_claim(&sections);
        assert!(told[0].starts_with("No claim rests on first: left out: "), "{told:?}");
    }
}
