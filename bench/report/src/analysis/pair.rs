//! The two servers that the answer of a run compares.

use bench_data::plan::Plan;

use crate::analysis::summary::Summary;

/// A thread per connection and an event loop: two servers that differ in nothing else.
const THREADS: &str = "threaded";
const EVENTS: &str = "selector";

/// Two servers. Comparisons of a pair are oriented: above 1 the second is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Server whose side of a chart is the left one.
    pub first: String,
    /// Server whose side of a chart is the right one.
    pub second: String,
}

impl Pair {
    /// The pair that the plan names; else `threaded` and `selector`; else the first server of the
    /// baseline (or of the run) and the next one. `None` for a run of one server.
    pub(crate) fn of(plan: &Plan, summary: &Summary) -> Option<Self> {
        let mut targets = summary.targets();
        for capacity in summary.capacities.iter().map(|one| &one.search) {
            if capacity.control_of.is_none() && !targets.contains(&&*capacity.target) {
                targets.push(&capacity.target);
            }
        }
        let named = plan.compare.as_ref().map(|pair| pair.each_ref().map(String::as_str));
        if let Some([first, second]) = named.filter(|pair| pair.iter().all(|n| targets.contains(n)))
        {
            return Some(Self::new(first, second));
        }
        if [THREADS, EVENTS].iter().all(|name| targets.contains(name)) {
            return Some(Self::new(THREADS, EVENTS));
        }
        let is_there = |name: &&String| targets.contains(&name.as_str());
        let first = plan.baseline.iter().find(is_there).map(String::as_str);
        let first = first.or_else(|| targets.first().copied())?;
        let second = targets.iter().find(|name| **name != first)?;
        Some(Self::new(first, second))
    }

    fn new(first: &str, second: &str) -> Self {
        Self { first: first.to_owned(), second: second.to_owned() }
    }

    /// Names of the two sides of a chart: `threads` and `events` for `threaded` and `selector`, else
    /// those of the servers.
    pub(crate) fn sides(&self) -> [&str; 2] {
        match (&*self.first, &*self.second) {
            (THREADS, EVENTS) => ["threads", "events"],
            (EVENTS, THREADS) => ["events", "threads"],
            (first, second) => [first, second],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, records_of};

    #[test]
    fn the_usual_pair_gives_way_to_a_named_one_and_to_what_was_measured() {
        let pair = |names: &str, plan: &Plan| {
            let mut records = records_of(plan, MockExecutor::default());
            records.trials.retain(|row| names.split(' ').any(|name| row.target == name));
            Pair::of(plan, &Summary::of(&records)).map(|pair| [pair.first, pair.second].join(" "))
        };
        let mut plan = Plan::built_in("quick").unwrap();
        let usual = "threaded selector";
        assert_eq!(pair("iterative threaded thread-pool selector", &plan).as_deref(), Some(usual));
        assert_eq!(
            pair("iterative selector", &plan).as_deref(),
            Some("iterative selector"),
            "in the order of the run"
        );
        assert_eq!(pair("selector", &plan), None);
        plan.baseline = vec!["thread-pool".to_owned()];
        assert_eq!(pair("iterative thread-pool", &plan).as_deref(), Some("thread-pool iterative"));
        plan.compare = Some(["selector", "iterative"].map(str::to_owned));
        assert_eq!(
            pair("iterative threaded selector", &plan).as_deref(),
            Some("selector iterative")
        );
    }
}
