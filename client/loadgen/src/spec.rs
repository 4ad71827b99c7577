//! What load to put on which server.

mod check;

use std::net::SocketAddr;
use std::time::Duration;

use fileserver_proto::Wire;

/// A load: who is asked, for what, how often and for how long.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The server.
    pub target: SocketAddr,
    /// The wire to speak. Over `text` the server is an echo server: each request is a line of the
    /// file's size, and its answer the same line.
    pub wire: Wire,
    /// Which way the files travel.
    pub direction: Direction,
    /// The files asked for or sent; each request draws one by weight.
    pub files: Vec<RequestFile>,
    /// Concurrent connections, spread evenly over the threads (the first ones take the remainder).
    pub connections: usize,
    /// Event-loop threads.
    pub threads: usize,
    /// How the threads talk to the kernel.
    pub engine: EngineChoice,
    /// Cores to pin the threads to, in turn; empty leaves them to the scheduler.
    pub cores: Vec<usize>,
    /// Whether a connection serves many requests or one.
    pub connection_use: ConnectionUse,
    /// When requests are made.
    pub arrival: Arrival,
    /// Time at the start whose requests are not counted.
    pub warm_up: Duration,
    /// The measured window, after the warm-up.
    pub duration: Duration,
    /// A request or a connection attempt without progress for this long is an error.
    pub timeout: Duration,
    /// Every how many replies on a connection the body's bytes are compared (1: all; 0: none).
    /// Status and length are checked always.
    pub verify_every: u32,
    /// Seed of every random choice.
    pub seed: u64,
}

/// Which engine to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// `uring` where the kernel grants it, else `epoll`.
    #[default]
    Auto,
    /// This one; where the kernel refuses it, the load is not run.
    Only(Engine),
}

/// A way to talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Readiness: `epoll_wait`, then a system call for each thing to send or receive.
    Epoll,
    /// Completions: io_uring, one system call for a batch of requests.
    Uring,
}

impl Engine {
    /// Its one spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }
}

/// Which way the contents travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Server to client.
    Download,
    /// Client to server.
    Upload,
    /// There and back: lines of the text wire, to an echo server.
    Echo,
}

/// One file that requests name.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestFile {
    /// Its name on the server; over http also a whole request target, which begins with `/`.
    /// Its bytes are [`Content::of_name`](crate::content::Content::of_name) of this very name.
    /// An upload gets the connection's number added before the extension (`a.bin` → `a-7.bin`),
    /// so that connections do not write to one name; the bytes stay the same.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// How often it is drawn, relative to the others; positive.
    pub weight: f64,
    /// With which others its times are measured.
    pub class: RequestClass,
}

/// Requests whose times are measured apart from those of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestClass {
    /// For a file.
    #[default]
    Light,
    /// For something that takes the server long. Status and length of the answer are checked; its
    /// bytes are not those of a file.
    Heavy,
}

impl RequestFile {
    /// A file of this name and size that is drawn as often as others.
    pub fn new(name: impl Into<String>, size_bytes: u64) -> Self {
        Self { name: name.into(), size_bytes, weight: 1.0, class: RequestClass::Light }
    }
}

/// Whether a connection serves many requests or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionUse {
    /// Kept open from request to request.
    KeepAlive,
    /// Opened and closed for each request.
    PerRequest,
}

/// When requests are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrival {
    /// Closed loop: each connection asks again when its answer has come, after a pause.
    Closed {
        /// The pause between an answer and the next request.
        think: ThinkTime,
    },
    /// Open loop: requests arrive at a rate whatever the server does, and are sent by whichever
    /// connection is free; latency counts from the arrival. While no connection is free they
    /// wait, and none is ever dropped. Each thread has an equal share of the arrivals, which only
    /// its own connections serve.
    Open {
        /// Arrivals per second over all connections.
        rate_per_s: f64,
        /// How arrivals follow each other.
        pacing: Pacing,
    },
}

/// The pause between an answer and the next request of a closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkTime {
    /// None.
    None,
    /// Always the same.
    Constant(Duration),
    /// Exponentially distributed with this mean.
    Exponential(Duration),
}

/// How the arrivals of an open loop follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// At equal distances.
    Constant,
    /// At exponentially distributed distances: independent users.
    Poisson,
}

/// Why a load cannot be run as asked.
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
    #[error("cannot ask for {name:?}: {source}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: fileserver_proto::NameError,
    },
    /// Only lines of the text wire are echoed, and it carries nothing else.
    #[error("the text wire carries echoes and nothing else: use http or framed for files")]
    TextEcho,
    /// A line of the text wire is too short or too long.
    #[error(
        "a line of {size_bytes} bytes cannot be sent: choose {least} to {most}, its end included"
    )]
    Line {
        /// Its length.
        size_bytes: u64,
        /// The least length.
        least: u64,
        /// The greatest.
        most: u64,
    },
    /// The kernel refuses the engine.
    #[error("the kernel refuses io_uring ({0}): use the engine epoll, or auto")]
    Engine(std::io::Error),
    /// More connections than descriptors.
    #[error(
        "{connections} connections need {needed} descriptors, the limit is {limit}: \
         raise it with ulimit -n, or ask for fewer connections"
    )]
    Descriptors {
        /// Connections asked for.
        connections: usize,
        /// Descriptors that takes.
        needed: u64,
        /// The process's limit.
        limit: u64,
    },
    /// More connections than local ports towards one server address.
    #[error(
        "{connections} connections need as many local ports, {ports} are available: \
         widen net.ipv4.ip_local_port_range, or ask for fewer connections"
    )]
    Ports {
        /// Connections asked for.
        connections: usize,
        /// Ephemeral ports there are.
        ports: u64,
    },
}
