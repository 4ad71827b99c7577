//! `bench ab`: two builds of the server in the same rounds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, ensure};
use bench_data::names::{self, Entry};
use bench_data::plan::loads::check;
use bench_data::plan::sweep::SweepFlags;
use bench_data::plan::{AaControl, Overrides, Plan, time};
use bench_data::record::environment::KernelSettings;
use bench_data::record::run_folder::RunFolder;
use bench_data::servers::variant::Variant;
use bench_report::analysis::diff::{Beyond, BuildPair, Diff, Judgement, Limit, Shown};
use clap::Args;
use fileserver::StrategyKind;

use crate::cli::process::{FAILED, INTERRUPTED, Second, say, stop_on_signals};
use crate::cli::run::{IdleFlags, OutputFlags, exit_code, measure};
use crate::machine::cores::available;
use crate::run::RunEnd;
use crate::terminal::columns_of_stdout;

const BUILDS: &str = "Builds";
const MEASUREMENT: &str = "Measurement";

/// Compare two builds of the server: each round measures both
#[derive(Debug, Args)]
#[command(
    after_help = "Each build is a release program, `server` or `bench`, of one revision. Both run a strategy with the same flags.

Changes are ratios within rounds, with 95 % intervals. A star marks a difference that remains significant after \
                  correction for the number of changes in the tables. A limit that is exceeded is measured a second time, with \
                  new rounds; the command fails only if it is exceeded again.

Exit codes: 0 no limit exceeded, 1 a limit exceeded twice, or not checked because trials failed, \
                  2 wrong usage, 130 interrupted

Example:
  git worktree add /tmp/old HEAD~1 && (cd /tmp/old && cargo build --release)
  cargo build --release
  target/release/bench ab --old /tmp/old/target/release/server --new target/release/server --fail-if 'throughput<-5%'"
)]
pub(super) struct BuildArgs {
    /// Program of the earlier build
    #[arg(long, value_name = "PROGRAM", help_heading = BUILDS)]
    old: PathBuf,
    /// Program of the later build
    #[arg(long, value_name = "PROGRAM", help_heading = BUILDS)]
    new: PathBuf,
    /// Strategies to compare, or all
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "selector", help_heading = BUILDS, value_parser = Entry::<StrategyKind>::parser())]
    strategies: Vec<Entry<StrategyKind>>,
    #[command(flatten)]
    sweeps: SweepFlags,
    /// Repetitions of every build and load; intervals need five or more
    #[arg(long, value_name = "N", help_heading = MEASUREMENT, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Length of each measured window, such as 1s; a 99th percentile needs three seconds
    #[arg(long = "duration", value_name = "TIME", help_heading = MEASUREMENT, value_parser = time)]
    window: Option<Duration>,
    /// Seed of the order
    #[arg(long, value_name = "N", help_heading = MEASUREMENT)]
    seed: Option<u64>,
    #[command(flatten)]
    idle: IdleFlags,
    /// Fail if a change exceeds a limit: throughput<-5%, p99>+20%, errors>0.1%; `bench diff --help` lists them
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',', value_parser = Limit::parse)]
    fail_if: Vec<Limit>,
    #[command(flatten)]
    output: OutputFlags,
}

/// Measures two builds, prints the changes and checks the limits.
pub(super) fn compare(arguments: BuildArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals(Second::Ends)?;
    let when_busy = arguments.idle.when_busy();
    let (limits, output) = (arguments.fail_if.clone(), arguments.output.clone());
    let (mut plan, pairs) = plan(arguments)?;
    let same = KernelSettings::default();
    let Some((folder, end)) = measure(&plan, &[], &output, when_busy, &same, &stop)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let diff = changes(&folder, &pairs)?;
    say(&format!("{}\n", diff.text(Shown::All, columns_of_stdout()).trim_end()));
    if end.interrupted {
        return Ok(exit_code(&end));
    }
    let first = exceeded(&diff, &limits);
    if first.is_empty() {
        return Ok(verdict(&diff, &limits, &end));
    }
    for one in &first {
        say(&format!("\nBeyond {}: {}\n", one.limit, one.what));
    }
    say("\nMeasured a second time, with new rounds:\n");
    plan.seed = plan.seed.map(|seed| seed.wrapping_add(1));
    let again = OutputFlags { out: Some(folder.path().join("again")), ..output };
    let Some((folder, end)) = measure(&plan, &[], &again, when_busy, &same, &stop)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let diff = changes(&folder, &pairs)?;
    say(&format!("{}\n", diff.text(Shown::All, columns_of_stdout()).trim_end()));
    if end.interrupted {
        return Ok(exit_code(&end));
    }
    let confirmed = confirmed(&first, exceeded(&diff, &limits));
    for one in &confirmed {
        say(&format!("\nBeyond {} twice: {}\n", one.limit, one.what));
    }
    if confirmed.is_empty() {
        say("\nNo limit is exceeded a second time.\n");
        return Ok(exit_code(&end));
    }
    Ok(ExitCode::from(FAILED))
}

/// Result of a comparison in which no limit is exceeded.
fn verdict(diff: &Diff, limits: &[Limit], end: &RunEnd) -> ExitCode {
    if limits.is_empty() {
        return exit_code(end);
    }
    // A gate that passes without a comparison would be worthless.
    if !diff.incomparable.is_empty() {
        say("\nNo limit is exceeded, but not all are checked: see the list above.\n");
        return ExitCode::from(FAILED);
    }
    say("\nNo limit is exceeded.\n");
    exit_code(end)
}

/// Prints the folder of the records, and compares the builds by them.
fn changes(folder: &RunFolder, pairs: &[BuildPair]) -> anyhow::Result<Diff> {
    let path = folder.path().display();
    say(&format!("records {path}; `bench report {path}` writes their report\n"));
    Ok(Diff::of_builds(&folder.read()?.records, pairs))
}

/// Changes that are shown to be beyond a limit.
fn exceeded(diff: &Diff, limits: &[Limit]) -> Vec<Beyond> {
    let mut beyond = diff.beyond(limits);
    beyond.retain(|one| one.judgement == Judgement::Broken);
    beyond
}

/// Changes of the second measurement that the first one showed as well.
fn confirmed(first: &[Beyond], mut second: Vec<Beyond>) -> Vec<Beyond> {
    let key = |one: &Beyond| (one.limit.clone(), one.target.clone(), one.load);
    second.retain(|one| first.iter().any(|known| key(known) == key(one)));
    second
}

/// Plan with both builds of every strategy, and their names.
fn plan(arguments: BuildArgs) -> anyhow::Result<(Plan, Vec<BuildPair>)> {
    let (mut variants, mut pairs) = (Vec::new(), Vec::new());
    for strategy in names::values(&arguments.strategies) {
        let name = strategy.name();
        let pair =
            BuildPair { old: format!("{name}-old"), new: format!("{name}-new"), name: name.into() };
        for (own, program) in [(&pair.old, &arguments.old), (&pair.new, &arguments.new)] {
            let variant = Variant::new(own, name).map_err(anyhow::Error::msg)?;
            variants.push(variant.of_build(program.clone()));
        }
        pairs.push(pair);
    }
    ensure!(!pairs.is_empty(), "there is nothing to compare: name a strategy with --strategies");
    let overrides = Overrides {
        strategies: Some(Vec::new()),
        variants: Some(variants),
        aa_control: Some(AaControl::None),
        baseline: Some(pairs.iter().map(|pair| pair.old.clone()).collect()),
        window: arguments.window,
        rounds: arguments.rounds,
        seed: arguments.seed,
        ..Overrides::from(arguments.sweeps)
    };
    let mut plan = Plan::of_builds().with(overrides);
    plan.fit_cores(available()).map_err(anyhow::Error::msg)?;
    check(&plan)?;
    match plan.obstacle() {
        Some(obstacle) => bail!(obstacle),
        None => Ok((plan, pairs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_must_be_exceeded_twice_by_the_same_server_under_the_same_load() {
        let loads = Plan::of_builds().loads();
        let beyond = |limit: &str, target: &str, load: usize| Beyond {
            limit: limit.to_owned(),
            target: target.to_owned(),
            load: loads[load],
            what: String::new(),
            judgement: Judgement::Broken,
        };
        let first = [beyond("p99>+20%", "selector", 0)];
        let second = || {
            vec![
                beyond("p99>+20%", "threaded", 0),
                beyond("p99>+20%", "selector", 1),
                beyond("throughput<-5%", "selector", 0),
            ]
        };
        assert!(confirmed(&first, second()).is_empty());
        let with_it = [second(), first.to_vec()].concat();
        let found = confirmed(&first, with_it);
        assert_eq!(
            (found.len(), found[0].target.as_str(), found[0].load),
            (1, "selector", loads[0])
        );
    }
}
