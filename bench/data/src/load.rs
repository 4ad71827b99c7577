//! Loads: direction, size, connections and deviations from the default load.

pub mod byte_size;
pub mod heavy;
pub mod mix;
pub mod objective;
pub mod profile;
pub mod store;
pub mod words;

pub use loadgen::Direction;

use crate::load::byte_size::ByteSize;
use crate::load::profile::LoadProfile;

/// Load of a trial: the conditions that are equal for all compared servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Direction of the contents.
    pub direction: Direction,
    /// Size of the requested file or of the request line; for a mix, the mean over the requests.
    pub size: ByteSize,
    /// Concurrent connections that send requests.
    pub connections: usize,
    /// Deviations from the default load.
    pub profile: LoadProfile,
}

impl Load {
    /// Default load: a closed loop with keep-alive.
    pub fn usual(direction: Direction, size: ByteSize, connections: usize) -> Self {
        Self { direction, size, connections, profile: LoadProfile::default() }
    }

    /// Same load as a closed loop.
    #[must_use]
    pub fn without_rate(mut self) -> Self {
        (self.profile.rate_per_s, self.profile.of_weakest_percent) = (None, None);
        self
    }

    /// Same load as a plan specifies it, without a rate that the run finds.
    #[must_use]
    pub fn as_planned(mut self) -> Self {
        if self.profile.of_weakest_percent.is_some() {
            self.profile.rate_per_s = None;
        }
        self
    }

    /// Number of all connections to the server, background connections included.
    pub fn all_connections(&self) -> usize {
        self.connections + self.profile.background.total()
    }
}
