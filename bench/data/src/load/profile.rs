//! Deviations of a load from the default one.

use crate::load::heavy::Heavy;
use crate::load::mix::Mix;

/// What sets a load apart from the usual one: a closed loop over connections that are kept, with
/// nobody else there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadProfile {
    /// Whether a connection serves many requests, or each opens its own.
    pub keep_alive: bool,
    /// Requests per second that arrive whatever the server does; `None` for closed loops.
    pub rate_per_s: Option<u32>,
    /// What share of the weakest server's capacity that is, in percent, where it was chosen so. In
    /// a plan the rate itself is not known yet.
    pub of_weakest_percent: Option<u32>,
    /// Connections that are held open beside those that ask.
    pub background: BackgroundConnections,
    /// Requests for heavy work among the others.
    pub heavy: Heavy,
    /// The set of files that requests draw from, where there is more than one.
    pub mix: Option<Mix>,
}

/// Connections beside those that ask, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BackgroundConnections {
    /// Each had an answer once and is silent since.
    pub idle: usize,
    /// Each has asked for a large file and takes it in drops.
    pub slow_readers: usize,
    /// Each sends a request in drops and never comes to its end.
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
        }
    }
}

impl LoadProfile {
    /// Whether it is the usual one.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The same for file names; nothing for the usual one.
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
        format!(
            "{mix}{churn}{rate}{}{}{}{}{}",
            part(background.idle, "idle"),
            part(background.slow_readers, "slow-readers"),
            part(background.slow_senders, "slow-senders"),
            part(self.heavy.cpu_percent.into(), "percent-cpu"),
            part(self.heavy.block_percent.into(), "percent-block"),
        )
    }
}

impl BackgroundConnections {
    /// All of them.
    pub fn total(&self) -> usize {
        self.idle + self.slow_readers + self.slow_senders
    }
}
