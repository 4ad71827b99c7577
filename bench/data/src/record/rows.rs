//! Rows of a trial's records, and the files that hold them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use loadgen::{Direction, LoadReport, TimeKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::load::Load;
use crate::load::byte_size::ByteSize;
use crate::load::heavy::Heavy;
use crate::load::mix::Mix;
use crate::load::objective;
use crate::load::objective::Objective;
use crate::load::profile::{BackgroundConnections, LoadProfile};
use crate::names;
use crate::record::evidence::{Evidence, Limit};
use crate::record::outcome::Outcome;
use crate::record::system_calls;
use crate::record::system_calls::CallRow;
use crate::servers::target::TargetKind;
use crate::servers::variant::AGAIN;
use crate::trial::Measurement;
use crate::trial::MemoryKind;
use crate::trial::Trial;

/// Row of `trials.csv`. `results/SCHEMA.md` explains the columns; a value that was not measured is
/// empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct TrialRow {
    pub trial: u32,
    pub round: u32,
    pub started_at: Timestamp,
    pub target: String,
    pub target_kind: TargetKind,
    #[serde(default)]
    pub control_of: Option<String>,
    pub target_version: Option<String>,
    #[serde(with = "names::name")]
    pub direction: Direction,
    pub size_bytes: u64,
    pub connections: usize,
    #[serde(default = "yes")]
    pub keep_alive: bool,
    #[serde(default)]
    pub offered_per_s: Option<u32>,
    #[serde(default)]
    pub of_weakest_percent: Option<u32>,
    #[serde(default, with = "objective::spelled")]
    pub search: Option<Objective>,
    #[serde(default)]
    pub idle_connections: usize,
    #[serde(default)]
    pub slow_readers: usize,
    #[serde(default)]
    pub slow_senders: usize,
    #[serde(default)]
    pub heavy_cpu_percent: u8,
    #[serde(default)]
    pub heavy_block_percent: u8,
    #[serde(default)]
    pub mix: Option<Mix>,
    #[serde(default, rename = "crowd_held")]
    pub background_held: Option<usize>,
    pub outcome: Outcome,
    pub outcome_reason: String,
    #[serde(default)]
    pub limit: Option<Limit>,
    pub window_s: Option<f64>,
    #[serde(default)]
    pub arrivals: Option<u64>,
    pub requests: Option<u64>,
    #[serde(default)]
    pub heavy_requests: Option<u64>,
    #[serde(default)]
    pub latency_requests: Option<u64>,
    #[serde(default)]
    pub unanswered: Option<u64>,
    pub requests_per_s: Option<f64>,
    #[serde(default)]
    pub answered_per_s: Option<f64>,
    #[serde(default)]
    pub response_mean_us: Option<f64>,
    #[serde(default)]
    pub little: Option<f64>,
    pub body_bytes: Option<u64>,
    pub body_mb_per_s: Option<f64>,
    #[serde(default)]
    pub ceiling_share: Option<f64>,
    pub verified: Option<u64>,
    #[serde(default)]
    pub verified_bytes: Option<u64>,
    pub connections_opened: Option<u64>,
    pub connections_served: Option<u64>,
    #[serde(default)]
    pub connections_starved: Option<u64>,
    pub errors: Option<u64>,
    pub errors_connect: Option<u64>,
    pub errors_reset: Option<u64>,
    pub errors_timeout: Option<u64>,
    pub errors_status: Option<u64>,
    pub errors_length: Option<u64>,
    pub errors_content: Option<u64>,
    pub errors_protocol: Option<u64>,
    pub server_cpu_s: Option<f64>,
    pub server_cpu_user_s: Option<f64>,
    pub server_cpu_system_s: Option<f64>,
    pub server_cpu_us_per_request: Option<f64>,
    #[serde(default)]
    pub server_cpu_share: Option<f64>,
    pub server_memory_bytes: Option<u64>,
    pub server_memory_kind: Option<MemoryKind>,
    pub server_peak_rss_bytes: Option<u64>,
    pub server_processes: Option<u64>,
    pub server_threads: Option<u64>,
    pub server_voluntary_switches: Option<u64>,
    pub server_involuntary_switches: Option<u64>,
    #[serde(default)]
    pub server_send_path: Option<String>,
    #[serde(default)]
    pub generator_engine: Option<String>,
    pub generator_cpu_user_s: Option<f64>,
    pub generator_cpu_system_s: Option<f64>,
    pub generator_cpu_share: Option<f64>,
    #[serde(default)]
    pub generator_late_us: Option<f64>,
    #[serde(default)]
    pub steal_share: Option<f64>,
    #[serde(default)]
    pub clock_step_us: Option<f64>,
    #[serde(default)]
    pub server_run_delay_s: Option<f64>,
    #[serde(default)]
    pub server_delay_share: Option<f64>,
    #[serde(default)]
    pub generator_delay_share: Option<f64>,
}

/// Row of `latency.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct LatencyRow {
    pub trial: u32,
    pub distribution: Distribution,
    pub percentile: f64,
    pub latency_us: f64,
    #[serde(default)]
    pub support: Option<Support>,
}

/// Support of a percentile by its measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Enough samples lie beyond it, and every request without a reply has waited longer.
    Identified,
    /// Lower bound: requests without a reply have waited for less.
    AtLeast,
    /// Too few samples lie beyond it, or in too few seconds of the window.
    Few,
}

impl From<loadgen::Support> for Support {
    fn from(support: loadgen::Support) -> Self {
        match support {
            loadgen::Support::Identified => Self::Identified,
            loadgen::Support::AtLeast => Self::AtLeast,
            loadgen::Support::TooFew => Self::Few,
        }
    }
}

/// Row of `timeseries.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "SCHEMA.md explains each column, and a test holds it to that")]
pub struct SecondRow {
    pub trial: u32,
    pub second: u64,
    pub requests: u64,
    pub body_bytes: u64,
    pub errors: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub max_us: Option<f64>,
}

/// Kind of times in a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Response time: from the arrival of a request to the end of its reply.
    Response,
    /// Service time: from the sending of a request to the end of its reply; in closed loops over kept
    /// connections equal to the response time.
    Service,
    /// Send delay: from the arrival of a request to its sending, while no connection was free.
    SendDelay,
    /// Time to establish a connection.
    Connect,
    /// Response time of heavy requests, which the other distributions exclude.
    Heavy,
}

impl From<Distribution> for TimeKind {
    fn from(distribution: Distribution) -> Self {
        match distribution {
            Distribution::Response => Self::Response,
            Distribution::Service => Self::Service,
            Distribution::SendDelay => Self::SendDelay,
            Distribution::Connect => Self::Connect,
            Distribution::Heavy => Self::Heavy,
        }
    }
}

/// Recorded percentiles. Those with less than one sample beyond them are omitted, except 100, the
/// maximum.
pub const PERCENTILES: [f64; 18] = [
    1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.95,
    99.99, 100.0,
];

/// Names of the record files within a results folder.
pub const FILES: [&str; 3] = ["trials.csv", "latency.csv", "timeseries.csv"];

/// The columns of `trials.csv`.
pub const TRIAL_COLUMNS: &[&str] = &[
    "trial",
    "round",
    "started_at",
    "target",
    "target_kind",
    "control_of",
    "target_version",
    "direction",
    "size_bytes",
    "connections",
    "keep_alive",
    "offered_per_s",
    "of_weakest_percent",
    "search",
    "idle_connections",
    "slow_readers",
    "slow_senders",
    "heavy_cpu_percent",
    "heavy_block_percent",
    "mix",
    "crowd_held",
    "outcome",
    "outcome_reason",
    "limit",
    "window_s",
    "arrivals",
    "requests",
    "heavy_requests",
    "latency_requests",
    "unanswered",
    "requests_per_s",
    "answered_per_s",
    "response_mean_us",
    "little",
    "body_bytes",
    "body_mb_per_s",
    "ceiling_share",
    "verified",
    "verified_bytes",
    "connections_opened",
    "connections_served",
    "connections_starved",
    "errors",
    "errors_connect",
    "errors_reset",
    "errors_timeout",
    "errors_status",
    "errors_length",
    "errors_content",
    "errors_protocol",
    "server_cpu_s",
    "server_cpu_user_s",
    "server_cpu_system_s",
    "server_cpu_us_per_request",
    "server_cpu_share",
    "server_memory_bytes",
    "server_memory_kind",
    "server_peak_rss_bytes",
    "server_processes",
    "server_threads",
    "server_voluntary_switches",
    "server_involuntary_switches",
    "server_send_path",
    "generator_engine",
    "generator_cpu_user_s",
    "generator_cpu_system_s",
    "generator_cpu_share",
    "generator_late_us",
    "steal_share",
    "clock_step_us",
    "server_run_delay_s",
    "server_delay_share",
    "generator_delay_share",
];

/// The columns of `latency.csv`.
pub const LATENCY_COLUMNS: [&str; 5] =
    ["trial", "distribution", "percentile", "latency_us", "support"];

/// The columns of `timeseries.csv`.
pub const SECOND_COLUMNS: [&str; 8] =
    ["trial", "second", "requests", "body_bytes", "errors", "p50_us", "p99_us", "max_us"];

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
                    records.latencies.extend(percentiles(trial.number, distribution, load));
                }
            }
            records.seconds.extend(seconds(trial.number, load));
        }
        records
    }

    /// Appends the rows of other records.
    pub fn extend(&mut self, others: Self) {
        self.trials.extend(others.trials);
        self.latencies.extend(others.latencies);
        self.seconds.extend(others.seconds);
        self.calls.extend(others.calls);
    }

    /// Reads the rows of a results folder.
    ///
    /// # Errors
    /// A file is missing or does not match `SCHEMA.md`.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let [trials, latencies, seconds] = FILES;
        let mut trials: Vec<TrialRow> = read(&folder.join(trials))?;
        trials.iter_mut().for_each(TrialRow::complete);
        Ok(Self {
            trials,
            latencies: read(&folder.join(latencies))?,
            seconds: read(&folder.join(seconds))?,
            calls: system_calls::read(folder)?,
        })
    }
}

impl TrialRow {
    fn new(trial: &Trial, measured: &Measurement) -> Self {
        let evidence = Evidence::of(trial, measured);
        let (outcome, outcome_reason) = Outcome::of(trial, measured, &evidence);
        let profile = trial.load.profile;
        let load = measured.load.as_ref();
        let server = measured.server.as_ref();
        let per_s = |amount: u64| {
            let window_s = load?.window.as_secs_f64();
            (window_s > 0.0).then(|| rounded(amount as f64 / window_s))
        };
        let requests = load.map(|load| load.requests);
        let body_bytes = load.map(|load| load.body_bytes);
        let errors = load.map(|load| load.errors);
        let cpu_s = server.map(|server| server.cpu.as_secs_f64());
        Self {
            trial: trial.number,
            round: trial.round,
            started_at: measured.started_at,
            target: trial.target.name().to_owned(),
            target_kind: trial.target.kind(),
            control_of: trial.target.control_of().map(str::to_owned),
            target_version: measured.version.clone(),
            direction: trial.load.direction,
            size_bytes: trial.load.size.bytes(),
            connections: trial.load.connections,
            keep_alive: profile.keep_alive,
            offered_per_s: profile.rate_per_s,
            of_weakest_percent: profile.of_weakest_percent,
            search: trial.search,
            idle_connections: profile.background.idle,
            slow_readers: profile.background.slow_readers,
            slow_senders: profile.background.slow_senders,
            heavy_cpu_percent: profile.heavy.cpu_percent,
            heavy_block_percent: profile.heavy.block_percent,
            mix: profile.mix,
            background_held: measured.background_held,
            outcome,
            outcome_reason,
            limit: evidence.limit().filter(|_| outcome.is_measured()),
            window_s: load.map(|load| precise(load.window.as_secs_f64())),
            arrivals: load.filter(|_| profile.rate_per_s.is_some()).map(|load| load.arrivals),
            requests,
            heavy_requests: load
                .filter(|_| profile.heavy.total_percent() > 0)
                .map(|load| load.heavy_requests),
            latency_requests: load.map(|load| load.latency_requests),
            unanswered: load.map(|load| load.unanswered),
            requests_per_s: requests.and_then(per_s),
            answered_per_s: requests.and_then(per_s),
            response_mean_us: load
                .filter(|load| !load.response_ns.is_empty())
                .map(|load| rounded(load.response_ns.mean() / 1e3)),
            little: load.and_then(|load| load.little).map(precise),
            body_bytes,
            body_mb_per_s: body_bytes.and_then(per_s).map(|per_s| rounded(per_s / 1e6)),
            ceiling_share: evidence.ceiling_share.map(rounded),
            verified: load.map(|load| load.verified),
            verified_bytes: load.map(|load| load.verified_bytes),
            connections_opened: load.map(|load| load.connections_opened),
            connections_served: load.map(|load| load.connections_served),
            connections_starved: load.map(|load| load.connections_starved),
            errors: errors.map(|errors| errors.total()),
            errors_connect: errors.map(|errors| errors.connect),
            errors_reset: errors.map(|errors| errors.reset),
            errors_timeout: errors.map(|errors| errors.timeout),
            errors_status: errors.map(|errors| errors.status),
            errors_length: errors.map(|errors| errors.length),
            errors_content: errors.map(|errors| errors.content),
            errors_protocol: errors.map(|errors| errors.protocol),
            server_cpu_s: cpu_s.map(precise),
            server_cpu_user_s: server.map(|server| precise(server.cpu_user.as_secs_f64())),
            server_cpu_system_s: server.map(|server| precise(server.cpu_system.as_secs_f64())),
            server_cpu_us_per_request: requests
                .filter(|requests| *requests > 0)
                .and_then(|requests| Some(rounded(cpu_s? * 1e6 / requests as f64))),
            server_cpu_share: evidence.server_cpu_share.map(rounded),
            server_memory_bytes: server.map(|server| server.memory_bytes),
            server_memory_kind: server.map(|server| server.memory_kind),
            server_peak_rss_bytes: server.and_then(|server| server.peak_rss_bytes),
            server_processes: server.map(|server| server.processes),
            server_threads: server.map(|server| server.threads),
            server_voluntary_switches: server.map(|server| server.voluntary_switches),
            server_involuntary_switches: server.map(|server| server.involuntary_switches),
            server_send_path: measured.send_path.map(|path| path.name().to_owned()),
            generator_engine: load.map(|load| load.engine.name().to_owned()),
            generator_cpu_user_s: load.map(|load| precise(load.cpu.user.as_secs_f64())),
            generator_cpu_system_s: load.map(|load| precise(load.cpu.system.as_secs_f64())),
            generator_cpu_share: evidence.generator_cpu_share.map(rounded),
            generator_late_us: evidence.generator_late_us.map(rounded),
            steal_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.steal_share)
                .map(rounded),
            clock_step_us: measured
                .disturbance
                .map(|disturbance| rounded(disturbance.clock_step.as_secs_f64() * 1e6)),
            server_run_delay_s: server
                .and_then(|server| server.run_delay)
                .map(|delay| precise(delay.as_secs_f64())),
            server_delay_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.server_delay_share)
                .map(rounded),
            generator_delay_share: measured
                .disturbance
                .and_then(|disturbance| disturbance.generator_delay_share)
                .map(rounded),
        }
    }

    /// Fills in the columns that earlier versions of the format lack but imply.
    fn complete(&mut self) {
        // Up to version 3 the name alone showed whose A/A control it is.
        if self.target_kind == TargetKind::AaControl && self.control_of.is_none() {
            self.control_of = self.target.strip_suffix(AGAIN).map(str::to_owned);
        }
    }

    /// Load of the trial.
    pub fn load(&self) -> Load {
        Load {
            direction: self.direction,
            size: ByteSize::new(self.size_bytes),
            connections: self.connections,
            profile: LoadProfile {
                keep_alive: self.keep_alive,
                rate_per_s: self.offered_per_s,
                of_weakest_percent: self.of_weakest_percent,
                background: BackgroundConnections {
                    idle: self.idle_connections,
                    slow_readers: self.slow_readers,
                    slow_senders: self.slow_senders,
                },
                heavy: Heavy {
                    cpu_percent: self.heavy_cpu_percent,
                    block_percent: self.heavy_block_percent,
                },
                mix: self.mix,
            },
        }
    }

    /// Context switches of both kinds, per request.
    pub fn switches_per_request(&self) -> Option<f64> {
        let switches = self.server_voluntary_switches? + self.server_involuntary_switches?;
        let requests = self.requests.filter(|requests| *requests > 0)?;
        Some(switches as f64 / requests as f64)
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
        let mut writer = Self {
            trials: open(&folder.join(trials), TRIAL_COLUMNS)?,
            latencies: open(&folder.join(latencies), &LATENCY_COLUMNS)?,
            seconds: open(&folder.join(seconds), &SECOND_COLUMNS)?,
        };
        writer.flush()?;
        Ok(writer)
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

fn open(path: &Path, columns: &[&str]) -> anyhow::Result<csv::Writer<File>> {
    let compressed = gzipped(path);
    ensure!(
        path.is_file() || !compressed.is_file(),
        "{} is compressed: gunzip it to continue the run",
        compressed.display()
    );
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot create or write {}", path.display()))?;
    let is_new = file.metadata()?.len() == 0;
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
    if is_new {
        writer.write_record(columns)?;
    }
    Ok(writer)
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

fn percentiles(
    trial: u32,
    distribution: Distribution,
    load: &LoadReport,
) -> impl Iterator<Item = LatencyRow> {
    let samples = load.times(distribution.into()).len();
    let beyond = move |percentile: f64| samples as f64 * (1.0 - percentile / 100.0);
    let known = move |percentile: &f64| *percentile >= 100.0 || beyond(*percentile) >= 1.0;
    PERCENTILES.into_iter().filter(known).filter_map(move |percentile| {
        let found = load.percentile(distribution.into(), percentile)?;
        let (latency_us, support) = (microseconds(found.ns), Some(found.support.into()));
        Some(LatencyRow { trial, distribution, percentile, latency_us, support })
    })
}

fn seconds(trial: u32, load: &LoadReport) -> impl Iterator<Item = SecondRow> {
    load.seconds.iter().map(move |second| {
        // A second may have only heavy replies.
        let of_answers = |ns| (second.max_ns > 0).then(|| microseconds(ns));
        SecondRow {
            trial,
            second: second.second,
            requests: second.requests,
            body_bytes: second.body_bytes,
            errors: second.errors,
            p50_us: of_answers(second.p50_ns),
            p99_us: of_answers(second.p99_ns),
            max_us: of_answers(second.max_ns),
        }
    })
}

/// Default of runs from before `keep_alive` was recorded.
fn yes() -> bool {
    true
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
    use super::*;
    use crate::plan::Plan;

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
    fn headers_are_the_fields_of_the_rows() {
        let records = crate::mock::records();
        assert_eq!(header(&records.trials[0]), TRIAL_COLUMNS);
        assert_eq!(header(&records.latencies[0]), LATENCY_COLUMNS);
        assert_eq!(header(&records.seconds[0]), SECOND_COLUMNS);
    }

    #[test]
    fn every_column_and_outcome_is_explained() {
        let schema = include_str!("../../../../results/SCHEMA.md");
        let parts: Vec<_> = schema.split("\n## ").collect();
        let files = FILES.into_iter().chain([system_calls::FILE]);
        let columns =
            [TRIAL_COLUMNS, &LATENCY_COLUMNS, &SECOND_COLUMNS, &system_calls::CALL_COLUMNS];
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

    #[test]
    fn percentiles_that_too_few_samples_know_are_left_out() {
        let trials = crate::schedule::schedule(&Plan::built_in("default").unwrap());
        let mut load = crate::mock::MockExecutor::default().measure(&trials[0]).load.unwrap();
        load.response_ns.clear();
        assert_eq!(percentiles(1, Distribution::Response, &load).count(), 0);
        for ns in 1..=150 {
            load.response_ns.record(ns * 1000).unwrap();
        }
        load.slowest_ns = vec![150_000; 2];
        load.shortest_wait_ns.response_ns = 149_000;
        let rows: Vec<_> = percentiles(1, Distribution::Response, &load).collect();
        let known: Vec<_> = rows.iter().map(|row| row.percentile).collect();
        assert!(known.contains(&99.0) && !known.contains(&99.9) && known.contains(&100.0));
        let support = |percentile: f64| {
            rows.iter().find(|row| row.percentile == percentile).unwrap().support.unwrap()
        };
        assert_eq!((support(50.0), support(95.0)), (Support::Identified, Support::Few));
        assert_eq!((support(99.0), support(100.0)), (Support::AtLeast, Support::AtLeast));
    }
}
