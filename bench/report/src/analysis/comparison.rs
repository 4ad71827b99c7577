//! Comparison of servers in one metric under one load: ratios, their correction and their verdicts.

use crate::analysis::statistics::holm::adjusted;
use crate::analysis::statistics::ratio::{NoRatio, RatioEstimate};
use crate::analysis::statistics::verdict::{Direction, Reach, Verdict};

/// Comparison of two servers, as one of a family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Value of the first divided by that of the second.
    pub ratio: RatioEstimate,
    /// P value of a difference, corrected within the family; `None` with too few rounds for a claim.
    pub adjusted_p: Option<f64>,
    /// Answer.
    pub verdict: Verdict,
    /// Smallest difference that the rounds could have shown.
    pub reach: Reach,
}

impl Comparison {
    /// Comparison with a p value that is corrected already, of `family` comparisons.
    fn new(ratio: RatioEstimate, adjusted_p: Option<f64>, family: usize) -> Self {
        let verdict = Verdict::of(&ratio, adjusted_p.unwrap_or(1.0));
        Self { ratio, adjusted_p, verdict, reach: Reach::of(&ratio, family) }
    }

    /// The comparison the other way round.
    #[must_use]
    pub fn inverse(self) -> Self {
        let verdict = match self.verdict {
            Verdict::Different(Direction::Above) => Verdict::Different(Direction::Below),
            Verdict::Different(Direction::Below) => Verdict::Different(Direction::Above),
            Verdict::Equivalent => Verdict::Equivalent,
            Verdict::Undecided => Verdict::Undecided,
        };
        Self { ratio: self.ratio.inverse(), verdict, ..self }
    }

    /// Returns true if the rounds are enough for a claim.
    pub fn is_claimable(&self) -> bool {
        self.adjusted_p.is_some()
    }
}

/// Comparisons that are corrected together, in the order of their ratios: Holm's method keeps the
/// probability of any false difference among them at or below 5 %. Ratios of too few rounds are no
/// members.
pub(crate) fn family(ratios: &[RatioEstimate]) -> Vec<Comparison> {
    let p_values: Vec<f64> = ratios.iter().filter_map(RatioEstimate::p_of_difference).collect();
    let mut corrected = adjusted(&p_values).into_iter();
    let compare = |ratio: &RatioEstimate| {
        let p = ratio.p_of_difference().and_then(|_| corrected.next());
        Comparison::new(*ratio, p, p_values.len())
    };
    ratios.iter().map(compare).collect()
}

/// All comparisons between some servers, as one family.
#[derive(Debug, Clone)]
pub struct AllPairs {
    /// Names of the first and the second server, and their comparison.
    pairs: Vec<(String, String, Comparison)>,
}

impl AllPairs {
    /// Comparisons of servers, given with their values round by round. Pairs without a ratio are left
    /// out.
    pub fn of(servers: &[(&str, &[(u32, f64)])]) -> Self {
        let (mut names, mut ratios) = (Vec::new(), Vec::new());
        for (index, (first, above)) in servers.iter().enumerate() {
            for (second, below) in &servers[index + 1..] {
                if let Ok(ratio) = RatioEstimate::of_rounds(above, below) {
                    names.push(((*first).to_owned(), (*second).to_owned()));
                    ratios.push(ratio);
                }
            }
        }
        let compared = names.into_iter().zip(family(&ratios));
        Self { pairs: compared.map(|((first, second), one)| (first, second, one)).collect() }
    }

    /// Comparison `first ÷ second`; `None` if there is no ratio.
    pub fn between(&self, first: &str, second: &str) -> Option<Comparison> {
        self.pairs.iter().find_map(|(one, other, comparison)| {
            if one == first && other == second {
                Some(*comparison)
            } else if one == second && other == first {
                Some(comparison.inverse())
            } else {
                None
            }
        })
    }

    /// The pairs with their comparisons.
    pub fn iter(&self) -> impl Iterator<Item = &(String, String, Comparison)> {
        self.pairs.iter()
    }
}

/// Comparison of a server with its A/A control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlCheck {
    /// The server.
    pub target: String,
    /// Value of the control divided by that of the server.
    pub ratio: RatioEstimate,
}

impl ControlCheck {
    /// Check of a server by the values of both; `None` if there is no ratio.
    pub fn of(target: &str, control: &[(u32, f64)], own: &[(u32, f64)]) -> Option<Self> {
        let ratio: Result<_, NoRatio> = RatioEstimate::of_rounds(control, own);
        Some(Self { target: target.to_owned(), ratio: ratio.ok()? })
    }
}

/// Values of a server joined with those of its A/A control: in rounds that have both, their geometric
/// mean.
pub(crate) fn joined(own: &[(u32, f64)], control: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let join = |(round, value): &(u32, f64)| {
        let other = control.iter().find(|(other, _)| other == round);
        (*round, other.map_or(*value, |(_, other)| (value * other).sqrt()))
    };
    own.iter().map(join).collect()
}

/// Names as a sentence lists them: `a, b and c`.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A text with its first letter in upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[f64]) -> Vec<(u32, f64)> {
        (1..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn each_pair_is_compared_in_both_directions_and_corrected_with_all_others() {
        let (a, b, c) = (
            rounds(&[131.0, 129.0, 130.0, 132.0, 128.0]),
            rounds(&[100.0, 101.0, 99.0, 100.5, 99.5]),
            rounds(&[100.0, 100.2, 99.6, 100.1, 99.9]),
        );
        let pairs = AllPairs::of(&[("a", &a), ("b", &b), ("c", &c)]);
        assert_eq!(pairs.iter().count(), 3);
        let one = pairs.between("a", "b").unwrap();
        assert_eq!(one.verdict, Verdict::Different(Direction::Above));
        let alone = one.ratio.p_of_difference().unwrap();
        assert!(one.adjusted_p.unwrap() > alone, "{one:?}");
        let other = pairs.between("b", "a").unwrap();
        assert_eq!(other.verdict, Verdict::Different(Direction::Below));
        assert_eq!(other.ratio, one.ratio.inverse());
        assert_eq!(pairs.between("b", "c").unwrap().verdict, Verdict::Equivalent);
        assert!(pairs.between("a", "d").is_none());
    }

    #[test]
    fn a_pair_of_too_few_rounds_takes_nothing_from_the_others() {
        let (a, b) = (rounds(&[1.30, 1.32, 1.28, 1.31, 1.29]), rounds(&[1.0; 5]));
        let alone = AllPairs::of(&[("a", &a), ("b", &b)]).between("a", "b").unwrap();
        let short = rounds(&[1.0, 1.1]);
        let pairs = AllPairs::of(&[("a", &a), ("b", &b), ("short", &short)]);
        assert_eq!(pairs.between("a", "b"), Some(alone));
        let one = pairs.between("a", "short").unwrap();
        assert!(!one.is_claimable() && one.verdict == Verdict::Undecided);
    }

    #[test]
    fn a_control_joins_its_server_round_by_round() {
        let own = [(1, 4.0), (2, 9.0), (3, 5.0)];
        let control = [(2, 4.0), (1, 4.0)];
        assert_eq!(joined(&own, &control), [(1, 4.0), (2, 6.0), (3, 5.0)]);
    }
}
