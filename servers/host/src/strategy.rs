//! Concurrency architectures: the contract, and the list of all.

use clap::ValueEnum;

/// The architectures to choose from. The first line of each is what `--help` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum StrategyKind {
    /// One connection at a time, start to end, on one thread: everyone else waits in the backlog
    Iterative,
    /// A thread per connection, blocking on its socket: how Apache began
    Threaded,
    /// A fixed pool of worker threads; a connection holds one only while it has work: Apache's event MPM
    ThreadPool,
    /// One thread, non-blocking sockets and an OS selector (epoll) for all connections: how nginx works
    Selector,
}

impl StrategyKind {
    /// All of them, simplest first.
    pub const ALL: [Self; 4] = [Self::Iterative, Self::Threaded, Self::ThreadPool, Self::Selector];

    /// The one spelling used in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iterative => "iterative",
            Self::Threaded => "threaded",
            Self::ThreadPool => "thread-pool",
            Self::Selector => "selector",
        }
    }
}
