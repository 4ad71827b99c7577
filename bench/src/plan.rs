//! What a run measures: read from TOML, changed by flags, checked before anything starts.

use std::collections::HashSet;
use std::time::Duration;

use fileserver::StrategyKind;
use fileserver_proto::Wire;
use loadgen::load::Direction;
use serde::{Deserialize, Deserializer, Serialize};

use crate::given::Given;
use crate::peer::Peer;
use crate::size::ByteSize;
use crate::spelling;
use crate::target::Target;

/// A plan: which servers meet which loads, how often and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The question it answers.
    pub question: String,
    /// Our strategies to compare.
    #[serde(default, with = "spelling::strategies")]
    pub strategies: Vec<StrategyKind>,
    /// Real servers to compare them with.
    #[serde(default, with = "spelling::peers", skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Peer>,
    /// How often everything is measured, each time with fresh servers.
    #[serde(deserialize_with = "positive")]
    pub rounds: u32,
    /// In which order the servers take their turns.
    pub order: Order,
    /// Seed of every random choice; chosen when the run starts where the plan names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The wire of all requests: `http` or `framed`.
    #[serde(with = "spelling::load_wire")]
    pub wire: Wire,
    /// Time before each measured window whose requests are not counted.
    pub warm_up_ms: u64,
    /// Length of each measured window.
    #[serde(deserialize_with = "positive")]
    pub window_ms: u64,
    /// Event-loop threads of the load generator.
    #[serde(default = "one", deserialize_with = "positive")]
    pub generator_threads: usize,
    /// Without progress for this long a request is an error.
    #[serde(default = "ten_seconds_ms", deserialize_with = "positive")]
    pub timeout_ms: u64,
    /// Every how many replies of a connection the bytes are compared (0: never; lengths always).
    #[serde(default = "sixty_four")]
    pub verify_every: u32,
    /// The loads.
    #[serde(rename = "sweep", deserialize_with = "not_empty")]
    pub sweeps: Vec<Sweep>,
    /// Servers of the user's.
    #[serde(rename = "target", default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Given>,
}

/// Loads that share a direction: every connection count with every size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Which way the files travel.
    #[serde(with = "spelling::direction")]
    pub direction: Direction,
    /// Concurrent connections.
    #[serde(deserialize_with = "all_positive")]
    pub connections: Vec<usize>,
    /// File sizes.
    #[serde(deserialize_with = "not_empty")]
    pub sizes: Vec<ByteSize>,
}

impl Sweep {
    /// Its loads in words.
    pub fn description(&self) -> String {
        let direction = spelling::direction::name(self.direction);
        let connections: Vec<_> = self.connections.iter().map(usize::to_string).collect();
        let sizes: Vec<_> = self.sizes.iter().map(ByteSize::to_string).collect();
        let plural = if self.connections == [1] { "" } else { "s" };
        format!(
            "{direction}: {} connection{plural}, files of {}",
            connections.join(", "),
            sizes.join(", ")
        )
    }

    /// Whether all of its loads are among those of another.
    fn is_within(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.connections.iter().all(|connections| other.connections.contains(connections))
            && self.sizes.iter().all(|size| other.sizes.contains(size))
    }
}

/// In which order the servers take their turns on a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As listed in odd rounds, backwards in even ones: A B B A
    Mirrored,
    /// Drawn anew for every round and load from the recorded seed
    Shuffled,
}

/// What flags change in a plan.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Other strategies.
    pub strategies: Option<Vec<StrategyKind>>,
    /// Other real servers.
    pub against: Option<Vec<Peer>>,
    /// Other servers of the user's.
    pub given: Option<Vec<Given>>,
    /// Other connection counts, in every sweep.
    pub connections: Option<Vec<usize>>,
    /// Other sizes, in every sweep.
    pub sizes: Option<Vec<ByteSize>>,
    /// One direction only.
    pub direction: Option<Direction>,
    /// Another window.
    pub window: Option<Duration>,
    /// Other rounds.
    pub rounds: Option<u32>,
    /// Another order.
    pub order: Option<Order>,
    /// A given seed.
    pub seed: Option<u64>,
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It does not say what a plan says.
    #[error("{file}, line {line}: {key}{message}")]
    Syntax {
        /// The plan's file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The key at fault with a colon, where one is known.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The plans that come with the program, by name.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("default", include_str!("../plans/default.toml")),
    ("quick", include_str!("../plans/quick.toml")),
];

impl Plan {
    /// Reads a plan; `file` is what messages call it.
    ///
    /// # Errors
    /// Names file, line and key of the first fault.
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

    /// A plan that comes with the program.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.into_iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text, name).expect("the plans in the program are tested"))
    }

    /// The plan with what the flags say in place of what it said, and with a seed.
    pub fn with(mut self, overrides: Overrides) -> Self {
        self.strategies = overrides.strategies.unwrap_or(self.strategies);
        self.against = overrides.against.unwrap_or(self.against);
        self.given = overrides.given.unwrap_or(self.given);
        if let Some(direction) = overrides.direction {
            if self.sweeps.iter().any(|sweep| sweep.direction == direction) {
                self.sweeps.retain(|sweep| sweep.direction == direction);
            }
            self.sweeps.iter_mut().for_each(|sweep| sweep.direction = direction);
        }
        for sweep in &mut self.sweeps {
            if let Some(connections) = &overrides.connections {
                sweep.connections.clone_from(connections);
            }
            if let Some(sizes) = &overrides.sizes {
                sweep.sizes.clone_from(sizes);
            }
        }
        self.sweeps = each_once(self.sweeps);
        if let Some(window) = overrides.window {
            self.window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        }
        self.rounds = overrides.rounds.unwrap_or(self.rounds);
        self.order = overrides.order.unwrap_or(self.order);
        let seed = overrides.seed.or(self.seed);
        self.seed = Some(seed.unwrap_or_else(|| fastrand::u64(..1 << 32)));
        self
    }

    /// The servers to compare: ours, real ones, the user's. The same server twice under one name
    /// could not be told apart, so each is there once.
    pub fn targets(&self) -> Vec<Target> {
        let mut names = HashSet::new();
        let all = (self.strategies.iter().copied().map(Target::Strategy))
            .chain(self.against.iter().copied().map(Target::Peer))
            .chain(self.given.iter().cloned().map(Target::Given));
        all.filter(|target| names.insert(target.name().to_owned())).collect()
    }

    /// Time that the trials take at least: warm-ups and windows.
    pub fn least_time(&self, trials: usize) -> Duration {
        let each = Duration::from_millis(self.warm_up_ms + self.window_ms);
        each.saturating_mul(u32::try_from(trials).unwrap_or(u32::MAX))
    }

    /// The measured window.
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    /// The warm-up before it.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(self.warm_up_ms)
    }
}

/// Without values named twice and without loads that another sweep has anyway: where flags replaced
/// what told sweeps apart, they would be there several times.
fn each_once(sweeps: Vec<Sweep>) -> Vec<Sweep> {
    let mut kept: Vec<Sweep> = Vec::new();
    for mut sweep in sweeps {
        let (mut connections, mut sizes) = (HashSet::new(), HashSet::new());
        sweep.connections.retain(|count| connections.insert(*count));
        sweep.sizes.retain(|size| sizes.insert(*size));
        if !kept.iter().any(|other| sweep.is_within(other)) {
            kept.retain(|other| !other.is_within(&sweep));
            kept.push(sweep);
        }
    }
    kept
}

fn one() -> usize {
    1
}

fn ten_seconds_ms() -> u64 {
    10_000
}

fn sixty_four() -> u32 {
    64
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

fn not_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
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

fn all_positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let list: Vec<usize> = not_empty(deserializer)?;
    if list.contains(&0) {
        return Err(serde::de::Error::custom("each must be more than zero"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Plan {
        Plan::built_in("quick").unwrap()
    }

    #[test]
    fn the_plans_in_the_program_are_read_and_written_back() {
        for (name, _) in BUILT_IN {
            let plan = Plan::built_in(name).unwrap();
            assert_eq!(plan.name, name);
            assert!(plan.rounds >= 3, "{name}: fewer rounds give no interval");
            let written = toml::to_string(&plan).unwrap();
            assert_eq!(Plan::parse(&written, name).unwrap(), plan);
        }
    }

    #[test]
    fn all_real_servers_can_be_named_at_once() {
        let text =
            toml::to_string(&quick()).unwrap().replace("rounds", "against = [\"all\"]\nrounds");
        assert_eq!(Plan::parse(&text, "p.toml").unwrap().against, Peer::ALL);
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
            ("\"http\"", "\"text\"", "p.toml, line 6: wire: "),
            ("rounds = 3", "rounds = ", "p.toml, line 4: "),
        ] {
            assert!(good.contains(from), "{good}");
            let message = Plan::parse(&good.replace(from, to), "p.toml").unwrap_err().to_string();
            assert!(message.starts_with(expected), "{to}: {message}");
        }
        let sweep = "[[sweep]]\ndirection = \"download\"\nconnections = [4, 0]\nsizes = [\"1KiB\"]";
        let text = good.split("[[sweep]]").next().unwrap().to_owned() + sweep;
        let message = Plan::parse(&text, "p.toml").unwrap_err().to_string();
        assert!(message.contains("connections: each must be more than zero"), "{message}");
        let text = text.replace("[4, 0]", "[4]").replace("1KiB", "big");
        let message = Plan::parse(&text, "p.toml").unwrap_err().to_string();
        assert!(message.contains("sizes: 'big' is not a size"), "{message}");
    }

    #[test]
    fn flags_replace_what_the_plan_says() {
        let plan = quick().with(Overrides {
            strategies: Some(vec![StrategyKind::Selector; 2]),
            against: Some(vec![Peer::Nginx]),
            given: Some(vec![Given::parse("mine=serve {port}").unwrap()]),
            connections: Some(vec![2]),
            sizes: Some(vec![ByteSize::new(5)]),
            direction: Some(Direction::Upload),
            window: Some(Duration::from_secs(2)),
            rounds: Some(7),
            order: Some(Order::Shuffled),
            seed: Some(9),
        });
        let names: Vec<_> = plan.targets().iter().map(|target| target.name().to_owned()).collect();
        assert_eq!(names, ["selector", "nginx", "mine"]);
        let written = toml::to_string(&plan).unwrap();
        assert_eq!(Plan::parse(&written, "p.toml").unwrap(), plan);
        assert_eq!((plan.rounds, plan.window_ms, plan.seed), (7, 2000, Some(9)));
        assert_eq!(plan.sweeps.len(), 1);
        assert_eq!(plan.sweeps[0].direction, Direction::Upload);
        assert_eq!(plan.sweeps[0].connections, [2]);
        assert_eq!(plan.sweeps[0].sizes, [ByteSize::new(5)]);
    }

    #[test]
    fn flags_that_make_sweeps_alike_leave_one_of_them() {
        let plan = Plan::built_in("default").unwrap();
        let overrides = Overrides {
            connections: Some(vec![8, 8]),
            sizes: Some(vec![ByteSize::new(5), ByteSize::new(6), ByteSize::new(5)]),
            ..Overrides::default()
        };
        let sweeps = plan.clone().with(overrides).sweeps;
        assert_eq!(sweeps.len(), 2, "one for each direction: {sweeps:?}");
        assert_eq!(sweeps[0].connections, [8]);
        assert_eq!(sweeps[0].sizes, [ByteSize::new(5), ByteSize::new(6)]);
        let same_size = Overrides { connections: Some(vec![8]), ..Overrides::default() };
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
