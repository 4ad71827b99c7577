//! A test of the comparison rule: two copies of one server are compared like any two servers, and no
//! difference should be reported.

use crate::analysis::comparison::family;
use crate::analysis::metric::Metric;
use crate::analysis::sentence::{times, verdict};
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::verdict::Verdict;
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::record::rows::Records;

/// Names of the two copies.
pub const COPIES: [&str; 2] = ["a", "b"];

/// Metrics that are compared.
pub const METRICS: [Metric; 2] = [Metric::Throughput, Metric::P99];

/// Two copies of one server under one load, in one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The load.
    pub load: Load,
    /// The metric.
    pub metric: Metric,
    /// Ratio of the two; `None` if they cannot be compared.
    pub ratio: Option<RatioEstimate>,
    /// Answer, corrected within the run.
    pub verdict: Verdict,
}

/// Compares the copies in every metric under every load. The comparisons in one metric are a family.
pub fn comparisons(records: &Records) -> Vec<Comparison> {
    let summary = Summary::of(records);
    METRICS.into_iter().flat_map(|metric| in_one(&summary, metric)).collect()
}

fn in_one(summary: &Summary, metric: Metric) -> Vec<Comparison> {
    let ratio = |load: Load| {
        let [one, other] =
            COPIES.map(|name| summary.line(load, name).filter(|line| line.is_comparable()));
        RatioEstimate::of_rounds(one?.rounds(metric), other?.rounds(metric)).ok()
    };
    let of: Vec<(Load, Option<RatioEstimate>)> =
        summary.loads().into_iter().map(|load| (load, ratio(load))).collect();
    let ratios: Vec<_> = of.iter().filter_map(|(_, ratio)| *ratio).collect();
    let mut compared = family(&ratios).into_iter();
    let judge = |(load, ratio): (Load, Option<RatioEstimate>)| {
        let verdict = ratio.and_then(|_| compared.next()).map(|one| one.verdict);
        Comparison { load, metric, ratio, verdict: verdict.unwrap_or(Verdict::Undecided) }
    };
    of.into_iter().map(judge).collect()
}

impl Comparison {
    /// Returns true if a difference would be reported.
    pub fn is_claimed(&self) -> bool {
        matches!(self.verdict, Verdict::Different(_))
    }

    /// The comparison in words: `throughput: 1.01× [0.97, 1.04], equivalent`.
    pub fn text(&self) -> String {
        let name = self.metric.name();
        let Some(ratio) = self.ratio else { return format!("{name}: not comparable") };
        format!("{name}: {}, {}", times(&ratio), verdict(self.verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::{Overrides, Plan};
    use bench_data::servers::variant::Variant;

    fn compared(speeds: &[(&str, f64)]) -> Vec<Comparison> {
        let variants = COPIES.map(|name| Variant::new(name, "selector").unwrap()).to_vec();
        let plan = Plan::built_in("default").unwrap();
        let plan = plan.with(Overrides { variants: Some(variants), ..Overrides::default() });
        let speed = speeds.iter().map(|(name, speed)| ((*name).to_owned(), *speed)).collect();
        comparisons(&records_of(&plan, MockExecutor { speed, ..MockExecutor::default() }))
    }

    #[test]
    fn copies_that_are_alike_raise_no_alarm() {
        let all = compared(&[]);
        assert!(all.len() >= 4 && all.iter().all(|one| one.ratio.is_some()), "{all:?}");
        assert!(all.iter().all(|one| !one.is_claimed()), "{all:?}");
    }

    #[test]
    fn copies_that_are_not_would_be_noticed() {
        let all = compared(&[("a", 90_000.0), ("b", 30_000.0)]);
        assert!(all.iter().any(Comparison::is_claimed), "{all:?}");
    }
}
