//! Main comparisons of a plan: the loads that judge each experiment, declared before the run. They get
//! the plan's rounds, all other loads possibly fewer.

use std::cmp::Reverse;

use crate::load::objective::CapacitySearch;
use crate::load::profile::BackgroundConnections;
use crate::load::{Direction, Load};
use crate::plan::Plan;
use crate::plan::sweep::Sweep;

/// Main comparison of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct MainComparison {
    /// Name of the experiment; `None` for the sweeps without one.
    pub experiment: Option<String>,
    /// Loads as the plan specifies them. A comparison of a load with an undisturbed one has both.
    pub loads: Vec<Load>,
    /// Capacity searches.
    pub searches: Vec<(Load, CapacitySearch)>,
}

impl Plan {
    /// Main comparison of each experiment that declares one.
    pub fn main_comparisons(&self) -> Vec<MainComparison> {
        let named = self.experiments.iter().map(|one| Some(one.name.as_str()));
        named.chain([None]).filter_map(|name| self.main_comparison(name)).collect()
    }

    /// Number of planned rounds of a load.
    pub fn rounds_of(&self, load: &Load) -> u32 {
        self.rounds_if(|one| one.loads.contains(load))
    }

    /// Number of planned rounds of a capacity search.
    pub fn rounds_of_search(&self, search: &(Load, CapacitySearch)) -> u32 {
        self.rounds_if(|one| one.searches.contains(search))
    }

    fn rounds_if(&self, is_its: impl Fn(&MainComparison) -> bool) -> u32 {
        let others = self.other_rounds.unwrap_or(self.rounds).min(self.rounds);
        match self.main_comparisons() {
            // Without a declared comparison no load is more important than another.
            all if all.is_empty() || all.iter().any(is_its) => self.rounds,
            _ => others,
        }
    }

    /// Numbers of rounds in words: `6 rounds`, `6 rounds, 4 of exploratory loads`.
    pub fn rounds_in_words(&self) -> String {
        let all = crate::units::counted(self.rounds as usize, "round");
        let each = self.loads().iter().map(|load| self.rounds_of(load)).min();
        match each.filter(|least| *least < self.rounds) {
            Some(fewer) => format!("{all}, {fewer} of exploratory loads"),
            None => all,
        }
    }

    fn main_comparison(&self, experiment: Option<&str>) -> Option<MainComparison> {
        let declared = self.primary_of(experiment)?;
        let sweeps = || self.sweeps.iter().filter(|one| one.experiment.as_deref() == experiment);
        let measured = sweeps().filter(|sweep| sweep.capacity.is_none()).flat_map(Sweep::loads);
        let all: Vec<Load> = measured.collect();
        let fitting = || all.iter().copied().filter(|load| declared.matches(load));
        let searches = sweeps().filter_map(|sweep| Some((sweep, sweep.capacity?)));
        let searches = searches
            .flat_map(|(sweep, search)| sweep.loads().into_iter().map(move |load| (load, search)));
        let search = searches.filter(|(load, _)| declared.matches(load)).take(1);
        let any = |is: fn(&Load) -> bool| all.iter().any(is);
        let searches: Vec<_> = match any(is_share_of_capacity) {
            false => search.collect(),
            true => Vec::new(),
        };
        let loads = match searches.is_empty() {
            true => judging(&all, &fitting().collect::<Vec<_>>()),
            false => Vec::new(),
        };
        let experiment = experiment.map(str::to_owned);
        let is_empty = loads.is_empty() && searches.is_empty();
        (!is_empty).then_some(MainComparison { experiment, loads, searches })
    }
}

fn is_share_of_capacity(load: &Load) -> bool {
    load.profile.of_weakest_percent.is_some()
}

fn is_open(load: &Load) -> bool {
    is_share_of_capacity(load) || load.profile.rate_per_s.is_some()
}

/// Loads that judge an experiment with the loads `all`, out of those that its declaration fits.
fn judging(all: &[Load], fitting: &[Load]) -> Vec<Load> {
    let background = |load: &Load| load.profile.background;
    let any = |is: fn(&Load) -> bool| all.iter().any(is);
    let most = |count: &dyn Fn(&Load) -> usize| {
        let counts = fitting.iter().filter(|load| count(load) > 0);
        counts.copied().max_by_key(|load| count(load))
    };
    let loads = if any(is_share_of_capacity) || all.iter().all(is_open) {
        let rate = |load: &Load| (load.profile.of_weakest_percent, load.profile.rate_per_s);
        vec![fitting.iter().copied().filter(is_open).max_by_key(rate)]
    } else if any(|load| load.profile.heavy.total_percent() > 0) {
        let heavy = |load: &Load| load.profile.heavy;
        let only = |load: &Load, percent: u8| match u32::from(percent) {
            all if all == heavy(load).total_percent() => all as usize,
            _ => 0,
        };
        let blocking = most(&|load| only(load, heavy(load).block_percent));
        vec![blocking.or_else(|| most(&|load| only(load, heavy(load).cpu_percent)))]
    } else if any(|load| load.profile.server_cores > 1) {
        vec![most(&|load| load.profile.server_cores)]
    } else if any(|load| load.profile.background.idle > 0) {
        vec![most(&|load| background(load).idle)]
    } else if any(|load| load.profile.background.total() > 0) {
        let only = |load: &Load, count: usize| match count {
            all if all == background(load).total() => all,
            _ => 0,
        };
        vec![
            most(&|load| only(load, background(load).slow_readers)),
            most(&|load| only(load, background(load).slow_senders)),
        ]
    } else {
        let rank = |load: &Load| {
            let is_download = load.direction == Direction::Download;
            (is_download, load.profile.is_usual(), load.connections, Reverse(load.size))
        };
        vec![fitting.iter().copied().max_by_key(rank)]
    };
    let mut judging: Vec<Load> = Vec::new();
    for load in loads.into_iter().flatten() {
        // Memory per idle connection and retained throughput are relative to the undisturbed load.
        let mut undisturbed = load;
        undisturbed.profile.background = BackgroundConnections::default();
        if !fitting.contains(&undisturbed) {
            continue;
        }
        for one in [undisturbed, load] {
            if !judging.contains(&one) {
                judging.push(one);
            }
        }
    }
    judging
}

#[cfg(test)]
mod tests {
    use super::*;

    fn main_of(name: &str) -> Vec<String> {
        let plan = Plan::built_in(name).unwrap();
        let all = plan.main_comparisons();
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        let named = |load: &Load| format!("{}{}", load.connections, load.profile.slug());
        let searched = all[0].searches.iter().map(|(load, _)| format!("search-{}", named(load)));
        all[0].loads.iter().map(named).chain(searched).collect()
    }

    #[test]
    fn each_experiment_is_judged_by_the_load_that_asks_most_of_the_servers() {
        assert_eq!(main_of("default"), ["64"]);
        assert_eq!(main_of("load"), ["search-64"]);
        assert_eq!(main_of("latency"), ["64-at-80-percent"]);
        assert_eq!(main_of("idle"), ["64", "64-9900-idle"]);
        assert_eq!(main_of("slow"), ["64", "64-400-slow-readers", "64-400-slow-senders"]);
        assert_eq!(main_of("heavy"), ["16-10-percent-block"]);
        assert_eq!(main_of("churn"), ["64-per-request"]);
        assert_eq!(main_of("mix"), ["256-mix-web"]);
    }

    #[test]
    fn exploratory_loads_have_fewer_rounds_where_the_plan_says_so() {
        let mut plan = Plan::built_in("default").unwrap();
        plan.other_rounds = Some(4);
        let [main, other] = [plan.main_comparisons()[0].loads[0], plan.loads()[0]];
        assert_eq!((plan.rounds_of(&main), plan.rounds_of(&other)), (6, 4));
        assert_eq!(plan.rounds_in_words(), "6 rounds, 4 of exploratory loads");
        plan.other_rounds = Some(9);
        assert_eq!(plan.rounds_of(&other), 6, "never more than the main comparison");
        plan.other_rounds = None;
        assert_eq!(plan.rounds_of(&other), 6);
        assert_eq!(plan.rounds_in_words(), "6 rounds");
        plan.other_rounds = Some(4);
        plan.primary = None;
        assert_eq!(plan.rounds_of(&other), 6, "nothing is the main comparison");
    }

    #[test]
    fn a_search_has_the_rounds_of_its_comparison() {
        let of = |name| {
            let mut plan = Plan::built_in(name).unwrap();
            plan.other_rounds = Some(3);
            plan.rounds_of_search(&plan.searches()[0])
        };
        assert_eq!((of("load"), of("latency"), of("full")), (6, 3, 6));
    }
}
