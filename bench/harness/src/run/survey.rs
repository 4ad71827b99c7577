//! Capabilities of each server, checked before the first trial.

use loadgen::Direction;

use crate::run::files::{download_name, upload_name};
use crate::run::launcher::RunningServer;
use crate::run::probe;
use crate::run::probe::Answer;
use bench_data::load::Load;
use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;
use bench_data::plan::service::LoadService;
use bench_data::record::environment::Support;
use bench_data::servers::external::How;
use bench_data::servers::target::{Target, TargetKind};

/// Unsupported requirements of a server, with the reasons.
pub(crate) type Unsupported = Vec<(Requirement, String)>;

/// Requirement of a load on a server: loads with equal requirements are equally supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requirement {
    direction: Direction,
    size: ByteSize,
    mix: Option<Mix>,
    /// True with heavy requests.
    work: bool,
    /// True if connections are kept between requests.
    keep_alive: bool,
}

impl Requirement {
    /// Requirement of a load.
    pub(crate) fn by(load: &Load) -> Self {
        Self {
            direction: load.direction,
            size: load.size,
            mix: load.profile.mix,
            work: load.profile.heavy.total_percent() > 0,
            keep_alive: load.profile.keep_alive,
        }
    }

    /// Most requested file.
    fn file(self) -> (String, ByteSize) {
        match self.mix.map(Mix::favourite) {
            Some(file) => (file.name, file.size),
            None => (download_name(self.size), self.size),
        }
    }

    /// Flags of `bench files` that write its files.
    fn flags(self) -> String {
        match self.mix {
            Some(mix) => format!("--mix {mix}"),
            None => format!("--sizes {}", self.size),
        }
    }
}

/// Reason why a server does not run heavy requests.
const NO_WORK: &str = "heavy requests need the built-in server";

/// Reason why a server that closes each connection does not run loads with keep-alive.
const CLOSES: &str = "it closes each connection after one reply: add --no-keep-alive to measure it with a connection \
     per request";

/// Checks the capabilities of a running server; returns them and the unsupported requirements.
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
            let is_known = lacks.iter().any(|(lacking, _)| *lacking == requirement);
            if requirement.keep_alive && !is_known {
                lacks.push((requirement, CLOSES.to_owned()));
            }
        }
    }
    (Some(Support { keep_alive: kept, ranges, upload }), lacks)
}

/// Unsupported requirements of a server of lines.
pub(crate) fn lacks_of_lines(
    target: &Target,
    standing: &RunningServer,
    service: LoadService,
    loads: &[Load],
) -> Unsupported {
    if target.kind() == TargetKind::Reference {
        return for_all(loads, "it supports only http");
    }
    let address = standing.address();
    if service == LoadService::Echo {
        return match probe::echoes(address) {
            Ok(()) => Unsupported::new(),
            Err(reason) => for_all(loads, &reason.to_string()),
        };
    }
    let mut lacks = Unsupported::new();
    let mut seen = Vec::new();
    for load in loads {
        let requirement = Requirement::by(load);
        if seen.contains(&requirement) {
            continue;
        }
        seen.push(requirement);
        let (refused, kept) = match service.line(load.size) {
            None => {
                let (name, size) = requirement.file();
                let (answer, kept) = probe::text_download(address, &name, size.bytes());
                (refusal(target, answer, Some(requirement)), kept)
            }
            Some(line) => match probe::learn(address, &line, service == LoadService::Date) {
                Ok((_, kept)) => (None, Some(kept)),
                Err(error) => (Some(format!("{error:#}")), None),
            },
        };
        let closes = requirement.keep_alive && kept == Some(false);
        if let Some(reason) = refused.or_else(|| closes.then(|| CLOSES.to_owned())) {
            lacks.push((requirement, reason));
        }
    }
    lacks
}

/// All requirements of the loads as unsupported, for one reason.
pub(crate) fn for_all(loads: &[Load], reason: &str) -> Unsupported {
    loads.iter().map(|load| (Requirement::by(load), reason.to_owned())).collect()
}

/// Reason why a load is skipped, if the server refused the check. Failures are left to the trial,
/// except on running external servers, which may lack the files.
fn refusal(target: &Target, answer: Answer, asked: Option<Requirement>) -> Option<String> {
    let running =
        matches!(target, Target::External(given) if matches!(given.how(), How::Running { .. }));
    let remedy = match asked {
        Some(asked) if running => {
            format!(
                ": place {} there; 'cargo run --release -- files DIR {}' writes it",
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
        assert_eq!(info(Some(support)).abilities(), "ranges: yes, upload: no");
        let support = Support { keep_alive: Some(true), ranges: true, upload: true };
        assert_eq!(info(Some(support)).abilities(), "keep-alive: yes, ranges: yes, upload: yes");
        let support = Support { keep_alive: None, ranges: false, upload: false };
        assert_eq!(info(Some(support)).abilities(), "ranges: no, upload: no");
        assert_eq!(info(None).abilities(), "");
    }
}
