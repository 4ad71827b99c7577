//! A server in a thread of the test's own process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use fileserver::{
    AcceptDistribution, Listener, SendPath, ServeReport, ServerOptions, ServerState, Shutdown,
    StrategyKind,
};
use fileserver_proto::Settings;

/// Length of the accept queue: longer than any test's.
const BACKLOG: i32 = 4096;

/// A server on a free loopback port; ends when dropped.
pub struct ServerThread {
    /// Address it listens on.
    pub address: SocketAddr,
    shutdown: Shutdown,
    serving: Option<JoinHandle<io::Result<ServeReport>>>,
}

impl ServerThread {
    /// Serves `state` with a strategy that needs no processes of its own.
    pub fn start(kind: StrategyKind, state: &Arc<ServerState>) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(loopback, BACKLOG).expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let shutdown = Shutdown::new();
        let (state, stop) = (Arc::clone(state), shutdown.clone());
        let serving = std::thread::spawn(move || kind.build().serve(&listener, &state, &stop));
        Self { address, shutdown, serving: Some(serving) }
    }

    /// Lets it finish the requests in progress and returns its report.
    pub fn stop(mut self) -> ServeReport {
        self.shutdown.trigger();
        let serving = self.serving.take().expect("it is joined once");
        serving.join().expect("the server does not panic").expect("the server runs to its end")
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        let Some(serving) = self.serving.take() else { return };
        // The second request ends connections without waiting for them.
        self.shutdown.trigger();
        self.shutdown.trigger();
        let ended = serving.join();
        if !std::thread::panicking() {
            ended.expect("the server does not panic").expect("the server runs to its end");
        }
    }
}

/// Options of a small server: two workers, default limits, a second to drain.
pub fn server_options() -> ServerOptions {
    ServerOptions {
        settings: Settings::default(),
        workers: 2,
        accept: AcceptDistribution::default(),
        send_path: SendPath::default(),
        max_connections: 1024,
        drain: Duration::from_secs(1),
    }
}
