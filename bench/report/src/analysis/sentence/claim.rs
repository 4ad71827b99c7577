//! Words of published claims in a paper.

use bench_data::units::counted;

use crate::analysis::claims::Claim;

/// Source, conclusion, evidence and test of a claim.
pub(crate) fn in_paper(claim: &Claim) -> String {
    format!("({}) {} {} {}", claim.source, claim.conclusion(), claim.measured, claim.test)
}

/// Sentences above the claims, of which so many others cannot be tested with the run.
pub(crate) fn introduction(others: usize) -> String {
    let judged = "Direction and magnitude of each claim are judged apart, for this machine.";
    let verb = if others == 1 { "needs" } else { "need" };
    match others {
        0 => judged.to_owned(),
        _ => format!(
            "{judged} {} {verb} other experiments: see report.html.",
            counted(others, "further claim")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_without_a_test_are_counted() {
        assert!(introduction(0).ends_with("for this machine."));
        let one = "machine. 1 further claim needs other experiments: see report.html.";
        assert!(introduction(1).ends_with(one));
        let five = "machine. 5 further claims need other experiments: see report.html.";
        assert!(introduction(5).ends_with(five));
    }
}
