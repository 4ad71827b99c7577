//! Recording of a server that receives requests by hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use bench_data::load::store::Store;
use bench_data::servers::target::Target;
use bench_data::xray::Trace;

use super::actions::ActionLog;
use super::clock::{self, SECOND};
use super::recorder::Recorder;
use super::recording::Recording;
use super::tracefs::KernelTrace;
use crate::run::launcher::{RunningServer, StartHints};

/// Time that a picture shows.
pub(crate) const SHOWN_SECONDS: u64 = 5;

/// Time between two pictures.
const INTERVAL: u64 = SECOND;

/// Time for which the recording is kept: a picture and what arrives late.
const KEPT: u64 = (SHOWN_SECONDS + 5) * SECOND;

/// Number of connections for which a server is configured.
const CONNECTIONS: usize = 64;

/// Server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Live {
    recording: Recording,
    /// Trace of a built-in server.
    actions: Option<ActionLog>,
    kernel: Option<KernelTrace>,
    server: RunningServer,
    begun: u64,
    next: u64,
}

impl Live {
    /// Starts a server and its recording.
    ///
    /// # Errors
    /// The server cannot be started or recorded.
    pub(crate) fn start(
        recorder: &Recorder,
        target: &Target,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let hints = StartHints {
            connections: CONNECTIONS,
            work: true,
            uploads: true,
            store: Store::Memory,
            server_cores: 1,
        };
        let server = recorder.start(target, hints)?;
        let mut recording = Recording::new(target);
        recorder.placement(target).into_iter().for_each(|one| recording.remark(one));
        let kernel = recorder.begin(&server, &mut recording, stop)?;
        let actions = target.works().then(|| ActionLog::new(&recorder.trace_file()));
        let begun = clock::now();
        Ok(Self { recording, actions, kernel, server, begun, next: begun })
    }

    /// Address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits for the time of the next picture, or until `stop` is set, and returns the last seconds.
    ///
    /// # Errors
    /// A trace cannot be read.
    pub(crate) fn next(&mut self, stop: &AtomicBool) -> anyhow::Result<Trace> {
        self.next += INTERVAL;
        clock::sleep_until(self.next, || stop.load(Ordering::SeqCst));
        if let Some(kernel) = &mut self.kernel {
            self.recording.add_events(&kernel.read()?);
        }
        if let Some(actions) = &mut self.actions {
            self.recording.add_actions(actions.read()?);
        }
        let now = clock::now();
        // Pictures that took longer than the interval are not made up for.
        self.next = self.next.max(now.saturating_sub(INTERVAL));
        self.recording.forget(now.saturating_sub(KEPT));
        let from = now.saturating_sub(SHOWN_SECONDS * SECOND).max(self.begun);
        Ok(self.recording.trace(from, now, &[]))
    }

    /// Exit status and last output of the server, if it has ended.
    pub(crate) fn death(&mut self) -> Option<String> {
        self.server.death()
    }
}
