//! The compared pair on many machines: ratios within each run, never absolute values across machines.

use bench_data::record::run_folder::Contents;
use bench_data::units::{counted, three_digits};

use crate::analysis::Analysis;
use crate::analysis::forest::{ForestRow, Standing};
use crate::analysis::pair::Pair;
use crate::analysis::sentence::answer;
use crate::analysis::statistics::verdict::{Direction, Verdict};

/// One pair of servers in several runs.
#[derive(Debug)]
pub struct Gathered {
    /// The two servers.
    pub pair: Pair,
    /// Their comparisons, in the order in which the runs name them first.
    pub comparisons: Vec<InRuns>,
    /// Runs that do not compare the pair, by their number from 0.
    pub left_out: Vec<usize>,
}

/// One comparison in several runs.
#[derive(Debug)]
pub struct InRuns {
    /// Experiment or load, and metric.
    pub name: String,
    /// The load.
    pub condition: String,
    /// Results, with the best for the second server first and those without a ratio last.
    pub results: Vec<InRun>,
}

/// Result in a run.
#[derive(Debug)]
pub struct InRun {
    /// Number of the run, from 0.
    pub run: usize,
    /// Result.
    pub standing: Standing,
}

impl Gathered {
    /// Compares a pair in the runs, by default that of the first run which has one; `None` if no run compares two
    /// servers.
    pub fn of(runs: &mut [Contents], pair: Option<[String; 2]>) -> Option<Self> {
        let pair = match pair {
            Some([first, second]) => Pair { first, second },
            None => runs.iter().find_map(|run| Some(Analysis::of(run).forest?.pair))?,
        };
        let mut gathered = Self { pair, comparisons: Vec::new(), left_out: Vec::new() };
        for (run, contents) in runs.iter_mut().enumerate() {
            let Pair { first, second } = &gathered.pair;
            contents.plan.compare = Some([first.clone(), second.clone()]);
            let forest = Analysis::of(contents).forest;
            match forest.filter(|forest| forest.pair == gathered.pair) {
                Some(forest) => {
                    let words = answer::rows(&forest);
                    for (row, words) in forest.rows.into_iter().zip(words) {
                        gathered.add(run, row, words.name, words.condition);
                    }
                }
                None => gathered.left_out.push(run),
            }
        }
        for one in &mut gathered.comparisons {
            let key = |result: &InRun| ratio(&result.standing).unwrap_or(0.0);
            one.results.sort_by(|a, b| key(b).total_cmp(&key(a)));
        }
        Some(gathered)
    }

    fn add(&mut self, run: usize, row: ForestRow, name: String, condition: String) {
        let result = InRun { run, standing: row.standing };
        let known = |one: &&mut InRuns| one.name == name && one.condition == condition;
        match self.comparisons.iter_mut().find(known) {
            Some(one) => one.results.push(result),
            None => self.comparisons.push(InRuns { name, condition, results: vec![result] }),
        }
    }

    /// A comparison in one sentence: `selector is better in 3 of 5 runs (1.2× to 1.9×), threaded in none;
    /// 2 undecided`.
    pub fn sentence(&self, one: &InRuns) -> String {
        let led = |side: Direction| {
            let of_side = |result: &InRun| {
                let ratio = ratio(&result.standing)?;
                let is_shown = result.standing.verdict() == Some(Verdict::Different(side));
                is_shown.then_some(if side == Direction::Above { ratio } else { 1.0 / ratio })
            };
            let mut factors: Vec<f64> = one.results.iter().filter_map(of_side).collect();
            factors.sort_by(f64::total_cmp);
            factors
        };
        let (above, below) = (led(Direction::Above), led(Direction::Below));
        let ((name, ahead), (other, behind)) = match above.len() >= below.len() {
            true => ((&self.pair.second, above), (&self.pair.first, below)),
            false => ((&self.pair.first, below), (&self.pair.second, above)),
        };
        let runs = counted(one.results.len(), "run");
        let mut text = match ahead.len() {
            0 => format!("neither is shown to be better in {runs}"),
            count => {
                let others = match behind.len() {
                    0 => "none".to_owned(),
                    count => format!("{count} {}", range(&behind)),
                };
                format!(
                    "{name} is better in {count} of {runs} {}, {other} in {others}",
                    range(&ahead)
                )
            }
        };
        let with = |verdict| {
            one.results
                .iter()
                .filter(move |result| result.standing.verdict() == Some(verdict))
                .count()
        };
        let open = one.results.iter().filter(|result| result.standing.verdict().is_none()).count();
        for (count, what) in [
            (with(Verdict::Equivalent), "equivalent"),
            (with(Verdict::Undecided), "undecided"),
            (open, "without a ratio"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        text + "."
    }
}

/// Ascending factors as a range: `(1.2× to 1.9×)`.
fn range(factors: &[f64]) -> String {
    let [least, most] = [factors.first(), factors.last()]
        .map(|factor| format!("{}×", three_digits(factor.copied().unwrap_or(1.0))));
    if least == most { format!("({least})") } else { format!("({least} to {most})") }
}

/// Factor by which the second server is better, or a bound of it; `None` without a comparison.
pub(crate) fn ratio(standing: &Standing) -> Option<f64> {
    match standing {
        Standing::Compared(one) => Some(one.ratio.ratio),
        Standing::Bound { ratio, .. } => Some(ratio.ratio),
        Standing::Void | Standing::Missing { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;

    fn run(selector_per_s: f64) -> Contents {
        let of = |name: &str, per_s: f64| (name.to_owned(), per_s);
        let speed = [
            of("selector", selector_per_s),
            of("selector-again", selector_per_s),
            of("threaded", 70_000.0),
        ];
        let executor = MockExecutor { speed: speed.into(), ..MockExecutor::default() };
        contents_of(&Plan::built_in("default").unwrap(), executor)
    }

    #[test]
    fn a_comparison_is_followed_through_the_runs() {
        let mut runs = [run(50_000.0), run(140_000.0), run(105_000.0), run(70_000.0)];
        let gathered = Gathered::of(&mut runs, None).unwrap();
        let main = &gathered.comparisons[0];
        let order: Vec<_> = main.results.iter().map(|result| result.run).collect();
        assert_eq!(order, [1, 2, 3, 0]);
        let text = gathered.sentence(main);
        assert!(
            text.starts_with(
                "selector is better in 2 of 4 runs (1.49× to 1.97×), threaded in 1 (1.39×)"
            ),
            "{text}"
        );
        assert!(text.ends_with("; 1 equivalent."), "{text}");
        assert!(gathered.left_out.is_empty());
    }

    #[test]
    fn runs_without_the_pair_are_left_out() {
        let mut without = run(70_000.0);
        without.records.trials.retain(|row| row.target != "threaded");
        let mut runs = [without, run(140_000.0)];
        let pair = ["threaded", "selector"].map(str::to_owned);
        let gathered = Gathered::of(&mut runs, Some(pair)).unwrap();
        assert_eq!(gathered.left_out, [0]);
        assert!(gathered.comparisons.iter().all(|one| one.results.len() == 1));
        let pair = ["threaded", "ghost"].map(str::to_owned);
        let none = Gathered::of(&mut runs, Some(pair)).unwrap();
        assert_eq!((none.comparisons.len(), none.left_out.len()), (0, 2));
    }
}
