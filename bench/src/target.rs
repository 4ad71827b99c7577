//! What is compared.

use std::fmt;
use std::str::FromStr;

use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

/// One server in the comparison, under the name that records and charts give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Our own server with this strategy.
    Strategy(StrategyKind),
}

/// A name that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy '{name}': choose from {}", known.join(", "))]
pub struct UnknownTarget {
    name: String,
    known: Vec<&'static str>,
}

impl Target {
    /// Every target that can be had without installing anything.
    pub fn all() -> Vec<Self> {
        StrategyKind::ALL.into_iter().map(Self::Strategy).collect()
    }

    /// The one spelling used in flags, records and charts.
    pub fn name(&self) -> &str {
        match self {
            Self::Strategy(kind) => kind.name(),
        }
    }

    /// One line that explains it.
    pub fn description(&self) -> String {
        match self {
            Self::Strategy(kind) => kind.summary(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        Self::all().into_iter().find(|target| target.name() == name).ok_or_else(|| UnknownTarget {
            name: name.to_owned(),
            known: StrategyKind::ALL.into_iter().map(StrategyKind::name).collect(),
        })
    }
}

impl TryFrom<String> for Target {
    type Error = UnknownTarget;

    fn try_from(name: String) -> Result<Self, UnknownTarget> {
        name.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = "apache".parse::<Target>().unwrap_err().to_string();
        assert!(message.contains("'apache'"), "{message}");
        for kind in StrategyKind::ALL {
            assert!(message.contains(kind.name()), "{message}");
            assert_eq!(kind.name().parse(), Ok(Target::Strategy(kind)));
        }
    }
}
