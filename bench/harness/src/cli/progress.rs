//! Progress of a run: live on a terminal, otherwise a line for each quarter.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::run::Observer;
use crate::terminal::columns_of_stderr;
use bench_data::load::words::heading;
use bench_data::record::rows::TrialRow;
use bench_data::text_wrap::indented;
use bench_data::trial::Trial;
use bench_data::units;

/// Number of recent trials in a sparkline.
const SHOWN: usize = 40;

/// Progress display on standard error.
#[derive(Debug)]
pub(super) enum Display {
    /// Live display on a terminal.
    Live(Live),
    /// Lines of text, where standard error is not a terminal.
    Quarters(Quarters),
}

/// Running trial and results of the recent ones.
#[derive(Debug)]
pub(super) struct Live {
    bar: ProgressBar,
    running: String,
    ended: Vec<Ended>,
}

/// A line for each quarter of the trials, and for each one that failed.
#[derive(Debug)]
pub(super) struct Quarters {
    trials: usize,
    done: usize,
    reported: usize,
    began: Instant,
}

/// Values shown of a completed trial.
#[derive(Debug, Clone)]
struct Ended {
    server: String,
    rate_per_s: Option<f64>,
    p99_us: Option<f64>,
}

impl Display {
    /// Display for a run with this number of trials.
    pub(super) fn new(trials: usize) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Quarters(Quarters::new(trials));
        }
        let bar = ProgressBar::new(trials as u64);
        let style = "{bar:30} {pos}/{len} trials, {elapsed} so far, about {eta} left\n{msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is constant"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self::Live(Live { bar, running: String::new(), ended: Vec::new() })
    }

    /// Removes the live display.
    pub(super) fn finish(&self) {
        if let Self::Live(live) = self {
            live.bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn begins(&mut self, trial: &Trial, to_come: usize) {
        match self {
            Self::Live(live) => {
                live.bar.set_length(live.ended.len() as u64 + to_come as u64);
                let (round, load) = (trial.round, heading(trial.load));
                live.running = lines(&format!("round {round}: {}, {load}", trial.target));
                live.show();
            }
            Self::Quarters(quarters) => {
                quarters.trials = quarters.done + to_come;
                if quarters.done == 0 {
                    say(&format!("  0 %  {to_come} trials\n"));
                }
            }
        }
    }

    fn extends(&mut self, reason: &str) {
        let text = lines(&format!("further round, {reason}"));
        match self {
            Self::Live(live) => live.bar.println(text.trim_end()),
            Self::Quarters(_) => say(&text),
        }
    }

    fn ended(&mut self, row: &TrialRow, p99_us: Option<f64>) {
        let failure = row.outcome.is_failure().then(|| {
            let load = heading(row.load());
            let (outcome, reason) = (row.outcome.name(), &row.outcome_reason);
            let (trial, target) = (row.trial, &row.target);
            lines(&format!("trial {trial}, {target}, {load}: {outcome}: {reason}"))
        });
        let ended = Ended { server: row.target.clone(), rate_per_s: row.requests_per_s, p99_us };
        match self {
            Self::Live(live) => {
                failure.iter().for_each(|failure| live.bar.println(failure.trim_end()));
                live.ended.push(ended);
                live.show();
                live.bar.inc(1);
            }
            Self::Quarters(quarters) => {
                failure.iter().for_each(|failure| say(failure));
                if let Some(line) = quarters.line(&ended, columns_of_stderr()) {
                    say(&line);
                }
            }
        }
    }
}

impl Live {
    fn show(&self) {
        let last = &self.ended[self.ended.len().saturating_sub(SHOWN)..];
        let latest = last.last();
        let line = |name: &str, value: fn(&Ended) -> Option<f64>, write: fn(f64) -> String| {
            let values: Vec<_> = last.iter().map(value).collect();
            let now = latest.and_then(value).map(write).unwrap_or_default();
            format!("  {name:<11} {:>SHOWN$}  {now}", sparkline(&values))
        };
        let mut text = self.running.trim_end().to_owned();
        if let Some(ended) = latest {
            text += &format!(
                "\n{}\n{}  (last: {})",
                line("requests/s", |ended| ended.rate_per_s, units::count),
                line("p99", |ended| ended.p99_us, units::microseconds),
                ended.server
            );
        }
        self.bar.set_message(text);
    }
}

impl Quarters {
    fn new(trials: usize) -> Self {
        Self { trials, done: 0, reported: 0, began: Instant::now() }
    }

    /// Message after another trial, if it completes a quarter, in lines of at most so many letters. Searches
    /// can change the number of trials, so each quarter is reported once.
    fn line(&mut self, ended: &Ended, width: usize) -> Option<String> {
        self.done += 1;
        let done = self.done;
        let quarter = done * 4 / self.trials.max(1);
        if quarter <= self.reported {
            return None;
        }
        self.reported = quarter;
        let passed = self.began.elapsed();
        let left = passed.mul_f64((self.trials.saturating_sub(done)) as f64 / done.max(1) as f64);
        let rate = ended.rate_per_s.map(|rate| format!(", {} requests/s", units::count(rate)));
        let p99 = ended.p99_us.map(|p99| format!(", p99 {}", units::microseconds(p99)));
        let text = format!(
            "{done}/{} trials, {} so far, about {} left; last: {}{}{}",
            self.trials,
            HumanDuration(passed),
            HumanDuration(left),
            ended.server,
            rate.unwrap_or_default(),
            p99.unwrap_or_default()
        );
        let percent = format!("{:>3} %  ", quarter * 25);
        Some(indented(&text, &percent, &" ".repeat(percent.len()), width))
    }
}

/// A text in lines of the width of the terminal.
fn lines(text: &str) -> String {
    indented(text, "", "  ", columns_of_stderr())
}

/// Writes whole lines to standard error; a failure does not stop the run.
fn say(lines: &str) {
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// Bars on a logarithmic scale, since values of different loads differ by orders of magnitude.
fn sparkline(values: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let positive = || values.iter().flatten().copied().filter(|value| *value > 0.0);
    let least = positive().fold(f64::INFINITY, f64::min);
    let most = positive().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value.filter(|value| *value > 0.0) {
        None => '·',
        Some(_) if most <= least => BARS[BARS.len() / 2],
        Some(value) => {
            let share = (value / least).ln() / (most / least).ln();
            BARS[(share * (BARS.len() - 1) as f64).round() as usize]
        }
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_bar_for_each_value() {
        assert_eq!(sparkline(&[Some(1.0), Some(10.0), Some(1e7), None]), "▁▂█·");
        assert_eq!(sparkline(&[Some(5.0), Some(5.0)]), "▅▅");
        assert_eq!(sparkline(&[Some(0.0), None]), "··");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn each_quarter_is_reported_once() {
        let ended =
            Ended { server: "selector".to_owned(), rate_per_s: Some(131e3), p99_us: Some(85.0) };
        for trials in [1, 2, 3, 4, 7, 100] {
            let mut quarters = Quarters::new(trials);
            let lines: Vec<_> = (1..=trials).filter_map(|_| quarters.line(&ended, 200)).collect();
            assert_eq!(lines.len(), trials.min(4), "{lines:?}");
            let last = lines.last().unwrap();
            let begin = format!("100 %  {trials}/{trials} trials, ");
            assert!(last.starts_with(&begin), "{last}");
            let end = "; last: selector, 131k requests/s, p99 85.0 µs\n";
            assert!(last.ends_with(end), "{last}");
            let narrow = Quarters::new(1).line(&ended, 60).unwrap();
            assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
            assert!(narrow.lines().skip(1).all(|line| line.starts_with("       ")), "{narrow}");
        }
    }
}
