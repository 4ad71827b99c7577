//! What is compared.

use std::fmt;

use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

use crate::given::{Given, How};
use crate::peer::Peer;

/// One server in the comparison, under the name that records and charts give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Our own server with this strategy.
    Strategy(StrategyKind),
    /// A real server that the harness configures and starts.
    Peer(Peer),
    /// A server of the user's.
    Given(Given),
}

/// Which kind of server a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// One of our strategies.
    Strategy,
    /// A real server.
    Peer,
    /// Started by a command of the user's.
    Command,
    /// Ran before the run began.
    Running,
}

impl Target {
    /// Which kind it is.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Strategy(_) => TargetKind::Strategy,
            Self::Peer(_) => TargetKind::Peer,
            Self::Given(given) => match given.how() {
                How::Command(_) => TargetKind::Command,
                How::Running { .. } => TargetKind::Running,
            },
        }
    }

    /// The one spelling used in flags, records and charts.
    pub fn name(&self) -> &str {
        match self {
            Self::Strategy(kind) => kind.name(),
            Self::Peer(peer) => peer.name(),
            Self::Given(given) => given.name(),
        }
    }

    /// One line that explains it.
    pub fn description(&self) -> String {
        match self {
            Self::Strategy(kind) => kind.summary(),
            Self::Peer(peer) => peer.description().to_owned(),
            Self::Given(given) => given.description(),
        }
    }
}

impl TargetKind {
    /// What sets those apart that are not ours, behind their names in tables.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Strategy => "",
            Self::Peer => " (real)",
            Self::Command | Self::Running => " (given)",
        }
    }

    /// Whether it is one of our strategies.
    pub fn is_ours(self) -> bool {
        self == Self::Strategy
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
