//! Changes between two runs: the same servers under the same loads.

use std::fmt;

use crate::analysis::comparison::{is_clear, is_clearly_less};
use crate::analysis::metric::{Better, Metric};
use crate::analysis::summary::{Line, Summary, values};
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::plan::Plan;
use bench_data::record::environment::Environment;
use bench_data::record::run_folder::Contents;
use bench_data::stats::{Estimate, median};
use bench_data::text_table::{Align, text_table};

/// Metrics that are compared, with their spelling in limits, in the order of columns.
const METRICS: [(&str, Metric); 3] = [
    ("throughput", Metric::Throughput),
    ("p99", Metric::P99),
    ("cpu_per_request", Metric::CpuPerRequest),
];

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
    /// New value divided by the old one.
    pub ratio: Estimate,
    /// Noise floor of the runs, the higher one, where an A/A control was measured.
    pub noise_floor: Option<f64>,
}

/// All changes between two runs.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// Changes, load by load.
    pub changes: Vec<Change>,
    /// Servers and loads that cannot be compared, with the reasons.
    pub incomparable: Vec<Incomparable>,
    /// Settings in which the runs differ.
    pub settings: Vec<String>,
}

/// One of the two runs.
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

/// Limit of a regression, such as `throughput<-5%`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    metric: Metric,
    /// New value divided by the old one.
    ratio: f64,
    text: String,
}

/// Judgement of a change by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Within the limit.
    Kept,
    /// Beyond the limit, but not with the whole interval.
    Doubtful,
    /// Beyond the limit with the whole interval.
    Broken,
}

impl Diff {
    /// Compares two runs, in lines that are comparable in both.
    pub fn between(old: &Contents, new: &Contents) -> Self {
        let summaries = [old, new].map(|contents| Summary::of(&contents.records));
        let [then, now] = &summaries;
        let mut diff = Self { settings: settings(old, new), ..Self::default() };
        for line in &now.lines {
            let load = format!("{} with {}", line.target, describe(line.load));
            let failure = line.failure();
            let before = then.line(line.load, &line.target);
            let fault = match (failure, before) {
                (Some(failure), _) => Some((failure, Run::New, true)),
                (None, None) => {
                    diff.lacks(then, line, Run::New);
                    continue;
                }
                (None, Some(before)) if !before.is_comparable() => {
                    Some((before.exclusion_reason(), Run::Old, false))
                }
                (None, Some(_)) => Some((line.exclusion_reason(), Run::New, true))
                    .filter(|_| !line.is_comparable()),
            };
            if let Some((why, which, is_failure)) = fault {
                let text = format!("{load}: {why} (in the {} run)", which.name());
                diff.exclude(&line.target, text, is_failure);
                continue;
            }
            let Some(before) = before else { continue };
            for (name, metric) in METRICS {
                let rounds = |line: &Line| line.rounds(metric).to_vec();
                let floors = [then, now].map(|summary| summary.noise_floor(line.load, &rounds));
                let floor = floors.into_iter().flatten().max_by(f64::total_cmp);
                match Change::of(before, line, metric, floor) {
                    Some(change) => diff.changes.push(change),
                    None => {
                        diff.exclude(&line.target, format!("{load}: {name} is not known"), false);
                    }
                }
            }
        }
        for line in &then.lines {
            if now.line(line.load, &line.target).is_none() {
                diff.lacks(now, line, Run::Old);
            }
        }
        diff
    }

    /// Notes that only one run has a line; a missing server is noted once. Missing from the new run is
    /// a failure if that run lacks the server, or measured the load with other servers.
    fn lacks(&mut self, other: &Summary, line: &Line, which: Run) {
        let has_server = other.targets().contains(&line.target.as_str());
        let what = if has_server {
            format!("{} with {}", line.target, describe(line.load))
        } else {
            line.target.clone()
        };
        let is_missing = line.is_comparable() && other.loads().contains(&line.load);
        let is_failure = which == Run::Old && (!has_server || is_missing);
        self.exclude(&line.target, format!("{what}: only in the {} run", which.name()), is_failure);
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

    /// Changes beyond a limit, certainly or not.
    pub fn beyond<'d>(
        &'d self,
        limits: &'d [Limit],
    ) -> impl Iterator<Item = (&'d Change, &'d Limit, Judgement)> {
        let judged = limits.iter().flat_map(|limit| {
            let of_it = self.changes.iter().filter(|change| change.metric == limit.metric);
            of_it.map(move |change| (change, limit, limit.judge(change)))
        });
        judged.filter(|(_, _, judgement)| *judgement != Judgement::Kept)
    }

    /// Changes as a table for each load, and everything that was not compared.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut loads: Vec<Load> = Vec::new();
        for change in &self.changes {
            if !loads.contains(&change.load) {
                loads.push(change.load);
            }
        }
        let heads = ["server"].into_iter().chain(METRICS.map(|(name, _)| name));
        let heads: Vec<&str> = heads.collect();
        for load in loads {
            let mut targets: Vec<&str> = self
                .changes
                .iter()
                .filter(|one| one.load == load)
                .map(|one| &*one.target)
                .collect();
            targets.dedup();
            let cell = |target: &str, metric| {
                let mut changes = self.changes.iter().filter(|one| one.load == load);
                let change = changes.find(|one| one.target == target && one.metric == metric);
                change.map_or_else(|| "–".to_owned(), Change::cell_text)
            };
            let row = |target: &str| {
                let cells = METRICS.iter().map(|(_, metric)| cell(target, *metric));
                std::iter::once(target.to_owned()).chain(cells).collect()
            };
            let rows: Vec<Vec<String>> = targets.into_iter().map(row).collect();
            text += &format!("\nWith {}\n", describe(load));
            text += &text_table(&heads, &rows, Align::Left);
        }
        let incomparable = self.incomparable.iter().map(|one| &one.text).collect();
        let settings = self.settings.iter().collect();
        let notes: [(&str, Vec<&String>); 2] =
            [("Not compared:", incomparable), ("The runs differ in:", settings)];
        for (heading, lines) in notes {
            if !lines.is_empty() {
                text += &format!("\n{heading}\n");
                lines.iter().for_each(|line| text += &format!("  {line}\n"));
            }
        }
        text
    }
}

impl Change {
    fn of(before: &Line, now: &Line, metric: Metric, noise_floor: Option<f64>) -> Option<Self> {
        let [old, new] = [before, now].map(|line| values(line.rounds(metric)));
        Some(Self {
            target: now.target.clone(),
            load: now.load,
            metric,
            old: median(&old)?,
            new: median(&new)?,
            ratio: Estimate::of_quotient(&new, &old)?,
            noise_floor,
        })
    }

    /// A value without the name of what it counts.
    fn write(&self, value: f64) -> String {
        self.metric.unit().write(value)
    }

    /// `131k → 140k  +6.9 % (+2.0 to +11.3)`, with a star if it is clear.
    fn cell_text(&self) -> String {
        let floor = self.noise_floor;
        let clear = is_clear(&self.ratio, floor) || is_clearly_less(&self.ratio, floor);
        let (old, new) = (self.write(self.old), self.write(self.new));
        format!("{old} → {new}  {}{}", percent(&self.ratio), if clear { " *" } else { "" })
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
            percent(&self.ratio)
        )
    }
}

impl Limit {
    /// Reads `throughput<-5%`, `p99>+20%` or `cpu_per_request>+10%`.
    ///
    /// # Errors
    /// The text is not a limit; the error shows examples.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remedy = "write for example throughput<-5%, p99>+20% or cpu_per_request>+10%";
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| format!("it contains neither < nor > ({remedy})"))?;
        let (name, rest) = (text[..at].trim(), text[at + 1..].trim());
        let known = METRICS.into_iter().find(|(known, _)| *known == name);
        let (_, metric) = known.ok_or_else(|| format!("unknown metric '{name}' ({remedy})"))?;
        let number =
            rest.strip_suffix('%').map(str::trim).and_then(|rest| rest.parse::<f64>().ok());
        let percent = number.filter(|percent| percent.is_finite() && *percent > -100.0);
        let percent = percent.ok_or_else(|| format!("'{rest}' is not a percentage ({remedy})"))?;
        let less = text[at..].starts_with('<');
        if less != (metric.better() == Better::Higher) || (percent < 0.0) != less {
            return Err(format!("not a regression of {name} ({remedy})"));
        }
        Ok(Self { metric, ratio: 1.0 + percent / 100.0, text: text.to_owned() })
    }

    /// Judges a change of the limit's metric. Only a change with its whole interval beyond the limit
    /// breaks it.
    pub fn judge(&self, change: &Change) -> Judgement {
        let beyond = |ratio: f64| match self.metric.better() {
            Better::Higher => ratio < self.ratio,
            Better::Lower => ratio > self.ratio,
        };
        match change.ratio.interval {
            Some(interval) if beyond(interval.low) && beyond(interval.high) => Judgement::Broken,
            _ if beyond(change.ratio.median) => Judgement::Doubtful,
            _ => Judgement::Kept,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A ratio as a change: `+6.9 % (+2.0 to +11.3)`.
fn percent(ratio: &Estimate) -> String {
    let change = |ratio: f64| format!("{:+.1}", (ratio - 1.0) * 100.0);
    let interval = ratio.interval.map_or_else(
        || " (no interval)".to_owned(),
        |interval| format!(" ({} to {})", change(interval.low), change(interval.high)),
    );
    format!("{} %{interval}", change(ratio.median))
}

/// Settings in which the runs differ.
fn settings(old: &Contents, new: &Contents) -> Vec<String> {
    let [(then, before), (now, after)] = [old, new]
        .map(|contents| (facts(&contents.plan, &contents.environment), &contents.environment));
    let mut differ: Vec<_> = then
        .into_iter()
        .zip(now)
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, old), (_, new))| format!("{name}: {old} → {new}"))
        .collect();
    for target in &after.targets {
        let earlier = before.targets.iter().find(|other| other.name == target.name);
        let versions =
            (earlier.and_then(|other| other.version.as_deref()), target.version.as_deref());
        if let (Some(old), Some(new)) = versions
            && old != new
        {
            differ.push(format!("version of {}: {old} → {new}", target.name));
        }
    }
    differ
}

fn facts(plan: &Plan, environment: &Environment) -> Vec<(&'static str, String)> {
    let (machine, placement) = (&environment.machine, &environment.placement);
    let unknown = || "unknown".to_owned();
    vec![
        ("host", machine.host.clone()),
        ("processor", machine.processor.clone().unwrap_or_else(unknown)),
        ("cores", machine.cores.to_string()),
        ("kernel", machine.kernel.clone()),
        ("cores of the server", format!("{:?}", placement.server_cores)),
        ("cores of the generator", format!("{:?}", placement.generator_cores)),
        ("file system", placement.file_system.clone()),
        ("durability of uploads", placement.upload_durability.clone()),
        ("compiler", environment.compiler.clone().unwrap_or_else(unknown)),
        ("optimised", environment.optimised.to_string()),
        ("window", format!("{} ms", plan.window_ms)),
        ("warm-up", format!("{} ms", plan.warm_up_ms)),
        ("wire", plan.wire.name().to_owned()),
        ("generator threads", plan.generator_threads.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::stats::Interval;

    fn change(metric: Metric, median: f64, ends: Option<(f64, f64)>) -> Change {
        let interval = ends.map(|(low, high)| Interval { low, high });
        let records = bench_data::mock::records();
        let load = records.trials[0].load();
        let ratio = Estimate { median, interval };
        Change {
            target: "selector".to_owned(),
            load,
            metric,
            old: 100.0,
            new: 100.0 * median,
            ratio,
            noise_floor: None,
        }
    }

    #[test]
    fn only_an_interval_beyond_the_limit_breaks_it() {
        let limit = Limit::parse("throughput<-5%").unwrap();
        let judge = |median, ends| limit.judge(&change(Metric::Throughput, median, ends));
        assert_eq!(judge(0.90, Some((0.88, 0.93))), Judgement::Broken);
        assert_eq!(judge(0.90, Some((0.88, 0.96))), Judgement::Doubtful);
        assert_eq!(judge(0.90, None), Judgement::Doubtful);
        assert_eq!(judge(0.96, Some((0.90, 1.02))), Judgement::Kept);
        assert_eq!(judge(1.30, Some((1.20, 1.40))), Judgement::Kept);
        let limit = Limit::parse(" p99 > +20 % ").unwrap();
        let judge = |median, ends| limit.judge(&change(Metric::P99, median, ends));
        assert_eq!(judge(1.5, Some((1.3, 1.7))), Judgement::Broken);
        assert_eq!(judge(1.5, Some((1.1, 1.7))), Judgement::Doubtful);
        assert_eq!(judge(0.5, Some((0.3, 0.7))), Judgement::Kept);
    }

    #[test]
    fn limits_are_read_or_refused_with_a_remedy() {
        for good in ["throughput<-5%", "p99>+20%", "p99>20%", "cpu_per_request>+0.5%"] {
            assert_eq!(Limit::parse(good).unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("throughput", "neither < nor >"),
            ("speed<-5%", "unknown metric 'speed'"),
            ("throughput<5", "is not a percentage"),
            ("throughput<-x%", "is not a percentage"),
            ("throughput<-100%", "is not a percentage"),
            ("throughput>5%", "not a regression"),
            ("throughput<+5%", "not a regression"),
            ("p99<-5%", "not a regression"),
        ] {
            let said = Limit::parse(bad).unwrap_err();
            assert!(said.contains(why) && said.contains("throughput<-5%"), "{bad}: {said}");
        }
    }

    #[test]
    fn changes_are_written_as_percentages_with_their_interval() {
        let text = change(Metric::Throughput, 1.07, Some((1.02, 1.113))).cell_text();
        assert_eq!(text, "100 → 107  +7.0 % (+2.0 to +11.3) *");
        let mut noisy = change(Metric::Throughput, 1.07, Some((1.02, 1.113)));
        noisy.noise_floor = Some(1.1);
        assert_eq!(noisy.cell_text(), "100 → 107  +7.0 % (+2.0 to +11.3)");
        let text = change(Metric::P99, 0.98, None).cell_text();
        assert_eq!(text, "100 µs → 98.0 µs  -2.0 % (no interval)");
    }
}
