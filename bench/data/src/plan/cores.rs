//! Cores of the servers of a plan, and what a machine has of them.

use crate::plan::Plan;

impl Plan {
    /// Largest number of cores of the server.
    pub fn most_server_cores(&self) -> usize {
        self.loads().iter().map(|load| load.profile.server_cores).max().unwrap_or(1)
    }

    /// Removes loads for whose cores of the server a machine has too few: the load generator gets as many
    /// others as the largest number that remains. Returns the numbers that were removed. Plans with one
    /// core of the server stay as they are.
    ///
    /// # Errors
    /// No load with more than one core of the server, or none at all, would remain, with the number of
    /// cores that the plan needs.
    pub fn fit_cores(&mut self, cores: usize) -> Result<Vec<usize>, String> {
        let mut wanted: Vec<usize> =
            self.sweeps.iter().flat_map(|sweep| sweep.server_cores.iter().copied()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let Some(least) = wanted.iter().copied().find(|count| *count > 1) else {
            return Ok(Vec::new());
        };
        if 2 * least > cores {
            return Err(format!(
                "{}: the server gets {least} cores and the load generator {least} others, so this needs \
                 a machine with {} cores or more; this one has {cores}",
                self.name,
                2 * least
            ));
        }
        let (fitting, others): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|count| 2 * count <= cores);
        self.sweeps.retain_mut(|sweep| {
            let had_any = !sweep.server_cores.is_empty();
            sweep.server_cores.retain(|count| fitting.contains(count));
            !had_any || !sweep.server_cores.is_empty()
        });
        self.generator_threads = self.generator_threads.max(self.most_server_cores());
        Ok(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_for_more_cores_than_the_machine_has_are_removed() {
        let cores = |plan: &Plan| {
            let mut all: Vec<_> =
                plan.loads().iter().map(|load| load.profile.server_cores).collect();
            all.dedup();
            all
        };
        let plan = Plan::built_in("cores").unwrap();
        let mut on_nine = plan.clone();
        assert_eq!(on_nine.fit_cores(9).unwrap(), [8, 16, 32]);
        assert_eq!((cores(&on_nine), on_nine.generator_threads), (vec![1, 2, 4], 4));
        let refusal = plan.clone().fit_cores(2).unwrap_err();
        let needs = "the server gets 2 cores and the load generator 2 others, so this needs a machine \
                     with 4 cores or more; this one has 2";
        assert_eq!(refusal, format!("cores: {needs}"));
        let mut usual = Plan::built_in("quick").unwrap();
        assert_eq!(usual.fit_cores(1).unwrap(), [] as [usize; 0]);
        assert_eq!(usual, Plan::built_in("quick").unwrap());
    }
}
