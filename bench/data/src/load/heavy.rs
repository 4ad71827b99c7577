//! Requests for heavy work among the others.

use std::time::Duration;

/// How long each of them takes in the server.
pub const WORK_TIME: Duration = Duration::from_millis(20);

/// Bytes of the answer to each: `worked` and the end of the line.
pub const ANSWER_BYTES: u64 = 7;

/// Shares of requests that make the server work, in percent of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Heavy {
    /// Those that keep a processor busy.
    pub cpu_percent: u8,
    /// Those that hold whoever serves them without using a processor, as a slow disk would.
    pub block_percent: u8,
}

/// A kind of heavy work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Burning processor time.
    Cpu,
    /// Waiting.
    Block,
}

impl Heavy {
    /// All of them, in percent.
    pub fn total_percent(self) -> u32 {
        u32::from(self.cpu_percent) + u32::from(self.block_percent)
    }

    /// Those of one kind, in percent.
    pub fn percent(self, work: Work) -> u8 {
        match work {
            Work::Cpu => self.cpu_percent,
            Work::Block => self.block_percent,
        }
    }

    /// What they are, in words: `1 % burn 20 ms of CPU each`.
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

    /// What is asked for over http.
    pub fn target(self) -> String {
        format!("/.work?{}={}ms", self.name(), WORK_TIME.as_millis())
    }

    /// As it is spelled in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Block => "block",
        }
    }

    /// What such requests do.
    pub fn words(self) -> String {
        let ms = WORK_TIME.as_millis();
        match self {
            Self::Cpu => format!("burn {ms} ms of CPU"),
            Self::Block => format!("block for {ms} ms"),
        }
    }
}
