//! The sentences of conclusions, made from typed values. Each states one fact.

pub mod advice;
pub mod answer;
pub(crate) mod chart;
pub(crate) mod claim;

use bench_data::units::{counted, grouped, three_digits};

use crate::analysis::comparison::{
    AllPairs, Comparison, ControlCheck, capitalised, family, listed,
};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::Better;
use crate::analysis::statistics::ratio::{LEAST_ROUNDS, MOST_ROUNDS, RatioEstimate};
use crate::analysis::statistics::verdict::{Direction, MARGIN, Reach, Verdict};

/// A ratio with its 95 % interval, `1.31× [1.20, 1.42]`; of too few rounds for one, with its range,
/// `1.31× (1.20 to 1.42)`.
pub fn times(ratio: &RatioEstimate) -> String {
    let write = three_digits;
    let spread = match ratio.interval() {
        Some(within) => format!(" [{}, {}]", write(within.low), write(within.high)),
        None if ratio.rounds > 1 => {
            format!(" ({} to {})", write(ratio.range.low), write(ratio.range.high))
        }
        None => String::new(),
    };
    format!("{}×{spread}", write(ratio.ratio))
}

/// Statement that some rounds are too few for a claim: `3 rounds support no claim; 5 are needed.`
pub(crate) fn too_few(rounds: usize) -> String {
    let verb = if rounds == 1 { "supports" } else { "support" };
    format!("{} {verb} no claim; {LEAST_ROUNDS} are needed.", counted(rounds, "round"))
}

/// Smallest difference that a run of so many rounds could have shown where it decided nothing.
pub(crate) fn reach(reach: &Reach, rounds: usize) -> String {
    let Some(factor) = reach.smallest_factor else { return too_few(rounds) };
    let needed = match reach.rounds_needed {
        MOST_ROUNDS => format!("more than {}", grouped(MOST_ROUNDS)),
        rounds => format!("about {}", grouped(rounds)),
    };
    format!(
        "These {rounds} rounds could have shown a factor of {}; a factor of {MARGIN} needs {needed} \
         rounds.",
        three_digits(factor)
    )
}

/// The answer of a comparison in a word: `different`, `equivalent` or `undecided`.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Different(_) => "different",
        Verdict::Equivalent => "equivalent",
        Verdict::Undecided => "undecided",
    }
}

impl Finding {
    /// The comparison in words.
    pub fn sentence(&self) -> String {
        finding(self)
    }
}

/// A finding in words: the best server and its distance from the others, the best reference server, and
/// the servers that are not ranked or not compared.
pub(crate) fn finding(finding: &Finding) -> String {
    if finding.is_void {
        return void(finding);
    }
    let pairs = finding.pairs();
    let mut parts: Vec<String> =
        finding.is_exploratory.then(|| "Exploratory.".to_owned()).into_iter().collect();
    parts.push(ranking(finding, &pairs));
    parts.extend(beside_reference(finding, &pairs));
    parts.extend(left_out(finding));
    parts.join(" ")
}

/// Servers that are not ranked and not compared, each with the reason.
pub(crate) fn left_out(finding: &Finding) -> Option<String> {
    let not_compared = not_compared(finding).map(|text| text + ".");
    let parts: Vec<_> = [not_ranked(finding), not_compared].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The best of the built-in servers, and its distance from the others.
fn ranking(finding: &Finding, pairs: &AllPairs) -> String {
    let ranked = finding.competitors();
    let (condition, quantity) = (&finding.condition, finding.quantity());
    let Some((best, others)) = ranked.split_first() else {
        return format!("{condition}, no server could be compared.");
    };
    let (name, value) = (&best.target, finding.written(best));
    if others.is_empty() {
        return format!("{condition}, only {name} could be compared. Its {quantity} is {value}.");
    }
    if best.rounds.len() < LEAST_ROUNDS {
        let with = |score: &&Score| format!("{} with {}", finding.written(score), score.target);
        let each: Vec<_> = ranked.iter().map(with).collect();
        let few = too_few(best.rounds.len());
        return format!("{condition}, the {quantity} is {}. {few}", listed(&each));
    }
    let groups = Groups::of(finding, pairs, best, others);
    let end = finding.metric.better().superlative();
    let among = if finding.scores.iter().any(|score| score.may_be_better) {
        " of the ranked servers"
    } else {
        ""
    };
    let mut sentences = vec![if groups.behind.len() == others.len() {
        format!("{condition}, {name} has the {end} {quantity}{among}: {value}.")
    } else {
        format!("{condition}, the {end} {quantity} measured{among} is that of {name}: {value}.")
    }];
    sentences.extend(groups.behind_in_words(finding, name));
    sentences.extend(groups.rest_in_words(finding, name));
    sentences.join(" ")
}

/// Servers compared with the best one, by their verdicts. Comparisons are oriented: above 1 the best is
/// better.
#[derive(Default)]
struct Groups<'f> {
    behind: Vec<(&'f str, Comparison)>,
    equivalent: Vec<(&'f str, Comparison)>,
    undecided: Vec<(&'f str, Comparison)>,
    without_ratio: Vec<&'f str>,
}

impl<'f> Groups<'f> {
    fn of(finding: &Finding, pairs: &AllPairs, best: &Score, others: &[&'f Score]) -> Self {
        let mut groups = Self::default();
        for other in others {
            let name = other.target.as_str();
            let Some(comparison) = pairs.between(&best.target, name) else {
                groups.without_ratio.push(name);
                continue;
            };
            let lead = finding.lead(comparison);
            let group = match lead.verdict {
                Verdict::Different(Direction::Above) => &mut groups.behind,
                Verdict::Equivalent => &mut groups.equivalent,
                // Medians and ratios that contradict each other decide nothing.
                Verdict::Undecided | Verdict::Different(Direction::Below) => &mut groups.undecided,
            };
            group.push((name, lead));
        }
        groups
    }

    /// Distance of the best from the next and the last.
    fn behind_in_words(&self, finding: &Finding, best: &str) -> Option<String> {
        let quantity = finding.quantity();
        let (first, last) = (self.behind.first()?, self.behind.last()?);
        let several = self.behind.len() > 1;
        let [next, final_one] =
            [(first, " (next)"), (last, " (last)")].map(|((name, lead), place)| {
                (*name, times(&lead.ratio), if several { place } else { "" })
            });
        Some(match (finding.metric.better(), several) {
            (Better::Higher, false) => {
                format!("The {quantity} of {best} is {} that of {}.", next.1, next.0)
            }
            (Better::Higher, true) => format!(
                "The {quantity} of {best} is {} that of {}{} and {} that of {}{}.",
                next.1, next.0, next.2, final_one.1, final_one.0, final_one.2
            ),
            (Better::Lower, false) => {
                format!("The {quantity} of {} is {} that of {best}.", next.0, next.1)
            }
            (Better::Lower, true) => format!(
                "The {quantity} of {}{} is {} that of {best}; of {}{} it is {}.",
                next.0, next.2, next.1, final_one.0, final_one.2, final_one.1
            ),
        })
    }

    /// Servers that are not behind.
    fn rest_in_words(&self, finding: &Finding, best: &str) -> Vec<String> {
        let each = |group: &[(&str, Comparison)]| {
            let one = |(name, lead): &(&str, Comparison)| oriented(finding, best, name, lead);
            listed(&group.iter().map(one).collect::<Vec<_>>())
        };
        let mut sentences = Vec::new();
        if !self.equivalent.is_empty() {
            sentences.push(format!("Equivalent within 5 %: {}.", each(&self.equivalent)));
        }
        if !self.undecided.is_empty() {
            sentences.push(format!("Undecided: {}.", each(&self.undecided)));
            sentences.extend(least_reach(self.undecided.iter().map(|(_, one)| one)));
        }
        if !self.without_ratio.is_empty() {
            let names = listed(&self.without_ratio);
            sentences.push(format!(
                "No ratio to {best}: {names} (a value is 0, or no round has both values)."
            ));
        }
        sentences
    }
}

/// Reach of the least certain of some undecided comparisons.
fn least_reach<'c>(undecided: impl Iterator<Item = &'c Comparison>) -> Option<String> {
    let factor = |one: &&Comparison| one.reach.smallest_factor.unwrap_or(f64::INFINITY);
    let least = undecided.max_by(|a, b| factor(a).total_cmp(&factor(b)))?;
    Some(reach(&least.reach, least.ratio.rounds))
}

/// A lead with the names in the order of its ratio: `selector ÷ uring 1.01× [0.99, 1.03]`.
fn oriented(finding: &Finding, best: &str, other: &str, lead: &Comparison) -> String {
    let ratio = times(&lead.ratio);
    match finding.metric.better() {
        Better::Higher => format!("{best} ÷ {other} {ratio}"),
        Better::Lower => format!("{other} ÷ {best} {ratio}"),
    }
}

/// The best reference server, compared with the best built-in one.
pub(crate) fn beside_reference(finding: &Finding, pairs: &AllPairs) -> Option<String> {
    let ours = *finding.ranked(|score| score.kind.is_ours()).first()?;
    let references = finding.ranked(|score| !score.kind.is_ours());
    let best = *references.first()?;
    let (name, value) = (&best.target, finding.written(best));
    let who = match references.len() {
        1 => "Reference server".to_owned(),
        _ => {
            let end = capitalised(finding.metric.better().superlative());
            format!("{end} of the reference servers")
        }
    };
    let mut text = format!("{who}: {name}, {value}.");
    if let Some(comparison) = pairs.between(&ours.target, name).filter(Comparison::is_claimable) {
        text += &format!(" {}", compared(finding, &ours.target, name, comparison));
    }
    Some(text)
}

/// A comparison `first ÷ second` in a sentence, by its verdict.
pub(crate) fn compared(
    finding: &Finding,
    first: &str,
    second: &str,
    comparison: Comparison,
) -> String {
    let quantity = finding.quantity();
    let ratio = times(&comparison.ratio);
    match comparison.verdict {
        Verdict::Different(Direction::Above) => {
            format!("The {quantity} of {first} is {ratio} that of {second}.")
        }
        Verdict::Different(Direction::Below) => {
            let ratio = times(&comparison.ratio.inverse());
            format!("The {quantity} of {second} is {ratio} that of {first}.")
        }
        Verdict::Equivalent => {
            format!("Equivalent within 5 %: {first} ÷ {second} {ratio}.")
        }
        Verdict::Undecided => {
            let reach = reach(&comparison.reach, comparison.ratio.rounds);
            format!("Undecided: {first} ÷ {second} {ratio}. {reach}")
        }
    }
}

/// Servers with a lower bound in place of a value.
fn not_ranked(finding: &Finding) -> Option<String> {
    let bounded = finding.scores.iter().filter(|score| score.is_lower_bound(finding.metric));
    let each: Vec<_> = bounded
        .map(|score| format!("{} ≥ {} ({})", score.target, finding.written(score), score.doubt))
        .collect();
    (!each.is_empty()).then(|| format!("Not ranked: {}.", listed(&each)))
}

/// Servers without a value to compare, with the reasons.
pub(crate) fn not_compared(finding: &Finding) -> Option<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    let out = |score: &&Score| !score.is_sound() && !score.is_lower_bound(finding.metric);
    for score in finding.scores.iter().filter(out) {
        match reasons.iter_mut().find(|(reason, _)| *reason == score.doubt) {
            Some((_, names)) => names.push(&score.target),
            None => reasons.push((&score.doubt, vec![&score.target])),
        }
    }
    let each: Vec<_> = reasons
        .into_iter()
        .map(|(reason, names)| format!("{} ({reason})", listed(&names)))
        .collect();
    (!each.is_empty()).then(|| format!("Not compared: {}", each.join(", ")))
}

/// Statement that a comparison is void, because a server differs from its A/A control.
fn void(finding: &Finding) -> String {
    format!(
        "{}, the comparison of {} is void: the A/A control differs from its server. Measure again.",
        finding.condition,
        finding.quantity()
    )
}

/// Statement that a server differs from its A/A control: `selector, measured twice, differs from itself by …`.
pub(crate) fn differs_from_itself(check: &ControlCheck) -> String {
    format!("{}, measured twice, differs from itself by {}", check.target, times(&check.ratio))
}

/// Result of the A/A control of a run: one check, or those of several experiments.
pub(crate) fn controls(checks: &[ControlCheck]) -> Option<String> {
    let first = checks.first()?;
    let ratios: Vec<_> = checks.iter().map(|check| check.ratio).collect();
    let name = &first.target;
    if family(&ratios).iter().all(|one| !one.is_claimable()) {
        let rounds = counted(first.ratio.rounds, "round");
        return Some(format!("A/A control: too few rounds for its test ({rounds})."));
    }
    if let [only] = &ratios[..] {
        let ratio = times(only);
        return Some(format!(
            "A/A control: {name}, measured twice, shows no difference from itself ({ratio})."
        ));
    }
    let of = |best: fn(f64, f64) -> f64| ratios.iter().map(|one| one.ratio).reduce(best);
    let (low, high) = (of(f64::min)?, of(f64::max)?);
    Some(format!(
        "A/A control: {name}, measured twice, was compared with itself in {}, with ratios from {}× to \
         {}×.",
        counted(checks.len(), "experiment"),
        three_digits(low),
        three_digits(high)
    ))
}
