//! Servers of a plan and of its loads.

use std::collections::HashSet;

use crate::load::Load;
use crate::plan::Plan;
use crate::plan::sweep::Sweep;
use crate::servers::reference::ReferenceServer;
use crate::servers::target::Target;
use crate::servers::variant::Variant;

impl Plan {
    /// Servers to compare, each name once: strategies, variants, reference servers, external servers.
    pub fn targets(&self) -> Vec<Target> {
        self.targets_with(self.sweeps.iter().flat_map(|sweep| &sweep.against))
    }

    /// Servers that run a load: those of the plan that its sweep chooses, by default all, and the
    /// reference servers of the sweep.
    pub fn targets_of(&self, load: &Load) -> Vec<Target> {
        let has_own = |sweep: &&Sweep| !sweep.against.is_empty() || !sweep.only.is_empty();
        if !self.sweeps.iter().any(|sweep| has_own(&sweep)) {
            return self.targets();
        }
        let sweeps = || self.sweeps.iter().filter(|sweep| sweep.loads().contains(load));
        let all = self.targets_with(sweeps().flat_map(|sweep| &sweep.against));
        let is_chosen = |name: &str| {
            let mut sweeps = sweeps().peekable();
            sweeps.peek().is_none()
                || sweeps.any(|sweep| {
                    sweep.only.is_empty() || sweep.only.iter().any(|known| known == name)
                })
        };
        let (chosen, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|target| match target {
            Target::Strategy(_) | Target::Reference(_) => is_chosen(target.name()),
            Target::Variant(variant) if variant.is_aa_control() => {
                is_chosen(variant.strategy().name())
            }
            // Servers that the user has added run every load.
            Target::Variant(_) | Target::External(_) => true,
        });
        let is_strategy = |target: &Target| matches!(target, Target::Strategy(_));
        // Flags may have chosen other strategies.
        if chosen.iter().any(is_strategy) || !others.iter().any(is_strategy) {
            return chosen;
        }
        chosen
            .into_iter()
            .chain(others.into_iter().filter(|one| one.strategy().is_some()))
            .collect()
    }

    fn targets_with<'p>(
        &'p self,
        further: impl Iterator<Item = &'p ReferenceServer>,
    ) -> Vec<Target> {
        let mut names = HashSet::new();
        let all = (self.strategies.iter().copied().map(Target::Strategy))
            .chain(self.variants.iter().cloned().map(Target::Variant))
            .chain(self.aa_control().map(Variant::aa_control).map(Target::Variant))
            .chain(self.against.iter().chain(further).copied().map(Target::Reference))
            .chain(self.given.iter().cloned().map(Target::External));
        all.filter(|target| names.insert(target.name().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use fileserver::StrategyKind;

    use super::*;

    #[test]
    fn a_sweep_chooses_among_the_servers_of_the_plan() {
        let names = |plan: &Plan, load| -> Vec<_> {
            plan.targets_of(load).iter().map(|target| target.name().to_owned()).collect()
        };
        let mut plan = Plan::built_in("quick").unwrap();
        plan.strategies = StrategyKind::ALL.to_vec();
        plan.against = ReferenceServer::ALONE.to_vec();
        plan.sweeps[0].only = ["selector", "threaded", "nginx"].map(str::to_owned).to_vec();
        let (load, other) = (plan.sweeps[0].loads()[0], plan.sweeps[1].loads()[0]);
        assert_eq!(names(&plan, &load), ["threaded", "selector", "selector-again", "nginx"]);
        assert_eq!(names(&plan, &other).len(), plan.targets().len());
        // Flags have chosen another strategy, without its control.
        plan.strategies = vec![StrategyKind::Tokio];
        assert_eq!(names(&plan, &load), ["nginx", "tokio", "tokio-again"]);
        let text = toml::to_string(&plan).unwrap();
        assert_eq!(Plan::parse(&text, "p.toml").unwrap(), plan);
        let error = Plan::parse(&text.replace("\"threaded\"", "\"iis\""), "p.toml").unwrap_err();
        assert!(error.to_string().contains("'iis' is neither a strategy nor"), "{error}");
    }
}
