//! A server within the test's own process.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fileserver::store::{Durability, OnConflict, Store, StoreOptions};
use fileserver::{
    Accept, Endpoint, SendPath, ServeReport, Shutdown, Site, SiteOptions, StrategyKind,
};
use fileserver_proto::Settings;
use tempfile::TempDir;

use crate::peer::Peer;
use crate::process::PATIENCE;

/// A server on a free port with a folder of its own; ended when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    folder: TempDir,
    kind: StrategyKind,
    site: Arc<Site>,
    shutdown: Shutdown,
    serving: Option<JoinHandle<io::Result<ServeReport>>>,
}

impl Server {
    pub(crate) fn start(kind: StrategyKind) -> Self {
        Self::with(kind, |_| {})
    }

    pub(crate) fn with(kind: StrategyKind, adjust: impl FnOnce(&mut SiteOptions)) -> Self {
        Self::start_with(kind, OnConflict::default(), adjust)
    }

    /// A server that treats taken names like this.
    pub(crate) fn on_conflict(kind: StrategyKind, way: OnConflict) -> Self {
        Self::start_with(kind, way, |_| {})
    }

    fn start_with(
        kind: StrategyKind,
        on_conflict: OnConflict,
        adjust: impl FnOnce(&mut SiteOptions),
    ) -> Self {
        let mut options = SiteOptions {
            settings: Settings { server_name: kind.name().to_owned(), ..Settings::default() },
            workers: 4,
            max_connections: 1000,
            // One backlog, so that whoever waits longest is next.
            accept: Accept::Dispatch,
            send_path: SendPath::default(),
            drain: PATIENCE,
        };
        adjust(&mut options);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        // What power cuts leave is not tested here.
        let options_of_store = StoreOptions { durability: Durability::None, on_conflict };
        let store = Store::open(&root, options_of_store).unwrap();
        let site = Arc::new(Site::new(store, options));
        let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let address = endpoint.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = {
            let (site, shutdown) = (Arc::clone(&site), shutdown.clone());
            std::thread::spawn(move || kind.build().serve(&endpoint, &site, &shutdown))
        };
        Self { address, folder, kind, site, shutdown, serving: Some(serving) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// The served folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A place beside the served folder, which no peer may reach.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the served folder.
    pub(crate) fn store(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root().join(name), content).unwrap();
    }

    /// Everything in the served folder, also what peers cannot see.
    pub(crate) fn on_disk(&self) -> Vec<String> {
        on_disk(&self.root())
    }

    /// Waits until the server has noticed that all peers are gone.
    pub(crate) fn wait_until_deserted(&self) {
        // A strategy that blocks in accept already holds the place of the connection to come.
        let places = match self.kind {
            StrategyKind::ThreadPool
            | StrategyKind::Selector
            | StrategyKind::Hybrid
            | StrategyKind::Uring
            | StrategyKind::Tokio => 0,
            StrategyKind::Threaded | StrategyKind::MultiSelector => 1,
            StrategyKind::Iterative => {
                // Whoever is served, everyone before is gone.
                self.connect().finish_sending().rest();
                return;
            }
        };
        let begun = Instant::now();
        while self.site.gate.open() > places {
            assert!(begun.elapsed() < PATIENCE, "{} connections stay open", self.site.gate.open());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Drains the server and checks that no connection ended by a panic.
    pub(crate) fn stop(mut self) -> ServeReport {
        self.shutdown.trigger();
        let report = self.serving.take().unwrap().join().unwrap().unwrap();
        assert_eq!((report.panics, report.refused), (0, 0), "{report:?}");
        report
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.shutdown.trigger();
            self.shutdown.trigger();
            let _ = serving.join();
        }
    }
}

/// Everything in a folder, sorted.
pub(crate) fn on_disk(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
