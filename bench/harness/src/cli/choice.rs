//! Which servers a run compares: what the flags ask for, less what is not there.

use crate::run::reference_config::Installed;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fileserver::StrategyKind;

use bench_data::names::{self, Entry};
use bench_data::plan::{AaControl, Overrides, Plan};
use bench_data::servers::external::ExternalServer;
use bench_data::servers::reference::ReferenceServer;
use bench_data::servers::variant::Variant;

/// Which servers to compare.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Strategies to compare, or all, or none
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Entry::<StrategyKind>::parser())]
    strategies: Option<Vec<Entry<StrategyKind>>>,
    /// A strategy with further flags of the server, under a name of its own:
    /// NAME='STRATEGY --flag …'
    #[arg(long, value_name = "NAME=…", value_parser = Variant::parse)]
    variant: Option<Vec<Variant>>,
    /// A strategy to measure twice, so that it shows how much chance there is (none: no such pair)
    /// [default: the plan's, or the last of the strategies]
    #[arg(long, alias = "twin", value_name = "NAME", value_parser = aa_control())]
    aa_control: Option<AaControl>,
    /// Servers to hold all others against, in the table: the fastest of those named
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    baseline: Option<Vec<String>>,
    /// Real servers to compare them with, or all (all but nginx-threaded, which is nginx as the proxy
    /// of our threaded server)
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Entry::<ReferenceServer>::parser())]
    against: Option<Vec<Entry<ReferenceServer>>>,
    /// A server of your own: NAME='COMMAND with {port} and {root}', started for each trial, or
    /// NAME=http://HOST:PORT, which runs already and serves the files that the subcommand files wrote
    #[arg(long, value_name = "NAME=…", value_parser = ExternalServer::parse)]
    target: Option<Vec<ExternalServer>>,
    /// The process of a server given by its address, so that its processor time is known
    #[arg(long, value_name = "NAME=PID", value_parser = pid)]
    pid: Vec<(String, u32)>,
}

impl Choice {
    /// Enters into `overrides` what was asked for.
    ///
    /// # Errors
    /// A pid for a server that was not given.
    pub(super) fn enter(self, plan: &Plan, overrides: &mut Overrides) -> anyhow::Result<()> {
        overrides.strategies = self.strategies.map(|entries| names::values(&entries));
        overrides.variants = self.variant;
        overrides.aa_control = self.aa_control;
        overrides.baseline = self.baseline;
        overrides.against = self.against.map(|entries| names::values(&entries));
        overrides.given = self.target;
        for (name, pid) in self.pid {
            let given = overrides.given.get_or_insert_with(|| plan.given.clone());
            let target = given.iter_mut().find(|target| target.name() == name);
            let target = target.ok_or_else(|| {
                anyhow::anyhow!("--pid {name}={pid}: no --target has the name '{name}'")
            })?;
            *target = target.clone().with_pid(pid)?;
        }
        Ok(())
    }
}

/// Takes those real servers out of the plan that are not installed, and returns them.
pub(super) fn without_missing(plan: &mut Plan) -> Vec<ReferenceServer> {
    let mut missing = Vec::new();
    let further = plan.sweeps.iter_mut().map(|sweep| &mut sweep.against);
    for against in std::iter::once(&mut plan.against).chain(further) {
        against.retain(|peer| {
            let found = Installed::find(*peer).is_some();
            if !found && !missing.contains(peer) {
                missing.push(*peer);
            }
            found
        });
    }
    missing
}

fn aa_control() -> impl TypedValueParser<Value = AaControl> {
    let names = StrategyKind::ALL.map(StrategyKind::name).into_iter().chain(["none"]);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<AaControl>())
}

fn pid(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
    let pid: u32 = pid.parse().ok().filter(|pid| *pid > 0).ok_or("the pid is not a number")?;
    Ok((name.to_owned(), pid))
}
