//! The answer of a run of several experiments: threads or events?

use crate::analysis::comparison::{Comparison, capitalised};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::section::Section;
use crate::analysis::sentence;
use crate::analysis::topic::Topic;

/// Two servers that differ in nothing but the question: an event loop, and a thread per connection.
const EVENTS: &str = "selector";
const THREADS: &str = "threaded";

/// Comparison of the two over all experiments; `None` for a run of fewer than two experiments, or
/// without both servers.
pub(crate) fn paragraph(sections: &[Section]) -> Option<String> {
    if sections.len() < 2 {
        return None;
    }
    let mut each: Vec<String> = sections.iter().filter_map(in_one).collect();
    if each.is_empty() {
        return None;
    }
    let compared = sections.iter().filter_map(compared).map(|(.., one)| one);
    let too_few = compared.filter(|one| !one.is_claimable()).map(|one| one.ratio.rounds);
    each.extend(too_few.max().map(sentence::too_few));
    let mut text = format!(
        "Threads or events? {EVENTS} (one thread for all connections) compared with {THREADS} (one \
         thread per connection). {}",
        each.join(" ")
    );
    let throughput =
        sections.iter().find(|section| section.topic == Topic::Throughput && !section.is_void());
    if let Some(finding) = throughput.and_then(|section| section.finding.as_ref()) {
        text += &of_all(finding).unwrap_or_default();
    }
    Some(text)
}

/// Comparison of the two in one experiment.
fn in_one(section: &Section) -> Option<String> {
    let (events, threads, comparison) = compared(section)?;
    if section.is_void() {
        return Some(format!("{}: void.", capitalised(&section.name)));
    }
    let finding = section.finding.as_ref()?;
    Some(sentence::in_experiment(&section.name, finding, events, threads, comparison))
}

/// The two with their comparison.
fn compared(section: &Section) -> Option<(&Score, &Score, Comparison)> {
    let finding = section.finding.as_ref()?;
    let comparison = finding.pairs().between(EVENTS, THREADS)?;
    Some((finding.score(EVENTS)?, finding.score(THREADS)?, comparison))
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

/// The built-in server that leads, and the reference server that leads.
fn of_all(finding: &Finding) -> Option<String> {
    let ours = *finding.ranked(|score| score.kind.is_ours()).first()?;
    Some(format!(
        " {}, the {} {} measured of the built-in servers is that of {}: {}. {}",
        finding.condition,
        finding.metric.better().superlative(),
        finding.quantity(),
        ours.target,
        finding.written(ours),
        sentence::beside_reference(finding, &finding.pairs())?
    ))
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
            plan.experiments.push(Experiment {
                name: name.to_owned(),
                question: "Q?".to_owned(),
                primary: None,
            });
        }
        sections(&plan, &Summary::of(&records_of(&plan, executor)))
    }

    #[test]
    fn the_leader_of_each_experiment_is_named() {
        let text = paragraph(&of(MockExecutor::default())).unwrap();
        assert!(text.contains(" First: throughput ") && text.contains(", that of selector is "));
        assert!(!text.contains("that of threaded is") && text.contains("equivalent within 5 %"));
        let run = |control: f64| {
            let speeds =
                [("selector", 50_000.0), ("threaded", 90_000.0), ("selector-again", control)];
            let speed = speeds.map(|(name, speed)| (name.to_owned(), speed)).into();
            let sections = of(MockExecutor { speed, ..MockExecutor::default() });
            let notes = crate::analysis::notes::controls(&sections);
            (paragraph(&sections).unwrap(), notes)
        };
        let (text, notes) = run(50_000.0);
        assert!(text.contains(", that of threaded is ") && !text.contains("that of selector is"));
        assert!(notes[0].starts_with("A/A control: selector, measured twice, was compared"));
        // What differs from itself is not compared with others.
        let (text, notes) = run(70_000.0);
        assert!(text.contains(" First: void.") && !text.contains("First: throughput"), "{text}");
        let said = "Void: first. Selector, measured twice, differs from itself by 1.";
        assert!(notes[0].starts_with(said), "{notes:?}");
    }

    #[test]
    fn experiments_without_a_sound_trial_compare_nothing() {
        assert!(without_comparison(&of(MockExecutor::default())).is_empty());
        let sections = of(MockExecutor { generator_share: 0.97, ..MockExecutor::default() });
        assert_eq!(paragraph(&sections), None);
        assert_eq!(without_comparison(&sections).len(), 3);
    }
}
