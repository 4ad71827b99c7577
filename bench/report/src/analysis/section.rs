//! Sections of a report: one for each experiment, with its question, answer and costs.

use bench_data::load::words::{describe, heading};
use std::cmp::Reverse;

use crate::analysis::capacity::CapacityEstimate;
use crate::analysis::comparison::family;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::scalability::Scalability;
use crate::analysis::selection::headline;
use crate::analysis::statistics::verdict::Verdict;
use crate::analysis::summary::{Line, Summary};
use crate::analysis::topic::Topic;
use bench_data::load::Load;
use bench_data::plan::Plan;
use bench_data::plan::sweep::Sweep;
use bench_data::record::capacity::Capacity;
use bench_data::units;

/// One experiment of a run, or a whole run without experiments.
#[derive(Debug)]
pub struct Section {
    /// Name of the experiment.
    pub name: String,
    /// Question of the experiment.
    pub question: String,
    /// Topic of its loads.
    pub topic: Topic,
    /// Answer in words.
    pub answer: String,
    /// Cost of a request of the best and the last server, where it was measured.
    pub cost: Option<String>,
    /// Comparison of the servers.
    pub finding: Option<Finding>,
    /// Load of answer and costs.
    pub headline_load: Option<Load>,
    /// The Universal Scalability Law, where enough connection counts were measured.
    pub scalability: Option<Scalability>,
    /// Part of the run.
    pub part: Summary,
}

/// Parts of a run that are sections of their own, each with its name and question, in the plan's
/// order, without those that were not reached.
fn parts<'p>(plan: &'p Plan, summary: &Summary) -> Vec<(&'p str, &'p str, Summary)> {
    let part = |name: Option<&str>| {
        let sweeps = || plan.sweeps.iter().filter(|sweep| sweep.experiment.as_deref() == name);
        let has = |sweep: &Sweep, load: &Load| sweep.loads().contains(&load.as_planned());
        // Loads of a search have lines of their own only where a sweep without search has them.
        let own = |load: &Load| sweeps().any(|sweep| sweep.capacity.is_none() && has(sweep, load));
        let searched = |one: &&CapacityEstimate| {
            let Capacity { load, objective, .. } = &one.search;
            let seeks =
                |sweep: &Sweep| sweep.capacity.is_some_and(|how| how.objective == *objective);
            sweeps().any(|sweep| seeks(sweep) && has(sweep, load))
        };
        let mut part = summary.part(own);
        part.capacities = summary.capacities.iter().filter(searched).cloned().collect();
        part.declared = plan.primary_of(name);
        part
    };
    let is_empty = |part: &Summary| part.lines.is_empty() && part.capacities.is_empty();
    let mut parts: Vec<(&str, &str, Summary)> = plan
        .experiments
        .iter()
        .map(|one| (&*one.name, &*one.question, part(Some(&one.name))))
        .filter(|(.., part)| !is_empty(part))
        .collect();
    if plan.experiments.is_empty() {
        let mut whole = summary.clone();
        whole.declared = plan.primary;
        parts.push((&plan.name, &plan.question, whole));
    } else {
        let rest = part(None);
        if !is_empty(&rest) {
            parts.push((&plan.name, &plan.question, rest));
        }
    }
    parts
}

/// Main comparisons that the plan declares, each with the name of its experiment or of the plan.
pub(crate) fn main_findings(plan: &Plan, summary: &Summary) -> Vec<(String, Finding)> {
    let parts = parts(plan, summary).into_iter().filter(|(.., part)| part.declared.is_some());
    let finding = |(name, _, part): (&str, &str, Summary)| {
        Some((name.to_owned(), Topic::of(&part).finding(&part)?))
    };
    parts.filter_map(finding).collect()
}

/// Sections of a run.
pub fn sections(plan: &Plan, summary: &Summary) -> Vec<Section> {
    let mut parts = parts(plan, summary);
    for (.., part) in &mut parts {
        let Some(declared) = part.declared else { continue };
        // Where the declared load was not measured, the results choose another one.
        let finding = Topic::of(part).finding(part).filter(|one| declared.matches(&one.load));
        part.main = finding.map(|finding| (finding.load, finding.metric));
    }
    judge_controls(parts.iter_mut().map(|(.., part)| part).collect());
    parts.into_iter().map(|(name, question, part)| Section::of(name, question, part)).collect()
}

/// Marks the loads of the main comparisons as void whose A/A controls differ from their servers,
/// corrected for the number of experiments.
fn judge_controls(parts: Vec<&mut Summary>) {
    let mut checked = Vec::new();
    for part in parts {
        let finding = Topic::of(part).finding(part);
        if let Some((load, check)) = finding.and_then(|one| Some((one.load, one.control?))) {
            checked.push((part, load, check.ratio));
        }
    }
    let ratios: Vec<_> = checked.iter().map(|(.., ratio)| *ratio).collect();
    for ((part, load, _), compared) in checked.into_iter().zip(family(&ratios)) {
        if matches!(compared.verdict, Verdict::Different(_)) {
            part.void.push(load);
        }
    }
}

impl Section {
    fn of(name: &str, question: &str, part: Summary) -> Self {
        let topic = Topic::of(&part);
        let finding = topic.finding(&part);
        let headline_load =
            finding.as_ref().map(|finding| finding.load).or_else(|| headline(&part));
        let answer = finding.as_ref().map(|finding| match finding.is_void {
            true => finding.sentence(),
            false => topic.answer(&part, finding),
        });
        let cost =
            finding.as_ref().filter(|one| !one.is_void).and_then(|finding| cost(&part, finding));
        Self {
            name: name.to_owned(),
            question: question.to_owned(),
            topic,
            answer: answer.unwrap_or_else(|| "Nothing was measured.".to_owned()),
            cost,
            finding,
            headline_load,
            scalability: Scalability::of(&part),
            part,
        }
    }

    /// Returns true if the comparison is void: a server differs from its A/A control.
    pub fn is_void(&self) -> bool {
        self.finding.as_ref().is_some_and(|finding| finding.is_void)
    }
}

/// Cost of a request of the best and the last server, where it was measured.
fn cost(part: &Summary, finding: &Finding) -> Option<String> {
    let ranked = finding.competitors();
    let (best, others) = ranked.split_first()?;
    let costs = [*best, others.last()?]
        .map(|score| part.line(finding.load, &score.target).and_then(cost_of));
    let [Some(best), Some(last)] = costs else { return None };
    Some(format!("Cost per request with {}: {best}; {last}.", describe(finding.load)))
}

fn cost_of(line: &Line) -> Option<String> {
    let cpu = Metric::CpuPerRequest.write(line.median(Metric::CpuPerRequest)?);
    let mut text = format!("{} {cpu} CPU", line.target);
    if let Some(cpu) = line.median(Metric::GeneratorCpuPerRequest) {
        text += &format!(" (load generator {})", Metric::GeneratorCpuPerRequest.write(cpu));
    }
    if let Some(switches) = line.median(Metric::SwitchesPerRequest) {
        let switches =
            if switches < 0.005 { "< 0.01".to_owned() } else { units::three_digits(switches) };
        text += &format!(", {switches} context switches");
    }
    if let Some(calls) = line.calls_per_request {
        text += &format!(", {} system calls", units::three_digits(calls));
    }
    if let (Some(threads), Some(memory)) =
        (line.median(Metric::Threads), line.median(Metric::Memory))
    {
        let threads = units::counted(threads.round() as usize, "thread");
        text += &format!(" (server: {threads}, {})", units::bytes(memory));
    }
    Some(text)
}

/// Loads of an overview with their headings: the headline load of each experiment; of a run without
/// experiments all loads, or those with the most connections if there are many.
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
    use bench_data::mock::{MockExecutor, plan_of_experiments, records, records_of};
    use bench_data::record::rows::TrialRow;
    use bench_data::servers::target::TargetKind;

    #[test]
    fn a_run_without_experiments_is_one_section() {
        let plan = Plan::built_in("default").unwrap();
        let sections = sections(&plan, &Summary::of(&records()));
        assert_eq!(sections.len(), 1);
        let only = &sections[0];
        assert_eq!((&only.name, &only.question), (&plan.name, &plan.question));
        let cost = only.cost.as_deref().unwrap();
        assert!(cost.contains(": selector ") && cost.contains("; thread"), "{cost}");
        assert_eq!(overview(&sections).len(), only.part.loads().len());
    }

    #[test]
    fn the_main_comparison_is_under_the_loads_that_get_the_most_rounds() {
        for (name, _) in bench_data::plan::built_in::ALL {
            let mut plan = Plan::built_in(name).unwrap();
            if plan.experiments.len() > 1 {
                continue;
            }
            plan.strategies.retain(|kind| matches!(kind.name(), "threaded" | "selector"));
            (plan.rounds, plan.other_rounds) = (1, None);
            let main = plan.main_comparisons().pop();
            let sections =
                sections(&plan, &Summary::of(&records_of(&plan, MockExecutor::default())));
            let finding = sections[0].finding.as_ref();
            let Some((main, finding)) = main.as_ref().zip(finding) else {
                assert_eq!(main.is_none(), finding.is_none(), "{name}");
                assert!(matches!(name, "scale" | "marks-idle"), "{name} has no main comparison");
                continue;
            };
            let is_search = finding.metric == Metric::Capacity;
            assert_eq!(is_search, !main.searches.is_empty(), "{name}");
            if !is_search {
                assert!(main.loads.contains(&finding.load.as_planned()), "{name}: {main:?}");
            }
        }
    }

    #[test]
    fn each_experiment_answers_with_its_own_loads() {
        let plan = plan_of_experiments();
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

    #[test]
    fn each_experiment_has_the_searches_for_its_own_objective() {
        let plan = r#"
            name = "searches"
            question = "How much?"
            strategies = ["threaded", "selector"]
            rounds = 1
            order = "mirrored"
            wire = "http"
            warm_up_ms = 10
            window_ms = 2000
            [[experiment]]
            name = "strict"
            question = "How much within 5 ms?"
            [[experiment]]
            name = "lax"
            question = "How much within 20 ms?"
            [[sweep]]
            experiment = "strict"
            direction = "download"
            connections = [64]
            sizes = ["1KiB"]
            capacity = { p99_ms = 5 }
            [[sweep]]
            experiment = "lax"
            direction = "download"
            connections = [64]
            sizes = ["1KiB"]
            capacity = { p99_ms = 20 }
        "#;
        let plan = Plan::parse(plan, "searches").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let sections = sections(&plan, &summary);
        assert_eq!(sections.len(), 2);
        for (section, p99_us) in sections.iter().zip([5_000, 20_000]) {
            let found = &section.part.capacities;
            assert_eq!(found.len(), 3, "servers, A/A control included");
            assert!(found.iter().all(|one| one.search.objective.p99_us == p99_us), "{found:?}");
        }
    }

    /// Ratio of the A/A control to its server in the main comparison of a built-in plan.
    fn control_ratio(name: &str, change: impl Fn(&mut TrialRow)) -> f64 {
        let plan = Plan::built_in(name).unwrap();
        let mut records = records_of(&plan, MockExecutor::default());
        records.trials.iter_mut().for_each(change);
        let section = sections(&plan, &Summary::of(&records)).remove(0);
        section.finding.unwrap().control.unwrap().ratio.ratio
    }

    #[test]
    fn an_a_a_control_is_judged_by_the_derived_value_that_compares_the_servers() {
        let is_control = |row: &TrialRow| row.target_kind == TargetKind::AaControl;
        // Memory before the first idle connection is no part of the growth.
        let ratio = control_ratio("idle", |row| {
            let before = if is_control(row) { 6_000_000 } else { 4_000_000 };
            row.server_memory_bytes = Some(before + 300 * row.idle_connections as u64);
        });
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        let ratio = control_ratio("idle", |row| {
            let each = if is_control(row) { 450 } else { 300 };
            row.server_memory_bytes = Some(4_000_000 + each * row.idle_connections as u64);
        });
        assert!((ratio - 1.5).abs() < 1e-9, "{ratio}");
        // A control that is slower with and without slow clients retains the same share.
        let rate = |row: &mut TrialRow, speed: f64, retained: f64| {
            let retained = if row.slow_readers + row.slow_senders > 0 { retained } else { 1.0 };
            row.requests_per_s = Some(speed * retained);
        };
        let slower = |row: &mut TrialRow| rate(row, if is_control(row) { 5e4 } else { 9e4 }, 0.5);
        let ratio = control_ratio("slow", slower);
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        let harmed = |row: &mut TrialRow| rate(row, 9e4, if is_control(row) { 0.4 } else { 0.5 });
        let ratio = control_ratio("slow", harmed);
        assert!((ratio - 0.8).abs() < 1e-9, "{ratio}");
    }
}
