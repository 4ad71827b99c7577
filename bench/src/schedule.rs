//! The trials of a plan, in the order they run.

use crate::plan::{Order, Plan};
use crate::sweep::{Cell, Sweep};
use crate::target::Target;

/// One server process, one load, one measured window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its place in the run, from 1.
    pub number: u32,
    /// Its round, from 1.
    pub round: u32,
    /// The server.
    pub target: Target,
    /// The load.
    pub cell: Cell,
}

/// All trials of a plan: round by round, load by load, and on each load the servers directly
/// after each other, so that drift of the machine meets them alike.
pub fn schedule(plan: &Plan) -> Vec<Trial> {
    let mut random = fastrand::Rng::with_seed(plan.seed.unwrap_or(0));
    let cells = cells(plan);
    let targets: Vec<_> = cells.iter().map(|cell| plan.targets_of(cell)).collect();
    let mut trials = Vec::new();
    for round in 1..=plan.rounds {
        for (cell, targets) in cells.iter().zip(&targets) {
            for target in turn(plan.order, targets.clone(), round, &mut random) {
                let number = trials.len() as u32 + 1;
                trials.push(Trial { number, round, target, cell: *cell });
            }
        }
    }
    trials
}

/// The loads of a plan, each once even where sweeps cross.
pub fn cells(plan: &Plan) -> Vec<Cell> {
    let mut cells = Vec::new();
    for cell in plan.sweeps.iter().flat_map(Sweep::cells) {
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

fn turn(
    order: Order,
    mut targets: Vec<Target>,
    round: u32,
    random: &mut fastrand::Rng,
) -> Vec<Target> {
    match order {
        Order::Mirrored if round.is_multiple_of(2) => targets.reverse(),
        Order::Mirrored => {}
        Order::Shuffled => random.shuffle(&mut targets),
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;

    fn plan(order: Order) -> Plan {
        let mut plan = Plan::built_in("default").unwrap();
        plan.order = order;
        plan
    }

    fn names(trials: &[Trial], round: u32, cell: Cell) -> Vec<&str> {
        let here = trials.iter().filter(|trial| trial.round == round && trial.cell == cell);
        here.map(|trial| trial.target.name()).collect()
    }

    #[test]
    fn every_server_meets_every_load_once_a_round() {
        for order in [Order::Mirrored, Order::Shuffled] {
            let plan = plan(order);
            let trials = schedule(&plan);
            let cells = cells(&plan);
            assert_eq!(trials.len(), plan.rounds as usize * cells.len() * plan.targets().len());
            for (index, trial) in trials.iter().enumerate() {
                assert_eq!(trial.number as usize, index + 1);
            }
            for round in 1..=plan.rounds {
                for cell in &cells {
                    let mut seen = names(&trials, round, *cell);
                    seen.sort_unstable();
                    let targets = plan.targets();
                    let mut all: Vec<_> = targets.iter().map(Target::name).collect();
                    all.sort_unstable();
                    assert_eq!(seen, all);
                }
            }
        }
    }

    #[test]
    fn a_mirrored_order_turns_round_in_even_rounds() {
        let plan = plan(Order::Mirrored);
        let trials = schedule(&plan);
        for cell in cells(&plan) {
            let mut backwards = names(&trials, 2, cell);
            backwards.reverse();
            assert_eq!(names(&trials, 1, cell), backwards);
            assert_eq!(names(&trials, 1, cell), names(&trials, 3, cell));
        }
    }

    #[test]
    fn a_shuffled_order_follows_from_its_seed() {
        let seeded = |seed| {
            schedule(
                &plan(Order::Shuffled).with(Overrides { seed: Some(seed), ..Default::default() }),
            )
        };
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
    }

    #[test]
    fn a_load_that_two_sweeps_name_is_measured_once() {
        let cells = cells(&plan(Order::Mirrored));
        for (index, cell) in cells.iter().enumerate() {
            assert!(!cells[index + 1..].contains(cell), "{cell:?}");
        }
    }
}
