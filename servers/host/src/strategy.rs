//! Concurrency strategies: their contract and their list.

mod hybrid;
mod iterative;
mod multi_selector;
pub(crate) mod parts;
pub(crate) mod prefork;
mod selector;
mod thread_pool;
mod threaded;
mod tokio;
mod uring;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use clap::ValueEnum;

use crate::server::listener::Listener;
use crate::server::report::ServeReport;
use crate::server::shutdown::Shutdown;
use crate::server::state::ServerState;

pub use self::tokio::Tokio;
pub use hybrid::Hybrid;
pub use iterative::Iterative;
pub use multi_selector::MultiSelector;
pub use prefork::Prefork;
pub use selector::Selector;
pub use thread_pool::ThreadPool;
pub use threaded::Threaded;
pub use uring::Uring;

/// Concurrency strategy. Implementations differ only in which thread runs a connection, and when.
///
/// Every strategy:
/// - performs the actions of each connection's [`Session`](fileserver_proto::Session), calls its
///   `handle_timeout` shortly after its deadline, and closes it when the session ends or the
///   connection breaks;
/// - reports to [`ServerState::readiness`] when its threads and selectors exist, before it accepts;
/// - opens no more connections than the connection limit permits: further ones wait in the accept
///   queue;
/// - pauses accepting while descriptors or memory are exhausted, until a connection closes or
///   [`EXHAUSTION_PAUSE`](crate::server::state::EXHAUSTION_PAUSE) has passed, without spinning;
/// - lets every admitted connection make progress, whatever the others do (`iterative` admits one
///   at a time);
/// - confines a panic to the connection it happened on, and counts it;
/// - once the shutdown is triggered, stops accepting, closes idle connections at once and the
///   others after the request in progress, and breaks the rest after the drain timeout or a second
///   trigger.
pub trait Strategy: Send + Sync {
    /// Serves until `shutdown` is triggered, drains, and returns the counts.
    ///
    /// # Errors
    /// The listener or the selector failed for good, or a thread cannot be created.
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport>;
}

/// Concurrency strategies. `--help` shows the first line of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum StrategyKind {
    /// One thread, one connection at a time; other connections wait in the accept queue
    Iterative,
    /// Processes that share the listener, one connection each; other connections wait in the accept queue (Apache's prefork MPM)
    Prefork,
    /// A thread per connection, blocked on its socket (Apache's worker MPM)
    Threaded,
    /// A fixed number of worker threads; an idle connection occupies no worker (Apache's event MPM)
    ThreadPool,
    /// One thread, non-blocking sockets, one selector (epoll) for all connections (nginx)
    Selector,
    /// A selector and a thread per core, each with its share of the connections (nginx's worker processes)
    MultiSelector,
    /// A selector for the sockets, worker threads for blocking operations (nginx with aio threads)
    Hybrid,
    /// One thread; operations are queued for the kernel, which reports their completion (io_uring)
    Uring,
    /// A task per connection on Tokio's work-stealing runtime, one thread per core
    Tokio,
}

impl StrategyKind {
    /// All strategies, simplest first.
    pub const ALL: [Self; 9] = [
        Self::Iterative,
        Self::Prefork,
        Self::Threaded,
        Self::ThreadPool,
        Self::Selector,
        Self::MultiSelector,
        Self::Hybrid,
        Self::Uring,
        Self::Tokio,
    ];

    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iterative => "iterative",
            Self::Prefork => "prefork",
            Self::Threaded => "threaded",
            Self::ThreadPool => "thread-pool",
            Self::Selector => "selector",
            Self::MultiSelector => "multi-selector",
            Self::Hybrid => "hybrid",
            Self::Uring => "uring",
            Self::Tokio => "tokio",
        }
    }

    /// True if the strategy serves with a given number of threads or processes.
    pub fn has_workers(self) -> bool {
        match self {
            Self::Prefork | Self::ThreadPool | Self::MultiSelector | Self::Hybrid | Self::Tokio => {
                true
            }
            Self::Iterative | Self::Threaded | Self::Selector | Self::Uring => false,
        }
    }

    /// Implementation of the strategy. `prefork` can serve only in a program started by
    /// [`cli::run`](crate::cli::run), of which it starts further processes.
    pub fn build(self) -> Box<dyn Strategy> {
        match self {
            Self::Iterative => Box::new(Iterative),
            Self::Prefork => Box::new(Prefork::default()),
            Self::Threaded => Box::new(Threaded),
            Self::ThreadPool => Box::new(ThreadPool),
            Self::Selector => Box::new(Selector),
            Self::MultiSelector => Box::new(MultiSelector),
            Self::Hybrid => Box::new(Hybrid),
            Self::Uring => Box::new(Uring),
            Self::Tokio => Box::new(Tokio),
        }
    }

    /// Checks that this system can run the strategy.
    ///
    /// # Errors
    /// The missing requirement and the remedy.
    pub fn availability(self) -> Result<(), Unavailable> {
        match self {
            Self::Iterative
            | Self::Prefork
            | Self::Threaded
            | Self::ThreadPool
            | Self::Selector
            | Self::MultiSelector
            | Self::Hybrid
            | Self::Tokio => Ok(()),
            Self::Uring => Uring::availability(),
        }
    }

    /// One-line summary, as in `--help`.
    pub fn summary(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }
}

impl fmt::Display for StrategyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StrategyKind {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}

/// Name of no strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy '{0}': choose from {list}", list = StrategyKind::ALL.map(StrategyKind::name).join(", "))]
pub struct UnknownStrategy(String);

/// Missing requirement of a strategy, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_as_the_flag_spells_them() {
        for kind in StrategyKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
        }
        let error = "Selector".parse::<StrategyKind>().unwrap_err().to_string();
        assert!(
            error.starts_with("unknown strategy 'Selector': choose from iterative, "),
            "{error}"
        );
    }
}
