//! What has been published about ways to serve, beside what a run measured.

use serde::Serialize;

use crate::analysis::comparison::{is_clear, with_interval};
use crate::analysis::finding::Finding;
use crate::analysis::section::Section;
use crate::analysis::summary::{Line, Summary};
use crate::analysis::topic::Topic;
use bench_data::load::Load;
use bench_data::load::heavy::WORK_TIME;
use bench_data::record::run_folder::Contents;
use bench_data::stats::Estimate;
use bench_data::units;

/// A claim and its test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Who said it.
    pub source: &'static str,
    /// What.
    pub claim: &'static str,
    /// Which servers and what value are held against it, and when it counts as confirmed.
    pub test: &'static str,
    /// What this run measured, or why it could not.
    pub measured: String,
    /// What follows.
    pub judgement: Judgement,
}

/// What a run says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Judgement {
    /// The whole interval lies where the claim says.
    #[serde(rename = "confirmed")]
    Confirmed,
    /// None of it does.
    #[serde(rename = "refuted")]
    Refuted,
    /// Part of it does.
    #[serde(rename = "undecided")]
    Undecided,
    /// The run has no sound trials of these servers under such loads.
    #[serde(rename = "not testable here")]
    NotTestable,
}

impl Judgement {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
            Self::NotTestable => "not testable here",
        }
    }
}

/// What a test found: what was measured, and what follows; or why there is nothing.
type Found = Result<(String, Judgement), String>;

/// Reads a run for a claim.
type Test = fn(&Run<'_>) -> Found;

/// Every claim with what this run says about it.
pub fn claims(contents: &Contents, summary: &Summary, sections: &[Section]) -> Vec<Claim> {
    let run = Run { contents, summary, sections };
    let tests: [(&'static str, &'static str, &'static str, Test); 8] = [
        (
            "Pariag et al., EuroSys 2007",
            "Event-driven and pipelined servers are about 18 % above a tuned thread-per-connection \
             server.",
            "Requests/s of selector by threaded, under the load that throughput is judged by. \
             Confirmed where the whole interval is above 1.09, half of that lead.",
            pariag,
        ),
        (
            "Harji et al., 2010",
            "The best of each architecture lie within 9 to 13 % of each other on one processor.",
            "The highest requests/s of downloads of the smallest size by event loops (selector, \
             multi-selector, uring), by threads (threaded, thread-pool) and by the mixed way (hybrid); \
             the fastest by the slowest of the three. Confirmed where the whole interval is below \
             1.13. Server on one core only.",
            harji,
        ),
        (
            "von Behren et al., HotOS 2003",
            "A staged event server makes six times the context switches of cheap threads.",
            "Context switches per request of hybrid, the nearest to a staged server here, by those of \
             tokio, whose tasks are the cheap threads. Confirmed where the whole interval is 3 or more, \
             half of that.",
            von_behren,
        ),
        (
            "Pai et al. (Flash), USENIX 1999",
            "An event loop with helpers for the disk is up to 50 % faster than Apache.",
            "Requests/s of hybrid, the same architecture, by the fastest Apache of the run, under the load \
             where that is most. Confirmed where hybrid is clearly faster: the interval above 1 and \
             beyond the noise floor.",
            flash,
        ),
        (
            "Schroeder et al., NSDI 2006",
            "At the same load the mean response time of an open loop is ten times that of a closed one \
             and more.",
            "Mean response time of selector, or of threaded, in an open loop by that in the closed loop \
             whose rate differs by at most 10 % from the rate offered; of such pairs the one nearest to \
             the highest rate. Confirmed where the whole interval is 10 or more.",
            schroeder,
        ),
        (
            "Folklore",
            "Apache is slow because it uses threads.",
            "Requests/s of threaded, which has a thread per connection as well, by the fastest Apache of \
             the run. Refuted where threaded is clearly faster: threads alone do not make it slow.",
            folklore,
        ),
        (
            "nginx.org, since 2004",
            "Memory does not grow with connections: 10,000 idle ones take about 2.5 MB.",
            "nginx's memory per idle connection. Confirmed where the whole interval is below 1 KiB; the \
             claim makes it 250 bytes.",
            nginx_memory,
        ),
        (
            "Pitch for worker pools",
            "One blocked worker stalls every client of an event loop.",
            "The 99th percentile of light requests of selector while others block it, by that of hybrid, \
             which hands what blocks to workers. Confirmed where the whole interval is above 2 and \
             selector's clients wait for as long as one of the others blocks.",
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
        "{}: selector serves {} times the requests/s of threaded.",
        finding.condition,
        with_interval(lead)
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
    const WAYS: [(&str, &[&str]); 3] = [
        ("event loops", &["selector", "multi-selector", "uring"]),
        ("threads", &["threaded", "thread-pool"]),
        ("the mixed way", &["hybrid"]),
    ];
    let lines = run.small_downloads();
    let mut best: Vec<(&str, &Line)> = Vec::new();
    for (way, names) in WAYS {
        let own = lines.iter().filter(|line| names.contains(&line.target.as_str()));
        let line = own.max_by(|a, b| rate(a).total_cmp(&rate(b)));
        let line = line.ok_or_else(|| format!("No sound trial of {}.", names.join(", ")))?;
        best.push((way, line));
    }
    best.sort_by(|(_, a), (_, b)| rate(b).total_cmp(&rate(a)));
    let (first, last) = (best[0], best[best.len() - 1]);
    let ratio = Estimate::of_ratios(&first.1.rounds, &last.1.rounds).ok_or(NO_ROUNDS)?;
    let each: Vec<_> = best
        .iter()
        .map(|(way, line)| {
            format!(
                "{way} {} ({} with {} connections)",
                units::count(rate(line)),
                line.target,
                line.load.connections
            )
        })
        .collect();
    let measured =
        format!("{}; the first is {} times the last.", each.join(", "), with_interval(ratio));
    Ok((measured, below(ratio, 1.13)))
}

fn von_behren(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let (staged, cheap) = (run.line(finding.load, "hybrid")?, run.line(finding.load, "tokio")?);
    let ratio = Estimate::of_ratios(&staged.switch_rounds, &cheap.switch_rounds)
        .ok_or("Context switches were not recorded.")?;
    let of = |line: &Line| {
        line.switches_per_request.map_or_else(|| "–".to_owned(), |one| format!("{:.4}", one.median))
    };
    let threads = run.line(finding.load, "threaded").map(of).unwrap_or_else(|_| "–".to_owned());
    let measured = format!(
        "{}: {} times; per request hybrid {}, tokio {}, threaded (a thread per connection) {threads}.",
        finding.condition,
        with_interval(ratio),
        of(staged),
        of(cheap),
    );
    Ok((measured, above(ratio, 3.0)))
}

fn flash(run: &Run<'_>) -> Found {
    let mut leads: Vec<(Load, &Line, Estimate)> = Vec::new();
    for line in run.sound("hybrid").filter(|line| run.is_plain(line.load)) {
        let Some(apache) = run.fastest_apache(line.load) else { continue };
        if let Some(lead) = Estimate::of_ratios(&line.rounds, &apache.rounds) {
            leads.push((line.load, apache, lead));
        }
    }
    leads.sort_by(|a, b| b.2.median.total_cmp(&a.2.median));
    let (load, apache, lead) =
        *leads.first().ok_or("No load with sound trials of both hybrid and an Apache.")?;
    let floor = run.summary.noise_floor(load, |line| line.rounds.clone());
    let measured = format!(
        "With {} hybrid serves {} times the requests/s of {}.",
        bench_data::load::words::describe(load),
        with_interval(lead),
        apache.target
    );
    let judgement = match (is_clear(&lead, floor), lead.interval) {
        (true, _) => Judgement::Confirmed,
        (false, Some(interval)) if interval.high < 1.0 => Judgement::Refuted,
        (false, _) => Judgement::Undecided,
    };
    let more = lead.interval.is_some_and(|interval| interval.low > 1.5);
    let measured = if more { measured + " That is more than was claimed." } else { measured };
    Ok((measured, judgement))
}

fn schroeder(run: &Run<'_>) -> Found {
    const ALIKE: f64 = 0.1;
    let mut pairs: Vec<(&Line, &Line)> = Vec::new();
    for target in ["selector", "threaded"] {
        for open in run.sound(target) {
            let Some(offered) = open.load.profile.rate_per_s.map(f64::from) else { continue };
            for closed in run.sound(target).filter(|line| run.is_plain(line.load)) {
                let same = (closed.load.direction, closed.load.size)
                    == (open.load.direction, open.load.size);
                if same && (rate(closed) / offered - 1.0).abs() <= ALIKE {
                    pairs.push((open, closed));
                }
            }
        }
    }
    let highest = pairs.into_iter().max_by(|(a, _), (b, _)| rate(a).total_cmp(&rate(b)));
    let (open, closed) = highest.ok_or(
        "No open loop of selector or threaded whose rate a closed loop of this run reached, too.",
    )?;
    let ratio = Estimate::of_ratios(&open.mean_rounds, &closed.mean_rounds)
        .ok_or("Mean response times were not recorded.")?;
    let mean = |line: &Line| {
        let means: Vec<f64> = line.mean_rounds.iter().map(|(_, mean)| *mean).collect();
        bench_data::stats::median(&means).map_or_else(|| "–".to_owned(), units::microseconds)
    };
    let measured = format!(
        "{} at {} requests/s: mean {} in the open loop, {} in the closed loop of {} connections, {} \
         times.",
        open.target,
        units::count(rate(open)),
        mean(open),
        mean(closed),
        closed.load.connections,
        with_interval(ratio)
    );
    Ok((measured, above(ratio, 10.0)))
}

fn folklore(run: &Run<'_>) -> Found {
    let finding = run.finding(Topic::Throughput)?;
    let threaded = run.line(finding.load, "threaded")?;
    let apache = run
        .fastest_apache(finding.load)
        .ok_or_else(|| format!("{}: no sound trial of an Apache.", finding.condition))?;
    let lead = Estimate::of_ratios(&threaded.rounds, &apache.rounds).ok_or(NO_ROUNDS)?;
    let mut measured = format!(
        "{}: threaded serves {} times the requests/s of {}",
        finding.condition,
        with_interval(lead),
        apache.target
    );
    for (above, below) in [("selector", "threaded"), ("nginx", "threaded")] {
        if let Ok(ratio) = self::lead(finding, above, below) {
            measured += &format!("; {above} {} times that of {below}", with_interval(ratio));
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
    let score = finding.score("nginx").ok_or("No sound trial of nginx with idle connections.")?;
    let slope = score.value.ok_or(NO_ROUNDS)?;
    let mut measured = format!("{}: {:.0} bytes each", finding.condition, slope.median);
    if let Some(interval) = slope.interval {
        measured += &format!(" ({:.0} to {:.0})", interval.low, interval.high);
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
        "{}: light requests of selector have a 99th percentile of {}, {} times that of hybrid.",
        finding.condition,
        units::microseconds(selector.median),
        with_interval(lead)
    );
    Ok((measured, if waits { above(lead, 2.0) } else { Judgement::Refuted }))
}

const NO_ROUNDS: &str = "Too few rounds have both.";

impl Run<'_> {
    /// What the first experiment on a topic says.
    fn finding(&self, topic: Topic) -> Result<&Finding, String> {
        let section = self.sections.iter().find(|section| section.topic == topic);
        let finding = section.and_then(|section| section.finding.as_ref());
        finding.ok_or_else(|| format!("The run has no experiment on {}.", topic.name()))
    }

    fn line(&self, load: Load, target: &str) -> Result<&Line, String> {
        let line = self.summary.under(load).find(|line| line.target == target);
        line.filter(|line| line.is_comparable()).ok_or_else(|| {
            format!("No sound trial of {target} with {}.", bench_data::load::words::describe(load))
        })
    }

    fn sound<'s>(&'s self, target: &'s str) -> impl Iterator<Item = &'s Line> {
        self.summary.lines.iter().filter(move |line| line.target == target && line.is_comparable())
    }

    /// A closed loop over kept connections with nothing beside it, downwards.
    fn is_plain(&self, load: Load) -> bool {
        load.profile.is_usual() && load.direction == bench_data::load::Direction::Download
    }

    /// The sound lines of plain downloads of the smallest size.
    fn small_downloads(&self) -> Vec<&Line> {
        let plain = |line: &&Line| self.is_plain(line.load) && line.is_comparable();
        let lines: Vec<_> = self.summary.lines.iter().filter(plain).collect();
        let smallest = lines.iter().map(|line| line.load.size).min();
        lines.into_iter().filter(|line| Some(line.load.size) == smallest).collect()
    }

    fn fastest_apache(&self, load: Load) -> Option<&Line> {
        let apaches = self
            .summary
            .under(load)
            .filter(|line| line.target.starts_with("apache-") && line.is_comparable());
        apaches.max_by(|a, b| rate(a).total_cmp(&rate(b)))
    }
}

/// How many times better a server is than another.
fn lead(finding: &Finding, better: &str, worse: &str) -> Result<Estimate, String> {
    let score = |name: &str| {
        let found = finding.score(name);
        found.ok_or_else(|| format!("{}: no sound trial of {name}.", finding.condition))
    };
    let (better, worse) = (score(better)?, score(worse)?);
    finding.lead(better, worse).ok_or_else(|| NO_ROUNDS.to_owned())
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

fn rate(line: &Line) -> f64 {
    line.requests_per_s.map_or(0.0, |estimate| estimate.median)
}
