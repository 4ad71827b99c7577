//! Wake-up delay of the machine: rows of `wake-up.csv`.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::trial::{Trial, WakeUpDelay};

/// Name of the file within a results folder.
pub const FILE: &str = "wake-up.csv";

/// Row of `wake-up.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct WakeUpRow {
    pub before_trial: u32,
    pub round: u32,
    pub samples: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl WakeUpRow {
    /// Row of a measurement directly before a trial.
    pub fn new(trial: &Trial, delay: &WakeUpDelay) -> Self {
        let us = |time: std::time::Duration| (time.as_secs_f64() * 1e9).round() / 1e3;
        Self {
            before_trial: trial.number,
            round: trial.round,
            samples: delay.samples,
            p50_us: us(delay.p50),
            p99_us: us(delay.p99),
            p999_us: us(delay.p999),
            max_us: us(delay.max),
        }
    }
}

/// Reads the rows of a results folder; none of runs from before it was measured.
///
/// # Errors
/// The file does not match `SCHEMA.md`.
pub fn read(folder: &Path) -> anyhow::Result<Vec<WakeUpRow>> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let reader = csv::Reader::from_path(&path);
    let mut reader = reader.with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Result<Vec<WakeUpRow>, _> = reader.deserialize().collect();
    rows.with_context(|| format!("{} does not match results/SCHEMA.md", path.display()))
}

/// Appends a row to the file of a results folder.
///
/// # Errors
/// The file cannot be written.
pub fn append(folder: &Path, row: &WakeUpRow) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    let context = || format!("cannot write {}", path.display());
    let file = File::options().create(true).append(true).open(&path).with_context(context)?;
    let is_new = file.metadata().with_context(context)?.len() == 0;
    let mut writer = csv::WriterBuilder::new().has_headers(is_new).from_writer(file);
    writer.serialize(row).with_context(context)?;
    writer.flush().with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_appended_and_a_folder_may_have_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        let row = |round| WakeUpRow {
            before_trial: 10 * round,
            round,
            samples: 4000,
            p50_us: 3.5,
            p99_us: 21.0,
            p999_us: 80.125,
            max_us: 1200.0,
        };
        for round in [1, 2] {
            append(folder.path(), &row(round)).unwrap();
        }
        assert_eq!(read(folder.path()).unwrap(), [row(1), row(2)]);
        std::fs::write(folder.path().join(FILE), "round\nfirst\n").unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("wake-up.csv does not match"), "{error}");
    }
}
