//! From the records of a run to its answers: summary, sections, notes and claims.

pub mod capacity;
pub(crate) mod claims;
pub(crate) mod comparison;
pub mod diff;
pub mod false_alarms;
pub(crate) mod finding;
pub mod forest;
pub mod gathered;
pub mod metric;
pub(crate) mod notes;
pub(crate) mod outliers;
pub mod over_time;
pub mod pair;
pub mod precision;
pub(crate) mod scalability;
pub mod section;
pub(crate) mod selection;
pub mod sentence;
pub mod situation;
pub mod statistics;
pub mod summary;
pub(crate) mod topic;
pub(crate) mod usl;

use crate::analysis::claims::{Claim, claims};
use crate::analysis::forest::Forest;
use crate::analysis::pair::Pair;
use crate::analysis::section::{Section, sections};
use crate::analysis::sentence::answer::Place;
use crate::analysis::situation::Advice;
use crate::analysis::summary::Summary;
use bench_data::record::run_folder::Contents;

/// Conclusions from the records of a run.
#[derive(Debug)]
pub struct Analysis {
    /// The condensed rounds.
    pub summary: Summary,
    /// Answer to the question of the run, in one sentence.
    pub answer: String,
    /// The compared pair in every experiment; `None` if no two servers were compared.
    pub forest: Option<Forest>,
    /// Recommendations for the situations of a reader.
    pub advice: Vec<Advice>,
    /// Validity of the trials in one line.
    pub validity: String,
    /// Where the servers were measured.
    pub place: Place,
    /// Conditions that a reader must know to trust the answer.
    pub notes: Vec<String>,
    /// The experiments.
    pub sections: Vec<Section>,
    /// Published claims compared with the measured values.
    pub claims: Vec<Claim>,
    /// Servers whose fastest one the ratio lines of tables refer to.
    pub baseline: Vec<String>,
}

impl Analysis {
    /// Analysis of the contents of a results folder.
    pub fn of(contents: &Contents) -> Self {
        let mut summary = Summary::of(&contents.records);
        let sections = sections(&contents.plan, &summary);
        let pair = Pair::of(&contents.plan, &summary);
        let environment = &contents.environment;
        let place = Place {
            server_cores: environment.placement.server_cores.len(),
            machine_cores: environment.machine.cores,
        };
        let advice = situation::advice(pair.as_ref(), place, &sections);
        let forest = pair.and_then(|pair| Forest::of(pair, &sections));
        let validity = notes::validity(&contents.records, &summary, &sections);
        let main = match &sections[..] {
            [only] => only.finding.as_ref(),
            _ => None,
        };
        let answer = sentence::answer::run(place, forest.as_ref(), main);
        let mut notes = notes::controls(&sections);
        let interrupted = contents.environment.interrupted;
        notes.extend(precision::notes(&contents.plan, &contents.records, interrupted));
        notes.extend(notes::notes(&summary));
        notes.extend(notes::compared_bytes(&contents.records));
        notes.extend(contents.environment.machine.warning());
        notes.extend(notes::without_comparison(&sections));
        let claims = claims(contents, &summary, &sections);
        // Controls are judged in the experiments; tables of the whole run mark the same loads.
        let void = sections.iter().flat_map(|section| &section.part.void);
        summary.void = void.copied().collect();
        let baseline = contents.plan.baseline.clone();
        Self { summary, answer, forest, advice, validity, place, notes, sections, claims, baseline }
    }
}
