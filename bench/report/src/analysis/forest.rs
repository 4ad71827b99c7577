//! The compared pair in every experiment: the rows of the forest plot.

use bench_data::load::Load;
use bench_data::load::words;

use crate::analysis::comparison::Comparison;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::{Better, Metric};
use crate::analysis::pair::Pair;
use crate::analysis::section::Section;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::statistics::verdict::{Direction, Verdict};

/// The compared pair in every experiment of a run; of a run with one experiment, under every load.
#[derive(Debug, Clone)]
pub struct Forest {
    /// The two servers.
    pub pair: Pair,
    /// The rows, in the order of the experiments or loads.
    pub rows: Vec<ForestRow>,
}

/// The pair under one load.
#[derive(Debug, Clone)]
pub struct ForestRow {
    /// The experiment; of a run with one experiment, the requests of the load.
    pub name: String,
    /// Section of the experiment.
    pub section: String,
    /// Load of the comparison.
    pub load: Load,
    /// Metric of the comparison.
    pub metric: Metric,
    /// Name of the compared quantity.
    pub quantity: String,
    /// The load: requests and connections, then objective or deviations from the default load.
    pub condition: Vec<String>,
    /// Result.
    pub standing: Standing,
}

/// Result of the pair under one load.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The two were compared. Above 1 the second is better, whatever the metric.
    Compared(Comparison),
    /// The load generator was the limit of one of the two, so that the ratio is only a bound.
    Bound {
        /// Ratio of the recorded rates, oriented likewise.
        ratio: RatioEstimate,
        /// True if the second is better by at least the ratio, false if the first is.
        of_second: bool,
    },
    /// The A/A control differs from its server.
    Void,
    /// A server has no comparable value.
    Missing {
        /// The server.
        server: String,
        /// Reason, such as an outcome.
        reason: String,
    },
}

impl Forest {
    /// Rows of some sections; `None` if no section has both servers.
    pub(crate) fn of(pair: Pair, sections: &[Section]) -> Option<Self> {
        let rows: Vec<_> = match sections {
            [only] => of_loads(&pair, only),
            several => several.iter().filter_map(|section| of_section(&pair, section)).collect(),
        };
        (!rows.is_empty()).then_some(Self { pair, rows })
    }
}

impl Standing {
    /// Verdict of the comparison, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Compared(comparison) => Some(comparison.verdict),
            Self::Bound { .. } | Self::Void | Self::Missing { .. } => None,
        }
    }

    /// Returns true if one of the two is shown to be better.
    pub fn is_difference(&self) -> bool {
        matches!(self.verdict(), Some(Verdict::Different(_)))
    }
}

impl Pair {
    /// Name of the server that a comparison of the pair shows to be better, and that of the other one.
    pub fn winner(&self, side: Direction) -> (&str, &str) {
        match side {
            Direction::Above => (&self.second, &self.first),
            Direction::Below => (&self.first, &self.second),
        }
    }
}

/// Results of the pair, counted.
#[derive(Debug, Default)]
pub(crate) struct Tally<'f> {
    /// Rows in which the first server is shown to be better.
    pub first: Vec<Lead<'f>>,
    /// Rows in which the second server is shown to be better.
    pub second: Vec<Lead<'f>>,
    pub equivalent: usize,
    pub undecided: usize,
    /// Void, a bound, or without a value.
    pub not_compared: usize,
    /// Most rounds of a row, if no row has enough for a claim.
    pub most_rounds_too_few: Option<usize>,
}

/// Row in which one of the two is shown to be better.
#[derive(Debug)]
pub(crate) struct Lead<'f> {
    pub name: &'f str,
    /// Factor above 1.
    pub factor: f64,
}

impl<'f> Tally<'f> {
    pub(crate) fn of(forest: &'f Forest) -> Self {
        let mut tally = Self::default();
        let mut any_claimable = false;
        for row in &forest.rows {
            let Standing::Compared(one) = row.standing else {
                tally.not_compared += 1;
                continue;
            };
            any_claimable |= one.is_claimable();
            tally.most_rounds_too_few = tally.most_rounds_too_few.max(Some(one.ratio.rounds));
            match one.verdict {
                Verdict::Different(Direction::Above) => {
                    tally.second.push(Lead { name: &row.name, factor: one.ratio.ratio });
                }
                Verdict::Different(Direction::Below) => {
                    tally.first.push(Lead { name: &row.name, factor: 1.0 / one.ratio.ratio });
                }
                Verdict::Equivalent => tally.equivalent += 1,
                Verdict::Undecided => tally.undecided += 1,
            }
        }
        if any_claimable {
            tally.most_rounds_too_few = None;
        }
        tally
    }
}

fn of_section(pair: &Pair, section: &Section) -> Option<ForestRow> {
    let finding = section.finding.as_ref()?;
    let searched = section.part.capacities.first().filter(|_| finding.metric == Metric::Capacity);
    let load = searched.map_or(finding.load, |capacity| capacity.search.load);
    let requests = format!("{}, {}", words::requests(load), words::connections(load.connections));
    let deviations = match searched {
        Some(capacity) => vec![capacity.search.objective.in_words()],
        None => load.profile.remarks(),
    };
    let condition = std::iter::once(requests).chain(deviations).collect();
    row(pair, section, section.name.clone(), (load, condition), finding)
}

/// The main comparison first, then the same metric under the other loads.
fn of_loads(pair: &Pair, section: &Section) -> Vec<ForestRow> {
    let Some(main) = &section.finding else { return Vec::new() };
    // Metrics that relate two loads, and capacities, have no value under a single load.
    let metrics = [Metric::Throughput, Metric::ConnectionRate, Metric::TransferRate];
    if main.metric.percentile().is_none() && !metrics.contains(&main.metric) {
        return of_section(pair, section).into_iter().collect();
    }
    let others = section.part.loads().into_iter().filter(|load| *load != main.load);
    let others = others.map(|load| Finding::under(&section.part, load, main.metric));
    let named = |finding: Finding| {
        let load = finding.load;
        let connections = words::connections(load.connections);
        let condition = std::iter::once(connections).chain(load.profile.remarks()).collect();
        row(pair, section, words::transfer(load), (load, condition), &finding)
    };
    std::iter::once(main.clone()).chain(others).filter_map(named).collect()
}

fn row(
    pair: &Pair,
    section: &Section,
    name: String,
    (load, condition): (Load, Vec<String>),
    finding: &Finding,
) -> Option<ForestRow> {
    Some(ForestRow {
        standing: standing(pair, finding)?,
        name,
        section: section.name.clone(),
        load,
        metric: finding.metric,
        quantity: finding.quantity(),
        condition,
    })
}

/// Result of the pair in a finding; `None` if a server was not part of it.
pub(crate) fn standing(pair: &Pair, finding: &Finding) -> Option<Standing> {
    let score = |name: &str| finding.scores.iter().find(|score| score.target == name);
    let (first, second) = (score(&pair.first)?, score(&pair.second)?);
    if finding.is_void {
        return Some(Standing::Void);
    }
    if let Some(comparison) = finding.pairs().between(&pair.second, &pair.first) {
        return Some(Standing::Compared(finding.lead(comparison)));
    }
    if let Some(bound) = bound(finding, first, second) {
        return Some(bound);
    }
    let lacking = [first, second].into_iter().find(|score| !score.is_sound());
    Some(match lacking {
        Some(score) => {
            Standing::Missing { server: score.target.clone(), reason: score.doubt.clone() }
        }
        None => Standing::Missing {
            server: pair.second.clone(),
            reason: "a value is 0, or no round has both values".to_owned(),
        },
    })
}

/// Ratio of the recorded rates where one of the two is a lower bound and the other is sound.
fn bound(finding: &Finding, first: &Score, second: &Score) -> Option<Standing> {
    if finding.metric.better() == Better::Lower {
        return None;
    }
    let is_bound = |score: &Score| score.is_lower_bound(finding.metric);
    let of_second = match (first.is_sound(), second.is_sound()) {
        (true, false) if is_bound(second) => true,
        (false, true) if is_bound(first) => false,
        _ => return None,
    };
    let ratio = RatioEstimate::of_rounds(&second.rounds, &first.rounds).ok()?;
    Some(Standing::Bound { ratio, of_second })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use crate::analysis::sentence::answer::{self, Place};
    use crate::analysis::statistics::verdict::Direction::{Above, Below};
    use crate::analysis::summary::Summary;
    use bench_data::mock::{MockExecutor, plan_of_experiments, records_of};
    use bench_data::plan::Plan;
    use bench_data::record::outcome::Outcome;
    use bench_data::record::rows::TrialRow;

    const PLACE: Place = Place { server_cores: 1, machine_cores: 2 };

    fn forest(plan: &Plan, executor: MockExecutor, change: &dyn Fn(&mut TrialRow)) -> Forest {
        let mut records = records_of(plan, executor);
        records.trials.iter_mut().for_each(change);
        let summary = Summary::of(&records);
        let pair = Pair::of(plan, &summary).unwrap();
        Forest::of(pair, &sections(plan, &summary)).unwrap()
    }

    fn speeds(speeds: &[(&str, f64)]) -> MockExecutor {
        let speed = speeds.iter().map(|(name, speed)| ((*name).to_owned(), *speed)).collect();
        MockExecutor { speed, ..MockExecutor::default() }
    }

    #[test]
    fn each_experiment_has_a_row_and_the_second_server_leads_above_1() {
        let plan = plan_of_experiments();
        let sides = |executor| -> Vec<_> {
            let forest = forest(&plan, executor, &|_| ());
            assert_eq!(forest.rows.len(), 3, "{forest:?}");
            forest.rows.iter().map(|row| row.standing.verdict().unwrap()).collect()
        };
        let usual = [Verdict::Different(Above), Verdict::Equivalent, Verdict::Equivalent];
        assert_eq!(sides(MockExecutor::default()), usual);
        let slow = speeds(&[("selector", 50e3), ("threaded", 90e3), ("selector-again", 50e3)]);
        assert_eq!(sides(slow)[0], Verdict::Different(Below));
    }

    #[test]
    fn a_lower_value_is_better_for_times() {
        let plan = Plan::built_in("heavy").unwrap();
        let summary = Summary::of(&records_of(&plan, MockExecutor::default()));
        let sections = sections(&plan, &summary);
        let forest = Forest::of(Pair::of(&plan, &summary).unwrap(), &sections).unwrap();
        let finding = sections[0].finding.as_ref().unwrap();
        let median = |name: &str| finding.score(name).unwrap().median();
        let Standing::Compared(one) = forest.rows[0].standing else { panic!("{forest:?}") };
        assert_eq!(forest.rows[0].metric, Metric::P99);
        let side = if median("selector") < median("threaded") { Above } else { Below };
        assert_eq!(one.verdict, Verdict::Different(side));
    }

    #[test]
    fn void_bound_and_missing_rows_have_no_verdict() {
        let plan = Plan::built_in("default").unwrap();
        let control = speeds(&[("selector", 50e3), ("selector-again", 70e3)]);
        let void = forest(&plan, control, &|_| ());
        assert_eq!(void.rows[0].standing, Standing::Void);
        let of = |outcome: Outcome| {
            let change = |row: &mut TrialRow| {
                if row.target.starts_with("selector") {
                    row.outcome = outcome;
                }
            };
            forest(&plan, MockExecutor::default(), &change).rows[0].standing.clone()
        };
        let bound = of(Outcome::GeneratorBound);
        assert!(matches!(bound, Standing::Bound { of_second: true, .. }), "{bound:?}");
        let missing = of(Outcome::Died);
        assert!(
            matches!(&missing, Standing::Missing { server, .. } if server == "selector"),
            "{missing:?}"
        );
        for standing in [Standing::Void, bound, missing] {
            assert_eq!(standing.verdict(), None);
        }
    }

    #[test]
    fn a_run_of_one_experiment_has_a_row_per_load_with_the_main_comparison_first() {
        let plan = Plan::built_in("default").unwrap();
        let forest = forest(&plan, MockExecutor::default(), &|_| ());
        assert_eq!(forest.rows.len(), 6);
        assert_eq!(
            (forest.rows[0].load.connections, &*forest.rows[0].name),
            (64, "Download of 1 KiB")
        );
    }

    #[test]
    fn an_answer_over_all_kinds_of_rows_has_at_most_25_words() {
        let plan = plan_of_experiments();
        let slow = speeds(&[("selector", 50e3), ("threaded", 90e3), ("selector-again", 50e3)]);
        let threads = forest(&plan, slow, &|_| ());
        let events = forest(&plan, MockExecutor::default(), &|_| ());
        let mut all = events.clone();
        for _ in 0..4 {
            all.rows.extend(events.rows.iter().chain(&threads.rows).cloned());
        }
        let void = ForestRow { standing: Standing::Void, ..all.rows[0].clone() };
        all.rows.push(void);
        let text = answer::run(PLACE, Some(&all), None);
        assert!(text.contains("trails in") && text.contains(" equivalent, "), "{text}");
        assert!(text.split_whitespace().count() <= 25, "{text}");
    }
}
