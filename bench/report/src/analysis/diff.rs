//! What changed between two runs: the same servers under the same loads, then and now.

use std::fmt;

use crate::analysis::comparison::{is_clear, is_clearly_less};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::words::describe;
use bench_data::plan::Plan;
use bench_data::record::environment::Environment;
use bench_data::record::rows::{Records, TrialRow};
use bench_data::record::run_folder::Contents;
use bench_data::stats::Estimate;
use bench_data::units;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests answered per second.
    Throughput,
    /// 99th percentile of the response time.
    P99,
    /// The server's processor time per request.
    CpuPerRequest,
}

/// A metric of one server under one load, in both runs.
#[derive(Debug, Clone)]
pub struct Change {
    /// The server.
    pub target: String,
    /// The load.
    pub load: Load,
    /// What was compared.
    pub metric: Metric,
    /// Median of the old run.
    pub old: f64,
    /// Median of the new run.
    pub new: f64,
    /// New by old.
    pub ratio: Estimate,
    /// The factor by which a server differed from itself within either run, the larger of both, where
    /// that is known.
    pub noise_floor: Option<f64>,
}

/// What changed.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// All that could be compared, load by load.
    pub changes: Vec<Change>,
    /// What could not, and why.
    pub incomparable: Vec<String>,
    /// In what else the runs differ.
    pub settings: Vec<String>,
}

/// How much worse a metric may become, such as `throughput<-5%`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    metric: Metric,
    /// New by old.
    ratio: f64,
    text: String,
}

/// What a limit says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Within it.
    Kept,
    /// Beyond it, but not the whole interval is.
    Doubtful,
    /// Beyond it with the whole interval.
    Broken,
}

impl Metric {
    /// All of them, in the order of columns.
    pub const ALL: [Self; 3] = [Self::Throughput, Self::P99, Self::CpuPerRequest];

    /// As limits spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::P99 => "p99",
            Self::CpuPerRequest => "cpu_per_request",
        }
    }

    fn more_is_better(self) -> bool {
        self == Self::Throughput
    }

    fn write(self, value: f64) -> String {
        match self {
            Self::Throughput => units::count(value),
            Self::P99 | Self::CpuPerRequest => units::microseconds(value),
        }
    }

    /// Its values, round by round.
    fn rounds(self, line: &Line, records: &Records) -> Vec<(u32, f64)> {
        match self {
            Self::Throughput => line.rounds.clone(),
            Self::P99 => line.latency_rounds(99.0).to_vec(),
            Self::CpuPerRequest => {
                let is_of = |row: &&TrialRow| {
                    row.target == line.target
                        && row.load() == line.load
                        && row.outcome.is_measured()
                };
                let rows = records.trials.iter().filter(is_of);
                rows.filter_map(|row| Some((row.round, row.server_cpu_us_per_request?))).collect()
            }
        }
    }
}

impl Diff {
    /// Compares two runs. Only what was measured without fault in both is compared.
    pub fn between(old: &Contents, new: &Contents) -> Self {
        let summaries = [old, new].map(|contents| Summary::of(&contents.records));
        let [then, now] = &summaries;
        let mut diff = Self { settings: settings(old, new), ..Self::default() };
        for line in &now.lines {
            let load = format!("{} with {}", line.target, describe(line.load));
            let Some(before) = counterpart(then, line) else {
                diff.lacks(then, line, "new");
                continue;
            };
            let faulty = |line: &Line, which: &str| {
                let why = (!line.is_comparable()).then(|| line.exclusion_reason());
                why.map(|why| format!("{load}: in the {which} run {why}"))
            };
            if let Some(fault) = faulty(before, "old").or_else(|| faulty(line, "new")) {
                diff.incomparable.push(fault);
                continue;
            }
            for metric in Metric::ALL {
                let values = metric.rounds(line, &new.records);
                let earlier = metric.rounds(before, &old.records);
                let floor_of = |summary: &Summary, records: &Records| {
                    summary.noise_floor(line.load, |line| metric.rounds(line, records))
                };
                let floors = [floor_of(then, &old.records), floor_of(now, &new.records)];
                let floor = floors.into_iter().flatten().max_by(f64::total_cmp);
                match Change::of(line, metric, &earlier, &values, floor) {
                    Some(change) => diff.changes.push(change),
                    None => {
                        diff.incomparable.push(format!("{load}: {} is not known", metric.name()));
                    }
                }
            }
        }
        for line in &then.lines {
            if counterpart(now, line).is_none() {
                diff.lacks(now, line, "old");
            }
        }
        diff
    }

    /// Notes that only one run has something: a server as a whole is told once.
    fn lacks(&mut self, other: &Summary, line: &Line, which: &str) {
        let what = if other.targets().contains(&line.target.as_str()) {
            format!("{} with {}", line.target, describe(line.load))
        } else {
            line.target.clone()
        };
        let text = format!("{what}: only in the {which} run");
        if !self.incomparable.contains(&text) {
            self.incomparable.push(text);
        }
    }

    /// What goes beyond a limit, or seems to.
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

    /// All changes as tables, one for each load, and what else must be known.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut loads: Vec<Load> = Vec::new();
        for change in &self.changes {
            if !loads.contains(&change.load) {
                loads.push(change.load);
            }
        }
        let width = self.changes.iter().map(|change| change.target.chars().count()).max();
        let width = width.unwrap_or(0).max("server".len());
        let texts = self.changes.iter().map(|change| change.cell_text().chars().count());
        let wide = texts.max().unwrap_or(0);
        for load in loads {
            let under: Vec<_> = self.changes.iter().filter(|change| change.load == load).collect();
            text += &format!("\nWith {}\n", describe(load));
            text += &format!("  {:<width$}", "server");
            for metric in Metric::ALL {
                text += &format!("  {:<wide$}", metric.name());
            }
            text = text.trim_end().to_owned();
            for change in &under {
                if change.metric == Metric::Throughput {
                    text = text.trim_end().to_owned() + &format!("\n  {:<width$}", change.target);
                }
                text += &format!("  {:<wide$}", change.cell_text());
            }
            text = text.trim_end().to_owned() + "\n";
        }
        for (heading, lines) in
            [("Not compared:", &self.incomparable), ("The runs differ in:", &self.settings)]
        {
            if !lines.is_empty() {
                text += &format!("\n{heading}\n");
                lines.iter().for_each(|line| text += &format!("  {line}\n"));
            }
        }
        text
    }
}

impl Change {
    fn of(
        line: &Line,
        metric: Metric,
        old: &[(u32, f64)],
        new: &[(u32, f64)],
        noise_floor: Option<f64>,
    ) -> Option<Self> {
        let [old, new] =
            [old, new].map(|rounds| rounds.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        Some(Self {
            target: line.target.clone(),
            load: line.load,
            metric,
            old: bench_data::stats::median(&old)?,
            new: bench_data::stats::median(&new)?,
            ratio: Estimate::of_quotient(&new, &old)?,
            noise_floor,
        })
    }

    /// `131k → 140k  +6.9 % (+2.0 to +11.3)`, with a star where it is beyond doubt.
    fn cell_text(&self) -> String {
        let floor = self.noise_floor;
        let clear = is_clear(&self.ratio, floor) || is_clearly_less(&self.ratio, floor);
        let (old, new) = (self.metric.write(self.old), self.metric.write(self.new));
        format!("{old} → {new}  {}{}", percent(&self.ratio), if clear { " *" } else { "" })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.metric;
        let (old, new) = (metric.write(self.old), metric.write(self.new));
        write!(
            f,
            "{} of {} with {}: {old} → {new}, {}",
            metric.name(),
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
    /// Says what is wrong and how a limit is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remedy = "write for example throughput<-5%, p99>+20% or cpu_per_request>+10%";
        let at = text.find(['<', '>']).ok_or_else(|| format!("there is no < or > ({remedy})"))?;
        let (name, rest) = (text[..at].trim(), text[at + 1..].trim());
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name);
        let metric = metric.ok_or_else(|| format!("unknown metric '{name}' ({remedy})"))?;
        let number =
            rest.strip_suffix('%').map(str::trim).and_then(|rest| rest.parse::<f64>().ok());
        let percent = number.filter(|percent| percent.is_finite() && *percent > -100.0);
        let percent = percent.ok_or_else(|| format!("'{rest}' is no percentage ({remedy})"))?;
        let less = text[at..].starts_with('<');
        if less != metric.more_is_better() || (percent < 0.0) != less {
            return Err(format!("that would not be a regression of {name} ({remedy})"));
        }
        Ok(Self { metric, ratio: 1.0 + percent / 100.0, text: text.to_owned() })
    }

    /// Judges a change of the limit's metric. Beyond doubt is only what has an interval, and has
    /// all of it beyond the limit.
    pub fn judge(&self, change: &Change) -> Judgement {
        let beyond = |ratio: f64| {
            if self.metric.more_is_better() { ratio < self.ratio } else { ratio > self.ratio }
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

fn counterpart<'s>(summary: &'s Summary, line: &Line) -> Option<&'s Line> {
    summary.under(line.load).find(|other| other.target == line.target)
}

/// A ratio as the change that it is: `+6.9 % (+2.0 to +11.3)`.
fn percent(ratio: &Estimate) -> String {
    let change = |ratio: f64| format!("{:+.1}", (ratio - 1.0) * 100.0);
    let interval = ratio.interval.map_or_else(
        || " (no interval)".to_owned(),
        |interval| format!(" ({} to {})", change(interval.low), change(interval.high)),
    );
    format!("{} %{interval}", change(ratio.median))
}

/// In what the runs differ beside what was measured.
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
            ("throughput", "no < or >"),
            ("speed<-5%", "unknown metric 'speed'"),
            ("throughput<5", "is no percentage"),
            ("throughput<-x%", "is no percentage"),
            ("throughput<-100%", "is no percentage"),
            ("throughput>5%", "would not be a regression"),
            ("throughput<+5%", "would not be a regression"),
            ("p99<-5%", "would not be a regression"),
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
