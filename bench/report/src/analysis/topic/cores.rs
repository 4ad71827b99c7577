//! Throughput by number of cores of the server.

use bench_data::load::Load;
use bench_data::units::{counted, three_digits};

use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::Summary;

/// Throughput with the most cores.
pub(super) fn most(part: &Summary) -> Option<Finding> {
    let load = most_comparable(part, |load| cores(load) > 1, cores)?;
    Some(Finding::under(part, load, Metric::Throughput))
}

/// Comparison with the most cores, and the growth of each server from one core on.
pub(super) fn answer(part: &Summary, finding: &Finding) -> String {
    let mut alone = finding.load;
    alone.profile.server_cores = 1;
    let mut growth: Vec<(&str, f64)> = part
        .under(finding.load)
        .filter(|line| line.is_comparable())
        .filter_map(|line| {
            let before = part.line(alone, &line.target).filter(|line| line.is_comparable())?;
            let metric = Metric::Throughput;
            let ratio =
                RatioEstimate::of_rounds(line.rounds(metric), before.rounds(metric)).ok()?;
            Some((&*line.target, ratio.ratio))
        })
        .collect();
    growth.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut text = finding.sentence();
    if !growth.is_empty() {
        let each: Vec<_> = growth
            .iter()
            .map(|(name, ratio)| format!("{name} {}×", three_digits(*ratio)))
            .collect();
        text += &format!(
            " Growth of the throughput from 1 core to {} (exploratory): {}.",
            counted(cores(&finding.load), "core"),
            each.join(", ")
        );
    }
    text
}

fn cores(load: &Load) -> usize {
    load.profile.server_cores
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    use crate::analysis::section::sections;
    use crate::analysis::summary::Summary;
    use crate::analysis::topic::Topic;

    #[test]
    fn servers_are_compared_with_the_most_cores_of_the_machine() {
        let mut plan = Plan::built_in("cores").unwrap();
        plan.fit_cores(8).unwrap();
        let sections = sections(&plan, &Summary::of(&records_of(&plan, MockExecutor::default())));
        let [only] = &sections[..] else { panic!("{} sections", sections.len()) };
        assert_eq!(only.topic, Topic::Cores);
        let finding = only.finding.as_ref().unwrap();
        assert_eq!((finding.load.profile.server_cores, finding.is_exploratory), (4, false));
        insta::assert_snapshot!(only.answer);
    }
}
