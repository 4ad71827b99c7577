//! Execution of a load: starts the threads at a common time and merges their results.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, SystemTime};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::clock::now_ns;
use crate::engine::epoll::EpollSockets;
use crate::engine::uring::UringSockets;
use crate::measure::series::{SecondChannel, SecondCollector};
use crate::measure::tally::{Tally, WindowStart, merge};
use crate::progress::Progress;
use crate::report::LoadReport;
use crate::spec::{Engine, LoadSpec, SpecError};
use crate::warm_up::WarmUp;
use crate::worker::requests::Catalogue;
use crate::worker::{Shared, Worker};

/// Reason why a load did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The load cannot run as specified.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The system refused a resource of a thread.
    #[error("cannot {what}")]
    System {
        /// The refused operation.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Runs the load and returns its report when the requests of the window are answered. After `stop` is set, it returns
/// within 100 ms with the results so far.
///
/// The warm-up begins when every kept-alive connection has been attempted once, or after the
/// timeout. It does not have to include the time to open thousands of connections.
///
/// # Errors
/// Those of [`LoadSpec::check`], and a thread, selector or timer that the system refuses.
/// An unreachable server is not an error here: the report counts the failed connections.
pub fn run(
    spec: &LoadSpec,
    stop: &AtomicBool,
    progress: Option<&Progress>,
) -> Result<LoadReport, RunError> {
    run_observed(spec, stop, progress, &mut |_| {})
}

/// Time at which the server rests although its kept-alive connections are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Before the first request.
    Before,
    /// After the last reply that counts. The server may still answer the last requests.
    After,
}

/// Runs a load like [`run`] and calls `at_rest` before the first request and after the last reply.
/// The load waits meanwhile, so that the call may take long without a disturbance of the
/// measurement. The second call is missing if a thread failed.
///
/// # Errors
/// Those of [`run`].
pub fn run_observed(
    spec: &LoadSpec,
    stop: &AtomicBool,
    progress: Option<&Progress>,
    at_rest: &mut dyn FnMut(Rest),
) -> Result<LoadReport, RunError> {
    spec.check()?;
    spec.raise_descriptor_limit();
    let engine = spec.engine.resolve()?;
    let threads = spec.threads.min(spec.connections);
    let shared = Shared {
        spec,
        catalogue: Catalogue::new(spec)?,
        stop,
        abort: AtomicBool::new(false),
        progress,
        ready: AtomicUsize::new(0),
        start_ns: AtomicU64::new(0),
        warm_up: WarmUp::new(spec, threads),
        drained: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
        released: AtomicBool::new(false),
        threads,
    };
    let (mut collector, channels) = SecondCollector::new(threads);
    let mut started_at = SystemTime::now();
    let tallies = std::thread::scope(|scope| {
        let mut handles = Vec::with_capacity(threads);
        for (thread, channel) in channels.into_iter().enumerate() {
            let shared = &shared;
            let spawned = std::thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(
                scope,
                move || {
                    let ran = run_thread(shared, engine, thread, channel);
                    if ran.is_err() {
                        shared.abort.store(true, Ordering::Relaxed);
                    }
                    ran
                },
            );
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(source) => {
                    shared.abort.store(true, Ordering::Relaxed);
                    let what = format!("start thread {thread} of the load");
                    return Err(RunError::System { what, source });
                }
            }
        }
        while shared.ready.load(Ordering::Relaxed) < threads && collector.collect(TICK) {}
        at_rest(Rest::Before);
        started_at = SystemTime::now() + Duration::from_nanos(START_NS);
        let start_ns = now_ns() + START_NS;
        shared.start_ns.store(start_ns, Ordering::Release);
        while collector.collect(Duration::from_secs(1)) {}
        let has_failed = || handles.iter().any(ScopedJoinHandle::is_finished);
        while shared.ended.load(Ordering::Acquire) < threads && !has_failed() {
            std::thread::sleep(TICK);
        }
        if !has_failed() {
            at_rest(Rest::After);
        }
        shared.released.store(true, Ordering::Release);
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let start_ns = shared.start_ns.load(Ordering::Relaxed);
    let warmed = |window_ns: u64| Duration::from_nanos(window_ns.saturating_sub(start_ns));
    let warm_up = shared.warm_up.window_ns().map_or(spec.warm_up, warmed);
    let is_steady = shared.warm_up.is_steady();
    let window = WindowStart { at: started_at + warm_up, warm_up, is_steady };
    Ok(merge(spec, engine, window, tallies, collector.finish()))
}

/// Interval between checks of the threads' readiness.
const TICK: Duration = Duration::from_millis(1);
/// Time between the announcement of the common start and the start.
const START_NS: u64 = 2_000_000;

fn run_thread(
    shared: &Shared<'_>,
    engine: Engine,
    thread: usize,
    channel: SecondChannel,
) -> Result<Tally, RunError> {
    let spec = shared.spec;
    if !spec.cores.is_empty() {
        pin(spec.cores[thread % spec.cores.len()])?;
    }
    let (each, rest) = (spec.connections / shared.threads, spec.connections % shared.threads);
    let first = thread * each + thread.min(rest);
    let count = each + usize::from(thread < rest);
    let heads = (first..first + count)
        .map(|connection| shared.catalogue.upload_heads(connection))
        .collect::<Result<Vec<_>, _>>()?;
    let tally = Tally::new(spec, shared.catalogue.has_heavy(), channel);
    let setup = shared.catalogue.engine_setup(spec, count);
    let ran = match engine {
        Engine::Epoll => EpollSockets::new(setup)
            .and_then(|sockets| Worker::new(shared, sockets, thread, first, &heads, tally).run()),
        Engine::Uring => UringSockets::new(setup)
            .and_then(|sockets| Worker::new(shared, sockets, thread, first, &heads, tally).run()),
    };
    ran.map_err(|source| {
        let what = format!("run thread {thread} of the load");
        RunError::System { what, source }
    })
}

fn pin(core: usize) -> Result<(), RunError> {
    let mut cores = CpuSet::new();
    let pinned = if core < CpuSet::MAX_CPU {
        cores.set(core);
        sched_setaffinity(None, &cores).map_err(std::io::Error::from)
    } else {
        Err(std::io::ErrorKind::InvalidInput.into())
    };
    pinned.map_err(|source| RunError::System { what: format!("run on core {core}"), source })
}
