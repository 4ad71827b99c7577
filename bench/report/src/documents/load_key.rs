//! Load of a value in a document.

use bench_data::load::Load;
use serde::Serialize;

/// Load, with the keys of `comparisons.csv`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LoadKey {
    /// Direction of the contents: `download`, `upload` or `echo`.
    pub direction: &'static str,
    /// Size of the file or line; for a mix, the mean.
    pub size_bytes: u64,
    /// Connections that send requests.
    pub connections: usize,
    /// Further properties of the load; empty for a closed loop over kept connections.
    pub profile: String,
}

impl From<Load> for LoadKey {
    fn from(load: Load) -> Self {
        Self {
            direction: load.direction.name(),
            size_bytes: load.size.bytes(),
            connections: load.connections,
            profile: load.profile.slug().trim_start_matches('-').to_owned(),
        }
    }
}
