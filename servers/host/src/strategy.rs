//! Concurrency architectures: the contract, and the list of all.

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

/// A concurrency architecture. Implementations differ only in who runs a connection, and when.
///
/// Each of them, alike:
/// - performs the actions of every connection's [`Session`](fileserver_proto::Session), tells it
///   of the time no later than a moment after its deadline, and drops it when it says so or the
///   connection breaks;
/// - opens no more connections than the site's gate admits: further ones wait in the backlog;
/// - pauses accepting when descriptors or memory run out, until a connection closes or
///   [`EXHAUSTION_PAUSE`](crate::server::state::EXHAUSTION_PAUSE) has passed, without spinning;
/// - lets every connection that is admitted to service make progress, whatever the others do
///   (`iterative` admits one at a time: that is its point);
/// - confines a panic to the connection it happened on, and counts it;
/// - once the shutdown is triggered, accepts no more, closes idle connections at once and the
///   others after the request in progress, and after the site's drain time, or a second trigger,
///   breaks what is left.
pub trait Strategy: Send + Sync {
    /// Serves until `shutdown` is triggered, drains, and returns what happened.
    ///
    /// # Errors
    /// The listener or the selector failed for good, or a fixed number of threads cannot be had.
    fn serve(
        &self,
        listener: &Listener,
        server: &Arc<ServerState>,
        shutdown: &Shutdown,
    ) -> io::Result<ServeReport>;
}

/// The architectures to choose from. The first line of each is what `--help` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum StrategyKind {
    /// One connection at a time, start to end, on one thread: everyone else waits in the backlog
    Iterative,
    /// Processes that share the listening socket, one connection at a time each: how Apache began
    Prefork,
    /// A thread per connection, blocking on its socket: Apache's worker MPM
    Threaded,
    /// A fixed pool of worker threads; a connection holds one only while it has work: Apache's event MPM
    ThreadPool,
    /// One thread, non-blocking sockets and an OS selector (epoll) for all connections: how nginx works
    Selector,
    /// A selector per core, each on its own thread with its own share of the connections: nginx's worker processes
    MultiSelector,
    /// A selector for the sockets and a pool of workers for what may block: nginx with aio threads
    Hybrid,
    /// One thread, operations queued to the kernel and completed by it (io_uring): few system calls, no readiness
    Uring,
    /// A task per connection on a runtime of a thread per core that share out their tasks: what most would pick today
    Tokio,
}

impl StrategyKind {
    /// All of them, simplest first.
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

    /// The one spelling used in flags, records and charts.
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

    /// The implementation. That of `prefork` can serve only where [`command::run`] has it run
    /// further processes of the program.
    ///
    /// [`command::run`]: crate::cli::run
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

    /// Whether this system can run it.
    ///
    /// # Errors
    /// What is missing, and the remedy.
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

    /// The model in one line, as `--help` shows it.
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

/// Why this system cannot run a strategy: what is missing, and the remedy.
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
