//! Published claims about server architectures, compared with the values that a run measured.

use serde::Serialize;

use crate::analysis::comparison::{is_clear, times};
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::section::Section;
use crate::analysis::summary::{Line, Summary};
use crate::analysis::topic::Topic;
use bench_data::load::heavy::WORK_TIME;
use bench_data::load::words::{connections, describe};
use bench_data::load::{Direction, Load};
use bench_data::record::run_folder::Contents;
use bench_data::servers::reference::ReferenceServer;
use bench_data::stats::Estimate;
use bench_data::units;

/// A claim and its test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Source (authors, venue, year).
    pub source: &'static str,
    pub claim: &'static str,
    /// Servers and values of the test, and the condition under which the claim counts as confirmed.
    pub test: &'static str,
    /// Measured values, or the reason why there are none.
    pub measured: String,
    /// Conclusion.
    pub judgement: Judgement,
}

/// Conclusion on a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Judgement {
    /// The whole interval agrees with the claim.
    #[serde(rename = "confirmed")]
    Confirmed,
    /// The whole interval contradicts the claim.
    #[serde(rename = "refuted")]
    Refuted,
    /// The interval includes the bound of the claim.
    #[serde(rename = "undecided")]
    Undecided,
    /// The run lacks comparable trials of these servers under such loads.
    #[serde(rename = "not testable here")]
    NotTestable,
}

impl Judgement {
    /// The conclusion in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
            Self::NotTestable => "not testable here",
        }
    }
}

/// Measured values with the conclusion, or the reason why there are none.
type Found = Result<(String, Judgement), String>;

/// Test of a claim.
type Test = fn(&Run<'_>) -> Found;

/// All claims, compared with the values of a run.
pub(crate) fn claims(contents: &Contents, summary: &Summary, sections: &[Section]) -> Vec<Claim> {
    let run = Run { contents, summary, sections };
    let tests: [(&'static str, &'static str, &'static str, Test); 8] = [
        (
            "Pariag et al., EuroSys 2007",
            "Event-driven servers are about 18 % faster than a tuned thread-per-connection server.",
            "Ratio: throughput of selector ÷ threaded. Confirmed if the whole interval is above 1.09 \
             (half of the claimed 18 %), refuted if it is below.",
            pariag,
        ),
        (
            "Harji et al., 2010",
            "On one processor the best servers of each architecture are within 9 to 13 % of each \
             other.",
            "Each architecture's highest throughput of downloads of the smallest size: event loops \
             (selector, multi-selector, uring), threads (threaded, thread-pool) and hybrid. Ratio: \
             fastest ÷ slowest of the three. Confirmed if the whole interval is below 1.13, refuted \
             if it is above. Only for a server on one core.",
            harji,
        ),
        (
            "von Behren et al., HotOS 2003",
            "An event-driven server of several stages needs six times the context switches of one \
             with lightweight threads.",
            "Ratio: context switches per request, hybrid (an event loop and workers, closest to \
             stages) ÷ tokio (its tasks are lightweight threads). Confirmed if the whole interval is \
             3 (half of the claimed factor) or more, refuted if it is below.",
            von_behren,
        ),
        (
            "Pai et al. (Flash), USENIX 1999",
            "An event loop with helpers for the disk is up to 50 % faster than Apache.",
            "The strategy hybrid has the architecture of Flash. Ratio: throughput of hybrid ÷ fastest \
             Apache MPM, under the load where the ratio is highest. Confirmed if hybrid is clearly \
             faster (interval above 1, median above the noise floor), refuted if the whole interval \
             is below 1.",
            flash,
        ),
        (
            "Schroeder et al., NSDI 2006",
            "At the same load the mean response time of an open loop is at least ten times that of a \
             closed loop.",
            "Ratio: mean response time, open ÷ closed loop, of selector or threaded, where the \
             throughput of the closed loop is within 10 % of the offered rate. Of several such pairs, \
             the one with the highest rate. Confirmed if the whole interval is 10 or more, refuted \
             if it is below.",
            schroeder,
        ),
        (
            "Folklore",
            "Apache is slow because it uses threads.",
            "The strategy threaded also uses threads. Ratio: throughput of threaded ÷ fastest Apache \
             MPM. Refuted if threaded is clearly faster (interval above 1, median above the noise \
             floor): threads alone then do not make a server slow. Confirmed if the whole interval \
             is below 1.",
            folklore,
        ),
        (
            "nginx.org, since 2004",
            "10,000 idle connections of nginx take about 2.5 MB.",
            "Memory of nginx per idle connection; 250 bytes according to the claim. Confirmed if the \
             whole interval is below 1 KiB, refuted if it is above.",
            nginx_memory,
        ),
        (
            "Common argument for worker pools",
            "One blocked worker stalls every client of an event loop.",
            "Ratio: p99 response time of light requests while heavy requests block, selector ÷ hybrid \
             (which passes blocking work to workers). Confirmed if the whole interval is above 2 and \
             the p99 of selector is about 20 ms (the time for which a request blocks) or more, \
             refuted if either is less.",
            blocked,
        ),
    ];
    tests
        .into_iter()
        .map(|(source, claim, test, found)| {
            let (measured, judgement) = match found(&run) {
                Ok((measured, judgement)) => (measured, judgement),
                Err(why) => (why, Judgement::NotTestable),
            };
            Claim { source, claim, test, measured, judgement }
        })
        .collect()
}

struct Run<'r> {
    contents: &'r Contents,
    summary: &'r Summary,
    sections: &'r [Section],
}

fn pariag(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let lead = lead(finding, "selector", "threaded")?;
    let measured = format!(
        "{}, selector reaches {} the throughput of threaded.",
        finding.condition,
        times(lead)
    );
    Ok((measured, above(lead, 1.09)))
}

fn harji(run: &Run<'_>) -> Found {
    let cores = run.contents.environment.placement.server_cores.len();
    if cores != 1 {
        return Err(format!(
            "The server had {cores} cores, or was not pinned; the claim is for one."
        ));
    }
    const ARCHITECTURES: [(&str, &[&str]); 3] = [
        ("event loops", &["selector", "multi-selector", "uring"]),
        ("threads", &["threaded", "thread-pool"]),
        ("hybrid", &["hybrid"]),
    ];
    let lines = run.small_downloads();
    let mut best: Vec<(&str, &Line)> = Vec::new();
    for (name, servers) in ARCHITECTURES {
        let own = lines.iter().filter(|line| servers.contains(&line.target.as_str()));
        let line = own.max_by(|a, b| a.throughput().total_cmp(&b.throughput()));
        let line = line.ok_or_else(|| format!("No comparable trial of {}.", servers.join(", ")))?;
        best.push((name, line));
    }
    best.sort_by(|(_, a), (_, b)| b.throughput().total_cmp(&a.throughput()));
    let ratio = ratio(Metric::Throughput, best[0].1, best[best.len() - 1].1)?;
    let each: Vec<_> = best
        .iter()
        .map(|(name, line)| {
            format!(
                "{name} {} ({}, {})",
                Metric::Throughput.write(line.throughput()),
                line.target,
                connections(line.load.connections)
            )
        })
        .collect();
    let measured = format!("{}; fastest ÷ slowest: {}.", each.join(", "), times(ratio));
    Ok((measured, below(ratio, 1.13)))
}

fn von_behren(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let (staged, cheap) = (run.line(finding.load, "hybrid")?, run.line(finding.load, "tokio")?);
    let metric = Metric::SwitchesPerRequest;
    let ratio = Estimate::of_ratios(staged.rounds(metric), cheap.rounds(metric))
        .ok_or("Context switches were not recorded.")?;
    let of =
        |line: &Line| line.median(metric).map_or_else(|| "–".to_owned(), |one| format!("{one:.4}"));
    let threads = run.line(finding.load, "threaded").map(of).unwrap_or_else(|_| "–".to_owned());
    let measured = format!(
        "{}, context switches per request: hybrid {}, tokio {}, threaded (a thread per connection) \
         {threads}; hybrid ÷ tokio: {}.",
        finding.condition,
        of(staged),
        of(cheap),
        times(ratio),
    );
    Ok((measured, above(ratio, 3.0)))
}

fn flash(run: &Run<'_>) -> Found {
    let mut leads: Vec<(Load, &Line, Estimate)> = Vec::new();
    for line in run.comparable("hybrid").filter(|line| is_plain(line.load)) {
        let Some(apache) = run.fastest_apache(line.load) else { continue };
        if let Ok(lead) = ratio(Metric::Throughput, line, apache) {
            leads.push((line.load, apache, lead));
        }
    }
    leads.sort_by(|a, b| b.2.median.total_cmp(&a.2.median));
    let (load, apache, lead) =
        *leads.first().ok_or("No load has comparable trials of both hybrid and an Apache MPM.")?;
    let floor = run.summary.noise_floor(load, &|line| line.rounds(Metric::Throughput).to_vec());
    let mut measured = format!(
        "With {}, hybrid reaches {} the throughput of {}.",
        describe(load),
        times(lead),
        apache.target
    );
    if lead.interval.is_some_and(|interval| interval.low > 1.5) {
        measured += " That exceeds the claim.";
    }
    let judgement = match (is_clear(&lead, floor), lead.interval) {
        (true, _) => Judgement::Confirmed,
        (false, Some(interval)) if interval.high < 1.0 => Judgement::Refuted,
        (false, _) => Judgement::Undecided,
    };
    Ok((measured, judgement))
}

fn schroeder(run: &Run<'_>) -> Found {
    const ALIKE: f64 = 0.1;
    let mut pairs: Vec<(&Line, &Line)> = Vec::new();
    for target in ["selector", "threaded"] {
        for open in run.comparable(target) {
            let Some(offered) = open.load.profile.rate_per_s.map(f64::from) else { continue };
            for closed in run.comparable(target).filter(|line| is_plain(line.load)) {
                let same = (closed.load.direction, closed.load.size)
                    == (open.load.direction, open.load.size);
                if same && (closed.throughput() / offered - 1.0).abs() <= ALIKE {
                    pairs.push((open, closed));
                }
            }
        }
    }
    let highest =
        pairs.into_iter().max_by(|(a, _), (b, _)| a.throughput().total_cmp(&b.throughput()));
    let (open, closed) = highest.ok_or(
        "The run has no open and closed loop of the same throughput, of selector or threaded.",
    )?;
    let metric = Metric::MeanResponse;
    let ratio = Estimate::of_ratios(open.rounds(metric), closed.rounds(metric))
        .ok_or("Mean response times were not recorded.")?;
    let mean = |line: &Line| {
        line.median(metric).map_or_else(|| "–".to_owned(), |value| metric.write(value))
    };
    let measured = format!(
        "{} at {}: mean response time {} in the open loop and {} in the closed loop of {}, a ratio of \
         {}.",
        open.target,
        Metric::Throughput.write(open.throughput()),
        mean(open),
        mean(closed),
        connections(closed.load.connections),
        times(ratio)
    );
    Ok((measured, above(ratio, 10.0)))
}

fn folklore(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let threaded = run.line(finding.load, "threaded")?;
    let apache = run
        .fastest_apache(finding.load)
        .ok_or_else(|| format!("{}: no comparable trial of an Apache MPM.", finding.condition))?;
    let lead = ratio(Metric::Throughput, threaded, apache)?;
    let mut measured = format!(
        "{}, threaded reaches {} the throughput of {}",
        finding.condition,
        times(lead),
        apache.target
    );
    for (above, below) in [("selector", "threaded"), ("nginx", "threaded")] {
        if let Ok(ratio) = self::lead(finding, above, below) {
            measured += &format!("; {above} {} that of {below}", times(ratio));
        }
    }
    let judgement = match (is_clear(&lead, finding.noise_floor), lead.interval) {
        (true, _) => Judgement::Refuted,
        (false, Some(interval)) if interval.high < 1.0 => Judgement::Confirmed,
        (false, _) => Judgement::Undecided,
    };
    Ok((measured + ".", judgement))
}

fn nginx_memory(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Idle)?;
    let score =
        finding.score("nginx").ok_or("No comparable trial of nginx with idle connections.")?;
    let slope = score.value.ok_or(NO_ROUNDS)?;
    let mut measured = format!("{}, nginx needs {:.0} bytes each", finding.condition, slope.median);
    if let Some(interval) = slope.interval {
        measured += &format!(" [{:.0}, {:.0}]", interval.low, interval.high);
    }
    let others = ["selector", "threaded"].into_iter().filter_map(|name| finding.score(name));
    for other in others {
        measured += &format!("; {} {}", other.target, finding.written(other));
    }
    Ok((measured + ".", below(slope, 1024.0)))
}

fn blocked(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Heavy)?;
    let lead = lead(finding, "hybrid", "selector")?;
    let selector = finding.score("selector").and_then(|score| score.value).ok_or(NO_ROUNDS)?;
    let waits = selector.median >= WORK_TIME.as_micros() as f64 * 0.9;
    let measured = format!(
        "{}, the {} is {} with selector, {} that of hybrid.",
        finding.condition,
        finding.quantity(),
        units::microseconds(selector.median),
        times(lead)
    );
    Ok((measured, if waits { above(lead, 2.0) } else { Judgement::Refuted }))
}

const NO_ROUNDS: &str = "No round contains both values.";

impl Run<'_> {
    /// Finding of the first experiment on a topic.
    fn finding(&self, topic: Topic) -> Result<&Finding, String> {
        let section = self.sections.iter().find(|section| section.topic == topic);
        let finding = section.and_then(|section| section.finding.as_ref());
        finding.ok_or_else(|| format!("The run has no experiment on {}.", topic.name()))
    }

    fn line(&self, load: Load, target: &str) -> Result<&Line, String> {
        let line = self.summary.line(load, target).filter(|line| line.is_comparable());
        line.ok_or_else(|| format!("No comparable trial of {target} with {}.", describe(load)))
    }

    fn comparable<'s>(&'s self, target: &'s str) -> impl Iterator<Item = &'s Line> {
        self.summary.lines.iter().filter(move |line| line.target == target && line.is_comparable())
    }

    /// Comparable lines of plain downloads of the smallest size.
    fn small_downloads(&self) -> Vec<&Line> {
        let plain = |line: &&Line| is_plain(line.load) && line.is_comparable();
        let lines: Vec<_> = self.summary.lines.iter().filter(plain).collect();
        let smallest = lines.iter().map(|line| line.load.size).min();
        lines.into_iter().filter(|line| Some(line.load.size) == smallest).collect()
    }

    fn fastest_apache(&self, load: Load) -> Option<&Line> {
        use ReferenceServer::{ApacheEvent, ApachePrefork, ApacheWorker};
        let names = [ApachePrefork, ApacheWorker, ApacheEvent].map(ReferenceServer::name);
        let apaches = self
            .summary
            .under(load)
            .filter(|line| names.contains(&&*line.target) && line.is_comparable());
        apaches.max_by(|a, b| a.throughput().total_cmp(&b.throughput()))
    }
}

/// Returns true for downloads by a closed loop over persistent connections and nothing beside it.
fn is_plain(load: Load) -> bool {
    load.profile.is_usual() && load.direction == Direction::Download
}

/// Ratio of two lines in a metric.
fn ratio(metric: Metric, above: &Line, below: &Line) -> Result<Estimate, String> {
    let ratio = Estimate::of_ratios(above.rounds(metric), below.rounds(metric));
    ratio.ok_or_else(|| NO_ROUNDS.to_owned())
}

/// Factor by which a server is better than another.
fn lead(finding: &Finding, better: &str, worse: &str) -> Result<Estimate, String> {
    let score = |name: &str| {
        let found = finding.score(name);
        found.ok_or_else(|| format!("{}: no comparable trial of {name}.", finding.condition))
    };
    finding.lead(score(better)?, score(worse)?).ok_or_else(|| NO_ROUNDS.to_owned())
}

fn above(ratio: Estimate, bound: f64) -> Judgement {
    match ratio.interval {
        Some(interval) if interval.low >= bound => Judgement::Confirmed,
        Some(interval) if interval.high < bound => Judgement::Refuted,
        _ => Judgement::Undecided,
    }
}

fn below(ratio: Estimate, bound: f64) -> Judgement {
    match ratio.interval {
        Some(interval) if interval.high <= bound => Judgement::Confirmed,
        Some(interval) if interval.low > bound => Judgement::Refuted,
        _ => Judgement::Undecided,
    }
}
