//! The answer of a run of several experiments: threads or events?

use crate::analysis::comparison::{is_clear, is_clearly_less, listed};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::section::Section;
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
    let (mut events, mut threads, mut level) = (Vec::new(), Vec::new(), Vec::new());
    for section in sections {
        let Some(finding) = &section.finding else { continue };
        let (Some(one), Some(other)) = (finding.score(EVENTS), finding.score(THREADS)) else {
            continue;
        };
        let Some(ratio) = finding.lead(one, other) else { continue };
        let by = |winner, loser| format!("{} ({})", section.name, lead(finding, winner, loser));
        if is_clear(&ratio, finding.noise_floor) {
            events.push(by(one, other));
        } else if is_clearly_less(&ratio, finding.noise_floor) {
            threads.push(by(other, one));
        } else {
            level.push(section.name.clone());
        }
    }
    let parts: Vec<String> = [
        (format!("{EVENTS} leads in"), events),
        (format!("{THREADS} leads in"), threads),
        ("No measurable difference in".to_owned(), level),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!(" {what} {}.", listed(&names)))
    .collect();
    if parts.is_empty() {
        return None;
    }
    let mut text = format!(
        "Threads or events? {EVENTS} (one thread for all connections) compared with {THREADS} (one \
         thread per connection).{}",
        parts.concat()
    );
    let throughput = sections.iter().find(|section| section.topic == Topic::Throughput);
    if let Some(finding) = throughput.and_then(|section| section.finding.as_ref()) {
        text += &of_all(finding).unwrap_or_default();
    }
    Some(text)
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
            let reasons = finding.left_out().unwrap_or_default();
            Some(format!("The experiment {} compares no servers. {reasons}.", section.name))
        })
        .collect()
}

fn lead(finding: &Finding, winner: &Score, loser: &Score) -> String {
    let ratio = finding.lead(winner, loser).map(|ratio| finding.lead_in_words(ratio));
    format!(
        "{} {} against {}, {}",
        finding.quantity(),
        finding.written(winner),
        finding.written(loser),
        ratio.unwrap_or_default()
    )
}

/// The built-in server that leads, and the reference server that leads.
fn of_all(finding: &Finding) -> Option<String> {
    let ours = *finding.ranked(|score| score.kind.is_ours()).first()?;
    Some(format!(
        " {}, the built-in server {} has the {} {} ({}). {}.",
        finding.condition,
        ours.target,
        finding.metric.better().superlative(),
        finding.quantity(),
        finding.written(ours),
        finding.beside_reference()?
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
            plan.experiments.push(Experiment { name: name.to_owned(), question: "Q?".to_owned() });
        }
        sections(&plan, &Summary::of(&records_of(&plan, executor)))
    }

    #[test]
    fn the_leader_of_each_experiment_is_named() {
        let text = paragraph(&of(MockExecutor::default())).unwrap();
        assert!(text.contains("selector leads in first (") && !text.contains("threaded leads"));
        let speed =
            [("selector", 50_000.0), ("threaded", 90_000.0)].map(|(n, v)| (n.to_owned(), v)).into();
        let text = paragraph(&of(MockExecutor { speed, ..MockExecutor::default() })).unwrap();
        assert!(text.contains("threaded leads in second ("), "{text}");
    }

    #[test]
    fn experiments_without_a_sound_trial_compare_nothing() {
        assert!(without_comparison(&of(MockExecutor::default())).is_empty());
        let sections = of(MockExecutor { generator_share: 0.97, ..MockExecutor::default() });
        assert_eq!(paragraph(&sections), None);
        assert_eq!(without_comparison(&sections).len(), 3);
    }
}
