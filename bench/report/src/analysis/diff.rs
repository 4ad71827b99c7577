//! Changes between two runs, or two builds in one run: the same servers under the same loads.

mod effect;
mod gate;
mod limit;
mod settings;
mod text;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

pub use self::effect::{Counts, Effect};
pub use self::gate::Gate;
pub use self::limit::Limit;
use self::limit::{COLUMNS, FURTHER, Limited};
pub use self::settings::SettingChange;
use self::settings::settings;
pub use self::text::Shown;
use crate::analysis::comparison::{Comparison, family};
use crate::analysis::metric::{Better, Metric};
use crate::analysis::statistics::holm::adjusted;
use crate::analysis::statistics::ratio::{NoRatio, RatioEstimate};
use crate::analysis::statistics::verdict::{ALPHA, Verdict};
use crate::analysis::summary::{Line, Summary, values};
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::record::rows::{Records, TrialRow};
use bench_data::record::run_folder::Contents;
use bench_data::stats::median;
use bench_data::units;

/// Standard deviation of a logarithm between repetitions of a run: restarts of the machine, of its host
/// and of everything else that rounds of one run have in common. Measured on a virtual machine with two
/// cores.
const BETWEEN_RUNS: f64 = 0.046;

/// A metric of one server under one load, in both runs.
#[derive(Debug, Clone)]
pub struct Change {
    /// The server.
    pub target: String,
    /// The load.
    pub load: Load,
    /// The metric.
    pub metric: Metric,
    /// Median in the old run.
    pub old: f64,
    /// Median in the new run.
    pub new: f64,
    /// New value divided by the old one; the verdict is corrected for all changes in the tables.
    pub comparison: Comparison,
}

/// Share of failed requests of one server under one load in the new run.
#[derive(Debug, Clone)]
pub struct Errors {
    /// The server.
    pub target: String,
    /// The load.
    pub load: Load,
    /// Failed requests by all requests.
    pub share: f64,
}

/// All changes between two runs.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// Changes, load by load.
    pub changes: Vec<Change>,
    /// Failed requests of the new run, of every server under every load.
    pub errors: Vec<Errors>,
    /// Servers and loads that cannot be compared, with the reasons.
    pub incomparable: Vec<Incomparable>,
    /// Settings in which the runs differ.
    pub settings: Vec<SettingChange>,
}

/// Server of two builds: its names in the run, and its common name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPair {
    /// Name of the earlier build's server.
    pub old: String,
    /// Name of the later build's server.
    pub new: String,
    /// Name in the comparison.
    pub name: String,
}

/// Relation of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Design {
    /// Two runs, each with rounds of its own.
    Runs,
    /// Two builds in the same rounds, so that drift that a round has in common cancels out.
    Rounds,
}

impl Design {
    fn noun(self) -> &'static str {
        match self {
            Self::Runs => "run",
            Self::Rounds => "build",
        }
    }
}

/// One of the two runs or builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Old,
    New,
}

impl Run {
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// Server, or server under a load, that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomparable {
    /// The server.
    pub target: String,
    /// Server, load and reason.
    pub text: String,
    /// True if the limits cannot be checked because of the new run: its trials failed or are missing,
    /// or are not comparable though those of the old run are.
    pub is_failure: bool,
}

/// Change or share that is beyond a limit.
#[derive(Debug, Clone)]
pub struct Beyond {
    /// The limit.
    pub limit: String,
    /// The server.
    pub target: String,
    /// The load.
    pub load: Load,
    /// Server, load and values.
    pub what: String,
    /// Judgement.
    pub judgement: Judgement,
}

/// Judgement of a change by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Within the limit.
    Kept,
    /// Beyond the limit, but perhaps by chance.
    Doubtful,
    /// Shown to be beyond the limit, corrected for the number of values that the limits check.
    Broken,
}

impl Diff {
    /// Compares two runs, in lines that are comparable in both.
    pub fn between(old: &Contents, new: &Contents) -> Self {
        let records = [old, new].map(|contents| &contents.records);
        Self { settings: settings(old, new), ..Self::of(records, Design::Runs) }
    }

    /// Compares two builds that one run measured in the same rounds.
    pub fn of_builds(records: &Records, pairs: &[BuildPair]) -> Self {
        let old = records_of(records, pairs.iter().map(|pair| (&pair.old, &pair.name)));
        let new = records_of(records, pairs.iter().map(|pair| (&pair.new, &pair.name)));
        Self::of([&old, &new], Design::Rounds)
    }

    fn of(records: [&Records; 2], design: Design) -> Self {
        let summaries = records.map(Summary::of);
        let [then, now] = &summaries;
        let mut diff = Self::default();
        let mut measured = Vec::new();
        diff.errors = now.lines.iter().filter_map(Errors::of).collect();
        for line in &now.lines {
            let load = format!("{} with {}", line.target, describe(line.load));
            let failure = line.failure();
            let before = then.line(line.load, &line.target);
            let fault = match (failure, before) {
                (Some(failure), _) => Some((failure, Run::New, true)),
                (None, None) => {
                    diff.lacks(then, line, Run::New, design);
                    continue;
                }
                (None, Some(before)) if !before.is_comparable() => {
                    Some((before.exclusion_reason(), Run::Old, false))
                }
                (None, Some(_)) => Some((line.exclusion_reason(), Run::New, true))
                    .filter(|_| !line.is_comparable()),
            };
            if let Some((why, which, is_failure)) = fault {
                let text = format!("{load}: {why} (in the {} {})", which.name(), design.noun());
                diff.exclude(&line.target, text, is_failure);
                continue;
            }
            let Some(before) = before else { continue };
            for (name, metric) in COLUMNS.into_iter().chain(FURTHER) {
                let is_column = COLUMNS.iter().any(|(known, _)| *known == name);
                match ratio_of(before, line, metric, design) {
                    Ok(ratio) => measured.push((before, line, metric, ratio, is_column)),
                    Err(why) if is_column => {
                        diff.exclude(
                            &line.target,
                            format!("{load}: {name}: {}", why.text()),
                            false,
                        );
                    }
                    Err(_) => {}
                }
            }
        }
        diff.changes = compared(&measured);
        for line in &then.lines {
            if now.line(line.load, &line.target).is_none() {
                diff.lacks(now, line, Run::Old, design);
            }
        }
        diff
    }

    /// Notes that only one run has a line; a missing server is noted once. Missing from the new run is
    /// a failure if that run lacks the server, or measured the load with other servers.
    fn lacks(&mut self, other: &Summary, line: &Line, which: Run, design: Design) {
        let has_server = other.targets().contains(&line.target.as_str());
        let what = if has_server {
            format!("{} with {}", line.target, describe(line.load))
        } else {
            line.target.clone()
        };
        let is_missing = line.is_comparable() && other.loads().contains(&line.load);
        let is_failure = which == Run::Old && (!has_server || is_missing);
        let text = format!("{what}: only in the {} {}", which.name(), design.noun());
        self.exclude(&line.target, text, is_failure);
    }

    fn exclude(&mut self, target: &str, text: String, is_failure: bool) {
        match self.incomparable.iter_mut().find(|known| known.text == text) {
            Some(known) => known.is_failure |= is_failure,
            None => {
                let target = target.to_owned();
                self.incomparable.push(Incomparable { target, text, is_failure });
            }
        }
    }

    /// Servers whose limits cannot be checked because of the new run, except the accepted ones.
    pub fn failures<'d>(
        &'d self,
        accepted: &'d [String],
    ) -> impl Iterator<Item = &'d Incomparable> {
        let is_accepted = |one: &Incomparable| accepted.contains(&one.target);
        self.incomparable.iter().filter(move |one| one.is_failure && !is_accepted(one))
    }

    /// Values beyond a limit, certainly or not. The limits of one call are one family.
    pub fn beyond(&self, limits: &[Limit]) -> Vec<Beyond> {
        let mut beyond = Vec::new();
        let mut checked: Vec<(&Limit, &Change, f64)> = Vec::new();
        for limit in limits {
            match limit.of {
                Limited::Errors(most) => {
                    let over = self.errors.iter().filter(|one| one.share > most);
                    beyond.extend(over.map(|one| Beyond {
                        limit: limit.text.clone(),
                        target: one.target.clone(),
                        load: one.load,
                        what: one.to_string(),
                        judgement: Judgement::Broken,
                    }));
                }
                Limited::Ratio(metric, bound) => {
                    let of_it = self.changes.iter().filter(|change| change.metric == metric);
                    checked.extend(of_it.map(|change| (limit, change, bound)));
                }
            }
        }
        let p_value = |(_, change, bound): &(&Limit, &Change, f64)| {
            let above = change.metric.better() == Better::Lower;
            change.comparison.ratio.p_of_beyond(*bound, above).unwrap_or(1.0)
        };
        let p_values = adjusted(&checked.iter().map(p_value).collect::<Vec<_>>());
        for ((limit, change, bound), p) in checked.into_iter().zip(p_values) {
            let judgement = judged(change, bound, p);
            if judgement != Judgement::Kept {
                beyond.push(Beyond {
                    limit: limit.text.clone(),
                    target: change.target.clone(),
                    load: change.load,
                    what: change.to_string(),
                    judgement,
                });
            }
        }
        beyond
    }
}

/// Ratio of two lines.
fn ratio_of(
    before: &Line,
    now: &Line,
    metric: Metric,
    design: Design,
) -> Result<RatioEstimate, NoRatio> {
    match design {
        Design::Runs => {
            let [old, new] = [before, now].map(|line| values(line.rounds(metric)));
            RatioEstimate::of_runs(&new, &old, BETWEEN_RUNS)
        }
        Design::Rounds => RatioEstimate::of_rounds(now.rounds(metric), before.rounds(metric)),
    }
}

/// Records of some servers, under other names.
fn records_of<'n>(
    records: &Records,
    names: impl Iterator<Item = (&'n String, &'n String)>,
) -> Records {
    let names: HashMap<_, _> = names.collect();
    let mut part = Records::default();
    for row in &records.trials {
        if let Some(name) = names.get(&row.target) {
            part.trials.push(TrialRow { target: (*name).clone(), ..row.clone() });
        }
    }
    let trials: HashSet<u32> = part.trials.iter().map(|row| row.trial).collect();
    let of_them = records.latencies.iter().filter(|row| trials.contains(&row.trial));
    part.latencies = of_them.cloned().collect();
    part
}

/// Changes of measured ratios. Those of the tables are one family; a metric that only limits name is
/// corrected when a limit checks it.
fn compared(measured: &[(&Line, &Line, Metric, RatioEstimate, bool)]) -> Vec<Change> {
    let ratios = |columns: bool| -> Vec<RatioEstimate> {
        let some = measured.iter().filter(|(.., is_column)| *is_column == columns);
        some.map(|(_, _, _, ratio, _)| *ratio).collect()
    };
    let mut shown = family(&ratios(true)).into_iter();
    let mut further = family(&ratios(false)).into_iter();
    let change = |(before, line, metric, _, is_column): &(&Line, &Line, Metric, _, bool)| {
        let next = if *is_column { shown.next() } else { further.next() };
        Some(Change {
            target: line.target.clone(),
            load: line.load,
            metric: *metric,
            old: median(&values(before.rounds(*metric)))?,
            new: median(&values(line.rounds(*metric)))?,
            comparison: next?,
        })
    };
    measured.iter().filter_map(change).collect()
}

/// Judges a change by the bound of a limit, with the corrected p value of being beyond it.
fn judged(change: &Change, bound: f64, adjusted_p: f64) -> Judgement {
    let ratio = change.comparison.ratio.ratio;
    let is_beyond = match change.metric.better() {
        Better::Higher => ratio < bound,
        Better::Lower => ratio > bound,
    };
    match (is_beyond, adjusted_p <= ALPHA) {
        (true, true) => Judgement::Broken,
        (true, false) => Judgement::Doubtful,
        (false, _) => Judgement::Kept,
    }
}

impl Errors {
    /// Share of a line; `None` if it has no requests.
    fn of(line: &Line) -> Option<Self> {
        let all = line.errors + line.requests;
        (all > 0).then(|| Self {
            target: line.target.clone(),
            load: line.load,
            share: line.errors as f64 / all as f64,
        })
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = units::three_digits(self.share * 100.0);
        write!(
            f,
            "{percent} % of the requests to {} with {} failed",
            self.target,
            describe(self.load)
        )
    }
}

impl Change {
    /// Returns true if the tables have a column for the metric. The others can be limited.
    pub fn is_in_tables(&self) -> bool {
        COLUMNS.iter().any(|(_, metric)| *metric == self.metric)
    }

    /// Spelling of the metric in limits and tables: `throughput`, `p99`, `cpu_per_request`.
    pub fn name(&self) -> &'static str {
        let mut known = COLUMNS.iter().chain(&FURTHER);
        known.find(|(_, metric)| *metric == self.metric).map_or("", |(name, _)| *name)
    }

    /// The change with its interval: `+6.9 % (+2.0 to +11.3)`.
    pub fn percent(&self) -> String {
        percent(&self.comparison.ratio)
    }

    /// A value with its unit, without the name of what it counts.
    pub fn write(&self, value: f64) -> String {
        self.metric.unit().write(value)
    }

    /// Returns true if the change is shown to be a difference.
    pub fn is_shown(&self) -> bool {
        matches!(self.comparison.verdict, Verdict::Different(_))
    }

    /// `131k → 140k  +6.9 % (+2.0 to +11.3)`, with a star if the difference is shown.
    fn cell_text(&self) -> String {
        let (old, new) = (self.write(self.old), self.write(self.new));
        format!(
            "{old} → {new}  {}{}",
            percent(&self.comparison.ratio),
            if self.is_shown() { " *" } else { "" }
        )
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.write(self.old), self.write(self.new));
        write!(
            f,
            "{} of {} with {}: {old} → {new}, {}",
            self.metric.name(),
            self.target,
            describe(self.load),
            percent(&self.comparison.ratio)
        )
    }
}

/// A ratio as a change: `+6.9 % (+2.0 to +11.3)`.
fn percent(ratio: &RatioEstimate) -> String {
    let change = |ratio: f64| format!("{:+.1}", (ratio - 1.0) * 100.0);
    let interval = ratio.interval().map_or_else(
        || " (too few rounds)".to_owned(),
        |interval| format!(" ({} to {})", change(interval.low), change(interval.high)),
    );
    format!("{} %{interval}", change(ratio.ratio))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::MockExecutor;
    use bench_data::plan::{AaControl, Plan};
    use bench_data::servers::variant::Variant;

    /// Change of the throughput of one server by these factors in five rounds.
    fn change(metric: Metric, factors: &[f64], between: f64) -> Change {
        let load = bench_data::mock::records().trials[0].load();
        let ratio = RatioEstimate::of_runs(factors, &[1.0; 5], between).unwrap();
        let comparison = family(&[ratio])[0];
        let target = "selector".to_owned();
        Change { target, load, metric, old: 100.0, new: 100.0 * ratio.ratio, comparison }
    }

    fn judgements(limit: &str, changes: &[Change]) -> Vec<Judgement> {
        let diff = Diff { changes: changes.to_vec(), ..Diff::default() };
        let beyond = diff.beyond(&[Limit::parse(limit).unwrap()]);
        beyond.iter().map(|one| one.judgement).collect()
    }

    #[test]
    fn only_what_is_shown_to_be_beyond_the_limit_breaks_it() {
        let of = |factors: &[f64]| change(Metric::Throughput, factors, 0.0);
        let (clear, noisy) = ([0.90, 0.91, 0.89, 0.90, 0.90], [0.90, 0.99, 0.82, 0.95, 0.85]);
        let limit = "throughput<-5%";
        assert_eq!(judgements(limit, &[of(&clear)]), [Judgement::Broken]);
        assert_eq!(judgements(limit, &[of(&noisy)]), [Judgement::Doubtful]);
        assert_eq!(judgements(limit, &[of(&clear[..4])]), [Judgement::Doubtful], "four rounds");
        assert_eq!(judgements(limit, &[of(&[0.96, 0.97, 0.95, 0.96, 0.97])]), []);
        assert_eq!(judgements(limit, &[of(&[1.3; 5])]), []);
        let higher = change(Metric::P99, &[1.5, 1.52, 1.48, 1.5, 1.5], 0.0);
        assert_eq!(judgements("p99>+20%", std::slice::from_ref(&higher)), [Judgement::Broken]);
        assert_eq!(judgements("throughput<-5%", &[higher]), [], "another metric");
    }

    #[test]
    fn repetitions_of_a_run_differ_and_many_values_break_a_limit_by_chance() {
        let factors = [0.90, 0.91, 0.89, 0.90, 0.90];
        let one = change(Metric::Throughput, &factors, BETWEEN_RUNS);
        assert_eq!(judgements("throughput<-5%", &[one]), [Judgement::Doubtful], "one run each");
        let weak = [0.90, 0.93, 0.88, 0.92, 0.89];
        let one = change(Metric::Throughput, &weak, 0.0);
        assert_eq!(judgements("throughput<-5%", std::slice::from_ref(&one)), [Judgement::Broken]);
        let same = change(Metric::Throughput, &[1.0, 1.01, 0.99, 1.0, 1.0], 0.0);
        let many: Vec<_> = std::iter::once(one).chain(vec![same; 30]).collect();
        assert_eq!(judgements("throughput<-5%", &many), [Judgement::Doubtful]);
    }

    #[test]
    fn builds_are_compared_within_the_rounds_of_one_run() {
        let names = ["selector-old", "selector-new"];
        let variant = |name| Variant::new(name, "selector").unwrap();
        let plan = Plan {
            strategies: Vec::new(),
            variants: names.map(variant).to_vec(),
            aa_control: AaControl::None,
            rounds: 6,
            ..Plan::built_in("quick").unwrap()
        };
        let speed = [("selector-old".to_owned(), 100_000.0), ("selector-new".to_owned(), 80_000.0)];
        let executor = MockExecutor { speed: speed.into(), ..MockExecutor::default() };
        let records = bench_data::mock::records_of(&plan, executor);
        let pair = BuildPair {
            old: names[0].to_owned(),
            new: names[1].to_owned(),
            name: "selector".to_owned(),
        };
        let diff = Diff::of_builds(&records, &[pair]);
        let throughput = diff.changes.iter().find(|one| one.metric == Metric::Throughput).unwrap();
        assert_eq!(
            (throughput.target.as_str(), throughput.comparison.ratio.rounds),
            ("selector", 6)
        );
        assert!((0.7..0.9).contains(&throughput.comparison.ratio.ratio), "{throughput}");
        assert!(matches!(throughput.comparison.verdict, Verdict::Different(_)), "{throughput:?}");
        let beyond = diff.beyond(&[Limit::parse("throughput<-5%").unwrap()]);
        assert!(beyond.iter().any(|one| one.judgement == Judgement::Broken), "{beyond:?}");
        let unknown = BuildPair {
            old: "a".to_owned(),
            new: names[1].to_owned(),
            name: "selector".to_owned(),
        };
        let only = Diff::of_builds(&records, &[unknown]);
        assert_eq!(only.incomparable[0].text, "selector: only in the new build");
    }

    #[test]
    fn failed_requests_are_limited_as_a_share() {
        let load = bench_data::mock::records().trials[0].load();
        let errors = vec![Errors { target: "nginx".to_owned(), load, share: 0.002 }];
        let diff = Diff { errors, ..Diff::default() };
        let beyond = diff.beyond(&[Limit::parse("errors>0.1%").unwrap()]);
        assert_eq!(beyond.len(), 1);
        assert_eq!(beyond[0].judgement, Judgement::Broken);
        assert!(beyond[0].what.starts_with("0.20 % of the requests to nginx"), "{beyond:?}");
        assert!(diff.beyond(&[Limit::parse("errors>0.5%").unwrap()]).is_empty());
    }

    #[test]
    fn changes_are_written_as_percentages_with_their_interval() {
        let text = change(Metric::Throughput, &[1.07, 1.06, 1.08, 1.07, 1.07], 0.0).cell_text();
        assert_eq!(text, "100 → 107  +7.0 % (+6.1 to +7.9) *");
        let factors = [1.07, 1.06, 1.08, 1.07, 1.07];
        let text = change(Metric::Throughput, &factors, BETWEEN_RUNS).cell_text();
        assert_eq!(text, "100 → 107  +7.0 % (-2.2 to +17.1)", "not more than runs differ anyway");
        let text = change(Metric::P99, &[0.98], 0.0).cell_text();
        assert_eq!(text, "100 µs → 98.0 µs  -2.0 % (too few rounds)");
    }
}
