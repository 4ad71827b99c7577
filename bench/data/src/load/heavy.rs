//! Requests for expensive work among the others.

use std::time::Duration;

/// Duration of the work of one request.
pub const WORK_TIME: Duration = Duration::from_millis(20);

/// Length of the reply body in bytes: `worked` and a newline.
pub const ANSWER_BYTES: u64 = 7;

/// Shares of requests for expensive work, in percent of all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Heavy {
    /// Share of requests that keep a processor busy.
    pub cpu_percent: u8,
    /// Share of requests that block their handler without using a processor, like a slow disk.
    pub block_percent: u8,
}

/// Kind of expensive work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Processor time.
    Cpu,
    /// Blocking.
    Block,
}

impl Heavy {
    /// Share of both kinds, in percent.
    pub fn total_percent(self) -> u32 {
        u32::from(self.cpu_percent) + u32::from(self.block_percent)
    }

    /// Share of one kind, in percent.
    pub fn percent(self, work: Work) -> u8 {
        match work {
            Work::Cpu => self.cpu_percent,
            Work::Block => self.block_percent,
        }
    }

    /// Shares in words, such as `1 % of requests burn 20 ms of CPU`.
    pub fn remarks(self) -> impl Iterator<Item = String> {
        let of_each = Work::ALL.into_iter().map(move |work| (work, self.percent(work)));
        of_each
            .filter(|(_, percent)| *percent > 0)
            .map(|(work, percent)| format!("{percent} % of requests {}", work.words()))
    }
}

impl Work {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Block];

    /// Request target over HTTP.
    pub fn target(self) -> String {
        format!("/.work?{}={}ms", self.name(), WORK_TIME.as_millis())
    }

    /// Name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Block => "block",
        }
    }

    /// Effect of such a request in words.
    pub fn words(self) -> String {
        let ms = WORK_TIME.as_millis();
        match self {
            Self::Cpu => format!("burn {ms} ms of CPU"),
            Self::Block => format!("block for {ms} ms"),
        }
    }
}
