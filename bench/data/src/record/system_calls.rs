//! System calls per request: rows of `system-calls.csv`.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Name of the file within a results folder.
pub const FILE: &str = "system-calls.csv";

/// Row of `system-calls.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct CallRow {
    pub trial: u32,
    pub target: String,
    pub requests: u64,
    pub calls: f64,
    pub calls_per_request: f64,
}

impl CallRow {
    /// Row of a server that made `calls` system calls for `requests` requests.
    pub fn new(trial: u32, target: &str, requests: u64, calls: f64) -> Self {
        let calls_per_request = (calls / requests.max(1) as f64 * 1e3).round() / 1e3;
        Self { trial, target: target.to_owned(), requests, calls, calls_per_request }
    }
}

/// Reads the rows of a results folder; none if calls were not counted.
///
/// # Errors
/// The file does not match `SCHEMA.md`.
pub fn read(folder: &Path) -> anyhow::Result<Vec<CallRow>> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // Earlier versions identified loads by their wording, which is no key.
    if !reader.headers()?.iter().any(|column| column == "trial") {
        return Ok(Vec::new());
    }
    let rows: Result<Vec<CallRow>, _> = reader.deserialize().collect();
    rows.with_context(|| format!("{} does not match results/SCHEMA.md", path.display()))
}

/// Replaces the rows of a results folder.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, rows: &[CallRow]) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    let mut writer = csv::Writer::from_path(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    for row in rows {
        writer.serialize(row)?;
    }
    writer.flush().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_file_and_a_folder_may_have_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        let rows = vec![CallRow::new(3, "a", 10, 30.0)];
        write(folder.path(), &rows).unwrap();
        assert_eq!(read(folder.path()).unwrap(), rows);
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text.lines().next().unwrap(), "trial,target,requests,calls,calls_per_request");
        let old = "target,load,requests,calls,calls_per_request\na,Download,10,30.0,3.0\n";
        std::fs::write(folder.path().join(FILE), old).unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
    }
}
