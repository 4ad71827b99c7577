//! Servers of a comparison.

use std::fmt;

use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

use crate::load::store::{Durability, Store};
use crate::servers::external::{ExternalServer, How};
use crate::servers::reference::ReferenceServer;
use crate::servers::variant::Variant;

/// Server of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Built-in server with a strategy.
    Strategy(StrategyKind),
    /// Built-in server under another name.
    Variant(Variant),
    /// Reference server, which the harness configures and starts.
    Reference(ReferenceServer),
    /// External server.
    External(ExternalServer),
}

/// Kind of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// Strategy of the built-in server.
    Strategy,
    /// A strategy measured a second time, as an A/A control.
    #[serde(alias = "twin")]
    AaControl,
    /// Reference server.
    #[serde(rename = "peer")]
    Reference,
    /// External server, started by a command.
    Command,
    /// External server, already running.
    Running,
}

impl Target {
    /// Strategy and further flags of a built-in server.
    pub fn strategy(&self) -> Option<(StrategyKind, &[String])> {
        match self {
            Self::Strategy(kind) => Some((*kind, &[])),
            Self::Variant(variant) => Some((variant.strategy(), variant.flags())),
            Self::Reference(_) | Self::External(_) => None,
        }
    }

    /// Returns true if it does the work of heavy requests: a built-in server, or a proxy of one.
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

    /// Data forced to disk before an upload to a store is acknowledged; `None` if unknown.
    pub fn durability(&self, store: Store) -> Option<Durability> {
        match self {
            Self::Strategy(_) => Some(store.durability()),
            Self::Variant(variant) => Some(variant.durability().unwrap_or(store.durability())),
            Self::Reference(_) => Some(Durability::None),
            Self::External(_) => None,
        }
    }

    /// Kind.
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

    /// Name in flags, records and charts.
    pub fn name(&self) -> &str {
        match self {
            Self::Strategy(kind) => kind.name(),
            Self::Variant(variant) => variant.name(),
            Self::Reference(peer) => peer.name(),
            Self::External(given) => given.name(),
        }
    }

    /// Description in one line.
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
    /// Remark after the name in tables; empty for strategies.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Strategy => "",
            Self::AaControl => " (A/A)",
            Self::Reference => " (reference)",
            Self::Command | Self::Running => " (external)",
        }
    }

    /// Returns true for one of the strategies.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Strategy | Self::AaControl)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
