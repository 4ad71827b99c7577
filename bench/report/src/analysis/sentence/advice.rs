//! The recommendations of a run in words.

use bench_data::load::words::describe;
use bench_data::units::{bytes, counted};
use serde::Serialize;

use crate::analysis::comparison::listed;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::sentence::times;
use crate::analysis::situation::{Advice, Choice, Evidence, Outcome, Recommendation, Situation};
use crate::analysis::statistics::verdict::{Direction, Verdict};

/// Recommendation for a situation in words.
#[derive(Debug, Clone, Serialize)]
pub struct AdviceWords {
    /// The situation.
    pub situation: &'static str,
    /// Recommended servers, or the reason why there are none.
    pub choice: String,
    /// Servers without a shown difference from the recommended one; empty if there are none.
    pub alike: String,
    /// Distance from the reference, with interval and verdict; empty without a recommendation.
    pub lead: String,
    /// Cost of the choice; empty without a recommendation.
    pub cost: String,
    /// Load of the comparison; empty if nothing was measured.
    pub condition: String,
    /// Section with the evidence.
    pub section: Option<String>,
}

/// Recommendations in words.
pub fn words(advice: &[Advice]) -> Vec<AdviceWords> {
    advice.iter().map(one).collect()
}

fn one(advice: &Advice) -> AdviceWords {
    let nothing = AdviceWords {
        situation: name(advice.situation),
        choice: String::new(),
        alike: String::new(),
        lead: String::new(),
        cost: String::new(),
        condition: String::new(),
        section: None,
    };
    let Outcome::Measured(evidence) = &advice.result else {
        return AdviceWords { choice: not_measured(advice.situation), ..nothing };
    };
    let Evidence { section, finding, choice } = &**evidence;
    let (condition, section) = (describe(finding.load), Some(section.clone()));
    let with = |choice: String| AdviceWords { choice, condition, section, ..nothing };
    match choice {
        Choice::Void => {
            with("Void: the A/A control differs from its server. Measure again.".to_owned())
        }
        Choice::TooFew(rounds) => {
            with(format!("No difference shown: {} support no claim.", counted(*rounds, "round")))
        }
        Choice::NotCompared => with("No two strategies could be compared.".to_owned()),
        Choice::NoDifference(alike) => with(no_difference(finding, alike)),
        Choice::Recommended(one) => AdviceWords {
            lead: lead(finding, one),
            cost: cost(one),
            alike: alike(&one.servers[1..]),
            ..with(one.servers[0].clone())
        },
    }
}

/// Situations that the run did not measure, in one sentence; `None` if it measured all.
pub(crate) fn without_measurement(advice: &[Advice]) -> Option<String> {
    let is_open = |one: &&Advice| !matches!(one.result, Outcome::Measured(_));
    let names: Vec<_> =
        advice.iter().filter(is_open).map(|one| lowered(name(one.situation))).collect();
    (!names.is_empty()).then(|| {
        format!(
            "Not measured by this run: {}. All experiments: cargo run --release -- list",
            listed(&names)
        )
    })
}

/// A text with its first letter in lower case.
fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Name of a situation.
fn name(situation: Situation) -> &'static str {
    match situation {
        Situation::SmallFiles => "Small files at full load",
        Situation::IdleConnections => "Many idle connections",
        Situation::BlockingRequests => "Some requests block",
        Situation::ComputingRequests => "Some requests need much CPU time",
        Situation::LargeUploads => "Large uploads",
        Situation::ShortConnections => "A new connection per request",
        Situation::FewCores => "Few cores",
        Situation::ManyCores => "Many cores",
        Situation::DistantClients => "Distant clients",
    }
}

fn not_measured(situation: Situation) -> String {
    let plan = match situation {
        Situation::SmallFiles => "concurrency",
        Situation::IdleConnections => "idle",
        Situation::BlockingRequests | Situation::ComputingRequests => "heavy",
        Situation::LargeUploads => "upload",
        Situation::ShortConnections => "churn",
        Situation::FewCores => {
            return "Not measured: cargo run --release -- run cores".to_owned();
        }
        Situation::ManyCores => {
            return "Not measured: cargo run --release -- run cores, on a machine with many cores"
                .to_owned();
        }
        Situation::DistantClients => {
            return "Not measured: all requests use loopback, and no experiment has links with a delay."
                .to_owned();
        }
    };
    format!("Not measured: cargo run --release -- run {plan}")
}

fn no_difference(finding: &Finding, alike: &[(String, Option<f64>)]) -> String {
    let each: Vec<_> = alike
        .iter()
        .map(|(name, memory)| match memory {
            Some(memory) => format!("{name} {}", bytes(*memory)),
            None => name.clone(),
        })
        .collect();
    format!("No difference in {} shown. Choose by memory: {}.", finding.quantity(), listed(&each))
}

/// The lead of the best: `throughput 1.65× [1.58, 1.72] higher than threaded`.
fn lead(finding: &Finding, one: &Recommendation) -> String {
    let (ratio, end) = (times(&one.lead.ratio), finding.metric.better().comparative());
    format!("{} {ratio} {end} than {}", finding.quantity(), one.reference)
}

fn alike(servers: &[String]) -> String {
    if servers.is_empty() {
        return String::new();
    }
    format!("or {}: no difference shown", listed(servers))
}

fn cost(one: &Recommendation) -> String {
    let mut parts = Vec::new();
    if let [Some(own), Some(other)] = one.memory {
        parts.push(format!("memory {} ({}: {})", bytes(own), one.reference, bytes(other)));
    }
    if let [Some(own), Some(other)] = one.threads {
        let own = counted(own.round() as usize, "thread");
        parts.push(format!("{own} ({}: {})", one.reference, other.round()));
    }
    if let Some((fastest, heavy)) = &one.heavy {
        let (quantity, ratio) = (Metric::HeavyResponse.name(), times(&heavy.ratio));
        parts.push(match heavy.verdict {
            Verdict::Different(Direction::Above) => format!("{quantity} {ratio} that of {fastest}"),
            Verdict::Different(Direction::Below) => {
                format!("{quantity} {} shorter than {fastest}", times(&heavy.ratio.inverse()))
            }
            Verdict::Equivalent => format!("{quantity} equivalent to {fastest} within 5 %"),
            Verdict::Undecided => format!("{quantity} undecided, {ratio} that of {fastest}"),
        });
    }
    parts.join("; ")
}
