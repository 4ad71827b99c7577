//! State shared by all connections of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use fileserver_proto::{Now, Settings};

use super::access_log::AccessLog;
use super::limit::ConnectionLimit;
use super::readiness::Readiness;
use super::report::ServeReport;
use super::send_path::{SendPath, SentBytes};
use super::tally::Tallies;
use crate::lab::console::Console;
use crate::lab::room::Room;
use crate::store::Store;
use crate::trace::Trace;

/// Pause of accepting while descriptors or memory are exhausted and no connection closes.
pub const EXHAUSTION_PAUSE: Duration = Duration::from_millis(500);

/// State shared by all connections of a server: store, settings, limits and counts.
#[derive(Debug)]
pub struct ServerState {
    /// Served folder.
    pub store: Store,
    /// Limits, timeouts and service of every session.
    pub settings: Arc<Settings>,
    /// Worker threads of the strategies with a fixed number of them.
    pub workers: usize,
    /// Distribution of new connections over the selectors of `multi-selector`.
    pub accept: AcceptDistribution,
    /// Path of files to the socket.
    pub send_path: SendPath,
    /// Time limit of a drain.
    pub drain: Duration,
    /// Open connections and their limit.
    pub limit: Arc<ConnectionLimit>,
    /// Counts so far.
    pub counters: Counters,
    /// Operator's screen for the notices of lab services; none by default.
    pub console: Console,
    /// Log with a line per request; none by default.
    pub access_log: Option<Arc<AccessLog>>,
    /// Trace of the actions of every thread; off by default.
    pub trace: Trace,
    /// Time of the start.
    pub(crate) started: Instant,
    /// Counts of open connections.
    pub(crate) tallies: Tallies,
    /// Status of a server of several processes, known to another one.
    pub(crate) status_elsewhere: Option<StatusElsewhere>,
    /// Report that the strategy can serve.
    pub readiness: Readiness,
    /// Room of the chat service.
    pub(crate) room: Room,
}

/// Source of the status in another process; `None` if that has ended.
pub(crate) struct StatusElsewhere(pub(crate) Box<dyn Fn() -> Option<String> + Send + Sync>);

impl std::fmt::Debug for StatusElsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusElsewhere").finish_non_exhaustive()
    }
}

/// Options of a [`ServerState`].
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Limits, timeouts and service of every session.
    pub settings: Settings,
    /// Worker threads of the strategies with a fixed number of them.
    pub workers: usize,
    /// Most connections open at once; further ones wait in the accept queue.
    pub max_connections: usize,
    /// Distribution of new connections over the selectors of `multi-selector`.
    pub accept: AcceptDistribution,
    /// Path of files to the socket.
    pub send_path: SendPath,
    /// Time limit of a drain.
    pub drain: Duration,
}

/// Distribution of new connections over the selectors of `multi-selector`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AcceptDistribution {
    /// A listener per selector; the kernel distributes by a hash of the addresses
    #[default]
    Reuseport,
    /// One thread accepts and assigns connections in turn: evenly, at the cost of one hand-over each
    Dispatch,
}

impl ServerState {
    /// State of a server of these files.
    pub fn new(store: Store, options: ServerOptions) -> Self {
        Self {
            store,
            settings: Arc::new(options.settings),
            workers: options.workers,
            accept: options.accept,
            send_path: options.send_path,
            drain: options.drain,
            limit: Arc::new(ConnectionLimit::new(options.max_connections)),
            counters: Counters::default(),
            console: Console::default(),
            access_log: None,
            trace: Trace::default(),
            started: Instant::now(),
            tallies: Tallies::default(),
            status_elsewhere: None,
            readiness: Readiness::default(),
            room: Room::default(),
        }
    }

    /// Has the lines of screen, access log and trace written, each within a second.
    pub(crate) fn flush_logs(&self) {
        const AT_MOST: Duration = Duration::from_secs(1);
        self.console.flush(AT_MOST);
        if let Some(log) = &self.access_log {
            log.flush(AT_MOST);
        }
        self.trace.flush(AT_MOST);
    }
}

/// Running counts; written when a connection begins or ends, not per request.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    panics: AtomicU64,
    broken: AtomicU64,
    copy_bytes: AtomicU64,
    memory_bytes: AtomicU64,
    sendfile_bytes: AtomicU64,
    splice_bytes: AtomicU64,
    received_bytes: AtomicU64,
    queued_jobs: AtomicU64,
}

impl Counters {
    /// A connection was accepted.
    pub fn accepted(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// An accepted connection was closed unserved: it could be neither watched nor given a thread.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection ended after that many requests and these bytes of files and of uploads.
    pub fn ended(&self, requests: u64, sent: SentBytes, received: u64) {
        self.received_bytes.fetch_add(received, Ordering::Relaxed);
        self.requests.fetch_add(requests, Ordering::Relaxed);
        for (count, bytes) in [
            (&self.copy_bytes, sent.copy),
            (&self.memory_bytes, sent.memory),
            (&self.sendfile_bytes, sent.sendfile),
            (&self.splice_bytes, sent.splice),
        ] {
            count.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// A job was queued for the workers.
    pub(crate) fn job_queued(&self) {
        self.queued_jobs.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker took a job from the queue.
    pub(crate) fn job_begun(&self) {
        self.queued_jobs.fetch_sub(1, Ordering::Relaxed);
    }

    /// Number of jobs that wait for a worker.
    pub(crate) fn queued_jobs(&self) -> u64 {
        self.queued_jobs.load(Ordering::Relaxed)
    }

    /// Bytes of files sent on connections that have ended.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.report().sent.total()
    }

    /// Bytes of uploads received on connections that have ended.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// A connection ended by a panic.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was broken off at the end of the drain.
    pub fn broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn report(&self) -> ServeReport {
        ServeReport {
            connections: self.connections.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            broken: self.broken.load(Ordering::Relaxed),
            sent: SentBytes {
                copy: self.copy_bytes.load(Ordering::Relaxed),
                memory: self.memory_bytes.load(Ordering::Relaxed),
                sendfile: self.sendfile_bytes.load(Ordering::Relaxed),
                splice: self.splice_bytes.load(Ordering::Relaxed),
            },
        }
    }
}

/// Reads the clocks.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), unix_s: unix.as_secs() }
}
