//! Published claims about server architectures, compared with the values that a run measured.

use serde::Serialize;

use crate::analysis::comparison::family;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::section::Section;
use crate::analysis::sentence::{times, too_few};
use crate::analysis::statistics::holm::adjusted;
use crate::analysis::statistics::ratio::{LEAST_ROUNDS, RatioEstimate};
use crate::analysis::statistics::verdict::{ALPHA, Direction as Side, Verdict};
use crate::analysis::summary::{Line, Summary};
use crate::analysis::topic::Topic;
use bench_data::load::heavy::WORK_TIME;
use bench_data::load::words::{connections, describe};
use bench_data::load::{Direction, Load};
use bench_data::record::run_folder::Contents;
use bench_data::servers::reference::ReferenceServer;
use bench_data::units;

/// A claim and its test. Its direction (which server is better) and its magnitude (by how much) are
/// judged apart, for the machine of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Source (authors, venue, year).
    pub source: &'static str,
    pub claim: &'static str,
    /// Servers and values of the test, and the conditions under which they agree with the claim.
    pub test: &'static str,
    /// Measured values, or the reason why there are none.
    pub measured: String,
    /// Conclusion on the direction.
    pub direction: Judgement,
    /// Conclusion on the magnitude.
    pub magnitude: Judgement,
}

/// Conclusion on a part of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// The values agree with the claim.
    Agrees,
    /// The values contradict the claim.
    Disagrees,
    /// Neither is shown.
    Undecided,
    /// The claim says nothing about it.
    NotClaimed,
    /// The run lacks comparable trials of these servers under such loads.
    NotTestable,
}

impl Judgement {
    /// The conclusion in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Disagrees => "disagrees",
            Self::Undecided => "undecided",
            Self::NotClaimed => "not claimed",
            Self::NotTestable => "not testable here",
        }
    }
}

impl Claim {
    /// Returns true if the run has the trials for a part of the claim.
    pub fn is_testable(&self) -> bool {
        ![self.direction, self.magnitude].contains(&Judgement::NotTestable)
    }

    /// Both conclusions in words: `Direction: agrees. Magnitude: undecided.`
    pub fn conclusion(&self) -> String {
        if self.direction == Judgement::NotTestable {
            return "Not testable here.".to_owned();
        }
        let parts = [("Direction", self.direction), ("Magnitude", self.magnitude)];
        let claimed = parts.into_iter().filter(|(_, one)| *one != Judgement::NotClaimed);
        let each: Vec<_> = claimed.map(|(part, one)| format!("{part}: {}.", one.name())).collect();
        each.join(" ")
    }
}

/// Evidence on a claim.
struct Evidence {
    measured: String,
    /// Ratio that is above 1 if the claim's direction is right, and the conclusion if it is equivalent
    /// to 1; `None` if no direction is claimed.
    direction: Option<(RatioEstimate, Judgement)>,
    magnitude: Judgement,
    /// Rounds of the evidence.
    rounds: usize,
}

/// Evidence, or the reason why there is none.
type Found = Result<Evidence, String>;

/// Test of a claim.
type Test = fn(&Run<'_>) -> Found;

/// All claims, compared with the values of a run. Their directions are one family: p values are
/// corrected for the number of claims.
pub(crate) fn claims(contents: &Contents, summary: &Summary, sections: &[Section]) -> Vec<Claim> {
    let run = Run { contents, summary, sections };
    let tests: [(&'static str, &'static str, &'static str, Test); 8] = [
        (
            "Pariag et al., EuroSys 2007",
            "Event-driven servers are about 18 % faster than a tuned thread-per-connection server.",
            "Ratio: throughput of selector ÷ threaded. Direction: above 1. Magnitude: the interval is \
             within 1.09 to 1.27 (half to one and a half of the claimed 18 %).",
            pariag,
        ),
        (
            "Harji et al., 2010",
            "On one processor the best servers of each architecture are within 9 to 13 % of each \
             other.",
            "Ratios between the throughputs of selector, threaded and hybrid under one load. Magnitude: \
             all intervals are within 13 %. Only for a server on one core.",
            harji,
        ),
        (
            "von Behren et al., HotOS 2003",
            "An event-driven server of several stages needs six times the context switches of one \
             with lightweight threads.",
            "Ratio: context switches per request, hybrid (an event loop and workers, closest to \
             stages) ÷ tokio (its tasks are lightweight threads). Direction: above 1. Magnitude: the \
             interval is within 3 to 12 (half to twice the claimed factor). Only with at least 1,000 \
             context switches in each window.",
            von_behren,
        ),
        (
            "Pai et al. (Flash), USENIX 1999",
            "An event loop with helpers for the disk is up to 50 % faster than Apache.",
            "The strategy hybrid has the architecture of Flash. Ratio: throughput of hybrid ÷ fastest \
             Apache MPM. Direction: above 1. Magnitude: the interval is within 1 to 1.5.",
            flash,
        ),
        (
            "Schroeder et al., NSDI 2006",
            "At the same load the mean response time of an open loop can be ten times that of a closed \
             loop.",
            "Ratio: mean response time, open ÷ closed loop, of selector or threaded, where the \
             throughput of the closed loop is within 10 % of the offered rate. Of several such pairs, \
             the one with the highest rate. Direction: above 1. Magnitude: the interval is 10 or more; \
             a smaller ratio under one load does not contradict the claim.",
            schroeder,
        ),
        (
            "Folklore",
            "Apache is slow because it uses threads.",
            "The strategy threaded also uses threads. Ratio: throughput of the fastest Apache MPM ÷ \
             threaded. Direction: 1 or above. If threaded is faster, threads alone do not make a server \
             slow.",
            folklore,
        ),
        (
            "nginx.org, since 2004",
            "10,000 idle connections of nginx take about 2.5 MB.",
            "Memory of nginx per idle connection; 250 bytes according to the claim. Magnitude: the \
             interval is within 125 to 500 bytes (half to twice as much).",
            nginx_memory,
        ),
        (
            "Common argument for worker pools",
            "One blocked worker stalls every client of an event loop.",
            "Ratio: p99 response time of light requests while heavy requests block, selector ÷ hybrid \
             (which passes blocking work to workers). Direction: above 1. Magnitude: the p99 of \
             selector is 18 ms or more (a request blocks for 20 ms).",
            blocked,
        ),
    ];
    let found = tests.map(|(source, claim, test, found)| (source, claim, test, found(&run)));
    let direction = |found: &Found| Some(found.as_ref().ok()?.direction?.0);
    let ratios: Vec<_> = found.iter().filter_map(|(.., found)| direction(found)).collect();
    let mut compared = family(&ratios).into_iter();
    let judge = |(source, claim, test, found): (_, _, _, Found)| {
        let (direction, magnitude, measured) = match found {
            Err(why) => (Judgement::NotTestable, Judgement::NotTestable, why),
            Ok(evidence) => {
                let direction = match evidence.direction {
                    None => Judgement::NotClaimed,
                    Some((_, if_equal)) => match compared.next().map(|one| one.verdict) {
                        Some(Verdict::Different(Side::Above)) => Judgement::Agrees,
                        Some(Verdict::Different(Side::Below)) => Judgement::Disagrees,
                        Some(Verdict::Equivalent) => if_equal,
                        Some(Verdict::Undecided) | None => Judgement::Undecided,
                    },
                };
                let mut measured = evidence.measured;
                if evidence.rounds < LEAST_ROUNDS {
                    measured += &format!(" {}", too_few(evidence.rounds));
                }
                (direction, evidence.magnitude, measured)
            }
        };
        Claim { source, claim, test, measured, direction, magnitude }
    };
    found.into_iter().map(judge).collect()
}

struct Run<'r> {
    contents: &'r Contents,
    summary: &'r Summary,
    sections: &'r [Section],
}

fn pariag(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let ratio = ratio_of(finding, "selector", "threaded")?;
    let measured = format!(
        "{}, the throughput of selector is {} that of threaded.",
        finding.condition,
        times(&ratio)
    );
    Ok(Evidence::of(measured, ratio, within(&ratio, 1.09, 1.27)))
}

fn harji(run: &Run<'_>) -> Found {
    const MOST: f64 = 1.13;
    let cores = run.contents.environment.placement.server_cores.len();
    if cores != 1 {
        return Err(format!(
            "The server had {cores} cores, or was not pinned; the claim is for one."
        ));
    }
    let finding = run.finding(Topic::Throughput)?;
    let pairs = [("selector", "threaded"), ("selector", "hybrid"), ("hybrid", "threaded")];
    let mut ratios = Vec::new();
    for (above, below) in pairs {
        ratios.push(ratio_of(finding, above, below)?);
    }
    let each: Vec<_> = pairs
        .iter()
        .zip(&ratios)
        .map(|((above, below), ratio)| format!("{above} ÷ {below} {}", times(ratio)))
        .collect();
    let beyond = |ratio: &RatioEstimate| {
        let ratio = if ratio.ratio < 1.0 { ratio.inverse() } else { *ratio };
        ratio.p_of_beyond(MOST, true).map(|p| (2.0 * p).min(1.0))
    };
    let p_values: Option<Vec<f64>> = ratios.iter().map(beyond).collect();
    let is_beyond = p_values.is_some_and(|p| adjusted(&p).iter().any(|p| *p <= ALPHA));
    let all_within =
        ratios.iter().all(|ratio| within(ratio, 1.0 / MOST, MOST) == Judgement::Agrees);
    let magnitude = match (all_within, is_beyond) {
        (true, _) => Judgement::Agrees,
        (false, true) => Judgement::Disagrees,
        (false, false) => Judgement::Undecided,
    };
    let rounds = ratios.iter().map(|ratio| ratio.rounds).min().unwrap_or(0);
    let measured = format!("{}, throughput: {}.", finding.condition, each.join(", "));
    Ok(Evidence { measured, direction: None, magnitude, rounds })
}

fn von_behren(run: &Run<'_>) -> Found {
    const FEWEST: u64 = 1_000;
    let finding = run.finding(Topic::Throughput)?;
    let (staged, cheap) = (run.line(finding.load, "hybrid")?, run.line(finding.load, "tokio")?);
    for line in [staged, cheap] {
        let fewest = run.fewest_switches(line).ok_or("Context switches were not recorded.")?;
        if fewest < FEWEST {
            return Err(format!(
                "{}, a window of {} has only {} context switches, too few for a ratio.",
                finding.condition,
                line.target,
                units::grouped(fewest as usize)
            ));
        }
    }
    let metric = Metric::SwitchesPerRequest;
    let ratio = ratio(metric, staged, cheap)?;
    let of = |line: &Line| metric.write(line.median(metric).unwrap_or(0.0));
    let measured = format!(
        "{}, context switches per request: hybrid {}, tokio {}; hybrid ÷ tokio {}.",
        finding.condition,
        of(staged),
        of(cheap),
        times(&ratio),
    );
    Ok(Evidence::of(measured, ratio, within(&ratio, 3.0, 12.0)))
}

fn flash(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let (hybrid, apache) = (run.line(finding.load, "hybrid")?, run.fastest_apache(finding)?);
    let ratio = ratio(Metric::Throughput, hybrid, apache)?;
    let measured = format!(
        "{}, the throughput of hybrid is {} that of {}.",
        finding.condition,
        times(&ratio),
        apache.target
    );
    Ok(Evidence::of(measured, ratio, within(&ratio, 1.0, 1.5)))
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
    let ratio = ratio(metric, open, closed)?;
    let mean = |line: &Line| {
        line.median(metric).map_or_else(|| "–".to_owned(), |value| metric.write(value))
    };
    let measured = format!(
        "{} at {}: mean response time {} in the open loop and {} in the closed loop of {}; open ÷ closed \
         {}.",
        open.target,
        Metric::Throughput.write(open.throughput()),
        mean(open),
        mean(closed),
        connections(closed.load.connections),
        times(&ratio)
    );
    let is_ten = within(&ratio, 10.0, f64::INFINITY) == Judgement::Agrees;
    let magnitude = if is_ten { Judgement::Agrees } else { Judgement::Undecided };
    Ok(Evidence::of(measured, ratio, magnitude))
}

fn folklore(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let (threaded, apache) = (run.line(finding.load, "threaded")?, run.fastest_apache(finding)?);
    let ratio = ratio(Metric::Throughput, apache, threaded)?;
    let measured = format!(
        "{}, the throughput of {} is {} that of threaded.",
        finding.condition,
        apache.target,
        times(&ratio)
    );
    let direction = Some((ratio, Judgement::Agrees));
    Ok(Evidence { measured, direction, magnitude: Judgement::NotClaimed, rounds: ratio.rounds })
}

fn nginx_memory(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Idle)?;
    let score =
        finding.score("nginx").ok_or("No comparable trial of nginx with idle connections.")?;
    let values: Vec<f64> = score.rounds.iter().map(|(_, bytes)| *bytes).collect();
    let bytes =
        RatioEstimate::of_values(&values).map_err(|why| format!("nginx: {}.", why.text()))?;
    let spread = match bytes.interval() {
        Some(within) => format!(" [{:.0}, {:.0}]", within.low, within.high),
        None => format!(" ({:.0} to {:.0})", bytes.range.low, bytes.range.high),
    };
    let mut measured =
        format!("{}, nginx needs {:.0}{spread} bytes each", finding.condition, bytes.ratio);
    let others = ["selector", "threaded"].into_iter().filter_map(|name| finding.score(name));
    for other in others {
        measured += &format!("; {} {}", other.target, finding.written(other));
    }
    let magnitude = within(&bytes, 125.0, 500.0);
    Ok(Evidence { measured: measured + ".", direction: None, magnitude, rounds: bytes.rounds })
}

fn blocked(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Heavy)?;
    let ratio = ratio_of(finding, "selector", "hybrid")?;
    let score = finding.score("selector").ok_or(NO_ROUNDS)?;
    let values: Vec<f64> = score.rounds.iter().map(|(_, value)| *value).collect();
    let waits = RatioEstimate::of_values(&values).map_err(|why| format!("{}.", why.text()))?;
    let measured = format!(
        "{}, the {} is {} with selector, {} that of hybrid.",
        finding.condition,
        finding.quantity(),
        finding.written(score),
        times(&ratio)
    );
    let least = WORK_TIME.as_micros() as f64 * 0.9;
    Ok(Evidence::of(measured, ratio, within(&waits, least, f64::INFINITY)))
}

const NO_ROUNDS: &str = "No round contains both values.";

impl Evidence {
    /// Evidence of a claim with a direction, which is wrong if the two are equivalent.
    fn of(measured: String, ratio: RatioEstimate, magnitude: Judgement) -> Self {
        let direction = Some((ratio, Judgement::Disagrees));
        Self { measured, direction, magnitude, rounds: ratio.rounds }
    }
}

impl Run<'_> {
    /// Finding of the first experiment on a topic.
    fn finding(&self, topic: Topic) -> Result<&Finding, String> {
        let section = self.sections.iter().find(|section| section.topic == topic);
        if section.is_some_and(Section::is_void) {
            return Err(format!("The experiment on {} is void.", topic.name()));
        }
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

    /// Fewest context switches in a window of a server.
    fn fewest_switches(&self, line: &Line) -> Option<u64> {
        let rows = self.contents.records.trials.iter();
        let own = rows.filter(|row| {
            row.target == line.target && row.load() == line.load && row.outcome.is_measured()
        });
        own.filter_map(|row| {
            Some(row.server_voluntary_switches? + row.server_involuntary_switches?)
        })
        .min()
    }

    fn fastest_apache(&self, finding: &Finding) -> Result<&Line, String> {
        use ReferenceServer::{ApacheEvent, ApachePrefork, ApacheWorker};
        let names = [ApachePrefork, ApacheWorker, ApacheEvent].map(ReferenceServer::name);
        let apaches = self
            .summary
            .under(finding.load)
            .filter(|line| names.contains(&&*line.target) && line.is_comparable());
        let fastest = apaches.max_by(|a, b| a.throughput().total_cmp(&b.throughput()));
        fastest
            .ok_or_else(|| format!("{}: no comparable trial of an Apache MPM.", finding.condition))
    }
}

/// Returns true for downloads by a closed loop over persistent connections and nothing beside it.
fn is_plain(load: Load) -> bool {
    load.profile.is_usual() && load.direction == Direction::Download
}

/// Ratio of two lines in a metric.
fn ratio(metric: Metric, above: &Line, below: &Line) -> Result<RatioEstimate, String> {
    let ratio = RatioEstimate::of_rounds(above.rounds(metric), below.rounds(metric));
    ratio.map_err(|why| {
        format!("{} ÷ {}, {}: {}.", above.target, below.target, metric.name(), why.text())
    })
}

/// Ratio of the values of two servers in a finding.
fn ratio_of(finding: &Finding, above: &str, below: &str) -> Result<RatioEstimate, String> {
    let score = |name: &str| {
        let found = finding.score(name);
        found.ok_or_else(|| format!("{}: no comparable trial of {name}.", finding.condition))
    };
    RatioEstimate::of_rounds(&score(above)?.rounds, &score(below)?.rounds)
        .map_err(|why| format!("{above} ÷ {below}: {}.", why.text()))
}

/// Judges whether a whole interval lies within bounds, or outside of them.
fn within(ratio: &RatioEstimate, low: f64, high: f64) -> Judgement {
    match ratio.interval() {
        Some(interval) if interval.low >= low && interval.high <= high => Judgement::Agrees,
        Some(interval) if interval.high < low || interval.low > high => Judgement::Disagrees,
        _ => Judgement::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_interval_agrees_or_disagrees() {
        let judged =
            |values: &[f64]| within(&RatioEstimate::of_values(values).unwrap(), 1.09, 1.27);
        assert_eq!(judged(&[1.17, 1.18, 1.19, 1.18, 1.17]), Judgement::Agrees);
        assert_eq!(judged(&[1.60, 1.62, 1.64, 1.61, 1.63]), Judgement::Disagrees);
        assert_eq!(judged(&[1.00, 1.01, 0.99, 1.0, 1.0]), Judgement::Disagrees);
        assert_eq!(judged(&[1.10, 1.25, 1.05, 1.3, 1.2]), Judgement::Undecided);
        assert_eq!(judged(&[1.60, 1.62, 1.64, 1.61]), Judgement::Undecided, "four rounds");
    }
}
