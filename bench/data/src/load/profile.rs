//! Deviations of a load from the default one.

use crate::load::heavy::Heavy;
use crate::load::mix::Mix;
use crate::load::store::Store;
use crate::units::{counted, grouped};

/// Deviations of a load from the default one: a closed loop with keep-alive and without background
/// connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadProfile {
    /// True if connections are kept between requests; false if each request opens its own.
    pub keep_alive: bool,
    /// Offered rate of an open loop, in requests per second; `None` for closed loops.
    pub rate_per_s: Option<u32>,
    /// Offered rate as a share of the slowest server's capacity, in percent. A plan has only the
    /// share; the run finds the rate.
    pub of_weakest_percent: Option<u32>,
    /// Connections held open in the background.
    pub background: BackgroundConnections,
    /// Share of requests for expensive work.
    pub heavy: Heavy,
    /// Set of files that requests draw from; `None` for one file.
    pub mix: Option<Mix>,
    /// Place of uploaded files.
    pub store: Store,
    /// Number of cores of the server.
    pub server_cores: usize,
}

/// Numbers of background connections, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BackgroundConnections {
    /// Idle connections: each received one reply and has been silent since.
    pub idle: usize,
    /// Slow readers: each reads a large file at 10 KiB/s.
    pub slow_readers: usize,
    /// Slow senders: each sends a request head at 10 bytes/s and never completes it.
    pub slow_senders: usize,
}

impl Default for LoadProfile {
    fn default() -> Self {
        Self {
            keep_alive: true,
            rate_per_s: None,
            of_weakest_percent: None,
            background: BackgroundConnections::default(),
            heavy: Heavy::default(),
            mix: None,
            store: Store::default(),
            server_cores: 1,
        }
    }
}

impl LoadProfile {
    /// Returns true for the default load.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Deviations from the default load in words; none for the default.
    pub fn remarks(&self) -> Vec<String> {
        let background = self.background;
        let beside = |count: usize, noun: &str| {
            (count > 0).then(|| format!("beside {}", counted(count, noun)))
        };
        let own = [
            (!self.keep_alive).then(|| "a new connection per request".to_owned()),
            self.rate_per_s.map(|rate| format!("{} requests/s offered", grouped(rate as usize))),
            self.of_weakest_percent
                .map(|percent| format!("{percent} % of the slowest server's capacity")),
            beside(background.idle, "idle connection"),
            beside(background.slow_readers, "slow reader"),
            beside(background.slow_senders, "slow sender"),
        ];
        let cores = (self.server_cores != 1)
            .then(|| format!("server on {}", counted(self.server_cores, "core")));
        let disk = (self.store == Store::Disk).then(|| "stored on a disk".to_owned());
        own.into_iter().flatten().chain(self.heavy.remarks()).chain(disk).chain(cores).collect()
    }

    /// Deviations as part of a file name; empty for the default load.
    pub fn slug(&self) -> String {
        let background = self.background;
        let part = |count: usize, name: &str| {
            if count > 0 { format!("-{count}-{name}") } else { String::new() }
        };
        let churn = if self.keep_alive { "" } else { "-per-request" };
        let rate = match (self.of_weakest_percent, self.rate_per_s) {
            (Some(percent), _) => format!("-at-{percent}-percent"),
            (None, Some(rate)) => format!("-at-{rate}"),
            (None, None) => String::new(),
        };
        let mix = self.mix.map(|mix| format!("-mix-{mix}")).unwrap_or_default();
        let disk = if self.store == Store::Disk { "-disk" } else { "" };
        let cores = match self.server_cores {
            1 => String::new(),
            cores => format!("-on-{cores}-cores"),
        };
        format!(
            "{mix}{disk}{cores}{churn}{rate}{}{}{}{}{}",
            part(background.idle, "idle"),
            part(background.slow_readers, "slow-readers"),
            part(background.slow_senders, "slow-senders"),
            part(self.heavy.cpu_percent.into(), "percent-cpu"),
            part(self.heavy.block_percent.into(), "percent-block"),
        )
    }
}

impl BackgroundConnections {
    /// Number of all background connections.
    pub fn total(&self) -> usize {
        self.idle + self.slow_readers + self.slow_senders
    }
}
