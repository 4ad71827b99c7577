//! Built-in plans, and their combination.

use anyhow::{Context, ensure};

use crate::plan::{Experiment, Plan};

/// Name and text of each built-in plan.
pub const ALL: [(&str, &str); 20] = [
    ("default", include_str!("../../plans/default.toml")),
    ("quick", include_str!("../../plans/quick.toml")),
    ("full", include_str!("../../plans/full.toml")),
    ("concurrency", include_str!("../../plans/concurrency.toml")),
    ("load", include_str!("../../plans/load.toml")),
    ("latency", include_str!("../../plans/latency.toml")),
    ("size", include_str!("../../plans/size.toml")),
    ("upload", include_str!("../../plans/upload.toml")),
    ("churn", include_str!("../../plans/churn.toml")),
    ("idle", include_str!("../../plans/idle.toml")),
    ("slow", include_str!("../../plans/slow.toml")),
    ("heavy", include_str!("../../plans/heavy.toml")),
    ("mix", include_str!("../../plans/mix.toml")),
    ("cores", include_str!("../../plans/cores.toml")),
    ("scale", include_str!("../../plans/scale.toml")),
    ("marks-download", include_str!("../../plans/marks-download.toml")),
    ("marks-apache", include_str!("../../plans/marks-apache.toml")),
    ("marks-idle", include_str!("../../plans/marks-idle.toml")),
    ("marks-upload", include_str!("../../plans/marks-upload.toml")),
    ("marks-churn", include_str!("../../plans/marks-churn.toml")),
];

/// Loads of `bench ab`, which compares two builds.
const BUILDS: &str = include_str!("../../plans/builds.toml");

impl Plan {
    /// Plan for the comparison of two builds; its servers are to be added.
    pub fn of_builds() -> Self {
        Self::parse(BUILDS, "builds").expect("the plans in the program are tested")
    }

    /// Built-in plan with the loads that it includes.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = ALL.into_iter().find(|(known, _)| *known == name)?;
        let plan = Self::parse(text, name).expect("the plans in the program are tested");
        Some(plan.with_included().expect("the plans in the program are tested"))
    }

    /// Combination of several built-in plans, each of which becomes an experiment. Settings of the
    /// whole run come from the first plan, except for the most rounds, the longest window and the
    /// union of the servers.
    ///
    /// # Errors
    /// An unknown name.
    pub fn combined(names: &[String]) -> anyhow::Result<Self> {
        let mut plans = Vec::new();
        for name in names {
            plans.push(Self::built_in(name).with_context(|| unknown(name))?);
        }
        let mut plans = plans.into_iter();
        let mut all = plans.next().context("no plan is named")?;
        for plan in plans {
            if all.experiments.is_empty() {
                all.become_an_experiment();
            }
            all.name += &format!("+{}", plan.name);
            all.add(plan);
        }
        Ok(all)
    }

    /// Plan with the loads that it includes.
    ///
    /// # Errors
    /// An unknown name, or a plan without loads.
    pub fn with_included(mut self) -> anyhow::Result<Self> {
        for name in std::mem::take(&mut self.include) {
            let included = Self::built_in(&name).with_context(|| unknown(&name))?;
            let (rounds, window_ms) = ((self.rounds, self.other_rounds), self.window_ms);
            let end = (self.until, self.budget_s);
            let (strategies, against) = (self.strategies.clone(), self.against.clone());
            self.add(included);
            // The including plan takes precedence.
            ((self.rounds, self.other_rounds), self.window_ms) = (rounds, window_ms);
            (self.until, self.budget_s) = end;
            (self.strategies, self.against) = (strategies, against);
        }
        let file = &self.name;
        ensure!(
            !self.sweeps.is_empty(),
            "{file}: the plan has no loads; add a [[sweep]], or include another plan"
        );
        Ok(self)
    }

    fn become_an_experiment(&mut self) {
        let (name, question) = (self.name.clone(), self.question.clone());
        for sweep in &mut self.sweeps {
            sweep.experiment.get_or_insert_with(|| name.clone());
        }
        let primary = self.primary.take();
        self.experiments.push(Experiment { name, question, primary });
    }

    fn add(&mut self, mut other: Self) {
        if other.experiments.is_empty() {
            other.become_an_experiment();
        }
        self.experiments.append(&mut other.experiments);
        self.sweeps.append(&mut other.sweeps);
        // Absent, they are as many as the others.
        self.other_rounds = self.other_rounds.zip(other.other_rounds).map(|(a, b)| a.max(b));
        self.rounds = self.rounds.max(other.rounds);
        self.window_ms = self.window_ms.max(other.window_ms);
        fn join<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
            for one in more {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        join(&mut self.strategies, other.strategies);
        join(&mut self.against, other.against);
        join(&mut self.variants, other.variants);
        self.strategies
            .sort_by_key(|kind| fileserver::StrategyKind::ALL.iter().position(|k| k == kind));
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
    format!("unknown plan '{name}': choose from {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;
    use crate::schedule::expected;

    #[test]
    fn the_plans_in_the_program_are_read_and_written_back() {
        for (name, _) in ALL {
            let plan = Plan::built_in(name).unwrap();
            assert_eq!(plan.name, name);
            let least = if name == "quick" { 3 } else { 5 };
            assert!(plan.rounds >= least, "{name}: fewer rounds support no claim");
            let again = plan.clone().with(Overrides::default());
            assert_eq!(again.primary, plan.primary, "{name}: it declares one of its loads");
            assert_eq!(again.experiments, plan.experiments, "{name}: likewise");
            assert!(plan.question.ends_with('?'), "{name}: {}", plan.question);
            let written = toml::to_string(&plan).unwrap();
            assert_eq!(Plan::parse(&written, name).unwrap(), plan);
        }
    }

    #[test]
    fn the_short_plans_are_short() {
        for (name, most_s) in [("quick", 30), ("default", 100)] {
            let plan = Plan::built_in(name).unwrap();
            let seconds = expected(&plan).at_most.as_secs_f64();
            assert!(seconds < f64::from(most_s), "{name}: {seconds}");
        }
        let full = expected(&Plan::built_in("full").unwrap());
        assert!(full.at_most.as_secs() <= 100 * 60, "{full:?}");
        assert!(full.time.as_secs() < 90 * 60, "time is left for precision: {full:?}");
    }

    #[test]
    fn what_includes_has_every_load_of_each_experiment() {
        let full = Plan::built_in("full").unwrap();
        assert!(full.include.is_empty() && full.experiments.len() > 3);
        for experiment in &full.experiments {
            let alone = Plan::built_in(&experiment.name).unwrap();
            assert_eq!(alone.question, experiment.question);
            let of_it = |sweep: &&crate::plan::sweep::Sweep| {
                sweep.experiment.as_deref() == Some(experiment.name.as_str())
            };
            let sweeps = full.sweeps.iter().filter(of_it).cloned().collect();
            let included = Plan { sweeps, ..full.clone() };
            assert_eq!(included.loads(), alone.loads(), "{}", experiment.name);
        }
    }

    #[test]
    fn several_plans_become_one_with_an_experiment_each() {
        let plan = Plan::combined(&["churn".to_owned(), "size".to_owned()]).unwrap();
        assert_eq!(plan.name, "churn+size");
        let names: Vec<_> = plan.experiments.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["churn", "size"]);
        assert!(plan.sweeps.iter().all(|sweep| sweep.experiment.is_some()));
        let alone = Plan::combined(&["churn".to_owned()]).unwrap();
        assert_eq!(alone, Plan::built_in("churn").unwrap());
        let error = Plan::combined(&["chrun".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("unknown plan 'chrun'") && error.contains("churn"), "{error}");
    }
}
