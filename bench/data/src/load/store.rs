//! Place of uploaded files, and data forced to disk before an upload is acknowledged.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Place of the files that a load uploads.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// The temporary folder, usually in memory; nothing is forced to disk
    #[default]
    Memory,
    /// The file system of the results; built-in servers force each upload to disk before they reply
    Disk,
}

/// Data that a server forces to disk before it acknowledges an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Nothing.
    None,
    /// The data of the file.
    Data,
    /// The file and its folder.
    Full,
}

impl Store {
    /// Name in plans, flags and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }

    /// Durability that built-in servers are started with.
    pub fn durability(self) -> Durability {
        match self {
            Self::Memory => Durability::None,
            Self::Disk => Durability::Data,
        }
    }

    /// Returns true for the default, for serde.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn is_memory(&self) -> bool {
        *self == Self::Memory
    }
}

impl Durability {
    /// Name in flags and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Data => "data",
            Self::Full => "full",
        }
    }

    /// Durability of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Data, Self::Full].into_iter().find(|one| one.name() == name)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
