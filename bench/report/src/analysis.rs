//! From the records of a run to its answers: summary, verdict, sections and claims.

pub mod claims;
pub mod comparison;
pub mod diff;
pub mod false_alarms;
pub mod finding;
pub mod outliers;
pub mod overall;
pub mod scalability;
pub mod section;
pub mod summary;
pub mod topic;
pub mod usl;
pub mod verdict;

use crate::analysis::claims::{Claim, claims};
use crate::analysis::section::{Section, sections};
use crate::analysis::summary::Summary;
use crate::analysis::topic::Topic;
use crate::analysis::verdict::Verdict;
use bench_data::record::run_folder::Contents;

/// Everything that is concluded from the records of a run.
#[derive(Debug)]
pub struct Analysis {
    /// The rounds, condensed.
    pub summary: Summary,
    /// The answer to the question of the run.
    pub verdict: Verdict,
    /// The experiments.
    pub sections: Vec<Section>,
    /// Published claims beside the measured values.
    pub claims: Vec<Claim>,
    /// Servers that the ratio lines of tables compare with.
    pub baseline: Vec<String>,
}

impl Analysis {
    /// Analysis of the contents of a results folder.
    pub fn of(contents: &Contents) -> Self {
        let summary = Summary::of(&contents.records);
        let mut verdict = Verdict::of(&summary);
        verdict.notes.extend(contents.environment.machine.warning());
        let sections = sections(&contents.plan, &summary);
        verdict.sentence = match &sections[..] {
            [only] if only.topic != Topic::Throughput => only.answer.clone(),
            several => overall::paragraph(several).unwrap_or(verdict.sentence),
        };
        verdict.notes.extend(overall::without_claim(&sections));
        let claims = claims(contents, &summary, &sections);
        Self { summary, verdict, sections, claims, baseline: contents.plan.baseline.clone() }
    }
}
