//! A run by its experiments: of each its question, its charts, its answer, and why.

use bench_data::load::words::heading;
use std::cmp::Reverse;

use crate::analysis::finding::Finding;
use crate::analysis::scalability::Scalability;
use crate::analysis::summary::{Line, Summary};
use crate::analysis::topic::Topic;
use crate::analysis::verdict::headline;
use bench_data::load::Load;
use bench_data::plan::Plan;
use bench_data::plan::sweep::Sweep;
use bench_data::units;

/// An experiment of a run, or all of a run that has none.
#[derive(Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// What it is about.
    pub topic: Topic,
    /// What came of it, in words.
    pub answer: String,
    /// What the best and the last server spend on a request, where that is known.
    pub why: Option<String>,
    /// The value that its servers are judged by.
    pub finding: Option<Finding>,
    /// The load that answer and reasons speak of.
    pub headline_load: Option<Load>,
    /// The Universal Scalability Law, where enough connection counts were measured.
    pub scalability: Option<Scalability>,
    /// Its part of the run.
    pub part: Summary,
}

/// The parts of a run, in the plan's order; those that were not reached are left out.
pub fn sections(plan: &Plan, summary: &Summary) -> Vec<Section> {
    let part = |name: Option<&str>| {
        let sweeps = || plan.sweeps.iter().filter(|sweep| sweep.experiment.as_deref() == name);
        let has = |sweep: &Sweep, load: &Load| sweep.loads().contains(&load.as_planned());
        // What a search has for a load is no load of its own.
        let own = |load: &Load| sweeps().any(|sweep| sweep.capacity.is_none() && has(sweep, load));
        let searched =
            |load: &Load| sweeps().any(|sweep| sweep.capacity.is_some() && has(sweep, load));
        let mut part = summary.part(own);
        part.capacities =
            summary.capacities.iter().filter(|one| searched(&one.load)).cloned().collect();
        part
    };
    let is_empty = |part: &Summary| part.lines.is_empty() && part.capacities.is_empty();
    let mut sections: Vec<Section> = plan
        .experiments
        .iter()
        .map(|one| (one, part(Some(&one.name))))
        .filter(|(_, part)| !is_empty(part))
        .map(|(one, part)| Section::of(&one.name, &one.question, part))
        .collect();
    if plan.experiments.is_empty() {
        sections.push(Section::of(&plan.name, &plan.question, summary.clone()));
    } else {
        let rest = part(None);
        if !is_empty(&rest) {
            sections.push(Section::of(&plan.name, &plan.question, rest));
        }
    }
    sections
}

impl Section {
    fn of(name: &str, question: &str, part: Summary) -> Self {
        let topic = Topic::of(&part);
        let finding = topic.finding(&part);
        let headline_load =
            finding.as_ref().map(|finding| finding.load).or_else(|| headline(&part));
        Self {
            name: name.to_owned(),
            question: question.to_owned(),
            topic,
            answer: topic.answer(&part).unwrap_or_else(|| "Nothing was measured.".to_owned()),
            why: finding.as_ref().and_then(|finding| why(&part, finding)),
            finding,
            headline_load,
            scalability: Scalability::of(&part),
            part,
        }
    }
}

/// Of our servers, or of all where none is ours, what the best and the last spend.
fn why(part: &Summary, finding: &Finding) -> Option<String> {
    let any_of_ours = finding.scores.iter().any(|score| score.kind.is_ours());
    let ranked = finding.ranked(|score| score.kind.is_ours() || !any_of_ours);
    let line = |target: &str| part.under(finding.load).find(|line| line.target == target);
    let (best, others) = ranked.split_first()?;
    let (best, last) = (line(&best.target)?, line(&others.last()?.target)?);
    Some(format!("Why: {}; {}.", spends(best)?, spends(last)?))
}

fn spends(line: &Line) -> Option<String> {
    let cpu = units::microseconds(line.cpu_us_per_request?.median);
    let mut parts = vec![format!("{cpu} of processor time")];
    if let Some(switches) = line.switches_per_request {
        parts.push(match switches.median {
            few if few < 0.005 => "hardly any context switch".to_owned(),
            count => format!("{} context switches", units::three_digits(count)),
        });
    }
    if let Some(calls) = line.calls_per_request {
        parts.push(format!("{} system calls", units::three_digits(calls)));
    }
    let told = match &parts[..] {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        few => few.join(""),
    };
    let mut text = format!("{} spends {told} on a request", line.target);
    if let (Some(threads), Some(memory)) = (line.threads, line.memory_bytes) {
        let plural = if threads.median == 1.0 { "" } else { "s" };
        text += &format!(
            ", with {:.0} thread{plural} and {}",
            threads.median,
            units::bytes(memory.median)
        );
    }
    Some(text)
}

/// The loads that stand for a run in an overview: of each experiment the telling one; of a run
/// without experiments all, or those with the most connections where these are many.
pub fn overview(sections: &[Section]) -> Vec<(String, Load)> {
    const MOST: usize = 12;
    if let [only] = sections {
        let mut loads = only.part.loads();
        if loads.len() > MOST {
            let kept = {
                let mut by_rank = loads.clone();
                by_rank.sort_by_key(|load| Reverse((load.profile.is_usual(), load.connections)));
                by_rank.truncate(MOST);
                by_rank
            };
            loads.retain(|load| kept.contains(load));
        }
        return loads.into_iter().map(|load| (heading(load), load)).collect();
    }
    let headline_load = |section: &Section| {
        section.headline_load.map(|load| (format!("{}: {}", section.name, heading(load)), load))
    };
    sections.iter().filter_map(headline_load).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, records, records_of};
    use bench_data::plan::Experiment;

    #[test]
    fn a_run_without_experiments_is_one_section() {
        let plan = Plan::built_in("default").unwrap();
        let sections = sections(&plan, &Summary::of(&records()));
        assert_eq!(sections.len(), 1);
        let only = &sections[0];
        assert_eq!((&only.name, &only.question), (&plan.name, &plan.question));
        let why = only.why.as_deref().unwrap();
        assert!(why.starts_with("Why: selector spends "), "{why}");
        assert!(why.contains("of processor time and 0.") && why.contains("; thread"), "{why}");
        assert_eq!(overview(&sections).len(), only.part.loads().len());
    }

    #[test]
    fn each_experiment_answers_with_its_own_loads() {
        let mut plan = Plan::built_in("default").unwrap();
        for (index, name) in ["first", "second"].into_iter().enumerate() {
            plan.sweeps[index].experiment = Some(name.to_owned());
            plan.experiments.push(Experiment { name: name.to_owned(), question: "Q?".to_owned() });
        }
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let sections = sections(&plan, &summary);
        let names: Vec<_> = sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "default"], "what is in none comes last");
        for (section, sweep) in sections.iter().zip(&plan.sweeps) {
            assert!(sweep.loads().iter().all(|load| section.part.loads().contains(load)));
            assert!(section.part.loads().contains(&section.headline_load.unwrap()));
            assert!(!section.answer.is_empty());
        }
        assert_eq!(overview(&sections).len(), 3);
    }
}
