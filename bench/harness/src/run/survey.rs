//! What is known of each server before the first trial.

use loadgen::Direction;

use crate::run::files::{download_name, upload_name};
use crate::run::launcher::RunningServer;
use crate::run::probe;
use crate::run::probe::Answer;
use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;
use bench_data::record::environment::Support;
use bench_data::servers::external::How;
use bench_data::servers::target::{Target, TargetKind};

/// What a server cannot do: which loads, and why.
pub(crate) type Unsupported = Vec<(Requirement, String)>;

/// What a load asks a server for: loads that differ in other things alone are borne alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requirement {
    direction: Direction,
    size: ByteSize,
    mix: Option<Mix>,
    /// For heavy work, too.
    work: bool,
}

impl Requirement {
    /// By the requests of a load.
    pub(crate) fn by(load: &Load) -> Self {
        Self {
            direction: load.direction,
            size: load.size,
            mix: load.profile.mix,
            work: load.profile.heavy.total_percent() > 0,
        }
    }

    /// The file that is asked for most often.
    fn file(self) -> (String, ByteSize) {
        match self.mix.map(Mix::favourite) {
            Some(file) => (file.name, file.size),
            None => (download_name(self.size), self.size),
        }
    }

    /// What writes its files.
    fn flags(self) -> String {
        match self.mix {
            Some(mix) => format!("--mix {mix}"),
            None => format!("--sizes {}", self.size),
        }
    }
}

/// Why other servers than ours are not asked for heavy work.
const NO_WORK: &str = "only our own servers do heavy work that a request asks for";

/// Looks at a server that stands: what it supports, and which of the loads it can't bear.
pub(crate) fn look(
    target: &Target,
    standing: &RunningServer,
    loads: &[Load],
) -> (Option<Support>, Unsupported) {
    let address = standing.address();
    let mut lacks = Unsupported::new();
    let mut kept = None;
    let mut ranges = false;
    let mut seen: Vec<Requirement> = Vec::new();
    for load in loads {
        let requirement = Requirement::by(load);
        if seen.contains(&requirement) || load.direction == Direction::Upload {
            continue;
        }
        seen.push(requirement);
        if requirement.work && !target.works() {
            lacks.push((requirement, NO_WORK.to_owned()));
            continue;
        }
        let (name, size) = requirement.file();
        let (answer, keeps) = probe::download(address, &name, size.bytes());
        kept = kept.or(keeps);
        if let Some(reason) = refusal(target, answer, Some(requirement)) {
            lacks.push((requirement, reason));
        } else {
            ranges = ranges || probe::range(address, &name, size.bytes());
        }
    }
    let (answer, keeps) = probe::upload(address, &upload_name(ByteSize::new(5)));
    kept = kept.or(keeps);
    let upload = answer == Answer::Right;
    let refused = refusal(target, answer, None);
    for load in loads.iter().filter(|load| load.direction == Direction::Upload) {
        let requirement = Requirement::by(load);
        if let Some(reason) =
            refused.as_ref().filter(|_| !lacks.iter().any(|(l, _)| *l == requirement))
        {
            lacks.push((requirement, reason.clone()));
        }
    }
    if kept == Some(false) {
        for load in loads {
            let requirement = Requirement::by(load);
            if !lacks.iter().any(|(lacking, _)| *lacking == requirement) {
                lacks.push((requirement, "it closes each connection after one answer".to_owned()));
            }
        }
    }
    (Some(Support { keep_alive: kept, ranges, upload }), lacks)
}

/// The same where lines are to come back.
pub(crate) fn lacks_of_echo(
    target: &Target,
    standing: &RunningServer,
    loads: &[Load],
) -> Unsupported {
    match target.kind() {
        TargetKind::Reference => for_all(loads, "it speaks http only"),
        _ if probe::echoes(standing.address()) => Unsupported::new(),
        TargetKind::Strategy
        | TargetKind::AaControl
        | TargetKind::Command
        | TargetKind::Running => for_all(loads, "it does not send a line back as it is"),
    }
}

/// That none of the loads can be borne.
pub(crate) fn for_all(loads: &[Load], reason: &str) -> Unsupported {
    loads.iter().map(|load| (Requirement::by(load), reason.to_owned())).collect()
}

/// Why a load is not worth trying: what a server refuses, it does not do; what it gets wrong
/// is for the trial to show. Someone else's server cannot have the files unless they were put
/// there, and that deserves a word.
fn refusal(target: &Target, answer: Answer, asked: Option<Requirement>) -> Option<String> {
    let running =
        matches!(target, Target::External(given) if matches!(given.how(), How::Running { .. }));
    let remedy = match asked {
        Some(asked) if running => {
            format!(
                ": place {} there, which 'cargo run --release -- files DIR {}' writes",
                asked.file().0,
                asked.flags()
            )
        }
        _ => String::new(),
    };
    match answer {
        Answer::Right => None,
        Answer::Refused(what) => Some(what + &remedy),
        Answer::Wrong(what) if running && asked.is_some() => Some(what + &remedy),
        Answer::Wrong(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::record::environment::TargetInfo;

    #[test]
    fn what_is_not_known_is_not_said() {
        let info = |supports| TargetInfo {
            name: "a".to_owned(),
            kind: TargetKind::Command,
            version: None,
            configuration: None,
            problems: Vec::new(),
            supports,
        };
        let support = Support { keep_alive: None, ranges: true, upload: false };
        assert_eq!(info(Some(support)).abilities(), "supports ranges, not upload");
        let support = Support { keep_alive: Some(true), ranges: true, upload: true };
        assert_eq!(info(Some(support)).abilities(), "supports keep-alive, ranges, upload");
        let support = Support { keep_alive: None, ranges: false, upload: false };
        assert_eq!(info(Some(support)).abilities(), "without ranges, upload");
        assert_eq!(info(None).abilities(), "");
    }
}
