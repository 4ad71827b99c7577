//! Situations of a reader, and the strategy that the run recommends for each.

use bench_data::load::heavy::Work;
use bench_data::load::{Direction, Load};

use crate::analysis::comparison::Comparison;
use crate::analysis::finding::{Finding, Score};
use crate::analysis::metric::Metric;
use crate::analysis::pair::Pair;
use crate::analysis::section::Section;
use crate::analysis::sentence::answer::Place;
use crate::analysis::statistics::ratio::LEAST_ROUNDS;
use crate::analysis::statistics::verdict::{Direction as Side, Verdict};
use crate::analysis::summary::Summary;
use crate::analysis::topic::{self, Topic};

/// Smallest file of large uploads, in bytes.
const LARGE: u64 = 1 << 20;
/// Largest file of a load that connections and requests dominate, in bytes.
const SMALL: u64 = 16 << 10;
/// Most cores of a server that count as few, and fewest that count as many.
const FEW_CORES: usize = 2;
const MANY_CORES: usize = 8;
/// Most servers that are recommended for one situation.
const MOST_NAMED: usize = 3;

/// Situation for which a reader chooses a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// Small files over kept connections, as fast as possible.
    SmallFiles,
    /// Many connections without requests.
    IdleConnections,
    /// Some requests wait, as for a disk or a database.
    BlockingRequests,
    /// Some requests use much CPU time.
    ComputingRequests,
    /// Uploads of 1 MiB or more.
    LargeUploads,
    /// A new connection for every request.
    ShortConnections,
    /// A server on one or two cores.
    FewCores,
    /// A server on eight cores or more.
    ManyCores,
    /// Clients behind links with a delay.
    DistantClients,
}

/// Recommendation for a situation.
#[derive(Debug, Clone)]
pub struct Advice {
    /// The situation.
    pub situation: Situation,
    /// Result of the run.
    pub result: Outcome,
}

/// Result of a run for a situation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// No load of the run belongs to the situation.
    NotMeasured,
    /// Measured, with the comparison and the section that shows it.
    Measured(Box<Evidence>),
}

/// Comparison that belongs to a situation.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Name of the section.
    pub section: String,
    /// The comparison.
    pub finding: Finding,
    /// Choice that the comparison supports.
    pub choice: Choice,
}

/// Choice that a comparison supports.
#[derive(Debug, Clone)]
pub enum Choice {
    /// The A/A control differs from its server.
    Void,
    /// Too few rounds for a claim.
    TooFew(usize),
    /// Fewer than two built-in servers have a comparable value.
    NotCompared,
    /// No server is shown to be better than another one; the best by their medians, with their memory.
    NoDifference(Vec<(String, Option<f64>)>),
    /// Servers that are shown to be better than the reference.
    Recommended(Box<Recommendation>),
}

/// Servers that are shown to be better than a reference.
#[derive(Debug, Clone)]
pub struct Recommendation {
    /// The best by its median, then others without a shown difference from it.
    pub servers: Vec<String>,
    /// Server that the recommended ones are compared with.
    pub reference: String,
    /// The best ÷ the reference, so oriented that above 1 the best is better.
    pub lead: Comparison,
    /// Memory in bytes of the best and of the reference.
    pub memory: [Option<f64>; 2],
    /// Threads of the best and of the reference.
    pub threads: [Option<f64>; 2],
    /// Of the other servers the one with the shortest heavy requests, and their median time, best ÷
    /// that server; `None` without heavy requests.
    pub heavy: Option<(String, Comparison)>,
}

impl Situation {
    /// All situations.
    pub const ALL: [Self; 9] = [
        Self::SmallFiles,
        Self::IdleConnections,
        Self::BlockingRequests,
        Self::ComputingRequests,
        Self::LargeUploads,
        Self::ShortConnections,
        Self::FewCores,
        Self::ManyCores,
        Self::DistantClients,
    ];

    /// Comparison of the run that belongs to the situation, with its section.
    fn evidence(self, place: Place, sections: &[Section]) -> Option<(&Section, Finding)> {
        let of = |find: &dyn Fn(&Section) -> Option<Finding>| {
            sections.iter().find_map(|section| Some((section, find(section)?)))
        };
        match self {
            Self::SmallFiles => of(&small_files),
            Self::IdleConnections => of(&|section| main_of(section, Topic::Idle)),
            Self::BlockingRequests => of(&|section| heavy(section, Work::Block)),
            Self::ComputingRequests => of(&|section| heavy(section, Work::Cpu)),
            Self::LargeUploads => of(&large_uploads),
            Self::ShortConnections => of(&|section| main_of(section, Topic::Churn)),
            Self::FewCores if (1..=FEW_CORES).contains(&place.server_cores) => of(&small_files),
            Self::ManyCores if place.server_cores >= MANY_CORES => of(&small_files),
            // No experiment has links with a delay.
            Self::FewCores | Self::ManyCores | Self::DistantClients => None,
        }
    }
}

/// Recommendations of a run for every situation.
pub(crate) fn advice(pair: Option<&Pair>, place: Place, sections: &[Section]) -> Vec<Advice> {
    let result = |situation: Situation| {
        let Some((section, finding)) = situation.evidence(place, sections) else {
            return Outcome::NotMeasured;
        };
        let choice = choice(pair, &section.part, &finding);
        Outcome::Measured(Box::new(Evidence { section: section.name.clone(), finding, choice }))
    };
    Situation::ALL.map(|situation| Advice { situation, result: result(situation) }).into()
}

fn main_of(section: &Section, topic: Topic) -> Option<Finding> {
    section.finding.clone().filter(|_| section.topic == topic)
}

fn heavy(section: &Section, work: Work) -> Option<Finding> {
    if section.topic == Topic::Heavy { topic::beside_heavy(&section.part, work) } else { None }
}

fn small_files(section: &Section) -> Option<Finding> {
    let finding = main_of(section, Topic::Throughput)?;
    let load = finding.load;
    let is_small = load.profile.is_usual() && load.size.bytes() <= SMALL;
    (is_small && load.direction == Direction::Download).then_some(finding)
}

fn large_uploads(section: &Section) -> Option<Finding> {
    let is_one = |load: &Load| {
        let is_large = load.size.bytes() >= LARGE && load.direction == Direction::Upload;
        is_large && load.profile.is_usual()
    };
    match &section.finding {
        Some(main) if is_one(&main.load) => Some(main.clone()),
        _ => topic::largest(&section.part.part(is_one)),
    }
}

fn choice(pair: Option<&Pair>, part: &Summary, finding: &Finding) -> Choice {
    if finding.is_void {
        return Choice::Void;
    }
    let ranked = finding.competitors();
    let [best, others @ ..] = &ranked[..] else { return Choice::NotCompared };
    if others.is_empty() {
        return Choice::NotCompared;
    }
    if best.rounds.len() < LEAST_ROUNDS {
        return Choice::TooFew(best.rounds.len());
    }
    let pairs = finding.pairs();
    let lead = |one: &Score, other: &Score| {
        pairs.between(&one.target, &other.target).map(|comparison| finding.lead(comparison))
    };
    let is_ahead = |one: &Score, other: &Score| {
        lead(one, other).is_some_and(|lead| lead.verdict == Verdict::Different(Side::Above))
    };
    let usual = pair.map(|pair| [&*pair.first, &*pair.second]).unwrap_or_default();
    let named = usual.iter().filter_map(|name| others.iter().find(|one| one.target == **name));
    let reference = named.chain(others).find(|other| is_ahead(best, other));
    let Some(reference) = reference else {
        let alike = ranked.iter().take(MOST_NAMED).map(|score| {
            let line = part.line(finding.load, &score.target);
            (score.target.clone(), line.and_then(|line| line.median(Metric::Memory)))
        });
        return Choice::NoDifference(alike.collect());
    };
    let alike = others.iter().filter(|one| !is_ahead(best, one) && is_ahead(one, reference));
    let servers = std::iter::once(best).chain(alike).take(MOST_NAMED);
    let of = |metric: Metric| {
        [best, reference].map(|score| part.line(finding.load, &score.target)?.median(metric))
    };
    let Some(lead) = lead(best, reference) else { return Choice::NotCompared };
    let is_mixed = finding.load.profile.heavy.total_percent() > 0;
    let heavy = is_mixed.then(|| Finding::under(part, finding.load, Metric::HeavyResponse));
    Choice::Recommended(Box::new(Recommendation {
        servers: servers.map(|score| score.target.clone()).collect(),
        reference: reference.target.clone(),
        lead,
        memory: of(Metric::Memory),
        threads: of(Metric::Threads),
        heavy: heavy.and_then(|heavy| {
            let fastest = heavy.competitors().into_iter().find(|one| one.target != best.target)?;
            let comparison = heavy.pairs().between(&best.target, &fastest.target)?;
            Some((fastest.target.clone(), comparison))
        }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::section::sections;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::Plan;

    const PLACE: Place = Place { server_cores: 1, machine_cores: 2 };

    fn of(plan: &Plan, executor: MockExecutor) -> Vec<Advice> {
        let summary = Summary::of(&records_of(plan, executor));
        let sections = sections(plan, &summary);
        advice(Pair::of(plan, &summary).as_ref(), PLACE, &sections)
    }

    fn choice_for(advice: &[Advice], situation: Situation) -> Option<&Choice> {
        let one = advice.iter().find(|one| one.situation == situation).unwrap();
        match &one.result {
            Outcome::Measured(evidence) => Some(&evidence.choice),
            Outcome::NotMeasured => None,
        }
    }

    #[test]
    fn only_shown_differences_are_recommended() {
        let plan = Plan::built_in("default").unwrap();
        let advice = of(&plan, MockExecutor::default());
        let small = choice_for(&advice, Situation::SmallFiles);
        let Some(Choice::Recommended(one)) = small else { panic!("{small:?}") };
        assert_eq!((&*one.servers, &*one.reference), (&["selector".to_owned()][..], "threaded"));
        assert!(one.lead.verdict == Verdict::Different(Side::Above) && one.heavy.is_none());
        // Files of 1 MiB take each server as long.
        let large = choice_for(&advice, Situation::LargeUploads);
        assert!(
            matches!(large, Some(Choice::NoDifference(alike)) if alike.len() == 3),
            "{large:?}"
        );
        for situation in [
            Situation::IdleConnections,
            Situation::BlockingRequests,
            Situation::ShortConnections,
            Situation::ManyCores,
            Situation::DistantClients,
        ] {
            assert!(choice_for(&advice, situation).is_none(), "{situation:?}");
        }
    }

    #[test]
    fn void_comparisons_and_few_rounds_recommend_nothing() {
        let speed = [("selector", 50e3), ("selector-again", 70e3)];
        let speed = speed.map(|(name, speed)| (name.to_owned(), speed)).into();
        let void = MockExecutor { speed, ..MockExecutor::default() };
        let advice = of(&Plan::built_in("default").unwrap(), void);
        let small = choice_for(&advice, Situation::SmallFiles);
        assert!(matches!(small, Some(Choice::Void)), "{small:?}");
        let advice = of(&Plan::built_in("quick").unwrap(), MockExecutor::default());
        let small = choice_for(&advice, Situation::SmallFiles);
        assert!(matches!(small, Some(Choice::TooFew(3))), "{small:?}");
    }
}
