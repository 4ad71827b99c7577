//! A test of the comparison rule: two copies of one server are compared like any two servers, and no
//! difference should be reported.

use crate::analysis::comparison::{is_clear, is_clearly_less, least_factor, times};
use crate::analysis::metric::Metric;
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::record::rows::Records;
use bench_data::stats::Estimate;

/// Names of the two copies. Their noise floor comes from another pair, the strategy and its A/A
/// control.
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
    pub ratio: Option<Estimate>,
    /// Least factor that is reported.
    pub least_factor: f64,
    /// True if a difference would be reported.
    pub is_claimed: bool,
}

/// Compares the copies in every metric under every load.
pub fn comparisons(records: &Records) -> Vec<Comparison> {
    let summary = Summary::of(records);
    let mut all = Vec::new();
    for load in summary.loads() {
        for metric in METRICS {
            let copies =
                COPIES.map(|name| summary.line(load, name).filter(|line| line.is_comparable()));
            let [Some(one), Some(other)] = copies else {
                let (ratio, least_factor) = (None, least_factor(None));
                let is_claimed = false;
                all.push(Comparison { load, metric, ratio, least_factor, is_claimed });
                continue;
            };
            let floor = summary.noise_floor(load, &|line| line.rounds(metric).to_vec());
            let ratio = Estimate::of_ratios(one.rounds(metric), other.rounds(metric));
            let is_claimed = ratio
                .is_some_and(|ratio| is_clear(&ratio, floor) || is_clearly_less(&ratio, floor));
            let least_factor = least_factor(floor);
            all.push(Comparison { load, metric, ratio, least_factor, is_claimed });
        }
    }
    all
}

impl Comparison {
    /// The comparison in words: `throughput: 1.01× [0.97, 1.04], least factor 1.06: no difference`.
    pub fn text(&self) -> String {
        let name = self.metric.name();
        let Some(ratio) = self.ratio else { return format!("{name}: not comparable") };
        let result = if self.is_claimed { "a difference is reported" } else { "no difference" };
        format!("{name}: {}, least factor {:.2}: {result}", times(ratio), self.least_factor)
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
        assert!(all.iter().all(|one| !one.is_claimed), "{all:?}");
    }

    #[test]
    fn copies_that_are_not_would_be_noticed() {
        let all = compared(&[("a", 90_000.0), ("b", 30_000.0)]);
        assert!(all.iter().any(|one| one.is_claimed), "{all:?}");
    }
}
