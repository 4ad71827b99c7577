//! Shows how a run proceeds: a bar on a terminal, a line per trial elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::record::TrialRow;
use crate::run::Observer;
use crate::schedule::Trial;
use crate::size::ByteSize;
use crate::spelling::direction;
use crate::units;

/// Shows how a run proceeds, on standard error.
#[derive(Debug)]
pub enum Display {
    /// On a terminal.
    Bar(ProgressBar),
    /// Anywhere else.
    Lines {
        /// Trials in all.
        trials: usize,
        /// When the run began.
        began: Instant,
    },
}

impl Display {
    /// For a run of so many trials.
    pub fn new(trials: usize) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { trials, began: Instant::now() };
        }
        let bar = ProgressBar::new(trials as u64);
        let style = "{bar:30} {pos}/{len}  {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is constant"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self::Bar(bar)
    }

    /// Removes the bar, for what is printed next.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn begins(&mut self, trial: &Trial) {
        if let Self::Bar(bar) = self {
            let cell = trial.cell;
            bar.set_message(format!(
                "round {}, {}: {} {}, {} connections",
                trial.round,
                trial.target,
                direction::name(cell.direction),
                cell.size,
                cell.connections
            ));
        }
    }

    fn ended(&mut self, row: &TrialRow) {
        let reason = if row.outcome.is_failure() {
            format!(": {}", row.outcome_reason)
        } else {
            String::new()
        };
        match self {
            Self::Bar(bar) => {
                if row.outcome.is_failure() {
                    bar.println(format!("trial {}: {}{reason}", row.trial, row.outcome.name()));
                }
                bar.inc(1);
            }
            Self::Lines { trials, began } => {
                let done = f64::from(row.trial);
                let left = began.elapsed().as_secs_f64() / done * (*trials as f64 - done);
                let rate = row.requests_per_s.map_or_else(|| "–".to_owned(), units::count);
                // That nobody reads along is no reason to stop measuring.
                let _ = writeln!(
                    io::stderr(),
                    "{}/{trials} round {} {} {} {} x{}: {rate} requests/s, {}{reason} ({left:.0} s left)",
                    row.trial,
                    row.round,
                    row.target,
                    direction::name(row.direction),
                    ByteSize::new(row.size_bytes),
                    row.connections,
                    row.outcome.name(),
                );
            }
        }
    }
}
