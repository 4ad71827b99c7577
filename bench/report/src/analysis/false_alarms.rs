//! Whether the rule by which differences are claimed keeps its promise: two copies of one server
//! are compared as any two servers are, and no difference may be claimed.

use crate::analysis::comparison::{is_clear, is_clearly_less, least_factor, with_interval};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::record::rows::Records;
use bench_data::stats::Estimate;

/// The names of the two copies. The floor that they are held against comes from another pair, the
/// strategy and its twin, so nothing is held against itself.
pub const COPIES: [&str; 2] = ["a", "b"];

/// A quantity of a line, round by round.
type Values = fn(&Line) -> Vec<(u32, f64)>;

/// Two copies of one server under one load, in one quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The load.
    pub load: Load,
    /// What was compared.
    pub quantity: &'static str,
    /// One by the other; `None` where they were not measured well enough to be compared.
    pub ratio: Option<Estimate>,
    /// The least factor that is claimed.
    pub least_factor: f64,
    /// Whether a difference would be claimed.
    pub is_claimed: bool,
}

/// Compares the copies in throughput and in the 99th percentile of the response time, under every load.
pub fn comparisons(records: &Records) -> Vec<Comparison> {
    let summary = Summary::of(records);
    let quantities: [(&'static str, Values); 2] = [
        ("throughput", |line| line.rounds.clone()),
        ("p99", |line| line.latency_rounds(99.0).to_vec()),
    ];
    let mut all = Vec::new();
    for load in summary.loads() {
        for (quantity, rounds) in quantities {
            let copies = COPIES.map(|name| {
                let mut lines = summary.under(load).filter(|line| line.is_comparable());
                lines.find(|line| line.target == name)
            });
            let [Some(one), Some(other)] = copies else {
                let (ratio, least_factor) = (None, least_factor(None));
                let is_claimed = false;
                all.push(Comparison { load, quantity, ratio, least_factor, is_claimed });
                continue;
            };
            let floor = summary.noise_floor(load, rounds);
            let ratio = Estimate::of_ratios(&rounds(one), &rounds(other));
            let is_claimed = ratio
                .is_some_and(|ratio| is_clear(&ratio, floor) || is_clearly_less(&ratio, floor));
            let least_factor = least_factor(floor);
            all.push(Comparison { load, quantity, ratio, least_factor, is_claimed });
        }
    }
    all
}

impl Comparison {
    /// It in words: `throughput: 1.01 (0.97 to 1.04), claimed from 1.06 on: no difference`.
    pub fn text(&self) -> String {
        let quantity = self.quantity;
        let Some(ratio) = self.ratio else {
            return format!("{quantity}: not measured well enough to be compared");
        };
        let verdict = if self.is_claimed { "a difference is claimed" } else { "no difference" };
        let (ratio, from) = (with_interval(ratio), self.least_factor);
        format!("{quantity}: {ratio}, claimed from {from:.2} on: {verdict}")
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
        let claimed = all.iter().find(|one| one.is_claimed).unwrap();
        assert!(claimed.text().contains("a difference is claimed"), "{}", claimed.text());
    }
}
