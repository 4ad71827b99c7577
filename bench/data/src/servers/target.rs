//! What is compared.

use std::fmt;

use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

use crate::servers::external::{ExternalServer, How};
use crate::servers::reference::ReferenceServer;
use crate::servers::variant::Variant;

/// One server in the comparison, under the name that records and charts give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Our own server with this strategy.
    Strategy(StrategyKind),
    /// The same under another name.
    Variant(Variant),
    /// A reference server that the harness configures and starts.
    Reference(ReferenceServer),
    /// A server of the user's.
    External(ExternalServer),
}

/// Which kind of server a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// One of our strategies.
    Strategy,
    /// A strategy measured a second time, as an A/A control.
    #[serde(alias = "twin")]
    AaControl,
    /// A reference server.
    #[serde(rename = "peer")]
    Reference,
    /// Started by a command of the user's.
    Command,
    /// Ran before the run began.
    Running,
}

impl Target {
    /// The strategy of one of ours, and the flags that it gets beyond the usual ones.
    pub fn strategy(&self) -> Option<(StrategyKind, &[String])> {
        match self {
            Self::Strategy(kind) => Some((*kind, &[])),
            Self::Variant(variant) => Some((variant.strategy(), variant.flags())),
            Self::Reference(_) | Self::External(_) => None,
        }
    }

    /// Whether it does heavy work that a request asks for: it is ours, or ours is behind it.
    pub fn works(&self) -> bool {
        match self {
            Self::Strategy(_)
            | Self::Variant(_)
            | Self::Reference(ReferenceServer::NginxThreaded) => true,
            Self::Reference(_) | Self::External(_) => false,
        }
    }

    /// Name of the strategy that it is the A/A control of.
    pub fn control_of(&self) -> Option<&'static str> {
        match self {
            Self::Variant(variant) if variant.is_aa_control() => Some(variant.strategy().name()),
            Self::Strategy(_) | Self::Variant(_) | Self::Reference(_) | Self::External(_) => None,
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Variant(variant) if variant.is_aa_control() => TargetKind::AaControl,
            Self::Strategy(_) | Self::Variant(_) => TargetKind::Strategy,
            Self::Reference(_) => TargetKind::Reference,
            Self::External(given) => match given.how() {
                How::Command(_) => TargetKind::Command,
                How::Running { .. } => TargetKind::Running,
            },
        }
    }

    /// The one spelling used in flags, records and charts.
    pub fn name(&self) -> &str {
        match self {
            Self::Strategy(kind) => kind.name(),
            Self::Variant(variant) => variant.name(),
            Self::Reference(peer) => peer.name(),
            Self::External(given) => given.name(),
        }
    }

    /// One line that explains it.
    pub fn description(&self) -> String {
        match self {
            Self::Strategy(kind) => kind.summary(),
            Self::Variant(variant) => variant.description(),
            Self::Reference(peer) => peer.description().to_owned(),
            Self::External(given) => given.description(),
        }
    }
}

impl TargetKind {
    /// What sets those apart that are not ours, behind their names in tables.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Strategy => "",
            Self::AaControl => " (A/A)",
            Self::Reference => " (real)",
            Self::Command | Self::Running => " (given)",
        }
    }

    /// Whether it is one of our strategies.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Strategy | Self::AaControl)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
