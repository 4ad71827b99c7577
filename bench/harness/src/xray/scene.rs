//! Scenes: the requests that every server receives at the same times.

use anyhow::ensure;
use bench_data::load::byte_size::ByteSize;
use bench_data::load::heavy::WORK_TIME;
use bench_data::units::counted;
use clap::ValueEnum;

use super::clock::MILLISECOND;

/// File that a slow reader requests: larger than the buffers between server and client.
pub(super) const SLOW_FILE: ByteSize = ByteSize::new(8 << 20);

/// File that is uploaded.
pub(super) const UPLOAD_FILE: ByteSize = ByteSize::new(4 << 20);

/// Time from the beginning of the picture to the first request.
const LEAD: u64 = 2 * MILLISECOND;

/// Kind of scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// Clients that download a file now and then
    Polite,
    /// As polite, but some requests block their handler for 20 ms
    Block,
    /// As polite, beside a client that takes a large file slowly
    SlowReader,
    /// Connections that are opened at the same time, with a request each
    Burst,
    /// As polite, beside an upload
    Upload,
}

/// Scene with its sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Kind of scene.
    pub(crate) scene: Scene,
    /// Number of connections.
    pub(crate) connections: usize,
    /// Number of requests.
    pub(crate) requests: usize,
    /// Share of requests that block, in percent; only for [`Scene::Block`].
    pub(crate) heavy_percent: u8,
    /// Size of the downloaded file.
    pub(crate) size: ByteSize,
    /// Seed of the times.
    pub(crate) seed: u64,
}

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Download of the file.
    Light,
    /// Request that blocks its handler.
    Block,
    /// Download of a large file that is read slowly.
    SlowRead,
    /// Upload.
    Upload,
}

/// Request that is due at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Number of the connection, from 0.
    pub(super) connection: usize,
    /// Nanoseconds from the beginning of the picture.
    pub(super) due: u64,
    pub(super) kind: Kind,
    /// Name in the picture.
    pub(super) label: String,
}

impl Scene {
    /// Name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Polite => "polite",
            Self::Block => "block",
            Self::SlowReader => "slow-reader",
            Self::Burst => "burst",
            Self::Upload => "upload",
        }
    }

    /// Mean time between two requests in nanoseconds; 0: all are due at the same time.
    fn gap(self) -> u64 {
        match self {
            Self::Polite | Self::SlowReader | Self::Upload => 3 * MILLISECOND,
            // Requests that block for 20 ms must not fill the whole time of an event loop.
            Self::Block => 5 * MILLISECOND,
            Self::Burst => 0,
        }
    }
}

impl Shape {
    /// Requests in the order of their times: equal for equal shapes.
    ///
    /// # Errors
    /// Too few connections or requests for the scene.
    pub(super) fn arrivals(&self) -> anyhow::Result<Vec<Arrival>> {
        let (special, name) = (self.special_connections(), self.scene.name());
        ensure!(
            self.connections > special,
            "--scene {name} needs at least {}: raise --connections",
            counted(special + 1, "connection")
        );
        let mut rng = fastrand::Rng::with_seed(self.seed);
        // The first heavy request comes within half of the distance between two of them.
        let phase = rng.usize(50..99);
        let (mut due, mut light, mut heavy) = (LEAD, 0, 0);
        let mut arrivals = Vec::with_capacity(self.requests);
        for index in 0..self.requests {
            let kind = self.kind_of(index, phase);
            let (connection, number) = match kind {
                Kind::Light => {
                    light += 1;
                    (special + (light - 1) % (self.connections - special), light)
                }
                // Connections of their own: a light request waits for no heavy one of its own client.
                Kind::Block | Kind::SlowRead | Kind::Upload => {
                    heavy += 1;
                    ((heavy - 1) % special, heavy)
                }
            };
            let label = format!("{} {number}", kind.label());
            arrivals.push(Arrival { connection, due, kind, label });
            let gap = self.scene.gap();
            due += if gap == 0 { 0 } else { rng.u64(gap / 2..=gap / 2 * 3) };
        }
        ensure!(
            special == 0 || heavy > 0,
            "--scene {name} has no such request among {}: raise --requests or --heavy-block",
            counted(self.requests, "request")
        );
        Ok(arrivals)
    }

    /// True if the clients connect when their requests are due, not before.
    pub(super) fn connects_when_due(&self) -> bool {
        self.scene == Scene::Burst
    }

    /// True if some requests need the work of a built-in server.
    pub(super) fn has_work(&self) -> bool {
        self.scene == Scene::Block
    }

    /// Description in one sentence.
    pub(crate) fn words(&self) -> String {
        let size = self.size.spaced();
        let connections = counted(self.connections, "connection");
        let usual = format!("{} for {size} on {connections}", counted(self.requests, "request"));
        let seed = self.seed;
        match self.scene {
            Scene::Polite => format!("{usual} (seed {seed})"),
            Scene::Block => {
                let (percent, ms) = (self.heavy_percent, WORK_TIME.as_millis());
                format!("{usual}, {percent} % of them block for {ms} ms instead (seed {seed})")
            }
            Scene::SlowReader => {
                let large = SLOW_FILE.spaced();
                format!("{usual}, one of them for {large} that is read slowly (seed {seed})")
            }
            Scene::Burst => {
                format!("{connections} opened at the same time, each with a request for {size}")
            }
            Scene::Upload => {
                let large = UPLOAD_FILE.spaced();
                format!("{usual}, one of them an upload of {large} instead (seed {seed})")
            }
        }
    }

    fn kind_of(&self, index: usize, phase: usize) -> Kind {
        match self.scene {
            Scene::Polite | Scene::Burst => Kind::Light,
            Scene::Block => {
                let share = usize::from(self.heavy_percent);
                let before = index * share + phase;
                if (before + share) / 100 > before / 100 { Kind::Block } else { Kind::Light }
            }
            Scene::SlowReader if index == 0 => Kind::SlowRead,
            Scene::Upload if index == 0 => Kind::Upload,
            Scene::SlowReader | Scene::Upload => Kind::Light,
        }
    }

    /// Number of connections for requests that are not light; they come first.
    fn special_connections(&self) -> usize {
        match self.scene {
            Scene::Polite | Scene::Burst => 0,
            Scene::Block => (self.connections * usize::from(self.heavy_percent) / 100).max(1),
            Scene::SlowReader | Scene::Upload => 1,
        }
    }
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Block => "heavy",
            Self::SlowRead => "slow",
            Self::Upload => "upload",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(scene: Scene) -> Shape {
        let size = ByteSize::new(16 << 10);
        Shape { scene, connections: 8, requests: 64, heavy_percent: 10, size, seed: 1 }
    }

    fn count(arrivals: &[Arrival], kind: Kind) -> usize {
        arrivals.iter().filter(|arrival| arrival.kind == kind).count()
    }

    #[test]
    fn every_server_receives_the_same_requests() {
        for scene in Scene::value_variants() {
            let shape = shape(*scene);
            let arrivals = shape.arrivals().unwrap();
            assert_eq!(arrivals, shape.arrivals().unwrap());
            assert_eq!(arrivals.len(), 64);
            assert!(arrivals.is_sorted_by_key(|arrival| arrival.due), "{arrivals:?}");
            assert!(arrivals.iter().all(|arrival| arrival.connection < 8), "{arrivals:?}");
            assert_eq!(scene.to_possible_value().unwrap().get_name(), scene.name());
        }
        let other = Shape { seed: 2, ..shape(Scene::Polite) };
        assert_ne!(other.arrivals().unwrap(), shape(Scene::Polite).arrivals().unwrap());
    }

    #[test]
    fn heavy_requests_have_their_share_and_their_own_connections() {
        for (percent, connections, expected) in [(10, 1, 6), (50, 4, 32)] {
            let shape = Shape { heavy_percent: percent, ..shape(Scene::Block) };
            let arrivals = shape.arrivals().unwrap();
            assert!(count(&arrivals, Kind::Block).abs_diff(expected) <= 1, "{arrivals:?}");
            for arrival in &arrivals {
                let is_heavy = arrival.kind == Kind::Block;
                assert_eq!(is_heavy, arrival.connection < connections, "{arrival:?}");
            }
        }
        let arrivals = shape(Scene::Block).arrivals().unwrap();
        let first = arrivals.iter().find(|arrival| arrival.kind == Kind::Block).unwrap();
        assert_eq!(first.label, "heavy 1");
        for (scene, kind) in [(Scene::SlowReader, Kind::SlowRead), (Scene::Upload, Kind::Upload)] {
            let arrivals = shape(scene).arrivals().unwrap();
            assert_eq!((count(&arrivals, kind), arrivals[0].kind), (1, kind));
        }
    }

    #[test]
    fn connections_of_a_burst_are_due_at_the_same_time() {
        let arrivals = Shape { connections: 64, ..shape(Scene::Burst) }.arrivals().unwrap();
        assert!(arrivals.iter().all(|arrival| arrival.due == LEAD));
        let connections: Vec<_> = arrivals.iter().map(|arrival| arrival.connection).collect();
        assert_eq!(connections, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn a_scene_that_cannot_be_is_refused_with_the_remedy() {
        let one = Shape { connections: 1, ..shape(Scene::Block) };
        let message = one.arrivals().unwrap_err().to_string();
        assert!(message.contains("needs at least 2 connections"), "{message}");
        let few = Shape { requests: 1, heavy_percent: 1, ..shape(Scene::Block) };
        let message = few.arrivals().unwrap_err().to_string();
        assert!(message.contains("raise --requests or --heavy-block"), "{message}");
    }

    #[test]
    fn a_scene_is_described_in_a_sentence() {
        assert_eq!(
            shape(Scene::Block).words(),
            "64 requests for 16 KiB on 8 connections, 10 % of them block for 20 ms instead (seed 1)"
        );
    }
}
