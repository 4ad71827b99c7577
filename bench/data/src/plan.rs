//! Plans: read from TOML, changed by flags, checked before anything starts.

pub mod built_in;
pub mod comparisons;
mod cores;
pub mod loads;
mod overrides;
mod servers;
pub mod service;
pub mod sweep;
pub mod until;

pub use overrides::{Overrides, time};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use fileserver::{SendPath, StrategyKind, UnknownStrategy};
use fileserver_proto::Wire;
use loadgen::EngineChoice;
use serde::{Deserialize, Deserializer, Serialize};

use crate::load::Load;
use crate::load::byte_size::ByteSize;
use crate::load::store::Store;
use crate::names;
use crate::plan::service::LoadService;
use crate::plan::sweep::Sweep;
use crate::plan::until::Until;
use crate::servers::external::ExternalServer;
use crate::servers::reference::ReferenceServer;
use crate::servers::target::Target;
use crate::servers::variant::Variant;

/// Lower bound of the time in which requests are followed after a window.
const SHORTEST_DRAIN: Duration = Duration::from_millis(500);

/// Plan of a run: servers, loads, rounds and durations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name.
    pub name: String,
    /// Question that it answers.
    pub question: String,
    /// Built-in plans whose loads are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Strategies to compare.
    #[serde(default, with = "names::list")]
    pub strategies: Vec<StrategyKind>,
    /// Strategy that is measured twice: its name, or `none`.
    #[serde(default, alias = "twin", with = "names::name", skip_serializing_if = "is_default")]
    pub aa_control: AaControl,
    /// Reference for the ratio line of the table; of several servers, the fastest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline: Vec<String>,
    /// The two servers that the answer compares; by default `threaded` and `selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<[String; 2]>,
    /// Reference servers to compare them with.
    #[serde(default, with = "names::list", skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<ReferenceServer>,
    /// Repetitions of every server under each load, with new server processes each time.
    #[serde(deserialize_with = "positive")]
    pub rounds: u32,
    /// Repetitions of loads that belong to no main comparison, if fewer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_positive")]
    pub other_rounds: Option<u32>,
    /// Precision until which main comparisons get further rounds.
    #[serde(default, with = "names::name", skip_serializing_if = "is_default")]
    pub until: Until,
    /// Time of the whole run in seconds after which no further round begins; the planned ones run in
    /// any case.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_positive")]
    pub budget_s: Option<u64>,
    /// Order of the servers within a round.
    pub order: Order,
    /// Seed of every random choice; drawn at the start of the run if the plan has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Wire of all requests: `http` or `framed`; with `text` each request is a line.
    #[serde(with = "names::name")]
    pub wire: Wire,
    /// Service over the wire `text`, by default `echo`; files over the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<LoadService>,
    /// Shortest warm-up before each measured window.
    pub warm_up_ms: u64,
    /// Length of each measured window.
    #[serde(deserialize_with = "positive")]
    pub window_ms: u64,
    /// Path by which the built-in servers send files.
    #[serde(default, with = "names::name", skip_serializing_if = "is_default")]
    pub send_path: SendPath,
    /// I/O engine of the load generator.
    #[serde(default, with = "names::name", skip_serializing_if = "is_default")]
    pub engine: EngineChoice,
    /// Event-loop threads of the load generator.
    #[serde(default = "one", deserialize_with = "positive")]
    pub generator_threads: usize,
    /// Time without progress after which a request is an error.
    #[serde(default = "ten_seconds_ms", deserialize_with = "positive")]
    pub timeout_ms: u64,
    /// Compares the whole bodies of one in this number of replies (0: none); absent: of every body a
    /// part at random, and all of a short one. Status and length are always checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_every: Option<u32>,
    /// Maximum share of the window in which other programs may delay server or generator; above it a
    /// trial is disturbed.
    #[serde(default = "usual_delay_limit", skip_serializing_if = "is_usual_delay_limit")]
    pub run_delay_limit: f64,
    /// Load of the main comparison; of a plan with several experiments each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Primary>,
    /// Experiments, if it has several.
    #[serde(rename = "experiment", default, skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<Experiment>,
    /// Loads.
    #[serde(rename = "sweep", default)]
    pub sweeps: Vec<Sweep>,
    /// Strategies with other flags, under names of their own.
    #[serde(rename = "variant", default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// External servers.
    #[serde(rename = "target", default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<ExternalServer>,
}

/// A/A control: a strategy that is measured twice, under two names. If the two differ, something else
/// than the servers changed during the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AaControl {
    /// The selector, or without it the last strategy of the plan.
    #[default]
    Usual,
    /// One strategy.
    Of(StrategyKind),
    /// No control.
    None,
}

/// Order of the servers within a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As listed in odd rounds, reversed in even ones: A B B A
    Mirrored,
    /// Shuffled for every round and load, from the recorded seed
    Shuffled,
}

/// Part of a plan with a question of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name, by which its sweeps refer to it.
    pub name: String,
    /// Question that it answers.
    pub question: String,
    /// Load of its main comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Primary>,
}

/// Load of a main comparison, declared before the run, so that the results cannot choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Primary {
    /// Concurrent connections.
    #[serde(deserialize_with = "positive")]
    pub connections: usize,
    /// File size; absent for a mix of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Place of uploaded files.
    #[serde(default, skip_serializing_if = "Store::is_memory")]
    pub store: Store,
}

impl Primary {
    /// Returns true for loads with these connections, this size and this place of uploaded files.
    pub fn matches(self, load: &Load) -> bool {
        self.connections == load.connections
            && self.store == load.profile.store
            && self.size.is_none_or(|size| size == load.size)
    }
}

/// Refusal of a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text is not a plan.
    #[error("{file}, line {line}: {key}{message}")]
    Syntax {
        /// File of the plan.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Key at fault with a colon, if known.
        key: String,
        /// Fault.
        message: String,
    },
}

impl Plan {
    /// Parses a plan; `file` is its name in messages.
    ///
    /// # Errors
    /// File, line and key of the first fault.
    pub fn parse(text: &str, file: &str) -> Result<Self, PlanError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].matches('\n').count();
            let key = text.lines().nth(line).and_then(|line| line.split_once('='));
            let key = key.map(|(key, _)| key.trim()).filter(|key| {
                !key.starts_with('#') && !error.message().contains(&format!("`{key}`"))
            });
            PlanError::Syntax {
                file: file.to_owned(),
                line: line + 1,
                key: key.map(|key| format!("{key}: ")).unwrap_or_default(),
                message: error.message().trim_end().replace('\n', " "),
            }
        })
    }

    /// Service of the servers.
    pub fn load_service(&self) -> LoadService {
        match self.wire {
            Wire::Text => self.service.unwrap_or(LoadService::Echo),
            Wire::Http | Wire::Framed => LoadService::Files,
        }
    }

    /// Reason why the plan's loads cannot run, with the remedy.
    pub fn obstacle(&self) -> Option<String> {
        let variants = || self.variants.iter().find_map(Variant::obstacle);
        let sweeps = || self.sweeps.iter().find_map(|sweep| sweep.obstacle(self.wire));
        self.unknown_server().or_else(variants).or_else(sweeps)
    }

    /// Reason why a server that the baseline or the A/A control names is not there.
    fn unknown_server(&self) -> Option<String> {
        let targets = self.targets();
        let mut names = targets.iter().map(Target::name);
        if let Some(name) = self.baseline.iter().find(|name| !names.clone().any(|n| n == **name)) {
            let names: Vec<_> = names.by_ref().collect();
            return Some(format!(
                "--baseline {name}: no server of the run has this name; choose from {}",
                names.join(", ")
            ));
        }
        match self.aa_control {
            AaControl::Of(kind) if !self.strategies.contains(&kind) => {
                let choice = self.strategies.iter().map(|kind| kind.name()).chain(["none"]);
                Some(format!(
                    "--aa-control {kind}: the strategy is not part of the run; add it with \
                     --strategies, or choose from {}",
                    choice.collect::<Vec<_>>().join(", ")
                ))
            }
            AaControl::Of(_) | AaControl::Usual | AaControl::None => None,
        }
    }

    /// Load of the main comparison of an experiment, or of the sweeps without one.
    pub fn primary_of(&self, experiment: Option<&str>) -> Option<Primary> {
        let one = |name| self.experiments.iter().find(|one| one.name == name);
        experiment.map_or(self.primary, |name| one(name)?.primary)
    }

    /// Strategy that is measured twice.
    pub fn aa_control(&self) -> Option<StrategyKind> {
        match self.aa_control {
            AaControl::Usual => {
                let selector = self.strategies.iter().find(|kind| **kind == StrategyKind::Selector);
                selector.or(self.strategies.last()).copied()
            }
            AaControl::Of(kind) => self.strategies.contains(&kind).then_some(kind),
            AaControl::None => None,
        }
    }

    /// Measured window of a load: that of its sweep, the longest of several, or that of the plan.
    pub fn window_of(&self, load: &Load) -> Duration {
        let own = self.own_time_ms(load, |sweep| sweep.window_ms);
        Duration::from_millis(own.unwrap_or(self.window_ms).max(1))
    }

    /// Warm-up of a load, likewise.
    pub fn warm_up_of(&self, load: &Load) -> Duration {
        let own = self.own_time_ms(load, |sweep| sweep.warm_up_ms);
        Duration::from_millis(own.unwrap_or(self.warm_up_ms))
    }

    /// Longest time after the window in which the requests of a load are followed to their replies:
    /// as long as the window, at least half a second, at most the timeout.
    pub fn drain_of(&self, load: &Load) -> Duration {
        let timeout = Duration::from_millis(self.timeout_ms);
        self.window_of(load).max(SHORTEST_DRAIN).min(timeout)
    }

    fn own_time_ms(&self, load: &Load, time_ms: impl Fn(&Sweep) -> Option<u64>) -> Option<u64> {
        let names = |sweep: &Sweep| {
            let planned =
                if sweep.capacity.is_some() { load.without_rate() } else { load.as_planned() };
            sweep.loads().contains(&planned)
        };
        let own = |sweep: &Sweep| time_ms(sweep).filter(|_| names(sweep));
        self.sweeps.iter().filter_map(own).max()
    }
}

impl AaControl {
    /// Parser of the flag, which lists the names in the help.
    fn parser() -> impl TypedValueParser<Value = Self> {
        let names = StrategyKind::ALL.map(StrategyKind::name).into_iter().chain(["none"]);
        PossibleValuesParser::new(names).try_map(|name| name.parse::<Self>())
    }
}

impl FromStr for AaControl {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        match name {
            "usual" => Ok(Self::Usual),
            "none" => Ok(Self::None),
            name => name.parse().map(Self::Of),
        }
    }
}

impl fmt::Display for AaControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.pad("usual"),
            Self::None => f.pad("none"),
            Self::Of(kind) => kind.fmt(f),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> usize {
    1
}

fn ten_seconds_ms() -> u64 {
    10_000
}

/// As much as the margin within which servers count as equivalent.
fn usual_delay_limit() -> f64 {
    0.1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_delay_limit(share: &f64) -> bool {
    *share == usual_delay_limit()
}

fn positive<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default + PartialEq,
    D: Deserializer<'de>,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() {
        return Err(serde::de::Error::custom("must be more than zero"));
    }
    Ok(number)
}

fn some_positive<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default + PartialEq,
    D: Deserializer<'de>,
{
    positive(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use loadgen::Engine;

    use super::*;
    use crate::load::byte_size::ByteSize;
    use crate::load::mix::Mix;
    use crate::names::Entry;
    use crate::plan::sweep::SweepFlags;
    use loadgen::Direction;

    fn quick() -> Plan {
        Plan::built_in("quick").unwrap()
    }

    #[test]
    fn all_real_servers_can_be_named_at_once() {
        let text =
            toml::to_string(&quick()).unwrap().replace("rounds", "against = [\"all\"]\nrounds");
        assert_eq!(Plan::parse(&text, "p.toml").unwrap().against, ReferenceServer::ALONE);
        let message = Plan::parse(&text.replace("\"all\"", "\"iis\""), "p.toml").unwrap_err();
        assert!(message.to_string().contains("against: unknown server 'iis'"), "{message}");
    }

    #[test]
    fn faults_are_named_by_file_line_and_key() {
        let good = toml::to_string(&quick()).unwrap();
        for (from, to, expected) in [
            ("rounds = 3", "rounds = 0", "p.toml, line 4: rounds: must be more than zero"),
            ("rounds = 3", "runds = 3", "p.toml, line 4: unknown field `runds`"),
            ("window_ms = 220", "window_ms = 0", "p.toml, line 8: window_ms: must be more than"),
            ("rounds = 3", "rounds = -3", "p.toml, line 4: rounds: "),
            ("\"selector\"", "\"epoll\"", "p.toml, line 3: strategies: unknown strategy 'epoll'"),
            ("\"mirrored\"", "\"sorted\"", "p.toml, line 5: order: unknown variant `sorted`"),
            ("\"http\"", "\"smoke\"", "p.toml, line 6: wire: "),
            ("rounds = 3", "rounds = ", "p.toml, line 4: "),
        ] {
            assert!(good.contains(from), "{good}");
            let message = Plan::parse(&good.replace(from, to), "p.toml").unwrap_err().to_string();
            assert!(message.starts_with(expected), "{to}: {message}");
        }
        let sweep = "[[sweep]]\ndirection = \"download\"\nconnections = [4, 0]\nsizes = [\"1KiB\"]";
        let text = good.split("[[sweep]]").next().unwrap().to_owned() + sweep;
        let message = Plan::parse(&text, "p.toml").unwrap_err().to_string();
        assert!(message.contains("connections: each value must be more than zero"), "{message}");
        let text = text.replace("[4, 0]", "[4]").replace("[\"1KiB\"]", "[\"big\"]");
        let message = Plan::parse(&text, "p.toml").unwrap_err().to_string();
        assert!(message.contains("sizes: 'big' is not a size"), "{message}");
    }

    #[test]
    fn flags_replace_what_the_plan_says() {
        let plan = quick().with(Overrides {
            strategies: Some(vec![Entry::One(StrategyKind::Selector); 2]),
            against: Some(vec![Entry::One(ReferenceServer::Nginx)]),
            given: Some(vec![ExternalServer::parse("mine=serve {port}").unwrap()]),
            sweeps: SweepFlags {
                connections: Some(vec![2]),
                sizes: Some(vec![ByteSize::new(5)]),
                no_keep_alive: true,
                rate: Some(vec![50]),
                idle: Some(vec![0, 9]),
                slow_readers: Some(vec![1]),
                slow_senders: Some(vec![2]),
                heavy_cpu_percent: Some(vec![3]),
                heavy_block_percent: Some(vec![4]),
                mix: None,
                store: Some(Store::Disk),
                server_cores: Some(vec![2]),
            },
            direction: Some(Direction::Upload),
            window: Some(Duration::from_secs(2)),
            rounds: Some(7),
            other_rounds: Some(5),
            until: Some(Until::HalfWidth(0.05)),
            budget: Some(Duration::from_secs(600)),
            order: Some(Order::Shuffled),
            seed: Some(9),
            variants: Some(vec![Variant::parse("two=thread-pool --workers 2").unwrap()]),
            aa_control: Some(AaControl::None),
            baseline: Some(vec!["nginx".to_owned()]),
            objective: None,
            wire: Some(Wire::Framed),
            service: None,
            send_path: Some(SendPath::Copy),
            engine: Some(EngineChoice::Only(Engine::Epoll)),
            warm_up: Some(Duration::from_millis(30)),
        });
        let names: Vec<_> = plan.targets().iter().map(|target| target.name().to_owned()).collect();
        assert_eq!(names, ["selector", "two", "nginx", "mine"]);
        let written = toml::to_string(&plan).unwrap();
        assert_eq!(Plan::parse(&written, "p.toml").unwrap(), plan);
        assert_eq!((plan.rounds, plan.window_ms, plan.seed), (7, 2000, Some(9)));
        assert_eq!(plan.other_rounds, Some(5));
        assert_eq!((plan.until, plan.budget_s), (Until::HalfWidth(0.05), Some(600)));
        assert_eq!(plan.sweeps.len(), 1);
        assert_eq!(plan.sweeps[0].direction, Direction::Upload);
        assert_eq!(plan.sweeps[0].connections, [2]);
        assert_eq!(plan.sweeps[0].sizes, [ByteSize::new(5)]);
        assert_eq!(plan.warm_up_ms, 30);
        let profiles: Vec<_> = plan.sweeps[0].loads().iter().map(|load| load.profile).collect();
        assert_eq!(profiles.len(), 2);
        assert_eq!(
            profiles[1].slug(),
            "-disk-on-2-cores-per-request-at-50-9-idle-1-slow-readers-2-slow-senders-3-percent-cpu-4-percent-block"
        );
    }

    #[test]
    fn a_mix_takes_the_place_of_all_sizes() {
        let overrides = Overrides {
            sweeps: SweepFlags {
                mix: Some(Mix::Web),
                sizes: Some(vec![ByteSize::new(5)]),
                ..SweepFlags::default()
            },
            direction: Some(Direction::Download),
            ..Overrides::default()
        };
        let plan = quick().with(overrides);
        assert_eq!(plan.obstacle(), None);
        assert!(plan.sweeps.iter().flat_map(Sweep::loads).all(|load| load.profile.mix.is_some()));
        let written = toml::to_string(&plan).unwrap();
        assert_eq!(Plan::parse(&written, "p.toml").unwrap(), plan);
        // Another size is none for a mix.
        let overrides = Overrides::from(SweepFlags {
            sizes: Some(vec![ByteSize::new(5)]),
            ..SweepFlags::default()
        });
        assert_eq!(plan.clone().with(overrides).sweeps, plan.sweeps);
        let mut without = plan;
        without.sweeps[0].mix = None;
        assert!(without.obstacle().unwrap().contains("needs sizes"));
    }

    #[test]
    fn a_sweep_has_real_servers_of_its_own() {
        let mut plan = quick();
        let load = plan.sweeps[0].loads()[0];
        plan.sweeps[0].against = vec![ReferenceServer::NginxThreaded];
        let names = |targets: Vec<Target>| -> Vec<_> {
            targets.iter().map(|target| target.name().to_owned()).collect()
        };
        assert!(names(plan.targets()).contains(&"nginx-threaded".to_owned()));
        assert!(names(plan.targets_of(&load)).contains(&"nginx-threaded".to_owned()));
        let other = plan.sweeps[1].loads()[0];
        assert!(!names(plan.targets_of(&other)).contains(&"nginx-threaded".to_owned()));
        let overrides = Overrides {
            against: Some(vec![Entry::One(ReferenceServer::Nginx)]),
            ..Overrides::default()
        };
        let plan = plan.with(overrides);
        assert!(!names(plan.targets()).contains(&"nginx-threaded".to_owned()));
    }

    #[test]
    fn only_uploads_are_stored_on_a_disk() {
        let flags = || SweepFlags { store: Some(Store::Disk), ..SweepFlags::default() };
        let with = |direction| {
            let overrides = Overrides { direction, ..Overrides::from(flags()) };
            Plan::built_in("default").unwrap().with(overrides)
        };
        assert!(with(None).obstacle().unwrap().contains("--direction upload"));
        let plan = with(Some(Direction::Upload));
        assert_eq!(plan.obstacle(), None);
        assert!(plan.loads().iter().all(|load| load.profile.store == Store::Disk));
        assert_eq!(plan.primary.unwrap().store, Store::Disk);
        let upload = Plan::built_in("upload").unwrap();
        let primary = upload.primary.unwrap();
        assert_eq!(upload.loads().iter().filter(|load| primary.matches(load)).count(), 1);
    }

    #[test]
    fn a_strategy_is_measured_twice_unless_that_is_not_wanted() {
        let names = |aa_control| {
            let plan = quick().with(Overrides { aa_control, ..Overrides::default() });
            plan.targets().iter().map(|target| target.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(None).last().unwrap(), "selector-again");
        let threaded = Some(AaControl::Of(StrategyKind::Threaded));
        assert_eq!(names(threaded).last().unwrap(), "threaded-again");
        assert!(!names(Some(AaControl::None)).iter().any(|name| name.contains("again")));
        let absent = Some(AaControl::Of(StrategyKind::Hybrid));
        let absent = quick().with(Overrides { aa_control: absent, ..Overrides::default() });
        let obstacle = absent.obstacle().unwrap();
        assert!(obstacle.starts_with("--aa-control hybrid: the strategy is not"), "{obstacle}");
    }

    #[test]
    fn a_baseline_that_is_no_server_of_the_run_is_refused() {
        let with = |names: &[&str]| {
            let baseline = Some(names.iter().map(|name| (*name).to_owned()).collect());
            quick().with(Overrides { baseline, ..Overrides::default() }).obstacle()
        };
        assert_eq!(with(&["selector", "selector-again"]), None);
        let obstacle = with(&["selector", "ghost"]).unwrap();
        assert!(obstacle.starts_with("--baseline ghost: no server of the run"), "{obstacle}");
        assert!(obstacle.contains("choose from ") && obstacle.contains(", selector-again"));
    }

    #[test]
    fn references_of_a_plan_to_servers_that_flags_take_out_are_dropped() {
        let plan = Plan { aa_control: AaControl::Of(StrategyKind::Selector), ..quick() };
        let plan = Plan { baseline: vec!["selector".to_owned(), "mine".to_owned()], ..plan };
        let strategies = Some(vec![Entry::One(StrategyKind::Threaded)]);
        let plan = plan.with(Overrides { strategies, ..Overrides::default() });
        assert_eq!(plan.aa_control(), Some(StrategyKind::Threaded));
        // Not a server of the plan before the flags either: a fault of the plan.
        assert_eq!(plan.baseline, ["mine"]);
        assert!(plan.obstacle().unwrap().starts_with("--baseline mine: "));
        let given = Some(vec![ExternalServer::parse("mine=serve {port}").unwrap()]);
        assert_eq!(plan.with(Overrides { given, ..Overrides::default() }).obstacle(), None);
    }

    #[test]
    fn a_variant_with_a_flag_that_its_strategy_ignores_is_refused() {
        let with = |text: &str| {
            let variants = Some(vec![Variant::parse(text).unwrap()]);
            quick().with(Overrides { variants, ..Overrides::default() }).obstacle()
        };
        assert_eq!(with("two=thread-pool --workers 2"), None);
        let obstacle = with("two=threaded --workers 2").unwrap();
        assert!(obstacle.starts_with("variant two: --workers 2 has no effect with"), "{obstacle}");
    }

    #[test]
    fn flags_that_make_sweeps_alike_leave_one_of_them() {
        let plan = Plan::built_in("default").unwrap();
        let overrides = Overrides::from(SweepFlags {
            connections: Some(vec![8, 8]),
            sizes: Some(vec![ByteSize::new(5), ByteSize::new(6), ByteSize::new(5)]),
            ..SweepFlags::default()
        });
        let sweeps = plan.clone().with(overrides).sweeps;
        assert_eq!(sweeps.len(), 2, "one for each direction: {sweeps:?}");
        assert_eq!(sweeps[0].connections, [8]);
        assert_eq!(sweeps[0].sizes, [ByteSize::new(5), ByteSize::new(6)]);
        let same_size =
            Overrides::from(SweepFlags { connections: Some(vec![8]), ..SweepFlags::default() });
        assert_eq!(
            plan.clone().with(same_size).sweeps,
            plan.clone().sweeps[1..]
                .iter()
                .cloned()
                .map(|sweep| Sweep { connections: vec![8], ..sweep })
                .collect::<Vec<_>>()
        );
        assert_eq!(plan.clone().with(Overrides::default()).sweeps, plan.sweeps, "as it was");
    }

    #[test]
    fn the_main_comparison_is_declared_before_the_run() {
        let primary = |connections, size| Some(Primary { connections, size, store: Store::Memory });
        let plan = Plan::built_in("default").unwrap();
        let small = Some(ByteSize::new(1024));
        assert_eq!(plan.clone().with(Overrides::default()).primary, primary(64, small));
        let flags = SweepFlags { connections: Some(vec![4, 8]), ..SweepFlags::default() };
        assert_eq!(plan.clone().with(Overrides::from(flags)).primary, primary(8, small));
        let flags = SweepFlags { mix: Some(Mix::Web), ..SweepFlags::default() };
        let direction = Some(Direction::Download);
        let overrides = Overrides { direction, ..Overrides::from(flags) };
        let found = Plan { primary: None, ..plan }.with(overrides).primary.unwrap();
        assert_eq!(found.size, None, "a mix has no size");
    }

    #[test]
    fn a_direction_that_the_plan_lacks_turns_its_loads_round() {
        let mut plan = quick();
        plan.sweeps.retain(|sweep| sweep.direction == Direction::Download);
        let turned = plan
            .clone()
            .with(Overrides { direction: Some(Direction::Upload), ..Overrides::default() });
        assert_eq!(turned.sweeps.len(), plan.sweeps.len());
        assert!(turned.sweeps.iter().all(|sweep| sweep.direction == Direction::Upload));
    }
}
