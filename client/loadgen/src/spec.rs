//! Specification of a load.

pub(crate) mod check;
mod verification;

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use fileserver_proto::Wire;

pub use verification::Verification;

/// A load: the server, the requests, their arrivals and the duration.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// Address of the server.
    pub target: SocketAddr,
    /// Protocol. Over `text`, an echo is a line of the file's size whose reply must be the same line.
    /// A download is a line with the file's name, whose reply has neither head nor end: it consists
    /// of as many bytes as the file.
    pub wire: Wire,
    /// Direction of the transfers.
    pub direction: Direction,
    /// Files requested or sent; each request draws one by weight.
    pub files: Vec<RequestFile>,
    /// Concurrent connections, spread evenly over the threads (the first ones take the remainder).
    pub connections: usize,
    /// Number of event-loop threads.
    pub threads: usize,
    /// I/O engine of the threads.
    pub engine: EngineChoice,
    /// Cores to pin the threads to, in turn; empty: no pinning.
    pub cores: Vec<usize>,
    /// Number of requests per connection: many or one.
    pub connection_use: ConnectionUse,
    /// Arrival process of the requests.
    pub arrival: Arrival,
    /// Warm-up before the window, whose requests are not counted.
    pub warm_up: Duration,
    /// Longest warm-up: from 80 ms on, it is prolonged by an eighth at a time while the number of
    /// replies per eighth still rises or falls. At most 4,096 eighths; at least `warm_up`.
    pub longest_warm_up: Duration,
    /// Length of the measured window, after the warm-up.
    pub duration: Duration,
    /// A request or connection attempt without progress for this long counts as an error.
    pub timeout: Duration,
    /// Longest time after the window in which its requests are followed to their replies. The load
    /// continues meanwhile and is not counted.
    pub drain: Duration,
    /// Part of the replies whose bytes are compared.
    pub verification: Verification,
    /// Seed of all random choices.
    pub seed: u64,
}

/// Selection of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// `uring` if the kernel supports it, else `epoll`.
    #[default]
    Auto,
    /// One engine; if the kernel refuses it, the load does not run.
    Only(Engine),
}

impl FromStr for EngineChoice {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "auto" => Ok(Self::Auto),
            "epoll" => Ok(Self::Only(Engine::Epoll)),
            "uring" => Ok(Self::Only(Engine::Uring)),
            _ => Err(UnknownName::new("engine", name, "auto, epoll or uring")),
        }
    }
}

impl Display for EngineChoice {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Auto => "auto",
            Self::Only(engine) => engine.name(),
        })
    }
}

/// I/O engine of the load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Readiness: `epoll_wait`, then one system call per send or receive.
    Epoll,
    /// Completions: io_uring, one system call per batch of requests.
    Uring,
}

impl Engine {
    /// Name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }
}

/// Direction of the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Server to client.
    Download,
    /// Client to server.
    Upload,
    /// Both ways: lines of the text wire to an echo server.
    Echo,
}

impl Direction {
    /// Name in plans and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Echo => "echo",
        }
    }
}

impl FromStr for Direction {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::Download, Self::Upload, Self::Echo]
            .into_iter()
            .find(|direction| direction.name() == name)
            .ok_or_else(|| UnknownName::new("direction", name, "download, upload or echo"))
    }
}

impl Display for Direction {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Name that is not one of the known names of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} '{name}': choose {known}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: &'static str,
}

impl UnknownName {
    fn new(kind: &'static str, name: &str, known: &'static str) -> Self {
        Self { kind, name: name.to_owned(), known }
    }
}

/// A file that requests name.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestFile {
    /// Name on the server; over http also a whole request target, which begins with `/`; for a
    /// download over text any line. An upload gets the connection's number added before the
    /// extension (`a.bin` → `a-7.bin`), so that connections write to distinct names; the bytes stay
    /// the same.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bytes of the file.
    pub body: FileBody,
    /// Relative frequency; positive.
    pub weight: f64,
    /// Class whose histogram records its times.
    pub class: RequestClass,
}

/// Bytes that a file consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FileBody {
    /// [`Content::of_name`](crate::content::Content::of_name) of its name.
    #[default]
    Generated,
    /// These; only for downloads.
    Known(Arc<[u8]>),
    /// Unknown ones: only status and length of a reply are checked. Only for downloads.
    Unknown,
}

/// Classes of requests whose times are recorded separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestClass {
    /// Request for a file.
    #[default]
    Light,
    /// Request for expensive work. Status and length of the reply are checked; its bytes are not
    /// those of a file.
    Heavy,
}

impl RequestFile {
    /// A file of this name and size with generated content, of weight 1.
    pub fn new(name: impl Into<String>, size_bytes: u64) -> Self {
        let (body, class) = (FileBody::Generated, RequestClass::Light);
        Self { name: name.into(), size_bytes, body, weight: 1.0, class }
    }

    /// A file of this name that consists of these bytes, of weight 1.
    pub fn known(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { body: FileBody::Known(bytes.clone()), ..Self::new(name, bytes.len() as u64) }
    }
}

/// Number of requests per connection: many or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionUse {
    /// Many: kept open between requests.
    KeepAlive,
    /// One: opened and closed for each request.
    PerRequest,
}

/// Arrival process of the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrival {
    /// Closed loop: each connection sends its next request after the reply and a pause.
    Closed {
        /// Pause between a reply and the next request.
        think: ThinkTime,
    },
    /// Open loop: requests arrive at a fixed rate, regardless of the server's replies. Any free
    /// connection sends them, and response time starts at the arrival. Arrivals wait while no
    /// connection is free; none is dropped. Each thread has an equal share of the arrivals for its
    /// own connections.
    Open {
        /// Arrivals per second, over all connections.
        rate_per_s: f64,
        /// Distribution of the intervals.
        pacing: Pacing,
    },
}

/// Pause between a reply and the next request in a closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkTime {
    /// No pause.
    None,
    /// Constant.
    Constant(Duration),
    /// Exponentially distributed, with this mean.
    Exponential(Duration),
}

/// Distribution of the intervals between arrivals of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// Equal intervals.
    Constant,
    /// Exponentially distributed intervals: a Poisson process, as of independent users.
    Poisson,
}

/// Change of the soft limit of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaisedLimit {
    /// Limit before.
    pub from: u64,
    /// Limit after: the hard one.
    pub to: u64,
}

/// Reason why a load cannot run as specified.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A number that must be positive is zero (or not a number).
    #[error("{0} must be more than zero")]
    Zero(&'static str),
    /// A time that cannot be added to the clock.
    #[error("{0} is longer than a century: choose a shorter time")]
    TooLong(&'static str),
    /// No file to request.
    #[error("no file to request")]
    NoFiles,
    /// A name that the framed wire cannot carry.
    #[error("cannot request {name:?}: {source}")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        source: fileserver_proto::NameError,
    },
    /// A direction that the wire does not support.
    #[error("the wire {} does not support the direction {direction}", wire.name())]
    Direction {
        /// The wire.
        wire: Wire,
        /// The direction.
        direction: Direction,
    },
    /// A request line that contains a line break.
    #[error("cannot request {0:?}: a line contains no line break")]
    LineBreak(String),
    /// A line of the text wire is too short or too long.
    #[error(
        "a line of {size_bytes} bytes cannot be sent: choose {least} to {most}, its end included"
    )]
    Line {
        /// Length in bytes.
        size_bytes: u64,
        /// Smallest length.
        least: u64,
        /// Greatest length.
        most: u64,
    },
    /// A core on which this process cannot run.
    #[error("core {core} is not available: choose from {}", listed(available))]
    Core {
        /// The core.
        core: usize,
        /// Cores to which its threads can be pinned, ascending.
        available: Vec<usize>,
    },
    /// The kernel refuses the engine.
    #[error("the kernel refuses io_uring ({0}): choose the engine epoll or auto")]
    Engine(std::io::Error),
    /// More connections than descriptors.
    #[error(
        "{connections} connections need {needed} file descriptors, but the hard limit is {limit}: \
         raise it with ulimit -n as root, or choose fewer connections"
    )]
    Descriptors {
        /// Connections specified.
        connections: usize,
        /// Descriptors needed.
        needed: u64,
        /// Hard limit of the process.
        limit: u64,
    },
    /// More connections than local ports towards one server address.
    #[error(
        "{connections} connections need as many local ports, but {ports} are available: \
         widen net.ipv4.ip_local_port_range, or choose fewer connections"
    )]
    Ports {
        /// Connections specified.
        connections: usize,
        /// Ephemeral ports available.
        ports: u64,
    },
}

/// Ascending numbers, with a range for consecutive ones: `0-3, 8`.
fn listed(numbers: &[usize]) -> String {
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next);
    let ranges = ranges.map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        range => range.iter().map(usize::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for engine in ["auto", "epoll", "uring"] {
            assert_eq!(engine.parse::<EngineChoice>().unwrap().to_string(), engine);
        }
        for direction in ["download", "upload", "echo"] {
            assert_eq!(direction.parse::<Direction>().unwrap().to_string(), direction);
        }
        let unknown = "kqueue".parse::<EngineChoice>().unwrap_err().to_string();
        assert_eq!(unknown, "unknown engine 'kqueue': choose auto, epoll or uring");
        assert!("Download".parse::<Direction>().is_err());
    }
}
