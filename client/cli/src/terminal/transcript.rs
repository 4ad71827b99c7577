//! Plain-text copy of the terminal output.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;

use crate::failure::{Failure, OrRemedy};
use crate::terminal::print;
use crate::terminal::units::{bytes, percent};

/// Least step between two lines about a transfer.
const STEP_PERCENT: u64 = 10;
/// Width of the bars.
const BAR_CHARS: u64 = 30;

/// File with a copy of the terminal output, if requested.
#[derive(Debug)]
pub(crate) struct Transcript {
    file: Option<RefCell<File>>,
}

/// Recorded progress of one transfer.
#[derive(Debug)]
pub(crate) struct TransferProgress {
    name: String,
    total: u64,
    done: u64,
    begun_at: u64,
    next_percent: u64,
    begun: Instant,
}

impl Transcript {
    /// Begins a transcript with the command line; without a path, nothing is recorded.
    ///
    /// # Errors
    /// The file cannot be written, or is itself sent.
    pub(crate) fn create(path: Option<&Path>, sent: &[&File]) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let shown = path.display();
        if let Ok(existing) = path.metadata() {
            let identity = (existing.dev(), existing.ino());
            let same = |file: &&File| {
                file.metadata().is_ok_and(|about| (about.dev(), about.ino()) == identity)
            };
            if sent.iter().any(same) {
                return Err(Failure::Usage(anyhow!(
                    "{shown} is one of the files to send: choose another --transcript file"
                )));
            }
        }
        let file = File::create(path)
            .or_remedy(format_args!("cannot write {shown}"), "choose another --transcript file");
        let transcript = Self { file: Some(RefCell::new(file.map_err(Failure::Usage)?)) };
        transcript.record(&format!("$ client {}\n", arguments()));
        Ok(transcript)
    }

    /// Writes to standard output and to the file.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        self.record(text);
        print(text)
    }

    /// Writes to the file only.
    pub(crate) fn record(&self, text: &str) {
        if let Some(file) = &self.file {
            // A failing transcript must not end a successful transfer.
            let _ = file.borrow_mut().write_all(text.as_bytes());
        }
    }

    /// Records progress with a line about every tenth.
    pub(crate) fn record_progress(&self, progress: &mut TransferProgress, bytes: u64) {
        if self.file.is_none() {
            return;
        }
        progress.done += bytes;
        if progress.next_percent <= progress.percent() {
            self.record(&progress.line());
            progress.next_percent = (progress.percent() / STEP_PERCENT + 1) * STEP_PERCENT;
        }
    }
}

impl TransferProgress {
    /// Progress of a transfer of `total` bytes, of which `done` are done.
    pub(crate) fn new(name: &str, total: u64, done: u64) -> Self {
        let mut progress = Self {
            name: name.to_owned(),
            total,
            done,
            begun_at: done,
            next_percent: 0,
            begun: Instant::now(),
        };
        progress.next_percent = progress.percent().next_multiple_of(STEP_PERCENT);
        progress
    }

    fn percent(&self) -> u64 {
        percent(self.done, self.total)
    }

    fn line(&self) -> String {
        let percent = self.percent();
        let full = (percent * BAR_CHARS / 100) as usize;
        let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR_CHARS as usize - full));
        let (done, total) = (bytes(self.done), bytes(self.total));
        let seconds = self.begun.elapsed().as_secs_f64();
        let sent = self.done - self.begun_at;
        let rate = if sent > 0 && seconds > 0.0 {
            format!("  {}/s", bytes((sent as f64 / seconds) as u64))
        } else {
            String::new()
        };
        format!("{} {percent:>3} % [{bar}] {done}/{total}{rate}\n", self.name)
    }
}

/// Arguments of this process, quoted for a shell.
fn arguments() -> String {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| crate::terminal::quoted(&word.to_string_lossy()).into_owned())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_how_much_is_done() {
        let mut progress = TransferProgress::new("a.png", 2048, 0);
        progress.done = 1024;
        let line = progress.line();
        let bar = format!("[{}{}]", "#".repeat(15), "-".repeat(15));
        assert!(line.starts_with(&format!("a.png  50 % {bar} 1.00 KiB/2.00 KiB")), "{line}");
    }

    #[test]
    fn a_resumed_transfer_begins_at_its_position() {
        let progress = TransferProgress::new("a.png", 1000, 333);
        assert_eq!((progress.percent(), progress.next_percent), (33, 40));
        assert_eq!(TransferProgress::new("empty", 0, 0).percent(), 100);
    }
}
