//! TransferProgress display of a transfer: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::transcript::{Transcript, TransferProgress};
use crate::terminal::units::percent;

/// Longest name beside a bar.
const NAME_CHARS: usize = 22;

/// Progress display of one transfer.
#[derive(Debug)]
pub(crate) struct Meter<'t> {
    view: View,
    kept: Option<(&'t Transcript, TransferProgress)>,
}

/// Kind of display.
#[derive(Debug)]
enum View {
    /// Percent, bytes, rate and time left, drawn on the terminal.
    Bar(ProgressBar),
    /// A line at each quarter.
    Lines {
        /// Name of the file.
        name: String,
        /// Size in bytes, if known.
        total: Option<u64>,
        /// Bytes done.
        done: u64,
        /// Next quarter to print.
        next_percent: u64,
        /// True if standard output carries the content itself.
        to_stderr: bool,
    },
}

impl<'t> Meter<'t> {
    /// A display for `name` of `total` bytes, if known, of which `done` are done. Lines go to
    /// standard output, unless it carries the content.
    pub(crate) fn new(name: &str, total: Option<u64>, done: u64, stdout_is_taken: bool) -> Self {
        Self { view: View::new(name, total, done, stdout_is_taken), kept: None }
    }

    /// A display for an upload that is also recorded in a transcript.
    pub(crate) fn with_transcript(
        name: &str,
        total: u64,
        done: u64,
        transcript: &'t Transcript,
    ) -> Self {
        let mut meter = Self::new(name, Some(total), done, false);
        meter.kept = Some((transcript, TransferProgress::new(name, total, done)));
        meter.advance(0);
        meter
    }

    /// Adds transferred bytes.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.view.advance(bytes);
        if let Some((transcript, progress)) = &mut self.kept {
            transcript.record_progress(progress, bytes);
        }
    }

    /// Ends the display; the bar stays visible.
    pub(crate) fn finish(self) {
        self.view.finish();
    }
}

impl View {
    fn new(name: &str, total: Option<u64>, done: u64, stdout_is_taken: bool) -> Self {
        let on_terminal =
            io::stderr().is_terminal() && (stdout_is_taken || io::stdout().is_terminal());
        if !on_terminal {
            let mut meter = Self::Lines {
                name: name.to_owned(),
                total,
                done,
                next_percent: match done {
                    0 => 0,
                    done => percent(done, total.unwrap_or(u64::MAX)).next_multiple_of(25),
                },
                to_stderr: stdout_is_taken,
            };
            meter.advance(0);
            return meter;
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = if total.is_some() {
            "{msg} {percent:>3} % [{wide_bar}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}"
        } else {
            "{msg} {spinner} {binary_bytes}  {binary_bytes_per_sec}"
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        bar.set_message(shortened(name));
        bar.set_position(done);
        // The rate excludes the bytes of earlier attempts.
        bar.reset_eta();
        Self::Bar(bar)
    }

    fn advance(&mut self, bytes: u64) {
        match self {
            Self::Bar(bar) => bar.inc(bytes),
            Self::Lines { name, total, done, next_percent, to_stderr } => {
                *done += bytes;
                while total.is_some() && *next_percent <= percent(*done, total.unwrap_or(u64::MAX))
                {
                    print_line(*to_stderr, &format!("{name}: {next_percent} %\n"));
                    *next_percent += 25;
                }
            }
        }
    }

    fn finish(self) {
        match self {
            Self::Bar(bar) => bar.abandon(),
            Self::Lines { name, total: None, to_stderr, .. } => {
                print_line(to_stderr, &format!("{name}: 100 %\n"));
            }
            Self::Lines { .. } => {}
        }
    }
}

/// Beginning and end of a name, short enough for a bar in 80 columns.
fn shortened(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= NAME_CHARS {
        return name.to_owned();
    }
    let (front, back) = (NAME_CHARS / 2, NAME_CHARS - NAME_CHARS / 2 - 1);
    let tail = &chars[chars.len() - back..];
    chars[..front].iter().chain(&['…']).chain(tail).collect()
}

/// A closed output must not end a successful transfer.
fn print_line(to_stderr: bool, line: &str) {
    let _ = if to_stderr {
        io::stderr().write_all(line.as_bytes())
    } else {
        io::stdout().write_all(line.as_bytes())
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("a name that just fits!"), "a name that just fits!");
        assert_eq!(shortened("ein Ausflug über Österreich.mkv"), "ein Ausflug…rreich.mkv");
    }
}
