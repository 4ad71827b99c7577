//! `bench chat`: fan-out latency of a chat under each strategy.

mod room;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use fileserver::StrategyKind;
use fileserver::cli::whole_number;
use nix::time::ClockId;
use serde::Serialize;

use crate::alternation::in_turn;
use crate::machine::cores::{Cores, Pinned};
use crate::machine::descriptors;
use crate::run::files::ScratchFolder;
use crate::run::server_process::ServerProcess;
use crate::terminal::columns_of_stdout;
use bench_data::names;
use bench_data::units::counted;
use room::{Deliveries, Pacing, Room};

/// Descriptors in addition to the receivers' sockets.
const DESCRIPTORS_APART: u64 = 64;

/// Measure the fan-out latency of a chat under each strategy
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bench chat
  bench chat --strategies threaded,selector --receivers 100 --rate 200 --csv chat.csv

One member of the room sends lines at a constant rate, and the others receive them. The latency of a
delivery runs from the time at which the line was due until one receiver has the complete line. The
strategies alternate over the rounds (A B B A), each with a new server process, on a core of its own
if the machine has two.")]
pub struct FanoutArgs {
    /// Strategies to compare [default: all that support a chat]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = names::parser::<StrategyKind>())]
    strategies: Option<Vec<StrategyKind>>,
    /// Numbers of receivers
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "10,100,1000", value_parser = whole_number::<u32>(1..=100_000))]
    receivers: Vec<u32>,
    /// Lines per trial
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = whole_number::<u32>(1..=u32::MAX))]
    messages: u32,
    /// Lines per second
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// Length of a line in bytes, line end included
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = whole_number::<u16>(48..=4096))]
    size: u16,
    /// Repetitions of every strategy and number of receivers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole_number::<u32>(1..=u32::MAX))]
    rounds: u32,
    /// Write a row per trial to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Trial of the chat: a row of the CSV file.
#[derive(Debug, Clone, Serialize)]
struct FanoutRow {
    round: u32,
    strategy: &'static str,
    receivers: u32,
    /// `ok`, `lost` if deliveries are missing, or `failed`.
    outcome: &'static str,
    reason: String,
    messages: u32,
    message_bytes: u16,
    rate_per_s: f64,
    deliveries: u64,
    /// Number of deliveries that were late or whose receiver was disconnected.
    lost: u64,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    max_us: Option<f64>,
    /// Median over the lines of the latency to the last receiver.
    everyone_p50_us: Option<f64>,
    /// Processor time of the server per delivery.
    server_cpu_us_per_delivery: Option<f64>,
}

/// Measures, and prints the results.
///
/// # Errors
/// The measurement cannot start.
pub fn run(args: &FanoutArgs, stop: &AtomicBool) -> anyhow::Result<FanoutEnd> {
    let (kinds, skipped) = carriers(args.strategies.as_deref());
    for (kind, why) in &skipped {
        say(&format!("skipped {}: {why}\n", kind.name()));
    }
    ensure!(!kinds.is_empty(), "no strategy to measure: choose others with --strategies");
    let most = args.receivers.iter().copied().max().unwrap_or(1);
    descriptors::raise(u64::from(most) + DESCRIPTORS_APART, "receivers")?;
    let mut csv = match &args.csv {
        Some(path) => Some(csv::Writer::from_path(path).with_context(|| {
            format!("cannot write {}: choose another --csv file", path.display())
        })?),
        None => None,
    };
    let bench = Bench::new()?;
    let trials = args.rounds as usize * args.receivers.len() * kinds.len();
    let seconds = f64::from(args.messages) / args.rate * trials as f64;
    say(&format!(
        "{} × {} × {} = {}, at least {:.0} s; {}\n",
        match kinds.len() {
            1 => "1 strategy".to_owned(),
            some => format!("{some} strategies"),
        },
        match args.receivers.len() {
            1 => "1 number of receivers".to_owned(),
            some => format!("{some} numbers of receivers"),
        },
        counted(args.rounds as usize, "round"),
        counted(trials, "trial"),
        seconds.ceil(),
        bench.placement(),
    ));

    let mut rows = Vec::new();
    let mut interrupted = false;
    'all: for round in 1..=args.rounds {
        for &receivers in &args.receivers {
            for &kind in in_turn(&kinds, round).iter() {
                let row = bench.trial(args, round, kind, receivers, stop);
                if stop.load(Ordering::SeqCst) {
                    interrupted = true;
                    break 'all;
                }
                say(&table::progress(&row));
                if let Some(csv) = &mut csv {
                    csv.serialize(&row)?;
                    csv.flush()?;
                }
                rows.push(row);
            }
        }
    }
    let tables = table::text(&rows, &skipped, columns_of_stdout());
    let _ = io::stdout().write_all(tables.as_bytes());
    Ok(FanoutEnd { interrupted, failed: rows.iter().any(|row| row.outcome != "ok") })
}

/// Ending of the measurement.
#[derive(Debug, Clone, Copy)]
pub struct FanoutEnd {
    /// Interrupted by a signal.
    pub interrupted: bool,
    /// At least one trial failed or lost deliveries.
    pub failed: bool,
}

/// Chosen strategies that support a chat, and the others with the reason.
fn carriers(
    asked: Option<&[StrategyKind]>,
) -> (Vec<StrategyKind>, Vec<(StrategyKind, &'static str)>) {
    let (mut kinds, mut skipped) = (Vec::new(), Vec::new());
    for &kind in asked.unwrap_or(&StrategyKind::ALL) {
        match obstacle(kind) {
            Some(why) => skipped.push((kind, why)),
            None => kinds.push(kind),
        }
    }
    (kinds, skipped)
}

fn obstacle(kind: StrategyKind) -> Option<&'static str> {
    match kind {
        StrategyKind::Iterative => {
            Some("it serves one connection at a time; a chat needs at least two")
        }
        StrategyKind::Prefork => {
            Some("its processes share no memory, so no line reaches another connection")
        }
        StrategyKind::Threaded
        | StrategyKind::ThreadPool
        | StrategyKind::Selector
        | StrategyKind::MultiSelector
        | StrategyKind::Hybrid
        | StrategyKind::Uring
        | StrategyKind::Tokio => None,
    }
}

/// Common parts of the trials.
struct Bench {
    program: PathBuf,
    folder: ScratchFolder,
    cores: Cores,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find the path of this program")?,
            folder: ScratchFolder::create()?,
            cores: Cores::apart(1),
        })
    }

    fn placement(&self) -> String {
        match (self.cores.server.as_slice(), self.cores.generator.as_slice()) {
            ([], _) | (_, []) => "no pinning: only one core".to_owned(),
            (server, clients) => format!("server on core {server:?}, clients on {clients:?}"),
        }
    }

    fn trial(
        &self,
        args: &FanoutArgs,
        round: u32,
        kind: StrategyKind,
        receivers: u32,
        stop: &AtomicBool,
    ) -> FanoutRow {
        let measured = self.measure(args, kind, receivers, stop);
        let expected = u64::from(args.messages) * u64::from(receivers);
        let mut row = FanoutRow {
            round,
            strategy: kind.name(),
            receivers,
            outcome: "ok",
            reason: String::new(),
            messages: args.messages,
            message_bytes: args.size,
            rate_per_s: args.rate,
            deliveries: 0,
            lost: expected,
            p50_us: None,
            p90_us: None,
            p99_us: None,
            p999_us: None,
            max_us: None,
            everyone_p50_us: None,
            server_cpu_us_per_delivery: None,
        };
        match measured {
            Err(error) => (row.outcome, row.reason) = ("failed", format!("{error:#}")),
            Ok((deliveries, cpu)) => {
                let latency = &deliveries.latency_ns;
                let count = latency.len();
                row.deliveries = count;
                row.lost = expected.saturating_sub(count);
                let at = |percentile: f64| {
                    (count > 0).then(|| micro(latency.value_at_percentile(percentile)))
                };
                row.p50_us = at(50.0);
                row.p90_us = at(90.0);
                row.p99_us = at(99.0);
                row.p999_us = at(99.9);
                row.max_us = at(100.0);
                row.everyone_p50_us = deliveries.everyone_p50_ns.map(micro);
                row.server_cpu_us_per_delivery = cpu
                    .filter(|_| count > 0)
                    .map(|cpu| (cpu.as_secs_f64() * 1e9 / count as f64).round() / 1e3);
                if row.lost > 0 {
                    (row.outcome, row.reason) = ("lost", deliveries.trouble);
                }
            }
        }
        row
    }

    fn measure(
        &self,
        args: &FanoutArgs,
        kind: StrategyKind,
        receivers: u32,
        stop: &AtomicBool,
    ) -> anyhow::Result<(Deliveries, Option<Duration>)> {
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--service", "chat", "--wire", "text", "--strategy", kind.name()])
            .args(["--listen", "127.0.0.1:0", "--quiet", "--root"])
            .arg(self.folder.path());
        let log = self.folder.path().join("server.log");
        let mut server = ServerProcess::start(command, &self.cores.server, &log)?;
        let _pinned =
            Pinned::to(&self.cores.generator).context("cannot pin the clients to their cores")?;
        let pacing = Pacing {
            messages: args.messages,
            interval: Duration::from_secs_f64(1.0 / args.rate),
            size_bytes: usize::from(args.size),
        };
        let measured =
            Room::open(server.address(), receivers as usize, stop).and_then(|mut room| {
                let before = cpu_time(server.pid());
                let deliveries = room.measure(&pacing, stop)?;
                let after = cpu_time(server.pid());
                Ok((
                    deliveries,
                    before.zip(after).map(|(before, after)| after.saturating_sub(before)),
                ))
            });
        match server.death() {
            Some(death) => Err(anyhow::anyhow!("the server {death}")),
            None => {
                server.stop();
                measured
            }
        }
    }
}

/// Processor time of a process in nanoseconds (`stat` counts in ticks, which are too coarse for a
/// short trial).
fn cpu_time(pid: u32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(pid.cast_signed())).ok()?;
    Some(clock.now().ok()?.into())
}

/// Nanoseconds as microseconds with three decimals.
fn micro(ns: u64) -> f64 {
    ns as f64 / 1e3
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number")?;
    let is_usable = rate > 0.0 && rate <= 1e6;
    is_usable.then_some(rate).ok_or_else(|| "must be more than 0 and at most 1000000".to_owned())
}

fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_that_cannot_carry_a_chat_are_named() {
        let (kinds, skipped) = carriers(None);
        assert!(kinds.contains(&StrategyKind::Selector));
        assert!(!kinds.contains(&StrategyKind::Iterative));
        assert_eq!(kinds.len() + skipped.len(), StrategyKind::ALL.len());
        assert!(skipped.iter().any(|(kind, _)| *kind == StrategyKind::Iterative));
    }
}
