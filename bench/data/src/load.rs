//! The load of a trial.

pub mod byte_size;
pub mod heavy;
pub mod mix;
pub mod objective;
pub mod profile;
pub mod words;

pub use loadgen::Direction;

use crate::load::byte_size::ByteSize;
use crate::load::profile::LoadProfile;

/// The load of a trial: what is the same for all servers that are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Which way the contents travel.
    pub direction: Direction,
    /// Size of the file that every request names, or of the line that is echoed; of a mix, the
    /// mean over the requests.
    pub size: ByteSize,
    /// Concurrent connections that ask.
    pub connections: usize,
    /// What sets it apart from the usual load.
    pub profile: LoadProfile,
}

impl Load {
    /// The usual load: a closed loop over kept connections.
    pub fn usual(direction: Direction, size: ByteSize, connections: usize) -> Self {
        Self { direction, size, connections, profile: LoadProfile::default() }
    }

    /// The same load as a closed loop.
    #[must_use]
    pub fn without_rate(mut self) -> Self {
        (self.profile.rate_per_s, self.profile.of_weakest_percent) = (None, None);
        self
    }

    /// As a plan names it, which does not know rates that a run finds.
    #[must_use]
    pub fn as_planned(mut self) -> Self {
        if self.profile.of_weakest_percent.is_some() {
            self.profile.rate_per_s = None;
        }
        self
    }

    /// All connections to the server, those that ask and the crowd.
    pub fn all_connections(&self) -> usize {
        self.connections + self.profile.background.total()
    }
}
