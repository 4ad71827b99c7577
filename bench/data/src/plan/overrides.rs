//! Flags that replace values of a plan.

use std::cmp::Reverse;
use std::time::Duration;

use clap::Args;
use fileserver::cli::whole_number;
use fileserver::{SendPath, StrategyKind};
use fileserver_proto::Wire;
use loadgen::{Direction, EngineChoice};

use crate::load::Load;
use crate::load::objective::{CapacitySearch, Objective};
use crate::names::{self, Entry};
use crate::plan::service::LoadService;
use crate::plan::sweep::{Sweep, SweepFlags};
use crate::plan::until::Until;
use crate::plan::{AaControl, Order, Plan, Primary};
use crate::servers::external::ExternalServer;
use crate::servers::reference::ReferenceServer;
use crate::servers::target::Target;
use crate::servers::variant::Variant;

const SERVERS: &str = "Servers";
const LOAD: &str = "Load";
const MEASUREMENT: &str = "Measurement";

/// Values that replace those of a plan; each is a flag of `bench run`.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Strategies to compare, or all; none measures reference servers and your own servers only
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = SERVERS, value_parser = Entry::<StrategyKind>::parser())]
    pub strategies: Option<Vec<Entry<StrategyKind>>>,
    /// Strategy with extra server flags, under a name that you choose: NAME='STRATEGY --flag …'
    #[arg(long = "variant", value_name = "NAME=…", help_heading = SERVERS, value_parser = Variant::parse)]
    pub variants: Option<Vec<Variant>>,
    /// A/A control: measure this strategy twice; if the two differ, the comparison is void
    /// [default: the plan's; otherwise selector, or the last strategy if selector is absent]
    #[arg(long, alias = "twin", value_name = "NAME", help_heading = SERVERS, value_parser = AaControl::parser())]
    pub aa_control: Option<AaControl>,
    /// Server whose throughput is 1 in the ratios below each table; of several, the fastest
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = SERVERS)]
    pub baseline: Option<Vec<String>>,
    /// Reference servers to measure, or all (all but nginx-threaded, which is nginx as a proxy for
    /// threaded)
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = SERVERS, value_parser = Entry::<ReferenceServer>::parser())]
    pub against: Option<Vec<Entry<ReferenceServer>>>,
    /// Server of your own: NAME='COMMAND with {port} and {root}', started for each trial, or
    /// NAME=http://HOST:PORT, already running and serving the files written by
    /// `bench files`
    #[arg(long = "target", value_name = "NAME=…", help_heading = SERVERS, value_parser = ExternalServer::parse)]
    pub given: Option<Vec<ExternalServer>>,
    /// Send path of the built-in server's files: auto, copy, memory, sendfile or splice
    #[arg(long, value_name = "PATH", help_heading = SERVERS)]
    pub send_path: Option<SendPath>,
    /// Flags of the loads.
    #[command(flatten)]
    pub sweeps: SweepFlags,
    /// Direction of all loads.
    #[arg(skip)]
    pub direction: Option<Direction>,
    /// Wire of all requests: http or framed for files, text for lines
    #[arg(long, value_name = "WIRE", help_heading = LOAD)]
    pub wire: Option<Wire>,
    /// Service of the servers; those other than files need the wire text. The length of the lines is
    /// given by --sizes
    #[arg(long, value_name = "SERVICE", help_heading = LOAD)]
    pub service: Option<LoadService>,
    /// Search for the rate at which half of the trials meet an objective, such as p99=5ms,errors=0.1%
    #[arg(long = "slo", value_name = "OBJECTIVE", help_heading = LOAD, value_parser = Objective::parse, conflicts_with = "rate")]
    pub objective: Option<Objective>,
    /// I/O engine of the load generator: epoll, uring, or auto (uring if the kernel supports it)
    #[arg(long, value_name = "ENGINE", help_heading = MEASUREMENT)]
    pub engine: Option<EngineChoice>,
    /// Time before each measured window, such as 500ms; its requests are not counted
    #[arg(long, value_name = "TIME", help_heading = MEASUREMENT, value_parser = time)]
    pub warm_up: Option<Duration>,
    /// Length of each measured window, such as 500ms or 2s
    #[arg(long = "duration", value_name = "TIME", help_heading = MEASUREMENT, value_parser = time)]
    pub window: Option<Duration>,
    /// Repetitions of every server under each load; claims and intervals need five or more
    #[arg(long, value_name = "N", help_heading = MEASUREMENT, value_parser = whole_number::<u32>(1..=u32::MAX))]
    pub rounds: Option<u32>,
    /// Repetitions under loads outside the main comparisons, if fewer [default: the plan's; with
    /// --rounds as many as that]
    #[arg(long, value_name = "N", help_heading = MEASUREMENT, value_parser = whole_number::<u32>(1..=u32::MAX))]
    pub other_rounds: Option<u32>,
    /// Precision until which main comparisons get further rounds, such as ci=5%: the half-width of
    /// their 95 % intervals as a share of the ratio; none adds no rounds [default: the plan's; with
    /// --rounds none]
    #[arg(long, value_name = "PRECISION", help_heading = MEASUREMENT)]
    pub until: Option<Until>,
    /// Time of the whole run after which no further round begins, such as 20m; the planned rounds run
    /// in any case [default: the plan's; otherwise twice the time of the planned rounds]
    #[arg(long, value_name = "TIME", help_heading = MEASUREMENT, value_parser = budget)]
    pub budget: Option<Duration>,
    /// Order of the servers within a round
    #[arg(long, value_name = "ORDER", help_heading = MEASUREMENT)]
    pub order: Option<Order>,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", help_heading = MEASUREMENT, value_parser = whole_number::<u64>(0..=u64::MAX))]
    pub seed: Option<u64>,
}

impl From<SweepFlags> for Overrides {
    fn from(sweeps: SweepFlags) -> Self {
        Self { sweeps, ..Self::default() }
    }
}

impl Plan {
    /// The plan with overridden values, and with a seed.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        let (known, control) = (self.targets(), self.aa_control());
        let named = (overrides.baseline.is_some(), overrides.aa_control.is_some());
        if let Some(strategies) = overrides.strategies {
            self.strategies = names::values(&strategies);
        }
        self.variants = overrides.variants.unwrap_or(self.variants);
        self.aa_control = overrides.aa_control.unwrap_or(self.aa_control);
        self.baseline = overrides.baseline.unwrap_or(self.baseline);
        if let Some(against) = overrides.against {
            self.against = names::values(&against);
            self.sweeps.iter_mut().for_each(|sweep| sweep.against.clear());
        }
        self.given = overrides.given.unwrap_or(self.given);
        self.wire = overrides.wire.unwrap_or(self.wire);
        self.service = overrides.service.or(self.service);
        if let Some(direction) = overrides.direction {
            if self.sweeps.iter().any(|sweep| sweep.direction == direction) {
                self.sweeps.retain(|sweep| sweep.direction == direction);
            }
            self.sweeps.iter_mut().for_each(|sweep| sweep.direction = direction);
        }
        self.sweeps.iter_mut().for_each(|sweep| sweep.replace(&overrides.sweeps));
        if let Some(objective) = overrides.objective {
            self.look_for(objective);
        }
        self.sweeps = each_once(self.sweeps);
        if let Some(window) = overrides.window {
            self.sweeps.iter_mut().for_each(|sweep| sweep.window_ms = None);
            self.window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        }
        self.send_path = overrides.send_path.unwrap_or(self.send_path);
        self.engine = overrides.engine.unwrap_or(self.engine);
        if let Some(warm_up) = overrides.warm_up {
            self.sweeps.iter_mut().for_each(|sweep| sweep.warm_up_ms = None);
            self.warm_up_ms = u64::try_from(warm_up.as_millis()).unwrap_or(u64::MAX);
        }
        if let Some(rounds) = overrides.rounds {
            (self.rounds, self.other_rounds) = (rounds, None);
            (self.until, self.budget_s) = (Until::Planned, None);
        }
        self.until = overrides.until.unwrap_or(self.until);
        self.budget_s = overrides.budget.map(|time| time.as_secs()).or(self.budget_s);
        self.other_rounds = overrides.other_rounds.or(self.other_rounds);
        self.order = overrides.order.unwrap_or(self.order);
        self.declare_primaries();
        let seed = overrides.seed.or(self.seed);
        self.seed = Some(seed.unwrap_or_else(|| fastrand::u64(..1 << 32)));
        // What the plan itself refers to is dropped with the servers that flags take out; what a flag
        // names stays, so that its absence is reported.
        let left = self.targets();
        let has = |targets: &[Target], name: &str| targets.iter().any(|one| one.name() == name);
        let (names_baseline, names_control) = named;
        if !names_baseline {
            self.baseline.retain(|name| has(&left, name) || !has(&known, name));
        }
        if !names_control && control.is_some() && self.aa_control().is_none() {
            self.aa_control = AaControl::Usual;
        }
        self
    }

    /// Declares the load of each main comparison that the plan does not declare, or that flags have
    /// removed: of the downloads, if there are any, one with the most connections and the smallest
    /// size.
    fn declare_primaries(&mut self) {
        let chosen = |sweeps: &[Sweep], name: Option<&str>, declared: Option<Primary>| {
            let own = sweeps.iter().filter(|sweep| sweep.experiment.as_deref() == name);
            let loads: Vec<_> = own.flat_map(Sweep::loads).collect();
            if declared.is_some_and(|one| loads.iter().any(|load| one.matches(load))) {
                return declared;
            }
            let rank = |load: &&Load| {
                let store = Reverse(load.profile.store);
                (load.direction == Direction::Download, store, load.connections, Reverse(load.size))
            };
            loads.iter().max_by_key(rank).map(|load| Primary {
                connections: load.connections,
                size: load.profile.mix.is_none().then_some(load.size),
                store: load.profile.store,
            })
        };
        for one in &mut self.experiments {
            one.primary = chosen(&self.sweeps, Some(&one.name), one.primary);
        }
        self.primary = chosen(&self.sweeps, None, self.primary);
    }

    /// Replaces the objective of all searches. Without a search, every load becomes one.
    fn look_for(&mut self, objective: Objective) {
        let has_searches = self.sweeps.iter().any(|sweep| sweep.capacity.is_some());
        for sweep in &mut self.sweeps {
            if let Some(search) = &mut sweep.capacity {
                search.objective = objective;
            } else if !has_searches {
                sweep.rates_per_s.clear();
                sweep.capacity = Some(CapacitySearch::usual(objective));
            }
        }
    }
}

/// Without values named twice and without loads that another sweep has anyway: where flags replaced
/// what told sweeps apart, they would be there several times.
fn each_once(sweeps: Vec<Sweep>) -> Vec<Sweep> {
    let mut kept: Vec<Sweep> = Vec::new();
    for mut sweep in sweeps {
        sweep.each_once();
        if !kept.iter().any(|other| sweep.is_within(other)) {
            kept.retain(|other| !other.is_within(&sweep));
            kept.push(sweep);
        }
    }
    kept
}

/// Parses a duration of at least a second.
fn budget(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time < Duration::from_secs(1) => Err("must be at least 1s".to_owned()),
        time => Ok(time),
    }
}

/// Parses a duration of at least a millisecond.
pub fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time < Duration::from_millis(1) => Err("must be at least 1ms".to_owned()),
        Ok(time) => Ok(time),
        Err(_) => Err("write a number with a unit: 500ms, 2s, 1m".to_owned()),
    }
}
