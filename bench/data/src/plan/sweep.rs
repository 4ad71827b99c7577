//! Sweeps: groups of loads in a plan.

use crate::load::Load;
use crate::load::profile::BackgroundConnections;
use crate::load::profile::LoadProfile;
use clap::Args;
use fileserver::StrategyKind;
use fileserver::cli::whole_number;
use fileserver_proto::Wire;
use loadgen::Direction;
use serde::{Deserialize, Deserializer, Serialize};

use crate::load::byte_size::ByteSize;
use crate::load::heavy::{Heavy, Work};
use crate::load::mix::Mix;
use crate::load::objective::CapacitySearch;
use crate::load::store::Store;
use crate::names;
use crate::servers::reference::ReferenceServer;

/// Group of loads with one direction: every combination of the values of its lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Experiment that it belongs to, if the plan has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Direction of the files.
    #[serde(with = "names::name")]
    pub direction: Direction,
    /// Concurrent connections.
    #[serde(deserialize_with = "all_positive")]
    pub connections: Vec<usize>,
    /// File sizes; empty with a mix.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub sizes: Vec<ByteSize>,
    /// Set of files instead of sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// True if connections are kept between requests.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub keep_alive: bool,
    /// Offered rates of open loops in requests per second; empty for a closed loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "all_positive")]
    pub rates_per_s: Vec<u32>,
    /// Numbers of idle connections in the background.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub idle: Vec<usize>,
    /// Numbers of slow readers in the background.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub slow_readers: Vec<usize>,
    /// Numbers of slow senders in the background.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_empty")]
    pub slow_senders: Vec<usize>,
    /// Shares of requests that burn processor time in the server, in percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "percents")]
    pub heavy_cpu_percent: Vec<u8>,
    /// Shares of requests that block in the server, in percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "percents")]
    pub heavy_block_percent: Vec<u8>,
    /// Place of uploaded files.
    #[serde(default, skip_serializing_if = "Store::is_memory")]
    pub store: Store,
    /// Numbers of cores of the server; empty: one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "all_positive")]
    pub server_cores: Vec<usize>,
    /// Names of the strategies and reference servers of the plan that run these loads; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "server_names")]
    pub only: Vec<String>,
    /// Reference servers for these loads, in addition to those of the plan.
    #[serde(default, with = "names::list", skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<ReferenceServer>,
    /// Offered rates as shares of the slowest server's capacity under the same load. The searches of
    /// the run find the capacities.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "shares")]
    pub of_weakest_capacity: Vec<f64>,
    /// Warm-up, if it is not that of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up_ms: Option<u64>,
    /// Length of the measured window, if it is not that of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// Capacity search under these loads instead of a measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySearch>,
}

/// Flags that replace values of every sweep.
#[derive(Debug, Clone, Default, Args)]
pub struct SweepFlags {
    /// Numbers of connections, in place of those of the plan
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = LOAD, value_parser = whole_number::<usize>(1..=usize::MAX))]
    pub connections: Option<Vec<usize>>,
    /// File sizes, in place of those of the plan
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',', help_heading = LOAD)]
    pub sizes: Option<Vec<ByteSize>>,
    /// Set of files in place of one file per size: web, with the sizes and request frequencies of web servers
    #[arg(long, value_name = "MIX", help_heading = LOAD, conflicts_with = "sizes")]
    pub mix: Option<Mix>,
    /// Open a new connection for every request
    #[arg(long, help_heading = LOAD)]
    pub no_keep_alive: bool,
    /// Offered load in requests per second (open loop)
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = LOAD, value_parser = whole_number::<u32>(1..=u32::MAX))]
    pub rate: Option<Vec<u32>>,
    /// Place of uploaded files: memory, or disk, where built-in servers force each upload to disk
    /// before they reply
    #[arg(long, value_name = "PLACE", help_heading = LOAD)]
    pub store: Option<Store>,
    /// Numbers of cores of the server; the load generator has as many others as the largest number
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = LOAD, value_parser = whole_number::<usize>(1..=usize::MAX))]
    pub server_cores: Option<Vec<usize>>,
    /// Percentages of requests that burn 20 ms of CPU time in the server (built-in server only)
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = LOAD, value_parser = whole_number::<u8>(0..=100))]
    pub heavy_cpu_percent: Option<Vec<u8>>,
    /// Percentages of requests that block for 20 ms in the server (built-in server only)
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = LOAD, value_parser = whole_number::<u8>(0..=100))]
    pub heavy_block_percent: Option<Vec<u8>>,
    /// Idle connections in addition to the measured ones
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = BACKGROUND, value_parser = whole_number::<usize>(0..=usize::MAX))]
    pub idle: Option<Vec<usize>>,
    /// Background connections that read a large file at 10 KiB/s
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = BACKGROUND, value_parser = whole_number::<usize>(0..=usize::MAX))]
    pub slow_readers: Option<Vec<usize>>,
    /// Background connections that send the header of a request at 10 B/s
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = BACKGROUND, value_parser = whole_number::<usize>(0..=usize::MAX))]
    pub slow_senders: Option<Vec<usize>>,
}

const LOAD: &str = "Load";
const BACKGROUND: &str = "Background connections";

impl Sweep {
    /// Sweep of default loads with these connection counts and sizes.
    pub fn usual(direction: Direction, connections: Vec<usize>, sizes: Vec<ByteSize>) -> Self {
        Self {
            experiment: None,
            direction,
            connections,
            sizes,
            keep_alive: true,
            rates_per_s: Vec::new(),
            idle: Vec::new(),
            slow_readers: Vec::new(),
            slow_senders: Vec::new(),
            heavy_cpu_percent: Vec::new(),
            heavy_block_percent: Vec::new(),
            mix: None,
            store: Store::default(),
            only: Vec::new(),
            server_cores: Vec::new(),
            against: Vec::new(),
            of_weakest_capacity: Vec::new(),
            warm_up_ms: None,
            window_ms: None,
            capacity: None,
        }
    }

    /// Loads of the sweep. Those of a search are closed loops, because their rates are not known yet.
    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        let sizes = self.mix.map_or_else(|| self.sizes.clone(), |mix| vec![mix.mean_size()]);
        for size in sizes {
            for &connections in &self.connections {
                let with = |profile| Load { direction: self.direction, size, connections, profile };
                loads.extend(self.profiles().into_iter().map(with));
            }
        }
        loads
    }

    /// Returns true if its rates neither come from a search nor are shares of a capacity.
    pub fn has_own_rates(&self) -> bool {
        self.capacity.is_none() && self.of_weakest_capacity.is_empty()
    }

    /// Replaces the values that flags name.
    pub(crate) fn replace(&mut self, flags: &SweepFlags) {
        fn put<T: Clone>(list: &mut Vec<T>, other: Option<&Vec<T>>) {
            if let Some(other) = other {
                list.clone_from(other);
            }
        }
        put(&mut self.connections, flags.connections.as_ref());
        put(&mut self.sizes, flags.sizes.as_ref().filter(|_| self.mix.is_none()));
        self.keep_alive &= !flags.no_keep_alive;
        let has_own_rates = self.has_own_rates();
        put(&mut self.rates_per_s, flags.rate.as_ref().filter(|_| has_own_rates));
        put(&mut self.heavy_cpu_percent, flags.heavy_cpu_percent.as_ref());
        put(&mut self.heavy_block_percent, flags.heavy_block_percent.as_ref());
        put(&mut self.idle, flags.idle.as_ref());
        put(&mut self.slow_readers, flags.slow_readers.as_ref());
        put(&mut self.slow_senders, flags.slow_senders.as_ref());
        put(&mut self.server_cores, flags.server_cores.as_ref());
        self.store = flags.store.unwrap_or(self.store);
        if flags.mix.is_some() {
            self.mix = flags.mix;
            self.sizes.clear();
        }
    }

    /// Reason why its loads cannot run, with the remedy.
    pub fn obstacle(&self, wire: Wire) -> Option<String> {
        let heavy = self.profiles().iter().map(|profile| profile.heavy.total_percent()).max();
        let heavy = heavy.unwrap_or(0);
        let others = "add --direction download, or remove it from sweeps with other directions";
        if self.sizes.is_empty() && self.mix.is_none() {
            return Some("a sweep needs sizes, such as sizes = [\"1KiB\"], or a mix".to_owned());
        }
        if self.mix.is_some() && self.direction != Direction::Download {
            return Some(format!("the files of a mix are only downloaded: {others}"));
        }
        if self.store == Store::Disk && self.direction != Direction::Upload {
            return Some(
                "only uploads are stored on a disk: add --direction upload, or remove store = \"disk\" \
                 from sweeps with other directions"
                    .to_owned(),
            );
        }
        if heavy > 0 && self.direction != Direction::Download {
            return Some(format!("heavy requests are possible only with downloads: {others}"));
        }
        if heavy > 0 && wire != Wire::Http {
            return Some(
                "heavy requests are possible only over http: choose --wire http".to_owned(),
            );
        }
        (heavy >= 100).then(|| {
            format!("{heavy} % of requests are heavy, which leaves no light ones: choose a smaller share")
        })
    }

    /// Removes duplicate values.
    pub fn each_once(&mut self) {
        fn once<T: PartialEq + Copy>(list: &mut Vec<T>) {
            let mut seen: Vec<T> = Vec::new();
            list.retain(|value| {
                !seen.contains(value) && {
                    seen.push(*value);
                    true
                }
            });
        }
        once(&mut self.connections);
        once(&mut self.sizes);
        once(&mut self.rates_per_s);
        once(&mut self.of_weakest_capacity);
        for counts in [&mut self.idle, &mut self.slow_readers, &mut self.slow_senders] {
            once(counts);
        }
        once(&mut self.server_cores);
        once(&mut self.heavy_cpu_percent);
        once(&mut self.heavy_block_percent);
    }

    /// Returns true if another sweep of the same experiment has all its loads and servers.
    pub fn is_within(&self, other: &Self) -> bool {
        let others = other.loads();
        self.experiment == other.experiment
            && self.capacity == other.capacity
            && self.warm_up_ms == other.warm_up_ms
            && self.window_ms == other.window_ms
            && self.loads().iter().all(|load| others.contains(load))
            && (other.only.is_empty() || self.only == other.only)
            && self.against.iter().all(|peer| other.against.contains(peer))
    }

    fn shares_in_percent(&self) -> impl Iterator<Item = u32> {
        self.of_weakest_capacity.iter().map(|share| (share * 100.0).round() as u32)
    }

    fn profiles(&self) -> Vec<LoadProfile> {
        fn or_none<T: Copy>(list: &[T], none: T) -> Vec<T> {
            if list.is_empty() { vec![none] } else { list.to_vec() }
        }
        let given = self.rates_per_s.iter().map(|rate| (Some(*rate), None));
        let found = self.shares_in_percent().map(|percent| (None, Some(percent)));
        let rates: Vec<_> = given.chain(found).collect();
        let mut backgrounds = Vec::new();
        for idle in or_none(&self.idle, 0) {
            for slow_readers in or_none(&self.slow_readers, 0) {
                for slow_senders in or_none(&self.slow_senders, 0) {
                    backgrounds.push(BackgroundConnections { idle, slow_readers, slow_senders });
                }
            }
        }
        let mut shares = Vec::new();
        for cpu_percent in or_none(&self.heavy_cpu_percent, 0) {
            for block_percent in or_none(&self.heavy_block_percent, 0) {
                shares.push(Heavy { cpu_percent, block_percent });
            }
        }
        let (keep_alive, mix, store) = (self.keep_alive, self.mix, self.store);
        let mut profiles = Vec::new();
        for (rate_per_s, of_weakest_percent) in or_none(&rates, (None, None)) {
            for &background in &backgrounds {
                for &heavy in &shares {
                    for server_cores in or_none(&self.server_cores, 1) {
                        profiles.push(LoadProfile {
                            keep_alive,
                            rate_per_s,
                            of_weakest_percent,
                            background,
                            heavy,
                            mix,
                            store,
                            server_cores,
                        });
                    }
                }
            }
        }
        profiles
    }
}

impl Sweep {
    /// Loads in words.
    pub fn description(&self) -> String {
        let sizes: Vec<_> = self.sizes.iter().map(ByteSize::to_string).collect();
        let plural = if self.connections == [1] { "" } else { "s" };
        let files = match self.mix {
            Some(mix) => format!("{} {mix} files", mix.file_count()),
            None if self.direction == Direction::Echo => format!("lines of {}", sizes.join(", ")),
            None => format!("files of {}", sizes.join(", ")),
        };
        let mut text = format!(
            "{}: {} connection{plural}, {files}",
            self.direction,
            listed(&self.connections)
        );
        if !self.server_cores.is_empty() {
            text += &format!(", server on {} cores", listed(&self.server_cores));
        }
        if self.store == Store::Disk {
            text += ", stored on a disk";
        }
        if !self.keep_alive {
            text += ", a new connection per request";
        }
        if !self.rates_per_s.is_empty() {
            let rates: Vec<_> = self.rates_per_s.iter().map(|rate| *rate as usize).collect();
            text += &format!(", {} requests/s offered", listed(&rates));
        }
        if !self.of_weakest_capacity.is_empty() {
            let percents: Vec<_> =
                self.shares_in_percent().map(|percent| percent as usize).collect();
            text += &format!(", {} % of the slowest server's capacity offered", listed(&percents));
        }
        if let Some(search) = self.capacity {
            text += &format!(", search for the highest rate with {}", search.objective.in_words());
        }
        for (counts, what) in [
            (&self.idle, "idle connections"),
            (&self.slow_readers, "slow readers"),
            (&self.slow_senders, "slow senders"),
        ] {
            if !counts.is_empty() {
                text += &format!(", beside {} {what}", listed(counts));
            }
        }
        for (percents, work) in
            [(&self.heavy_cpu_percent, Work::Cpu), (&self.heavy_block_percent, Work::Block)]
        {
            if !percents.is_empty() {
                let percents: Vec<_> = percents.iter().copied().map(usize::from).collect();
                text += &format!(", {} % of requests {}", listed(&percents), work.words());
            }
        }
        text
    }
}

fn listed(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_true(value: &bool) -> bool {
    *value
}

pub(crate) fn not_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        return Err(serde::de::Error::custom("needs at least one entry"));
    }
    Ok(list)
}

/// Names of strategies and reference servers.
fn server_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list: Vec<String> = not_empty(deserializer)?;
    let is_known = |name: &str| {
        StrategyKind::ALL.iter().any(|kind| kind.name() == name)
            || ReferenceServer::ALL.iter().any(|server| server.name() == name)
    };
    match list.iter().find(|name| !is_known(name)) {
        Some(name) => Err(serde::de::Error::custom(format!(
            "'{name}' is neither a strategy nor a reference server"
        ))),
        None => Ok(list),
    }
}

fn percents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let list: Vec<u8> = not_empty(deserializer)?;
    if list.iter().any(|percent| *percent > 100) {
        return Err(serde::de::Error::custom("a share is at most 100 percent"));
    }
    Ok(list)
}

fn shares<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let list: Vec<f64> = not_empty(deserializer)?;
    if list.iter().any(|share| !(0.01..=2.0).contains(share)) {
        return Err(serde::de::Error::custom(
            "each value must be a share from 0.01 to 2, such as 0.5",
        ));
    }
    Ok(list)
}

fn all_positive<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de> + Default + PartialEq,
    D: Deserializer<'de>,
{
    let list: Vec<T> = not_empty(deserializer)?;
    if list.contains(&T::default()) {
        return Err(serde::de::Error::custom("each value must be more than zero"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;
    use crate::load::words;

    #[test]
    fn a_sweep_crosses_all_its_lists() {
        let kib = ByteSize::new(1024);
        let sweep = Sweep {
            keep_alive: false,
            rates_per_s: vec![100, 200],
            idle: vec![0, 9000],
            ..Sweep::usual(Direction::Download, vec![1, 8], vec![kib])
        };
        let loads = sweep.loads();
        assert_eq!(loads.len(), 8);
        assert!(loads.iter().all(|load| !load.profile.keep_alive));
        let last = loads.last().unwrap();
        assert_eq!((last.connections, last.all_connections()), (8, 9008));
        assert_eq!(
            last.profile.remarks(),
            [
                "a new connection per request",
                "200 requests/s offered",
                "beside 9,000 idle connections"
            ]
        );
        assert_eq!(last.profile.slug(), "-per-request-at-200-9000-idle");
        assert_eq!(
            sweep.description(),
            "download: 1, 8 connections, files of 1KiB, a new connection per request, 100, 200 \
             requests/s offered, beside 0, 9000 idle connections"
        );
    }

    #[test]
    fn heavy_requests_are_crossed_and_told_apart() {
        let sweep = Sweep {
            heavy_cpu_percent: vec![0, 10],
            heavy_block_percent: vec![0, 1],
            ..Sweep::usual(Direction::Download, vec![32], vec![ByteSize::new(1024)])
        };
        let profiles: Vec<_> = sweep.loads().iter().map(|load| load.profile).collect();
        assert_eq!(profiles.len(), 4);
        assert!(profiles[0].is_usual());
        assert_eq!(
            profiles[3].remarks(),
            ["10 % of requests burn 20 ms of CPU", "1 % of requests block for 20 ms"]
        );
        assert_eq!(profiles[3].slug(), "-10-percent-cpu-1-percent-block");
        assert!(sweep.description().ends_with(
            ", 0, 10 % of requests burn 20 ms of CPU, 0, 1 % of requests block for 20 ms"
        ));
        let obstacle = |sweep: &Sweep, wire| sweep.obstacle(wire).unwrap_or_default();
        assert_eq!(sweep.obstacle(Wire::Http), None);
        assert!(obstacle(&sweep, Wire::Framed).contains("over http"));
        let upload = Sweep { direction: Direction::Upload, ..sweep.clone() };
        assert!(obstacle(&upload, Wire::Http).contains("--direction download"));
        let all = Sweep { heavy_cpu_percent: vec![99], ..sweep };
        assert!(obstacle(&all, Wire::Http).contains("100 % of requests"));
    }

    #[test]
    fn a_mix_has_one_size_the_mean() {
        let mut sweep = Sweep {
            mix: Some(Mix::Web),
            ..Sweep::usual(Direction::Download, vec![16, 64], Vec::new())
        };
        let loads = sweep.loads();
        assert_eq!(loads.len(), 2);
        assert_eq!((loads[0].size, loads[0].profile.mix), (Mix::Web.mean_size(), Some(Mix::Web)));
        assert_eq!(loads[0].profile.slug(), "-mix-web");
        assert_eq!(words::requests(loads[0]), "downloads of 720 web files (mean 14.2 KiB)");
        assert_eq!(sweep.description(), "download: 16, 64 connections, 720 web files");
        assert_eq!(sweep.obstacle(Wire::Framed), None);
        sweep.mix = None;
        assert!(sweep.obstacle(Wire::Http).unwrap().contains("needs sizes"));
    }

    #[test]
    fn the_usual_load_has_nothing_that_sets_it_apart() {
        let sweep = Sweep::usual(Direction::Upload, vec![1], vec![ByteSize::new(1)]);
        let loads = sweep.loads();
        assert_eq!(loads, [Load::usual(Direction::Upload, ByteSize::new(1), 1)]);
        assert!(loads[0].profile.is_usual() && loads[0].profile.remarks().is_empty());
        assert_eq!(loads[0].profile.slug(), "");
    }
}
