//! Rows of a trial's records, and the files that hold them.

mod latency;
mod second;
mod trial;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

pub use self::latency::{Distribution, LatencyRow, PERCENTILES, Support};
pub use self::second::{ResponseBins, SecondRow};
pub use self::trial::TrialRow;
use crate::record::system_calls;
use crate::record::system_calls::CallRow;
use crate::record::wake_up;
use crate::record::wake_up::WakeUpRow;
use crate::trial::{Measurement, Trial};

/// Names of the record files within a results folder.
pub const FILES: [&str; 3] = ["trials.csv", "latency.csv", "timeseries.csv"];

/// Rows of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// One per trial, in the order in which they ran.
    pub trials: Vec<TrialRow>,
    /// One per recorded percentile of a trial.
    pub latencies: Vec<LatencyRow>,
    /// One per second of a trial's window.
    pub seconds: Vec<SecondRow>,
    /// One per server and load whose system calls were counted.
    pub calls: Vec<CallRow>,
    /// Wake-up delays of the machine, one per round.
    pub wake_ups: Vec<WakeUpRow>,
}

impl Records {
    /// Rows of a trial.
    pub fn of_trial(trial: &Trial, measured: &Measurement) -> Self {
        let mut records = Self { trials: vec![TrialRow::new(trial, measured)], ..Self::default() };
        if let Some(load) = &measured.load {
            // In closed loops over kept connections a request arrives when it is sent.
            let open_loop = trial.load.profile.rate_per_s.is_some();
            for (distribution, is_recorded) in [
                (Distribution::Response, true),
                (Distribution::Service, open_loop || !trial.load.profile.keep_alive),
                (Distribution::SendDelay, open_loop),
                (Distribution::Connect, true),
                (Distribution::Heavy, true),
            ] {
                if is_recorded {
                    records.latencies.extend(latency::percentiles(
                        trial.number,
                        distribution,
                        load,
                    ));
                }
            }
            records.seconds.extend(second::seconds(trial.number, load));
        }
        records
    }

    /// Appends the rows of other records.
    pub fn extend(&mut self, others: Self) {
        self.trials.extend(others.trials);
        self.latencies.extend(others.latencies);
        self.seconds.extend(others.seconds);
        self.calls.extend(others.calls);
        self.wake_ups.extend(others.wake_ups);
    }

    /// Reads the rows of a results folder, unchecked.
    ///
    /// # Errors
    /// A file is missing, or does not match `SCHEMA.md`.
    pub(super) fn read_unchecked(folder: &Path) -> anyhow::Result<Self> {
        let [trials, latencies, seconds] = FILES;
        let mut trials: Vec<TrialRow> = read(&folder.join(trials))?;
        trials.iter_mut().for_each(TrialRow::complete);
        // A killed run may have written a part of its last trial.
        let known: HashSet<u32> = trials.iter().map(|row| row.trial).collect();
        let mut latencies: Vec<LatencyRow> = read(&folder.join(latencies))?;
        latencies.retain(|row| known.contains(&row.trial));
        let mut seconds: Vec<SecondRow> = read(&folder.join(seconds))?;
        seconds.retain(|row| known.contains(&row.trial));
        Ok(Self {
            trials,
            latencies,
            seconds,
            calls: system_calls::read(folder)?,
            wake_ups: wake_up::read(folder)?,
        })
    }
}

/// Appends rows to the files of a results folder. The rows of a trial are on disk before the next one.
#[derive(Debug)]
pub struct RecordWriter {
    trials: csv::Writer<File>,
    latencies: csv::Writer<File>,
    seconds: csv::Writer<File>,
}

impl RecordWriter {
    /// Creates the files, or opens them to append.
    ///
    /// # Errors
    /// A file cannot be created or written.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let [trials, latencies, seconds] = FILES;
        Ok(Self {
            trials: open(&folder.join(trials))?,
            latencies: open(&folder.join(latencies))?,
            seconds: open(&folder.join(seconds))?,
        })
    }

    /// Appends the rows of a trial and flushes them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn append(&mut self, records: &Records) -> anyhow::Result<()> {
        for row in &records.latencies {
            self.latencies.serialize(row)?;
        }
        for row in &records.seconds {
            self.seconds.serialize(row)?;
        }
        for row in &records.trials {
            self.trials.serialize(row)?;
        }
        Ok(self.flush()?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.latencies.flush()?;
        self.seconds.flush()?;
        self.trials.flush()
    }
}

fn open(path: &Path) -> anyhow::Result<csv::Writer<File>> {
    let compressed = gzipped(path);
    ensure!(
        path.is_file() || !compressed.is_file(),
        "{} is compressed: gunzip it to continue the run",
        compressed.display()
    );
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot create or write {}", path.display()))?;
    let is_new = file.metadata()?.len() == 0;
    // The header comes with the first row.
    Ok(csv::WriterBuilder::new().has_headers(is_new).from_writer(file))
}

/// Content of a file of records, or of its gzipped form where only that exists.
fn text(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && gzipped(path).is_file() => {
            Box::new(GzDecoder::new(File::open(gzipped(path))?))
        }
        file => Box::new(file?),
    })
}

/// Path of the gzipped form of a file of records.
pub(crate) fn gzipped(path: &Path) -> PathBuf {
    path.with_extension("csv.gz")
}

fn read<Row: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = text(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = csv::Reader::from_reader(text);
    // Deserialization would take a header that cannot be read for an empty file.
    reader
        .headers()
        .map(drop)
        .and_then(|()| reader.deserialize().collect())
        .with_context(|| format!("{} does not match results/SCHEMA.md", path.display()))
}

fn microseconds(ns: u64) -> f64 {
    rounded(ns as f64 / 1e3)
}

/// Rounds to three decimals, the precision of the values.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Rounds to six decimals: seconds to the microsecond.
fn precise(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::load::heavy::Heavy;
    use crate::plan::Plan;
    use crate::record::evidence::Limit;
    use crate::record::outcome::Outcome;
    use crate::trial::Executor;

    fn header(row: impl Serialize) -> Vec<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        text.lines().next().unwrap().split(',').map(str::to_owned).collect()
    }

    #[test]
    fn gzipped_records_are_read_where_only_they_exist() {
        let folder = tempfile::tempdir().unwrap();
        let records = crate::mock::records();
        RecordWriter::open(folder.path()).unwrap().append(&records).unwrap();
        let plain = folder.path().join(FILES[1]);
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(gzipped(&plain)).unwrap(),
            flate2::Compression::fast(),
        );
        io::copy(&mut File::open(&plain).unwrap(), &mut encoder).unwrap();
        encoder.finish().unwrap();
        std::fs::remove_file(&plain).unwrap();
        assert_eq!(Records::read(folder.path()).unwrap(), records);
        let refusal = RecordWriter::open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("gunzip it"), "{refusal}");
        std::fs::write(gzipped(&plain), "trial,distribution,percentile,latency_us\n").unwrap();
        let error = Records::read(folder.path()).map(drop).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("latency.csv"), "{error}");
    }

    #[test]
    fn rows_of_a_trial_that_was_not_completed_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = crate::mock::records();
        let whole = records.clone();
        let last = records.trials.iter().map(|row| row.trial).max().unwrap();
        let mut row = records.latencies[0].clone();
        row.trial = last + 1;
        records.latencies.push(row);
        RecordWriter::open(folder.path()).unwrap().append(&records).unwrap();
        assert_eq!(Records::read(folder.path()).unwrap(), whole);
    }

    #[test]
    fn edited_records_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = crate::mock::records();
        records.trials[0].requests_per_s = Some(-5.0);
        RecordWriter::open(folder.path()).unwrap().append(&records).unwrap();
        let error = Records::read(folder.path()).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("row 2, column requests_per_s: -5"), "{error:#}");
    }

    #[test]
    fn every_column_and_outcome_is_explained() {
        let schema = include_str!("../../../../results/SCHEMA.md");
        let parts: Vec<_> = schema.split("\n## ").collect();
        let files = FILES.into_iter().chain([system_calls::FILE, wake_up::FILE]);
        let records = crate::mock::records();
        let trial = crate::schedule::schedule(&Plan::built_in("quick").unwrap()).remove(0);
        let delay = crate::mock::MockExecutor::default().wake_up_delay().unwrap();
        let columns = [
            header(&records.trials[0]),
            header(&records.latencies[0]),
            header(&records.seconds[0]),
            header(CallRow::new(1, "a", 1, 1.0)),
            header(WakeUpRow::new(&trial, &delay)),
        ];
        for (file, columns) in files.zip(columns) {
            let part = parts.iter().find(|part| part.starts_with(file)).expect(file);
            let explained: Vec<_> = part
                .lines()
                .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
                .filter(|name| *name != "column")
                .collect();
            assert_eq!(explained, columns, "{file}");
        }
        for outcome in Outcome::ALL {
            assert!(schema.contains(&format!("- `{}`", outcome.name())), "{outcome:?}");
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
        for limit in [Limit::Server, Limit::Generator, Limit::Memory, Limit::None] {
            assert!(schema.contains(&format!("- `{}`", limit.name())), "{limit:?}");
            assert_eq!(serde_json::to_value(limit).unwrap(), limit.name());
        }
    }

    #[test]
    fn heavy_requests_are_counted_and_have_a_distribution() {
        let plan = Plan::built_in("heavy").unwrap();
        let records = crate::mock::records_of(&plan, crate::mock::MockExecutor::default());
        let heavy = records.trials.iter().find(|row| row.heavy_block_percent == 10).unwrap();
        let share = heavy.heavy_requests.unwrap() as f64 / heavy.requests.unwrap() as f64;
        assert!((0.09..=0.1).contains(&share), "{share}");
        assert_eq!(heavy.load().profile.heavy, Heavy { cpu_percent: 0, block_percent: 10 });
        let of_heavy = |trial| {
            let rows = records.latencies.iter().filter(move |row| row.trial == trial);
            rows.filter(|row| row.distribution == Distribution::Heavy).count()
        };
        assert!(of_heavy(heavy.trial) > 0);
        let light = records.trials.iter().find(|row| row.load().profile.is_usual()).unwrap();
        assert_eq!((light.heavy_requests, of_heavy(light.trial)), (None, 0));
        let plan = Plan::built_in("mix").unwrap();
        let records = crate::mock::records_of(&plan, crate::mock::MockExecutor::default());
        let loads = plan.loads();
        assert!(records.trials.iter().all(|row| row.mix.is_some() && loads.contains(&row.load())));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let records = crate::mock::records();
        let mut writer = RecordWriter::open(folder.path()).unwrap();
        assert_eq!(Records::read(folder.path()).unwrap(), Records::default());
        writer.append(&records).unwrap();
        assert_eq!(Records::read(folder.path()).unwrap(), records);
    }
}
